"""Edges and dispatchers whose releases know different versions of frames, on one bus: each writes what others read."""

import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import pytest
from structlog.testing import capture_logs

from tests.sim.sim_clients import Client, Outcome, Plan
from tests.sim.sim_loop import LoopClock, SimulatedLoop
from tests.sim.sim_metering import start_metering
from tests.sim.sim_processes import DISPATCHER_JOBS_MAX, SECRET, SimulatedDispatcher, SimulatedEdge, fill_buckets
from tests.sim.sim_releases import put
from tests.sim.sim_scenario import LARGE_REQUEST_BYTES, simulate
from tests.sim.sim_upstream import Behaviour, Provider
from tests.support.frame_releases import FORGOT_OLD, NOBODY, OLD, READS_NEW, WRITES_NEW, Release
from trunkline.bus.fleet import LOST_AFTER_S
from trunkline.bus.frames import Kind
from trunkline.core import limits
from trunkline.runtime.memory_bus import Delivery, MemoryBroker

LATENCY_S = 0.001
FRAME_SUBJECTS = ("tl.edge.", "tl.disp.", "tl.job.")

NEIGHBOURS = list(itertools.pairwise([OLD, READS_NEW, WRITES_NEW, FORGOT_OLD]))
PAIRS = [
    *((release, release) for release in (OLD, READS_NEW, WRITES_NEW, FORGOT_OLD)),
    *NEIGHBOURS,
    *((new, old) for old, new in NEIGHBOURS),
    (OLD, WRITES_NEW),
    (WRITES_NEW, OLD),
]
"""Of edge and dispatcher."""


class Seen(NamedTuple):
    """A frame on the bus."""

    version: int
    kind: Kind
    receiver: str


class RollOut:
    """One edge and some dispatchers, each of a release.

    Attributes:
        seen: every frame that was delivered.
        beats_lost: whether beats are.
    """

    def __init__(self, loop: SimulatedLoop, edge: Release, dispatchers: Sequence[Release]) -> None:
        self.clock = LoopClock(loop, 0)
        self.broker = MemoryBroker()
        fill_buckets(self.broker)
        self.broker.faults = self._note
        self.provider = Provider(1)
        self.provider.reliable = True
        self.seen: list[Seen] = []
        self.beats_lost = False
        self.edge = SimulatedEdge(self.broker, "edge", self.clock, 7)
        put(self.edge, edge)
        self.dispatchers: list[SimulatedDispatcher] = []
        self._releases = dispatchers

    def _note(self, delivery: Delivery) -> Sequence[float]:
        if delivery.subject.startswith(FRAME_SUBJECTS) and delivery.data:
            self.seen.append(Seen(delivery.data[0], Kind(delivery.data[1]), delivery.receiver))
        return () if self.beats_lost and delivery.subject.startswith("tl.alive.") else (LATENCY_S,)

    async def start(self) -> None:
        await start_metering(self.broker, self.clock)
        await self.edge.start()
        for release in self._releases:
            await self.start_dispatcher(release)
        await self.clock.sleep(0.1)

    async def start_dispatcher(self, release: Release) -> SimulatedDispatcher:
        name = f"dispatcher-{len(self.dispatchers)}"
        dispatcher = SimulatedDispatcher(self.broker, name, self.clock, len(self.dispatchers), self.provider)
        put(dispatcher, release)
        self.dispatchers.append(dispatcher)
        await dispatcher.start()
        return dispatcher

    def send(
        self, behaviour: Behaviour, *, stream: bool = True, padding: int = 0, bytes_per_s: int | None = None
    ) -> Client:
        self.provider.script.append(behaviour)
        tag = f"client-{len(self.edge.clients)}"
        client = Client(Plan(tag, self.clock.now(), stream, False, padding, bytes_per_s, None), SECRET)
        self.edge.begin(client)
        return client

    async def until(self, condition: Callable[[], bool], within_s: float) -> None:
        deadline = self.clock.now() + within_s
        while not condition():
            assert self.clock.now() < deadline
            await self.clock.sleep(0.01)

    async def outcome(self, client: Client, within_s: float = 10.0) -> Outcome:
        await self.until(lambda: client.done, within_s)
        return client.outcome()

    def offers(self) -> dict[str, set[int]]:
        """Return the versions of the offers that each dispatcher got since this was asked last."""
        found: dict[str, set[int]] = {}
        for seen in self.seen:
            if seen.kind is Kind.OPEN:
                found.setdefault(seen.receiver, set()).add(seen.version)
        self.seen.clear()
        return found

    def refused(self) -> tuple[float, float]:
        """Return how many frames the edge and the dispatchers have refused."""
        dispatchers = [each.intake._metrics.frames_refused._value.get() for each in self.dispatchers]
        return self.edge.board._metrics.frames_refused._value.get(), sum(dispatchers)


def play(edge: Release, dispatchers: Sequence[Release], course: Callable[[RollOut], Awaitable[None]]) -> None:
    """Run a course of events, at whose end no job may be left."""

    async def main() -> None:
        roll_out = RollOut(loop, edge, dispatchers)
        await roll_out.start()
        await course(roll_out)
        await roll_out.until(lambda: not len(roll_out.edge.board), within_s=1)
        for process in (roll_out.edge, *roll_out.dispatchers):
            assert process.failures == []
            await process.tasks.cancel()

    loop = SimulatedLoop()
    with capture_logs(), NOBODY.acting():
        try:
            loop.run_until_complete(main())
        finally:
            loop.close()


@pytest.mark.parametrize(("edge", "dispatcher"), PAIRS)
def test_what_one_writes_the_other_reads(edge: Release, dispatcher: Release) -> None:
    """Frames of all kinds go to and fro, none is refused, and all are of the newest version that both know."""
    version = min(edge.newest_written, dispatcher.newest_read)

    async def course(roll_out: RollOut) -> None:
        large = roll_out.send(Behaviour.LARGE, stream=False, padding=LARGE_REQUEST_BYTES, bytes_per_s=200_000)
        assert await roll_out.outcome(large) is Outcome.FULL
        for stream in (True, False):
            assert await roll_out.outcome(roll_out.send(Behaviour.GOOD, stream=stream)) is Outcome.FULL
        leaves = roll_out.send(Behaviour.SILENT)
        await roll_out.until(lambda: len(roll_out.provider.calls) == 4, within_s=1)
        leaves.leave()
        await roll_out.until(lambda: not roll_out.edge.board.settling, within_s=1)
        assert {(seen.kind, seen.version) for seen in roll_out.seen} == {(kind, version) for kind in Kind}
        assert roll_out.refused() == (0, 0)

    play(edge, [dispatcher], course)


def test_as_long_as_one_of_the_lane_is_old_it_may_get_any_offer() -> None:
    async def course(roll_out: RollOut) -> None:
        for _ in range(6):
            assert await roll_out.outcome(roll_out.send(Behaviour.GOOD)) is Outcome.FULL
        assert roll_out.offers() == {"dispatcher-0": {1}, "dispatcher-1": {1}, "dispatcher-2": {1}}
        await roll_out.dispatchers[0].die()
        await roll_out.until(lambda: "dispatcher-0" not in roll_out.edge.fleet, within_s=LOST_AFTER_S + 1)
        for _ in range(4):
            assert await roll_out.outcome(roll_out.send(Behaviour.GOOD)) is Outcome.FULL
        assert roll_out.offers() == {"dispatcher-1": {2}, "dispatcher-2": {2}}
        old = await roll_out.start_dispatcher(OLD)  # a release is rolled back
        await roll_out.until(lambda: old.name in roll_out.edge.fleet, within_s=1)
        for _ in range(6):
            assert await roll_out.outcome(roll_out.send(Behaviour.GOOD)) is Outcome.FULL
        assert roll_out.offers() == {"dispatcher-1": {1}, "dispatcher-2": {1}, old.name: {1}}
        assert roll_out.refused() == (0, 0)

    play(WRITES_NEW, [OLD, WRITES_NEW, WRITES_NEW], course)


def test_an_offer_by_name_is_written_as_that_one_reads() -> None:
    """The old one drains: what the lane brings it goes on to another one, by name."""

    async def course(roll_out: RollOut) -> None:
        old, new = roll_out.dispatchers
        old.table.draining = True
        await roll_out.clock.sleep(limits.BEAT_INTERVAL_S)
        for _ in range(2):
            assert await roll_out.outcome(roll_out.send(Behaviour.GOOD)) is Outcome.FULL
        assert roll_out.offers() == {old.name: {1}, new.name: {1, 2}}
        assert roll_out.refused() == (0, 0)

    play(WRITES_NEW, [OLD, WRITES_NEW], course)


def test_a_job_that_waited_is_offered_as_the_one_with_room_reads() -> None:
    async def course(roll_out: RollOut) -> None:
        held = [roll_out.send(Behaviour.SILENT) for _ in range(DISPATCHER_JOBS_MAX)]
        await roll_out.clock.sleep(0.5)
        waiting = roll_out.send(Behaviour.GOOD)
        await roll_out.clock.sleep(0.2)
        assert roll_out.edge.board.waiting == 1
        held[0].leave()
        assert await roll_out.outcome(waiting, within_s=1) is Outcome.FULL
        assert roll_out.offers() == {"dispatcher-0": {1}}
        for client in held:
            client.leave()

    play(WRITES_NEW, [OLD], course)


@pytest.mark.parametrize(("edge", "dispatcher"), [(FORGOT_OLD, OLD), (OLD, FORGOT_OLD)])
def test_releases_too_far_apart_refuse_each_other_and_count_it(edge: Release, dispatcher: Release) -> None:
    async def course(roll_out: RollOut) -> None:
        client = roll_out.send(Behaviour.GOOD)
        assert await roll_out.outcome(client, within_s=5) is Outcome.ERROR
        assert b"No worker took this request in time" in client.wire
        offers = sum(seen.kind is Kind.OPEN for seen in roll_out.seen)
        assert offers >= 1
        assert roll_out.refused() == (0, offers)

    play(edge, [dispatcher], course)


def test_an_offer_that_one_refuses_is_served_by_the_next() -> None:
    """No beat of the old one was heard yet when it gets the offer."""

    async def course(roll_out: RollOut) -> None:
        roll_out.beats_lost = True
        await roll_out.start_dispatcher(OLD)
        clients = [roll_out.send(Behaviour.GOOD) for _ in range(2)]
        for client in clients:
            assert await roll_out.outcome(client, within_s=limits.ACCEPT_TIMEOUT_S + 1) is Outcome.FULL
        assert roll_out.refused() == (0, 1)

    play(WRITES_NEW, [WRITES_NEW], course)


@pytest.mark.parametrize("releases", [(WRITES_NEW, READS_NEW), (WRITES_NEW, OLD, READS_NEW), (FORGOT_OLD, WRITES_NEW)])
def test_whatever_befalls_a_mixed_cluster_every_request_ends_once(releases: tuple[Release, ...]) -> None:
    outcomes: Counter[Outcome] = Counter()
    for seed in range(8):
        report = simulate(seed, releases)
        assert report.faults == [], seed
        outcomes += report.outcomes
    assert outcomes[Outcome.FULL] > outcomes.total() / 2
