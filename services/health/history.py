"""Stores what was counted in the stream ``HEALTH``, for the console's history, while this process leads."""

import asyncio
from typing import Protocol

from services.health.judge import Judge
from services.health.peers import Peers
from trunkline.bus import messages, subjects
from trunkline.bus.messages import HealthSample
from trunkline.bus.port import BusError
from trunkline.core.clock import Clock

HISTORY_INTERVAL_S = 10
"""One sample per channel: fine enough for a status page, 8,640 a day."""

SAMPLES_MAX = 2000
"""Samples of one interval: stored within a second, and 320 KB of the stream. Past it models go without; their channels
never do."""

STORES_AT_ONCE_MAX = 32
"""Samples on their way to the stream at a time."""

STORE_TIMEOUT_S = 5.0


class Stream(Protocol):
    """What is needed of a bus to write to a stream (`bus.port.Bus`)."""

    async def store(self, subject: str, payload: bytes, *, message_id: str, timeout_s: float) -> None:
        """Store a message; raises `BusError`."""


class History:
    """Stores one sample per channel and interval, and one for each of its models that had attempts in it.

    Intervals end on the same instants everywhere and name the message, so a sample written twice is stored once.

    Args:
        stream: where to.
        judge: what was counted.
        peers: who leads.
        clock: of the process.
        interval_s: length of an interval.

    Attributes:
        lost: samples that could not be stored. Nobody waits for them: a gap in a status page is the lesser harm.
    """

    def __init__(
        self, stream: Stream, judge: Judge, peers: Peers, clock: Clock, interval_s: int = HISTORY_INTERVAL_S
    ) -> None:
        self._stream = stream
        self._judge = judge
        self._peers = peers
        self._clock = clock
        self._interval_ms = interval_s * 1000
        self.lost = 0

    async def run(self) -> None:
        """Store samples until cancelled."""
        while True:
            wall_ms = self._clock.wall_ms()
            at_ms = (wall_ms // self._interval_ms + 1) * self._interval_ms
            await self._clock.sleep((at_ms - wall_ms) / 1000)
            await self.write(at_ms)

    async def write(self, at_ms: int) -> None:
        """End the interval at ``at_ms`` (Unix milliseconds) and store it, if this process leads."""
        samples = self._judge.samples(at_ms)
        if not self._peers.leads(self._clock.now()):
            return
        bound = max(SAMPLES_MAX, sum(not sample.model for sample in samples))
        self.lost += len(samples[bound:])
        samples = samples[:bound]
        for start in range(0, len(samples), STORES_AT_ONCE_MAX):
            await asyncio.gather(*(self._store(sample) for sample in samples[start : start + STORES_AT_ONCE_MAX]))

    async def _store(self, sample: HealthSample) -> None:
        message_id = f"{sample.channel}-{sample.at_ms}"
        if sample.model:
            # Encoded: it becomes a header line, and a model's name may hold anything.
            message_id += f"-{subjects.kv_token(sample.model)}"
        try:
            await self._stream.store(
                subjects.health(sample.channel),
                messages.encode(sample),
                message_id=message_id,
                timeout_s=STORE_TIMEOUT_S,
            )
        except BusError:
            self.lost += 1
