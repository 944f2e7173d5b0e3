"""A question to a process is answered, asked again when the server has lost it, and given up in words."""

import asyncio

import pytest
from temporalio.service import RPCError, RPCStatusCode

from desk.hub import Hub
from desk.telling import NoAnswer, answered, translated_back
from models.errors import NotAllowed, NotFound
from models.products import Submitted
from tests.parts.presence import needs

pytestmark = [pytest.mark.system, needs("temporal")]

ANSWER = Submitted(submission="s", number=1)


async def lost() -> Submitted:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("nobody ever answers")


async def heard() -> Submitted:
    return ANSWER


async def refused() -> Submitted:
    raise NotAllowed("Not your turn.")


async def test_a_question_that_got_lost_is_asked_once_more(hub: Hub) -> None:
    assert await answered(hub.client, lost(), patience=2.2, again=heard) == ANSWER


async def test_who_answers_the_second_question_may_also_refuse(hub: Hub) -> None:
    with pytest.raises(NotAllowed, match="Not your turn"):
        await answered(hub.client, lost(), patience=2.2, again=refused)


async def test_without_an_answer_it_is_given_up_and_nothing_waits_on(hub: Hub) -> None:
    before = asyncio.all_tasks()
    with pytest.raises(NoAnswer, match="is a worker running"):
        await answered(hub.client, lost(), patience=2.2, again=lost)
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize(
    "said", ["workflow execution already completed", "workflow update was aborted by closing workflow"]
)
def test_a_process_that_has_ended_meanwhile_is_no_process_that_never_was(said: str) -> None:
    ended = translated_back(RPCError(said, RPCStatusCode.NOT_FOUND, b""), "submission/s")
    assert isinstance(ended, NotAllowed)
    assert "has ended" in str(ended)
    unknown = translated_back(RPCError("workflow not found for ID: x", RPCStatusCode.NOT_FOUND, b""), "submission/s")
    assert isinstance(unknown, NotFound)


async def test_an_answer_is_not_waited_for_twice(hub: Hub) -> None:
    asked = 0

    async def counted() -> Submitted:
        nonlocal asked
        asked += 1
        return ANSWER

    assert await answered(hub.client, heard(), again=counted) == ANSWER
    assert asked == 0
