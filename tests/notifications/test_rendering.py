"""Every kind of notice as a mail: what comes first, what nobody's text can break, and what a publisher never reads."""

import re
import shlex
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import notifications
from models.notices import AUDIENCES, Audience, Notice, NoticeFinding, NoticeKind, NoticeLink
from notifications.rendering import LONGEST_SUBJECT, Rendered, render, turn_line

HOME = Path(notifications.__file__).parent
BY = datetime(2026, 4, 6, 9, tzinfo=UTC)
ID = "0123456789abcdef0123456789abcdef"
ADDRESS = "pat+hub@harbour.example"

#: what people write when they mean harm, or mean well in another script
STRANGE = (
    "\"><script>alert(1)</script><a href='https://evil.example'>&amp; {{ hub }} {% raw %} ‮txt.exe\r\n"
    "Bcc: all@example.org\r\n\r\n.\r\nIt is nobody's turn.\x00\x1b[31m\ud800 שלום עולם مرحبا 你好 🚢 ﬁ e\u0301 %s {0}"
)
LONG = "Ünïcödé " * 1_000
ONE_WORD = "x" * 8_000


def notice(kind: NoticeKind, said: str = "words", **changes: Any) -> Notice:
    """All that a notice can have; `said` stands wherever people write."""
    finding = NoticeFinding(
        title=f"title {said}",
        level="requirement",
        key=f"key {said}",
        where=f"where {said}",
        evidence=f"evidence {said}",
        remedy=f"remedy {said}",
        severity="critical",
    )
    full = Notice(
        kind=kind,
        hub=f"Hub {said}",
        turn="the publisher's",
        next="The publisher mends the findings and resubmits, or answers.",
        by=BY,
        recipient_name=f"Pat {said}",
        recipient_address=ADDRESS,
        publisher_name=f"Harbour {said}",
        publisher_slug="harbour",
        product_name=f"Crane {said}",
        product_slug="crane",
        submission=ID,
        number=3,
        iteration=2,
        status="changes requested",
        text=f"text {said}",
        actor_name="Maud the Moderator",
        findings=(finding, finding),
        more_findings=4,
        tally="1 critical, 2 major",
        batch="01j9z2k4m6n8",
        changes=(f"change {said}", "another"),
        images=("hub.example/harbour/crane:1.0@sha256:" + "d" * 64,),
        links=(NoticeLink(title=f"Page {said}", url="https://hub.example/submissions/" + ID),),
        unsubscribe_url="https://hub.example/unsubscribe/t0ken",
    )
    return full.model_copy(update=changes)


def bare(kind: NoticeKind, **changes: Any) -> Notice:
    """As little as a notice can have."""
    return Notice(kind=kind, hub="Hub", turn="", next="", **changes)


class Page(HTMLParser):
    """What a page shows as text, and what it is built of."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.shown: list[str] = []
        self.built: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self._hidden = False
        self._numbers: list[int | None] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.built.append((tag, tuple(attrs)))
        if tag == "head":
            self._hidden = True
        if tag in ("ol", "ul"):
            self._numbers.append(1 if tag == "ol" else None)
        if tag == "li" and (number := self._numbers[-1]) is not None:
            self.shown.append(f" {number}. ")
            self._numbers[-1] = number + 1
        if tag in ("p", "li", "div", "br", "h2", "pre", "blockquote"):
            self.shown.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "head":
            self._hidden = False
        if tag in ("ol", "ul"):
            self._numbers.pop()

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.shown.append(data)

    @property
    def text(self) -> str:
        return "".join(self.shown)


def said_words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def first_line_of(rendered: Rendered) -> str:
    return rendered.text.split("\n")[0]


# --- every kind ------------------------------------------------------------------------------------------------------


def test_every_kind_has_its_folder_and_no_folder_is_superfluous() -> None:
    folders = {path for path in HOME.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert {path.name for path in folders} == set(NoticeKind)
    for folder in folders:
        assert {path.name for path in folder.iterdir()} == {"subject.txt", "body.txt", "body.html"}, folder


@pytest.mark.parametrize("kind", NoticeKind)
def test_the_first_line_says_whose_turn_it_is_and_by_when(kind: NoticeKind) -> None:
    for for_publisher in (True, False):
        rendered = render(notice(kind, for_publisher=for_publisher))
        first = first_line_of(rendered)
        assert first.startswith("It is ")
        assert "turn" in first
        assert "Monday 6 April 2026, 09:00 UTC" in first
        assert Page(rendered.html).text.strip().split("\n")[0].strip() == first
        assert rendered.text.split("\n")[1].startswith("Next: The publisher mends")


@pytest.mark.parametrize("kind", NoticeKind)
def test_both_parts_say_the_same(kind: NoticeKind) -> None:
    for made in (
        notice(kind),
        notice(kind, LONG),
        notice(kind, for_publisher=False),
        bare(kind),
        notice(kind, STRANGE),
    ):
        rendered = render(made)
        assert said_words(Page(rendered.html).text) == said_words(rendered.text)


@pytest.mark.parametrize("kind", NoticeKind)
def test_no_text_of_anybody_becomes_markup_or_another_line_of_ours(kind: NoticeKind) -> None:
    for for_publisher in (True, False):
        tame = render(notice(kind, for_publisher=for_publisher))
        wild = render(notice(kind, STRANGE, for_publisher=for_publisher))
        assert Page(wild.html).built == Page(tame.html).built
        assert first_line_of(wild) == first_line_of(tame)
        for part in (wild.subject, wild.text, wild.html):
            part.encode()  # no half of a surrogate pair is left
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", part)
        # what people wrote is quoted, so none of its lines looks like one of ours
        assert not re.search(r"^(Bcc|It is nobody's turn)", wild.text, re.MULTILINE)


@pytest.mark.parametrize("kind", NoticeKind)
def test_a_subject_is_one_short_line_that_names_what_it_is_about(kind: NoticeKind) -> None:
    for said in ("words", STRANGE, LONG, ONE_WORD):
        subject = render(notice(kind, said)).subject
        assert subject.isprintable()
        assert len(subject) <= LONGEST_SUBJECT
    plain = render(notice(kind, "")).subject
    assert "Crane" in plain or "Harbour" in plain or "Hub" in plain
    assert render(bare(kind)).subject


@pytest.mark.parametrize("kind", NoticeKind)
def test_a_publisher_never_reads_who_acted(kind: NoticeKind) -> None:
    rendered = render(notice(kind, for_publisher=True))
    for part in (rendered.subject, rendered.text, rendered.html):
        assert "Maud" not in part


@pytest.mark.parametrize("kind", NoticeKind)
def test_everything_that_a_notice_says_is_in_its_mail(kind: NoticeKind) -> None:
    made = notice(kind, "")
    rendered = render(made)
    for part in (rendered.text, Page(rendered.html).text):
        for said in (
            "changes requested",
            "Findings (6):",
            "title [requirement, critical]",
            "Key: key",
            "Where: where",
            "Seen: evidence",
            "To mend: remedy",
            "And 4 more",
            "change",
            "another",
            made.images[0],
            made.links[0].url,
            made.unsubscribe_url,
            "text",
        ):
            assert said in part, said


@pytest.mark.parametrize("kind", NoticeKind)
def test_a_text_of_8000_characters_is_there_from_its_beginning_to_its_end(kind: NoticeKind) -> None:
    rendered = render(notice(kind, "", text="Begin " + LONG + "end."))
    quoted = " ".join(line.removeprefix("> ") for line in rendered.text.split("\n") if line.startswith("> "))
    assert quoted == "Begin " + LONG + "end."
    assert "Begin " + LONG + "end." in Page(rendered.html).text
    assert max(len(line) for line in rendered.text.split("\n")) < 120


def test_all_kinds_say_something_of_their_own() -> None:
    texts = [render(bare(kind)).text.partition("\n")[2].partition("\n-- \n")[0] for kind in NoticeKind]
    assert len(set(texts)) == len(texts)
    assert all(len(text) > 100 for text in texts)
    assert len({render(bare(kind)).subject for kind in NoticeKind}) == len(texts)


# --- words -----------------------------------------------------------------------------------------------------------


def test_the_reader_whose_turn_it_is_is_told_so() -> None:
    def line(kind: NoticeKind, turn: str, **changes: Any) -> str:
        return turn_line(notice(kind, turn=turn, by=None, **changes))

    assert line(NoticeKind.CHANGES_REQUESTED, "the publisher's") == (
        "It is your turn (the publisher's); there is no deadline."
    )
    staff = {"for_publisher": False}
    assert line(NoticeKind.READY_FOR_REVIEW, "the moderators'", **staff).startswith("It is your turn (the moderators')")
    assert line(NoticeKind.ASSIGNED, "the moderators'", **staff).startswith("It is your turn (the moderators')")
    assert line(NoticeKind.HOLD_PROPOSED, "a second approver's", **staff).startswith("It is your turn (a second")
    assert line(NoticeKind.IN_REVIEW, "the moderators'").startswith("It is the moderators' turn")
    assert line(NoticeKind.REPLY, "nobody's").startswith("It is nobody's turn")
    assert line(NoticeKind.SUBSCRIPTION_CONFIRM, "yours").startswith("It is your turn;")
    # a subscriber is not the publisher, though nothing of the review is shown to either
    assert line(NoticeKind.RELEASE_PUBLISHED, "the publisher's").startswith("It is the publisher's turn")
    assert line(NoticeKind.COMMAND_REFUSED, "the publisher's", **staff).startswith("It is the publisher's turn")


def test_a_term_that_has_passed_or_stands_still_is_called_so() -> None:
    overdue = turn_line(notice(NoticeKind.REVIEW_OVERDUE, turn="the moderators'", for_publisher=False))
    assert overdue == "It is your turn (the moderators'), overdue since Monday 6 April 2026, 09:00 UTC."
    paused = turn_line(notice(NoticeKind.PAUSED))
    assert paused == "It is your turn (the publisher's), by Monday 6 April 2026, 09:00 UTC; the clock stands still."
    closed = turn_line(notice(NoticeKind.PUBLISHED, turn="nobody's"))
    assert closed == "It is nobody's turn until Monday 6 April 2026, 09:00 UTC."


def test_staff_read_who_acted() -> None:
    assert "Maud the Moderator wrote:" in render(notice(NoticeKind.ANSWERED, for_publisher=False)).text
    assert "Maud the Moderator proposed:" in render(notice(NoticeKind.REJECTION_PROPOSED, for_publisher=False)).text


def commands_in(rendered: Rendered) -> list[list[str]]:
    """As a shell reads them, from the text part; the other part has the same words."""
    return [shlex.split(line) for line in re.findall(r"^    (wharfinger .+)$", rendered.text, re.MULTILINE)]


@pytest.mark.parametrize("kind", NoticeKind)
def test_a_command_can_be_copied_whole(kind: NoticeKind) -> None:
    for command in commands_in(render(notice(kind))):
        if command[1:] in (["vulnerabilities", "list", "--unknown"], ["advisories", "sources", "list"]):
            continue  # nobody acts: whoever reads the database may see them
        assert command[command.index("--as") + 1] == ADDRESS
        for word, follows in (("verify", "harbour"), ("confirm", "harbour/crane"), ("--publisher", "harbour")):
            if word in command and command[1] not in ("decide", "watch"):
                assert command[command.index(word) + 1] == follows
        # what only the reader knows
        left = {word for word in command if word.isupper()}
        assert left <= {"FOLDER", "KEY", "EVIDENCE", "REASON", "ANSWER", "COLLEAGUE", "CVE"}


def test_an_address_that_a_shell_would_read_as_more_is_quoted() -> None:
    strange = "pat'$(reboot)`&;\"@harbour.example"
    for kind in (NoticeKind.CHANGES_REQUESTED, NoticeKind.HOLD_PROPOSED):
        [command] = commands_in(render(notice(kind, recipient_address=strange)))
        assert command[-2:] == ["--as", strange]


def test_a_first_iteration_is_compared_with_what_was_approved_last() -> None:
    for iteration, said in ((1, "Changed since the last approved one:"), (2, "Changed since the previous iteration:")):
        rendered = render(notice(NoticeKind.READY_FOR_REVIEW, iteration=iteration, for_publisher=False))
        assert said in rendered.text
        assert said in rendered.html


def test_a_request_for_changes_says_how_to_resubmit_and_when_it_expires() -> None:
    text = render(notice(NoticeKind.CHANGES_REQUESTED, "")).text
    assert f"    wharfinger resubmit {ID} FOLDER" in text
    assert "has come by Monday 6 April 2026, 09:00 UTC, the submission\nexpires." in text
    places = [text.index(part) for part in ("It is your turn", "Next:", "wharfinger resubmit", "Findings", "Page:")]
    assert places == sorted(places)


def test_a_mail_that_asks_to_confirm_an_address_says_that_nobody_reviews_before() -> None:
    text = render(notice(NoticeKind.CONFIRM_EMAIL, "")).text
    assert "Until the address is confirmed nobody reviews the application." in text
    new_member = render(notice(NoticeKind.CONFIRM_EMAIL, "", status="new member"))
    assert "This address was added to the members of Harbour" in " ".join(new_member.text.split())
    assert "application" not in new_member.text + new_member.html


def test_what_was_published_is_named_by_its_digest() -> None:
    text = render(notice(NoticeKind.PUBLISHED, "")).text
    assert "- hub.example/harbour/crane:1.0@sha256:" + "d" * 64 + "\n" in text
    listing_edit = render(notice(NoticeKind.PUBLISHED, "", images=())).text
    assert "digest" not in listing_edit


def test_only_who_has_subscribed_is_told_how_to_unsubscribe() -> None:
    for kind in NoticeKind:
        subscriber = AUDIENCES[kind] is Audience.SUBSCRIBERS
        without = render(notice(kind, "", unsubscribe_url=""))
        assert "nsubscribe" not in without.text + without.html
        assert ("because of a subscription" in " ".join(without.text.split())) is subscriber
