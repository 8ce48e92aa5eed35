"""The simulated gateway as a stage for single mishaps."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from structlog.testing import capture_logs

from tests.sim.sim_books import Ledger
from tests.sim.sim_clients import Client, Outcome, Plan
from tests.sim.sim_loop import LoopClock, SimulatedLoop
from tests.sim.sim_metering import start_metering
from tests.sim.sim_processes import SECRET, SimulatedDispatcher, SimulatedEdge, fill_buckets
from tests.sim.sim_upstream import Behaviour, Call, Provider
from trunkline.bus import frames
from trunkline.bus.frames import FrameError, Kind
from trunkline.runtime.memory_bus import Delivery, MemoryBroker

LATENCY_S = 0.001


class Stage:
    """One edge, some dispatchers, providers that follow a script, and a bus that loses what it is told to."""

    def __init__(self, loop: SimulatedLoop, dispatchers: int, script: Sequence[Behaviour]) -> None:
        self.clock = LoopClock(loop, 0)
        self.broker = MemoryBroker()
        fill_buckets(self.broker)
        self.broker.faults = self._fate
        self.provider = Provider(1)
        self.provider.reliable = True
        self.provider.script = list(script)
        self.edge = SimulatedEdge(self.broker, "edge-0", self.clock, 7)
        self.dispatchers = [
            SimulatedDispatcher(self.broker, f"dispatcher-{number}", self.clock, number, self.provider)
            for number in range(dispatchers)
        ]
        self.latency_s = LATENCY_S
        """Of each message from now on."""
        self.offers = 0
        """That were delivered."""
        self._lose: list[Kind] = []
        self.lose_room = False
        """Lose the next word of room."""

    def lose(self, *kinds: Kind) -> None:
        """Lose the next frame of each of these kinds."""
        self._lose += kinds

    def _fate(self, delivery: Delivery) -> Sequence[float]:
        if self.lose_room and delivery.subject.startswith("tl.room."):
            self.lose_room = False
            return ()
        with contextlib.suppress(FrameError):
            kind = frames.decode(delivery.data).kind
            self.offers += kind is Kind.OPEN
            if delivery.subject.startswith(("tl.edge.", "tl.disp.", "tl.job.")) and kind in self._lose:
                self._lose.remove(kind)
                return ()
        return (self.latency_s,)

    def send(self, *, stream: bool = True, padding: int = 0, bytes_per_s: int | None = None) -> Client:
        plan = Plan(f"client-{len(self.edge.clients)}", self.clock.now(), stream, False, padding, bytes_per_s, None)
        client = Client(plan, SECRET)
        self.edge.begin(client)
        return client

    async def until(self, condition: Callable[[], bool], within_s: float) -> None:
        deadline = self.clock.now() + within_s
        while not condition():
            assert self.clock.now() < deadline
            await self.clock.sleep(0.01)

    async def answered(self, client: Client, within_s: float) -> Call:
        """Return the call that a client's full answer came from; it alone is charged."""
        await self.until(lambda: client.done, within_s)
        assert client.outcome() is Outcome.FULL
        await self.clock.sleep(2)
        call = next(call for call in self.provider.calls if call.text == client.answer)
        ledger = Ledger(self.broker.stored)
        assert not ledger.charged_twice
        assert ledger.charges[client.job].units.input == call.number
        return call

    def jobs(self) -> int:
        return len(self.edge.board) + sum(len(each.table) for each in self.dispatchers if not each.dead)


@contextlib.asynccontextmanager
async def _opened(stage: Stage) -> AsyncIterator[Stage]:
    await start_metering(stage.broker, stage.clock)
    await stage.edge.start()
    for dispatcher in stage.dispatchers:
        await dispatcher.start()
    await stage.clock.sleep(0.5)
    yield stage
    await stage.edge.tasks.cancel()
    for dispatcher in stage.dispatchers:
        await dispatcher.tasks.cancel()


def play(course: Callable[[Stage], Awaitable[None]], *, dispatchers: int = 2, script: Sequence[Behaviour] = ()) -> None:
    """Run a course of events on a fresh stage, at whose end no job may be left."""

    async def main() -> None:
        async with _opened(Stage(loop, dispatchers, script)) as stage:
            await course(stage)
            await stage.until(lambda: stage.jobs() == 0, within_s=1)

    loop = SimulatedLoop()
    with capture_logs():
        try:
            loop.run_until_complete(main())
        finally:
            loop.close()
