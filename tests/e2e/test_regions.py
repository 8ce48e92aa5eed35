"""Two regions, 80 ms apart: where jobs are served, what crosses the ocean, and how each outlives the other."""

import asyncio
import contextlib
import statistics
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from nats.js.api import StreamInfo

from services.edge.admission import LOOK_S
from tests.support.books import assert_at_rest, assert_books_agree, ledger_connection
from tests.support.chat_client import ChatClient, Ending, Outcome, endings, load, session
from tests.support.live_stack import channel_entry, model_entry, new_key
from tests.support.network import Network, Trouble, running_network, why_unavailable
from tests.support.network_cluster import CLIENT, NATS, new_folder, running
from tests.support.network_regions import (
    ABROAD,
    HOME,
    HOSTS,
    ONE_WAY_S,
    PINNED,
    PLACES,
    ROUND_TRIP_S,
    GatewayRegions,
    LeafNodeRegions,
    TwoRegions,
)
from tests.support.waiting import eventually
from trunkline.core import limits
from trunkline.policy.leaving import LEAVE_AFTER_S
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.tasks import TaskSet
from trunkline.store import ledger

pytestmark = [
    pytest.mark.patient,
    pytest.mark.skipif(bool(why_unavailable()), reason=why_unavailable()),
]

HOME_EDGE, ABROAD_EDGE = 0, 1
NEAR, FAR = (0, 1), (2, 3)
"""Dispatchers, by their index: at home, and abroad."""
MODEL, MODEL_ABROAD = "near", "pinned"
SOME = 20
LONG = {"chunks": 130, "delay_ms": 80}
"""Longer than some requests take, one after the other."""

OUTLASTING = {"chunks": 300, "delay_ms": 80}
"""24 s: longer than metering needs to take a dispatcher for dead, and to settle what it had under way."""

ANSWERED_IN_THE_CUT = {"chunks": 5, "first_delay_ms": 2000}
"""Before either side takes the other for lost, so that the answer is made, and used."""

ORPHANS_WITHIN_S = limits.ORPHANS_AFTER_S + 8.0

SLACK_S, ONE_SLACK_S = 0.08, 0.5
"""What requests take beside the ocean: two cores run all hosts. Of some the median, and one that stands alone."""

CHANGE_WITHIN_S = 1.0 + ROUND_TRIP_S
CAUGHT_UP_WITHIN_S = 30.0
"""A mirror that has heard nothing for ten seconds or so begins anew."""

NODE_LOST_S = 15.0
"""Processes connect to another node at once, and NATS chooses other leaders within 9 s."""

WOKEN_WITHIN_S = 5.0
"""A mirror that was told so tries again at once."""

LOST = (Ending.IN_BAND, "internal_error")
"""How a stream ends whose dispatcher has been lost, as OpenAI's clients are told it."""

UNSERVED = ((Ending.REFUSED, 500), (Ending.REFUSED, 503))
"""How a request ends whose dispatcher has been lost before its answer came, and that no other takes: as lost if the
other was known to be lost before it, as untaken if it was asked."""

BEGUN_WITHIN_S = 5.0
REST_TIMEOUT_S = 60.0
CUT_OFF_S = 3.0
"""After what was under way is known to be lost."""

PARTED_WITHIN_S = 30.0
"""A node of NATS takes a connection for lost after two pings, 5 s each, and then one more."""


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
        """Return once each edge hears all dispatchers, and each dispatcher all edges: either way opens by itself.

        And each node of NATS abroad has its way home: these open by themselves, too.
        """
        edges, dispatchers = (HOME_EDGE, ABROAD_EDGE), NEAR + FAR

        async def look() -> bool:
            heard = [await self.regions.metrics(self.http, "edge", edge) for edge in edges]
            hear = [await self.regions.metrics(self.http, "dispatcher", dispatcher) for dispatcher in dispatchers]
            return (
                all(metrics["trunkline_edge_dispatchers"] == len(dispatchers) for metrics in heard)
                and all(metrics["trunkline_dispatcher_edges"] == len(edges) for metrics in hear)
                and await self.regions.joined(self.http)
            )

        await eventually(look, within_s=CAUGHT_UP_WITHIN_S, what="the regions hear each other")

    async def parted(self) -> None:
        """Return once NATS knows that the ocean is cut."""
        await eventually(
            lambda: self.regions.parted(self.http),
            within_s=PARTED_WITHIN_S,
            what="all connections are known to be lost",
        )

    # --- what is tried -----------------------------------------------------------------------------------------

    async def each_region_serves_its_own(self) -> None:
        for edge, near in ((HOME_EDGE, NEAR), (ABROAD_EDGE, FAR)):
            before = await self.taken(near)
            await self.some(edge)  # draws what the account may spend, which is granted at home
            seconds = [outcome.seconds for outcome in await self.some(edge)]
            assert await self.taken(near) - before == 2 * SOME
            assert statistics.median(seconds) < ROUND_TRIP_S  # nothing waits for an answer from the other side
        assert await self.far() == 0

    async def usage_is_held_in_its_place(self) -> None:
        """By all nodes of home, which give it away when it is settled; where the other region can, it keeps a copy."""

        async def look() -> bool:
            at_home, abroad = [await self.regions.usage_stream(region) for region in (HOME, ABROAD)]
            own = set(self.regions.nodes_abroad if self.regions.stands_alone else NATS)
            assert (_holders(at_home), _holders(abroad)) == (set(NATS), own)
            left = at_home.state.last_seq if self.regions.stands_alone else 0
            return at_home.state.last_seq > 0 and (at_home.state.messages, abroad.state.messages) == (0, left)

        await eventually(look, within_s=CAUGHT_UP_WITHIN_S, what="usage is settled, and mirrored")

    async def a_full_region_is_helped_by_the_other(self) -> None:
        places = PLACES * len(NEAR)
        streams = [self._tasks.spawn(self.chat(HOME_EDGE, LONG, stream=True), name="long") for _ in range(places)]
        await self.under_way(places, NEAR)
        first = await self.chat(HOME_EDGE, {"chunks": 2})
        assert first.ending is Ending.WHOLE
        assert 0 < first.seconds - LEAVE_AFTER_S - ROUND_TRIP_S < LOOK_S + ONE_SLACK_S
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
        crossed = await self.taken(FAR)
        seconds = [outcome.seconds for outcome in await self.some(HOME_EDGE)]
        assert ROUND_TRIP_S < statistics.median(seconds) < ROUND_TRIP_S + SLACK_S
        assert await self.taken(FAR) - crossed == SOME
        self.regions.revive()
        await self.regions.all_ready()
        assert await self.far() > before
        before = await self.far()
        await self.some(HOME_EDGE)
        assert await self.far() == before

    async def a_lane_belongs_to_a_region(self) -> None:
        before = await self.taken(FAR)
        assert (await self.chat(HOME_EDGE, {"chunks": 2}, MODEL_ABROAD)).ending is Ending.WHOLE
        assert await self.taken(FAR) - before == 1

    async def a_change_at_home_is_known_abroad(self) -> float:
        """Return how many seconds that took."""
        self._keys[ABROAD_EDGE] = key = new_key()
        account: dict[str, object] = {"name": "account1", "keys": [{"name": "new", "secret": key}]}
        await self.regions.apply(self.http, accounts=[account])
        applied = self._clock.now()
        await self.served_again(ABROAD_EDGE, within_s=CAUGHT_UP_WITHIN_S)
        known_s = self._clock.now() - applied
        # An edge that hears of a key while it reads it reads it once more.
        await self.served_again(ABROAD_EDGE, within_s=CAUGHT_UP_WITHIN_S)
        return known_s

    async def a_node_of_each_nats_is_lost(self) -> None:
        nodes = NATS[0], self.regions.nodes_abroad[0]
        for name in nodes:
            self.regions.members[name].down = True
            self.regions.kill(name)
        for edge, model in ((HOME_EDGE, MODEL), (ABROAD_EDGE, MODEL), (HOME_EDGE, MODEL_ABROAD)):
            await self.served_again(edge, model, within_s=NODE_LOST_S)
        self.regions.revive()
        await self.regions.all_ready()
        await self.hear_each_other()

    async def an_ocean_that_is_cut_stops_neither(self) -> None:
        crossing = await self.crossing()
        self.regions.sail(Trouble(cut=True))
        async with load(lambda number: self.chat(number % 2, {"chunks": 3}), workers=2) as running:
            ended = await asyncio.gather(*crossing)
            await self.parted()
        assert endings(running.outcomes) == {Ending.WHOLE: len(running.outcomes)}
        assert {outcome.edge for outcome in running.outcomes} == set(self.regions.edges)
        assert {(outcome.ending, outcome.code) for outcome in ended} == {LOST}
        self.regions.sail(Trouble(delay_s=ONE_WAY_S))
        await self.regions.all_ready()
        await self.hear_each_other()
        assert (await self.chat(HOME_EDGE, {"chunks": 2}, MODEL_ABROAD)).ending is Ending.WHOLE
        await self.regions.wake_abroad()
        assert await self.a_change_at_home_is_known_abroad() < WOKEN_WITHIN_S

    async def streams_settled_by_checkpoint_are_booked_exactly_in_the_end(self) -> None:
        """Metering takes the dispatchers abroad for dead while they serve, and hears of it all when they are back."""

        async def orphans(name: str) -> None:
            async def look() -> bool:
                return await self.regions.metric_sum(self.http, "metering", name) == len(streams)

            await eventually(look, within_s=ORPHANS_WITHIN_S, what=f"{name} has all streams")

        # Checkpoints wait for usage that was in metering's hands when its broker was lost: it comes again after half a
        # minute.
        await assert_at_rest(self.regions, self.http, within_s=REST_TIMEOUT_S)
        streams = [
            self._tasks.spawn(self.chat(ABROAD_EDGE, OUTLASTING, stream=True), name="outlasting")
            for _ in range(2 * len(FAR))
        ]
        await self.under_way(len(streams), FAR)
        await self._clock.sleep(2 * limits.CHECKPOINT_INTERVAL_S)
        self.regions.sail(Trouble(cut=True))
        await orphans("trunkline_metering_orphans_total")
        assert not any(stream.done() for stream in streams)
        self.regions.sail(Trouble(delay_s=ONE_WAY_S))
        assert endings(await asyncio.gather(*streams)) == {Ending.WHOLE: len(streams)}
        await orphans("trunkline_metering_orphans_corrected_total")
        await assert_books_agree(self.regions, self.http, within_s=REST_TIMEOUT_S)
        await self.hear_each_other()

    async def an_answer_that_nobody_got_is_charged_to_nobody(self) -> None:
        """Its frames are lost in the cut. Its usage comes when that is over, before or after its edge has said so."""
        asked = self._tasks.spawn(self.chat(HOME_EDGE, ANSWERED_IN_THE_CUT, MODEL_ABROAD), name="asked")
        await self.under_way(1, FAR)
        self.regions.sail(Trouble(cut=True))
        refused = await asked
        assert (refused.ending, refused.status) in UNSERVED
        self.regions.sail(Trouble(delay_s=ONE_WAY_S))
        await self.hear_each_other()
        job = refused.headers["x-request-id"]

        async def used_and_not_paid() -> bool:
            void = [f"trunkline_metering_void_jobs_total{{result={result}}}" for result in ("noted", "refunded")]
            said = sum([await self.regions.metric_sum(self.http, "metering", name) for name in void])
            async with ledger_connection(self.regions) as connection:
                reported = await connection.fetchval(
                    "select sum(output) from usage where job = $1::text::uuid and not counted", job
                )
                paid = await connection.fetchval(
                    "select coalesce(sum(case kind when 'charge' then amount_nano else -amount_nano end), 0)"
                    " from transfers where (job = $1::text::uuid and kind = 'charge')"
                    " or (corrects_job = $1::text::uuid and kind = 'refund')",
                    job,
                )
            return bool(said and reported and not paid)

        await eventually(used_and_not_paid, within_s=REST_TIMEOUT_S, what="it is settled, and nobody has paid it")
        await assert_books_agree(self.regions, self.http, within_s=REST_TIMEOUT_S)

    async def home_is_lost(self) -> None:
        self.regions.kill_home()
        await self._clock.sleep(CUT_OFF_S)
        await self.some(ABROAD_EDGE)
        self.regions.kill("edge2")
        if self.regions.stands_alone:
            await self.served_again(ABROAD_EDGE, within_s=20.0)
        else:
            await eventually(self._edge_abroad_waits, within_s=20.0, what="an edge that starts waits for home")
        self.regions.revive()
        await self.regions.all_ready()
        await self.served_again(ABROAD_EDGE, within_s=CAUGHT_UP_WITHIN_S)
        await self.hear_each_other()
        await self.regions.wake_abroad()
        assert await self.a_change_at_home_is_known_abroad() < WOKEN_WITHIN_S

    async def _edge_abroad_waits(self) -> bool:
        return "streams_unready" in self.regions.log_tail("edge2") and not await self.regions.is_ready("edge2")

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
        assert (refused.ending, refused.status) in UNSERVED
        self.regions.revive()
        await self.regions.all_ready()


def _holders(stream: StreamInfo) -> set[str]:
    """Return the nodes of NATS that hold a stream."""
    cluster = stream.cluster
    assert cluster is not None
    return {str(cluster.leader), *(str(peer.name) for peer in cluster.replicas or ())}


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


@pytest.mark.parametrize("joined", [LeafNodeRegions, GatewayRegions])
async def test_each_region_serves_its_own_helps_the_other_and_outlives_it(
    network: Network, tmp_path: Path, joined: type[TwoRegions]
) -> None:
    async with (
        running(joined(network, new_folder()), keep_logs=tmp_path) as regions,
        session() as http,
        running_tasks() as tasks,
    ):
        trial = Trial(regions, http, tasks)
        await trial.configure()
        await trial.each_region_serves_its_own()
        await trial.usage_is_held_in_its_place()
        await trial.a_full_region_is_helped_by_the_other()
        await trial.a_lane_belongs_to_a_region()
        assert await trial.a_change_at_home_is_known_abroad() < CHANGE_WITHIN_S
        await trial.a_region_without_dispatchers_is_helped_by_the_other()
        await trial.a_node_of_each_nats_is_lost()
        await trial.an_ocean_that_is_cut_stops_neither()
        await trial.streams_settled_by_checkpoint_are_booked_exactly_in_the_end()
        await trial.an_answer_that_nobody_got_is_charged_to_nobody()
        await trial.home_is_lost()
        await assert_books_agree(regions, http, within_s=REST_TIMEOUT_S)
        await trial.abroad_is_lost()
        await assert_at_rest(regions, http, within_s=REST_TIMEOUT_S)
        await assert_charged_once(regions, trial.outcomes)
