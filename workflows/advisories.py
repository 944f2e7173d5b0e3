"""The story of the watch: what advisories have changed is imported, matched with what is published, and told.

On a schedule, and by hand. It never waits for a person: what concerns very many products waits in a process of its own.
"""

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities import options
    from activities.alarms import AlarmActivities
    from activities.watching import WatchActivities
    from models.addresses import mass_change_address
    from models.errors import LONGEST_MESSAGE
    from models.work import AdvisoryBatch, BatchOrder, Digested, DigestOrder, MassChangeStart, SyncDone, Watched
    from workflows.mass_change import MassChangeWorkflow
    from workflows.perseverance import root_cause

#: of one run: what is left is the next run's
_MOST_BATCHES = 100


@workflow.defn
class AdvisoryWorkflow:
    """One look at the advisories."""

    @workflow.init
    def __init__(self) -> None:
        self._watched = Watched()

    @workflow.run
    async def run(self) -> Watched:
        self._show("importing what has changed")
        synced = await self._synced()
        self._watched = self._watched.model_copy(update={"synced": synced})
        if synced.problem:
            await workflow.execute_activity_method(AlarmActivities.advisories_unread, synced.problem, **options.RECORD)
        for _ in range(_MOST_BATCHES):
            self._show("matching it with what is published")
            batch = await workflow.execute_activity_method(WatchActivities.rematch, **options.REMATCH)
            if not batch.id:
                break
            await (self._hand_over(batch) if batch.mass else self._tell(batch))
        self._show("done")
        return self._watched

    async def _synced(self) -> SyncDone:
        """What cannot be imported at all is the operators' matter: what is known is matched all the same."""
        try:
            return await workflow.execute_activity_method(WatchActivities.sync_advisories, **options.SYNC)
        except ActivityError as failure:
            if is_cancelled_exception(failure):
                raise
            return SyncDone(problem=f"Nothing could be imported: {root_cause(failure)}"[:LONGEST_MESSAGE])

    async def _hand_over(self, batch: AdvisoryBatch) -> None:
        """To the security team; one that was handed over before waits already."""
        try:
            await workflow.start_child_workflow(
                MassChangeWorkflow.run,
                MassChangeStart(batch=batch),
                id=mass_change_address(batch.id),
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                static_summary=f"{batch.products} products wait for the security team",
            )
        except WorkflowAlreadyStartedError:
            workflow.logger.info("%s waits for the security team already", batch.id)
        self._watched = self._watched.model_copy(update={"waiting": (*self._watched.waiting, batch.id)})

    async def _tell(self, batch: AdvisoryBatch) -> None:
        self._show(f"telling {batch.products} products")
        told = await workflow.execute_activity_method(
            WatchActivities.tell_products, BatchOrder(batch=batch.id), **options.TELL
        )
        self._watched = self._watched.model_copy(
            update={
                "products": self._watched.products + told.products,
                "changes": self._watched.changes + told.changes,
                "told": (*self._watched.told, batch.id),
            }
        )

    def _show(self, doing: str) -> None:
        """The Temporal UI reads like a status page."""
        done = self._watched
        lines = [
            f"**{doing}**",
            f"- imported: {_imported(done.synced)}",
            f"- told: {done.products} products of {done.changes} changes",
            f"- for the security team to confirm: {', '.join(done.waiting)}" if done.waiting else "",
            f"- not read: {done.synced.problem}" if done.synced.problem else "",
        ]
        workflow.set_current_details("\n".join(filter(None, lines)))


def _imported(synced: SyncDone) -> str:
    return f"{synced.added} new, {synced.changed} changed, {synced.skipped} skipped, {synced.total} in all"


@workflow.defn
class DigestWorkflow:
    """The day's mails of what is not critical, once a day: the clocks of what they name start with them."""

    @workflow.run
    async def run(self) -> Digested:
        order = DigestOrder(at=workflow.now().replace(microsecond=0))
        digested = await workflow.execute_activity_method(WatchActivities.digest_notices, order, **options.DIGEST)
        workflow.set_current_details(
            f"{digested.notices} mails to {digested.publishers} publishers, about {digested.products} products"
        )
        return digested
