"""What metering does by the clock: sees whether Postgres is there, reads the queue, ends what others left behind."""

import asyncpg
import structlog

from services.metering.desks import Desk
from services.metering.intake import Intake
from services.metering.leases import LeaseEnds
from services.metering.metrics import MeteringMetrics
from services.metering.orphans import Orphans
from services.metering.queue_age import QueueAge
from trunkline.bus.port import BusError
from trunkline.core.clock import Clock
from trunkline.store.allowances import read_accounts
from trunkline.store.database import Database, StoreError

log = structlog.get_logger()

INTERVAL_S = 1.0


class Upkeep:
    """Runs once a second.

    Args:
        database: to look after.
        desk: opened while Postgres is there.
        intake: whose queue is read.
        orphans: what dead dispatchers had under way is settled once a second.
        leases: ended once a second, as far as the usage stream has been settled.
        clock, metrics: of the process.

    Attributes:
        postgres_away: it did not answer last time, or lacks our tables.
    """

    def __init__(
        self,
        database: Database,
        desk: Desk,
        intake: Intake,
        orphans: Orphans,
        leases: LeaseEnds,
        *,
        clock: Clock,
        metrics: MeteringMetrics,
    ) -> None:
        self._database = database
        self._desk = desk
        self._intake = intake
        self._orphans = orphans
        self._leases = leases
        self._clock = clock
        self._metrics = metrics
        self._age = QueueAge()
        self._stopping = False
        self.postgres_away = True

    async def run(self) -> None:
        """Run until the process ends."""
        while True:
            await self._read_queue()
            try:
                await self._check_postgres()
                await self._orphans.sweep()  # first: what they cost is not free when a lease ends
                await self._end_leases()
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
            queue = await self._intake.queue()
        except BusError:
            return  # the last figures stand; that the bus is away shows elsewhere
        self._metrics.queue_messages = queue.messages
        self._metrics.queue_age_s = self._age.age_s(queue, self._clock.now())

    async def _check_postgres(self) -> None:
        async with self._database.connection() as connection:
            # What allowances need: fails also where the migrations have not run.
            await read_accounts(connection, ())
        if not self._stopping:
            await self._desk.open()
        self.postgres_away = False

    async def _end_leases(self) -> None:
        async with self._database.connection() as connection:
            await self._leases.sweep(connection)
