"""Edges with leases of one account, metering in memory, and jobs that hold and settle, on a clock that stands still."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable

from prometheus_client import CollectorRegistry

from services.edge.account_leases import HoldRefusedError
from services.edge.allowances import Allowances, Grace
from services.edge.metrics import EdgeMetrics
from tests.support.manual_clock import ManualClock
from tests.support.memory_metering import MemoryAccount, MemoryMetering
from trunkline.bus.allowance import Meter, MeterKind, Period
from trunkline.policy.lease import Hold, JobNeed
from trunkline.runtime.memory_bus import MemoryBroker
from trunkline.runtime.tasks import TaskSet

ACCOUNT = 7
GRACE = Grace(60.0, 1_000)
CONCURRENCY = Meter("tier:concurrency", MeterKind.CONCURRENCY, Period.NONE, 4)


class Rig:
    """Edges and metering on one bus, with a clock that stands still."""

    def __init__(self) -> None:
        self.failures: list[BaseException] = []
        self.tasks = TaskSet(self.failures.append)
        self.clock = ManualClock()
        self.broker = MemoryBroker()
        self.metering = MemoryMetering(self.broker, self.clock)
        self.registry = CollectorRegistry()
        self._metrics = EdgeMetrics(self.registry)
        self._edges = 0

    async def edge(self) -> Allowances:
        """Start another edge."""
        self._edges += 1
        name = f"edge-{self._edges}"
        bus = self.broker.connect(name)
        edge = Allowances(bus, name, self._edges, GRACE, clock=self.clock, tasks=self.tasks, metrics=self._metrics)
        await edge.start()
        return edge

    def account(self, balance: int = 10**12, *meters: Meter) -> MemoryAccount:
        """Make metering know the account, with so many nano-USD and these meters."""
        account = self.metering.accounts[ACCOUNT] = MemoryAccount(balance, meters)
        return account

    async def turn(self, count: int) -> None:
        """Let the event loop turn a few times."""
        loop = asyncio.get_running_loop()
        for _ in range(count):
            turned: asyncio.Future[None] = loop.create_future()
            loop.call_soon(turned.set_result, None)
            await turned

    async def turns(self) -> None:
        """Let everything happen that takes no time."""
        for _ in range(4):
            await self.clock.advance(0)

    async def pass_time(self, seconds: float, *edges: Allowances) -> None:
        """Let time pass in steps, and edges do what they do twice a second."""
        while seconds > 0:
            step = min(seconds, 0.5)
            await self.clock.advance(step)
            for edge in edges:
                edge.sweep()
            await self.turns()
            seconds -= step

    async def begin(self, edge: Allowances, wanted: JobNeed, account: int = ACCOUNT) -> "Job":
        """Begin a job at an edge and let happen what takes no time."""
        job = Job(self, edge, wanted, account)
        await self.turns()
        return job

    def leases(self) -> dict[int, dict[str, int]]:
        """Return what metering takes the open leases to have drawn."""
        leases = self.metering.accounts[ACCOUNT].state.leases
        return {number: dict(lease.drawn) for number, lease in leases.items() if not lease.closing}

    def counted(self, name: str, **labels: str) -> float:
        """Return a counter of the edges."""
        return self.registry.get_sample_value(f"trunkline_edge_{name}_total", labels) or 0.0


class Job:
    """A job as the path of a request begins it: at once where that can be, else in a task of its own.

    Attributes:
        held: what it holds, None while or because it holds nothing.
        refused: why it was refused.
        waited: whether it had to wait.
    """

    def __init__(self, rig: Rig, edge: Allowances, wanted: JobNeed, account: int) -> None:
        self._rig = rig
        self._edge = edge
        self._account = account
        self.held: Hold | None = None
        self.refused: HoldRefusedError | None = None
        self.waited = False
        try:
            self.held = edge.hold(account, wanted)
        except HoldRefusedError as error:
            self.refused = error
        else:
            if self.held is None:
                self.waited = True
                self._rig.tasks.spawn(self._wait(edge.wait(account, wanted)), name="job")

    async def _wait(self, waiting: Awaitable[Hold]) -> None:
        try:
            self.held = await waiting
        except HoldRefusedError as error:
            self.refused = error

    @property
    def hold(self) -> Hold:
        """What it holds; it must hold something."""
        assert self.held is not None
        return self.held

    @property
    def why(self) -> str:
        """The code or type of its refusal; empty for none."""
        return "" if self.refused is None else self.refused.fault.code or self.refused.fault.type.value

    def end(self, nano: int = 0, *, charge: bool = True) -> None:
        """End it; with ``charge`` metering has booked its ``nano`` before."""
        if charge:
            self._rig.metering.accounts[self._account].charge(self.hold, nano)
        self._edge.settle(self._account, self.hold, nano, 0, 0)


@contextlib.asynccontextmanager
async def running_rig() -> AsyncIterator[Rig]:
    """Lend a rig; nothing that ran in it may have failed."""
    rig = Rig()
    await rig.metering.open()
    yield rig
    await rig.tasks.cancel()
    assert rig.failures == []
