"""Stopping in good order: behind a balancer nothing is tried twice, and what outlasts the grace ends as an error."""

import asyncio
import re
import signal
from collections.abc import Iterator

import pytest

from tests.support.books import assert_books_agree
from tests.support.chat_client import ChatClient, Ending, Outcome, assert_proper, load, session
from tests.support.live_stack import LiveStack, StackPlan
from trunkline.runtime.tasks import TaskSet

pytestmark = pytest.mark.patient

MODEL = "demo"
GRACE_S = 2
SAID = {
    "edge": "The gateway is restarting. Please retry.",
    "dispatcher": "The worker of this request is restarting. Please retry.",
}
"""By who is stopped."""
PLAIN = {"first_delay_ms": 20}
STREAM = {"chunks": 10, "delay_ms": 50}
LONG = {"chunks": 1200, "delay_ms": 50}
"""A minute: more than the test takes."""

BEGUN_CHUNKS = 5
"""Of each of the long streams, before anybody is stopped: one that has not begun would be refused."""

WORKERS = 8


@pytest.fixture(scope="module")
def stack_and_key() -> Iterator[tuple[LiveStack, str]]:
    plan = StackPlan(edges=2, dispatchers=2)
    plan.environment = {"TRUNKLINE_GRACE_S": str(GRACE_S)}
    plan.channel("only", MODEL)
    key = plan.account("acme")
    with plan.running() as stack:
        yield stack, key


async def test_behind_a_balancer_no_request_is_tried_twice(stack_and_key: tuple[LiveStack, str]) -> None:
    """An edge is taken out of rotation and then told to stop, as Kubernetes does with a ``preStop`` pause."""
    stack, key = stack_and_key
    rotation = list(stack.edges)
    async with session(reuse=True) as http:
        client = ChatClient(http, key, MODEL)

        async def request(number: int) -> Outcome:
            stream = number % 3 == 0
            edge = rotation[number % len(rotation)]
            return await client.chat(edge, STREAM if stream else PLAIN, stream=stream)

        async with load(request, workers=WORKERS) as running:
            await running.progress(20)
            for index, edge in enumerate(stack.edges):
                rotation.remove(edge)
                await running.progress(WORKERS * 3)  # whoever had chosen it has reached it
                pid = stack.signal("edge", index, number=signal.SIGTERM)
                await stack.restarted("edge", index, pid)
                rotation.append(edge)
                await running.progress(20)
        assert_proper(running.outcomes, {Ending.WHOLE})
        assert {outcome.edge for outcome in running.outcomes[-15:]} == set(stack.edges)
        await assert_books_agree(stack, http)


@pytest.mark.parametrize("role", SAID)
async def test_streams_that_outlast_the_grace_end_as_errors(stack_and_key: tuple[LiveStack, str], role: str) -> None:
    stack, key = stack_and_key
    tasks = TaskSet()
    edges = stack.edges * 2
    got = [0] * len(edges)

    def asked(client: ChatClient, number: int) -> asyncio.Task[Outcome]:
        def on_chunk(chunks: int) -> None:
            got[number] = chunks

        return tasks.spawn(client.chat(edges[number], LONG, stream=True, on_chunk=on_chunk), name="stream")

    async with session() as http:
        client = ChatClient(http, key, MODEL)
        streams = [asked(client, number) for number in range(len(edges))]
        async with load(lambda _number: client.chat_anywhere(stack.edges, 0, PLAIN), workers=1) as running:
            while min(got) < BEGUN_CHUNKS:
                await running.progress(1)
            for index in range(2):
                pid = stack.signal(role, index, number=signal.SIGTERM)
                await stack.restarted(role, index, pid)
        outcomes = [await stream for stream in streams]
        assert_proper(outcomes, {Ending.IN_BAND})
        assert {(outcome.code, outcome.message) for outcome in outcomes} == {("overloaded", SAID[role])}
        assert_proper(running.outcomes, {Ending.WHOLE})
        await assert_books_agree(stack, http)
    log = (stack.logs / "dev.log").read_text()
    assert set(re.findall(r'"code":\s*(-?\d+)', log)) == {"0"}
    await tasks.cancel()
