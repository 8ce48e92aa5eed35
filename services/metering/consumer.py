"""The loop that settles the stream: fetch, settle, commit, then acknowledge.

A process that dies between commit and acknowledgement leaves messages that come again; the ledger knows them. While
Postgres is away the loop holds what it has fetched and tries again; the rest waits in the stream.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import asyncpg
import msgspec
import structlog

from services.metering.intake import Delivery, Intake
from services.metering.metrics import MeteringMetrics
from services.metering.settler import Settler
from trunkline.bus.messages import UsageEvent, VoidJob, decode_usage_batch
from trunkline.bus.port import BusError
from trunkline.core.clock import Clock
from trunkline.store.database import StoreError

log = structlog.get_logger()

RETRY_MIN_S = 0.1
RETRY_MAX_S = 2.0
"""Postgres is back within this time before settlement goes on."""


class Consumer:
    """Settles what the intake gives.

    Args:
        intake: the stream.
        settler: see there.
        clock, metrics: of the process.

    Attributes:
        in_hand: messages fetched and not yet answered.
        postgres_away: the last settlement failed, and is tried again.
        stream_away: the last fetch failed, and is tried again.
    """

    def __init__(self, intake: Intake, settler: Settler, *, clock: Clock, metrics: MeteringMetrics) -> None:
        self._intake = intake
        self._settler = settler
        self._clock = clock
        self._metrics = metrics
        self._stopping = False
        self._stopped = asyncio.Event()
        self.in_hand = 0
        self.postgres_away = False
        self.stream_away = False

    async def run(self) -> None:
        """Settle until `stop` is called."""
        while not self._stopping:
            deliveries = await self._fetch()
            self.in_hand = len(deliveries)
            if deliveries:
                await self._settle(deliveries)
            self.in_hand = 0
        self._stopped.set()

    async def stop(self) -> None:
        """Return when the batch in hand is settled, or given back because Postgres is away."""
        self._stopping = True
        await self._stopped.wait()

    async def _fetch(self) -> Sequence[Delivery]:
        try:
            deliveries = await self._intake.fetch()
        except BusError as error:
            self.stream_away = True
            log.warning("usage_stream_unreadable", error=str(error))
            await self._clock.sleep(RETRY_MIN_S)
            return ()
        self.stream_away = False
        return deliveries

    async def _settle(self, deliveries: Sequence[Delivery]) -> None:
        events: list[UsageEvent] = []
        void: list[VoidJob] = []
        batches: list[Delivery] = []
        unreadable: list[Delivery] = []
        for delivery in deliveries:
            try:
                batch = decode_usage_batch(delivery.data)
            except msgspec.MsgspecError:
                unreadable.append(delivery)
            else:
                events.extend(batch.events)
                void.extend(batch.void)
                batches.append(delivery)
        if not await self._persist(lambda: self._store(events, void, unreadable)):
            await _answer([delivery.give_back for delivery in deliveries])
            return
        await _answer(
            [delivery.ack for delivery in batches] + [delivery.terminate for delivery in unreadable],
        )

    async def _store(
        self, events: Sequence[UsageEvent], void: Sequence[VoidJob], unreadable: Sequence[Delivery]
    ) -> None:
        for delivery in unreadable:
            await self._settler.set_message_aside(delivery.subject, delivery.data, "not a usage batch")
        if events:
            await self._settler.settle(events)
        if void:
            await self._settler.take_back(void)

    async def _persist(self, store: Callable[[], Awaitable[None]]) -> bool:
        """Try until it is done; return False if it is not and the process is to stop."""
        wait_s = RETRY_MIN_S
        while True:
            try:
                await store()
            except (StoreError, asyncpg.PostgresError) as error:
                # An error's text may quote values; its class may not.
                log.warning("settlement_postponed", error=type(error.__cause__ or error).__name__)
                self._metrics.postgres_failures.labels("settlement").inc()
                self.postgres_away = True
            else:
                self.postgres_away = False
                return True
            if self._stopping:
                return False
            await self._clock.sleep(wait_s)
            wait_s = min(wait_s * 2, RETRY_MAX_S)


async def _answer(answers: Sequence[Callable[[], Awaitable[None]]]) -> None:
    for answer in answers:
        try:
            await answer()
        except BusError as error:
            # The message comes again after its time, and is known then.
            log.warning("usage_unacknowledged", error=str(error))
