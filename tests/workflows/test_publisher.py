"""A publisher's way from the application to the approval, and what it changes later."""

from datetime import timedelta

import pytest
from sqlmodel import col, select
from temporalio.testing import WorkflowEnvironment

from models import commands as c
from models.publishers import ApplicationStatus
from models.tables import PublisherRow
from store import publishers
from tests.workflows.house import House
from tests.workflows.people import refused

pytestmark = pytest.mark.system


@pytest.mark.history("application")
async def test_an_application_is_confirmed_asked_about_answered_and_approved(house: House) -> None:
    application = await house.applies("Crane Works")
    await application.becomes(lambda now: now.revision == 1)
    assert await application.notices() == ["confirm_email"]
    with refused("approve does not apply: the application is unconfirmed. Possible now: confirm_email"):
        await house.moderator.tells(application, c.ApprovePublisher)
    confirmed = await house.member.tells(application, c.ConfirmEmail)
    assert confirmed.status is ApplicationStatus.SUBMITTED
    assert confirmed.due is not None
    with refused("ask_information needs a text"):
        await house.moderator.tells(application, c.AskInformation)
    asked = await house.moderator.tells(application, c.AskInformation, text="Who signs for you?")
    assert asked.status is ApplicationStatus.MORE_INFORMATION
    assert "Who signs for you?" not in await application.details(), "details are for ops"
    given = await house.member.tells(application, c.GiveInformation, text="Pat does.")
    assert given.status is ApplicationStatus.SUBMITTED
    approved = await house.moderator.tells(application, c.ApprovePublisher)
    assert approved.status is ApplicationStatus.APPROVED
    assert await application.notices() == [
        "confirm_email",
        "application_received",
        "application_to_review",
        "application_question",
        "application_answered",
        "application_approved",
    ]
    async with house.database.session() as session:
        row = (await session.exec(select(PublisherRow).where(col(PublisherRow.name) == "Crane Works"))).one()
    assert row.status is ApplicationStatus.APPROVED
    assert "**approved**" in await application.details()


@pytest.mark.history("profile-changed")
async def test_an_approved_publisher_changes_its_profile(house: House) -> None:
    application = await house.applies("Old Name")
    await house.member.tells(application, c.ConfirmEmail)
    await house.moderator.tells(application, c.ApprovePublisher)
    with refused("change_profile is for: publisher"):
        await house.moderator.tells(application, c.ChangeProfile, profile="sha256:any")
    async with house.database.transaction() as session:
        digest = await publishers.save_profile(session, house.profile("New Name"))
    changed = await house.member.tells(application, c.ChangeProfile, profile=digest)
    assert changed.profile == digest
    await application.recorded()
    async with house.database.session() as session:
        row = await publishers.get(session, application.address.partition("/")[2])
    assert (row.name, row.profile) == ("New Name", digest)


@pytest.mark.history("application-reminded")
async def test_an_application_that_waits_is_reminded_of_once(house: House, time_skipping: WorkflowEnvironment) -> None:
    application = await house.applies("Slow Works")
    await application.becomes(lambda now: now.revision == 1)
    await time_skipping.sleep(timedelta(days=3))
    assert await application.notices() == ["confirm_email", "confirm_email"], "to the applicant"
    await house.member.tells(application, c.ConfirmEmail)
    await time_skipping.sleep(timedelta(days=7))
    assert (await application.notices())[-1] == "application_to_review"
    before = await application.snapshot()
    await time_skipping.sleep(timedelta(days=100))
    assert (await application.snapshot()).revision == before.revision, "reminded once"
    deferred = await house.moderator.tells(application, c.DeferPublisher)
    assert deferred.status is ApplicationStatus.DEFERRED
    declined = await house.moderator.tells(application, c.DeclinePublisher, text="We know nobody of that name.")
    assert declined.status is ApplicationStatus.DECLINED
    with refused("Possible now: nothing"):
        await house.moderator.tells(application, c.ApprovePublisher)


@pytest.mark.history("application-signal")
async def test_a_signal_to_an_application_that_is_refused_is_kept_and_answered(house: House) -> None:
    application = await house.applies("Signal Works")
    before = await application.becomes(lambda now: now.revision == 1)
    await house.member.signals(application, c.ApprovePublisher, text="We are good.")
    await application.becomes(lambda now: now.revision > before.revision)
    last = (await application.trail())[-1]
    assert last.refused.startswith("approve is for: ")
    assert (await application.notices())[-1] == "command_refused"
    await house.member.signals(application, c.ConfirmEmail)
    await application.becomes(lambda now: now.status is ApplicationStatus.SUBMITTED)
