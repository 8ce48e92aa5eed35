"""Usage events on their way to JetStream: small batches, sent until stored.

Events are numbered; `stored` says up to which number all of them are on disk, and travels in the beats, so that
edges know when to let their copies go.
"""

import asyncio

import structlog

from services.dispatcher.metrics import DispatcherMetrics
from trunkline.bus import messages, subjects
from trunkline.bus.messages import UsageBatch, UsageEvent
from trunkline.bus.port import Bus, BusError
from trunkline.core import limits
from trunkline.core.clock import Clock
from trunkline.runtime.tasks import TaskSet

log = structlog.get_logger()

STORE_TIMEOUT_S = 5.0
RETRY_S = 0.5


class UsageOutbox:
    """Sends usage events.

    Args:
        bus, dispatcher, clock, tasks, metrics: of the process.
    """

    def __init__(self, bus: Bus, dispatcher: str, *, clock: Clock, tasks: TaskSet, metrics: DispatcherMetrics) -> None:
        self._bus = bus
        self._dispatcher = dispatcher
        self._clock = clock
        self._metrics = metrics
        self._events: list[UsageEvent] = []
        self._added = 0
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.stored = 0
        tasks.spawn(self._send(), name="usage_outbox")

    def __len__(self) -> int:
        return self._added - self.stored

    @property
    def full(self) -> bool:
        """Whether so much waits that no new work should be begun."""
        return len(self) >= limits.USAGE_PENDING_MAX

    def add(self, event: UsageEvent) -> int:
        """Queue an event; returns its number."""
        self._events.append(event)
        self._added += 1
        self._empty.clear()
        self._wake.set()
        return self._added

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            await self._clock.sleep(limits.USAGE_BATCH_INTERVAL_S)
            self._wake.clear()
            while self._events:
                batch = tuple(self._events[: limits.USAGE_BATCH_MAX])
                del self._events[: len(batch)]
                await self._store(batch)
                self.stored += len(batch)
            self._empty.set()

    async def _store(self, batch: tuple[UsageEvent, ...]) -> None:
        """Return when a batch is stored. The same message id each time: JetStream drops what it has already."""
        payload = messages.encode(UsageBatch(batch))
        message_id = f"{self._dispatcher}-{self.stored}"
        while True:
            try:
                await self._bus.store(
                    subjects.usage(self._dispatcher), payload, message_id=message_id, timeout_s=STORE_TIMEOUT_S
                )
            except BusError as error:
                self._metrics.usage_store_failures.inc()
                log.warning("usage_not_stored", waiting=len(self), error=str(error))
                await self._clock.sleep(RETRY_S)
            else:
                return

    async def flushed(self) -> None:
        """Return when everything is stored."""
        await self._empty.wait()
