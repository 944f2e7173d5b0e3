"""The reason of a decision that two people have taken: what the publisher reads, and what stays in the hub."""

from datetime import datetime, timedelta

import pytest

from models.lifecycle import Stage
from models.notices import NoticeKind
from models.products import ListingStatus
from models.recording import Entry
from store.database import Database
from tests.parts.rows import MONDAY, Harbour, harbour
from tests.store.mails import made, only, published

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
