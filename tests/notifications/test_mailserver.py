"""Our own SMTP server: what it has accepted is kept, whatever happens to it."""

import asyncio
import errno
import os
import sys
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.servers import MailServer
from cli.service import until
from models.notices import NoticeKind
from notifications.composing import Envelope, compose
from notifications.delivery import Delivery, SmtpSender, SmtpServer
from notifications.mailbox import Mail, read_mail, read_mailbox
from notifications.mailserver import Keeper, Maildir
from notifications.rendering import Rendered
from tests.parts.smtp import scripted_smtp


def mail(number: int, to: str = "pat@harbour.example", text: str = "It is your turn.\n") -> EmailMessage:
    envelope = Envelope(
        sender="wharfinger@hub.example",
        sender_name="The Hub",
        to=to,
        to_name="Pat",
        message_id=f"<{number}@hub.example>",
        thread="<submission.x@hub.example>",
        date=datetime(2026, 3, 2, 9, tzinfo=UTC),
    )
    return compose(Rendered(NoticeKind.REPLY, f"Crane {number}", text, "<p>It is your turn.</p>"), envelope)


async def sends(server: MailServer, number: int, to: str = "pat@harbour.example") -> Delivery:
    async with SmtpSender(SmtpServer("127.0.0.1", server.port, timeout_seconds=20)) as sender:
        return await sender.send(mail(number, to), to)


def ids(folder: Path) -> list[str]:
    return [kept.message_id for kept in read_mailbox(folder)]


@pytest.mark.system
async def test_what_was_accepted_is_kept_over_kill_9_and_what_was_not_comes_again(tmp_path: Path) -> None:
    server = MailServer(tmp_path)
    async with server:
        accepted: list[str] = []
        refused: list[int] = []
        asked = asyncio.Event()

        async def writes(number: int) -> None:
            delivery = await sends(server, number)
            if delivery.accepted:
                accepted.append(f"<{number}@hub.example>")
            else:
                assert delivery.transient, delivery
                refused.append(number)
            if len(accepted) >= 10:
                asked.set()

        async def kills() -> None:
            await asked.wait()
            server.kill9()

        await asyncio.gather(kills(), *(writes(number) for number in range(60)))
        kept = ids(server.mailbox)
        assert set(accepted) <= set(kept), "a 250 is a promise"
        assert len(kept) == len(set(kept))
        await server.start()
        assert not list((server.mailbox / "tmp").iterdir()), "what was never accepted is gone"
        for number in refused:
            assert (await sends(server, number)).accepted
        assert set(ids(server.mailbox)) == {f"<{number}@hub.example>" for number in range(60)}


@pytest.mark.system
async def test_a_mail_is_read_back_as_it_was_sent(tmp_path: Path) -> None:
    async with MailServer(tmp_path) as server:
        text = "It is your turn.\n.\n..\nÜnïcödé 你好\nFrom here\n" + "x" * 5_000 + "\n"
        to = "波@hafen.example"
        async with SmtpSender(SmtpServer("127.0.0.1", server.port, timeout_seconds=20)) as sender:
            assert (await sender.send(mail(1, to, text), to)).accepted
            assert (await sender.send(mail(2), "pat@harbour.example")).accepted
        first, second = read_mailbox(server.mailbox)
    assert (first.to, first.subject, first.text, first.kind) == (to, "Crane 1", text, "reply")
    assert first.html == "<p>It is your turn.</p>\n"
    assert (first.thread, first.date) == ("<submission.x@hub.example>", datetime(2026, 3, 2, 9, tzinfo=UTC))
    assert second.subject == "Crane 2"


@pytest.mark.system
async def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    async with scripted_smtp() as other:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "notifications.mailserver", "--port", str(other.port)),
            *("--maildir", str(tmp_path / "box")),
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
    assert process.returncode == 1
    assert said.decode().startswith("mailserver: ")
    assert len(said.decode().splitlines()) == 1


async def test_it_ends_at_once_when_it_is_told_to(tmp_path: Path) -> None:
    server = MailServer(tmp_path)
    async with server:
        pid = server.pid
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        os.kill(pid, 15)
        await until(lambda: not server.running, seconds=server.grace)
        assert server.died, "a conversation that is open does not hold it up"
        writer.close()


async def test_a_full_disk_is_for_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maildir = Maildir(tmp_path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        maildir.keep(b"Subject: x\r\n\r\n")
    assert not read_mailbox(tmp_path)
    assert not list((tmp_path / "tmp").iterdir()), "and leaves nothing behind"
    async with scripted_smtp() as smtp:
        smtp.handle_DATA = Keeper(maildir).handle_DATA  # type: ignore[assignment]
        async with SmtpSender(smtp.server()) as sender:
            delivery = await sender.send(mail(1), "pat@harbour.example")
    assert (delivery.transient, delivery.code) == (True, 452)
    assert "No space left on device" in delivery.reply


def test_mails_are_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path)
    for number in range(50):
        maildir.keep(f"Subject: {number}\r\n\r\n".encode())
    assert [kept.subject for kept in read_mailbox(tmp_path)] == [str(number) for number in range(50)]


def test_a_folder_that_is_not_there_is_an_empty_mailbox(tmp_path: Path) -> None:
    assert read_mailbox(tmp_path / "none") == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff" * 100,
        b"Subject: =?utf-8?b?!!!?=\r\nDate: never\r\nTo: <<<>>>\r\n\r\nhello",
        b"Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n",
        b"Content-Type: text/plain; charset=no-such\r\n\r\nhello",
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!",
        b"Subject: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
)
def test_whatever_came_can_be_listed(content: bytes) -> None:
    assert isinstance(read_mail(content), Mail)


_HEADER = st.sampled_from([b"To: ", b"Date: ", b"Subject: ", b"Content-Type: ", b"Content-Transfer-Encoding: "])
_VALUE = st.one_of(
    st.binary(max_size=60),
    st.text(alphabet='<>@,;:=?_()"\\ab.\n\t é[]', max_size=60).map(str.encode),
    st.sampled_from([b"=?utf-8?q?a?=", b"multipart/mixed; boundary=x", b"text/plain; charset=utf-16", b"base64"]),
)


@given(headers=st.lists(st.tuples(_HEADER, _VALUE)), body=st.binary(max_size=100))
def test_any_bytes_can_be_listed(headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    content = b"".join(name + value + b"\r\n" for name, value in headers) + b"\r\n" + body
    assert read_mail(content).date.tzinfo is not None


def test_who_a_mail_was_for_is_kept_also_where_no_header_says_so(tmp_path: Path) -> None:
    kept = read_mail(b"Delivered-To: pat@harbour.example\r\nSubject: x\r\n\r\nhello")
    assert kept.to == "pat@harbour.example"
