"""The mailroom: one long activity drains the outbox, shift after shift."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import options
    from activities.mail import MailActivities
    from models.work import MailsHandled, MailShift

#: shifts until the history is begun anew
_SHIFTS = 100
_SHIFT = MailShift(seconds=600)


@workflow.defn
class MailroomWorkflow:
    """One per hub: a shift that dies with its worker is taken over by another within its heartbeat timeout."""

    @workflow.init
    def __init__(self) -> None:
        self._handled = MailsHandled()

    @workflow.run
    async def run(self) -> None:
        for _ in range(_SHIFTS):
            shift = await workflow.execute_activity_method(
                MailActivities.drain, _SHIFT, **options.mail_shift(_SHIFT.seconds)
            )
            self._handled = MailsHandled(
                sent=self._handled.sent + shift.sent,
                refused=self._handled.refused + shift.refused,
                postponed=self._handled.postponed + shift.postponed,
            )
            workflow.set_current_details(
                f"{self._handled.sent} sent, {self._handled.refused} refused, {self._handled.postponed} postponed"
            )
        workflow.continue_as_new()
