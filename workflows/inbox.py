"""The inbox: commands come as updates or as signals of the same name, and are judged when the inbox is drained."""

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities import options
    from activities.people import PeopleActivities
    from models.base import Message
    from models.commands import Command
    from models.errors import NotAllowed
    from models.publishers import Standing
    from models.work import StandingQuestion
    from workflows.trail import now

A = TypeVar("A", bound=Message)


class Letter(Generic[A]):
    """One command, and the update that waits for its answer; a signal waits for none."""

    def __init__(self, command: Command, answer: "asyncio.Future[A] | None") -> None:
        self.command = command
        self._answer = answer

    @property
    def signalled(self) -> bool:
        return self._answer is None

    def answer(self, snapshot: A) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(snapshot)

    def refuse(self, refusal: NotAllowed) -> None:
        """An update raises to its own caller; a signal's refusal is for the audit trail. Neither fails the run."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ApplicationError(str(refusal), type="NotAllowed", non_retryable=True))


class Inbox(Generic[A]):
    def __init__(self) -> None:
        self._letters: list[Letter[A]] = []

    def __bool__(self) -> bool:
        return bool(self._letters)

    def put(self, command: Command) -> None:
        self._letters.append(Letter(command, None))

    async def answered(self, command: Command) -> A:
        """Waits for the command's own answer only, not for the projection."""
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._letters.append(Letter(command, answer))
        return await answer

    async def judge(
        self,
        publisher: str,
        tell: Callable[[Command, Standing], A],
        note: Callable[[Command, NotAllowed], None],
    ) -> None:
        """Judge the oldest letter by its actor's standing of this moment; a refused signal is noted.

        Only the look-up is awaited: nothing can come between the judgement and the change that `tell` makes.
        """
        letter = self._letters.pop(0)
        try:
            standing = await _standing_of(letter.command.actor, publisher)
            letter.answer(tell(letter.command, standing))
        except NotAllowed as refusal:
            letter.refuse(refusal)
            if letter.signalled:
                note(letter.command, refusal)


async def _standing_of(actor: str, publisher: str) -> Standing:
    """An outage of the database delays the answer; a look-up that can never succeed refuses the one command."""
    question = StandingQuestion(actor=actor, publisher=publisher, at=now())
    try:
        return await workflow.execute_local_activity_method(PeopleActivities.standing_of, question, **options.LOOK_UP)
    except FailureError as failure:
        if is_cancelled_exception(failure):
            raise
        raise NotAllowed(f"The roles of {actor} could not be looked up: {failure.cause or failure}") from failure


@functools.cache
def told_by(answer: type[Message], *commands: type[Command]) -> type:
    """A base class with one update and one signal per command, both named after its act and feeding `self.inbox`.

    Spelt out, they would be two methods of three lines for each of twenty commands that differ in a type and a name.
    Made once, and not anew by each run that imports its workflow: that is half of what the sandbox of a run costs.
    """
    members: dict[str, Any] = {}
    for command in commands:
        members[command.act] = _update(command, answer)
        members[f"{command.act}_signalled"] = _signal(command)
    return type("Told", (), members)


def _update(command: type[Command], answer: type[Message]) -> Callable[..., Any]:
    async def update(self: Any, told: Command) -> Message:
        result: Message = await self.inbox.answered(told)
        return result

    handler = takes(command)(_typed(update, command, answer))
    return workflow.update(name=command.act, description=_says(command))(handler)


def _signal(command: type[Command]) -> Callable[..., Any]:
    def signal(self: Any, told: Command) -> None:
        self.inbox.put(told)

    handler = takes(command)(_typed(signal, command, None))
    return workflow.signal(name=command.act, description=_says(command))(handler)


F = TypeVar("F", bound=Callable[..., Any])


def _typed(handler: F, command: type[Command], answer: type[Message] | None) -> F:
    """The data converter reads the types of a message off the handler's annotations."""
    handler.__annotations__ = {"told": command, "return": answer}
    return handler


def _says(command: type[Command]) -> str:
    return (command.__doc__ or command.act).split("\n", 1)[0]


def takes(kind: type[object]) -> Callable[[F], F]:
    """A handler of exactly one message of this kind. Nothing, null or several of them never reach it.

    The data converter refuses what it cannot read, but it lets these through, and a handler that stumbles over one
    would fail its task again and again: nobody could tell the process anything any more. An update answers with an
    error; a signal is dropped and logged, as the SDK does with what it cannot read.
    """

    def decorate(handler: F) -> F:
        if inspect.iscoroutinefunction(handler):

            @functools.wraps(handler)
            async def update(self: Any, *letters: object) -> Any:
                if len(letters) != 1 or not isinstance(letters[0], kind):
                    raise ApplicationError(f"That is no {kind.__name__}.", type="InvalidCommand", non_retryable=True)
                return await handler(self, *letters)

            return cast(F, update)

        @functools.wraps(handler)
        def signal(self: Any, *letters: object) -> None:
            if len(letters) == 1 and isinstance(letters[0], kind):
                handler(self, *letters)
            else:
                workflow.logger.warning("a signal that is no %s is dropped", kind.__name__)

        return cast(F, signal)

    return decorate
