"""The hub's policy: what is in force, and whether an edited file would be taken."""

from pathlib import Path
from typing import Annotated

import typer

from activities.policy import PolicyInForce
from cli.context import Json, console, load_settings, runs, table, write_json
from models.errors import InvalidPolicy, NotFound
from models.policy import HubPolicy
from policies import rulebook
from policies.hub_policy import parse_policy

app = typer.Typer(no_args_is_help=True, help="policy.toml: the numbers and rule switches that the hub decides by.")


@app.command()
@runs
async def show(json_: Json = False) -> None:
    """The policy in force, every number of it, and the rules that it switches."""
    place = load_settings().policy_place
    policy = PolicyInForce(place).current()
    if json_:
        write_json({"file": place, "digest": policy.digest, "policy": policy.model_dump(mode="json")})
        return
    console.print(f"{place}\n{policy.digest}", markup=False, soft_wrap=True)
    for section in type(policy).model_fields:
        values = getattr(policy, section)
        rows = ((name, _shown(getattr(values, name))) for name in type(values).model_fields)
        table(f"\n\\[{section}]", ("", ""), rows, "")


def _shown(value: object) -> str:
    match value:
        case tuple():
            return ", ".join(str(item) for item in value) or "none"
        case int() if not isinstance(value, bool):
            return f"{value:,}"
        case "":
            return "none"
    return str(value)


@app.command()
@runs
async def check(
    file: Annotated[Path, typer.Argument(help="A policy.toml that is not in force yet.")],
    json_: Json = False,
) -> None:
    """Whether the hub would take this file. Every mistake is named; status 1 when there is any."""
    try:
        policy = parse_policy(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise NotFound(f"There is no file {file}.") from None
    except UnicodeDecodeError as error:
        raise InvalidPolicy(f"{file} is not UTF-8 (byte {error.start}): save it as UTF-8.") from error
    in_force = PolicyInForce(load_settings().policy_place).current()
    changes = _changes(in_force, policy)
    if json_:
        write_json({"digest": policy.digest, "changes": changes})
        return
    console.print(f"[bold green]fit[/] {policy.digest}")
    table(
        "Changes against the policy in force",
        ("", "now", "then"),
        ((change["field"], change["now"], change["then"]) for change in changes),
        "It says the same as the policy in force.",
    )


def _changes(now: HubPolicy, then: HubPolicy) -> list[dict[str, str]]:
    return [
        {"field": f"{section}.{name}", "now": _shown(before), "then": _shown(after)}
        for section in type(now).model_fields
        for name in type(getattr(now, section)).model_fields
        if (before := getattr(getattr(now, section), name)) != (after := getattr(getattr(then, section), name))
    ]


@app.command()
@runs
async def rules(json_: Json = False) -> None:
    """Every rule that a submission or a profile is held against: id, level, title. The ids are for policy.toml."""
    found = list(rulebook.all_rules())
    if json_:
        write_json([{"id": rule.id, "level": rule.level, "title": rule.title, "why": rule.why} for rule in found])
        return
    table("Rules", ("id", "level", "title"), ((rule.id, rule.level, rule.title) for rule in found), "")
