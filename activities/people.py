"""Who somebody is, looked up when a command is judged."""

from dataclasses import dataclass

from temporalio import activity

from activities.errors import translated
from activities.policy import PolicyInForce
from models.errors import NotFound
from models.products import NewSubmission
from models.publishers import ApplicationStatus, Role, Standing
from models.work import Admission, StandingQuestion
from policies import working_days
from store import people, publishers
from store.database import Database


@dataclass(frozen=True, slots=True)
class PeopleActivities:
    database: Database
    policy: PolicyInForce

    @activity.defn
    async def standing_of(self, question: StandingQuestion) -> Standing:
        """Roles towards one publisher; somebody unknown has none.

        A member learns by when the hub answers what it says: `reply_by` is counted in working days from `at`.
        """
        with translated():
            async with self.database.session(brief=True) as session:
                standing = await people.standing_of(session, question.actor, question.publisher)
            if Role.PUBLISHER not in standing.roles:
                return standing
            reply_by = working_days.reply_by(question.at, self.policy.current().deadlines)
            return standing.model_copy(update={"reply_by": reply_by})

    @activity.defn
    async def may_submit(self, new: NewSubmission) -> Admission:
        """Only members of a verified publisher submit."""
        with translated():
            clocks = self.policy.current().remediation
            async with self.database.session(brief=True) as session:
                standing = await people.standing_of(session, new.actor, new.publisher)
                if Role.PUBLISHER not in standing.roles:
                    return Admission(problem="Only a member of the publisher may submit its products.", clocks=clocks)
                try:
                    publisher = await publishers.get(session, new.publisher)
                except NotFound as unknown:
                    return Admission(problem=str(unknown), clocks=clocks)
                if publisher.status is not ApplicationStatus.APPROVED:
                    problem = f"The publisher is not verified yet: its application is {publisher.status}."
                    return Admission(problem=problem, clocks=clocks)
            return Admission(clocks=clocks)
