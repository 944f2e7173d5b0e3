"""The story of a product: it numbers submissions, publishes one after the other, and keeps the listing's state."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import (
    ApplicationError,
    FailureError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

with workflow.unsafe.imports_passed_through():
    from activities import options
    from activities.people import PeopleActivities
    from activities.publication import PublicationActivities
    from activities.recording import RecordingActivities
    from models import events as e
    from models.addresses import submission_address
    from models.commands import PRODUCT_COMMANDS, AskWaiver, Command, Supersede, Waive
    from models.errors import NotAllowed
    from models.notices import NoticeKind
    from models.products import ListingStatus, NewSubmission, ProductSnapshot, ProductState, PublicationOrder, Submitted
    from models.publishers import Standing
    from models.recording import Entry, ProductRecording
    from models.watching import Clock, ExposureNews
    from models.work import Admission, ListingOrder, ProductStart, PublicationDone, SubmissionStart
    from policies import clocks, remediation
    from policies import product as life
    from workflows import search_attributes
    from workflows.inbox import Inbox, takes, told_by
    from workflows.perseverance import Beside, cancelled, has_succeeded, persistently, root_cause
    from workflows.submission import SubmissionWorkflow
    from workflows.trail import Trail, entry_of, now


class _Arrival:
    """A new submission, and the update that waits for its number."""

    def __init__(self, new: NewSubmission) -> None:
        self.new = new
        self._answer: asyncio.Future[Submitted] = asyncio.get_running_loop().create_future()

    async def answered(self) -> Submitted:
        return await self._answer

    def answer(self, submitted: Submitted) -> None:
        if not self._answer.done():
            self._answer.set_result(submitted)

    def refuse(self, refusal: NotAllowed) -> None:
        if not self._answer.done():
            self._answer.set_exception(ApplicationError(str(refusal), type="NotAllowed", non_retryable=True))


@workflow.defn
class ProductWorkflow(told_by(ProductSnapshot, *PRODUCT_COMMANDS)):  # type: ignore[misc]
    """One product, from its first submission on."""

    @workflow.init
    def __init__(self, start: ProductStart) -> None:
        self.inbox: Inbox[ProductSnapshot] = Inbox()
        self._arrivals: list[_Arrival] = []
        self._news: list[ExposureNews] = []
        #: a publication has changed the clocks: the timer that runs is not the one that is needed
        self._clocks_changed = False
        self._trail = Trail()
        self._trouble = ""
        #: something is on its way to the registry, or the answer to it
        self._registry_is_busy = False
        self._state = start.state or ProductState(id=start.id, publisher=start.publisher)

    @workflow.run
    async def run(self, start: ProductStart) -> None:
        self._beside = Beside(self._trail.keep(self._record), self._tend_the_registry())
        self._show()
        while not self._may_begin_anew():
            await self._next_moment()
            if self._arrivals:
                await self._welcome(self._arrivals.pop(0))
            if self.inbox:
                await self.inbox.judge(self._state.publisher, self._told, self._note_refusal)
            while self._news:
                self._hear(self._news.pop(0))
            self._strike()
            self._advance(life.hold_over(self._state, now()), Entry(event="hold_over", at=workflow.now()))
        await self._beside.let_go()
        workflow.continue_as_new(start.model_copy(update={"state": self._state}))

    async def _next_moment(self) -> None:
        """A message, what the clocks do next, the end of a hold's term, or the time to begin anew."""
        self._clocks_changed = False
        until = min(filter(None, (self._state.hold_until, self._clocks_moment())), default=None)
        timeout = max(until - workflow.now(), timedelta(seconds=1)) if until else None
        try:
            await workflow.wait_condition(
                lambda: self._has_news() or self._may_begin_anew(),
                timeout=timeout,
                timeout_summary="the hold's term" if self._state.hold_until else "the next clock",
            )
        except TimeoutError:
            return
        self._beside.check()

    def _clocks_moment(self) -> datetime | None:
        """When the clocks do something by themselves. Holds that began before there was a warning have none."""
        moment = remediation.next_moment(self._state)
        if moment is not None and self._state.status is ListingStatus.HOLD and not workflow.patched("revoke-warning"):
            return None
        return moment

    def _has_news(self) -> bool:
        told = bool(self._arrivals) or bool(self.inbox) or bool(self._news)
        return told or self._clocks_changed or self._beside.has_failed()

    def _may_begin_anew(self) -> bool:
        """A history that has grown long is begun anew when nothing is on its way: nobody's message gets lost."""
        return (
            workflow.info().is_continue_as_new_suggested()
            and not self._registry_is_busy
            and not (self._arrivals or self.inbox or self._news)
            and self._trail.is_recorded
            and workflow.all_handlers_finished()
        )

    # --- submissions ----------------------------------------------------------------------------------------------

    async def _welcome(self, arrival: _Arrival) -> None:
        try:
            arrival.answer(await self._submitted(arrival.new))
        except NotAllowed as refusal:
            arrival.refuse(refusal)

    async def _submitted(self, new: NewSubmission) -> Submitted:
        """Number it, start its process, and tell the older one of its track that it is superseded.

        The state changes before anything is awaited: a signal that comes meanwhile changes the same state.
        """
        admission = await self._admission_of(new)
        if admission.problem:
            raise NotAllowed(admission.problem)
        before, change = self._state, life.submit(self._state, new, admission.clocks)
        number = next(known.number for known in change.state.open if known.id == new.id)
        if change.state is not before:
            self._advance(change, Entry(event="submit", at=workflow.now(), actor=new.actor, text=f"#{number}"))
            try:
                await self._start(new, number)
            except WorkflowAlreadyStartedError as known:
                self._state = life.closed(self._state, new.id)
                raise NotAllowed(f"Submission {new.id} was handed in before.") from known
            if change.superseded:
                command = Supersede(id=f"supersede-{new.id}", actor=new.actor, by=new.id)
                await self._signal(change.superseded, "supersede", command)
        return Submitted(submission=new.id, number=number, superseded=change.superseded)

    async def _admission_of(self, new: NewSubmission) -> Admission:
        try:
            return await workflow.execute_local_activity_method(PeopleActivities.may_submit, new, **options.LOOK_UP)
        except FailureError as failure:
            if is_cancelled_exception(failure):
                raise
            return Admission(problem=f"The publisher could not be looked up: {root_cause(failure)}")

    async def _start(self, new: NewSubmission, number: int) -> None:
        await workflow.start_child_workflow(
            SubmissionWorkflow.run,
            SubmissionStart(
                id=new.id,
                publisher=new.publisher,
                product=new.product,
                content=new.content,
                number=number,
                track=new.track,
                certify=new.certify,
            ),
            id=submission_address(new.id),
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            search_attributes=search_attributes.at_start(new.publisher),
        )

    async def _signal(self, submission: str, name: str, message: object) -> None:
        """A submission that has ended meanwhile need not be told any more."""
        try:
            await workflow.get_external_workflow_handle(submission_address(submission)).signal(name, message)
        except FailureError as gone:
            workflow.logger.info("%s was not told %s: %s", submission, name, gone)

    # --- the registry -----------------------------------------------------------------------------------------------

    async def _tend_the_registry(self) -> None:
        """One thing after the other; a revocation goes before any publication."""
        while True:
            await workflow.wait_condition(lambda: self._listing_is_due() or self._publication_is_due())
            self._registry_is_busy = True
            if self._listing_is_due():
                await self._list()
            else:
                await self._publish(self._state.queue[0])
            self._registry_is_busy = False

    def _listing_is_due(self) -> bool:
        """The registry still shows what is revoked, or not what is recovered."""
        return (self._state.status is ListingStatus.REVOKED) is not self._state.withdrawn

    def _publication_is_due(self) -> bool:
        """A copy may take hours: none is begun when the history is about to be."""
        return bool(self._state.queue) and not workflow.info().is_continue_as_new_suggested()

    async def _list(self) -> None:
        """A revoked listing's manifests leave the registry; recovered, they come back."""
        state, status = self._state, self._state.status
        order = ListingOrder(product=state.id, status=status, revision=state.revision, by_clock=state.by_clock)
        work = asyncio.create_task(persistently(lambda: self._apply(order), self._show))
        await workflow.wait_condition(lambda: work.done() or not self._listing_is_due())
        await cancelled(work)
        self._show(trouble="")
        if has_succeeded(work):
            self._state = life.shown(self._state, withdrawn=status is ListingStatus.REVOKED)

    async def _apply(self, order: ListingOrder) -> None:
        await workflow.execute_activity_method(
            PublicationActivities.apply_listing, order, **options.publish(self._state.publisher)
        )

    async def _publish(self, order: PublicationOrder) -> None:
        """A recalled order leaves the queue, and with it its place here; a revocation interrupts."""
        if life.is_live(self._state, order):
            self._state = life.recall(self._state, order.submission)
            await self._signal(order.submission, "published", e.Published(release=order.release))
            return
        work = asyncio.create_task(persistently(lambda: self._copy(order), self._show))
        await workflow.wait_condition(lambda: work.done() or order not in self._state.queue or self._listing_is_due())
        await cancelled(work)
        self._show(trouble="")
        if has_succeeded(work):
            await self._conclude(order, work.result())

    async def _copy(self, order: PublicationOrder) -> PublicationDone:
        return await workflow.execute_activity_method(
            PublicationActivities.publish, order, **options.publish(self._state.publisher)
        )

    async def _conclude(self, order: PublicationOrder, done: PublicationDone) -> None:
        """What is published is published, even when the recall came a moment too late."""
        self._news.extend(self._state.early)
        self._state = self._state.model_copy(update={"early": ()})
        if done.problem:
            self._state = life.failed(self._state, order)
            await self._signal(order.submission, "publication_failed", e.PublicationFailed(reason=done.problem))
            return
        change = life.published(self._state, order, done.changes, now())
        self._advance(change, Entry(event="published", at=workflow.now(), text=order.submission))
        self._clocks_changed = bool(self._state.exposures)
        await self._signal(order.submission, "published", e.Published(release=order.release))

    # --- the watch --------------------------------------------------------------------------------------------------

    def _hear(self, news: ExposureNews) -> None:
        """What the advisories say of the published images now. What has no clock is remembered and not recorded."""
        change = remediation.told(self._state, news, now())
        if change.state.revision == self._state.revision:
            self._state = change.state
            return
        kinds = Counter(told.kind for told in news.changes)
        said = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        self._advance(change, Entry(event="exposures", at=workflow.now(), text=said))

    def _strike(self) -> None:
        """A reminder, a hold or a warning, each by the clock alone."""
        moment = self._clocks_moment()
        if moment is None or moment > now():
            return
        change = remediation.struck(self._state, now())
        event, text = remediation.event(change)
        self._advance(change, Entry(event=event, at=workflow.now(), text=text))

    # --- decisions on the listing -----------------------------------------------------------------------------------

    def _told(self, command: Command, standing: Standing) -> ProductSnapshot:
        change = life.tell(self._state, command, standing, now())
        # of a product's findings there is no list beside the words: they name the one that they are about
        about = f"{command.finding}\n{command.text}" if isinstance(command, Waive | AskWaiver) else command.text
        self._advance(change, entry_of(command, text=about, waiver=change.waiver))
        return self.snapshot()

    def _note_refusal(self, command: Command, refusal: NotAllowed) -> None:
        """Kept in the audit trail and answered by mail: whoever sent a signal waits for no answer."""
        revised = self._state.model_copy(update={"revision": self._state.revision + 1})
        change = life.Change(revised, (NoticeKind.COMMAND_REFUSED,))
        self._advance(change, entry_of(command, refused=str(refusal)[:1000], private=True))

    def _advance(self, change: life.Change, entry: Entry) -> None:
        """Every recorded change goes through here; an event that changed nothing leaves no trace."""
        if change.state is self._state:
            return
        before, self._state = self._state, change.state
        if updates := search_attributes.of_product(before, self._state):
            workflow.upsert_search_attributes(updates)
        self._show()
        self._trail.add(entry.model_copy(update={"notices": change.notices}))

    def _show(self, trouble: str | None = None) -> None:
        """The Temporal UI reads like a status page, with the hub's own trouble if there is any."""
        if trouble is not None:
            self._trouble = trouble
        workflow.set_current_details("\n".join(filter(None, (_details(self._state), self._trouble))))

    async def _record(self, entries: tuple[Entry, ...]) -> None:
        recording = ProductRecording(snapshot=self.snapshot(), entries=entries)
        await workflow.execute_activity_method(RecordingActivities.record_product, recording, **options.RECORD)

    # --- what others tell and ask ---------------------------------------------------------------------------------

    @workflow.update
    @takes(NewSubmission)
    async def submit(self, new: NewSubmission) -> Submitted:
        """A new submission whose content is stored; answers its number."""
        arrival = _Arrival(new)
        self._arrivals.append(arrival)
        return await arrival.answered()

    @workflow.signal
    @takes(PublicationOrder)
    def publish(self, order: PublicationOrder) -> None:
        """An approved submission asks to be published."""
        self._state = life.order(self._state, order)
        self._show()

    @workflow.signal
    @takes(str)
    def recall(self, submission: str) -> None:
        """The approval was undone: not to be published if that is still possible."""
        self._state = life.recall(self._state, submission)
        self._show()

    @workflow.signal
    @takes(str)
    def submission_closed(self, submission: str) -> None:
        """Withdrawn or closed for good."""
        self._state = life.closed(self._state, submission)
        self._show()

    @workflow.signal
    @takes(ExposureNews)
    def exposures(self, news: ExposureNews) -> None:
        """The advisories were matched again with the published images."""
        self._news.append(news)

    @workflow.query
    def clocks(self) -> list[Clock]:
        """What has to be mended, and by when; the most urgent first, then what waits for a fix."""
        ordered = [clock for clock in self._state.exposures if clock.due is not None]
        ordered.sort(key=lambda clock: (clock.due, clock.key))
        return ordered + [clock for clock in self._state.exposures if clock.due is None]

    @workflow.query
    def snapshot(self) -> ProductSnapshot:
        """State of the listing and what waits to be published."""
        return life.snapshot_of(self._state)


def _details(state: ProductState) -> str:
    """Markdown for the Temporal UI."""
    lines = [f"**{state.status}** · {state.numbered} submissions · revision {state.revision}"]
    lines += [f"- open: #{known.number} `{known.id}` ({known.track})" for known in state.open]
    lines += [f"- to publish: `{order.submission}`" for order in state.queue]
    if state.exposures:
        due = clocks.next_due(state.exposures)
        first = f"the first clock ends {due:%Y-%m-%d %H:%M} UTC" if due else "no clock runs until there is a fix"
        lines.append(f"- to mend: {remediation.count(state)}; {first}")
    if state.reason:
        lines.append(f"- reason: {state.reason}")
    if state.hold_until:
        lines.append(f"- revoked {state.hold_until:%Y-%m-%d %H:%M} UTC, unless it recovers")
    return "\n".join(lines)
