"""From a notice to the words of its mail: one folder of templates per kind, in one layout.

The layout keeps the order that every mail has: whose turn it is and by when, what comes next, what to do (the kind's
own words), what was said, findings, changes, images, links. A publisher's reader never learns who acted, whatever the
notice says.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import css_inline
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from models.notices import AUDIENCES, Audience, Notice, NoticeKind
from notifications import words

_HOME = Path(__file__).parent
#: characters of a subject; longer ones are cut by every mail program
LONGEST_SUBJECT = 180
#: characters of a name (person, publisher, product, hub) in a mail
LONGEST_NAME = 120
#: characters of any other single line: a title, a place in an image, a link
LONGEST_LINE = 1_000

#: whose turn each audience calls its own
_OWN_TURNS: dict[Audience, str] = {
    Audience.PUBLISHER: "the publisher's",
    Audience.MODERATORS: "the moderators'",
    Audience.ASSIGNEE: "the moderators'",
    Audience.SECOND_APPROVERS: "a second approver's",
    Audience.CERTIFIERS: "the certifiers'",
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail's words: `subject` is one line; `text` and `html` say the same."""

    kind: NoticeKind
    subject: str
    text: str
    html: str


def render(notice: Notice) -> Rendered:
    """The words of a notice of any kind. A template that asks for what there is not raises jinja2.UndefinedError."""
    said = _said(notice)
    folder = str(notice.kind)
    subject = words.one_line(_texts().get_template(f"{folder}/subject.txt").render(said), LONGEST_SUBJECT)
    text = _texts().get_template(f"{folder}/body.txt").render(said).strip() + "\n"
    html = _pages().get_template(f"{folder}/body.html").render(said)
    return Rendered(notice.kind, subject, text, _inliner().inline(html))


def turn_line(notice: Notice) -> str:
    """The first line of every mail: whose turn it is, and by when."""
    turn = notice.turn or "nobody's"
    if turn in ("yours", _own_turn(notice)):
        turn = "your" if turn == "yours" else f"your turn ({turn})"
    turn = turn if "turn" in turn else f"{turn} turn"
    if notice.by is not None:
        word = " until" if turn.startswith("nobody") else ", by"
        return f"It is {turn}{word} {words.moment(notice.by)}."
    return f"It is {turn}; there is no deadline."


def _own_turn(notice: Notice) -> str:
    audience = AUDIENCES[notice.kind]
    if notice.for_publisher and audience is not Audience.SUBSCRIBERS:
        audience = Audience.PUBLISHER
    return _OWN_TURNS.get(audience, "")


def _said(notice: Notice) -> dict[str, Any]:
    """What templates may name: the notice's fields, fit for a mail, and the lines that are made of several."""

    def name(text: str) -> str:
        return words.one_line(text, LONGEST_NAME)

    def line(text: str) -> str:
        return words.one_line(text, LONGEST_LINE)

    product, publisher = name(notice.product_name), name(notice.publisher_name)
    clean = notice.model_copy(
        update={
            "hub": name(notice.hub),
            "turn": line(notice.turn),
            "next": line(notice.next),
            "recipient_name": name(notice.recipient_name),
            "publisher_name": publisher,
            "product_name": product,
            "status": line(notice.status),
            "text": words.clean(notice.text).strip(),
            # who moderates is no publisher's business, whatever came in
            "actor_name": "" if notice.for_publisher else name(notice.actor_name),
            "findings": tuple(
                finding.model_copy(
                    update={
                        "title": line(finding.title),
                        "level": line(finding.level),
                        "where": line(finding.where),
                        "evidence": words.clean(finding.evidence).strip(),
                        "remedy": words.clean(finding.remedy).strip(),
                        "severity": line(finding.severity),
                        "status": line(finding.status),
                    }
                )
                for finding in notice.findings
            ),
            "changes": tuple(line(change) for change in notice.changes),
            "images": tuple(line(image) for image in notice.images),
            "links": tuple(
                link.model_copy(update={"title": line(link.title), "url": line(link.url)}) for link in notice.links
            ),
            "unsubscribe_url": line(notice.unsubscribe_url),
        }
    )
    fields = {field: getattr(clean, field) for field in Notice.model_fields}
    number = f" #{notice.number}" if notice.number else ""
    return fields | {
        "turn_line": turn_line(clean),
        #: the product, or the submission or publisher where it has no name yet
        "product": product or "the product",
        "publisher": publisher or "the publisher",
        "item": f"{product}{number}" if product else publisher or "your application",
        "until": words.moment(notice.by) if notice.by else "",
        "until_day": words.day(notice.by) if notice.by else "",
    }


@cache
def _texts() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HOME),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - text parts and subjects are not HTML
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["wrapped"] = words.wrapped
    return environment


@cache
def _pages() -> Environment:
    return Environment(
        loader=FileSystemLoader(_HOME),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _inliner() -> css_inline.CSSInliner:
    # nothing is ever fetched for a mail
    return css_inline.CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)
