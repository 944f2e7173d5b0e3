"""The story of a publisher: application, confirmation of the address, verification, later changes of profile."""

import asyncio
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.people import PeopleActivities
    from activities.recording import RecordingActivities

    from activities import options
    from models.commands import PUBLISHER_COMMANDS
    from models.errors import NotAllowed
    from models.publishers import ApplicationSnapshot, ApplicationState, PublisherStart
    from models.recording import ApplicationRecording, Entry
    from models.work import StandingQuestion
    from policies import application as life
    from policies import words

from workflows.inbox import Inbox, told_by


@workflow.defn
class PublisherWorkflow(told_by(ApplicationSnapshot, *PUBLISHER_COMMANDS)):  # type: ignore[misc]
    """One publisher, from its application on."""

    @workflow.init
    def __init__(self, start: PublisherStart) -> None:
        self.inbox: Inbox[ApplicationSnapshot] = Inbox()
        self._unrecorded: list[Entry] = []
        self._terms = start.terms
        self._state = start.state or ApplicationState(
            id=start.id, profile=start.profile, applied=workflow.info().start_time
        )

    @workflow.run
    async def run(self, start: PublisherStart) -> None:
        recorder = asyncio.create_task(self._keep_recording())
        if self._state.revision == 0:
            self._advance(life.apply_for(self._state, self._terms), Entry(event="apply", at=workflow.now()))
        while not workflow.info().is_continue_as_new_suggested():
            if await self._reminder_is_due():
                self._advance(life.remind(self._state), Entry(event="remind", at=workflow.now()))
            await self._answer_messages()
        await workflow.wait_condition(lambda: not self._unrecorded and workflow.all_handlers_finished())
        recorder.cancel()
        await asyncio.gather(recorder, return_exceptions=True)
        workflow.continue_as_new(start.model_copy(update={"state": self._state}))

    async def _reminder_is_due(self) -> bool:
        """Waits for a message or the reminder, whichever comes first."""
        moment = self._state.remind_at
        timeout = max(moment - workflow.now(), timedelta(seconds=1)) if moment else None
        try:
            await workflow.wait_condition(lambda: bool(self.inbox), timeout=timeout)
        except TimeoutError:
            return True
        return False

    async def _answer_messages(self) -> None:
        for letter in self.inbox.drain():
            command = letter.command
            question = StandingQuestion(actor=command.actor, publisher=self._state.id)
            standing = await workflow.execute_local_activity_method(
                PeopleActivities.standing_of, question, **options.LOOK_UP
            )
            entry = Entry(
                event=command.act, at=workflow.now(), actor=command.actor, command=command.id, text=command.text
            )
            try:
                change = life.tell(self._state, command, standing, self._terms, workflow.now())
            except NotAllowed as refusal:
                letter.refuse(refusal)
                continue
            self._advance(change, entry)
            letter.answer(self.snapshot())

    def _advance(self, change: life.Change, entry: Entry) -> None:
        if change.state is self._state:
            return
        self._state = change.state
        situation = words.of_application(self.snapshot())
        workflow.set_current_details(
            f"**{situation.status}** · revision {self._state.revision}\n- turn: **{situation.turn}**\n"
            f"- next: {situation.next}"
        )
        self._unrecorded.append(entry.model_copy(update={"notices": change.notices}))

    async def _keep_recording(self) -> None:
        while True:
            await workflow.wait_condition(lambda: bool(self._unrecorded))
            entries = tuple(self._unrecorded)
            await workflow.execute_activity_method(
                RecordingActivities.record_application,
                ApplicationRecording(snapshot=self.snapshot(), entries=entries),
                **options.RECORD,
            )
            self._unrecorded = self._unrecorded[len(entries) :]

    @workflow.query
    def snapshot(self) -> ApplicationSnapshot:
        """Where the application stands."""
        return life.snapshot_of(self._state)
