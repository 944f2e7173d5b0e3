"""The story of a submission: what the run does by itself, and what it is told."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities import options
    from activities.examination import ExaminationActivities
    from activities.onboarding import OnboardingActivities
    from activities.recording import RecordingActivities
    from models import events as e
    from models.addresses import product_address, scan_address
    from models.commands import SUBMISSION_COMMANDS, Command
    from models.content import Track
    from models.errors import NotAllowed
    from models.lifecycle import Snapshot, Stage, SubmissionState
    from models.notices import NoticeKind
    from models.products import PublicationOrder
    from models.publishers import Standing
    from models.recording import Entry, SubmissionRecording
    from models.work import Examination, IterationOrder, ScanOrder, SubmissionStart
    from policies import lifecycle, words
    from policies.stages import Change
    from workflows import search_attributes
    from workflows.inbox import Inbox, takes, told_by
    from workflows.perseverance import Beside, cancelled, persistently
    from workflows.scan import ScanWorkflow
    from workflows.trail import Trail, entry_of, now

#: stages in which the run itself does something; in the others people are at turn, and only the clock runs
_BUSY = frozenset({Stage.ONBOARDING, Stage.CHECKING, Stage.PUBLISHING})


@workflow.defn
class SubmissionWorkflow(told_by(Snapshot, *SUBMISSION_COMMANDS)):  # type: ignore[misc]
    """One submission, from onboarding to publication; dormant while it can be revived or appealed."""

    @workflow.init
    def __init__(self, start: SubmissionStart) -> None:
        self.inbox: Inbox[Snapshot] = Inbox()
        self._events: list[e.MachineEvent] = []
        self._trail = Trail()
        self._trouble = ""
        #: content and release set as the database has them
        self._recorded: tuple[str, str] | None = None
        self._asked_to_order_again = False
        self._ordered: asyncio.Future[None] | None = None
        self._state = start.state or SubmissionState(
            id=start.id,
            publisher=start.publisher,
            product=start.product,
            content=start.content,
            track=start.track,
            certify=start.certify,
            number=start.number,
            submitted=workflow.info().start_time.replace(microsecond=0),
        )

    @workflow.run
    async def run(self, start: SubmissionStart) -> None:
        self._beside = Beside(self._trail.keep(self._record))
        while not self._state.closed:
            await self._one_stage()
            if self._may_begin_anew():
                await self._beside.let_go()
                workflow.continue_as_new(start.model_copy(update={"state": self._state}))
        await self._tell_product()
        await self._answer_latecomers()
        await self._beside.let_go()

    async def _one_stage(self) -> None:
        """Do the stage's own work until it ends or a message moves the submission on, whichever comes first."""
        stage, task = self._state.stage, self._task()
        self._show(trouble="")
        work = asyncio.create_task(persistently(self._work, self._show))
        while self._task() == task and not self._may_begin_anew():
            await workflow.wait_condition(lambda: work.done() or self._has_news() or self._may_begin_anew())
            await self._answer_messages()
            if self._task() == task and work.done():
                self._happened(work.result())
                break
        await cancelled(work)
        if stage is Stage.PUBLISHING and self._state.stage is Stage.READY:
            await self._recall()

    def _has_news(self) -> bool:
        return bool(self._events) or bool(self.inbox) or self._beside.has_failed()

    def _task(self) -> tuple[object, ...]:
        """What the run is busy with: only when this changes is the work begun anew (a note disturbs no scan)."""
        return self._state.stage, self._state.iteration, self._moment()

    def _moment(self) -> datetime | None:
        """When the clock strikes next."""
        deadline = self._state.deadline
        return deadline.next_moment if deadline and not self._state.paused else None

    def _may_begin_anew(self) -> bool:
        """A history that has grown long is begun anew while people think, with nothing on its way."""
        return workflow.info().is_continue_as_new_suggested() and self._state.stage not in _BUSY and self._is_at_rest()

    def _is_at_rest(self) -> bool:
        unanswered = bool(self.inbox) or bool(self._events) or not workflow.all_handlers_finished()
        return self._trail.is_recorded and not unanswered

    async def _answer_latecomers(self) -> None:
        """Whoever wrote while the run was closing gets a clear refusal; it ends when all of it is recorded."""
        while not self._is_at_rest():
            await workflow.wait_condition(lambda: self._has_news() or self._is_at_rest())
            await self._answer_messages()

    # --- the stages' own work -----------------------------------------------------------------------------------

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
        """The iteration begins: with the policy in force now."""
        state = self._state
        order = IterationOrder(submission=state.id, iteration=state.iteration, content=state.content)
        return await workflow.execute_activity_method(OnboardingActivities.onboard, order, **options.ONBOARD)

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
            # whoever withdraws does not wait until every scanner has heard of it
            cancellation_type=workflow.ChildWorkflowCancellationType.TRY_CANCEL,
            parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
        )
        return result.examined

    async def _clock(self) -> e.ClockStruck:
        moment = self._moment()
        if moment is None:
            await workflow.wait_condition(lambda: False)
            raise AssertionError  # the wait ends only by cancellation
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
        while True:
            self._asked_to_order_again = False
            # once sent it is not taken back half-way: a recall must never arrive before the order that it recalls
            self._ordered = asyncio.ensure_future(self._product().signal("publish", order))
            await asyncio.shield(self._ordered)
            await workflow.wait_condition(lambda: self._asked_to_order_again)

    async def _recall(self) -> None:
        """The approval was undone: not to be published if that is still possible."""
        if self._ordered is not None:
            await asyncio.gather(self._ordered, return_exceptions=True)
        await self._tell("recall")

    async def _tell_product(self) -> None:
        """A published submission is known to its product already, a superseded one as well."""
        if self._state.stage in (Stage.WITHDRAWN, Stage.CLOSED):
            await self._tell("submission_closed")

    async def _tell(self, what: str) -> None:
        """A product whose process somebody has ended need not know any more."""
        try:
            await self._product().signal(what, self._state.id)
        except FailureError as gone:
            workflow.logger.warning("the product was not told %s: %s", what, gone)

    def _product(self) -> "workflow.ExternalWorkflowHandle[Any]":
        return workflow.get_external_workflow_handle(product_address(self._state.product))

    def _order(self) -> IterationOrder:
        state = self._state
        return IterationOrder(
            submission=state.id,
            iteration=state.iteration,
            content=state.content,
            release=state.release,
            policy=state.policy,
        )

    # --- changes of state ---------------------------------------------------------------------------------------

    async def _answer_messages(self) -> None:
        """What has happened first; then one letter, so that no flood of them holds up the run's own work."""
        self._beside.check()
        while self._events:
            self._happened(self._events.pop(0))
        if self.inbox:
            await self.inbox.judge(self._state.publisher, self._told, self._note_refusal)

    def _told(self, command: Command, standing: Standing) -> Snapshot:
        change = lifecycle.tell(self._state, command, standing, now())
        private = command.act in ("note", "assign")
        self._advance(change, entry_of(command, notices=change.notices, waiver=change.waiver, private=private))
        # whoever decides knows what it looked at, and histories have a budget
        return self.snapshot().model_copy(update={"content": "", "release": ""})

    def _note_refusal(self, command: Command, refusal: NotAllowed) -> None:
        """Kept in the audit trail and answered by mail: whoever sent a signal waits for no answer."""
        revised = Change(self._state.model_copy(update={"revision": self._state.revision + 1}))
        notices = (NoticeKind.COMMAND_REFUSED,)
        self._advance(revised, entry_of(command, refused=str(refusal)[:1000], notices=notices, private=True))

    def _happened(self, event: e.MachineEvent) -> None:
        change = lifecycle.happen(self._state, event, now())
        text = event.reason if isinstance(event, e.PublicationFailed) else ""
        name = type(event).__name__
        self._advance(change, Entry(event=name, at=workflow.now(), text=text, notices=change.notices))

    def _advance(self, change: Change, entry: Entry) -> None:
        """Every change of state goes through here; an event that changed nothing leaves no trace."""
        if change.state is self._state:
            return
        before, self._state = self._state, change.state
        if updates := search_attributes.of_submission(before, self._state):
            workflow.upsert_search_attributes(updates)
        self._show()
        self._trail.add(entry)

    def _show(self, trouble: str | None = None) -> None:
        """The Temporal UI reads like a status page, with the hub's own trouble if there is any."""
        if trouble is not None:
            self._trouble = trouble
        number = f"- submission #{self._state.number} of its product"
        workflow.set_current_details("\n".join(filter(None, (words.status_page(self._state), number, self._trouble))))

    async def _record(self, entries: tuple[Entry, ...]) -> None:
        """The digests travel only when they are new: they are most of a snapshot's bytes."""
        snapshot = self.snapshot()
        digests = snapshot.content, snapshot.release
        as_before = digests == self._recorded
        if as_before:
            snapshot = snapshot.model_copy(update={"content": "", "release": "", "number": 0})
        recording = SubmissionRecording(snapshot=snapshot, entries=entries, as_before=as_before)
        await workflow.execute_activity_method(RecordingActivities.record_submission, recording, **options.RECORD)
        self._recorded = digests

    # --- what others tell and ask -------------------------------------------------------------------------------

    @workflow.signal
    @takes(e.Published)
    def published(self, event: e.Published) -> None:
        """The product has published this submission."""
        self._events.append(event)

    @workflow.signal
    @takes(e.PublicationFailed)
    def publication_failed(self, event: e.PublicationFailed) -> None:
        """The product could not publish it, and trying again cannot help."""
        self._events.append(event)

    @workflow.signal
    @takes(str)
    def order_again(self, who: str) -> None:
        """The product knows nothing of the publication: its process has been reset, say."""
        workflow.logger.warning("%s asks for the publication to be ordered again", who)
        self._asked_to_order_again = True

    @workflow.query
    def snapshot(self) -> Snapshot:
        """Whose turn it is, what the checks came to, by when."""
        return words.snapshot_of(self._state)
