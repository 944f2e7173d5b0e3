"""From a notice to the words of its mail: one folder of templates per kind, in one layout.

The layout keeps the order that every mail has: whose turn it is and by when, what comes next, what to do (the kind's
own words), what was said, findings, changes, images, links. A publisher's reader never learns who acted, whatever the
notice says.
"""

import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import css_inline
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from models.notices import AUDIENCES, Audience, Notice, NoticeFinding, NoticeKind, NoticeLink
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
    Audience.SECURITY: "the security team's",
    Audience.OPS: "the operators'",
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
    text = words.without_gaps(_texts().get_template(f"{folder}/body.txt").render(said))
    html = _pages().get_template(f"{folder}/body.html").render(said, subject=subject)
    return Rendered(notice.kind, subject, text, _inliner().inline(html))


def turn_line(notice: Notice) -> str:
    """The first line of every mail: whose turn it is, and by when."""
    turn = _turn(notice)
    if notice.by is None:
        return f"It is {turn}; there is no deadline."
    moment = words.moment(notice.by)
    if notice.kind is NoticeKind.REVIEW_OVERDUE:
        return f"It is {turn}, overdue since {moment}."
    if notice.kind is NoticeKind.PAUSED:
        return f"It is {turn}, by {moment}; the clock stands still."
    return f"It is {turn}{' until' if turn.startswith('nobody') else ', by'} {moment}."


def _turn(notice: Notice) -> str:
    if notice.turn == "yours":
        return "your turn"
    if notice.turn and notice.turn == _own_turn(notice):
        return f"your turn ({notice.turn})"
    return (notice.turn or "nobody's") + " turn"


def _own_turn(notice: Notice) -> str:
    audience = AUDIENCES[notice.kind]
    if notice.for_publisher and audience is not Audience.SUBSCRIBERS:
        audience = Audience.PUBLISHER
    return _OWN_TURNS.get(audience, "")


def _said(notice: Notice) -> dict[str, Any]:
    """What templates may name: the notice's fields, fit for a mail, and the lines that are made of several."""
    clean = _cleaned(notice)
    number = f" #{clean.number}" if clean.number else ""
    title = f"{clean.product_name}{number}" if clean.product_name else clean.publisher_name or "your application"
    until = words.moment(clean.by) if clean.by else ""
    return {field: getattr(clean, field) for field in Notice.model_fields} | {
        "turn_line": turn_line(clean),
        "title": title,
        "item": f"{title} (iteration {clean.iteration})" if clean.iteration else title,
        "product": clean.product_name or "the product",
        "publisher": clean.publisher_name or "the publisher",
        # in commands, which are copied into a shell
        "publisher_word": shlex.quote(clean.publisher_slug) if clean.publisher_slug else "PUBLISHER",
        "product_word": shlex.quote(f"{clean.publisher_slug}/{clean.product_slug}")
        if clean.product_slug
        else "PRODUCT",
        "batch_word": shlex.quote(clean.batch) if clean.batch else "BATCH",
        "your_address": shlex.quote(clean.recipient_address) if clean.recipient_address else "EMAIL",
        # these begin with what joins them to a sentence, and are empty where there is no term
        "by_then": f" by {until}" if until else "",
        "till_then": f" until {until}" if until else "",
        "on_then": f" on {until}" if until else "",
        "by_day": f", by {words.day(clean.by)}" if clean.by else "",
        "findings": [
            dict(finding) | {"kind": ", ".join(filter(None, (finding.level, finding.severity)))}
            for finding in clean.findings
        ],
        "footer": _footer(clean),
    }


def _cleaned(notice: Notice) -> Notice:
    """No line break but in texts, no sign that cannot be seen, no name longer than a name."""
    plain = {
        "hub": _name(notice.hub),
        "turn": _line(notice.turn),
        "next": _line(notice.next),
        "recipient_name": _name(notice.recipient_name),
        "recipient_address": _line(notice.recipient_address),
        "publisher_name": _name(notice.publisher_name),
        "publisher_slug": _name(notice.publisher_slug),
        "product_name": _name(notice.product_name),
        "product_slug": _name(notice.product_slug),
        "submission": _name(notice.submission),
        "status": _line(notice.status),
        "tally": _line(notice.tally),
        "batch": _name(notice.batch),
        "text": words.clean(notice.text).strip(),
        # who moderates is no publisher's business, whatever came in
        "actor_name": "" if notice.for_publisher else _name(notice.actor_name),
        "changes": tuple(_line(change) for change in notice.changes),
        "images": tuple(_line(image) for image in notice.images),
        "unsubscribe_url": _line(notice.unsubscribe_url),
    }
    links = (NoticeLink(title=_line(link.title), url=_line(link.url)) for link in notice.links)
    findings = (_cleaned_finding(finding) for finding in notice.findings)
    return notice.model_copy(update=plain | {"links": tuple(links), "findings": tuple(findings)})


def _cleaned_finding(finding: NoticeFinding) -> NoticeFinding:
    texts = {"evidence": words.clean(finding.evidence).strip(), "remedy": words.clean(finding.remedy).strip()}
    lines = {name: _line(getattr(finding, name)) for name in ("key", "title", "level", "where", "severity", "status")}
    return finding.model_copy(update=texts | lines)


def _name(text: str) -> str:
    return words.one_line(text, LONGEST_NAME)


def _line(text: str) -> str:
    return words.one_line(text, LONGEST_LINE)


def _footer(notice: Notice) -> str:
    """Why this person gets the mail, and what its links do."""
    name = f" {notice.recipient_name}" if notice.recipient_name else ""
    if AUDIENCES[notice.kind] is Audience.SUBSCRIBERS:
        why = f"{notice.hub} sends this to{name or ' you'} because of a subscription to {notice.product_name}."
    elif notice.for_publisher:
        why = f"{notice.hub} sends this to{name or ' you'} as a member of {notice.publisher_name or 'the publisher'}."
    else:
        why = f"{notice.hub} sends this to{name or ' you'} because of a role at the hub."
    return f"{why} A link only opens a page: opening it decides nothing. Nobody reads replies to this address."


@cache
def _texts() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HOME),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - text parts and subjects are not HTML
    )
    environment.filters |= {"wrapped": words.wrapped, "paragraphs": words.paragraphs}
    return environment


@cache
def _pages() -> Environment:
    return Environment(loader=FileSystemLoader(_HOME), undefined=StrictUndefined, autoescape=True)


@cache
def _inliner() -> css_inline.CSSInliner:
    # nothing is ever fetched for a mail
    return css_inline.CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)
