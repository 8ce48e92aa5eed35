"""Writes closed models to the bucket ``access``, while this process leads; edges take them off their lists."""

import asyncio

import structlog

from services.health.judge import Judge
from services.health.peers import Peers
from services.health.publisher import Bucket
from trunkline.bus import snapshots, subjects
from trunkline.bus.port import BusError
from trunkline.core.clock import Clock

log = structlog.get_logger()

COMPARE_S = 30.0
"""The bucket is compared with what should stand there this often, though nothing has changed: a leader before may have
left something, or two have led for a moment. It holds a few entries at the most."""


class AccessPublisher:
    """Makes the bucket what the judge says.

    Args:
        bucket: where to.
        judge: knows the closed models.
        peers: who leads.
        clock: of the process.

    Attributes:
        failures: comparisons that the bus cut short; they are repeated.
    """

    def __init__(self, bucket: Bucket, judge: Judge, peers: Peers, clock: Clock) -> None:
        self._bucket = bucket
        self._judge = judge
        self._peers = peers
        self._clock = clock
        self._wake = asyncio.Event()
        self._written: int | None = None
        self._compare_at = clock.now()
        self.failures = 0

    def tick(self) -> None:
        """Look whether something is due. Called a few times a second."""
        if not self._peers.leads(self._clock.now()):
            self._written = None
        elif self._written != self._judge.access_changes or self._clock.now() >= self._compare_at:
            self._wake.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self.compare()
            except BusError as error:
                self.failures += 1
                log.warning("access_not_published", error=str(error))

    async def compare(self) -> None:
        """Write and delete what differs.

        Raises:
            BusError: the bucket cannot be used now; what is missing stays due.
        """
        if not self._peers.leads(self._clock.now()):
            return
        changes = self._judge.access_changes
        wanted = {subjects.kv_token(name): snapshots.encode(access) for name, access in self._judge.closed().items()}
        found = await self._bucket.kv_all(subjects.KV_ACCESS)
        for token, value in wanted.items():
            if found.get(token) != value:
                await self._bucket.kv_put(subjects.KV_ACCESS, token, value)
        for token in found.keys() - wanted.keys():
            await self._bucket.kv_delete(subjects.KV_ACCESS, token)
        self._written = changes
        self._compare_at = self._clock.now() + COMPARE_S
