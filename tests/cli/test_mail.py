"""The delivery log and the mailbox on the command line."""

import contextlib
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import starter
from cli import mail, submission
from models.lifecycle import Stage
from models.notices import Notice, NoticeKind
from models.recording import Entry
from notifications.mailserver import Maildir
from notifications.rendering import render
from store import outbox
from store.database import Database
from tests.parts.rows import MONDAY, harbour

LATER = MONDAY + timedelta(hours=1)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub's folder; the test runs in another one."""
    monkeypatch.setenv("WHARFINGER_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
async def mailed(home: Path) -> dict[str, str]:
    """Four mails of one thread, by what became of them: ids."""
    database = Database(f"sqlite:///{home / 'wharfinger.sqlite'}")
    try:
        await database.migrate()
        house = await harbour(database)
        for revision in range(2, 6):
            at = MONDAY + timedelta(seconds=revision)
            entry = Entry(event="reply", at=at, text="hello", notices=(NoticeKind.REPLY,))
            await house.records(revision, Stage.READY, entry)
        ids = {}
        for end in ("sent", "refused", "given_up"):
            [letter] = await outbox.claim(database, now=LATER, lease_seconds=60, batch=1)
            ids[end] = letter.id
            # each is due only once the one before it has ended
            match end:
                case "sent":
                    await outbox.sent(database, letter.id, LATER, outbox.message_id(letter.id, "hub.example"))
                case "refused":
                    await outbox.refuse(database, letter.id, "550 5.1.1 No such user [here]")
                case "given_up":
                    await outbox.give_up(database, letter.id, "Given up after 12 attempts: 451 busy")
        async with database.session() as session:
            rows = (await outbox.deliveries(session)).items
        ids["queued"] = next(row.id for row in rows if row.id not in ids.values())
        return ids
    finally:
        await database.close()


def said(*arguments: str, code: int = 0) -> str:
    """What the command writes, in one line each."""
    result = CliRunner().invoke(mail.app, arguments)
    assert result.exit_code == code, result.output
    return result.output


def answered(*arguments: str, code: int = 0) -> Any:
    return json.loads(said(*arguments, "--json", code=code))


def test_the_log_shows_what_became_of_each_mail(mailed: dict[str, str]) -> None:
    found = answered("list")
    assert found["total"] == 4
    assert {mailed[item["status"]]: item["id"] for item in found["items"]} == {id_: id_ for id_ in mailed.values()}
    shown = said("list")
    for word in ("Mails: 4", "reply", "pat@harbour.example", "refused", "No such user", *mailed.values()):
        assert word in shown
    assert answered("list", "--status", "refused")["total"] == 1
    assert answered("list", "--submission", "crane/1")["total"] == 4
    assert "--page 2 shows more" in said("list", "--size", "3")
    assert len(answered("list", "--size", "3", "--page", "2")["items"]) == 1


def test_one_mail_is_shown_with_the_servers_words_and_what_to_do(mailed: dict[str, str]) -> None:
    refused = said("show", mailed["refused"])
    assert re.search(r"last error: +550 5.1.1 No such user \[here\]", refused)
    assert f"wharfinger mail retry {mailed['refused']}" in refused
    sent = said("show", mailed["sent"])
    assert f"<{mailed['sent']}@hub.example>" in sent
    assert "mail retry" not in sent
    assert answered("show", mailed["queued"])["attempts"] == 0
    assert "There is no mail nonsense" in said("show", "nonsense", code=1)


def test_what_failed_for_good_is_sent_again_when_somebody_says_so(mailed: dict[str, str]) -> None:
    assert answered("retry", mailed["refused"]) == {"queued": 1}
    assert answered("list", "--status", "refused")["total"] == 0
    assert "None of these has failed" in said("retry", mailed["sent"], code=1)
    assert said("retry") == "1 queued again.\n"
    assert said("retry") == "No mail has failed for good.\n"
    assert answered("list", "--status", "queued")["total"] == 3


def test_without_any_mail_it_says_so(home: Path, mailed: dict[str, str]) -> None:
    assert "There is no such mail." in said("list", "--status", "sending")
    assert answered("list", "--submission", "crane/9", code=1)["error"] == "NotFound"


def test_the_mailbox_of_this_machine_is_listed_and_read(home: Path) -> None:
    assert "There is no mailbox" in said("read", code=1)
    box = Maildir(home / "services" / "mail" / "mailbox")
    assert said("read") == "The mailbox is empty.\n"
    box.keep(b"Delivered-To: pat@harbour.example\r\nSubject: One [bold]\r\n\r\n" + b"long words " * 50)
    box.keep(b"Subject: Two\r\n\r\nIt is your turn.\x1b[2J [red]\r\n")
    assert re.search(r"1 .*pat@harbour.example +One \[bold\]", said("read"))
    second = said("read", "2")
    assert "It is your turn.[2J [red]\n" in second, "nothing of a mail steers the terminal"
    assert ("long words " * 50).strip() in said("read", "1")
    assert [one["subject"] for one in answered("read")] == ["One [bold]", "Two"]
    assert answered("read", "1")["to"] == "pat@harbour.example"
    assert "There are 2 mails." in said("read", "3", code=1)


@pytest.mark.parametrize("kind", NoticeKind)
def test_the_commands_that_a_mail_names_exist(kind: NoticeKind) -> None:
    by = datetime(2026, 4, 6, 9, tzinfo=UTC)
    notice = Notice(kind=kind, hub="Hub", turn="", next="", by=by, product_name="Crane", submission="ab12", number=1)
    for line in re.findall(r"^    wharfinger (.+)$", render(notice).text, re.MULTILINE):
        command: Any = typer.main.get_command(starter.app)
        words = line.split()
        with contextlib.ExitStack() as stack:
            context = stack.enter_context(command.make_context("wharfinger", list(words)))
            while words and (verb := getattr(command, "get_command", lambda *_: None)(context, words[0])):
                command, words = verb, words[1:]
                context = stack.enter_context(command.make_context("wharfinger", list(words), parent=context))
            assert not hasattr(command, "get_command"), line
            act = context.params.get("act")
            assert act is None or act in submission.ACTS
