"""The story of a submission: what the run does by itself, and what it is told."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities import options
    from activities.examination import ExaminationActivities
    from activities.onboarding import OnboardingActivities
    from activities.people import PeopleActivities
    from activities.recording import RecordingActivities
    from models import events as e
    from models.addresses import product_address, scan_address
    from models.commands import SUBMISSION_COMMANDS
    from models.content import Track
    from models.errors import LONGEST_MESSAGE, NotAllowed
    from models.lifecycle import Snapshot, Stage, SubmissionState
    from models.notices import NoticeKind
    from models.products import PublicationOrder
    from models.publishers import Standing
    from models.recording import Entry, SubmissionRecording
    from models.work import Examination, IterationOrder, ScanOrder, StandingQuestion, SubmissionStart
    from policies import lifecycle, words
    from policies.stages import Change

from workflows import search_attributes
from workflows.inbox import Inbox, Letter, cancelled, told_by
from workflows.scan import ScanWorkflow

#: before a stage's work that failed is begun again
_BEGIN_AGAIN = timedelta(minutes=1)


@workflow.defn
class SubmissionWorkflow(told_by(Snapshot, *SUBMISSION_COMMANDS)):  # type: ignore[misc]
    """One submission, from onboarding to publication; dormant while it can be revived or appealed."""

    @workflow.init
    def __init__(self, start: SubmissionStart) -> None:
        self.inbox: Inbox[Snapshot] = Inbox()
        self._events: list[e.MachineEvent] = []
        self._unrecorded: list[Entry] = []
        self._state = SubmissionState(
            id=start.id,
            publisher=start.publisher,
            product=start.product,
            content=start.content,
            track=start.track,
            certify=start.certify,
            number=start.number,
            submitted=workflow.info().start_time,
        )

    @workflow.run
    async def run(self, start: SubmissionStart) -> Snapshot:
        recorder = asyncio.create_task(self._keep_recording())
        while not self._state.closed:
            await self._one_stage()
        await self._tell_product()
        await workflow.wait_condition(workflow.all_handlers_finished)
        await recorder
        return self.snapshot()

    async def _one_stage(self) -> None:
        """Do the stage's own work until it ends or a message moves the submission on, whichever comes first."""
        stage, task = self._state.stage, self._task()
        work = asyncio.create_task(self._work_until_it_ends())
        while self._task() == task:
            await workflow.wait_condition(lambda: work.done() or bool(self.inbox) or bool(self._events))
            await self._answer_messages()
            if self._task() == task and work.done():
                self._happened(work.result())
        await cancelled(work)
        if stage is Stage.PUBLISHING and self._state.stage is Stage.READY:
            product = workflow.get_external_workflow_handle(product_address(self._state.product))
            await product.signal("recall", self._state.id)

    def _task(self) -> tuple[object, ...]:
        """What the run is busy with: only when this changes is the work begun anew (a note disturbs no scan)."""
        deadline = self._state.deadline
        moment = deadline.next_moment if deadline and not self._state.paused else None
        return self._state.stage, self._state.iteration, moment

    async def _work_until_it_ends(self) -> e.MachineEvent:
        """A tool of the hub that fails for good, or a scan that somebody terminated, is begun again: never stuck."""
        while True:
            try:
                return await self._work()
            except FailureError as failure:
                if is_cancelled_exception(failure):
                    raise
                workflow.logger.warning("the stage's work failed and is begun again: %s", failure.cause)
                trouble = f"{words.status_page(self._state)}\n- retrying after: {failure.cause or failure}"
                workflow.set_current_details(trouble[:LONGEST_MESSAGE])
                await workflow.sleep(_BEGIN_AGAIN)

    async def _work(self) -> e.MachineEvent:
        """What the run does by itself in this stage; its end is an event like any command."""
        match self._state.stage:
            case Stage.ONBOARDING:
                return await self._onboard()
            case Stage.CHECKING:
                return await self._check()
            case Stage.PUBLISHING:
                return await self._order_publication()
            case _:
                # people are at turn, certifiers among them: the clock is all that runs
                return await self._clock()

    async def _onboard(self) -> e.Onboarded:
        return await workflow.execute_activity_method(OnboardingActivities.onboard, self._order(), **options.ONBOARD)

    async def _check(self) -> e.Examined:
        """Scan and rules, all of them, before a moderator is told. A listing edit brings no image to scan."""
        if self._state.track is Track.LISTING:
            return await workflow.execute_activity_method(
                ExaminationActivities.examine, Examination(order=self._order()), **options.EXAMINE
            )
        result = await workflow.execute_child_workflow(
            ScanWorkflow.run,
            ScanOrder(publisher=self._state.publisher, order=self._order()),
            id=scan_address(self._state.id, self._state.iteration),
            parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
        )
        return result.examined

    async def _clock(self) -> e.ClockStruck:
        deadline = self._state.deadline
        moment = deadline.next_moment if deadline and not self._state.paused else None
        if moment is None:
            await workflow.wait_condition(lambda: False)
        else:
            await workflow.sleep(max(moment - workflow.now(), timedelta(seconds=1)))
        return e.ClockStruck()

    async def _order_publication(self) -> e.MachineEvent:
        """The product serialises publication; its answer comes as a signal."""
        order = PublicationOrder(
            submission=self._state.id,
            track=self._state.track,
            content=self._state.content,
            release=self._state.release,
            revision=self._state.revision,
        )
        product = workflow.get_external_workflow_handle(product_address(self._state.product))
        await product.signal("publish", order)
        await workflow.wait_condition(lambda: False)
        raise AssertionError  # the wait ends only by cancellation

    async def _tell_product(self) -> None:
        """A published submission is known to its product already, a superseded one as well."""
        if self._state.stage in (Stage.WITHDRAWN, Stage.CLOSED):
            product = workflow.get_external_workflow_handle(product_address(self._state.product))
            await product.signal("submission_closed", self._state.id)

    def _order(self) -> IterationOrder:
        state = self._state
        return IterationOrder(
            submission=state.id, iteration=state.iteration, content=state.content, release=state.release
        )

    # --- changes of state ---------------------------------------------------------------------------------------

    async def _answer_messages(self) -> None:
        while self._events:
            self._happened(self._events.pop(0))
        for letter in self.inbox.drain():
            try:
                standing = await self._standing_of(letter)
                self._told(letter, standing)
                letter.answer(self.snapshot())
            except NotAllowed as refusal:
                letter.refuse(refusal)
                if letter.signalled:
                    self._note_refusal(letter, refusal)

    async def _standing_of(self, letter: Letter[Snapshot]) -> Standing:
        question = StandingQuestion(actor=letter.command.actor, publisher=self._state.publisher)
        return await workflow.execute_local_activity_method(PeopleActivities.standing_of, question, **options.LOOK_UP)

    def _told(self, letter: Letter[Snapshot], standing: Standing) -> None:
        """No await: nothing can come between the judgement and the change."""
        command = letter.command
        change = lifecycle.tell(self._state, command, standing, workflow.now())
        self._advance(
            change,
            Entry(
                event=command.act,
                at=workflow.now(),
                actor=command.actor,
                command=command.id,
                text=command.text,
                notices=change.notices,
                waiver=change.waiver,
                private=command.act in ("note", "assign"),
            ),
        )

    def _happened(self, event: e.MachineEvent) -> None:
        change = lifecycle.happen(self._state, event, workflow.now())
        text = event.reason if isinstance(event, e.PublicationFailed) else ""
        name = type(event).__name__
        self._advance(change, Entry(event=name, at=workflow.now(), text=text, notices=change.notices))

    def _advance(self, change: Change, entry: Entry) -> None:
        """Every change of state goes through here; an event that changed nothing leaves no trace."""
        if change.state is self._state:
            return
        before, self._state = self._state, change.state
        if updates := search_attributes.changes(before, self._state):
            workflow.upsert_search_attributes(updates)
        workflow.set_current_details(words.status_page(self._state))
        self._unrecorded.append(entry)

    def _note_refusal(self, letter: Letter[Snapshot], refusal: NotAllowed) -> None:
        command = letter.command
        revised = self._state.model_copy(update={"revision": self._state.revision + 1})
        self._advance(
            Change(revised),
            Entry(
                event=command.act,
                at=workflow.now(),
                actor=command.actor,
                command=command.id,
                text=command.text,
                refused=str(refusal)[:1000],
                notices=(NoticeKind.COMMAND_REFUSED,),
                private=True,
            ),
        )

    async def _keep_recording(self) -> None:
        """Projection follows the authority: a slow database delays the record, never a decision."""
        while True:
            await workflow.wait_condition(lambda: bool(self._unrecorded) or self._state.closed)
            if not self._unrecorded:
                return
            entries, self._unrecorded = tuple(self._unrecorded), []
            await workflow.execute_activity_method(
                RecordingActivities.record_submission,
                SubmissionRecording(snapshot=self.snapshot(), entries=entries),
                **options.RECORD,
            )

    # --- what others tell and ask -------------------------------------------------------------------------------

    @workflow.signal
    def published(self, event: e.Published) -> None:
        """The product has published this submission."""
        self._events.append(event)

    @workflow.signal
    def publication_failed(self, event: e.PublicationFailed) -> None:
        """The product could not publish it, and trying again cannot help."""
        self._events.append(event)

    @workflow.query
    def snapshot(self) -> Snapshot:
        """Whose turn it is, what the checks came to, by when."""
        return words.snapshot_of(self._state)
