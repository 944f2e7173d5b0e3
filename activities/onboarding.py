"""Onboarding: every tag of every tier is pinned to a digest, once, and the terms of the policy in force with it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity

from activities.errors import translated
from activities.examination import Examiner
from activities.heartbeats import heartbeats
from activities.policy import PolicyInForce
from activities.sources import Sources
from models.content import ContentManifest, Tier, Track
from models.errors import PUBLISHERS_ERRORS, ImageNotFound, ImageTooLarge, Permanent
from models.events import Onboarded
from models.images import ImageSource, PinnedTag, PinnedTier, ReleaseSet
from models.work import Examination, ImageProblem, IterationOrder
from registry.resolve import resolve_tier
from registry.sources import Source
from store import contents, policies, submissions
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
            async with heartbeats():
                policy = self.policy.current()
                digest = policy.digest
                async with self.database.session(brief=True) as session:
                    manifest = await contents.find(session, ContentManifest, order.content)
                    submission = await submissions.gist(session, order.submission)
                    is_kept = await policies.is_kept(session, digest)
                if not is_kept:
                    async with self.database.transaction(brief=True) as session:
                        await policies.keep(session, policy, datetime.now(UTC))
                if manifest is None:
                    raise RowMissing(f"Content manifest {order.content} is not in the database.")
                terms = Onboarded(terms=policy.deadlines, policy=digest)
                if submission.track is Track.LISTING:
                    return terms.model_copy(update={"release": submission.live})
                pinned, problems = await self._pin(manifest)
                release = ReleaseSet(tiers=pinned)
                pins = await self.blobs.put_message(release)
                if not problems:
                    return terms.model_copy(update={"release": pins})
                update = {"release": pins if release.images() else "", "policy": digest}
                refused = order.model_copy(update=update)
                outcome = await self.examiner.examine(Examination(order=refused, problems=problems))
                return terms.model_copy(update={"refused": outcome})

    async def _pin(self, manifest: ContentManifest) -> tuple[tuple[PinnedTier, ...], tuple[ImageProblem, ...]]:
        """All tiers and tags are tried, so that the publisher learns of every problem at once."""
        pinned: list[PinnedTier] = []
        problems: list[ImageProblem] = []
        for tier in manifest.tiers:
            if tier.source is None or not tier.source.tags:
                problems.append(_problem(tier, "", ImageNotFound("The tier names no image: give repository and tags.")))
                continue
            try:
                async with self.sources.open(tier.source) as source:
                    tags, wrong = await self._pin_tags(source, tier, tier.source)
            except PUBLISHERS_ERRORS as problem:  # the source as a whole: none of its tags can be read
                tags, wrong = [], [_problem(tier, "", problem)]
            problems += wrong
            if tags:
                pinned.append(PinnedTier(tier=tier.name, repository=tier.source.repository, tags=tuple(tags)))
        return tuple(pinned), tuple(problems)

    async def _pin_tags(
        self, source: Source, tier: Tier, place: ImageSource
    ) -> tuple[list[PinnedTag], list[ImageProblem]]:
        limits = self.policy.current().limits
        if len(place.tags) > limits.tags_per_tier:
            raise ImageTooLarge(f"There are {len(place.tags)} tags; at most {limits.tags_per_tier} are allowed.")
        tags: list[PinnedTag] = []
        problems: list[ImageProblem] = []
        for name in place.tags:
            try:
                tags += (await resolve_tier(source, tier.name, place.repository, (name,), limits)).tags
            except PUBLISHERS_ERRORS as problem:
                problems.append(_problem(tier, name, problem))
        return tags, problems


def _problem(tier: Tier, tag: str, error: Permanent) -> ImageProblem:
    return ImageProblem(digest=tag, platform="", tier=tier.name, error=type(error).__name__, message=str(error))
