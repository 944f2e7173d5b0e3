"""The story of a scan: one branch per image and platform, then all the rules over what they found."""

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.examination import ExaminationActivities
    from activities.scanning import ScanActivities

    from activities import options
    from models.work import Examination, ScanOrder, ScanResult


@workflow.defn
class ScanWorkflow:
    """scan/<subject>/<n>: a child of the submission whose iteration it checks."""

    @workflow.run
    async def run(self, scan: ScanOrder) -> ScanResult:
        planned = await workflow.execute_activity_method(ScanActivities.images_to_scan, scan.order, **options.RECORD)
        scanned = await asyncio.gather(
            *(
                workflow.execute_activity_method(
                    ScanActivities.scan_image, image, summary=image.platform, **options.scan(scan.publisher)
                )
                for image in planned.images
            )
        )
        examination = Examination(
            order=scan.order,
            reports=(*planned.reports, *(image.report for image in scanned if image.report)),
            problems=tuple(image.problem for image in scanned if image.problem),
        )
        examined = await workflow.execute_activity_method(ExaminationActivities.examine, examination, **options.EXAMINE)
        return ScanResult(examined=examined)
