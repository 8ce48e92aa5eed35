"""Two regions, 80 ms apart: where jobs are served, what crosses the ocean, and how each outlives the other."""

import asyncio
import contextlib
import statistics
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.edge.admission import LOOK_S
from tests.support.books import assert_at_rest, assert_books_agree, ledger_connection
from tests.support.chat_client import ChatClient, Ending, Outcome, endings, load, session
from tests.support.live_stack import channel_entry, model_entry, new_key
from tests.support.network import Network, Trouble, running_network, why_unavailable
from tests.support.network_cluster import CLIENT, new_folder, running
from tests.support.network_regions import HOSTS, ONE_WAY_S, PINNED, PLACES, ROUND_TRIP_S, TwoRegions
from tests.support.waiting import eventually
from trunkline.policy.leaving import LEAVE_AFTER_S
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.tasks import TaskSet
from trunkline.store import ledger

pytestmark = [
    pytest.mark.patient,
    pytest.mark.skipif(bool(why_unavailable()), reason=why_unavailable()),
]

HOME_EDGE, ABROAD_EDGE = 0, 1
AT_HOME, ABROAD = (0, 1), (2, 3)
MODEL, MODEL_ABROAD = "near", "pinned"
LONG = {"chunks": 100, "delay_ms": 80}
SOME = 20

SLACK_S = 0.08
"""What requests take beside the ocean: two cores run all hosts."""

CHANGE_WITHIN_S = 1.0 + ROUND_TRIP_S
CAUGHT_UP_WITHIN_S = 30.0
"""A mirror that has heard nothing for ten seconds or so begins anew."""

LOST = (Ending.IN_BAND, "internal_error")
"""How a stream ends whose dispatcher has been lost, as OpenAI's clients are told it."""

BEGUN_WITHIN_S = 5.0
REST_TIMEOUT_S = 60.0
CUT_OFF_S = 3.0
"""After what was under way is known to be lost."""


@pytest.fixture
def network() -> Iterator[Network]:
    with running_network(HOSTS, seed=5) as network, network.host(CLIENT).entered():
        yield network


class Trial:
    """The two regions and a client of both."""

    def __init__(self, regions: TwoRegions, http: aiohttp.ClientSession, tasks: TaskSet) -> None:
        self.regions = regions
        self.http = http
        self.outcomes: list[Outcome] = []
        self._clock = SystemClock()
        self._tasks = tasks
        self._keys = [new_key(), new_key()]

    async def configure(self) -> None:
        upstream = self.regions.upstream_url
        await self.regions.configure(
            self.http,
            *self._keys,
            channels=[channel_entry("near", MODEL, upstream), channel_entry("pinned", MODEL_ABROAD, upstream)],
            models=[model_entry(MODEL), {**model_entry(MODEL_ABROAD), "lane": PINNED}],
            accounts=[
                {"name": f"account{number}", "credit": 1000.0, "keys": [{"name": "key", "secret": key}]}
                for number, key in enumerate(self._keys)
            ],
        )

    async def chat(self, edge: int, script: Mapping[str, object], model: str = MODEL, **fields: Any) -> Outcome:
        client = ChatClient(self.http, self._keys[edge], model)
        outcome = await client.chat(self.regions.edges[edge], script, **fields)
        self.outcomes.append(outcome)
        return outcome

    async def crossing(self) -> list[asyncio.Task[Outcome]]:
        """Streams of clients at home that are served abroad, and have begun."""
        begun = [asyncio.Event() for _ in range(2)]

        def note(number: int) -> Callable[[int], None]:
            return lambda _chunks: begun[number].set()

        started = [
            self._tasks.spawn(
                self.chat(HOME_EDGE, LONG, MODEL_ABROAD, stream=True, on_chunk=note(number)), name="crossing"
            )
            for number in range(len(begun))
        ]
        async with asyncio.timeout(BEGUN_WITHIN_S):
            await asyncio.gather(*(each.wait() for each in begun))
        return started

    async def some(self, edge: int) -> list[Outcome]:
        """A few requests, one after the other, all of which are answered."""
        outcomes = [await self.chat(edge, {"chunks": 2}) for _ in range(SOME)]
        assert endings(outcomes) == {Ending.WHOLE: SOME}
        return outcomes

    async def taken(self, dispatchers: tuple[int, ...]) -> float:
        """Return how many jobs these have taken."""
        name = "trunkline_dispatcher_offers_total{verdict=take}"
        return sum([(await self.regions.metrics(self.http, "dispatcher", each))[name] for each in dispatchers])

    async def far(self) -> float:
        """Return how many jobs have crossed the ocean."""
        return await self.regions.metric_sum(self.http, "dispatcher", "trunkline_dispatcher_jobs_far_total")

    async def under_way(self, jobs: int, dispatchers: tuple[int, ...]) -> None:
        async def look() -> bool:
            found = [await self.regions.metrics(self.http, "dispatcher", each) for each in dispatchers]
            return sum(metrics["trunkline_dispatcher_jobs"] for metrics in found) == jobs

        await eventually(look, within_s=10.0, what=f"{jobs} jobs are under way")

    async def served_again(self, edge: int, model: str = MODEL, *, within_s: float) -> None:
        async def look() -> bool:
            return (await self.chat(edge, {"chunks": 2}, model)).ending is Ending.WHOLE

        await eventually(look, within_s=within_s, what="requests are served again")

    async def hear_each_other(self) -> None:
        """Return once each edge hears all dispatchers."""

        async def look() -> bool:
            heard = [await self.regions.metrics(self.http, "edge", edge) for edge in (HOME_EDGE, ABROAD_EDGE)]
            return all(metrics["trunkline_edge_dispatchers"] == len(AT_HOME + ABROAD) for metrics in heard)

        await eventually(look, within_s=CAUGHT_UP_WITHIN_S, what="the regions hear each other")

    # --- what is tried -----------------------------------------------------------------------------------------

    async def each_region_serves_its_own(self) -> None:
        for edge, near in ((HOME_EDGE, AT_HOME), (ABROAD_EDGE, ABROAD)):
            before = await self.taken(near)
            await self.some(edge)  # draws what the account may spend, which is granted at home
            seconds = [outcome.seconds for outcome in await self.some(edge)]
            assert await self.taken(near) - before == 2 * SOME
            assert statistics.median(seconds) < ROUND_TRIP_S  # nothing waits for an answer from the other side
        assert await self.far() == 0

    async def a_full_region_is_helped_by_the_other(self) -> None:
        places = PLACES * len(AT_HOME)
        streams = [self._tasks.spawn(self.chat(HOME_EDGE, LONG, stream=True), name="long") for _ in range(places)]
        await self.under_way(places, AT_HOME)
        first = await self.chat(HOME_EDGE, {"chunks": 2})
        assert first.ending is Ending.WHOLE
        assert LEAVE_AFTER_S + ROUND_TRIP_S < first.seconds < LEAVE_AFTER_S + LOOK_S + ROUND_TRIP_S + 2 * SLACK_S
        # The others know that home is full: one way there and one back, and home is asked first.
        seconds = [outcome.seconds for outcome in await self.some(HOME_EDGE)]
        assert ROUND_TRIP_S < statistics.median(seconds) < ROUND_TRIP_S + SLACK_S
        assert await self.far() == SOME + 1
        assert endings(await asyncio.gather(*streams)) == {Ending.WHOLE: places}
        await self.some(HOME_EDGE)
        assert await self.far() == SOME + 1

    async def a_region_without_dispatchers_is_helped_by_the_other(self) -> None:
        before = await self.far()
        for name in ("dispatcher1", "dispatcher2"):
            self.regions.members[name].down = True
            self.regions.kill(name)
        await self.served_again(HOME_EDGE, within_s=5.0)
        crossed = await self.taken(ABROAD)
        seconds = [outcome.seconds for outcome in await self.some(HOME_EDGE)]
        assert ROUND_TRIP_S < statistics.median(seconds) < ROUND_TRIP_S + SLACK_S
        assert await self.taken(ABROAD) - crossed == SOME
        self.regions.revive()
        await self.regions.all_ready()
        assert await self.far() > before
        before = await self.far()
        await self.some(HOME_EDGE)
        assert await self.far() == before

    async def a_lane_belongs_to_a_region(self) -> None:
        before = await self.taken(ABROAD)
        assert (await self.chat(HOME_EDGE, {"chunks": 2}, MODEL_ABROAD)).ending is Ending.WHOLE
        assert await self.taken(ABROAD) - before == 1

    async def a_change_at_home_is_known_abroad(self) -> float:
        """Return how many seconds that took."""
        self._keys[ABROAD_EDGE] = key = new_key()
        account: dict[str, object] = {"name": "account1", "keys": [{"name": "new", "secret": key}]}
        await self.regions.apply(self.http, accounts=[account])
        applied = self._clock.now()
        await self.served_again(ABROAD_EDGE, within_s=CAUGHT_UP_WITHIN_S)
        return self._clock.now() - applied

    async def an_ocean_that_is_cut_stops_neither(self) -> None:
        crossing = await self.crossing()
        self.regions.sail(Trouble(cut=True))
        async with load(lambda number: self.chat(number % 2, {"chunks": 3}), workers=2) as running:
            ended = await asyncio.gather(*crossing)
            await self._clock.sleep(CUT_OFF_S)
        assert endings(running.outcomes) == {Ending.WHOLE: len(running.outcomes)}
        assert {outcome.edge for outcome in running.outcomes} == set(self.regions.edges)
        assert {(outcome.ending, outcome.code) for outcome in ended} == {LOST}
        self.regions.sail(Trouble(delay_s=ONE_WAY_S))
        await self.regions.all_ready()
        await self.hear_each_other()
        assert (await self.chat(HOME_EDGE, {"chunks": 2}, MODEL_ABROAD)).ending is Ending.WHOLE
        await self.a_change_at_home_is_known_abroad()

    async def home_is_lost(self) -> None:
        self.regions.kill_home()
        await self._clock.sleep(CUT_OFF_S)
        await self.some(ABROAD_EDGE)
        self.regions.kill("edge2")  # one that starts without home
        await self.served_again(ABROAD_EDGE, within_s=20.0)
        self.regions.revive()
        await self.regions.all_ready()

    async def abroad_is_lost(self) -> None:
        crossing = await self.crossing()
        async with load(lambda _: self.chat(HOME_EDGE, {"chunks": 3}), workers=2) as running:
            await running.progress(5)
            self.regions.kill_abroad()
            ended = await asyncio.gather(*crossing)
            await running.progress(20)
        assert endings(running.outcomes) == {Ending.WHOLE: len(running.outcomes)}
        assert {(outcome.ending, outcome.code) for outcome in ended} == {LOST}
        refused = await self.chat(HOME_EDGE, {"chunks": 2}, MODEL_ABROAD)
        assert (refused.ending, refused.status) == (Ending.REFUSED, 503)
        self.regions.revive()
        await self.regions.all_ready()


@contextlib.asynccontextmanager
async def running_tasks() -> AsyncIterator[TaskSet]:
    tasks = TaskSet()
    yield tasks
    await tasks.cancel()


async def assert_charged_once(regions: TwoRegions, outcomes: Sequence[Outcome]) -> None:
    """The ledger agrees with itself, and has a charge for each answer that a client got whole."""
    async with ledger_connection(regions) as connection:
        assert not await ledger.verify(connection)
        rows = await connection.fetch("select job::text, count(*) from usage where charge_nano > 0 group by job")
    charges = {row[0]: row[1] for row in rows}
    whole = [outcome for outcome in outcomes if outcome.ending is Ending.WHOLE]
    assert {charges.get(outcome.headers["x-request-id"]) for outcome in whole} == {1}


async def test_each_region_serves_its_own_helps_the_other_and_outlives_it(network: Network, tmp_path: Path) -> None:
    async with (
        running(TwoRegions(network, new_folder()), keep_logs=tmp_path) as regions,
        session() as http,
        running_tasks() as tasks,
    ):
        trial = Trial(regions, http, tasks)
        await trial.configure()
        await trial.each_region_serves_its_own()
        await trial.a_full_region_is_helped_by_the_other()
        await trial.a_lane_belongs_to_a_region()
        assert await trial.a_change_at_home_is_known_abroad() < CHANGE_WITHIN_S
        await trial.a_region_without_dispatchers_is_helped_by_the_other()
        await trial.an_ocean_that_is_cut_stops_neither()
        await trial.home_is_lost()
        await assert_books_agree(regions, http, within_s=REST_TIMEOUT_S)
        await trial.abroad_is_lost()
        await assert_at_rest(regions, http, within_s=REST_TIMEOUT_S)
        await assert_charged_once(regions, trial.outcomes)
