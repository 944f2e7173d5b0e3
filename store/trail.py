"""The audit trail and the outbox's other end: events, and the notices that they cause."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import canonical_json, digest_of
from models.notices import AUDIENCES, Audience
from models.notices import NoticeKind as N
from models.recording import Entry
from models.tables import EventRow, MembershipRow, NoticeRow, NoticeStatus, PersonRow, ProductRow, SubmissionRow
from policies.words import Situation
from store.database import insert_new, table_of
from store.recipients import Circle, Recipient, recipients
from store.views import EventView

#: notices of a decision that somebody else has proposed before: the act that gave the reason
_PROPOSED_BY: dict[N, str] = {
    N.LAST_WARNING: "reject",
    N.LAST_WARNING_REMINDER: "reject",
    N.REJECTED: "reject",
    N.WAIVER_GRANTED: "waive",
    N.ON_HOLD: "hold",
    N.REVOKED: "revoke",
}


#: what the clocks of vulnerabilities do: nobody's words are behind it
_BY_CLOCK = frozenset({"exposures", "overdue", "remediation_reminder", "revoke_warning"})

_EVENT = table_of(EventRow)
_DIGESTS = select(_EVENT.c.digest).where(
    _EVENT.c.subject == bindparam("subject"),
    _EVENT.c.run == bindparam("run"),
    _EVENT.c.revision == bindparam("revision"),
)
#: what a row takes from its entry
_SAID = ("event", "actor", "command", "at", "text", "private", "refused")


async def write_events(
    session: AsyncSession, subject: str, run: str, revision: int, entries: Sequence[Entry]
) -> list[Entry]:
    """Append the entries that this run has not recorded at this revision yet, and return those.

    A refused command changes no state, so several recordings may carry one revision: an entry is recognised by its
    digest, not by its place.
    """
    if not entries:
        return []
    at_revision = {"subject": subject, "run": run, "revision": revision}
    known = Counter((await session.exec(_DIGESTS, params=at_revision)).all())
    position = known.total()
    rows: list[dict[str, Any]] = []
    new: list[Entry] = []
    for entry in entries:
        digest = digest_of(canonical_json(entry))
        if known[digest]:
            known[digest] -= 1
            continue
        new.append(entry)
        said = {name: getattr(entry, name) for name in _SAID}
        rows.append({**at_revision, "position": position + len(rows), "digest": digest, **said})
    inserted = await insert_new(session, EventRow, rows, ("subject", "run", "revision", "position"))
    # fewer only when another attempt of the same activity was faster: it queues the notices as well
    return new if len(inserted) == len(rows) else []


async def queue_notices(
    session: AsyncSession,
    subject: str,
    revision: int,
    entries: Sequence[Entry],
    circle: Circle,
    shown: Mapping[str, Any],
    told: Mapping[str, Any],
    public: Mapping[str, Any] | None = None,
) -> int:
    """One row for each notice and recipient; returns how many are to be sent. The events are written before.

    `shown` is the situation as staff see it, `told` as a publisher is told of it, `public` as subscribers are.
    """
    rows: dict[str, dict[str, Any]] = {}
    for number, entry in enumerate(entries):
        for kind in entry.notices:
            concerned = Circle(circle.publisher, circle.product, entry.actor, circle.assignee, circle.proposer)
            found = await recipients(session, kind, concerned)
            text = await _words(session, subject, kind, entry, entries[:number])
            said = {"text": text, "actor": entry.actor, "event": entry.event} | (
                {"private": True} if entry.private else {}
            )
            # a product that nobody has subscribed to is as it should be; a role that nobody has is not
            subscribers = AUDIENCES[kind] is Audience.SUBSCRIBERS
            nobody = [] if subscribers else [Recipient("", "", for_publisher=False)]
            outside = public if subscribers and public is not None else told
            for recipient in found or nobody:
                payload = dict(outside if recipient.for_publisher else shown) | said
                row = notice_row(subject, revision, entry.command, kind, recipient, payload, entry.at)
                rows.setdefault(row["id"], row)
    return await insert_notices(session, list(rows.values()))


async def _words(session: AsyncSession, subject: str, kind: N, entry: Entry, earlier: Sequence[Entry]) -> str:
    """What was said when it was caused: why a command was refused, the words of who acted, or a proposal's reason.

    The reason of a rejection is what was proposed and confirmed: the second approver's own words are for the audit
    trail, and a clock that ends a last warning has none.
    """
    if entry.event in _BY_CLOCK:
        return entry.text
    act = "hold" if entry.event == "hold_over" else _PROPOSED_BY.get(kind, entry.event)
    if entry.refused or entry.event == act:
        return entry.refused or entry.text
    for before in reversed(earlier):
        if before.event == act and not before.refused and not before.private:
            return before.text
    statement = (
        select(EventRow.text)
        .where(EventRow.subject == subject, EventRow.event == act)
        .where(col(EventRow.refused) == "", ~col(EventRow.private), col(EventRow.at) <= entry.at)
        .order_by(col(EventRow.at).desc(), col(EventRow.id).desc())
    )
    return (await session.exec(statement.limit(1))).first() or ""


async def insert_notices(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> int:
    """Those that are not there yet; returns how many of them are to be sent."""
    inserted = set(await insert_new(session, NoticeRow, rows, ("id",)))
    return sum(row["id"] in inserted and row["status"] is NoticeStatus.QUEUED for row in rows)


#: the columns that a new notice does not fill itself
_QUEUED: dict[str, Any] = {
    name: field.get_default(call_default_factory=True)
    for name, field in NoticeRow.model_fields.items()
    if not field.is_required()
}


def notice_row(
    subject: str,
    revision: int,
    occasion: str,
    kind: N,
    recipient: Recipient,
    payload: Mapping[str, Any],
    at: datetime,
) -> dict[str, Any]:
    """A notice to be sent now, or given up at once when there is nobody to send it to: the log shows it."""
    key = "\n".join((subject, str(revision), occasion, kind, recipient.id))
    row = {
        "id": hashlib.sha256(key.encode()).hexdigest()[:32],
        "subject": subject,
        "revision": revision,
        "occasion": occasion,
        "kind": kind,
        "recipient": recipient.id,
        "address": recipient.address,
        "for_publisher": recipient.for_publisher,
        "payload": dict(payload),
        "queued_at": at,
    }
    if recipient.address:
        return _QUEUED | row | {"next_try": at}
    nobody = "There is nobody to send it to: give somebody the role (wharfinger staff add)."
    return _QUEUED | row | {"status": NoticeStatus.GIVEN_UP, "last_error": nobody}


def situation_shown(situation: Situation) -> dict[str, Any]:
    """A notice's words of that moment: a mail that goes out later says what was true when it was caused."""
    return {
        "status": situation.status,
        "turn": situation.turn,
        "next": situation.next,
        "by": situation.by.isoformat() if situation.by else None,
    }


async def shown(session: AsyncSession, subject: str, for_publisher: bool) -> list[EventView]:
    """The events of a process (an address: submission/<id>, ...) in order of time, as one side may read them.

    A publisher sees no private note and no refused command, and of the people who acted only its own members: who
    moderates is not its business. Nor is a proposal before a second approver has confirmed it.
    """
    statement = (
        select(EventRow, PersonRow.name)
        .join(PersonRow, col(PersonRow.id) == col(EventRow.actor), isouter=True)
        .where(EventRow.subject == subject)
        .order_by(col(EventRow.at), col(EventRow.id))
    )
    if for_publisher:
        statement = statement.where(~col(EventRow.private), col(EventRow.refused) == "")
    rows = (await session.exec(statement)).all()
    named = await _members(session, subject) if for_publisher else None
    if for_publisher:
        hidden, silent = await _among_the_staff(session, subject, [row for row, _ in rows])
    else:
        hidden, silent = frozenset(), frozenset()
    return [
        EventView(
            title=title_of(row.event),
            actor=(name or row.actor) if named is None or row.actor in named else "",
            text="" if row.id in silent else row.text,
            **row.model_dump(include={"at", "event", "revision", "private", "refused"}),
        )
        for row, name in rows
        if row.id not in hidden
    ]


_Ids = frozenset[int | None]


async def _among_the_staff(session: AsyncSession, subject: str, rows: Sequence[EventRow]) -> tuple[_Ids, _Ids]:
    """Ids of the proposals that were not confirmed, with what became of them; and of the confirmations, whose words are
    the second approver's to the hub."""
    statement = select(NoticeRow.occasion).where(NoticeRow.subject == subject, NoticeRow.kind == N.WAIVER_PROPOSED)
    waivers = frozenset((await session.exec(statement)).all())
    hidden: set[int | None] = set()
    silent: set[int | None] = set()
    proposal: EventRow | None = None
    for row in rows:
        if row.event in ("reject", "hold", "revoke") or (row.event == "waive" and row.command in waivers):
            proposal = row
            hidden.add(row.id)
        elif proposal is not None and row.event == "confirm":
            hidden.remove(proposal.id)
            silent.add(row.id)
            proposal = None
        elif proposal is not None and row.event in ("decline", "undo"):
            hidden.add(row.id)
            proposal = None
        elif row.event in ("approve", "request_changes", "waive", "resubmit"):
            proposal = None  # dropped by the publisher's act, and no longer what an undo takes back
    return frozenset(hidden), frozenset(silent)


async def circle_of(session: AsyncSession, subject: str, actor: str = "") -> Circle:
    """Those whom an event of a process (an address) concerns, as the rows have it now."""
    kind, _, id_ = subject.partition("/")
    match kind:
        case "submission":
            row = await session.get(SubmissionRow, id_)
            return Circle(row.publisher, row.product, actor, row.assignee) if row else Circle("")
        case "product":
            product = await session.get(ProductRow, id_)
            return Circle(product.publisher, product.id, actor) if product else Circle("")
        case _:
            return Circle(id_, actor=actor)


async def _members(session: AsyncSession, subject: str) -> frozenset[str]:
    """Ids of the members of the publisher whom a process belongs to."""
    publisher = (await circle_of(session, subject)).publisher
    statement = select(MembershipRow.person).where(MembershipRow.publisher == publisher)
    return frozenset((await session.exec(statement)).all())


#: names of what happens, for people; an act that is missing here is shown by its own name
_TITLES = {
    "apply": "applied",
    "confirm_email": "confirmed the email address",
    "ask_information": "asked for more information",
    "give_information": "gave more information",
    "defer": "deferred",
    "change_profile": "changed the profile",
    "add_member": "added a member",
    "remove_member": "removed a member",
    "remind": "reminder sent",
    "submit": "submitted",
    "Onboarded": "sources pinned to digests",
    "Examined": "all checks are done",
    "ClockStruck": "a moment of the deadline came",
    "Certified": "certification ended",
    "Published": "published",
    "PublicationFailed": "publication failed",
    "published": "a submission was published",
    "hold_over": "the hold's term ended",
    "exposures": "advisories said something new of it",
    "overdue": "put on hold: not mended in time",
    "remediation_reminder": "reminded of what has to be mended",
    "revoke_warning": "warned of the revocation",
    "waits": "asked the security team",
    "told": "told the products",
    "approve": "approved",
    "request_changes": "asked for changes",
    "reject": "proposed to reject",
    "confirm": "confirmed the proposal",
    "decline": "declined",
    "waive": "waived a finding",
    "ask_waiver": "asked for a waiver",
    "resubmit": "resubmitted",
    "answer": "answered",
    "withdraw": "withdrew",
    "appeal": "appealed",
    "revive": "revived",
    "supersede": "superseded by a newer submission",
    "pause": "paused the clock",
    "resume": "resumed the clock",
    "undo": "took the latest decision back",
    "assign": "assigned",
    "note": "noted",
    "reply": "replied",
    "publish_without_badge": "goes on without the badge",
    "hold": "proposed a hold",
    "revoke": "proposed to revoke",
    "recover": "recovered the listing",
}


def title_of(event: str) -> str:
    return _TITLES.get(event, event.replace("_", " "))
