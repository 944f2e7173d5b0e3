"""The story of a publisher: application, confirmation of the address, verification, later changes of profile."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import options
    from activities.recording import RecordingActivities
    from models.commands import PUBLISHER_COMMANDS, Command
    from models.errors import NotAllowed
    from models.notices import NoticeKind
    from models.publishers import ApplicationSnapshot, ApplicationState, PublisherStart, Standing
    from models.recording import ApplicationRecording, Entry
    from policies import application as life
    from policies import words
    from workflows import search_attributes
    from workflows.inbox import Inbox, told_by
    from workflows.perseverance import Beside
    from workflows.trail import Trail, entry_of, now


@workflow.defn
class PublisherWorkflow(told_by(ApplicationSnapshot, *PUBLISHER_COMMANDS)):  # type: ignore[misc]
    """One publisher, from its application on."""

    @workflow.init
    def __init__(self, start: PublisherStart) -> None:
        self.inbox: Inbox[ApplicationSnapshot] = Inbox()
        self._trail = Trail()
        self._terms = start.terms
        self._state = start.state or ApplicationState(
            id=start.id, profile=start.profile, applied=workflow.info().start_time.replace(microsecond=0)
        )

    @workflow.run
    async def run(self, start: PublisherStart) -> None:
        self._beside = Beside(self._trail.keep(self._record))
        self._show()
        if self._state.revision == 0:
            self._advance(life.apply_for(self._state, self._terms), Entry(event="apply", at=workflow.now()))
        while not self._may_begin_anew():
            if await self._reminder_is_due():
                self._advance(life.remind(self._state), Entry(event="remind", at=workflow.now()))
            if self.inbox:
                await self.inbox.judge(self._state.id, self._told, self._note_refusal)
        await self._beside.let_go()
        workflow.continue_as_new(start.model_copy(update={"state": self._state}))

    def _may_begin_anew(self) -> bool:
        """A history that has grown long is begun anew when nothing is on its way: nobody's message gets lost."""
        at_rest = self._trail.is_recorded and not self.inbox and workflow.all_handlers_finished()
        return at_rest and workflow.info().is_continue_as_new_suggested()

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

    def _told(self, command: Command, standing: Standing) -> ApplicationSnapshot:
        self._advance(life.tell(self._state, command, standing, self._terms, now()), entry_of(command))
        return self.snapshot()

    def _note_refusal(self, command: Command, refusal: NotAllowed) -> None:
        """Kept in the audit trail and answered by mail: whoever sent a signal waits for no answer."""
        revised = self._state.model_copy(update={"revision": self._state.revision + 1})
        change = life.Change(revised, (NoticeKind.COMMAND_REFUSED,))
        self._advance(change, entry_of(command, refused=str(refusal)[:1000], private=True))

    def _advance(self, change: life.Change, entry: Entry) -> None:
        """Every change of state goes through here; an event that changed nothing leaves no trace."""
        if change.state is self._state:
            return
        before, self._state = self._state, change.state
        if updates := search_attributes.of_application(before, self._state):
            workflow.upsert_search_attributes(updates)
        self._show()
        self._trail.add(entry.model_copy(update={"notices": change.notices}))

    def _show(self) -> None:
        """The Temporal UI reads like a status page."""
        situation = words.of_application(self.snapshot())
        workflow.set_current_details(
            f"**{situation.status}** · revision {self._state.revision}\n- turn: **{situation.turn}**"
            + (f", by {situation.by:%Y-%m-%d %H:%M} UTC" if situation.by else "")
            + f"\n- next: {situation.next}"
        )

    async def _record(self, entries: tuple[Entry, ...]) -> None:
        recording = ApplicationRecording(snapshot=self.snapshot(), entries=entries)
        await workflow.execute_activity_method(RecordingActivities.record_application, recording, **options.RECORD)

    @workflow.query
    def snapshot(self) -> ApplicationSnapshot:
        """Where the application stands."""
        return life.snapshot_of(self._state)
