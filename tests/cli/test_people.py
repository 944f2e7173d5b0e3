"""Staff and applicants on the command line, where no server is needed."""

from pathlib import Path

from tests.cli.conftest import Shell
from tests.parts.rows import Harbour


async def test_staff_is_given_and_taken_and_listed(shell: Shell, home: Path) -> None:
    assert "Nobody has a role yet" in (await shell("staff", "list")).stdout
    given = await shell.json("staff", "add", "Mo@Hub.example", "moderator", "ops", "--name", "Mo")
    assert given["given"] == ["moderator", "ops"]
    assert "had these roles already" in (await shell("staff", "add", "mo@hub.example", "ops")).stdout
    assert (await shell.json("staff", "list")) == [
        {"person": given["person"], "email": "mo@hub.example", "name": "Mo", "roles": ["moderator", "ops"]}
    ]
    assert "moderator, ops" in (await shell("staff", "list")).stdout
    assert (await shell.json("staff", "remove", "mo@hub.example", "ops"))["taken"] == ["ops"]
    assert "had none of these roles" in (await shell("staff", "remove", "mo@hub.example", "ops")).stdout
    assert "No such role: publisher." in await shell.refused("staff", "add", "x@y.example", "publisher")


async def test_the_first_of_the_staff_is_added_before_anything_else(shell: Shell, tmp_path: Path) -> None:
    await shell("staff", "add", "mo@hub.example", "moderator", WHARFINGER_HOME=str(tmp_path / "new"))
    assert (tmp_path / "new" / "wharfinger.sqlite").exists()


async def test_applicants_are_listed_with_what_is_due(shell: Shell, crane: Harbour) -> None:
    listed = await shell.json("publisher", "list")
    assert (listed["total"], listed["items"][0]["slug"]) == (1, "harbour")
    assert (await shell.json("publisher", "list", "--status", "approved"))["total"] == 0
    assert "No publisher has applied yet" in (await shell("publisher", "list", "--status", "declined")).stdout
    page = (await shell("publisher", "show", "harbour")).stdout
    for word in ("Harbour", "https://harbour.example", "pat@harbour.example", "unconfirmed"):
        assert word in page, word
