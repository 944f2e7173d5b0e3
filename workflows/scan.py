"""The story of a scan: one branch per image and platform, then all the rules over what they found."""

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import options
    from activities.examination import ExaminationActivities
    from activities.scanning import ScanActivities
    from models.work import ScanOrder, ScanResult


@workflow.defn
class ScanWorkflow:
    """scan/<subject>/<n>: a child of the submission whose iteration it checks."""

    @workflow.run
    async def run(self, scan: ScanOrder) -> ScanResult:
        images = await workflow.execute_activity_method(ScanActivities.images_to_scan, scan.order, **options.RECORD)
        # an image without a branch has a report already, by digest and advisory snapshot
        await asyncio.gather(
            *(
                workflow.execute_activity_method(
                    ScanActivities.scan_image, image, summary=image.platform, **options.scan(scan.publisher)
                )
                for image in images.images
            )
        )
        examined = await workflow.execute_activity_method(ExaminationActivities.examine, scan.order, **options.EXAMINE)
        return ScanResult(examined=examined)
