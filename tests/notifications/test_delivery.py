"""What becomes of a mail: every answer of a server, and every way in which it can fail to answer."""

import asyncio
import contextlib
import imaplib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest

from models.notices import NoticeKind
from notifications.composing import Envelope, compose
from notifications.delivery import Delivery, SmtpSender, SmtpServer
from notifications.mailbox import Mail, read_mail
from notifications.rendering import Rendered
from tests.parts.smtp import (
    DROP_AFTER,
    DROP_WITHIN,
    PASSWORD,
    SILENCE,
    MailDevel,
    ScriptedSmtp,
    certificate,
    scripted_smtp,
    turns_down,
)

TO = "pat@harbour.example"
TEXT = "It is your turn.\n.\n..\nÜnïcödé 你好\n" + "x" * 3_000 + "\n"


def mail(number: int = 1, to: str = TO) -> EmailMessage:
    envelope = Envelope(
        sender="wharfinger@hub.example",
        sender_name="The Hub",
        to=to,
        to_name="Pat",
        message_id=f"<{number}@hub.example>",
        thread="<submission.x@hub.example>",
        date=datetime(2026, 3, 2, 9, tzinfo=UTC),
    )
    return compose(Rendered(NoticeKind.REPLY, "Crane", TEXT, "<p>It is your turn.</p>"), envelope)


async def sends(sender: SmtpSender, number: int = 1, to: str = TO) -> Delivery:
    return await sender.send(mail(number, to), to)


# --- an answer -------------------------------------------------------------------------------------------------------


async def test_mails_arrive_as_they_were_written_over_one_connection(smtp: ScriptedSmtp) -> None:
    async with SmtpSender(smtp.server()) as sender:
        for number in range(3):
            assert await sends(sender, number) == Delivery(True, False, 250, "OK")
    assert smtp.message_ids == ["<0@hub.example>", "<1@hub.example>", "<2@hub.example>"]
    assert {to for to, _ in smtp.received} == {TO}
    assert {got.text for _, got in smtp.received} == {TEXT}
    assert smtp.connections == 1


@pytest.mark.parametrize(
    ("command", "answer", "transient"),
    [
        ("MAIL", "421 4.3.2 Shutting down", True),
        ("MAIL", "451 4.7.1 Greylisted", True),
        ("MAIL", "550 5.7.1 Sender not allowed", False),
        ("MAIL", "552 5.3.4 Too big", False),
        ("RCPT", "450 4.2.1 Mailbox busy", True),
        ("RCPT", "452 4.2.2 Mailbox full", True),
        ("RCPT", "550 5.1.1 No such user", False),
        ("DATA", "451 4.3.0 Local error", True),
        ("DATA", "452 4.3.1 Disk full", True),
        ("DATA", "421 4.3.2 Shutting down", True),
        ("DATA", "554 5.6.0 Looks like spam", False),
        # our own credentials are wanting: never the recipient's fault
        ("MAIL", "530 5.7.0 Authentication required", True),
        ("RCPT", "535 5.7.8 Credentials expired", True),
    ],
)
async def test_a_servers_no_is_for_now_or_for_good_and_holds_up_no_other_mail(
    smtp: ScriptedSmtp, command: str, answer: str, transient: bool
) -> None:
    smtp.says(command, answer)
    async with SmtpSender(smtp.server()) as sender:
        code, _, words = answer.partition(" ")
        assert await sends(sender, 1) == Delivery(False, transient, int(code), words)
        assert (await sends(sender, 2)).accepted
    assert smtp.message_ids == ["<2@hub.example>"]


async def test_a_long_answer_is_kept_short_and_on_one_line(smtp: ScriptedSmtp) -> None:
    smtp.says("RCPT", "550-5.1.1 No\r\n550-" + "x" * 600 + "\r\n550 end")
    async with SmtpSender(smtp.server()) as sender:
        delivery = await sends(sender)
    assert delivery.code == 550
    assert delivery.reply.startswith("5.1.1 No xxx")
    assert len(delivery.reply) <= 500
    assert delivery.reply.isprintable()


# --- no answer -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", [DROP_WITHIN, DROP_AFTER])
async def test_a_connection_that_breaks_within_a_mail_is_made_anew_for_the_next(
    smtp: ScriptedSmtp, moment: str
) -> None:
    smtp.says("DATA", moment)
    async with SmtpSender(smtp.server()) as sender:
        broken = await sends(sender, 1)
        assert (broken.accepted, broken.transient, broken.code) == (False, True, 0)
        assert broken.reply
        assert (await sends(sender, 2)).accepted
    assert smtp.connections == 2
    # what broke after the last line may have been taken: the same Message-ID tells
    assert smtp.message_ids == (["<1@hub.example>"] if moment == DROP_AFTER else []) + ["<2@hub.example>"]


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
async def test_a_server_that_does_not_answer_in_time_is_left(smtp: ScriptedSmtp, command: str) -> None:
    smtp.says(command, SILENCE)
    async with SmtpSender(smtp.server(timeout_seconds=0.3)) as sender:
        late = await sends(sender, 1)
        assert (late.accepted, late.transient, late.code) == (False, True, 0)
        assert "ime" in late.reply
    async with SmtpSender(smtp.server()) as sender:
        assert (await sends(sender, 2)).accepted
    assert smtp.message_ids == ["<2@hub.example>"]


async def test_a_connection_that_was_closed_while_idle_costs_nothing(smtp: ScriptedSmtp) -> None:
    async with SmtpSender(smtp.server()) as sender:
        assert (await sends(sender, 1)).accepted
        smtp.drop_connections()
        assert (await sends(sender, 2)).accepted
    assert smtp.connections == 2


async def test_a_mail_that_was_cancelled_in_the_middle_leaves_no_half_conversation(smtp: ScriptedSmtp) -> None:
    smtp.says("RCPT", SILENCE)
    async with SmtpSender(smtp.server()) as sender:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sends(sender, 1), 0.3)
        assert (await sends(sender, 2)).accepted
    assert smtp.message_ids == ["<2@hub.example>"]


async def test_nobody_listens_is_for_now(smtp: ScriptedSmtp) -> None:
    async with scripted_smtp() as closed:
        server = closed.server()
    async with SmtpSender(server) as sender:
        delivery = await sends(sender)
        assert (delivery.accepted, delivery.transient, delivery.code) == (False, True, 0)
        assert "127.0.0.1" in delivery.reply
        assert not (await sends(sender)).accepted, "and stays so, without an exception"


@contextlib.asynccontextmanager
async def greeting(said: bytes) -> AsyncIterator[SmtpServer]:
    """A server that says this and then nothing."""
    done = asyncio.Event()

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await done.wait()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    try:
        yield SmtpServer("127.0.0.1", server.sockets[0].getsockname()[1], timeout_seconds=0.3)
    finally:
        done.set()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("said", "code"),
    [(b"421 4.3.2 Too busy\r\n", 421), (b"554 5.3.2 No service\r\n", 554), (b"", 0), (b"\x16\x03\x01nonsense\r\n", 0)],
)
async def test_a_greeting_that_is_none_is_for_now_and_nobodys_refusal(said: bytes, code: int) -> None:
    async with greeting(said) as server, SmtpSender(server) as sender:
        delivery = await sends(sender)
    assert (delivery.accepted, delivery.transient) == (False, True)
    assert code in (delivery.code, 0)


# --- addresses -------------------------------------------------------------------------------------------------------


async def test_an_address_of_another_script_is_written_where_the_server_can(smtp: ScriptedSmtp) -> None:
    async with SmtpSender(smtp.server()) as sender:
        assert (await sends(sender, 1, "波@hafen.example")).accepted
    assert [to for to, _ in smtp.received] == ["波@hafen.example"]
    async with scripted_smtp(enable_SMTPUTF8=False) as old, SmtpSender(old.server()) as sender:
        refused = await sends(sender, 1, "波@hafen.example")
        assert (refused.accepted, refused.transient) == (False, False)
        assert "SMTPUTF8" in refused.reply
        assert (await sends(sender, 2)).accepted
        assert old.message_ids == ["<2@hub.example>"]


async def test_an_address_that_is_a_command_is_not_sent(smtp: ScriptedSmtp) -> None:
    async with SmtpSender(smtp.server()) as sender:
        for hostile in ("a@b.example>\r\nDATA", "a@b.example> SIZE=1", "a b@c.example", "<a@b.example>,<c@d.example>"):
            refused = await sender.send(mail(1), hostile)
            assert (refused.accepted, refused.transient) == (False, False)
        assert (await sends(sender, 2)).accepted
    assert smtp.message_ids == ["<2@hub.example>"]


# --- trust -----------------------------------------------------------------------------------------------------------


async def test_wrong_credentials_are_the_hubs_own_matter() -> None:
    async with scripted_smtp(authenticator=turns_down, auth_require_tls=False) as strict:
        server = strict.server(username="hub", password="s3cret-pass")
        async with SmtpSender(server) as sender:
            delivery = await sends(sender)
        assert (delivery.accepted, delivery.transient, delivery.code) == (False, True, 535)
        assert not strict.received
    for shown in (repr(server), str(server), repr(delivery), f"{server}"):
        assert "s3cret-pass" not in shown


async def test_nothing_is_sent_in_the_open_where_tls_was_asked_for(smtp: ScriptedSmtp) -> None:
    async with SmtpSender(smtp.server(tls="starttls")) as sender:
        delivery = await sends(sender)
    assert (delivery.accepted, delivery.transient) == (False, True)
    assert "STARTTLS" in delivery.reply
    async with SmtpSender(smtp.server(tls="tls", timeout_seconds=2)) as sender:
        assert not (await sends(sender)).accepted
    assert not smtp.received


async def test_a_certificate_authority_that_is_not_there_is_said_so(smtp: ScriptedSmtp, tmp_path: Path) -> None:
    async with SmtpSender(smtp.server(tls="starttls", ca_file=tmp_path / "none.pem")) as sender:
        delivery = await sends(sender)
    assert (delivery.accepted, delivery.transient) == (False, True)
    assert "No such file" in delivery.reply


# --- a stranger's server ---------------------------------------------------------------------------------------------


async def mailbox(server: MailDevel, user: str) -> list[Mail]:
    """Read by IMAP, as a person's mail program does."""

    def read() -> list[Mail]:
        with imaplib.IMAP4("127.0.0.1", server.ports["imap"], timeout=20) as imap:
            imap.login(user, PASSWORD)
            imap.select("INBOX", readonly=True)
            _, [numbers] = imap.search(None, "ALL")
            mails = []
            for number in numbers.split():
                _, [fetched, *_] = imap.fetch(number.decode(), "(BODY.PEEK[])")
                assert isinstance(fetched, tuple)
                mails.append(read_mail(fetched[1]))
            return mails

    return await asyncio.to_thread(read)


@pytest.mark.system
async def test_a_real_server_takes_mails_by_starttls_and_auth(mail_devel: MailDevel) -> None:
    to = "starttls@harbour.example"
    async with SmtpSender(mail_devel.server()) as sender:
        for number in (1, 2):
            delivery = await sends(sender, number, to)
            assert delivery.accepted, delivery
    mails = await mailbox(mail_devel, to)
    assert [got.message_id for got in mails] == ["<1@hub.example>", "<2@hub.example>"]
    assert {(got.to, got.subject, got.thread, got.kind) for got in mails} == {
        (to, "Crane", "<submission.x@hub.example>", "reply")
    }
    assert {got.text for got in mails} == {TEXT}


@pytest.mark.system
async def test_a_real_server_takes_mails_over_tls_from_the_first_byte(mail_devel: MailDevel) -> None:
    to = "smtps@harbour.example"
    async with SmtpSender(mail_devel.server(tls="tls", port=mail_devel.ports["smtps"])) as sender:
        delivery = await sends(sender, 1, to)
        assert delivery.accepted, delivery
    assert len(await mailbox(mail_devel, to)) == 1


@pytest.mark.system
async def test_a_real_server_refuses_who_does_not_sign_in_and_that_is_for_now(mail_devel: MailDevel) -> None:
    to = "nobody@harbour.example"
    for wrong in (mail_devel.server(password="wrong"), mail_devel.server(username="", password="")):
        async with SmtpSender(wrong) as sender:
            delivery = await sends(sender, 1, to)
        assert (delivery.accepted, delivery.transient) == (False, True), delivery
        assert delivery.code in (530, 535)
    assert await mailbox(mail_devel, to) == []


@pytest.mark.system
async def test_a_real_server_that_we_do_not_trust_gets_nothing(mail_devel: MailDevel, tmp_path: Path) -> None:
    to = "untrusted@harbour.example"
    other, _ = certificate(tmp_path)
    for ca_file in (None, other):
        async with SmtpSender(replace(mail_devel.server(), ca_file=ca_file)) as sender:
            delivery = await sends(sender, 1, to)
        assert (delivery.accepted, delivery.transient, delivery.code) == (False, True, 0)
        assert "certificate" in delivery.reply.lower()
    assert await mailbox(mail_devel, to) == []


@pytest.mark.system
async def test_a_real_server_that_was_killed_is_used_again_when_it_is_back(tmp_path: Path) -> None:
    server = MailDevel(tmp_path)
    to = "later@harbour.example"
    async with server, SmtpSender(server.server()) as sender:
        assert (await sends(sender, 1, to)).accepted
        server.kill9()
        assert (await sends(sender, 2, to)).transient
        await server.start()
        assert (await sends(sender, 2, to)).accepted
        assert [got.message_id for got in await mailbox(server, to)] == ["<2@hub.example>"]
