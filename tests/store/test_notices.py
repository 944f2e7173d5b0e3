"""Who gets a notice, and what its mail may show to this reader."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from models.base import digest_of
from models.content import Track
from models.errors import InvalidManifest, NotAllowed, NotFound
from models.findings import Finding, FindingStatus, Level, Severity
from models.lifecycle import Deadline, DeadlineKind, Proposal, ProposedAct, Stage, Turn
from models.notices import AUDIENCES, Audience, Notice, NoticeKind
from models.products import ListingStatus
from models.publishers import ApplicationStatus, Role
from models.recording import Entry
from models.tables import NoticeRow, NoticeStatus, PersonRow, ProductRow, SubscriptionRow, TokenRow
from notifications.composing import Envelope, compose
from notifications.rendering import render
from store import notices, outbox, people, products, submissions, subscriptions, tokens
from store.database import Database
from store.recipients import Circle, recipients
from tests.parts.rows import MONDAY, RELEASE, Harbour, harbour, outcome, staff

DESK = notices.MailDesk("The Hub", "https://hub.example/")


async def made(database: Database, kind: NoticeKind) -> list[tuple[Notice, str, str]]:
    """Every queued notice of a kind as its mail would be."""
    async with database.transaction() as session:
        rows = (await session.exec(select(NoticeRow).where(col(NoticeRow.kind) == kind))).all()
        return [await DESK.notice(session, row) for row in rows]


async def only(database: Database, kind: NoticeKind) -> Notice:
    [(notice, _, _)] = await made(database, kind)
    return notice


async def addresses(database: Database, kind: NoticeKind, circle: Circle) -> list[str]:
    async with database.session() as session:
        return sorted(recipient.address for recipient in await recipients(session, kind, circle))


async def test_each_audience_is_the_people_with_the_role_and_nobody_of_the_publisher(database: Database) -> None:
    house = await harbour(database)
    await staff(database, "admin@hub.example", Role.ADMIN)
    async with database.transaction() as session:
        # a moderator who also belongs to the publisher never acts as staff on it
        both = await people.find_or_create(session, "both@hub.example", at=MONDAY)
        await people.grant(session, both.id, Role.MODERATOR, MONDAY)
        await people.confirm_email(session, both.id, MONDAY)
        await people.join(session, both.id, house.publisher, MONDAY)
    circle = Circle(publisher=house.publisher, product=house.product, assignee=house.moderator)
    assert await addresses(database, NoticeKind.READY_FOR_REVIEW, circle) == ["mo@hub.example"]
    assert await addresses(database, NoticeKind.CHANGES_REQUESTED, circle) == [
        "both@hub.example",
        "pat@harbour.example",
    ]
    assert await addresses(database, NoticeKind.ASSIGNED, circle) == ["mo@hub.example"]
    # nobody is ops: the admins are told instead
    assert await addresses(database, NoticeKind.PUBLICATION_FAILED, circle) == ["admin@hub.example"]
    assert await addresses(database, NoticeKind.REJECTION_PROPOSED, circle) == ["sue@hub.example"]


async def test_the_proposer_is_not_asked_to_approve_the_own_proposal(database: Database) -> None:
    house = await harbour(database)
    await staff(database, "mo@hub.example", Role.SECOND_APPROVER)
    circle = Circle(publisher=house.publisher, proposer=house.moderator)
    assert await addresses(database, NoticeKind.REJECTION_PROPOSED, circle) == ["sue@hub.example"]


async def test_a_notice_of_every_kind_can_be_made(database: Database) -> None:
    house = await harbour(database)
    await staff(database, "admin@hub.example", Role.ADMIN)
    await subscribed(house, "ann@example.org")
    entry = Entry(event="x", at=MONDAY, actor=house.moderator, text="words", notices=tuple(NoticeKind))
    await house.records(2, Stage.WAITING, entry, assignee=house.moderator)
    for kind in NoticeKind:
        every = await made(database, kind)
        assert every, kind
        for notice, address, _ in every:
            assert notice.kind is kind
            assert address
            assert notice.turn == "the publisher's"
            assert bool(notice.unsubscribe_url) is (AUDIENCES[kind] is Audience.SUBSCRIBERS)


async def test_a_publisher_learns_what_to_mend_and_not_who_moderates(database: Database) -> None:
    house = await harbour(database)
    many = [finding(f"g{number}", Level.GUIDELINE) for number in range(25)]
    listed = [
        *many,
        finding("waived", Level.REQUIREMENT, FindingStatus.WAIVED),
        finding("blocks", Level.REQUIREMENT, severity=Severity.CRITICAL),
    ]
    await examined(house, listed)
    entry = Entry(
        event="request_changes",
        at=MONDAY,
        actor=house.moderator,
        text="Please mend these.",
        notices=(NoticeKind.CHANGES_REQUESTED, NoticeKind.READY_FOR_REVIEW),
    )
    await house.records(3, Stage.WAITING, entry, due=MONDAY + timedelta(days=35))
    [(theirs, address, name)] = await made(database, NoticeKind.CHANGES_REQUESTED)
    assert (address, name, theirs.recipient_name) == ("pat@harbour.example", "Pat", "Pat")
    assert (theirs.turn, theirs.by) == ("the publisher's", MONDAY + timedelta(days=35))
    assert (theirs.product_name, theirs.number, theirs.iteration, theirs.text) == ("Crane", 1, 1, "Please mend these.")
    assert (theirs.publisher_slug, theirs.product_slug, theirs.recipient_address) == ("harbour", "crane", address)
    assert [finding.key for finding in theirs.findings[:2]] == ["blocks", ""], "what a waiver may name"
    assert (len(theirs.findings), theirs.more_findings) == (notices.MOST_FINDINGS, 6)
    assert theirs.changes == ("one thing changed",)
    assert (theirs.actor_name, theirs.for_publisher) == ("", True)
    assert [link.url for link in theirs.links] == [f"https://hub.example/submissions/{house.submission}"]
    ours = await only(database, NoticeKind.READY_FOR_REVIEW)
    assert (ours.actor_name, ours.for_publisher) == ("mo", False)


@pytest.mark.parametrize("kind", [NoticeKind.ANSWERED, NoticeKind.WAIVER_ASKED, NoticeKind.REVIVED])
async def test_a_moderator_decides_on_an_answer_from_its_mail(database: Database, kind: NoticeKind) -> None:
    house = await harbour(database)
    await examined(house, [finding("g", Level.GUIDELINE), finding("blocks", Level.REQUIREMENT)])
    entry = Entry(event="answer", at=MONDAY, actor=house.member, text="It is not so.", notices=(kind,))
    await house.records(4, Stage.READY, entry)
    notice = await only(database, kind)
    assert [finding.key for finding in notice.findings] == ["blocks", ""]
    assert (notice.text, notice.actor_name) == ("It is not so.", "Pat")


async def test_a_publishers_member_is_named_to_the_publisher(database: Database) -> None:
    house = await harbour(database)
    entry = Entry(event="appeal", at=MONDAY, actor=house.member, text="No!", notices=(NoticeKind.APPEAL_RECEIVED,))
    await house.records(3, Stage.READY, entry)
    assert (await only(database, NoticeKind.APPEAL_RECEIVED)).actor_name == "Pat"


async def test_no_private_word_leaves_the_staff(database: Database) -> None:
    house = await harbour(database)
    entry = Entry(
        event="note",
        at=MONDAY,
        actor=house.moderator,
        text="I smell a rat",
        private=True,
        notices=(NoticeKind.REPLY, NoticeKind.ANSWERED),
    )
    await house.records(3, Stage.READY, entry)
    assert (await only(database, NoticeKind.REPLY)).text == ""
    assert (await only(database, NoticeKind.ANSWERED)).text == "I smell a rat"


async def test_a_refused_command_is_told_to_the_one_who_gave_it(database: Database) -> None:
    house = await harbour(database)
    entry = Entry(
        event="withdraw",
        at=MONDAY,
        actor=house.member,
        refused="It is published.",
        private=True,
        notices=(NoticeKind.COMMAND_REFUSED,),
    )
    await house.records(3, Stage.PUBLISHED, entry)
    [(notice, address, _)] = await made(database, NoticeKind.COMMAND_REFUSED)
    assert (address, notice.text) == ("pat@harbour.example", "It is published.")


async def test_the_mail_says_what_was_true_when_it_was_caused(database: Database) -> None:
    house = await harbour(database)
    proposal = Proposal(act=ProposedAct.REJECT, actor=house.moderator, text="harmful")
    entry = Entry(event="reject", at=MONDAY, actor=house.moderator, notices=(NoticeKind.REJECTION_PROPOSED,))
    await house.records(3, Stage.READY, entry, proposal=proposal, turn=Turn.SECOND_APPROVER)
    await house.records(4, Stage.WITHDRAWN)
    notice = await only(database, NoticeKind.REJECTION_PROPOSED)
    assert notice.turn == "a second approver's"


async def test_a_mail_to_the_publisher_says_nothing_of_a_proposal_that_nobody_has_confirmed(database: Database) -> None:
    house = await harbour(database)
    review = Deadline(kind=DeadlineKind.FIRST_REVIEW, due=MONDAY + timedelta(days=14))
    proposal = Proposal(act=ProposedAct.REJECT, actor=house.moderator, text="harmful", suspended=review)
    kinds = (NoticeKind.REPLY, NoticeKind.WAIVER_ASKED)
    entry = Entry(event="reply", at=MONDAY, actor=house.moderator, text="Please wait.", notices=kinds)
    due = MONDAY + timedelta(days=2)
    await house.records(3, Stage.READY, entry, proposal=proposal, turn=Turn.SECOND_APPROVER, due=due)
    theirs, ours = await only(database, NoticeKind.REPLY), await only(database, NoticeKind.WAIVER_ASKED)
    assert (theirs.turn, theirs.by) == ("the moderators'", review.due)
    assert "proposal" not in theirs.next
    assert (ours.turn, ours.by) == ("a second approver's", due)
    assert "proposal to reject it" in ours.next


async def test_no_mail_to_the_publishers_side_names_anybody_of_the_hub(database: Database) -> None:
    """Whoever acted and whoever has it in hand; read from every kind of mail itself, headers and all."""
    house = await harbour(database)
    await subscribed(house, "ann@example.org")
    async with database.transaction() as session:
        await session.exec(update(PersonRow).where(col(PersonRow.id) != house.member).values(name="Maud Moderatrix"))
    await examined(house, [finding("blocks", Level.REQUIREMENT)])
    proposal = Proposal(act=ProposedAct.REJECT, actor=house.second, text="Said among us.")
    for revision, actor in enumerate((house.moderator, house.second), 3):
        kinds = tuple(NoticeKind)
        note = Entry(event="note", at=MONDAY, actor=actor, text="A private quibble.", private=True, notices=kinds)
        entry = Entry(event="x", at=MONDAY, actor=actor, command=f"c{revision}", text="Words.", notices=kinds)
        await house.records(revision, Stage.READY, note, entry, assignee=house.member, proposal=proposal)
    told = set()
    for kind in NoticeKind:
        for notice, to, _ in await made(database, kind):
            if not notice.for_publisher:
                continue
            told.add(AUDIENCES[kind])
            envelope = Envelope("hub@hub.example", "The Hub", to, notice.recipient_name, "<a@hub>", "<b@hub>", MONDAY)
            mail = compose(render(notice), envelope)
            for said in (*map(str, mail.values()), *(str(part.get_content()) for part in mail.iter_parts())):
                for secret in ("Maud", "mo@hub", "sue@hub", house.moderator, house.second, "quibble", "among us"):
                    assert secret not in said, (kind, secret)
    assert told == {Audience.PUBLISHER, Audience.SUBSCRIBERS, Audience.ASSIGNEE}


async def test_a_publication_names_what_can_be_pulled_and_links_to_the_catalog(database: Database) -> None:
    house = await harbour(database)
    await published(house)
    entry = Entry(event="Published", at=MONDAY, notices=(NoticeKind.PUBLISHED,))
    await house.records(7, Stage.PUBLISHED, entry)
    notice = await only(database, NoticeKind.PUBLISHED)
    assert notice.images == ("hub/crane:1.0@sha256:d",)
    assert notice.links[-1].url == "https://hub.example/products/harbour/crane"


# --- the reason of a decision that two people have taken ------------------------------------------------------------


PROPOSED, PROPOSAL_DECLINED = NoticeKind.REJECTION_PROPOSED, NoticeKind.PROPOSAL_DECLINED
LAST_WARNING, LAST_WARNING_REMINDER = NoticeKind.LAST_WARNING, NoticeKind.LAST_WARNING_REMINDER
REJECTED = NoticeKind.REJECTED


def minute(number: int) -> datetime:
    return MONDAY + timedelta(minutes=number)


async def rejected_with_a_warning(house: Harbour, *, at_once: bool) -> None:
    """Proposed with a reason, confirmed with words for the audit trail; reminded, and in the end rejected by the clock.

    `at_once`: the database was away meanwhile, and all of it is recorded in one go.
    """
    entries = [
        Entry(event="reject", at=minute(1), actor=house.moderator, text="First idea."),
        Entry(event="decline", at=minute(2), actor=house.second, text="Not for that.", notices=(PROPOSAL_DECLINED,)),
        Entry(event="reject", at=minute(3), actor=house.moderator, text="It phones home.", notices=(PROPOSED,)),
        Entry(event="reject", at=minute(4), actor="mia", text="Me too.", refused="Not now.", private=True),
        Entry(event="note", at=minute(4), actor=house.moderator, text="A rat.", private=True),
        Entry(event="confirm", at=minute(5), actor=house.second, text="What a mess.", notices=(LAST_WARNING,)),
        Entry(event="ClockStruck", at=minute(6), notices=(LAST_WARNING_REMINDER,)),
        Entry(event="ClockStruck", at=minute(7), notices=(REJECTED,)),
    ]
    if at_once:
        await house.records(10, Stage.REJECTED, *entries)
        return
    for revision, entry in enumerate(entries, 3):
        await house.records(revision, Stage.WAITING, entry)


@pytest.mark.parametrize("at_once", [False, True])
async def test_a_publisher_reads_why_it_is_rejected_and_nothing_that_the_hub_said_to_itself(
    database: Database, at_once: bool
) -> None:
    house = await harbour(database)
    await rejected_with_a_warning(house, at_once=at_once)
    # a later proposal, of which the publisher has been told nothing, while the mails still wait
    later = Entry(event="reject", at=minute(60), actor=house.moderator, text="And that too.")
    await house.records(20, Stage.READY, later)
    for kind in (LAST_WARNING, LAST_WARNING_REMINDER, REJECTED):
        [(notice, address, _)] = await made(database, kind)
        assert (address, notice.text, notice.actor_name) == ("pat@harbour.example", "It phones home.", "")
    assert (await only(database, PROPOSED)).text == "It phones home."
    assert (await only(database, PROPOSAL_DECLINED)).text == "Not for that."


async def test_a_waiver_that_two_people_gave_is_told_with_its_evidence(database: Database) -> None:
    house = await harbour(database)
    proposed = Entry(event="waive", at=minute(1), actor=house.moderator, text="Never called.")
    granted = (NoticeKind.WAIVER_GRANTED,)
    await house.records(3, Stage.READY, proposed)
    confirmed = Entry(event="confirm", at=minute(2), actor=house.second, text="Fine by me.", notices=granted)
    await house.records(4, Stage.READY, confirmed)
    assert (await only(database, NoticeKind.WAIVER_GRANTED)).text == "Never called."
    alone = Entry(event="waive", at=minute(3), actor=house.moderator, text="A guideline's.", notices=granted)
    await house.records(5, Stage.READY, alone)
    assert {notice.text for notice, _, _ in await made(database, NoticeKind.WAIVER_GRANTED)} == {
        "Never called.",
        "A guideline's.",
    }


async def test_a_listing_is_held_and_revoked_for_the_reason_that_the_public_reads(database: Database) -> None:
    house = await harbour(database)
    await published(house)
    hold = ListingStatus.HOLD
    proposed = Entry(event="hold", at=minute(1), actor=house.moderator, text="It leaks.")
    await house.product_records(6, ListingStatus.PUBLISHED, proposed)
    confirmed = Entry(
        event="confirm", at=minute(2), actor=house.second, text="Quick, before lunch.", notices=(NoticeKind.ON_HOLD,)
    )
    await house.product_records(7, hold, confirmed, reason="It leaks.")
    # proposed on top, declined, and forgotten when the hold's term ends
    worse = Entry(event="revoke", at=minute(3), actor=house.moderator, text="I never liked them.")
    await house.product_records(8, hold, worse, reason="It leaks.")
    over = Entry(event="hold_over", at=minute(9), notices=(NoticeKind.REVOKED,))
    await house.product_records(9, ListingStatus.REVOKED, over, reason="It leaks.")
    for kind in (NoticeKind.ON_HOLD, NoticeKind.REVOKED):
        notice = await only(database, kind)
        assert (notice.text, notice.actor_name) == ("It leaks.", "")


async def test_a_hold_that_is_over_before_it_is_recorded_still_says_why(database: Database) -> None:
    house = await harbour(database)
    await published(house)
    await house.product_records(
        9,
        ListingStatus.PUBLISHED,
        Entry(event="hold", at=minute(1), actor=house.moderator, text="It leaks."),
        Entry(event="confirm", at=minute(2), actor=house.second, text="Hm.", notices=(NoticeKind.ON_HOLD,)),
        Entry(event="hold_over", at=minute(3), notices=(NoticeKind.REVOKED,)),
        Entry(event="recover", at=minute(4), actor=house.moderator, notices=(NoticeKind.RECOVERED,)),
    )
    for kind in (NoticeKind.ON_HOLD, NoticeKind.REVOKED):
        assert (await only(database, kind)).text == "It leaks."


# --- publications ---------------------------------------------------------------------------------------------------


async def test_an_edit_of_the_page_names_the_images_that_are_live_and_not_those_it_was_written_for(
    database: Database,
) -> None:
    house = await harbour(database)
    await published(house)
    newer, at = digest_of(b"newer release set"), MONDAY + timedelta(days=1)
    image = {"reference": "hub/crane:2.0", "digest": "sha256:e", "platforms": ["linux/amd64"]}
    async with database.transaction() as session:
        for id_, track, release, images in (
            ("version", Track.VERSION, newer, [image]),
            # handed in before the newer version went live
            ("edit", Track.LISTING, RELEASE, [{"reference": "hub/crane:1.0", "digest": "sha256:d", "platforms": []}]),
        ):
            await submissions.create(
                session,
                id=id_,
                product=house.product,
                publisher=house.publisher,
                content=house.content,
                submitter=house.member,
                at=at,
                track=track,
            )
            await products.save_publication(
                session,
                submission=id_,
                product=house.product,
                release=release,
                content=house.content,
                images=images,
                at=at,
            )
        await session.exec(update(ProductRow).values(release=newer, submission="edit"))
    edit = replace(house, submission="edit")
    await edit.records(3, Stage.PUBLISHED, Entry(event="Published", at=at, notices=(NoticeKind.PUBLISHED,)))
    assert (await only(database, NoticeKind.PUBLISHED)).images == ("hub/crane:2.0@sha256:e",)


async def subscribed(house: Harbour, address: str) -> None:
    """A subscription whose address is confirmed."""
    async with house.database.transaction() as session:
        row = SubscriptionRow(
            id=address,
            product=house.product,
            address=address,
            token=f"token-{address}",
            created_at=MONDAY,
            confirmed_at=MONDAY,
        )
        session.add(row)


async def published(house: Harbour, *kinds: NoticeKind) -> None:
    async with house.database.transaction() as session:
        await products.save_publication(
            session,
            submission=house.submission,
            product=house.product,
            release=RELEASE,
            content=house.content,
            images=[{"reference": "hub/crane:1.0", "digest": "sha256:d", "platforms": ["linux/amd64"]}],
            at=MONDAY,
        )
    entry = Entry(event="published", at=MONDAY, text=house.submission, notices=kinds)
    await house.product_records(5, ListingStatus.PUBLISHED, entry)


def finding(
    key: str, level: Level, status: FindingStatus = FindingStatus.OPEN, severity: Severity | None = None
) -> Finding:
    return Finding(key=key, rule="r", level=level, title=key, why="so", remedy="mend", status=status, severity=severity)


async def examined(house: Harbour, findings: list[Finding]) -> None:
    async with house.database.transaction() as session:
        await submissions.save_iteration(
            session,
            submission=house.submission,
            number=1,
            content=house.content,
            release=RELEASE,
            policy="",
            outcome=outcome(),
            findings=findings,
            changes=("one thing changed",),
            at=MONDAY,
        )


# --- confirmation of an email address -------------------------------------------------------------------------------


def token_in(notice: Notice) -> str:
    return notice.links[0].url.rpartition("/")[2]


async def applies(database: Database) -> Harbour:
    """A publisher whose second member has not confirmed the address yet."""
    house = await harbour(database)
    async with database.transaction() as session:
        new = await people.find_or_create(session, "new@harbour.example", "New", MONDAY)
        await people.join(session, new.id, house.publisher, MONDAY)
    entry = Entry(event="apply", at=MONDAY, notices=(NoticeKind.CONFIRM_EMAIL,))
    await house.application_records(1, ApplicationStatus.UNCONFIRMED, entry)
    return house


async def test_a_mailed_link_confirms_the_address_once_and_a_second_click_does_no_harm(database: Database) -> None:
    house = await applies(database)
    [(notice, address, _)] = await made(database, NoticeKind.CONFIRM_EMAIL)
    assert address == "new@harbour.example"
    raw = token_in(notice)
    async with database.session() as session:
        assert (await tokens.look(session, raw)).email_confirmed_at is None, "looking confirms nothing"
    for days in (1, 2, 99_999):
        async with database.transaction() as session:
            person = await tokens.confirm(session, raw, MONDAY + timedelta(days=days))
            assert person.email_confirmed_at == MONDAY + timedelta(days=1)
            assert await people.publishers_of(session, person.id) == [house.publisher]


async def test_the_link_of_each_attempt_to_mail_is_good(database: Database) -> None:
    await applies(database)
    attempts = [await only(database, NoticeKind.CONFIRM_EMAIL) for _ in range(2)]
    async with database.transaction() as session:
        for notice in attempts:
            await tokens.confirm(session, token_in(notice), MONDAY)


async def test_an_expired_link_confirms_nothing_and_brings_another_mail_once_a_day(database: Database) -> None:
    await applies(database)
    later = MONDAY + timedelta(days=400)
    async with database.transaction() as session:
        person = await people.get(session, "new@harbour.example")
        raw = await tokens.new_confirmation(session, person, MONDAY)
        with pytest.raises(NotAllowed, match="expired"):
            await tokens.confirm(session, raw, later)
    for expected in (True, False):
        async with database.transaction() as session:
            assert await tokens.mail_again(session, raw, later) is expected
    assert len(await made(database, NoticeKind.CONFIRM_EMAIL)) == 2


@pytest.mark.parametrize("raw", ["", "x", "\x00", "\ud800", "a" * 100_000, "../../etc/passwd"])
async def test_a_token_that_is_none_is_not_found(database: Database, raw: str) -> None:
    async with database.transaction() as session:
        with pytest.raises(NotFound):
            await tokens.confirm(session, raw, MONDAY)
        with pytest.raises(NotFound):
            await subscriptions.confirm(session, raw, MONDAY)
        assert await subscriptions.unsubscribe(session, raw) is False


async def test_the_database_does_not_know_the_token_and_a_reader_cannot_make_one(database: Database) -> None:
    house = await harbour(database)
    async with database.transaction() as session:
        raw = await tokens.new_confirmation(session, house.member, MONDAY)
        [row] = (await session.exec(select(TokenRow))).all()
        assert raw not in row.model_dump_json()
        with pytest.raises(NotFound):
            await tokens.use(session, tokens.SUBSCRIPTION, raw, MONDAY)
    async with database.session() as session:
        with pytest.raises(RuntimeError):
            await tokens.new_confirmation(session, house.member, MONDAY)


# --- subscriptions ------------------------------------------------------------------------------------------------


async def test_nothing_is_sent_to_a_subscriber_who_has_not_confirmed(database: Database) -> None:
    house = await harbour(database)
    await published(house)
    for _ in range(3):
        async with database.transaction() as session:
            await subscriptions.subscribe(session, house.product, " Ann@Example.org ", MONDAY)
    [(asked, address, _)] = await made(database, NoticeKind.SUBSCRIPTION_CONFIRM)
    assert address == "ann@example.org"
    circle = Circle(publisher=house.publisher, product=house.product)
    assert await addresses(database, NoticeKind.RELEASE_PUBLISHED, circle) == []
    async with database.transaction() as session:
        await subscriptions.confirm(session, token_in(asked), MONDAY)
        assert await subscriptions.count(session, house.product) == 1
    assert await addresses(database, NoticeKind.RELEASE_PUBLISHED, circle) == ["ann@example.org"]


async def test_a_release_mail_has_the_release_notes_and_nothing_of_the_review(database: Database) -> None:
    house = await harbour(database)
    await published(house)
    async with database.transaction() as session:
        row = await subscriptions.subscribe(session, house.product, "ann@example.org", MONDAY)
        row.confirmed_at = MONDAY
        session.add(row)
    await examined(house, [finding("secret", Level.REQUIREMENT)])
    entry = Entry(event="published", at=MONDAY, text=house.submission, notices=(NoticeKind.RELEASE_PUBLISHED,))
    await house.product_records(6, ListingStatus.PUBLISHED, entry)
    notice = await only(database, NoticeKind.RELEASE_PUBLISHED)
    assert notice.text == "Lifts more."
    assert (notice.submission, notice.findings, notice.changes, notice.actor_name) == ("", (), (), "")
    assert [link.url for link in notice.links] == ["https://hub.example/products/harbour/crane"]
    assert notice.unsubscribe_url == f"https://hub.example/unsubscribe/{row.token}"


async def test_unsubscribing_ends_it_at_once_and_twice_is_once(database: Database) -> None:
    house = await harbour(database)
    await published(house)
    async with database.transaction() as session:
        row = await subscriptions.subscribe(session, house.product, "ann@example.org", MONDAY)
    async with database.transaction() as session:
        assert await subscriptions.unsubscribe(session, row.token) is True
    async with database.transaction() as session:
        assert await subscriptions.unsubscribe(session, row.token) is False
    async with database.session() as session:
        queued = await outbox.deliveries(session, status=NoticeStatus.QUEUED)
    assert "ann@example.org" not in {delivery.address for delivery in queued.items}


@pytest.mark.parametrize("address", ["", "ann", "ann@", "ann@example.org\nBcc: all@example.org", "ann@exa mple.org"])
async def test_an_address_that_is_none_is_refused_with_the_reason(database: Database, address: str) -> None:
    house = await harbour(database)
    await published(house)
    async with database.transaction() as session:
        with pytest.raises(InvalidManifest):
            await subscriptions.subscribe(session, house.product, address, MONDAY)


async def test_only_what_is_in_the_catalog_can_be_subscribed_to(database: Database) -> None:
    house = await harbour(database)
    async with database.transaction() as session:
        with pytest.raises(NotFound):
            await subscriptions.subscribe(session, house.product, "ann@example.org", MONDAY)


async def test_many_who_subscribe_at_once_with_one_address_are_one(database: Database) -> None:
    house = await harbour(database)
    await published(house)
    await asyncio.gather(
        *(
            database.write(lambda session: subscriptions.subscribe(session, house.product, "a@example.org", MONDAY))
            for _ in range(5)
        )
    )
    assert len(await made(database, NoticeKind.SUBSCRIPTION_CONFIRM)) == 1
