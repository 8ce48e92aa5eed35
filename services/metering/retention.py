"""Keeps usage by day: makes partitions ahead, sums up days that are over, leaves only sums of what is past its time.

It also deletes stale allowances. It is a loop of its own, since summing up a day may take half a minute.
"""

import contextlib
import datetime as dt

import asyncpg
import structlog

from services.metering.metrics import MeteringMetrics
from services.metering.postgres_clock import PostgresClock
from trunkline.core.clock import Clock
from trunkline.store.database import Connection, Database, StoreError
from trunkline.store.exact_usage import forget_checkpoints
from trunkline.store.stale_allowances import forget_idle_accounts, forget_periods
from trunkline.store.usage_history import days_before, make_partitions, retire_day, retire_late
from trunkline.store.usage_sums import forget_sums, sum_days
from trunkline.store.void_jobs import forget_void_jobs

log = structlog.get_logger()

INTERVAL_S = 60.0
RETRY_S = 5.0

DAYS_AHEAD = 3
"""Partitions beyond today's: where there is none, usage goes to the default one, and has to be moved from there."""

DAY_REST_S = 900.0
"""How long after its end a day is summed up: long answers and what waits to be settled still add to it."""

ACCOUNTS_MAX = 2000
"""Accounts looked at each time for whether nobody uses them any more: some 20 ms. A hundred thousand have their turn
within an hour."""


class Retention:
    """Runs once a minute.

    Args:
        database: where usage is.
        usage_days: how long it is kept.
        postgres_clock: by which allowances count.
        clock, metrics: of the process.
    """

    def __init__(
        self,
        database: Database,
        usage_days: int,
        postgres_clock: PostgresClock,
        *,
        clock: Clock,
        metrics: MeteringMetrics,
    ) -> None:
        self._database = database
        self._usage_days = usage_days
        self._postgres_clock = postgres_clock
        self._clock = clock
        self._metrics = metrics
        self._account = 0

    async def run(self) -> None:
        """Run until the process ends."""
        while True:
            try:
                await self.keep()
            except (StoreError, asyncpg.PostgresError) as error:
                # Postgres is away, or somebody reads what is to be dropped: the next time will do.
                log.warning("usage_not_kept", error=type(error.__cause__ or error).__name__)
                self._metrics.postgres_failures.labels("retention").inc()
                await self._clock.sleep(RETRY_S)
            else:
                await self._clock.sleep(INTERVAL_S)

    async def keep(self) -> None:
        """Do what is to be done now.

        Raises:
            StoreError, asyncpg.PostgresError: it could not be done; nothing is lost, and it may be tried again.
        """
        today = dt.datetime.fromtimestamp(self._clock.wall_ms() / 1000, dt.UTC).date()
        first_kept = today - dt.timedelta(days=self._usage_days)
        async with self._database.connection() as connection:
            made = await make_partitions(connection, today, DAYS_AHEAD + 1)
            if made:
                log.info("usage_partitions_made", days=made)
            for day in await days_before(connection, first_kept):
                self._retired(await retire_day(connection, day), day.isoformat())
            begins = dt.datetime(first_kept.year, first_kept.month, first_kept.day, tzinfo=dt.UTC)
            self._retired(await retire_late(connection, begins), "late")
            await forget_sums(connection, first_kept)
            await forget_checkpoints(connection, begins)
            await forget_void_jobs(connection, begins)
            await self._sum_days(connection)
            await self._forget_allowances(connection)

    async def _sum_days(self, connection: Connection) -> None:
        rested = dt.datetime.fromtimestamp(self._clock.wall_ms() / 1000 - DAY_REST_S, dt.UTC).date()
        async with contextlib.aclosing(sum_days(connection, rested)) as days:
            async for day in days:
                log.info("usage_day_summed", day=day.isoformat())

    async def _forget_allowances(self, connection: Connection) -> None:
        asked_s = self._postgres_clock.asked()
        forgotten = await forget_idle_accounts(
            connection, self._account, ACCOUNTS_MAX, lambda now_ms: self._postgres_clock.leapt_ms(now_ms, asked_s)
        )
        self._account = forgotten.last
        periods = await forget_periods(connection)
        if forgotten.accounts or periods:
            log.info("allowances_forgotten", accounts=forgotten.accounts, budget_periods=periods)

    def _retired(self, attempts: int | None, day: str) -> None:
        if attempts:
            self._metrics.forgotten.inc(attempts)
            log.info("usage_retired", day=day, attempts=attempts)
