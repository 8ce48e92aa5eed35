"""The second holder of usage: what END and FAIL carried, until the dispatcher's beat says that it is stored.

If the dispatcher is lost first, this edge publishes the copies; the ledger's unique key makes a second copy
harmless.
"""

from collections import OrderedDict

import structlog

from services.edge.metrics import EdgeMetrics
from trunkline.bus import messages, subjects
from trunkline.bus.fleet import Fleet
from trunkline.bus.messages import UsageBatch, UsageEvent
from trunkline.bus.port import Bus, BusError
from trunkline.core import limits
from trunkline.core.clock import Clock
from trunkline.runtime.tasks import TaskSet

log = structlog.get_logger()

STORE_TIMEOUT_S = 5.0
STORE_RETRY_S = 1.0


class UsageKeeper:
    """Keeps usage events by dispatcher and number.

    Args:
        bus, edge, clock, tasks, metrics: of the process.
    """

    def __init__(self, bus: Bus, edge: str, *, clock: Clock, tasks: TaskSet, metrics: EdgeMetrics) -> None:
        self._bus = bus
        self._edge = edge
        self._clock = clock
        self._tasks = tasks
        self._metrics = metrics
        self._kept: dict[str, OrderedDict[int, UsageEvent]] = {}
        self._publishing = 0

    def __len__(self) -> int:
        return sum(len(events) for events in self._kept.values()) + self._publishing

    def keep(self, dispatcher: str, number: int, event: UsageEvent) -> None:
        """Keep an event until ``number`` is confirmed."""
        self._kept.setdefault(dispatcher, OrderedDict())[number] = event

    def confirmed(self, dispatcher: str, stored: int) -> None:
        """Every event of a dispatcher up to ``stored`` is in JetStream."""
        events = self._kept.get(dispatcher)
        # Numbers come in the order of the jobs' ends, which is nearly their own order; the head is the oldest.
        while events:
            number = next(iter(events))
            if number > stored:
                break
            del events[number]

    def sweep(self, living: Fleet) -> None:
        """Publish what dispatchers that are not heard any more have not confirmed. Call about once a second.

        Whether one has just been lost does not matter: it may come back, end a job and die between two beats.
        """
        for dispatcher in [dispatcher for dispatcher in self._kept if dispatcher not in living]:
            self._take_over(self._kept.pop(dispatcher))

    def _take_over(self, events: OrderedDict[int, UsageEvent]) -> None:
        if events:
            self._publishing += len(events)
            self._tasks.spawn(self._publish(list(events.values())), name="usage_of_lost_dispatcher")

    async def _publish(self, events: list[UsageEvent]) -> None:
        log.warning("usage_taken_over", events=len(events))
        for start in range(0, len(events), limits.USAGE_BATCH_MAX):
            batch = tuple(events[start : start + limits.USAGE_BATCH_MAX])
            payload = messages.encode(UsageBatch(batch))
            message_id = f"{batch[0].job.hex()}-{batch[0].attempt}-edge"
            while not await self._stored(payload, message_id):
                await self._clock.sleep(STORE_RETRY_S)
            self._publishing -= len(batch)
            self._metrics.usage_published.inc(len(batch))

    async def _stored(self, payload: bytes, message_id: str) -> bool:
        try:
            await self._bus.store(subjects.usage(self._edge), payload, message_id=message_id, timeout_s=STORE_TIMEOUT_S)
        except BusError:
            return False
        return True
