"""Migrations: ``migrations/NNNN_*.sql``, each run once, in order. Called by `trunkline migrate`, `dev` and tests.

Each file runs in a transaction of its own together with the row that records it, under an advisory lock, so that
several processes may migrate at the same time and a failed file leaves nothing behind. A file never changes once
it has shipped: its checksum is compared on every run.

The services go on meanwhile. A statement that waits for a lock lets everybody wait who comes behind it, so no file
waits for one longer than `LOCK_TIMEOUT_S`: it is rolled back, traffic passes, and it is tried again. The same where
Postgres breaks it off because it and others hold what each of them needs. A file that begins with `APART` is run
statement by statement and in no transaction, as ``create index concurrently`` has to be: each of its statements must be
one that may be run again.
"""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

import asyncpg
import structlog

from trunkline.store.database import Connection, single_connection

log = structlog.get_logger()

LOCK = 0x74_6C_6D_67
"""The advisory lock's number: ``tlmg`` in ASCII. Any number would do that nothing else in the database uses."""

STATEMENT_TIMEOUT_S = 600.0
"""One migration, and the wait for another process that runs them. Longer than any request may take, since a new
index on a large table does."""

LOCK_TIMEOUT_S = 2.0
"""For how long a migration, and all that queues behind it, waits for a lock: a client hardly notices it."""

LOCK_RETRY_S = 1.0
"""Between two attempts; what has queued up passes meanwhile."""

LOCK_ATTEMPTS_MAX = 200
"""Ten minutes. Who holds a lock for so long has to be looked at."""

TURN_RETRY_S = 0.1
"""Between two looks whether another process that runs migrations is done."""

APART = "-- Outside of a transaction."

DIRECTORY = Path(__file__).parent / "migrations"

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


class MigrationError(Exception):
    """The files and the database do not fit together, or a file failed; says which."""


class Migration(NamedTuple):
    """One file."""

    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def apart(self) -> bool:
        """Whether it is run in no transaction."""
        return self.text.startswith(APART)


def read_migrations(directory: Path = DIRECTORY) -> list[Migration]:
    """Return the files in order.

    Raises:
        MigrationError: a name is not ``NNNN_words.sql``, or a number is there twice.
    """
    migrations: dict[str, Migration] = {}
    for path in sorted(directory.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name}: a migration is named NNNN_words.sql")
        if match[1] in migrations:
            raise MigrationError(f"{path.name}: {migrations[match[1]].name} has the same number")
        migrations[match[1]] = Migration(path.name, path.read_text())
    return list(migrations.values())


async def migrate(dsn: str, directory: Path = DIRECTORY) -> list[str]:
    """Bring a database up to date and return the names of the files that were run.

    Migrations that the database has and the files lack are left alone: a newer version has been here, and every
    migration keeps the version before it working.

    Raises:
        StoreError: Postgres is not available.
        MigrationError: see there.
    """
    migrations = read_migrations(directory)
    async with single_connection(
        dsn, application="trunkline-migrate", command_timeout_s=STATEMENT_TIMEOUT_S
    ) as connection:
        await _take_turn(connection)
        await connection.execute(
            "create table if not exists schema_migrations ("
            " name text primary key, checksum text not null, applied_at timestamptz not null default now())"
        )
        rows = await connection.fetch("select name, checksum from schema_migrations")
        applied = {row["name"]: row["checksum"] for row in rows}
        return [
            migration.name for migration in migrations if await _run_once(connection, migration, applied)
        ]  # the lock goes with the connection


async def _take_turn(connection: Connection) -> None:
    """Wait until no other process migrates.

    Asked again and again: a statement that waits for the lock would itself be waited for by ``create index
    concurrently``, and Postgres would break off one of the two.
    """
    for _ in range(round(STATEMENT_TIMEOUT_S / TURN_RETRY_S)):
        if await connection.fetchval("select pg_try_advisory_lock($1)", LOCK):
            return
        await connection.execute("select pg_sleep($1)", TURN_RETRY_S)
    raise MigrationError("another process has been migrating for ten minutes; pg_stat_activity shows what it does")


async def _run_once(connection: Connection, migration: Migration, applied: dict[str, str]) -> bool:
    if (checksum := applied.get(migration.name)) is not None:
        if checksum != migration.checksum:
            raise MigrationError(f"{migration.name} was changed after it had been applied to this database")
        return False
    try:
        await _run_patiently(connection, migration)
    except (asyncpg.SyntaxOrAccessError, asyncpg.IntegrityConstraintViolationError, asyncpg.DataError) as error:
        raise MigrationError(f"{migration.name}: {error}") from error
    return True


async def _run_patiently(connection: Connection, migration: Migration) -> None:
    for _ in range(LOCK_ATTEMPTS_MAX):
        try:
            await (_run_apart if migration.apart else _run_whole)(connection, migration)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            log.warning("migration_waits", name=migration.name)
            await connection.execute("select pg_sleep($1)", LOCK_RETRY_S)
        else:
            return
    raise MigrationError(
        f"{migration.name}: another session holds a lock that it needs, and has not let go of it in ten minutes;"
        " pg_stat_activity shows which"
    )


async def _run_whole(connection: Connection, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute("select set_config('lock_timeout', $1, true)", f"{LOCK_TIMEOUT_S:g}s")
        await connection.execute(migration.text)
        await _record(connection, migration)


async def _run_apart(connection: Connection, migration: Migration) -> None:
    for statement in migration.text.split(";\n"):
        if statement.strip():
            await connection.execute(statement)
    await _record(connection, migration)


async def _record(connection: Connection, migration: Migration) -> None:
    await connection.execute(
        "insert into schema_migrations (name, checksum) values ($1, $2)", migration.name, migration.checksum
    )
