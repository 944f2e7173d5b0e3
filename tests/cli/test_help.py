"""Every command says what it does, and every one can be read by a program."""

from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

import starter
from tests.cli.conftest import Shell

#: what starts something and stays; their JSON is of another kind
NOT_A_DOCUMENT = {"demo"}


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Words of each command, and the command."""
    root: Any = get_command(starter.app)
    for name in root.list_commands(None):
        yield from within(root.get_command(None, name), name)


def within(command: Any, *words: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words, command
    else:
        for verb in inner:
            yield from within(inner[verb], *words, verb)


COMMANDS = dict(commands())


def test_what_people_do_is_there() -> None:
    assert {" ".join(words) for words in COMMANDS} >= {
        "up",
        "worker",
        "doctor",
        "init",
        "submit",
        "resubmit",
        "decide",
        "withdraw",
        "status",
        "queue",
        "gc",
        "publisher apply",
        "publisher verify",
        "publisher members add",
        "product hold",
        "product revoke",
        "product recover",
        "policy show",
        "policy check",
        "secrets rotate",
        "staff add",
        "mail list",
        "advisories import",
    }


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_its_help_says_what_it_does_and_what_each_word_means(words: tuple[str, ...]) -> None:
    command = COMMANDS[words]
    shown = Shell({}).run(*words, "--help").stdout
    assert "Usage:" in shown
    assert command.help
    assert command.help.strip()[0].isupper()
    for parameter in command.params:
        assert parameter.name == "help" or parameter.help, (words, parameter.name)


@pytest.mark.parametrize("words", sorted(set(COMMANDS) - {(name,) for name in NOT_A_DOCUMENT}), ids=" ".join)
def test_it_can_be_read_by_a_program(words: tuple[str, ...]) -> None:
    assert "--json" in {option for parameter in COMMANDS[words].params for option in parameter.opts}


def test_without_a_word_the_help_is_shown() -> None:
    shown = Shell({}).run(status=2)
    assert "Takes container images in" in shown.stdout + shown.stderr
