"""The reconciler: the projection against the authority, and the archive of what has ended. Runs on a schedule."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import options
    from activities.reconciling import ReconcileActivities
    from models.work import Repaired


@workflow.defn
class ReconcileWorkflow:
    @workflow.run
    async def run(self) -> Repaired:
        repaired = await workflow.execute_activity_method(ReconcileActivities.reconcile, **options.RECONCILE)
        archived = await workflow.execute_activity_method(ReconcileActivities.archive, **options.RECONCILE)
        workflow.set_current_details(
            f"{repaired.compared} compared, {len(repaired.repaired)} repaired, {archived.archived} archived"
        )
        return repaired.model_copy(update={"archived": archived.archived})
