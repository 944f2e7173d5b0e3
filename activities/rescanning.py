"""Published images looked at again, in the hub's own registry, when the scanner has changed since their report.

The old report is in force until the new one is stored; what it changes is told by the next batch of the watch.
"""

from dataclasses import dataclass

from temporalio import activity

from activities.errors import translated
from activities.heartbeats import Progress, heartbeats
from activities.hub_knowledge import HubKnowledge
from activities.image_scans import ImageScans
from activities.lookout import Lookout
from activities.publication import HubRegistry
from models.errors import PUBLISHERS_ERRORS
from models.scans import ImageReport
from models.work import Rescanned, RescanOrder, RescanPlan
from scanning.shipments import shipment_of, what_looks
from store import scans, watching

#: images of one plan; a history is no place for all of them
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class RescanActivities:
    lookout: Lookout
    hub: HubRegistry
    images: ImageScans

    @activity.defn
    async def rescan_plan(self) -> RescanPlan:
        """Watched images whose report another scanner has made, the oldest first. What nobody ships is forgotten."""
        with translated():
            await self.lookout.forget_unshipped()
            version = what_looks(await self.images.scanner().version())
            async with self.lookout.database.session() as session:
                found, left = await watching.outdated(session, version, _AT_ONCE)
        return RescanPlan(
            images=tuple(
                RescanOrder(image=image.digest, platform=image.platform, publisher=publisher, repository=repository)
                for image, publisher, repository in found
            ),
            left=left,
        )

    @activity.defn
    async def rescan_image(self, order: RescanOrder) -> Rescanned:
        """`problem` when the image cannot be scanned by today's limits: its old report stays."""
        with translated():
            async with heartbeats() as progress:
                try:
                    return Rescanned(report=await self._look(order, progress))
                except PUBLISHERS_ERRORS as problem:
                    return Rescanned(problem=str(problem))

    async def _look(self, order: RescanOrder, progress: Progress) -> str:
        lookout, policy = self.lookout, self.lookout.policy.current()
        report = await self.images.report(
            lambda: self.hub.opened(order.repository, policy.limits), order.image, order.platform, "rescan", progress
        )
        knowledge = HubKnowledge(lookout.database, lookout.blobs, lookout.advisories, policy.severity)
        return await self._keep(await knowledge.applied_to(report))

    async def _keep(self, report: ImageReport) -> str:
        digest = await self.lookout.blobs.put_message(report)
        async with self.lookout.database.transaction() as session:
            await scans.save(session, report, digest)
        await self.lookout.replace(shipment_of(report, digest))
        return digest
