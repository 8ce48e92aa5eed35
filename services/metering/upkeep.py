"""What metering does by the clock: sees whether Postgres is there, reads the queue, forgets old usage."""

from datetime import UTC, datetime, timedelta

import asyncpg
import structlog

from services.metering.allowances import AllowanceDesk
from services.metering.intake import Intake
from services.metering.metrics import MeteringMetrics
from trunkline.bus.port import BusError
from trunkline.core.clock import Clock
from trunkline.store.database import Database, StoreError
from trunkline.store.ledger import balances
from trunkline.store.usage import forget_before

log = structlog.get_logger()

INTERVAL_S = 1.0

FORGET_INTERVAL_S = 60.0
"""How often to look for usage past its time."""

FORGET_ROWS_MAX = 10_000
"""Rows deleted at a time: a tenth of a second's work. While there are as many, they are deleted every `INTERVAL_S`,
which keeps up with any rate at which they can have been settled."""


class Upkeep:
    """Runs once a second.

    Args:
        database: to look after.
        desk: opened while Postgres is there.
        intake: whose queue is read.
        usage_days: how long usage is kept.
        clock, metrics: of the process.

    Attributes:
        postgres_away: it did not answer last time, or lacks our tables.
    """

    def __init__(
        self,
        database: Database,
        desk: AllowanceDesk,
        intake: Intake,
        usage_days: int,
        *,
        clock: Clock,
        metrics: MeteringMetrics,
    ) -> None:
        self._database = database
        self._desk = desk
        self._intake = intake
        self._usage_kept = timedelta(days=usage_days)
        self._clock = clock
        self._metrics = metrics
        self._stopping = False
        self._forgot = clock.now()
        self.postgres_away = True

    async def run(self) -> None:
        """Run until the process ends."""
        while True:
            await self._read_queue()
            try:
                await self._check_postgres()
                await self._forget()
            except (StoreError, asyncpg.PostgresError) as error:
                if not self.postgres_away:
                    log.warning("postgres_away", error=type(error.__cause__ or error).__name__)
                self._metrics.postgres_failures.labels("upkeep").inc()
                self.postgres_away = True
                await self._desk.close()
            await self._clock.sleep(INTERVAL_S)

    async def stop(self) -> None:
        """Answer no more draws: another replica shall."""
        self._stopping = True
        await self._desk.close()

    async def _read_queue(self) -> None:
        try:
            self._metrics.queue_messages = await self._intake.queued()
        except BusError:
            return  # the last figure stands; that the bus is away shows elsewhere

    async def _check_postgres(self) -> None:
        async with self._database.connection() as connection:
            # What allowances need: fails also where the migrations have not run.
            await balances(connection, ())
        if not self._stopping:
            await self._desk.open()
        self.postgres_away = False

    async def _forget(self) -> None:
        now = self._clock.now()
        if now - self._forgot < FORGET_INTERVAL_S:
            return
        before = datetime.fromtimestamp(self._clock.wall_ms() / 1000, UTC) - self._usage_kept
        async with self._database.connection() as connection:
            forgotten = await forget_before(connection, before, rows_max=FORGET_ROWS_MAX)
        if forgotten < FORGET_ROWS_MAX:
            self._forgot = now
        if forgotten:
            self._metrics.forgotten.inc(forgotten)
            log.info("usage_forgotten", rows=forgotten)
