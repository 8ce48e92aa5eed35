"""Keeps the history of health: from the stream HEALTH to rows, incidents and alerts. One replica at a time does it.

The one that holds an advisory lock in Postgres reads; messages come in order, and what is made of them is written in
one transaction with the position behind them. So a message that comes again counts once, and a replica that dies
leaves nothing half done. While Postgres or NATS is away, samples wait in the stream.
"""

import datetime as dt
from collections.abc import Sequence

import asyncpg
import structlog

from services.console.health_stream import Entry, HealthStream
from services.console.metrics import ConsoleMetrics
from trunkline.bus.messages import CredentialEvent, HealthSample
from trunkline.bus.port import BusError
from trunkline.core.clock import Clock
from trunkline.policy.health_history import believable, believable_event, tally
from trunkline.policy.incidents import Chronicle
from trunkline.store.credential_states import receive_event
from trunkline.store.database import Connection, Database, StoreError
from trunkline.store.health_history import (
    FORGOTTEN_MAX,
    Position,
    add_history,
    forget_history,
    read_position,
    served_models,
    write_position,
)
from trunkline.store.incidents import add_days, forget_incidents, put_incidents, read_recent

log = structlog.get_logger()

LOCK = 0x74_6C_68_68
"""The advisory lock of the replica that reads: ``tlhh`` in ASCII."""

RETRY_S = 2.0
"""Between attempts to get the lock, Postgres or NATS. Nobody waits for history."""

WAITING_MAX = 20_000
"""Messages held until their instant is complete; more are stored as they are. Health sends some 2,000 at an instant."""

SILENCE_S = 60.0
"""Health speaks every ten seconds. After so long without a word the stream is opened anew: a consumer that the broker
has lost says nothing either."""

UPKEEP_S = 60.0
"""How often rows past their time are deleted."""

SERVED_S = 15.0
"""How old what is known of the configuration may be: which channels serve which models."""

DELETIONS_MAX = 20
"""Goes at what is past its time, in a row. A console that was away for days catches up in minutes."""


def complete(entries: Sequence[Entry]) -> int:
    """Return how many of the first entries belong to instants that are complete: all before the newest instant begins.

    Models are judged by all of an instant's samples together.
    """
    newest_ms = max((entry.body.at_ms for entry in entries if isinstance(entry.body, HealthSample)), default=0)
    for number, entry in enumerate(entries):
        if isinstance(entry.body, HealthSample) and entry.body.at_ms == newest_ms:
            return number
    return len(entries)


class Historian:
    """Keeps history while this process lives.

    Args:
        database, clock, metrics: of the process.
        stream: where samples come from.
        groups: whose models the status page shows.
    """

    def __init__(
        self,
        database: Database,
        stream: HealthStream,
        groups: Sequence[str],
        *,
        clock: Clock,
        metrics: ConsoleMetrics,
    ) -> None:
        self._database = database
        self._stream = stream
        self._groups = groups
        self._clock = clock
        self._metrics = metrics
        self._served: dict[str, tuple[int, ...]] = {}
        self._served_until = 0.0
        self._upkeep_due = 0.0

    async def run(self) -> None:
        """Run until the process ends; what is away is waited for."""
        while True:
            try:
                async with self._database.session() as connection:
                    if await connection.fetchval("select pg_try_advisory_lock($1)", LOCK):
                        await self._lead(connection)
            except (StoreError, BusError, asyncpg.PostgresError) as error:
                # An error's text may quote values; its class may not.
                log.warning("history_waits", error=type(error.__cause__ or error).__name__)
                self._metrics.history_failures.inc()
            finally:
                await self._stream.close()
            await self._clock.sleep(RETRY_S)

    async def _lead(self, connection: Connection) -> None:
        position = await read_position(connection)
        created = await self._stream.open(
            None if position is None else position.stream_created, 0 if position is None else position.sequence
        )
        judged_ms = 0 if position is None else position.judged_ms
        chronicle = Chronicle(await read_recent(connection, judged_ms), judged_ms)
        log.info("history_taken")
        waiting: list[Entry] = []
        heard = self._clock.now()
        while True:
            fetched = await self._stream.fetch()
            waiting += fetched
            began = self._clock.now()
            if fetched:
                heard = began
            elif began - heard >= SILENCE_S:
                return
            count = complete(waiting) if fetched and len(waiting) < WAITING_MAX else len(waiting)
            if count:
                await self._store(connection, created, waiting[:count], chronicle)
                del waiting[:count]
                # What was missed for days is read while the console does its work: at most half of the time.
                await self._clock.sleep(self._clock.now() - began)
            if began >= self._upkeep_due:
                await self._forget(connection)
                self._upkeep_due = self._clock.now() + UPKEEP_S

    async def _store(
        self, connection: Connection, created: dt.datetime, entries: Sequence[Entry], chronicle: Chronicle
    ) -> None:
        now_ms = self._clock.wall_ms()
        samples: list[HealthSample] = []
        events: list[CredentialEvent] = []
        for entry in entries:
            match entry.body:
                case HealthSample() if believable(entry.body, now_ms):
                    samples.append(entry.body)
                case CredentialEvent() if believable_event(entry.body, now_ms):
                    events.append(entry.body)
        await self._refresh_served(connection)
        chronicle.receive(samples, self._served)
        days, incidents = chronicle.take()
        told = 0
        async with connection.transaction():
            await add_history(connection, tally(samples, now_ms))
            await add_days(connection, days)
            await put_incidents(connection, incidents)
            for event in events:
                told += await receive_event(connection, event)
            await write_position(connection, Position(created, entries[-1].sequence, chronicle.judged_ms))
        self._metrics.history.labels("stored").inc(len(samples) + len(events))
        self._metrics.history.labels("refused").inc(len(entries) - len(samples) - len(events))
        self._metrics.alerts.inc(told)

    async def _refresh_served(self, connection: Connection) -> None:
        now = self._clock.now()
        if now >= self._served_until:
            self._served = await served_models(connection, self._groups)
            self._served_until = now + SERVED_S

    async def _forget(self, connection: Connection) -> None:
        now_ms = self._clock.wall_ms()
        await forget_incidents(connection, now_ms)
        now = dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC)
        for _ in range(DELETIONS_MAX):
            if await forget_history(connection, now) < FORGOTTEN_MAX:
                break
