"""A mail's headers: what mail programs do with them, and that no name gets out of its own."""

from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import SMTP, default
from email.utils import parseaddr
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.notices import NoticeKind
from notifications.composing import Envelope, UnusableAddress, address, compose
from notifications.mailbox import read_mail
from notifications.rendering import Rendered
from notifications.words import clean, one_line

DATE = datetime(2026, 3, 2, 9, tzinfo=UTC)
RENDERED = Rendered(NoticeKind.REPLY, "Message about Crane #3", "It is your turn.\n", "<p>It is your turn.</p>")
HEADERS = {
    *("From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted"),
    *("X-Auto-Response-Suppress", "List-Id", "X-Wharfinger-Notice", "MIME-Version", "Content-Type"),
}


def envelope(**changes: Any) -> Envelope:
    values: dict[str, Any] = {
        "sender": "wharfinger@hub.example",
        "sender_name": "The Hub",
        "to": "pat@harbour.example",
        "to_name": "Pat",
        "message_id": "<ab12@hub.example>",
        "thread": "<submission.x1@hub.example>",
        "date": DATE,
    }
    return Envelope(**(values | changes))


def sent(mail: EmailMessage) -> EmailMessage:
    """As whoever gets it parses it."""
    return message_from_bytes(mail.as_bytes(), policy=default)


def test_a_mail_has_both_parts_and_takes_its_place_in_its_thread() -> None:
    mail = sent(compose(RENDERED, envelope()))
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert (mail["From"], mail["To"]) == ("The Hub <wharfinger@hub.example>", "Pat <pat@harbour.example>")
    assert mail["Subject"] == "Message about Crane #3"
    assert mail["Date"].datetime == DATE
    assert mail["Message-ID"] == "<ab12@hub.example>"
    assert mail["In-Reply-To"] == mail["References"] == "<submission.x1@hub.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Id"] == "<notices.hub.example>"
    assert mail["X-Wharfinger-Notice"] == "reply"
    assert set(mail.keys()) == HEADERS


def test_the_same_notice_is_the_same_mail_whenever_it_is_sent() -> None:
    def without_boundary(mail: EmailMessage) -> bytes:
        mail.set_boundary("=")
        return mail.as_bytes()

    assert without_boundary(compose(RENDERED, envelope())) == without_boundary(compose(RENDERED, envelope()))


def test_only_a_mail_that_can_be_unsubscribed_says_so() -> None:
    assert compose(RENDERED, envelope())["List-Unsubscribe"] is None
    asks = compose(RENDERED, envelope(unsubscribe_url="https://hub.example/unsubscribe/t"))
    assert (asks["List-Unsubscribe"], asks["List-Unsubscribe-Post"]) == ("<https://hub.example/unsubscribe/t>", None)
    at_once = compose(
        RENDERED, envelope(unsubscribe_url="https://hub.example/unsubscribe/t", unsubscribe_one_click=True)
    )
    assert sent(at_once)["List-Unsubscribe"] == "<https://hub.example/unsubscribe/t>"
    assert sent(at_once)["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_a_long_link_to_unsubscribe_comes_through_unharmed() -> None:
    link = "https://hub.example/unsubscribe/" + "t" * 300
    assert sent(compose(RENDERED, envelope(unsubscribe_url=link)))["List-Unsubscribe"] == f"<{link}>"


NAMES = st.one_of(
    st.text(max_size=200),
    st.text(alphabet='aé你\u200f\u202e \t\r\n\x00"\\<>@,;:()=?_', max_size=200),
    st.sampled_from(["Pat\r\nBcc: all@example.org", "=?utf-8?q?x?=", '"', "a" * 2_000, "你" * 2_000, "<a@b>", "", " "]),
)


@given(name=NAMES, hub=NAMES, subject=NAMES, text=NAMES)
def test_any_name_stays_in_its_header_and_no_line_is_too_long(name: str, hub: str, subject: str, text: str) -> None:
    said = clean(text) + "\n"
    rendered = Rendered(NoticeKind.REPLY, one_line(subject, 180), said, f"<p>{said}</p>")
    content = compose(rendered, envelope(to_name=name, sender_name=hub)).as_bytes()
    assert content.isascii()
    assert all(len(line) <= 998 for line in content.split(b"\r\n"))
    assert b"\n" not in content.replace(b"\r\n", b""), "a lone line feed ends a header for some servers"
    mail = message_from_bytes(content, policy=default)
    assert set(mail.keys()) == HEADERS
    [to] = mail["To"].addresses
    assert (to.addr_spec, mail["From"].addresses[0].addr_spec) == ("pat@harbour.example", "wharfinger@hub.example")
    assert len(mail["To"].addresses) == len(mail["From"].addresses) == 1
    assert read_mail(content).text == said


@pytest.mark.parametrize(
    "name",
    ["Pat", "Müller, Jörg", "株式会社 波止場", "Pat O'Neil (crane)", "שלום עולם", "🚢 Harbour", "Ünïcödé " * 14],
)
def test_a_name_comes_through_as_it_was(name: str) -> None:
    header = message_from_bytes(compose(RENDERED, envelope(to_name=name)).as_bytes())["To"]
    # the new parser of 3.11 puts a space between two encoded words of a name, against RFC 2047
    written, spec = parseaddr(header)
    assert (str(make_header(decode_header(written))), spec) == (name.strip(), "pat@harbour.example")


@pytest.mark.parametrize("subject", ["Changes requested: Crane #3", "Änderungen: " + "ö" * 150, "a" * 180, "波" * 180])
def test_a_subject_comes_through_as_it_was(subject: str) -> None:
    rendered = Rendered(NoticeKind.REPLY, subject, "x\n", "x")
    assert sent(compose(rendered, envelope()))["Subject"] == subject


def test_a_long_text_of_any_script_comes_through_as_it_was() -> None:
    text = "你好" * 4_000 + "\n" + "x" * 8_000 + "\n" + "Ünïcödé " * 1_000 + "\n.\n..\nFrom here\n"
    rendered = Rendered(NoticeKind.REPLY, "s", text, f"<pre>{text}</pre>")
    content = compose(rendered, envelope()).as_bytes()
    assert max(len(line) for line in content.split(b"\r\n")) <= 78
    assert read_mail(content).text == text
    assert read_mail(content).html == f"<pre>{text}</pre>\n"


@pytest.mark.parametrize(
    "spec",
    [
        *("", "pat", "pat@", "@x.example", "<pat@x.example>", "p at@x.example", "pat@x.example, a@b.example"),
        *("pat@x.example\r\nBcc: all@example.org", "pat@x\x00.example", "pat@\ud800.example", "pat@" + "é" * 300),
    ],
)
def test_what_is_no_address_gets_no_mail(spec: str) -> None:
    with pytest.raises(UnusableAddress, match="No mail can be sent to"):
        compose(RENDERED, envelope(to=spec))


def test_a_domain_is_written_in_ascii() -> None:
    assert address("pat@häfen.example", "Pat").addr_spec == "pat@xn--hfen-loa.example"


def test_a_local_part_of_another_script_is_kept_for_servers_that_can_write_it() -> None:
    mail = compose(RENDERED, envelope(to="波@hafen.example"))
    content = mail.as_bytes(policy=SMTP.clone(utf8=True))
    assert "To: Pat <波@hafen.example>\r\n".encode() in content
    assert cast(Any, mail["To"]).addresses[0].addr_spec == "波@hafen.example"
