"""NATS and Postgres away for a while under load: requests go on or are refused properly, and the books agree after."""

import signal
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import aiohttp
import pytest

from tests.support.books import REDELIVERY_TIMEOUT_S, assert_books_agree
from tests.support.chat_client import ChatClient, Ending, Outcome, assert_proper, endings, load, session
from tests.support.live_stack import LiveStack, StackPlan, channel_entry, model_entry
from tests.support.servers import NATSServer, PostgresServer, running_nats, running_postgres
from tests.support.waiting import eventually
from trunkline.runtime.clock import SystemClock

pytestmark = pytest.mark.patient

MODEL = "demo"
NATS_AWAY_S = 7.0
"""Longer than a dispatcher waits for JetStream to take usage, so that it has to try again."""

AWAY_S = 60.0
BACK_WITHIN_S = 15.0
CHANGE_WITHIN_S = 10.0
STREAM = {"chunks": 40, "delay_ms": 50}


class Rig(NamedTuple):
    stack: LiveStack
    client: ChatClient
    http: aiohttp.ClientSession
    nats: NATSServer
    postgres: PostgresServer

    async def request(self, number: int) -> Outcome:
        """Make a short plain request, or now and then a stream of two seconds."""
        edges = self.stack.edges
        if number % 4 == 0:
            return await self.client.chat(edges[number // 4 % 2], STREAM, stream=True)
        return await self.client.chat(edges[number % 2], {"first_delay_ms": 50})


@pytest.fixture(scope="module")
def parts() -> Iterator[tuple[LiveStack, str, NATSServer, PostgresServer]]:
    with running_nats() as nats, running_postgres() as postgres:
        plan = StackPlan(edges=2, dispatchers=2)
        plan.environment = {"NATS_URL": nats.url, "DATABASE_URL": postgres.dsn("postgres")}
        plan.channel("only", MODEL)
        key = plan.account("acme")
        with plan.running() as stack:
            yield stack, key, nats, postgres


@pytest.fixture
async def rig(parts: tuple[LiveStack, str, NATSServer, PostgresServer]) -> AsyncIterator[Rig]:
    stack, key, nats, postgres = parts
    async with session() as http:
        yield Rig(stack, ChatClient(http, key, MODEL), http, nats, postgres)


async def test_nats_stopped_and_started_under_load(rig: Rig) -> None:
    clock = SystemClock()
    async with load(rig.request, workers=24) as running:
        await running.progress(100)
        rig.nats.stop()
        before = len(running.outcomes)
        await clock.sleep(NATS_AWAY_S)  # the length of the outage
        rig.nats.start()
        back = clock.now()

        async def answered() -> bool:
            # Each edge finds its way back by itself.
            since = [outcome for outcome in running.outcomes[before:] if outcome.began > back]
            return {outcome.edge for outcome in since if outcome.ending is Ending.WHOLE} == set(rig.stack.edges)

        await eventually(answered, within_s=BACK_WITHIN_S, what="requests are answered again at every edge")
        recovered = clock.now()
        await running.progress(150)
    assert_proper(running.outcomes)
    refused = [outcome for outcome in running.outcomes if outcome.ending is Ending.REFUSED]
    assert {outcome.status for outcome in refused} <= {500, 503}, endings(refused)
    # Those that were under way before may still find that their offers went nowhere.
    last = [outcome for outcome in running.outcomes if outcome.began > recovered + 1]
    assert len(last) > 50
    assert_proper(last, {Ending.WHOLE})
    await assert_change_is_seen(rig, "after-nats")
    await assert_books_agree(rig.stack, rig.http, within_s=REDELIVERY_TIMEOUT_S)


async def test_nats_killed_under_load(rig: Rig) -> None:
    async with load(rig.request, workers=24) as running:
        await running.progress(100)
        rig.nats.kill()
        rig.nats.start()
        await running.progress(300)
    assert_proper(running.outcomes)
    await assert_books_agree(rig.stack, rig.http, within_s=REDELIVERY_TIMEOUT_S)


async def test_postgres_stopped_under_load(rig: Rig) -> None:
    clock = SystemClock()
    async with load(rig.request, workers=12) as running:
        await running.progress(50)
        rig.postgres.stop()
        stopped = clock.now()
        away = 0
        while clock.now() - stopped < AWAY_S:
            before = len(running.outcomes)
            await running.progress(20)
            away += len(running.outcomes) - before
        rig.postgres.start()
        await running.progress(50)
    assert_proper(running.outcomes, {Ending.WHOLE})
    assert away > 100
    assert await rig.stack.metric_sum(rig.http, "edge", "trunkline_edge_allowance_grace_total") > 0
    await assert_books_agree(rig.stack, rig.http, within_s=REDELIVERY_TIMEOUT_S)
    await assert_change_is_seen(rig, "after-postgres")


async def test_metering_hangs_under_load(rig: Rig) -> None:
    clock = SystemClock()
    async with load(rig.request, workers=12) as running:
        await running.progress(50)
        rig.stack.signal("metering", number=signal.SIGSTOP)
        stopped = clock.now()
        away = len(running.outcomes)
        while clock.now() - stopped < AWAY_S:
            await running.progress(20)
        away = len(running.outcomes) - away
        rig.stack.signal("metering", number=signal.SIGCONT)
        await running.progress(50)
    assert_proper(running.outcomes, {Ending.WHOLE})
    assert away > 100
    await assert_books_agree(rig.stack, rig.http, within_s=REDELIVERY_TIMEOUT_S)


async def assert_change_is_seen(rig: Rig, model: str) -> None:
    """A new model is served soon: the snapshots are watched again."""
    channel = channel_entry(model, model, f"{rig.stack.ready.upstream_url}/v1")
    await rig.stack.apply(rig.http, channels=[channel], models=[model_entry(model)])
    client = ChatClient(rig.http, rig.client.key, model)
    for edge in rig.stack.edges:

        async def served(edge: str = edge) -> bool:
            return (await client.chat(edge)).ending is Ending.WHOLE

        await eventually(served, within_s=CHANGE_WITHIN_S, what="the new model is served")
