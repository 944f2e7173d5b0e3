"""The story of an update of advisories that concerns very many products: it waits for the security team."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import options
    from activities.mass_changes import MassChangeActivities
    from activities.watching import WatchActivities
    from models.commands import MASS_CHANGE_COMMANDS, Command
    from models.errors import NotAllowed
    from models.notices import NoticeKind
    from models.publishers import Standing
    from models.recording import Entry, MassChangeRecording
    from models.watching import BatchStatus, MassChangeSnapshot
    from models.work import BatchOrder, MassChangeStart, Told
    from policies import mass_changes as life
    from policies import words
    from workflows.inbox import Inbox, told_by
    from workflows.perseverance import Beside, persistently
    from workflows.trail import Trail, entry_of, now


@workflow.defn
class MassChangeWorkflow(told_by(MassChangeSnapshot, *MASS_CHANGE_COMMANDS)):  # type: ignore[misc]
    """mass-change/<batch>: no clock runs, and no publisher is told, before somebody has looked."""

    @workflow.init
    def __init__(self, start: MassChangeStart) -> None:
        self.inbox: Inbox[MassChangeSnapshot] = Inbox()
        self._trail = Trail()
        self._trouble = ""
        self._state = start.state or MassChangeSnapshot(
            id=start.batch.id,
            names=start.batch.names,
            products=start.batch.products,
            since=workflow.info().start_time.replace(microsecond=0),
        )

    @workflow.run
    async def run(self, start: MassChangeStart) -> MassChangeSnapshot:
        self._beside = Beside(self._trail.keep(self._record))
        if self._state.revision == 0:
            await self._ask("waits")
        while self._state.status is BatchStatus.WAITING:
            if await self._reminder_is_due():
                await self._ask("remind")
            if self.inbox:
                await self.inbox.judge("", self._told, self._note_refusal)
            if self._may_begin_anew():
                await self._beside.let_go()
                workflow.continue_as_new(start.model_copy(update={"state": self._state}))
        told = await persistently(self._carry_out, self._show)
        said = f"{told.products} products were told of {told.changes} changes."
        self._advance(life.done(self._state), Entry(event="told", at=workflow.now(), text=said))
        while self.inbox:
            await self.inbox.judge("", self._told, self._note_refusal)
        await workflow.wait_condition(lambda: self._trail.is_recorded and workflow.all_handlers_finished())
        await self._beside.let_go()
        return self._state

    async def _ask(self, event: str) -> None:
        """The team is told; how often it is reminded is the policy's of that moment."""
        watch = await workflow.execute_local_activity_method(MassChangeActivities.watch_terms, **options.LOOK_UP)
        change = (life.waits if event == "waits" else life.remind)(self._state, watch, now())
        said = f"An update about {self._state.names} packages concerns {self._state.products} published products."
        self._advance(change, Entry(event=event, at=workflow.now(), text=said))

    async def _reminder_is_due(self) -> bool:
        """Waits for a message or the reminder, whichever comes first."""
        moment = self._state.remind_at
        timeout = max(moment - workflow.now(), timedelta(seconds=1)) if moment else None
        try:
            await workflow.wait_condition(
                lambda: bool(self.inbox) or self._may_begin_anew() or self._beside.has_failed(),
                timeout=timeout,
                timeout_summary="reminder",
            )
        except TimeoutError:
            return True
        self._beside.check()
        return False

    def _may_begin_anew(self) -> bool:
        at_rest = self._trail.is_recorded and not self.inbox and workflow.all_handlers_finished()
        return at_rest and workflow.info().is_continue_as_new_suggested()

    async def _carry_out(self) -> Told:
        """What was declined is told as far as it takes something back: that is no penalty."""
        order = BatchOrder(batch=self._state.id, actor=self._state.decided_by, reason=self._state.reason)
        if self._state.status is BatchStatus.DISMISSED:
            return await workflow.execute_activity_method(WatchActivities.dismiss_batch, order, **options.TELL)
        return await workflow.execute_activity_method(WatchActivities.tell_products, order, **options.TELL)

    def _told(self, command: Command, standing: Standing) -> MassChangeSnapshot:
        self._advance(life.tell(self._state, command, standing), entry_of(command))
        return self.snapshot()

    def _note_refusal(self, command: Command, refusal: NotAllowed) -> None:
        """Kept in the audit trail and answered by mail: whoever sent a signal waits for no answer."""
        revised = self._state.model_copy(update={"revision": self._state.revision + 1})
        change = life.Change(revised, (NoticeKind.COMMAND_REFUSED,))
        self._advance(change, entry_of(command, refused=str(refusal)[:1000], private=True))

    def _advance(self, change: life.Change, entry: Entry) -> None:
        if change.state is self._state:
            return
        self._state = change.state
        self._show()
        self._trail.add(entry.model_copy(update={"notices": change.notices}))

    def _show(self, trouble: str | None = None) -> None:
        """The Temporal UI reads like a status page, with the hub's own trouble if there is any."""
        if trouble is not None:
            self._trouble = trouble
        situation = words.of_mass_change(self._state)
        lines = [
            f"**{situation.status}** · {self._state.products} products, {self._state.names} packages",
            f"- turn: **{situation.turn}**",
            f"- next: {situation.next}",
            f"- since: {self._state.since:%Y-%m-%d %H:%M} UTC",
            f"- reason: {self._state.reason}" if self._state.reason else "",
            self._trouble,
        ]
        workflow.set_current_details("\n".join(filter(None, lines)))

    async def _record(self, entries: tuple[Entry, ...]) -> None:
        recording = MassChangeRecording(snapshot=self._state, entries=entries)
        await workflow.execute_activity_method(MassChangeActivities.record_mass_change, recording, **options.RECORD)

    @workflow.query
    def snapshot(self) -> MassChangeSnapshot:
        """Where it stands, and who has decided."""
        return self._state
