"""The story of the nightly scans: what an older scanner has looked at is looked at again, after everything else."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities import options
    from activities.rescanning import RescanActivities
    from models.work import RescanOrder, RescansDone
    from workflows.perseverance import root_cause

#: handed to the queue at once: they wait there behind what publishers push, fair between publishers
_AT_ONCE = 50


@workflow.defn
class RescanWorkflow:
    """Published images from the hub's own registry; the old verdict is in force until there is a new one."""

    @workflow.init
    def __init__(self, done: RescansDone | None = None) -> None:
        self._done = done or RescansDone()
        self._waiting = 0

    @workflow.run
    async def run(self, done: RescansDone | None = None) -> RescansDone:
        while True:
            plan = await workflow.execute_activity_method(RescanActivities.rescan_plan, **options.RESCAN_PLAN)
            before = self._done.scanned
            self._waiting = len(plan.images) + plan.left
            self._show()
            for first in range(0, len(plan.images), _AT_ONCE):
                await asyncio.gather(*(self._rescan(image) for image in plan.images[first : first + _AT_ONCE]))
            # those that cannot be scanned are planned again and again: they end the night, not the other way around
            if not plan.left or self._done.scanned == before:
                return self._done
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(self._done)

    async def _rescan(self, image: RescanOrder) -> None:
        """An image that cannot be scanned again keeps its verdict, and holds up no other."""
        try:
            scanned = await workflow.execute_activity_method(
                RescanActivities.rescan_image, image, summary=image.platform, **options.rescan(image.publisher)
            )
            problem = bool(scanned.problem)
        except ActivityError as failure:
            if is_cancelled_exception(failure):
                raise
            workflow.logger.warning("%s was not scanned again: %s", image.image, root_cause(failure))
            problem = True
        self._done = RescansDone(scanned=self._done.scanned + (not problem), problems=self._done.problems + problem)
        self._waiting -= 1
        self._show()

    def _show(self) -> None:
        """The Temporal UI reads like a status page."""
        workflow.set_current_details(
            f"{self._done.scanned} images scanned again, {self._waiting} to go, {self._done.problems} with a problem"
        )
