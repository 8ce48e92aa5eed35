"""What the console does by the clock: takes back what is left of trials, tells owners what they asked to be told.

It looks how far the projection is behind, too. Every replica does it; rows that one works on are locked, and what is
done has a name that is there once.
"""

import datetime as dt

import asyncpg
import structlog

from services.console.metrics import ConsoleMetrics
from trunkline.core.clock import Clock
from trunkline.core.money import usd_text
from trunkline.policy.logins.lifetimes import CONFIRM_LINK_S
from trunkline.store.alert_sweep import sweep
from trunkline.store.alerts import forget_alerts
from trunkline.store.audit import forget as forget_audit
from trunkline.store.codes import forget_failures
from trunkline.store.database import Connection, Database, StoreError
from trunkline.store.guesses import forget_guesses
from trunkline.store.login_subjects import forget_states
from trunkline.store.logins import forget_unconfirmed
from trunkline.store.outbox import lag
from trunkline.store.sessions import forget_sessions
from trunkline.store.trials import due_trials, end_trial

log = structlog.get_logger()

INTERVAL_S = 3.0
"""How late an owner learns of a threshold, and how long a trial outlives its days."""


class Upkeep:
    """Runs every few seconds.

    Args:
        database, clock, metrics: of the process.
    """

    def __init__(self, database: Database, *, clock: Clock, metrics: ConsoleMetrics) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._swept_to = 0

    async def run(self) -> None:
        """Run until the process ends."""
        while True:
            await self.once()
            await self._clock.sleep(INTERVAL_S)

    async def once(self) -> None:
        """Do what is to be done now. What cannot be done keeps nothing else from it, and is tried again."""
        for work in (self._end_trials, self._sweep, self._forget, self._look_at_outbox):
            try:
                await work()
            except (StoreError, asyncpg.PostgresError) as error:
                log.warning("upkeep_postponed", error=type(error.__cause__ or error).__name__)
                self._metrics.upkeep_failures.inc()

    async def _sweep(self) -> None:
        async with self._database.connection() as connection:
            raised, self._swept_to = await sweep(connection, self._swept_to, self._clock.wall_ms())
        self._metrics.alerts.inc(raised)

    async def _look_at_outbox(self) -> None:
        async with self._database.connection() as connection:
            waiting = await lag(connection)
        self._metrics.outbox_entries.set(waiting.entries)
        self._metrics.outbox_age_seconds.set(waiting.age_s)

    async def _forget(self) -> None:
        async with self._database.connection() as connection:
            await forget_failures(connection)
            await forget_alerts(connection)
            await forget_audit(connection)
            await self._forget_logins(connection)

    async def _forget_logins(self, connection: Connection) -> None:
        now_s = self._clock.wall_ms() // 1000
        now = dt.datetime.fromtimestamp(now_s, dt.UTC)
        await forget_sessions(connection, now)
        await forget_states(connection, now)
        await forget_guesses(connection, now_s)
        await forget_unconfirmed(connection, now - dt.timedelta(seconds=CONFIRM_LINK_S))

    async def _end_trials(self) -> None:
        async with self._database.connection() as connection:
            due = await due_trials(connection)
        for account_id in due:
            async with self._database.transaction() as connection:
                taken_nano = await end_trial(connection, account_id)
            if taken_nano is not None:
                log.info("trial_ended", account=account_id, taken_usd=usd_text(taken_nano))
