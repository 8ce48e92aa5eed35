"""kill -9 of a dispatcher, of an edge and of metering, under load: requests end once, and the books agree."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from tests.support.books import REDELIVERY_TIMEOUT_S, assert_at_rest, assert_books_agree, settlement_held_up
from tests.support.chat_client import ChatClient, Ending, Outcome, assert_proper, load, session
from tests.support.live_stack import LiveStack, StackPlan
from tests.support.waiting import eventually
from trunkline.runtime.tasks import TaskSet

pytestmark = pytest.mark.patient

STREAMS = 40
SLOW: dict[str, object] = {"chunks": 80, "delay_ms": 100}
"""A stream of eight seconds: long past the moment at which a lost process is noticed."""

PLAIN = 20
PENDING = {"first_delay_ms": 2500, "chunks": 20}
"""A plain answer that is not there yet when a dispatcher is killed, and that no dispatcher waits too long for."""

LOST_WITHIN_S = 4.0
"""From a process's last beat to the end of what it held: three beats and a half, and the ticks that look for it."""

SLACK_S = 3.0
"""Of a busy machine."""

DOOMED: dict[str, object] = {"chunks": 600, "delay_ms": 100, "tag": "doomed"}
"""Streams of a minute: none of them ends by itself before its edge is missed."""

MODEL = "faulty"


class Rig:
    """A stack, a client, and requests in the background."""

    def __init__(self, stack: LiveStack, key: str, http: aiohttp.ClientSession, tasks: TaskSet) -> None:
        self.stack = stack
        self.client = ChatClient(http, key, MODEL)
        self.http = http
        self.tasks = tasks
        self._flowing = 0

    def stream(self, edge: str, script: dict[str, object] = SLOW) -> asyncio.Task[Outcome]:
        """Begin a slow stream."""

        def on_chunk(chunks: int) -> None:
            self._flowing += chunks == 1

        return self.tasks.spawn(self.client.chat(edge, script, stream=True, on_chunk=on_chunk), name="stream")

    def plain(self, edge: str) -> asyncio.Task[Outcome]:
        """Begin a plain request whose answer takes its time."""
        return self.tasks.spawn(self.client.chat(edge, PENDING), name="plain")

    async def under_way(self, *, streams: int, plain: int = 0) -> None:
        """Return once so many streams have brought something, and the upstream works on so many plain answers."""

        async def look() -> bool:
            return self._flowing >= streams and (await self.stack.counts(self.http)).open >= streams + plain

        await eventually(look, within_s=10, what=f"{streams} streams and {plain} plain answers are under way")


@pytest.fixture(scope="module")
def stack_and_key() -> Iterator[tuple[LiveStack, str]]:
    plan = StackPlan(edges=2, dispatchers=2)
    plan.channel("only", MODEL)
    key = plan.account("acme")
    with plan.running() as stack:
        yield stack, key


@pytest.fixture
async def rig(stack_and_key: tuple[LiveStack, str]) -> AsyncIterator[Rig]:
    stack, key = stack_and_key
    tasks = TaskSet()
    async with session() as http:
        yield Rig(stack, key, http, tasks)
        await tasks.cancel()
        await assert_at_rest(stack, http)


async def test_dispatcher_killed_mid_stream(rig: Rig) -> None:
    stack, edges = rig.stack, rig.stack.edges
    streams = [rig.stream(edges[number % 2]) for number in range(STREAMS)]
    await rig.under_way(streams=STREAMS)
    plain = [rig.plain(edges[number % 2]) for number in range(PLAIN)]  # not before: they do not wait for long
    await rig.under_way(streams=STREAMS, plain=PLAIN)
    on_victim = (await stack.metrics(rig.http, "dispatcher", 0))["trunkline_dispatcher_jobs"]
    # Answers of the last milliseconds: their usage is with the edges, and not yet in JetStream.
    quick = await asyncio.gather(*(rig.client.chat(edges[number % 2]) for number in range(60)))
    victim = stack.signal("dispatcher", 0)
    assert_proper(quick, {Ending.WHOLE})

    assert_proper(await asyncio.gather(*plain), {Ending.WHOLE})  # not begun for the client: made elsewhere
    ended = await asyncio.gather(*streams)
    assert_proper(ended)
    lost = [outcome for outcome in ended if outcome.ending is not Ending.WHOLE]
    assert {(outcome.ending, outcome.code) for outcome in lost} == {(Ending.IN_BAND, "internal_error")}
    assert 0 < len(lost) < STREAMS
    assert len(lost) <= on_victim
    assert all(outcome.chunks == SLOW["chunks"] for outcome in ended if outcome.ending is Ending.WHOLE)
    await stack.restarted("dispatcher", 0, victim)
    assert await stack.metric_sum(rig.http, "edge", "trunkline_edge_dispatchers_lost_total") == 2
    assert await stack.metric_sum(rig.http, "edge", "trunkline_edge_usage_published_total") > 0
    await assert_books_agree(stack, rig.http)


async def test_edge_killed_mid_stream(rig: Rig) -> None:
    stack, edges = rig.stack, rig.stack.edges
    doomed = [rig.stream(edges[0], DOOMED) for _ in range(STREAMS // 2)]
    others = [rig.stream(edges[1]) for _ in range(STREAMS // 2)]
    await rig.under_way(streams=STREAMS)
    victim = stack.signal("edge", 0)

    async def closed() -> bool:
        aborts = (await stack.counts(rig.http)).aborts
        return sum(abort.tag == DOOMED["tag"] for abort in aborts) == len(doomed)

    await eventually(closed, within_s=LOST_WITHIN_S + SLACK_S, what="the upstream calls of the dead edge are closed")
    assert_proper(await asyncio.gather(*doomed), {Ending.CUT})
    assert_proper(await asyncio.gather(*others), {Ending.WHOLE})
    await stack.restarted("edge", 0, victim)
    assert_proper([await rig.client.chat(edges[0])], {Ending.WHOLE})
    await assert_books_agree(stack, rig.http)


async def test_all_who_hold_usage_killed_at_once(rig: Rig) -> None:
    stack, edges = rig.stack, rig.stack.edges
    holders = [(role, number) for role in ("dispatcher", "edge") for number in (0, 1)]
    quick = await asyncio.gather(*(rig.client.chat(edges[number % 2]) for number in range(60)))
    victims = [stack.signal(role, number) for role, number in holders]
    assert_proper(quick, {Ending.WHOLE})
    for (role, number), victim in zip(holders, victims, strict=True):
        await stack.restarted(role, number, victim)
    assert_proper([await rig.client.chat(edge) for edge in edges], {Ending.WHOLE})
    await assert_books_agree(stack, rig.http)


async def test_metering_killed_mid_batch(rig: Rig) -> None:
    stack, edges = rig.stack, rig.stack.edges

    async def request(number: int) -> Outcome:
        return await rig.client.chat(edges[number % 2])

    async with load(request, workers=8) as running:
        await running.progress(100)
        async with settlement_held_up(stack):
            # Postgres goes on with what it was given and commits it: only the acknowledgement is never sent.
            victim = stack.signal("metering")
        await stack.restarted("metering", 0, victim)
        await running.progress(100)
        victim = stack.signal("metering")
        await stack.restarted("metering", 0, victim)
        await running.progress(100)
    assert_proper(running.outcomes, {Ending.WHOLE})
    await assert_books_agree(stack, rig.http, within_s=REDELIVERY_TIMEOUT_S)
    duplicates = "trunkline_metering_events_total{result=duplicate}"
    assert (await stack.metrics(rig.http, "metering", 0))[duplicates] > 0
