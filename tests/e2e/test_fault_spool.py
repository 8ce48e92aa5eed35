"""Usage on disk: NATS goes away, and whoever knows what was used dies; it is settled after all."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from tests.support.books import REDELIVERY_TIMEOUT_S, account_usage, assert_books_agree
from tests.support.chat_client import ChatClient, Ending, Outcome, assert_proper, session
from tests.support.live_stack import LiveStack, StackPlan
from tests.support.servers import NATSServer, running_nats
from tests.support.waiting import eventually
from trunkline.runtime.tasks import TaskSet

MODEL = "demo"
CLIENTS = 20
ANSWER = {"chunks": 120, "delay_ms": 50}
"""A stream of six seconds, so that all run at a time: it is under way when NATS goes away, and the provider ends it
then."""


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


class Rig(NamedTuple):
    stack: LiveStack
    client: ChatClient
    http: aiohttp.ClientSession
    nats: NATSServer

    async def streaming(self) -> list[asyncio.Task[Outcome]]:
        """Begin a stream for each client, and return them once each has brought something."""
        begun: set[int] = set()

        def begin(number: int) -> asyncio.Task[Outcome]:
            edge = self.stack.edges[number % 2]
            asked = self.client.chat(edge, ANSWER, stream=True, on_chunk=lambda _: begun.add(number))
            return tasks.spawn(asked, name="stream")

        tasks = TaskSet()
        streams = [begin(number) for number in range(CLIENTS)]

        async def all_begun() -> bool:
            return len(begun) == CLIENTS

        await eventually(all_begun, within_s=10, what="every stream has brought something")
        return streams


@pytest.fixture(scope="module")
def parts() -> Iterator[tuple[LiveStack, str, NATSServer]]:
    with running_nats() as nats:
        plan = StackPlan(edges=2, dispatchers=2)
        plan.environment = {"NATS_URL": nats.url}
        plan.channel("only", MODEL)
        key = plan.account("acme")
        with plan.running() as stack:
            yield stack, key, nats


@pytest.fixture
async def rig(parts: tuple[LiveStack, str, NATSServer]) -> AsyncIterator[Rig]:
    stack, key, nats = parts
    async with session() as http:
        yield Rig(stack, ChatClient(http, key, MODEL), http, nats)


async def test_edges_and_dispatchers_killed_while_nats_is_away(rig: Rig) -> None:
    stack = rig.stack
    assert_proper([await rig.client.chat(stack.edges[0])], {Ending.WHOLE})
    streams = await rig.streaming()
    await asyncio.to_thread(rig.nats.kill)

    async def spooled() -> bool:
        return await stack.metric_sum(rig.http, "dispatcher", "trunkline_dispatcher_usage_spooled_total") == CLIENTS

    await eventually(spooled, within_s=30, what="the usage of all streams is on disk")
    dead = [(role, index, stack.signal(role, index)) for role in ("dispatcher", "edge") for index in range(2)]
    assert_proper(await asyncio.gather(*streams), {Ending.CUT})
    await asyncio.to_thread(rig.nats.start)
    for role, index, pid in dead:
        await stack.restarted(role, index, pid)
    await assert_books_agree(stack, rig.http, within_s=REDELIVERY_TIMEOUT_S)
    usage = await account_usage(stack, "acme")
    assert (usage.requests, usage.charged) == (CLIENTS + 1, CLIENTS + 1)
    assert await stack.metric_sum(rig.http, "dispatcher", "trunkline_dispatcher_spool_bytes") == 0


async def test_a_dispatcher_that_is_stopped_while_nats_is_away_leaves_nothing_behind(rig: Rig) -> None:
    stack = rig.stack
    before = (await account_usage(stack, "acme")).charged
    streams = await rig.streaming()
    await asyncio.to_thread(rig.nats.stop)
    stopped = [stack.signal("dispatcher", index, number=signal.SIGTERM) for index in range(2)]

    async def gone() -> bool:
        return not any(map(is_running, stopped))

    await eventually(gone, within_s=30, what="the dispatchers have stopped")
    await asyncio.to_thread(rig.nats.start)
    for index, pid in enumerate(stopped):
        await stack.restarted("dispatcher", index, pid)
    assert_proper(await asyncio.gather(*streams), {Ending.IN_BAND, Ending.REFUSED, Ending.WHOLE})
    await assert_books_agree(stack, rig.http, within_s=REDELIVERY_TIMEOUT_S)
    assert (await account_usage(stack, "acme")).charged == before + CLIENTS
