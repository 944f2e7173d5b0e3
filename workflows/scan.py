"""The story of a scan: one branch per image and platform, then all the rules over what they found."""

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import options
    from activities.examination import ExaminationActivities
    from activities.scanning import ScanActivities
    from models.work import Examination, ImageOrder, ImageScanned, ScanOrder, ScanResult


@workflow.defn
class ScanWorkflow:
    """scan/<subject>/<n>: a child of the submission whose iteration it checks."""

    @workflow.init
    def __init__(self, scan: ScanOrder) -> None:
        self._publisher = scan.publisher
        self._waiting, self._scanned = 0, 0

    @workflow.run
    async def run(self, scan: ScanOrder) -> ScanResult:
        planned = await workflow.execute_activity_method(ScanActivities.images_to_scan, scan.order, **options.PLAN)
        self._waiting, self._scanned = len(planned.images), len(planned.reports)
        self._show()
        scanned = await asyncio.gather(*(self._scan(image) for image in planned.images))
        examination = Examination(
            order=scan.order,
            reports=(*planned.reports, *(image.report for image in scanned if image.report)),
            problems=tuple(image.problem for image in scanned if image.problem),
        )
        examined = await workflow.execute_activity_method(ExaminationActivities.examine, examination, **options.EXAMINE)
        return ScanResult(examined=examined)

    async def _scan(self, image: ImageOrder) -> ImageScanned:
        scanned = await workflow.execute_activity_method(
            ScanActivities.scan_image, image, summary=image.platform, **options.scan(self._publisher)
        )
        self._waiting, self._scanned = self._waiting - 1, self._scanned + 1
        self._show()
        return scanned

    def _show(self) -> None:
        """The Temporal UI reads like a status page."""
        workflow.set_current_details(f"{self._scanned} images scanned, {self._waiting} to go, then all the rules")
