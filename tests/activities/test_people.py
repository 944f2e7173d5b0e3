"""Who somebody is, and whether somebody may submit: looked up when a command is judged, on both databases."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from activities.people import PeopleActivities
from activities.policy import PolicyInForce
from models.products import NewSubmission
from models.publishers import ApplicationStatus, Role, Standing
from models.work import Admission, StandingQuestion
from store import people, publishers
from store.database import Database
from tests.parts.rows import MONDAY, Harbour, harbour, staff

FRIDAY = datetime(2026, 3, 6, 15, tzinfo=UTC)


@pytest.fixture
def activities(database: Database, tmp_path: Path) -> PeopleActivities:
    policy = tmp_path / "policy.toml"
    policy.write_text("[remediation]\nhold_days = 9\n")
    return PeopleActivities(database, PolicyInForce(policy))


async def standing(activities: PeopleActivities, actor: str, publisher: str, at: datetime = MONDAY) -> Standing:
    question = StandingQuestion(actor=actor, publisher=publisher, at=at)
    return await ActivityEnvironment().run(activities.standing_of, question)


async def test_somebody_unknown_has_no_roles(activities: PeopleActivities) -> None:
    assert await standing(activities, "nobody", "nothing") == Standing()


async def test_roles_are_those_of_this_moment_and_of_this_publisher(
    activities: PeopleActivities, database: Database
) -> None:
    house = await harbour(database)
    other = await harbour(database, slug="quay", name="Winch")
    assert (await standing(activities, house.member, house.publisher)).roles == (Role.PUBLISHER,)
    assert (await standing(activities, house.member, other.publisher)).roles == ()
    assert (await standing(activities, house.moderator, house.publisher)).roles == (Role.MODERATOR,)
    async with database.transaction() as session:
        await people.grant(session, house.moderator, Role.SECOND_APPROVER, MONDAY)
        await people.revoke(session, house.moderator, Role.MODERATOR, MONDAY)
    assert (await standing(activities, house.moderator, house.publisher)).roles == (Role.SECOND_APPROVER,)


async def test_a_member_learns_by_when_the_hub_answers_in_working_days_from_the_judgement(
    activities: PeopleActivities, database: Database
) -> None:
    house = await harbour(database)
    assert (await standing(activities, house.member, house.publisher, FRIDAY)).reply_by == datetime(
        2026, 3, 10, 15, tzinfo=UTC
    )
    assert (await standing(activities, house.moderator, house.publisher, FRIDAY)).reply_by is None


async def admission(activities: PeopleActivities, house: Harbour, **changes: str) -> Admission:
    new = NewSubmission(
        id="one", actor=house.member, publisher=house.publisher, product=house.product, content=house.content
    ).model_copy(update=changes)
    return await ActivityEnvironment().run(activities.may_submit, new)


async def test_members_of_a_verified_publisher_submit_under_the_clocks_in_force(
    activities: PeopleActivities, database: Database
) -> None:
    house = await harbour(database)
    assert (await admission(activities, house)).problem == (
        "The publisher is not verified yet: its application is unconfirmed."
    )
    await house.application_records(1, ApplicationStatus.APPROVED)
    admitted = await admission(activities, house)
    assert (admitted.problem, admitted.clocks.hold_days) == ("", 9)
    await house.application_records(2, ApplicationStatus.DECLINED)
    assert "declined" in (await admission(activities, house)).problem


async def test_nobody_else_submits(activities: PeopleActivities, database: Database) -> None:
    house = await harbour(database)
    await house.application_records(1, ApplicationStatus.APPROVED)
    helper = await staff(database, "ada@hub.example", Role.ADMIN)
    for actor in ("nobody", house.moderator, helper.id):
        assert "Only a member" in (await admission(activities, house, actor=actor)).problem
    assert "Only a member" in (await admission(activities, house, publisher="nothing")).problem
    async with database.transaction() as session:
        await people.leave(session, house.member, house.publisher)
        await publishers.get(session, house.publisher)
    assert "Only a member" in (await admission(activities, house)).problem
