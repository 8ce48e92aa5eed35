"""The connection to Postgres: a bounded pool in which every wait has a deadline.

Metering and console hold one `Database` each. It is made without touching the network and outlives any outage:
while Postgres is away each use raises `StoreError` within seconds. After its return a use may still meet a
connection that the outage broke; that fails the same way, and the next one works.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import TypeAlias

import asyncpg

CONNECT_TIMEOUT_S = 3.0
"""A connection that is not up by then is not coming: the database is in the same network."""

ACQUIRE_TIMEOUT_S = 5.0
"""How long a caller waits for one of the pool's connections, connecting included."""

COMMAND_TIMEOUT_S = 10.0
"""One statement. The longest are batches of a few hundred rows, which take milliseconds."""

CONNECTIONS_MAX = 8
"""Connections per process: a few writers keep Postgres busy, and its default bound is 100 for all processes."""

CLOSE_TIMEOUT_S = 5.0

Connection: TypeAlias = asyncpg.Connection
"""One connection in use; `store` modules take it as an argument so that callers choose the transaction."""

_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutting down, starting up, cancelled
    asyncpg.InsufficientResourcesError,  # too many connections, disk or memory full
    asyncpg.TransactionRollbackError,  # deadlock or serialisation: the same work may succeed next time
    asyncpg.InternalClientError,
    asyncpg.LockNotAvailableError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


class StoreError(Exception):
    """Postgres cannot do this now: away, refusing us, or too slow.

    The work was not done, or (when the connection broke during a commit) it is not known whether it was.
    Trying again later is right if the work is idempotent. Errors of the statement itself (a violated constraint,
    a syntax error) are not this: they reach the caller as asyncpg's own.
    """


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except asyncpg.ClientConfigurationError as error:
        raise StoreError("DATABASE_URL is not of the form postgresql://user:password@host:port/database") from error
    except _AWAY as error:
        # The class alone: texts of the server may quote values.
        raise StoreError(f"Postgres is not available: {type(error).__name__}") from error


class Database:
    """A pool of connections. Make it with `connect`."""

    def __init__(self, pool: asyncpg.Pool, dsn: str, application: str) -> None:
        self._pool = pool
        self._dsn = dsn
        self._application = application

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection, outside of any transaction.

        Raises:
            StoreError: there is none to be had in time, or it was lost in the block.
        """
        with _translated():
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                yield connection

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction, committed unless the block raises.

        Raises:
            StoreError: as for `connection`; see there for a commit whose fate is unknown.
        """
        async with self.connection() as connection, connection.transaction():
            yield connection

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        """Open a connection outside of the pool, for what belongs to a session: its locks and its LISTEN.

        Raises:
            StoreError: as for `connection`.
        """
        async with single_connection(
            self._dsn, application=self._application, command_timeout_s=COMMAND_TIMEOUT_S
        ) as connection:
            yield connection

    async def ping(self) -> None:
        """Return if Postgres answers.

        Raises:
            StoreError: it does not.
        """
        async with self.connection() as connection:
            await connection.fetchval("select 1")

    async def close(self) -> None:
        """Close all connections; those in use get a few seconds to be given back."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._pool.close()
        except (TimeoutError, asyncpg.InterfaceError, OSError):
            self._pool.terminate()


async def connect(dsn: str, *, application: str = "trunkline", connections_max: int = CONNECTIONS_MAX) -> Database:
    """Return a database whose connections are made when they are first needed.

    Args:
        dsn: ``postgresql://user:password@host:port/database``; a text that is not such a name is found at first use.
        application: what Postgres shows in ``pg_stat_activity``.
        connections_max: bound of the pool.
    """
    pool = await asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=connections_max,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
        server_settings=session_settings(application),
    )
    return Database(pool, dsn, application)


def session_settings(application: str) -> dict[str, str]:
    """Return what each session asks of Postgres.

    Its name, UTC, an end to transactions that nobody continues, and that a client whose machine has vanished is
    noticed within half a minute: its locks are waited for.
    """
    return {
        "application_name": application,
        "timezone": "UTC",
        "idle_in_transaction_session_timeout": f"{int(COMMAND_TIMEOUT_S * 3)}s",
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
    }


@contextlib.asynccontextmanager
async def single_connection(dsn: str, *, application: str, command_timeout_s: float) -> AsyncIterator[Connection]:
    """Open one connection of its own, outside of any pool: for migrations.

    Raises:
        StoreError: as for `Database.connection`.
    """
    with _translated():
        connection = await asyncpg.connect(
            dsn,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=command_timeout_s,
            server_settings=session_settings(application),
        )
        try:
            yield connection
        finally:
            with contextlib.suppress(*_AWAY):
                await connection.close(timeout=CLOSE_TIMEOUT_S)
