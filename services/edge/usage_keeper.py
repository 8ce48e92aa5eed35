"""The second holder of usage: what END and FAIL carried, until the dispatcher's beat says that it is stored.

If the dispatcher is lost first, this edge publishes the copies; the ledger's unique key makes a second copy
harmless. What only an edge knows goes the same way: that a job has come to nothing.
"""

from collections import OrderedDict

import structlog

from services.edge.metrics import EdgeMetrics
from trunkline.bus.fleet import Fleet
from trunkline.bus.messages import UsageEvent, VoidJob
from trunkline.core import limits
from trunkline.core.ids import JobID
from trunkline.runtime.usage_outbox import UsageOutbox

log = structlog.get_logger()


SILENT_AFTER_S = 2 * limits.BEAT_INTERVAL_S
"""Sooner than its jobs are lost: until it is published, what such a dispatcher had not stored dies with this edge, and
if it lives, a copy does no harm."""


class UsageKeeper:
    """Keeps usage events by dispatcher and number.

    Args:
        outbox: publishes the copies.
        metrics: of the process.
    """

    def __init__(self, outbox: UsageOutbox, *, metrics: EdgeMetrics) -> None:
        self._outbox = outbox
        self._metrics = metrics
        self._kept: dict[str, OrderedDict[int, UsageEvent]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count + len(self._outbox)

    def keep(self, dispatcher: str, number: int, event: UsageEvent) -> None:
        """Keep an event until ``number`` is confirmed."""
        events = self._kept.get(dispatcher)
        if events is None:
            events = self._kept[dispatcher] = OrderedDict()
        if number not in events:
            self._count += 1
        events[number] = event
        if self._count > limits.USAGE_KEPT_MAX:
            events.popitem(last=False)
            self._count -= 1
            self._metrics.usage_copies_dropped.inc()

    def void(self, job: JobID, account: int, lease: int) -> None:
        """Tell metering that a client got an error instead of an answer, whatever it hears of the job's offers."""
        self._metrics.jobs_void.inc()
        self._outbox.add(VoidJob(job, account, lease))

    def confirmed(self, dispatcher: str, stored: int) -> None:
        """Every event of a dispatcher up to ``stored`` is in JetStream."""
        events = self._kept.get(dispatcher)
        # Numbers come in the order of the jobs' ends, which is nearly their own order; the head is the oldest.
        while events:
            number = next(iter(events))
            if number > stored:
                break
            del events[number]
            self._count -= 1

    def sweep(self, living: Fleet, now: float) -> None:
        """Publish what dispatchers that are silent have not confirmed. Call about once a second.

        Whether one has just been lost does not matter: it may come back, end a job and die between two beats.

        Args:
            living: the dispatchers that are heard.
            now: monotonic seconds.
        """
        for dispatcher in list(self._kept):
            if not living.heard_within(dispatcher, SILENT_AFTER_S, now):
                self._take_over(dispatcher)

    def hand_over(self) -> None:
        """Publish all: this edge stops while it cannot hear what is stored."""
        for dispatcher in list(self._kept):
            self._take_over(dispatcher)

    def _take_over(self, dispatcher: str) -> None:
        events = self._kept.pop(dispatcher)
        self._count -= len(events)
        if events:
            log.warning("usage_taken_over", dispatcher=dispatcher, events=len(events))
            self._metrics.usage_published.inc(len(events))
        for event in events.values():
            self._outbox.add(event)
