"""Does to a cluster what a `schedule.Step` says, for as long as it says, and takes it back."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence

import nats

from tests.chaos.schedule import OUTER_CLOCKS, Kind, Step
from tests.support import network_clocks
from tests.support.network import Trouble
from tests.support.network_cluster import (
    DISPATCHERS,
    EDGES,
    METERINGS,
    NATS,
    SERVICES,
    NetworkCluster,
)
from tests.support.waiting import eventually
from trunkline.bus import subjects
from trunkline.runtime.clock import SystemClock

CUT = Trouble(cut=True)
SLOW = Trouble(delay_s=0.2)
LOSSY = Trouble(loss=0.05)

LEADER_TIMEOUT_S = 30.0
RESTART_TIMEOUT_S = 30.0

Fault = Callable[["Faults", Step], Awaitable[None]]


class Faults:
    """Brings faults about.

    Args:
        cluster: that has them.
    """

    def __init__(self, cluster: NetworkCluster) -> None:
        self._cluster = cluster
        self._network = cluster.network
        self._clock = SystemClock()

    async def run(self, step: Step) -> None:
        """Return when the fault is over; the cluster may still have to recover."""
        await _FAULTS[step.kind](self, step)

    # --- the network ---------------------------------------------------------------------------------------------

    async def _trouble(
        self, step: Step, sources: Sequence[str], targets: Sequence[str], trouble: Trouble, *, both_ways: bool = True
    ) -> None:
        self._network.set(sources, targets, trouble, both_ways=both_ways)
        await self._clock.sleep(step.seconds)
        self._network.heal()

    async def _cut_broker(self, step: Step) -> None:
        name = _pick((*EDGES, *DISPATCHERS), step)
        await self._trouble(step, [name], self._cluster.brokers_of(name), CUT)

    async def _cut_dispatcher(self, step: Step) -> None:
        await self._trouble(step, [_pick(DISPATCHERS, step)], NATS, CUT)

    async def _cut_metering(self, step: Step) -> None:
        await self._trouble(step, METERINGS, ["postgres"], CUT)

    async def _split_brokers(self, step: Step) -> None:
        await self._trouble(step, [await self._leader()], NATS, CUT)

    async def _deafen(self, step: Step) -> None:
        await self._trouble(step, NATS, [_pick(SERVICES, step)], CUT, both_ways=False)

    async def _mute(self, step: Step) -> None:
        await self._trouble(step, [_pick(SERVICES, step)], NATS, CUT, both_ways=False)

    async def _slow_down(self, step: Step) -> None:
        await self._trouble(step, NATS, [*NATS, *SERVICES], SLOW)

    async def _lose(self, step: Step) -> None:
        await self._trouble(step, NATS, [*NATS, *SERVICES], LOSSY)

    # --- processes -----------------------------------------------------------------------------------------------

    async def _kill(self, name: str, seconds: float, number: int = signal.SIGKILL) -> None:
        """End a process, and let it be started again after so many seconds."""
        member = self._cluster.members[name]
        member.down = True
        try:
            self._cluster.kill(name, number)

            async def gone() -> bool:
                return not member.running

            await eventually(gone, within_s=RESTART_TIMEOUT_S, what=f"{name} has ended")
            await self._clock.sleep(seconds)
        finally:
            member.down = False

    async def _kill_broker(self, step: Step) -> None:
        await self._kill(await self._leader(), step.seconds)

    async def _kill_postgres(self, step: Step) -> None:
        await self._kill("postgres", step.seconds)

    async def _kill_service(self, step: Step) -> None:
        await self._kill(_pick(SERVICES, step), 0)

    async def _roll(self, _step: Step) -> None:
        for name in SERVICES:
            await self._kill(name, 0, signal.SIGTERM)

            async def ready(name: str = name) -> bool:
                return await self._cluster.is_ready(name)

            await eventually(ready, within_s=RESTART_TIMEOUT_S, what=f"{name} is ready again")

    # --- disks ---------------------------------------------------------------------------------------------------

    async def _fill(self, step: Step, names: Sequence[str]) -> None:
        for name in names:
            self._cluster.disks[name].fill()
        try:
            await self._clock.sleep(step.seconds)
        finally:
            for name in names:
                self._cluster.disks[name].clear()

    async def _fill_broker(self, step: Step) -> None:
        await self._fill(step, [_pick(NATS, step)])

    async def _fill_spools(self, step: Step) -> None:
        self._network.set(NATS, [*EDGES, *DISPATCHERS], CUT, both_ways=True)
        await self._fill(step, [*EDGES, *DISPATCHERS])
        self._network.heal()

    async def _fill_postgres(self, step: Step) -> None:
        await self._fill(step, ["postgres"])

    # --- clocks --------------------------------------------------------------------------------------------------

    async def _jump_service(self, step: Step) -> None:
        name = _pick(SERVICES, step)
        self._cluster.set_clock(name, step.ahead_s)
        await self._clock.sleep(step.seconds)
        self._cluster.set_clock(name, 0)

    async def _jump_postgres(self, step: Step) -> None:
        await self._jump_process("postgres", step)

    async def _jump_broker(self, step: Step) -> None:
        await self._jump_process(_pick(NATS, step), step)

    async def _jump_process(self, name: str, step: Step) -> None:
        member = self._cluster.members[name]
        for ahead_s in (step.ahead_s, 0):
            assert member.process is not None
            await asyncio.to_thread(network_clocks.set_ahead, member.process.pid, ahead_s)
            if ahead_s:
                await self._clock.sleep(step.seconds)

    # --- who leads -----------------------------------------------------------------------------------------------

    async def _leader(self) -> str:
        """Return the broker that leads the stream of usage."""
        client = await nats.connect(self._cluster.ready.nats_url.split(","), connect_timeout=2)
        try:

            async def look() -> str | None:
                info = await client.jetstream().stream_info(subjects.USAGE_STREAM)
                return info.cluster.leader if info.cluster is not None else None

            return await eventually(look, within_s=LEADER_TIMEOUT_S, what="the stream of usage has a leader")
        finally:
            await client.close()


def possible(kinds: Sequence[Kind]) -> list[Kind]:
    """Return those faults that can be brought about on this machine."""
    return [kind for kind in kinds if kind not in OUTER_CLOCKS or not network_clocks.why_unavailable()]


def _pick(names: Sequence[str], step: Step) -> str:
    return names[step.victim % len(names)]


_FAULTS: Mapping[Kind, Fault] = {
    Kind.BROKER_CUT: Faults._cut_broker,
    Kind.DISPATCHER_CUT: Faults._cut_dispatcher,
    Kind.METERING_CUT: Faults._cut_metering,
    Kind.BROKERS_SPLIT: Faults._split_brokers,
    Kind.DEAF: Faults._deafen,
    Kind.DUMB: Faults._mute,
    Kind.SLOW: Faults._slow_down,
    Kind.LOSSY: Faults._lose,
    Kind.BROKER_KILLED: Faults._kill_broker,
    Kind.POSTGRES_KILLED: Faults._kill_postgres,
    Kind.ROLLING: Faults._roll,
    Kind.BROKER_DISK: Faults._fill_broker,
    Kind.SPOOL_DISK: Faults._fill_spools,
    Kind.POSTGRES_DISK: Faults._fill_postgres,
    Kind.CLOCK: Faults._jump_service,
    Kind.POSTGRES_CLOCK: Faults._jump_postgres,
    Kind.BROKER_CLOCK: Faults._jump_broker,
    Kind.SERVICE_KILLED: Faults._kill_service,
}
