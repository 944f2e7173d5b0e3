"""The command line `wharfinger`: mounts what cli/ has, one file per noun.

A command's module is imported when the command is called: `wharfinger status` does not wait for what a scan needs.
"""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

#: module of cli/ -> the verbs that its `add_to` mounts; in the order of the help
VERBS = {
    "up": ("up", "worker"),
    "demo": ("demo",),
    "doctor": ("doctor",),
    "init": ("init",),
    "submission": ("submit", "resubmit", "decide", "withdraw", "queue"),
    "status": ("status",),
    "scan": ("scan",),
    "report": ("report",),
    "gc": ("gc",),
}
#: modules of cli/ whose `app` is mounted under their own name
NOUNS = (
    "publisher",
    "product",
    "staff",
    "advisories",
    "vulnerabilities",
    "bases",
    "waivers",
    "watch",
    "mail",
    "policy",
    "secrets",
)

_MODULES = {verb: module for module, verbs in VERBS.items() for verb in verbs} | {noun: noun for noun in NOUNS}


class _Commands(TyperGroup):
    """Knows the names of all commands, and imports those that are asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.commands and cmd_name in _MODULES:
            self.commands.update(_commands_of(_MODULES[cmd_name]))
        return super().get_command(ctx, cmd_name)


def _commands_of(module: str) -> dict[str, Any]:
    mounted = typer.Typer(no_args_is_help=True)
    imported = import_module(f"cli.{module}")
    if module in NOUNS:
        mounted.add_typer(imported.app, name=module)
    else:
        imported.add_to(mounted)
    return dict(get_group(mounted).commands)


app = typer.Typer(name="wharfinger", cls=_Commands, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def wharfinger() -> None:
    """Takes container images in, examines them, and lets them into a hub when they are fit."""


def main() -> None:
    app()


if __name__ == "__main__":
    main()
