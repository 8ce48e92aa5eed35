"""A gateway that is full: what becomes of an account's burst, of the other accounts, and of those that go first."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import aiohttp
import pytest

from tests.support.books import assert_at_rest, assert_books_agree
from tests.support.chat_client import ChatClient, Ending, Outcome, session
from tests.support.live_stack import LiveStack, StackPlan, new_key
from tests.support.waiting import eventually
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.tasks import TaskSet

MODEL = "demo"
PLACES = 4
SERVICE_S = 0.5
WAIT_S = 3.0
PER_S = PLACES / SERVICE_S
SLOW = {"first_delay_ms": round(SERVICE_S * 1000)}
BURST = 120
WAITING = "trunkline_edge_waiting{lane=default}"


class Rig(NamedTuple):
    stack: LiveStack
    keys: dict[str, str]
    http: aiohttp.ClientSession

    def client(self, account: str) -> ChatClient:
        return ChatClient(self.http, self.keys[account], MODEL)

    async def wait_at(self, edge: int) -> float:
        """Return how many jobs wait at an edge."""
        return (await self.stack.metrics(self.http, "edge", edge)).get(WAITING, 0.0)

    async def waiting(self, edge: int, jobs: int) -> None:
        """Return once so many jobs wait at an edge, no more and no less."""

        async def look() -> bool:
            return await self.wait_at(edge) == jobs

        await eventually(look, within_s=5.0, what=f"{jobs} jobs wait at edge {edge}")

    async def come(self, edge: int, jobs: int, before: int) -> None:
        """Return once so many jobs have come to an edge: they wait, or their provider has begun after ``before``."""

        async def look() -> bool:
            # In this order: one that is begun meanwhile is not counted twice.
            begun = (await self.stack.counts(self.http)).begun - before
            return begun + await self.wait_at(edge) >= jobs

        await eventually(look, within_s=WAIT_S, what=f"{jobs} jobs have come to edge {edge}")


@pytest.fixture(scope="module")
def stack_and_keys() -> Iterator[tuple[LiveStack, dict[str, str]]]:
    plan = StackPlan(edges=2, dispatchers=1)
    plan.channel("only", MODEL)
    keys = {name: plan.account(name) for name in ("burst", "steady", "elsewhere")}
    plan.environment["TRUNKLINE_DISPATCHER_JOBS_MAX"] = str(PLACES)
    plan.environment["TRUNKLINE_ADMISSION_WAIT_S"] = str(WAIT_S)
    with plan.running() as stack:
        yield stack, keys


@pytest.fixture
async def rig(stack_and_keys: tuple[LiveStack, dict[str, str]]) -> AsyncIterator[Rig]:
    async with session() as http:
        yield Rig(*stack_and_keys, http)


class Retried(NamedTuple):
    """A request that was repeated when its client was told to.

    Attributes:
        last: how it ended.
        told_s: what its first refusal said; 0 without one.
        took_s: from its first refusal until it got in.
    """

    last: Outcome
    told_s: float
    took_s: float


async def obedient(client: ChatClient, edge: str) -> Retried:
    """Make a slow request, as often as it takes."""
    clock = SystemClock()
    told_s, refused_at = 0.0, 0.0
    while True:
        outcome = await client.chat(edge, SLOW)
        if outcome.status != 429:
            return Retried(outcome, told_s, clock.now() - refused_at - SERVICE_S)
        assert (outcome.ending, outcome.code, outcome.error_type) == (
            Ending.REFUSED,
            "overloaded",
            "rate_limit_error",
        )
        seconds = int(outcome.headers["retry-after-ms"]) / 1000
        assert 0 <= int(outcome.headers["retry-after"]) - seconds < 1
        if not told_s:
            told_s, refused_at = seconds, clock.now()
        await clock.sleep(seconds)


async def test_a_burst_of_one_account_leaves_others_their_turns_and_its_excess_is_told_when(rig: Rig) -> None:
    tasks, edge = TaskSet(), rig.stack.edges
    counted = (await rig.stack.counts(rig.http)).begun
    burst = [tasks.spawn(obedient(rig.client("burst"), edge[0]), name="burst") for _ in range(BURST)]
    await rig.come(0, BURST, counted)
    others: dict[str, list[Outcome]] = {"steady": [], "elsewhere": []}

    async def one_at_a_time(account: str, edge: str) -> None:
        while not all(task.done() for task in burst):
            others[account].append(await rig.client(account).chat(edge, SLOW))

    steady = [
        tasks.spawn(one_at_a_time("steady", edge[0]), name="steady"),
        tasks.spawn(one_at_a_time("elsewhere", edge[1]), name="elsewhere"),
    ]
    retried = await asyncio.gather(*burst)
    await asyncio.gather(*steady)

    for outcomes in others.values():
        assert {outcome.ending for outcome in outcomes} == {Ending.WHOLE}
        assert len(outcomes) >= 10
        # Its own time, and that of a few turns: those of the burst, which has waited all along, do not count.
        assert sorted(outcome.seconds for outcome in outcomes)[len(outcomes) // 2] < 3 * SERVICE_S
        # The machine may stand still for a moment, which one request of each account bears.
        assert sorted(outcome.seconds for outcome in outcomes)[-2] < 6 * SERVICE_S
    assert {one.last.ending for one in retried} == {Ending.WHOLE}
    told = [one for one in retried if one.told_s >= 1.0]
    assert len(told) > BURST / 3
    true = [one for one in told if one.told_s / 2 <= one.took_s <= one.told_s * 2]
    assert len(true) >= 0.9 * len(told)
    served = BURST + sum(len(outcomes) for outcomes in others.values())
    assert (await rig.stack.counts(rig.http)).begun - counted == served
    await assert_at_rest(rig.stack, rig.http)
    await assert_books_agree(rig.stack, rig.http)


async def test_a_tier_with_priority_goes_first(rig: Rig) -> None:
    secret = new_key()
    await rig.stack.apply(
        rig.http,
        tiers=[{"name": "gold", "priority": 10}],
        accounts=[{"name": "gold", "tier": "gold", "credit": 1000, "keys": [{"name": "gold", "secret": secret}]}],
    )
    tasks, edge, clock = TaskSet(), rig.stack.edges[0], SystemClock()
    ended: list[tuple[float, str]] = []

    async def one(account: str, client: ChatClient) -> None:
        outcome = await client.chat(edge, SLOW)
        if outcome.ending is Ending.WHOLE:
            ended.append((clock.now(), account))

    gold = ChatClient(rig.http, secret, MODEL)

    async def key_works() -> bool:
        return (await gold.chat(edge)).status == 200

    await eventually(key_works, within_s=5.0, what="the key of the tier works")
    counted = (await rig.stack.counts(rig.http)).begun
    low = [tasks.spawn(one("burst", rig.client("burst")), name="burst") for _ in range(30)]
    await rig.come(0, len(low), counted)
    came = clock.now()
    high = [tasks.spawn(one("gold", gold), name="gold") for _ in range(12)]
    await asyncio.gather(*low, *high)
    order = [account for at, account in sorted(ended) if at > came]
    assert order.count("gold") == 12
    first, last = order.index("gold"), len(order) - order[::-1].index("gold")
    # Those under way go before it; then three of four turns are its own.
    assert first <= 2 * PLACES
    assert last - first <= 12 * 4 / 3 + PLACES
    await assert_at_rest(rig.stack, rig.http)


async def test_a_client_that_leaves_while_it_waits_frees_its_place(rig: Rig) -> None:
    tasks, edge = TaskSet(), rig.stack.edges[0]
    counted = (await rig.stack.counts(rig.http)).begun
    client = rig.client("burst")
    held = [tasks.spawn(client.chat(edge, {"first_delay_ms": 2000}), name="held") for _ in range(PLACES)]

    async def all_held() -> bool:
        return (await rig.stack.metrics(rig.http, "dispatcher", 0))["trunkline_dispatcher_jobs"] == PLACES

    await eventually(all_held, within_s=2.0, what="all places are taken")
    waiting = [tasks.spawn(client.chat(edge), name="waiting") for _ in range(3)]
    await rig.waiting(0, 3)
    await tasks.end(waiting[0])
    await rig.waiting(0, 2)
    outcomes = await asyncio.gather(*held, *waiting[1:])
    assert {outcome.ending for outcome in outcomes} == {Ending.WHOLE}
    assert (await rig.stack.counts(rig.http)).begun - counted == PLACES + 2
    await assert_at_rest(rig.stack, rig.http)


async def test_an_edge_that_drains_serves_those_that_wait(rig: Rig) -> None:
    tasks, edge = TaskSet(), rig.stack.edges[1]
    client = rig.client("steady")
    counted = (await rig.stack.counts(rig.http)).begun
    asked = [tasks.spawn(client.chat(edge, SLOW), name="asked") for _ in range(3 * PLACES)]
    await rig.come(1, len(asked), counted)
    pid = rig.stack.signal("edge", 1, number=signal.SIGTERM)
    outcomes = await asyncio.gather(*asked)
    assert {outcome.ending for outcome in outcomes} == {Ending.WHOLE}
    await rig.stack.restarted("edge", 1, pid)
    await assert_at_rest(rig.stack, rig.http)
