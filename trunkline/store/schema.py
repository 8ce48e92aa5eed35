"""Which migrations a database has, and the wait for those that it lacks. Used by metering, console and the doctor.

Processes of a new version may be started while its migrations still run. They must not touch tables that are not yet
as they know them: they start, say that they are not ready, and begin when the last migration is there. A database
that is ahead is fine: every migration keeps the version before it working.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import asyncpg
import structlog

from trunkline.core.clock import Clock
from trunkline.store.database import Connection, Database, StoreError
from trunkline.store.migrate import read_migrations

log = structlog.get_logger()

LOOK_AGAIN_S = 0.5
"""Between two looks. A roll-out waits for this, and a database can bear it from any number of processes."""


class SchemaState(NamedTuple):
    """How a database stands to this version.

    Attributes:
        lacking: names of migrations that it has not had, in order.
        ahead: names of those that it has had and this version does not know.
    """

    lacking: tuple[str, ...]
    ahead: tuple[str, ...]


async def read_state(connection: Connection) -> SchemaState:
    """Return how a database stands to this version; an empty one lacks everything."""
    known = [migration.name for migration in read_migrations()]
    if not await connection.fetchval("select to_regclass('schema_migrations') is not null"):
        return SchemaState(tuple(known), ())
    applied = {row["name"] for row in await connection.fetch("select name from schema_migrations")}
    return SchemaState(tuple(name for name in known if name not in applied), tuple(sorted(applied.difference(known))))


class SchemaGate:
    """Opens, for good, when the database has all that this version needs.

    Args:
        database, clock: of the process.

    Attributes:
        waits_for: ``postgres`` that does not answer, or the ``schema``; empty once it is open.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._opened = asyncio.Event()
        self.waits_for = "postgres"

    async def run(self) -> None:
        """Look until it is open."""
        said: tuple[str, ...] = ()
        while True:
            try:
                async with self._database.connection() as connection:
                    lacking = (await read_state(connection)).lacking
            except (StoreError, asyncpg.PostgresError) as error:
                self.waits_for = "postgres"
                fault = type(error.__cause__ or error).__name__
                if (fault,) != said:
                    log.warning("schema_unread", error=fault)
                    said = (fault,)
            else:
                if not lacking:
                    break
                self.waits_for = "schema"
                if lacking != said:
                    log.warning("schema_behind", lacking=lacking, remedy="run `trunkline migrate`")
                    said = lacking
            await self._clock.sleep(LOOK_AGAIN_S)
        self.waits_for = ""
        self._opened.set()

    async def then(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something once it is open."""
        await self._opened.wait()
        await work()
