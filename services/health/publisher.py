"""Writes weights to the bucket ``weights``, while this process leads."""

import asyncio
from collections import deque
from typing import Protocol

import msgspec
import structlog

from services.health.judge import Judge
from services.health.peers import Peers
from trunkline.bus import snapshots, subjects
from trunkline.bus.port import BusError
from trunkline.bus.snapshots import ChannelWeight
from trunkline.core.clock import Clock

log = structlog.get_logger()

REPUBLISH_S = 5.0
"""Every weight is written again this often, so that a reader can tell old news from none."""


class Bucket(Protocol):
    """What is needed of a bus to write weights (`runtime.nats_bus.NATSBus`)."""

    async def kv_put(self, bucket: str, token: str, value: bytes) -> None:
        """Write an entry; raises `BusError`."""

    async def kv_delete(self, bucket: str, token: str) -> None:
        """Delete an entry; raises `BusError`."""

    async def kv_all(self, bucket: str) -> dict[str, bytes]:
        """Read all entries; raises `BusError`."""


async def read_published(bucket: Bucket) -> dict[int, ChannelWeight]:
    """Return the weights as they stand in the bucket; entries that cannot be read are left out.

    Raises:
        BusError: the bucket cannot be read now.
    """
    published: dict[int, ChannelWeight] = {}
    for token, value in (await bucket.kv_all(subjects.KV_WEIGHTS)).items():
        try:
            published[int(token)] = snapshots.decode_weight(value)
        except (ValueError, msgspec.DecodeError):
            log.warning("weight_unreadable", entry=token)
    return published


class WeightPublisher:
    """Publishes each change at once and everything every `REPUBLISH_S`, figures with it: those alone change nothing.

    Versions start from the wall clock in milliseconds, and above whatever is in the bucket, so that they grow
    through restarts, changes of the leader and clocks that differ.

    Args:
        bucket: where to.
        judge: whose verdicts.
        peers: who leads.
        clock: of the process.

    Attributes:
        failures: rounds cut short because the bucket could not be written.
    """

    def __init__(self, bucket: Bucket, judge: Judge, peers: Peers, clock: Clock) -> None:
        self._bucket = bucket
        self._judge = judge
        self._peers = peers
        self._clock = clock
        self._changed: set[int] = set()
        self._round: deque[int] = deque()
        self._round_begun = False
        self._round_ended = clock.now()
        self._leading = False
        self._version = 0
        self._wake = asyncio.Event()
        self.failures = 0

    def changed(self, channel: int) -> None:
        """Note that a channel's verdict is new, or that it is gone; it is written at once."""
        self._changed.add(channel)
        self._wake.set()

    def tick(self) -> None:
        """Look whether something is due. Called a few times a second."""
        now = self._clock.now()
        if self._changed or self._peers.leads(now) is not self._leading or now - self._round_ended >= REPUBLISH_S:
            self._wake.set()

    @property
    def leading(self) -> bool:
        """Whether this process publishes."""
        return self._leading

    def age_s(self) -> float:
        """Seconds since every weight had been written; 0 while another process leads."""
        return self._clock.now() - self._round_ended if self._leading else 0.0

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self.publish_due()
            except BusError as error:
                self.failures += 1
                log.warning("weights_not_published", error=str(error))

    async def publish_due(self) -> None:
        """Write what is new and, when its time has come, the rest.

        Raises:
            BusError: the bucket cannot be written; what is missing stays due.
        """
        if not self._peers.leads(self._clock.now()):
            self._leading = False
            self._changed.clear()
            return
        if not self._leading:
            await self._take_over()
        if not self._round and self._clock.now() - self._round_ended >= REPUBLISH_S:
            self._begin_round()
        while self._peers.leads(self._clock.now()) and (channel := self._next()) is not None:
            try:
                await self._write(channel)
            except BusError:
                self._changed.add(channel)
                raise
        if self._round_begun and not self._round:
            self._round_begun = False
            self._round_ended = self._clock.now()

    async def _take_over(self) -> None:
        published = await read_published(self._bucket)
        self._version = max((weight.version for weight in published.values()), default=0)
        # The round writes what is judged; the rest are weights of channels that are gone.
        self._changed = {channel for channel in published if self._judge.verdict(channel) is None}
        self._round.clear()
        self._leading = True
        self._begin_round()
        log.info("health_leads")

    def _begin_round(self) -> None:
        self._round.extend(channel.id for channel in self._judge.channels())
        self._round_begun = True

    def _next(self) -> int | None:
        if self._changed:
            return self._changed.pop()
        return self._round.popleft() if self._round else None

    async def _write(self, channel: int) -> None:
        version = max(self._version + 1, self._clock.wall_ms())
        weight = self._judge.weight(channel, version, self._clock.now())
        if weight is None:
            await self._bucket.kv_delete(subjects.KV_WEIGHTS, str(channel))
            return
        self._version = version
        await self._bucket.kv_put(subjects.KV_WEIGHTS, str(channel), snapshots.encode(weight))
