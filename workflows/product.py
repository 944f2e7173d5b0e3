"""The story of a product: it numbers submissions, publishes one after the other, and keeps the listing's state."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities import options
    from activities.people import PeopleActivities
    from activities.publication import PublicationActivities
    from activities.recording import RecordingActivities
    from models import events as e
    from models.addresses import submission_address
    from models.commands import PRODUCT_COMMANDS, Supersede
    from models.errors import NotAllowed
    from models.notices import NoticeKind
    from models.products import ListingStatus, NewSubmission, ProductSnapshot, ProductState, PublicationOrder, Submitted
    from models.recording import Entry, ProductRecording
    from models.work import ListingOrder, ProductStart, PublicationDone, StandingQuestion, SubmissionStart
    from policies import product as life

from workflows import search_attributes
from workflows.inbox import Inbox, told_by
from workflows.submission import SubmissionWorkflow


class _Arrival:
    """A new submission, and the update that waits for its number."""

    def __init__(self, new: NewSubmission) -> None:
        self.new = new
        self.answer: asyncio.Future[Submitted] = asyncio.get_running_loop().create_future()


@workflow.defn
class ProductWorkflow(told_by(ProductSnapshot, *PRODUCT_COMMANDS)):  # type: ignore[misc]
    """One product, from its first submission on."""

    @workflow.init
    def __init__(self, start: ProductStart) -> None:
        self.inbox: Inbox[ProductSnapshot] = Inbox()
        self._arrivals: list[_Arrival] = []
        self._unrecorded: list[Entry] = []
        self._state = start.state or ProductState(id=start.id, publisher=start.publisher)

    @workflow.run
    async def run(self, start: ProductStart) -> None:
        recorder = asyncio.create_task(self._keep_recording())
        publisher = asyncio.create_task(self._publish_in_turn())
        while not workflow.info().is_continue_as_new_suggested():
            await self._next_moment()
            while self._arrivals:
                await self._welcome(self._arrivals.pop(0))
            await self._answer_messages()
            self._advance(life.hold_over(self._state, workflow.now()), Entry(event="hold_over", at=workflow.now()))
        publisher.cancel()
        await workflow.wait_condition(lambda: not self._unrecorded and workflow.all_handlers_finished())
        recorder.cancel()
        await asyncio.gather(publisher, recorder, return_exceptions=True)
        workflow.continue_as_new(ProductStart(id=start.id, publisher=start.publisher, state=self._state))

    async def _next_moment(self) -> None:
        """A message, or the end of a hold's term."""
        until = self._state.hold_until
        timeout = max(until - workflow.now(), timedelta(seconds=1)) if until else None
        try:
            await workflow.wait_condition(lambda: bool(self._arrivals) or bool(self.inbox), timeout=timeout)
        except TimeoutError:
            return

    # --- submissions ----------------------------------------------------------------------------------------------

    async def _welcome(self, arrival: _Arrival) -> None:
        """Number it, start its process, and tell the older one of its track that it is superseded."""
        new = arrival.new
        admission = await workflow.execute_local_activity_method(PeopleActivities.may_submit, new, **options.LOOK_UP)
        try:
            if admission.problem:
                raise NotAllowed(admission.problem)
            change = life.submit(self._state, new, admission.clocks)
        except NotAllowed as refused:
            error = ApplicationError(str(refused), type="NotAllowed", non_retryable=True)
            if not arrival.answer.done():
                arrival.answer.set_exception(error)
            return
        number = next(known.number for known in change.state.open if known.id == new.id)
        if change.state is not self._state:
            await self._start(new, number)
            if change.superseded:
                await self._supersede(change.superseded, new)
            event = Entry(event="submit", at=workflow.now(), actor=new.actor, text=f"#{number}")
            self._advance(change, event)
        if not arrival.answer.done():
            arrival.answer.set_result(Submitted(submission=new.id, number=number, superseded=change.superseded))

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
            search_attributes=search_attributes.at_start(new.publisher, new.product),
        )

    async def _supersede(self, older: str, new: NewSubmission) -> None:
        command = Supersede(id=f"supersede-{new.id}", actor=new.actor, by=new.id)
        await self._signal(older, "supersede", command)

    async def _signal(self, submission: str, name: str, message: object) -> None:
        """A submission that has ended meanwhile need not be told any more."""
        try:
            await workflow.get_external_workflow_handle(submission_address(submission)).signal(name, message)
        except FailureError as gone:
            workflow.logger.info("%s was not told %s: %s", submission, name, gone)

    # --- publication ----------------------------------------------------------------------------------------------

    async def _publish_in_turn(self) -> None:
        while True:
            await workflow.wait_condition(lambda: bool(self._state.queue))
            order = self._state.queue[0]
            work = asyncio.create_task(self._publish(order))
            # an undone approval leaves the queue, and with it its place here
            await workflow.wait_condition(lambda: work.done() or order not in self._state.queue)  # noqa: B023
            if not work.done():
                work.cancel()
            result = (await asyncio.gather(work, return_exceptions=True))[0]
            if isinstance(result, BaseException):
                continue
            await self._conclude(order, result)

    async def _publish(self, order: PublicationOrder) -> PublicationDone:
        return await workflow.execute_activity_method(
            PublicationActivities.publish, order, **options.publish(self._state.publisher)
        )

    async def _conclude(self, order: PublicationOrder, done: PublicationDone) -> None:
        """What is published is published, even when the recall came a moment too late."""
        if done.problem:
            self._state = life.failed(self._state, order)
            await self._signal(order.submission, "publication_failed", e.PublicationFailed(reason=done.problem))
            return
        change = life.published(self._state, order)
        self._advance(
            change, Entry(event="published", at=workflow.now(), text=order.submission, notices=change.notices)
        )
        await self._signal(order.submission, "published", e.Published(release=order.release))

    # --- decisions on the listing -----------------------------------------------------------------------------------

    async def _answer_messages(self) -> None:
        for letter in self.inbox.drain():
            command = letter.command
            question = StandingQuestion(actor=command.actor, publisher=self._state.publisher)
            standing = await workflow.execute_local_activity_method(
                PeopleActivities.standing_of, question, **options.LOOK_UP
            )
            entry = Entry(
                event=command.act, at=workflow.now(), actor=command.actor, command=command.id, text=command.text
            )
            try:
                change = life.tell(self._state, command, standing, workflow.now())
            except NotAllowed as refusal:
                letter.refuse(refusal)
                if letter.signalled:
                    refused = {"refused": str(refusal)[:1000], "notices": (NoticeKind.COMMAND_REFUSED,)}
                    revised = self._state.model_copy(update={"revision": self._state.revision + 1})
                    self._advance(life.Change(revised), entry.model_copy(update=refused))
                continue
            before = self._state.status
            self._advance(change, entry.model_copy(update={"notices": change.notices}))
            letter.answer(self.snapshot())
            await self._list(before)

    async def _list(self, before: ListingStatus) -> None:
        """A revoked listing's manifests leave the registry; recovered, they come back."""
        after = self._state.status
        if before is not after and ListingStatus.REVOKED in (before, after):
            order = ListingOrder(product=self._state.id, status=after, revision=self._state.revision)
            await workflow.execute_activity_method(
                PublicationActivities.apply_listing, order, **options.publish(self._state.publisher)
            )

    def _advance(self, change: life.Change, entry: Entry) -> None:
        if change.state is self._state:
            return
        self._state = change.state
        workflow.set_current_details(_details(self._state))
        if change.notices and not entry.notices:
            entry = entry.model_copy(update={"notices": change.notices})
        self._unrecorded.append(entry)

    async def _keep_recording(self) -> None:
        while True:
            await workflow.wait_condition(lambda: bool(self._unrecorded))
            entries = tuple(self._unrecorded)
            await workflow.execute_activity_method(
                RecordingActivities.record_product,
                ProductRecording(snapshot=self.snapshot(), entries=entries),
                **options.RECORD,
            )
            self._unrecorded = self._unrecorded[len(entries) :]

    # --- what others tell and ask ---------------------------------------------------------------------------------

    @workflow.update
    async def submit(self, new: NewSubmission) -> Submitted:
        """A new submission whose content is stored; answers its number."""
        arrival = _Arrival(new)
        self._arrivals.append(arrival)
        return await arrival.answer

    @workflow.signal
    def publish(self, order: PublicationOrder) -> None:
        """An approved submission asks to be published."""
        self._state = life.order(self._state, order)

    @workflow.signal
    def recall(self, submission: str) -> None:
        """The approval was undone: not to be published if that is still possible."""
        self._state = life.recall(self._state, submission)

    @workflow.signal
    def submission_closed(self, submission: str) -> None:
        """Withdrawn or closed for good."""
        self._state = life.closed(self._state, submission)

    @workflow.query
    def snapshot(self) -> ProductSnapshot:
        """State of the listing and what waits to be published."""
        return life.snapshot_of(self._state)


def _details(state: ProductState) -> str:
    """Markdown for the Temporal UI."""
    lines = [f"**{state.status}** · {state.numbered} submissions · revision {state.revision}"]
    lines += [f"- open: #{known.number} `{known.id}` ({known.track})" for known in state.open]
    lines += [f"- to publish: `{order.submission}`" for order in state.queue]
    if state.reason:
        lines.append(f"- reason: {state.reason}")
    return "\n".join(lines)
