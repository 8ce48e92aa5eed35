"""One simulation by its seed: two edges, three dispatchers, some dozens of clients, and what befalls them."""

import asyncio
import dataclasses
import random
from collections import Counter
from collections.abc import Sequence
from enum import Enum

from structlog.testing import capture_logs

from tests.sim.sim_books import Books, Ledger
from tests.sim.sim_checkpoints import CheckpointStream
from tests.sim.sim_clients import Client, Outcome, Plan
from tests.sim.sim_loop import LoopClock, SimulatedLoop
from tests.sim.sim_metering import METERING, start_metering
from tests.sim.sim_network import Network, Partition, Weather
from tests.sim.sim_processes import (
    DEADLINE_S,
    SECRET,
    SimulatedDispatcher,
    SimulatedEdge,
    fill_buckets,
)
from tests.sim.sim_releases import put
from tests.sim.sim_upstream import Provider
from tests.support.frame_releases import NOBODY, OLD, Release
from trunkline.bus.edge_job import DEADLINE_SLACK_S
from trunkline.core import limits
from trunkline.runtime.memory_bus import BROKER, MemoryBroker

ARRIVALS_S = 6.0
FIRST_ARRIVAL_S = 1.5
"""Beats have been heard by then, as after any real start."""

HEALED_AT_S = FIRST_ARRIVAL_S + ARRIVALS_S + DEADLINE_S + DEADLINE_SLACK_S + 1
END_S = HEALED_AT_S + 2 * limits.SYNC_AFTER_QUIET_S
CALM_S = 5
"""Longer than any message is under way, and than the silence by which a death is noticed."""

SKEW_MS_MAX = 5000
LARGE_REQUEST_BYTES = 700 * 1024


class Kind(Enum):
    """What befalls a simulation, beside what its clients and providers do."""

    CALM = "calm"
    DEATHS = "deaths"
    ROUGH = "rough"
    STORM = "storm"


WEATHERS = {
    Kind.CALM: Weather(),
    Kind.DEATHS: Weather(),
    Kind.ROUGH: Weather(drop=0.02, repeat=0.02, delay=0.02),
    Kind.STORM: Weather(drop=0.01, repeat=0.02, delay=0.01),
}


@dataclasses.dataclass
class Report:
    """What came of a simulation.

    Attributes:
        faults: what should not be; empty for a good one.
        outcomes: of the clients.
        calls: how many the providers had.
    """

    seed: int
    kind: Kind
    faults: list[str]
    outcomes: Counter[Outcome]
    calls: int


class Simulation:
    """A seed's course of events.

    Args:
        seed: of all that chance decides.
        loop: the simulated one.
        releases: of which edges are in turn, and dispatchers.
    """

    def __init__(self, seed: int, loop: asyncio.AbstractEventLoop, releases: Sequence[Release]) -> None:
        self._releases = releases
        self.random = random.Random(seed)
        self.seed = seed
        self.kind = list(Kind)[seed % len(Kind)]
        self.loop = loop
        self.broker = MemoryBroker()
        fill_buckets(self.broker)
        self.provider = Provider(self.random.getrandbits(32))
        self.edges: list[SimulatedEdge] = []
        self.dispatchers: list[SimulatedDispatcher] = []
        self.clients: list[Client] = []
        self.checkpoints = CheckpointStream()
        self.network = Network(self.random.getrandbits(32), WEATHERS[self.kind], self._partitions())
        self.broker.faults = self.network

    def _clock(self) -> LoopClock:
        return LoopClock(self.loop, self.random.randrange(-SKEW_MS_MAX, SKEW_MS_MAX))

    def _partitions(self) -> list[Partition]:
        if self.kind is not Kind.STORM:
            return []
        names = ["edge-0", "edge-1", "dispatcher-0", "dispatcher-1", "dispatcher-2", METERING, BROKER]
        partitions = []
        for _ in range(self.random.randrange(1, 4)):
            begin_s = self.random.uniform(FIRST_ARRIVAL_S, FIRST_ARRIVAL_S + ARRIVALS_S)
            apart = frozenset(self.random.sample(names, self.random.randrange(1, 4)))
            partitions.append(Partition(apart, begin_s, begin_s + self.random.uniform(0.2, 8.0)))
        return partitions

    def _plans(self) -> list[Plan]:
        draw = self.random
        plans = []
        for number in range(draw.randrange(30, 61)):
            stream = draw.random() < 0.65
            plans.append(
                Plan(
                    tag=f"client-{number}",
                    at_s=FIRST_ARRIVAL_S + draw.uniform(0, ARRIVALS_S),
                    stream=stream,
                    wants_usage=stream and draw.random() < 0.3,
                    padding=LARGE_REQUEST_BYTES if draw.random() < 0.04 else draw.randrange(200),
                    bytes_per_s=draw.choice([2_000, 30_000, 200_000]) if draw.random() < 0.2 else None,
                    leaves_after_s=draw.choice([0.001, 0.05, 0.5, 3.0]) if draw.random() < 0.15 else None,
                )
            )
        return plans

    # --- events ------------------------------------------------------------------------------------------------

    async def _start_dispatcher(self) -> None:
        name = f"dispatcher-{len(self.dispatchers)}"
        seed = self.random.getrandbits(32)
        dispatcher = SimulatedDispatcher(self.broker, name, self._clock(), seed, self.provider)
        put(dispatcher, self._releases[len(self.dispatchers) % len(self._releases)])
        self.dispatchers.append(dispatcher)
        await dispatcher.start()

    async def _sleep_until(self, at_s: float) -> None:
        await LoopClock(self.loop, 0).sleep(max(0.0, at_s - self.loop.time()))

    async def _client_comes(self, client: Client) -> None:
        await self._sleep_until(client.plan.at_s)
        edge = self.random.choice([edge for edge in self.edges if not edge.dead])
        edge.begin(client)
        if client.plan.leaves_after_s is not None:
            await self._sleep_until(self.loop.time() + client.plan.leaves_after_s)
            client.leave()

    async def _dispatcher_dies(self, number: int, at_s: float) -> None:
        await self._sleep_until(at_s)
        await self.dispatchers[number].die()
        await self._sleep_until(at_s + self.random.uniform(0.5, 4.0))
        await self._start_dispatcher()

    async def _edge_dies(self, at_s: float) -> None:
        await self._sleep_until(at_s)
        await self.edges[0].die()

    async def run(self) -> Report:
        """See the simulation to its end."""
        await start_metering(self.broker, self._clock())
        await self.checkpoints.start(self.broker)
        for number in range(2):
            edge = SimulatedEdge(self.broker, f"edge-{number}", self._clock(), self.random.getrandbits(32))
            put(edge, self._releases[number % len(self._releases)])
            self.edges.append(edge)
            await edge.start()
        for _ in range(3):
            await self._start_dispatcher()
        self.clients = [Client(plan, SECRET) for plan in self._plans()]
        events = [self._client_comes(client) for client in self.clients]
        if self.kind in {Kind.DEATHS, Kind.STORM}:
            dying = self.random.sample(range(3), self.random.randrange(1, 3))
            events += [self._dispatcher_dies(number, self._time_of_death()) for number in dying]
            if self.random.random() < 0.4:
                events.append(self._edge_dies(self._time_of_death()))
        await asyncio.gather(*events)
        await self._rest()
        report = self._report()
        for process in (*self.edges, *self.dispatchers):
            await process.tasks.cancel()
        return report

    async def _rest(self) -> None:
        """Return when nothing has been under way for a while, or when there is no excuse any more."""
        calm_s = 0
        while calm_s < CALM_S and self.loop.time() < END_S:
            await self._sleep_until(self.loop.time() + 1)
            if self.loop.time() >= HEALED_AT_S:
                self.network.weather = Weather()
            calm_s = 0 if self._left_over() or not all(client.done for client in self.clients) else calm_s + 1

    def _left_over(self) -> list[str]:
        return [
            f"{process.name}: {count} {what} left"
            for process in (*self.edges, *self.dispatchers)
            if not process.dead
            for what, count in process.left_over().items()
            if count
        ]

    def _time_of_death(self) -> float:
        return self.random.uniform(FIRST_ARRIVAL_S, FIRST_ARRIVAL_S + ARRIVALS_S)

    def _report(self) -> Report:
        ledger = Ledger(self.broker.stored)
        ledger.settle_orphans(self.checkpoints.events({each.name for each in self.dispatchers if each.dead}))
        books = Books(
            self.clients,
            self.provider.calls,
            ledger,
            {job: told for edge in self.edges for job, told in edge.settled.items()},
            lossless=self.kind in {Kind.CALM, Kind.DEATHS},
            deaths=self.kind in {Kind.DEATHS, Kind.STORM},
        )
        faults = books.compare() + self._left_over()
        for process in (*self.edges, *self.dispatchers):
            faults += [f"{process.name}: {failure!r}" for failure in process.failures]
        return Report(self.seed, self.kind, faults, books.outcomes, len(self.provider.calls))


def simulate(seed: int, releases: Sequence[Release] = (OLD,)) -> Report:
    """Run one seed. The same seed gives the same report each time.

    Args:
        seed: see there.
        releases: as of `Simulation`; all of today's by default.
    """
    broken: list[str] = []
    loop = SimulatedLoop()
    loop.set_exception_handler(lambda _loop, context: broken.append(str(context.get("exception", context["message"]))))
    with capture_logs() as lines, NOBODY.acting(), asyncio.Runner(loop_factory=lambda: loop) as runner:
        report = runner.run(Simulation(seed, loop, releases).run())
    report.faults += broken
    report.faults += [str(line) for line in lines if line["log_level"] in {"error", "critical"}]
    return report
