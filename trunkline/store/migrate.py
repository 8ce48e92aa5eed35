"""Migrations: ``migrations/NNNN_*.sql``, each run once, in order. Called by `trunkline migrate`, `dev` and tests.

Each file runs in a transaction of its own together with the row that records it, under an advisory lock, so that
several processes may migrate at the same time and a failed file leaves nothing behind. A file never changes once
it has shipped: its checksum is compared on every run.
"""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

import asyncpg

from trunkline.store.database import Connection, single_connection

LOCK = 0x74_6C_6D_67
"""The advisory lock's number: ``tlmg`` in ASCII. Any number would do that nothing else in the database uses."""

STATEMENT_TIMEOUT_S = 600.0
"""One migration, and the wait for another process that runs them. Longer than any request may take, since a new
index on a large table does."""

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
        await connection.execute("select pg_advisory_lock($1)", LOCK)
        await connection.execute(
            "create table if not exists schema_migrations ("
            " name text primary key, checksum text not null, applied_at timestamptz not null default now())"
        )
        rows = await connection.fetch("select name, checksum from schema_migrations")
        applied = {row["name"]: row["checksum"] for row in rows}
        return [
            migration.name for migration in migrations if await _run_once(connection, migration, applied)
        ]  # the lock goes with the connection


async def _run_once(connection: Connection, migration: Migration, applied: dict[str, str]) -> bool:
    if (checksum := applied.get(migration.name)) is not None:
        if checksum != migration.checksum:
            raise MigrationError(f"{migration.name} was changed after it had been applied to this database")
        return False
    try:
        async with connection.transaction():
            await connection.execute(migration.text)
            await connection.execute(
                "insert into schema_migrations (name, checksum) values ($1, $2)", migration.name, migration.checksum
            )
    except (asyncpg.SyntaxOrAccessError, asyncpg.IntegrityConstraintViolationError, asyncpg.DataError) as error:
        raise MigrationError(f"{migration.name}: {error}") from error
    return True
