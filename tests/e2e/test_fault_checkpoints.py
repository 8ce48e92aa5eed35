"""kill -9 of a dispatcher in the middle of streams: they are charged for what their clients got, edges alive or not."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import aiohttp
import pytest

from tests.support.books import AccountUsage, account_usage, assert_at_rest
from tests.support.chat_client import ChatClient, Ending, Outcome, assert_proper, session
from tests.support.live_stack import LiveStack, StackPlan
from tests.support.waiting import eventually
from trunkline.core import limits
from trunkline.runtime.tasks import TaskSet

MODEL = "demo"
STREAMS = 12
SLOW = {"chunks": 400, "delay_ms": 50, "no_usage": True}
"""Twenty chunks a second, for longer than this test takes: no stream ends by itself."""

CHUNKS_PER_S = 20
KILLED_AFTER_CHUNKS = 60
"""Three seconds: each stream has been in a checkpoint by then, and in a later one."""

SETTLED_WITHIN_S = limits.ORPHANS_AFTER_S + 10.0


class Rig(NamedTuple):
    stack: LiveStack
    keys: dict[str, str]
    http: aiohttp.ClientSession


@pytest.fixture(scope="module")
def stack_and_keys() -> Iterator[tuple[LiveStack, dict[str, str]]]:
    plan = StackPlan(edges=1, dispatchers=1)
    plan.channel("only", MODEL)
    keys = {name: plan.account(name) for name in ("dispatcher", "both")}
    with plan.running() as stack:
        yield stack, keys


@pytest.fixture
async def rig(stack_and_keys: tuple[LiveStack, dict[str, str]]) -> AsyncIterator[Rig]:
    async with session() as http:
        yield Rig(*stack_and_keys, http)


async def killed(rig: Rig, name: str, *roles: str) -> list[Outcome]:
    """Run streams of an account, kill processes in the middle of them, and return how they ended."""
    stack, client = rig.stack, ChatClient(rig.http, rig.keys[name], MODEL)
    got = [0] * STREAMS
    tasks = TaskSet()

    def stream(number: int) -> asyncio.Task[Outcome]:
        def on_chunk(chunks: int) -> None:
            got[number] = chunks

        asked = client.chat(stack.edges[0], SLOW, stream=True, on_chunk=on_chunk)
        return tasks.spawn(asked, name="stream")

    streams = [stream(number) for number in range(STREAMS)]

    async def far_enough() -> bool:
        return min(got) >= KILLED_AFTER_CHUNKS

    await eventually(far_enough, within_s=30, what="every stream has run for three seconds")
    dead = [(role, stack.signal(role)) for role in roles]
    outcomes = await asyncio.gather(*streams)
    for role, pid in dead:
        await stack.restarted(role, 0, pid)
    return outcomes


async def settled_usage(rig: Rig, name: str) -> AccountUsage:
    async def look() -> AccountUsage | None:
        usage = await account_usage(rig.stack, name)
        return usage if usage.charged == STREAMS else None

    return await eventually(look, within_s=SETTLED_WITHIN_S, what="every stream is settled")


def assert_fits(usage: AccountUsage, outcomes: list[Outcome]) -> None:
    """What is charged is what the clients got, short of two seconds of it at most: a checkpoint and its publication."""
    chunks = sum(outcome.chunks for outcome in outcomes)
    assert usage == AccountUsage(STREAMS, STREAMS, STREAMS, usage.input_tokens, usage.output_tokens, usage.charge_nano)
    # Words, and tokens as the gateway counts them, are not the same, but nearly.
    assert 0.9 * (chunks - 2 * CHUNKS_PER_S * STREAMS) <= usage.output_tokens <= 1.6 * chunks
    assert usage.charge_nano == 10_000 * usage.input_tokens + 20_000 * usage.output_tokens
    assert usage.input_tokens > STREAMS


async def test_a_dispatcher_dies(rig: Rig) -> None:
    outcomes = await killed(rig, "dispatcher", "dispatcher")
    assert_proper(outcomes, {Ending.IN_BAND})
    assert_fits(await settled_usage(rig, "dispatcher"), outcomes)
    await assert_at_rest(rig.stack, rig.http)


async def test_a_dispatcher_and_the_edge_die_together(rig: Rig) -> None:
    outcomes = await killed(rig, "both", "edge", "dispatcher")
    assert_proper(outcomes, {Ending.CUT})
    assert_fits(await settled_usage(rig, "both"), outcomes)
    await assert_at_rest(rig.stack, rig.http)
    assert await rig.stack.metric_sum(rig.http, "metering", "trunkline_metering_orphans_total") == 2 * STREAMS
