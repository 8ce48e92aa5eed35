"""The streams that a role makes, again on a broker that has lost them, and those of others that it waits for.

Used by the skeleton (`runtime.process`).
"""

import asyncio

import structlog

from trunkline.bus import permissions
from trunkline.bus.port import BusError
from trunkline.core.clock import Clock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet

log = structlog.get_logger()

RETRY_S = 0.5


class RoleStreams:
    """Looks after them.

    Args:
        bus: connected.
        role: of the process.
        clock, tasks: of the process.
    """

    def __init__(self, bus: NATSBus, role: str, *, clock: Clock, tasks: TaskSet) -> None:
        self._bus = bus
        self._own = permissions.STREAMS[role]
        self._awaited = permissions.AWAITED[role]
        self._clock = clock
        self._tasks = tasks
        self._making: asyncio.Task[None] | None = None

    async def prepare(self, stop: asyncio.Event) -> bool:
        """Return once they are there; False if ``stop`` was set before.

        From then on the own ones are made again whenever a connection finds a broker without them.
        """
        told: list[str] = []
        while not stop.is_set():
            try:
                await self._bus.ensure_streams(self._own)
                missing = await self._bus.missing_buckets(self._awaited)
            except BusError as error:
                log.warning("streams_unready", error=str(error))
            else:
                if not missing:
                    self._bus.on_connection(self._connection_changed)
                    return True
                if missing != told:
                    log.info("buckets_awaited", buckets=missing)
                    told = missing
            await self._clock.sleep(RETRY_S)
        return False

    def _connection_changed(self, connected: bool) -> None:
        if connected and self._own and (self._making is None or self._making.done()):
            self._making = self._tasks.spawn(self._make(), name="streams")

    async def _make(self) -> None:
        while True:
            try:
                await self._bus.ensure_streams(self._own)
            except BusError as error:
                log.warning("streams_unready", error=str(error))
                await self._clock.sleep(RETRY_S)
            else:
                return
