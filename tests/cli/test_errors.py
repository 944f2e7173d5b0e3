"""Errors are one line that says what to do, for people; one document, for programs."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cli.context import UP_FILE, load_settings
from models.errors import WharfingerError
from tests.cli.conftest import Shell
from tests.desk.hubs import write_sample
from tests.parts.databases import PostgresqlServer, postgresql  # noqa: F401
from tests.parts.rows import Harbour


async def test_where_there_is_no_database_nothing_is_made_by_looking(shell: Shell, tmp_path: Path) -> None:
    for words in (
        ("queue",),
        ("status", "crane/1"),
        ("staff", "list"),
        ("publisher", "list"),
        ("product", "list"),
        ("gc",),
        ("secrets", "rotate"),
        ("submit", ".", "--as", "ada@harbour.example"),
    ):
        line = await shell.refused(*words, WHARFINGER_HOME="elsewhere")
        assert "There is no database at elsewhere/wharfinger.sqlite yet: start the hub with `wharfinger up`" in line
    assert not (tmp_path / "elsewhere").exists()


async def test_a_database_that_is_not_migrated_yet_is_recognised(shell: Shell, home: Path) -> None:
    (home / "wharfinger.sqlite").unlink()
    sqlite3.connect(home / "wharfinger.sqlite").close()
    (home / "wharfinger.sqlite").touch()
    line = await shell.refused("queue")
    assert line.startswith("The database has not been brought up to this version yet: start `wharfinger up`")
    assert "SELECT" not in line


async def test_an_older_database_is_recognised(shell: Shell, home: Path) -> None:
    with closing(sqlite3.connect(home / "wharfinger.sqlite")) as database:
        database.execute("ALTER TABLE submission RENAME COLUMN stage TO state")
    assert "not been brought up to this version" in await shell.refused("queue")


async def test_a_file_that_is_no_database_is_named(shell: Shell, home: Path) -> None:
    (home / "wharfinger.sqlite").write_bytes(b"no database" * 1000)
    assert "file is not a database" in await shell.refused("queue")


async def test_a_database_server_that_is_away_or_empty(
    shell: Shell,
    postgresql: PostgresqlServer,  # noqa: F811
) -> None:
    line = await shell.refused("queue", WHARFINGER_DATABASE="postgresql://ada:open-sesame@127.0.0.1:1/hub")
    assert "does not answer as it should" in line
    assert "open-sesame" not in line
    postgresql.run("CREATE DATABASE bare")
    assert "not been brought up" in await shell.refused("queue", WHARFINGER_DATABASE=postgresql.url("bare"))


@pytest.mark.parametrize("url", ["mysql://x/y", "://", "postgresql://x:y:z"])
async def test_a_database_address_that_cannot_be_read(shell: Shell, url: str) -> None:
    line = await shell.refused("queue", WHARFINGER_DATABASE=url)
    assert "sqlite:///PATH or postgresql://USER@HOST/NAME" in line


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("WHARFINGER_SMTP__PORT", "soon", "WHARFINGER_SMTP__PORT: Input should be a valid integer"),
        ("WHARFINGER_LOG_FORMAT", "xml", "WHARFINGER_LOG_FORMAT: Input should be 'console' or 'json'"),
        ("WHARFINGER_PLAIN_HTTP_HOSTS", "a,b", "Lists are written as JSON"),
        ("WHARFINGER_SCANS_AT_ONCE", "0", "WHARFINGER_SCANS_AT_ONCE"),
    ],
)
async def test_a_setting_that_is_wrong_is_named(shell: Shell, name: str, value: str, says: str) -> None:
    assert says in await shell.refused("queue", **{name: value})


async def test_a_secret_setting_that_is_wrong_is_not_repeated(shell: Shell) -> None:
    line = await shell.refused("queue", WHARFINGER_SMTP__PORT="open-sesame")
    assert "open-sesame" not in line


async def test_no_temporal_server(shell: Shell, home: Path, tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "crane")
    for words in (
        ("submit", str(folder), "--as", "pat@harbour.example"),
        ("resubmit", "crane/1", str(folder), "--as", "pat@harbour.example"),
        ("decide", "crane/1", "approve", "--as", "mo@hub.example"),
        ("withdraw", "crane/1", "--as", "pat@harbour.example"),
        ("product", "hold", "harbour/crane", "--as", "mo@hub.example", "--text", "why"),
        ("publisher", "verify", "harbour", "--as", "mo@hub.example"),
    ):
        line = await shell.refused(*words)
        assert line.startswith("No Temporal server answers at 127.0.0.1:1: start one with `wharfinger up`")
    document = await shell.json("withdraw", "crane/1", "--as", "pat@harbour.example", status=1)
    assert document["error"] == "ToolFailed"
    assert document["message"].startswith("No Temporal server")


async def test_unknown_names(shell: Shell, crane: Harbour) -> None:
    for words, says in (
        (("status", "nothing"), "There is no submission nothing: give its id, or product/number."),
        (("status", "boat/1"), "There is no submission"),
        (("status", "crane/1", "--as", "nobody@nowhere.example"), "There is nobody nobody@nowhere.example."),
        (("product", "show", "harbour/boat"), "There is no product harbour/boat."),
        (("product", "show", "boat"), "There is no product boat."),
        (("publisher", "show", "nobody"), "There is no publisher nobody."),
        (("queue", "--publisher", "nobody"), "There is no publisher nobody."),
        (("queue", "--assignee", "nobody@nowhere.example"), "There is nobody nobody@nowhere.example."),
        (("queue", "--product", "harbour/boat"), "There is no product harbour/boat."),
        (("staff", "remove", "nobody@nowhere.example", "moderator"), "There is nobody"),
        (("staff", "add", "a@b.example", "modrator"), "No such role: modrator. Roles are: reviewer, moderator"),
        (("decide", "crane/1", "aprove", "--as", "x"), "There is no act aprove. Possible: approve, request-changes"),
        (("submit", "nowhere", "--dry-run"), "There is no folder nowhere: `wharfinger init nowhere` makes one"),
        (
            (
                "submit",
                ".",
            ),
            "Say who submits: --as EMAIL",
        ),
    ):
        assert says in await shell.refused(*words)


async def test_a_folder_with_five_mistakes_lists_them_all(shell: Shell, tmp_path: Path) -> None:
    folder = write_sample(
        tmp_path / "crane",
        name='nam = "x"',
        icon="icon = 3",
        category='category = "boats"',
        documentation='documentation = "http://x"',
        tags='tags = ["latest"]',
    )
    result = await shell("submit", str(folder), "--dry-run", status=1)
    assert "refused: 6 to mend" in result.stderr
    lines = [line.strip().partition(":")[0] for line in result.stderr.splitlines()[1:]]
    assert lines == ["icon", "nam", "name", "category", "documentation", "tiers.0.source.tags"]
    document = await shell.json("submit", str(folder), "--dry-run", status=1)
    assert document["error"] == "InvalidManifest"
    assert [problem["field"] for problem in document["problems"]] == lines
    (folder / "product.toml").write_text("name =")
    document = await shell.json("submit", str(folder), "--dry-run", status=1)
    assert [problem["field"] for problem in document["problems"]] == ["product.toml"]


async def test_words_of_people_are_never_markup(shell: Shell) -> None:
    line = await shell.refused("status", "[bold red]x[/] [link=https://x]")
    assert "[bold red]x[/] [link=https://x]" in line


def test_settings_come_from_the_environment_then_env_then_a_running_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    (home / UP_FILE).write_text(
        "WHARFINGER_BASE_URL='http://127.0.0.1:1'\nWHARFINGER_MAIL_DOMAIN='up.example'\nWHARFINGER_HUB_NAME='Up'\n"
    )
    (tmp_path / ".env").write_text(
        f"WHARFINGER_HOME={home}\nWHARFINGER_MAIL_DOMAIN=env.example\nWHARFINGER_HUB_NAME=E\n"
    )
    monkeypatch.setenv("WHARFINGER_HUB_NAME", "Mine")
    settings = load_settings()
    assert (settings.home, settings.base_url) == (home, "http://127.0.0.1:1")
    assert (settings.mail_domain, settings.hub_name) == ("env.example", "Mine")
    # what a killed hub has left behind is not true for the next one
    assert load_settings(beside_up=False).base_url != "http://127.0.0.1:1"
    (tmp_path / ".env").write_bytes(b"WHARFINGER_HUB_NAME=\xff")
    with pytest.raises(WharfingerError, match="cannot be read"):
        load_settings()


async def test_json_keeps_what_is_no_text(shell: Shell, crane: Harbour) -> None:
    document = await shell.json("queue")
    assert json.dumps(document)
    assert document["items"][0]["product_name"] == "Crane"
