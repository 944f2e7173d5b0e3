"""Examination: all the rules over one iteration, its report stored, and what changed since earlier ones."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.errors import translated
from activities.heartbeats import heartbeats
from activities.policy import PolicyInForce
from models.content import ContentManifest
from models.errors import NotFound
from models.events import Examined
from models.images import ReleaseSet
from models.lifecycle import Outcome
from models.policy import HubPolicy
from models.publishers import PublisherProfile
from models.reports import ChangesSince, Comparison, IterationReport
from models.scans import ImageReport
from models.work import Examination, IterationOrder
from policies import working_days
from policies.differences import differences, page_in_force
from policies.examination import examine, outcome_of
from store import contents, publishers, submissions, waivers
from store import policies as policy_rows
from store.blobs import Blobs
from store.database import Database, RowMissing


@dataclass(frozen=True, slots=True)
class Examiner:
    """Gathers what the rules need, runs them, and stores what they said. Used by onboarding too, for a refusal."""

    database: Database
    blobs: Blobs
    policy: PolicyInForce

    async def examine(self, examination: Examination) -> Outcome:
        order, now = examination.order, datetime.now(UTC)
        async with self.database.session(brief=True) as session:
            policy = await self._policy_of(session, order)
            submission = await submissions.gist(session, order.submission)
            manifest = await contents.find(session, ContentManifest, order.content)
            profile = await publishers.profile(session, submission.profile)
            granted = await waivers.in_force(session, submission.product, submission.publisher, now)
            accepted = await submissions.accepted_findings(session, submission.product)
            earlier = (
                await submissions.previous_iteration(session, submission, order.iteration),
                await submissions.approved_before(session, submission, order.iteration),
            )
        if manifest is None or profile is None:
            raise RowMissing(f"Content of submission {order.submission} is not in the database.")
        release = await self.blobs.get_message(ReleaseSet, order.release) if order.release else None
        reports = [await self.blobs.get_message(ImageReport, digest) for digest in examination.reports]
        pictures = await self._pictures(manifest, profile)
        report = await asyncio.to_thread(
            examine,
            manifest=manifest,
            profile=profile,
            pictures=pictures,
            track=submission.track,
            product=submission.product,
            reports=reports,
            problems=examination.problems,
            release=release,
            waivers=granted,
            accepted=accepted,
            policy=policy,
            now=now,
        )
        outcome = _outcome(report, order, policy, now)
        digest = await self.blobs.put_message(report)
        previous, approved = [await self._since(each, report, reports, manifest) for each in earlier]
        nearest = previous or approved
        difference = await self.blobs.put_message(Comparison(previous=previous, approved=approved)) if nearest else ""
        async with self.database.transaction(brief=True) as session:
            await policy_rows.keep(session, policy, now)
            await submissions.save_iteration(
                session,
                submission=order.submission,
                number=order.iteration,
                content=order.content,
                release=order.release,
                policy=policy.digest,
                outcome=outcome,
                findings=report.findings,
                report=digest,
                image_reports=examination.reports,
                difference=difference,
                changes=nearest.differences.lines() if nearest else (),
                at=now,
            )
        return outcome

    async def _policy_of(self, session: AsyncSession, order: IterationOrder) -> HubPolicy:
        """The one in force when the iteration began; the present one when that is gone (a restored database)."""
        current = self.policy.current()
        if order.policy in ("", current.digest):
            return current
        return await policy_rows.find(session, order.policy) or current

    async def _pictures(self, manifest: ContentManifest, profile: PublisherProfile) -> dict[str, bytes]:
        """A picture that is not stored is a finding of the rules, not a failure."""
        pictures: dict[str, bytes] = {}
        for digest in {manifest.icon, profile.icon, *manifest.screenshots} - {""}:
            try:
                pictures[digest] = await self.blobs.get(digest)
            except NotFound:
                continue
        return pictures

    async def _since(
        self,
        before: submissions.Examined | None,
        report: IterationReport,
        reports: list[ImageReport],
        manifest: ContentManifest,
    ) -> ChangesSince | None:
        """What changed since an earlier iteration: manifest fields, layers, components, vulnerabilities, checks."""
        if before is None:
            return None
        async with self.database.session(brief=True) as session:
            manifest_before = await contents.find(session, ContentManifest, before.content)
            edit = await contents.find(session, ContentManifest, before.page)
        if manifest_before and edit:
            manifest_before = page_in_force(manifest_before, edit)
        report_before = await self.blobs.get_message(IterationReport, before.report)
        reports_before = [await self.blobs.get_message(ImageReport, digest) for digest in before.image_reports]
        found = await asyncio.to_thread(
            differences, report_before, report, reports_before, reports, manifest_before, manifest
        )
        return ChangesSince(
            submission=before.submission,
            number=before.submission_number,
            iteration=before.number,
            differences=found,
        )


def _outcome(report: IterationReport, order: IterationOrder, policy: HubPolicy, now: datetime) -> Outcome:
    """With the moderators' term, counted in working days; a first review has a term of its own."""
    outcome = outcome_of(report)
    if order.iteration == 1:
        return outcome
    return outcome.model_copy(update={"reply_by": working_days.reply_by(now, policy.deadlines)})


@dataclass(frozen=True, slots=True)
class ExaminationActivities:
    examiner: Examiner

    @activity.defn
    async def examine(self, examination: Examination) -> Examined:
        """`refused` when an image cannot be read: then nobody need review it yet."""
        with translated():
            async with heartbeats():
                outcome = await self.examiner.examine(examination)
            return Examined(outcome=outcome, refused=bool(examination.problems))
