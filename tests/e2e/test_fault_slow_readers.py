"""Clients that read 1 KB/s of a long answer: no process's memory grows, the upstream waits, nobody else notices."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.books import assert_books_agree
from tests.support.chat_client import ChatClient, Ending, Outcome, assert_proper, load, session
from tests.support.live_stack import LiveStack, StackPlan
from tests.support.raw_chat import raw_chat
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.tasks import TaskSet

MODEL = "demo"
READERS = 8
LONG = {"chunks": 5000, "chunk_bytes": 10_000}
"""50 MB, as fast as it is read."""

ANSWER_BYTES = 50_000_000
RATE_BYTES = 1024
SLOW_SECONDS = 8
GROWTH_BYTES_MAX = 20_000_000
"""Of an edge or a dispatcher; eight answers are twenty times as large."""

OTHERS_SECONDS_MAX = 6.0
"""For a plain answer beside the slow ones: it takes some milliseconds, on a busy machine more, and would take all of
`SLOW_SECONDS` if it had to wait for them."""


@pytest.fixture(scope="module")
def stack_and_key() -> Iterator[tuple[LiveStack, str]]:
    plan = StackPlan(edges=1, dispatchers=1)
    plan.channel("only", MODEL)
    key = plan.account("acme")
    with plan.running() as stack:
        yield stack, key


async def test_slow_readers(stack_and_key: tuple[LiveStack, str]) -> None:
    stack, key = stack_and_key
    edge, clock, tasks = stack.edges[0], SystemClock(), TaskSet()
    async with session() as http:
        client = ChatClient(http, key, MODEL)

        async def plain(_number: int) -> Outcome:
            return await client.chat(edge)

        async def read_slowly(number: int) -> None:
            async with raw_chat(edge, slow=True) as chat:
                await chat.send(client, {**LONG, "tag": "slow"}, stream=True)
                for _ in range(SLOW_SECONDS):
                    await clock.sleep(1.0)  # it is a slow client
                    await chat.read(RATE_BYTES)
                if number:
                    chat.leave(reset=False)
                    return
                # One finds its appetite again, and gets all of it.
                while not chat.received.endswith(b"0\r\n\r\n"):
                    assert await chat.read(), "the stream was cut"
                assert chat.received.count(b"lorem ipsum") >= ANSWER_BYTES // 30
                assert b"data: [DONE]\n\n" in chat.received[-64:]

        async with load(plain, workers=1) as warming_up:
            await warming_up.progress(200)
        before = {role: stack.rss_bytes(role) for role in ("edge", "dispatcher", "upstream")}
        async with load(plain, workers=1) as others:
            readers = [tasks.spawn(read_slowly(number), name="reader") for number in range(READERS)]
            for _ in range(SLOW_SECONDS - 1):
                await clock.sleep(1.0)
                growth = {role: stack.rss_bytes(role) - before[role] for role in before}
                assert growth["edge"] < GROWTH_BYTES_MAX, growth
                assert growth["dispatcher"] < GROWTH_BYTES_MAX, growth
            await asyncio.gather(*readers)
        assert_proper(others.outcomes, {Ending.WHOLE})
        assert max(outcome.seconds for outcome in others.outcomes) < OTHERS_SECONDS_MAX
        await assert_books_agree(stack, http)
        aborts = [abort for abort in (await stack.counts(http)).aborts if abort.tag == "slow"]
        assert len(aborts) == READERS - 1
        # What is on its way is in the kernel's buffers of three sockets, not in our processes.
        assert all(abort.chunks * LONG["chunk_bytes"] < ANSWER_BYTES / 2 for abort in aborts)
