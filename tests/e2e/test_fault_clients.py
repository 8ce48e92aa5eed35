"""Clients that leave: the upstream call is closed within a second, and what was produced until then is charged."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import NamedTuple

import aiohttp
import pytest

from tests.support.books import AccountUsage, account_usage, assert_books_agree
from tests.support.chat_client import ChatClient, session
from tests.support.live_stack import LiveStack, StackPlan
from tests.support.raw_chat import RawChat, raw_chat
from tests.support.waiting import eventually
from trunkline.dev.demo.counts import Abort
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.tasks import TaskSet

MODEL = "demo"
CLIENTS = 20
CLOSED_WITHIN_MS = 1000 + 2000
"""Within a second, and some for a busy machine. Nothing else closes these calls: the answers take longer by far."""

LEFT_CHUNKS = 6

READ_WITHIN_S = 1.0
"""After which a dispatcher has read what the upstream has written of a plain answer; nothing tells it."""

CASES = {
    # name: whether it is a stream, what the upstream does, and how much the client reads before it leaves
    "before-the-first-byte": (True, {"first_delay_ms": 30_000}, 0),
    "mid-stream": (True, {"chunks": 1000, "delay_ms": 50}, LEFT_CHUNKS),
    "mid-stall": (True, {"chunks": 1000, "stall_after": LEFT_CHUNKS}, LEFT_CHUNKS),
    "plain-waiting": (False, {"first_delay_ms": 30_000}, 0),
    "plain-half-answered": (False, {"stall_after": 3}, 0),
}


class Rig(NamedTuple):
    stack: LiveStack
    keys: dict[str, str]
    http: aiohttp.ClientSession

    async def aborts(self, tag: str) -> list[Abort]:
        return [abort for abort in (await self.stack.counts(self.http)).aborts if abort.tag.startswith(tag)]


@pytest.fixture(scope="module")
def stack_and_keys() -> Iterator[tuple[LiveStack, dict[str, str]]]:
    plan = StackPlan(edges=2, dispatchers=2)
    plan.channel("only", MODEL)
    keys = {name: plan.account(name) for name in [*CASES, "at-once"]}
    with plan.running() as stack:
        yield stack, keys


@pytest.fixture
async def rig(stack_and_keys: tuple[LiveStack, dict[str, str]]) -> AsyncIterator[Rig]:
    async with session() as http:
        yield Rig(*stack_and_keys, http)


async def each(work: Callable[[int], Awaitable[int]]) -> list[int]:
    """Run all clients at once."""
    return await asyncio.gather(*(work(number) for number in range(CLIENTS)))


@pytest.mark.parametrize("name", CASES)
async def test_client_leaves(rig: Rig, name: str) -> None:
    stack, (stream, script, chunks) = rig.stack, CASES[name]
    client = ChatClient(rig.http, rig.keys[name], MODEL)
    everybody_waits = asyncio.Event()

    async def come_and_go(number: int) -> int:
        async with raw_chat(stack.edges[number % 2]) as chat:
            await chat.send(client, {**script, "tag": f"{name}-{number}"}, stream=stream)
            await wait_until(chat)
            return chat.leave(reset=number % 3 == 0)

    async def wait_until(chat: RawChat) -> None:
        if chunks:
            await chat.read_chunks(chunks)
        else:
            await everybody_waits.wait()
            if "stall_after" in script:
                await SystemClock().sleep(READ_WITHIN_S)

    async def upstream_is_busy() -> bool:
        if (await stack.counts(rig.http)).open >= CLIENTS:
            everybody_waits.set()
        return everybody_waits.is_set() or bool(chunks)

    leaving = TaskSet().spawn(each(come_and_go), name="clients")
    await eventually(upstream_is_busy, within_s=10, what="every request is at the upstream")
    left_at = await leaving

    async def all_aborted() -> bool:
        return len({abort.tag for abort in await rig.aborts(name)}) == CLIENTS

    await eventually(all_aborted, within_s=10, what="the upstream calls are closed")
    aborts = {abort.tag: abort for abort in await rig.aborts(name)}
    late = {number: aborts[f"{name}-{number}"].at_ms - left_at[number] for number in range(CLIENTS)}
    assert max(late.values()) < CLOSED_WITHIN_MS, late
    await assert_books_agree(stack, rig.http)
    assert await stack.metric_sum(rig.http, "edge", "trunkline_edge_jobs_settled_total{result=lost}") == 0
    usage = await account_usage(stack, name)
    assert usage.requests == CLIENTS
    if name == "plain-half-answered":
        # What had come of it is counted, and paid.
        assert usage.charged == usage.counted == CLIENTS
        assert usage.output_tokens >= CLIENTS
        return
    if not chunks:
        assert usage == AccountUsage(requests=CLIENTS)
        return
    # Words, and tokens as the gateway counts them, are not the same, but nearly.
    written = sum(abort.chunks for abort in aborts.values())
    assert usage.charged == usage.counted == CLIENTS
    assert 0.9 * CLIENTS * chunks <= usage.output_tokens <= 1.6 * written
    assert usage.input_tokens > CLIENTS
    assert usage.charge_nano == 10_000 * usage.input_tokens + 20_000 * usage.output_tokens


async def test_client_leaves_at_once(rig: Rig) -> None:
    """Before anybody can have taken the job, or just when somebody does."""
    stack = rig.stack
    client = ChatClient(rig.http, rig.keys["at-once"], MODEL)

    async def ask_and_run(number: int) -> int:
        async with raw_chat(stack.edges[number % 2]) as chat:
            await chat.send(client, {"first_delay_ms": 30_000, "tag": f"at-once-{number}"}, stream=number % 2 == 0)
            return chat.leave(reset=number % 3 == 0)

    left_at = max(await each(ask_and_run))
    await assert_books_agree(stack, rig.http)
    assert all(abort.at_ms - left_at < CLOSED_WITHIN_MS for abort in await rig.aborts("at-once"))
    assert (await account_usage(stack, "at-once")).charge_nano == 0
