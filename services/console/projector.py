"""The projector: outbox rows become KV entries, in order. One replica at a time does it.

The one that holds an advisory lock in Postgres projects; the lock is the session's, so it goes to another replica as
soon as this one or its connection dies. A row is deleted after its entry was acknowledged, so a crash in between
writes the same value twice and loses nothing.
"""

import asyncio
import contextlib
from collections.abc import Iterator

import structlog
from nats.errors import Error as NATSError
from nats.js.errors import NoKeysError

from services.console.metrics import ConsoleMetrics
from trunkline.bus import permissions, subjects
from trunkline.bus.port import BusError
from trunkline.core.clock import Clock
from trunkline.policy.admin_api import Rebuilt
from trunkline.runtime.nats_bus import NATSBus
from trunkline.store import outbox, price_versions
from trunkline.store.configuration import lock_configuration
from trunkline.store.database import Connection, Database, StoreError
from trunkline.store.outbox import OutboxEntry

log = structlog.get_logger()

LOCK = 0x74_6C_70_72
"""The advisory lock of the replica that projects: ``tlpr`` in ASCII."""

BATCH_MAX = 500
"""Rows read at a time."""

WRITES_MAX = 64
"""KV writes in flight: the broker's round trip is what one after the other would wait for."""

POLL_S = 0.2
"""A change is announced by NOTIFY; this bounds how late one is whose announcement was lost, and how late prices are
that come into force."""

RETRY_S = 0.3
"""Between attempts to get the lock, Postgres or NATS: with the deadline of a write, well under a second."""

BUCKETS = (subjects.KV_SETTINGS, subjects.KV_CHANNELS, subjects.KV_MODELS, subjects.KV_KEYS)
"""What the console projects, in the order in which it is rebuilt; ``weights`` belongs to health."""


def runs(entries: list[OutboxEntry]) -> Iterator[list[OutboxEntry]]:
    """Split entries into runs that may be written at the same time: one bucket, no token twice, bounded.

    The order of two entries is kept where it means something: within a token, and from bucket to bucket.
    """
    run: list[OutboxEntry] = []
    tokens: set[str] = set()
    for entry in entries:
        if run and (entry.bucket != run[0].bucket or entry.token in tokens or len(run) == WRITES_MAX):
            yield run
            run, tokens = [], set()
        run.append(entry)
        tokens.add(entry.token)
    if run:
        yield run


class Projector:
    """Projects while this process lives.

    Args:
        database, bus, clock, metrics: of the process.
    """

    def __init__(self, database: Database, bus: NATSBus, *, clock: Clock, metrics: ConsoleMetrics) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._metrics = metrics
        self._wake = asyncio.Event()
        self._check_buckets = True
        self.postgres_up = False
        bus.on_connection(self._connection_changed)

    def _connection_changed(self, connected: bool) -> None:
        if connected:
            # The broker that is there now may not be the one that was: look whether it has what it should.
            self._check_buckets = True
            self._wake.set()

    async def run(self) -> None:
        """Project for ever; what is away is waited for."""
        while True:
            try:
                async with self._database.session() as connection:
                    self.postgres_up = True
                    if await connection.fetchval("select pg_try_advisory_lock($1)", LOCK):
                        await self._lead(connection)
            except StoreError as error:
                if self.postgres_up:
                    log.warning("postgres_unavailable", error=str(error))
                self.postgres_up = False
                self._metrics.projection_failures.labels("postgres").inc()
            finally:
                self._metrics.projecting.set(0)
            await self._clock.sleep(RETRY_S)

    async def _lead(self, connection: Connection) -> None:
        def announced(*_args: object) -> None:
            self._wake.set()

        log.info("projection_taken")
        self._metrics.projecting.set(1)
        self._check_buckets = True
        await connection.add_listener("outbox", announced)
        try:
            while True:
                self._wake.clear()
                try:
                    await price_versions.project_due(connection)
                    await self.drain(connection)
                    if self._check_buckets:
                        await self._refill(connection)
                except BusError as error:
                    log.warning("projection_waits", error=str(error))
                    self._metrics.projection_failures.labels("nats").inc()
                    await self._clock.sleep(RETRY_S)
                    continue
                await self._wait()
        finally:
            await connection.remove_listener("outbox", announced)

    async def _wait(self) -> None:
        # Not wait_for: before Python 3.12 it can lose a cancellation that comes as the event is set.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await self._wake.wait()

    async def drain(self, connection: Connection) -> None:
        """Write what the outbox holds, until it is empty.

        Raises:
            StoreError: Postgres went away.
            BusError: NATS does not take an entry; it and those after it stay in the outbox.
        """
        while entries := await outbox.take(connection, BATCH_MAX):
            for run in runs(entries):
                results = await asyncio.gather(*map(self._write, run), return_exceptions=True)
                for result in results:
                    if isinstance(result, BaseException):
                        raise result
                await outbox.delete_through(connection, run[-1].id)

    async def _write(self, entry: OutboxEntry) -> None:
        if entry.value is None:
            await self._bus.kv_delete(entry.bucket, entry.token)
        else:
            await self._bus.kv_put(entry.bucket, entry.token, entry.value)
        self._metrics.projected.labels(entry.bucket).inc()

    async def _refill(self, connection: Connection) -> None:
        """Rebuild if the broker has lost a bucket, as one with new storage has."""
        await self._bus.ensure_streams(permissions.STREAMS["console"])
        empty = [bucket for bucket in BUCKETS if not await self._messages(bucket)]
        rows = {
            bucket: await connection.fetchval(f"select exists (select from {bucket})")  # noqa: S608 - four constants
            for bucket in empty
        }
        if any(rows.values()):
            log.warning("buckets_empty", buckets=[bucket for bucket, there in rows.items() if there])
            async with connection.transaction():
                await self._rebuild(connection)
            self._wake.set()
        self._check_buckets = False

    async def _messages(self, bucket: str) -> int:
        try:
            info = await self._bus.jetstream.stream_info(subjects.kv_stream(bucket))
        except (NATSError, TimeoutError) as error:
            raise BusError(f"bucket {bucket} cannot be read: {type(error).__name__}") from error
        return int(info.state.messages)

    async def rebuild(self) -> Rebuilt:
        """Queue every entry of every bucket anew, and the deletion of those that should not be there.

        Raises:
            StoreError: Postgres is away.
            BusError: NATS is away.
        """
        async with self._database.transaction() as connection:
            return await self._rebuild(connection)

    async def _rebuild(self, connection: Connection) -> Rebuilt:
        # Listed before the rows are read and under the writers' lock: what is listed and has no row is stale.
        await lock_configuration(connection)
        there = {bucket: await self._tokens(bucket) for bucket in BUCKETS}
        live = {
            subjects.KV_SETTINGS: await outbox.enqueue_settings(connection),
            subjects.KV_CHANNELS: await outbox.enqueue_channels(connection, None),
            subjects.KV_MODELS: await outbox.enqueue_models(connection, None),
            subjects.KV_KEYS: await outbox.enqueue_keys(connection, None),
        }
        for bucket in BUCKETS:
            await outbox.enqueue_delete(connection, bucket, there[bucket] - live[bucket])
        return Rebuilt(
            written={bucket: len(live[bucket]) for bucket in BUCKETS},
            deleted={bucket: len(there[bucket] - live[bucket]) for bucket in BUCKETS},
        )

    async def _tokens(self, bucket: str) -> set[str]:
        try:
            return set(await (await self._bus.jetstream.key_value(bucket)).keys())
        except NoKeysError:
            return set()
        except (NATSError, TimeoutError) as error:
            raise BusError(f"bucket {bucket} cannot be read: {type(error).__name__}") from error
