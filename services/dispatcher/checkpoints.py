"""Says once a second what streams under way have used so far, so that they are settled although this process dies.

One message for all of them, and the stream keeps the last one only. Metering settles from it when the dispatcher has
been silent for long enough and nobody else has told what a job used (`services.metering.orphans`).
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

from services.dispatcher.attempt import Attempt
from services.dispatcher.settlement import Settlement
from trunkline.bus import messages, subjects
from trunkline.bus.messages import Checkpoint, UsageEvent
from trunkline.bus.port import Bus, BusFullError
from trunkline.core import limits
from trunkline.core.clock import Clock
from trunkline.runtime.tasks import TaskSet

SLICE_S = 0.002
"""How long streams are looked at without a break: what a chunk may wait for it."""


class Checkpoints:
    """Publishes checkpoints.

    Args:
        bus, dispatcher, clock, tasks: of the process.
        attempts: returns those under way.
        settlement: says what they would be booked as.
    """

    def __init__(
        self,
        bus: Bus,
        dispatcher: str,
        attempts: Callable[[], Sequence[Attempt]],
        settlement: Settlement,
        *,
        clock: Clock,
        tasks: TaskSet,
    ) -> None:
        self._bus = bus
        self._dispatcher = dispatcher
        self._attempts = attempts
        self._settlement = settlement
        self._clock = clock
        self._parts = 0
        self._task = tasks.spawn(self._run(), name="checkpoints")
        self._tasks = tasks

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(limits.CHECKPOINT_INTERVAL_S)
            # Without a broker nobody takes it, and it would only wait in the way of what is newer.
            if self._bus.connected:
                self._publish(await self._collect())

    async def _collect(self) -> list[UsageEvent]:
        events: list[UsageEvent] = []
        pause_at = self._clock.now() + SLICE_S
        for attempt in self._attempts():
            events += self._settlement.checkpoint(attempt)
            if self._clock.now() >= pause_at:
                await self._clock.sleep(0)
                pause_at = self._clock.now() + SLICE_S
        return events

    def _publish(self, events: list[UsageEvent]) -> None:
        payloads = list(self._encode(tuple(events[: limits.CHECKPOINT_EVENTS_MAX])))
        for start in range(limits.CHECKPOINT_EVENTS_MAX, len(events), limits.CHECKPOINT_EVENTS_MAX):
            payloads += self._encode(tuple(events[start : start + limits.CHECKPOINT_EVENTS_MAX]))
        parts = len(payloads) if events else 0
        # What parts held that are not needed any more must not be settled.
        payloads += [self._encoded(())] * (self._parts - len(payloads))
        for part, payload in enumerate(payloads[: max(parts, self._parts)]):
            with contextlib.suppress(BusFullError):  # the next one will do
                self._bus.publish(subjects.checkpoint(self._dispatcher, part), payload)
        self._parts = parts

    def _encode(self, events: tuple[UsageEvent, ...]) -> Iterator[bytes]:
        """Yield messages with these events: one, unless their names are so long that it would be too large."""
        payload = self._encoded(events)
        if len(payload) < limits.FRAME_BYTES_MAX or len(events) == 1:
            yield payload
            return
        middle = len(events) // 2
        yield from self._encode(events[:middle])
        yield from self._encode(events[middle:])

    def _encoded(self, events: tuple[UsageEvent, ...]) -> bytes:
        return messages.encode(Checkpoint(self._dispatcher, self._clock.wall_ms(), events))

    async def close(self) -> None:
        """Take back the last one: all has been booked."""
        await self._tasks.end(self._task)
        self._publish([])
