"""Who gets a notice, and what its mail may show to this reader."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col

from models.base import digest_of
from models.content import Track
from models.findings import FindingStatus, Level, Severity
from models.lifecycle import Deadline, DeadlineKind, Proposal, ProposedAct, Stage, Turn
from models.notices import AUDIENCES, Audience, NoticeKind
from models.publishers import Role
from models.recording import Entry
from models.tables import PersonRow, ProductRow
from notifications.composing import Envelope, compose
from notifications.rendering import render
from store import notices, people, products, submissions
from store.database import Database
from store.recipients import Circle
from tests.parts.rows import MONDAY, RELEASE, harbour, staff
from tests.store.mails import addresses, examined, finding, made, only, published, subscribed


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
