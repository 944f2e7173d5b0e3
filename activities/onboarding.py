"""Onboarding: every tag of every tier is pinned to a digest, once, and the terms of the policy in force with it."""

from dataclasses import dataclass

from temporalio import activity

from activities.errors import translated
from activities.examination import Examiner
from activities.policy import PolicyInForce
from activities.sources import Sources
from models.content import ContentManifest, Tier, Track
from models.errors import PUBLISHERS_ERRORS, Permanent
from models.events import Onboarded
from models.images import PinnedTag, PinnedTier, ReleaseSet
from models.work import Examination, ImageProblem, IterationOrder
from registry.resolve import resolve_tier
from store import contents, submissions
from store.blobs import Blobs
from store.database import Database, RowMissing


@dataclass(frozen=True, slots=True)
class OnboardingActivities:
    database: Database
    blobs: Blobs
    sources: Sources
    policy: PolicyInForce
    examiner: Examiner

    @activity.defn
    async def onboard(self, order: IterationOrder) -> Onboarded:
        """Pins the release set. What the publisher has to mend is the answer, never a failure of the activity."""
        with translated():
            policy = self.policy.current()
            async with self.database.session() as session:
                manifest = await contents.find(session, ContentManifest, order.content)
                submission = await submissions.get(session, order.submission)
                live = await submissions.live_release(session, submission.product)
            if manifest is None:
                raise RowMissing(f"Content manifest {order.content} is not in the database.")
            terms = Onboarded(terms=policy.deadlines, policy=policy.digest)
            if submission.track is Track.LISTING:
                return terms.model_copy(update={"release": live})
            pinned, problems = await self._pin(manifest)
            release = ReleaseSet(tiers=pinned)
            digest = await self.blobs.put_message(release)
            if not problems:
                return terms.model_copy(update={"release": digest})
            refused = order.model_copy(update={"release": digest if release.images() else ""})
            outcome = await self.examiner.examine(Examination(order=refused, problems=problems))
            return terms.model_copy(update={"refused": outcome})

    async def _pin(self, manifest: ContentManifest) -> tuple[tuple[PinnedTier, ...], tuple[ImageProblem, ...]]:
        """All tiers and tags are tried, so that the publisher learns of every problem at once."""
        pinned: list[PinnedTier] = []
        problems: list[ImageProblem] = []
        for tier in manifest.tiers:
            tags: list[PinnedTag] = []
            for name in tier.source.tags if tier.source else ():
                try:
                    tags += (await self._resolve(tier, name)).tags
                except PUBLISHERS_ERRORS as problem:
                    problems.append(_problem(tier, name, problem))
            if tags and tier.source:
                pinned.append(PinnedTier(tier=tier.name, repository=tier.source.repository, tags=tuple(tags)))
        return tuple(pinned), tuple(problems)

    async def _resolve(self, tier: Tier, tag: str) -> PinnedTier:
        assert tier.source is not None  # noqa: S101 - the caller has looked
        async with self.sources.open(tier.source) as source:
            return await resolve_tier(source, tier.name, tier.source.repository, (tag,), self.policy.current().limits)


def _problem(tier: Tier, tag: str, error: Permanent) -> ImageProblem:
    return ImageProblem(digest=tag, platform="", tier=tier.name, error=type(error).__name__, message=str(error))
