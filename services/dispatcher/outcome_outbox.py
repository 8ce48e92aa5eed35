"""How attempts went, batched for health. Not worth keeping: what cannot be sent is dropped."""

import contextlib

from trunkline.bus import messages, subjects
from trunkline.bus.messages import AttemptOutcome, OutcomeBatch
from trunkline.bus.port import Bus, BusFullError
from trunkline.core.clock import Clock
from trunkline.runtime.tasks import TaskSet

SEND_INTERVAL_S = 0.2
"""Health ejects within seconds; a fifth of one adds little to that and saves most of the messages."""

BATCH_MAX = 1000


class OutcomeOutbox:
    """Sends outcomes.

    Args:
        bus, dispatcher, clock, tasks: of the process.
    """

    def __init__(self, bus: Bus, dispatcher: str, *, clock: Clock, tasks: TaskSet) -> None:
        self._bus = bus
        self._dispatcher = dispatcher
        self._clock = clock
        self._outcomes: list[AttemptOutcome] = []
        tasks.spawn(self._send(), name="outcome_outbox")

    def add(self, outcome: AttemptOutcome) -> None:
        """Queue an outcome."""
        self._outcomes.append(outcome)
        if len(self._outcomes) >= BATCH_MAX:
            self._flush()

    async def _send(self) -> None:
        while True:
            await self._clock.sleep(SEND_INTERVAL_S)
            if self._outcomes:
                self._flush()

    def _flush(self) -> None:
        outcomes, self._outcomes = self._outcomes, []
        with contextlib.suppress(BusFullError):
            self._bus.publish(subjects.OUTCOME, messages.encode(OutcomeBatch(self._dispatcher, tuple(outcomes))))
