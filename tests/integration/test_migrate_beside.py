"""Migrations on a database in use: no lock is waited for at the cost of others, and services wait for their schema."""

import asyncio
import dataclasses
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry

from services.metering.app import open_metering
from services.metering.config import MeteringSettings
from tests.support.waiting import eventually
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.process import Process
from trunkline.runtime.tasks import TaskSet
from trunkline.store import migrate as migrations
from trunkline.store.database import Database, StoreError, connect
from trunkline.store.migrate import APART, MigrationError, migrate, read_migrations
from trunkline.store.schema import SchemaGate, SchemaState, read_state

_WAITING = "select count(*) from pg_stat_activity where application_name = 'trunkline-migrate' and wait_event_type = $1"


async def test_traffic_passes_a_migration_that_waits_for_a_lock(
    tmp_path: Path, database_dsn: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT_S", 0.3)
    monkeypatch.setattr(migrations, "LOCK_RETRY_S", 0.2)
    (tmp_path / "0101_grow.sql").write_text("create table grown (id int); alter table models add column kind text")
    tasks = TaskSet()
    async with database.connection() as watching:

        async def seen(what: str) -> bool:
            return bool(await watching.fetchval(_WAITING, what))

        async with database.transaction() as holding:
            await holding.fetchval("select count(*) from models")
            running = tasks.spawn(migrate(database_dsn, tmp_path), name="migrate")
            await eventually(lambda: seen("Lock"), within_s=10, what="the migration waits for the lock")
            # Whoever comes behind it queues, and passes when it gives up for a moment: the holder still holds.
            assert await asyncio.wait_for(watching.fetchval("select count(*) from models"), 5) == 0
            await eventually(lambda: seen("Timeout"), within_s=10, what="the migration lets others pass")
            assert await watching.fetchval("select to_regclass('grown') is null"), "an attempt leaves nothing behind"
            assert not running.done()
    assert await running == ["0101_grow.sql"]
    await tasks.cancel()


async def test_a_lock_that_is_never_let_go_ends_a_migration(
    tmp_path: Path, database_dsn: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT_S", 0.05)
    monkeypatch.setattr(migrations, "LOCK_RETRY_S", 0.01)
    monkeypatch.setattr(migrations, "LOCK_ATTEMPTS_MAX", 3)
    (tmp_path / "0101_grow.sql").write_text("alter table models add column kind text")
    async with database.transaction() as holding:
        await holding.fetchval("select count(*) from models")
        with pytest.raises(MigrationError, match=r"0101_grow\.sql: another session holds a lock that it needs"):
            await migrate(database_dsn, tmp_path)
    assert await migrate(database_dsn, tmp_path) == ["0101_grow.sql"]


async def test_an_index_is_made_while_others_write(tmp_path: Path, database_dsn: str, database: Database) -> None:
    file = tmp_path / "0101_index.sql"
    file.write_text(
        f"{APART}\ndrop index concurrently if exists models_made;\n"
        "create index concurrently if not exists models_made on models (created_at);\n"
    )
    tasks = TaskSet()
    async with database.connection() as watching:

        async def waits() -> bool:
            return bool(await watching.fetchval(_WAITING, "Lock"))

        async with database.transaction() as writing:
            await writing.execute("insert into models (name) values ('a')")
            running = tasks.spawn(migrate(database_dsn, tmp_path), name="migrate")
            await eventually(waits, within_s=10, what="the index waits for who writes")
            await watching.execute("insert into models (name) values ('b')")
    assert await running == ["0101_index.sql"]
    await tasks.cancel()
    async with database.connection() as connection:
        valid = "select indisvalid from pg_index where indexrelid = 'models_made'::regclass"
        assert await connection.fetchval(valid) is True
    assert await migrate(database_dsn, tmp_path) == []


async def test_how_a_database_stands_to_the_code(database: Database) -> None:
    names = tuple(migration.name for migration in read_migrations())
    async with database.connection() as connection:
        assert await read_state(connection) == SchemaState((), ())
        await connection.execute("insert into schema_migrations (name, checksum) values ('9999_later.sql', '')")
        await connection.execute("delete from schema_migrations where name = $1", names[-1])
        assert await read_state(connection) == SchemaState(names[-1:], ("9999_later.sql",))
        await connection.execute("drop schema public cascade; create schema public")
        assert await read_state(connection) == SchemaState(names, ())


async def test_a_gate_opens_with_the_last_migration(database_dsn: str, database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute("drop schema public cascade; create schema public")
    tasks, done = TaskSet(), asyncio.Event()
    gate = SchemaGate(database, SystemClock())
    assert gate.waits_for == "postgres"

    async def work() -> None:
        done.set()

    async def behind() -> bool:
        return gate.waits_for == "schema"

    tasks.spawn(gate.run(), name="gate")
    tasks.spawn(gate.then(work), name="work")
    await eventually(behind, within_s=10, what="it sees that the schema is behind")
    assert not done.is_set()
    await migrate(database_dsn)
    await asyncio.wait_for(done.wait(), 10)
    assert gate.waits_for == ""
    await tasks.cancel()


async def test_a_gate_waits_for_postgres() -> None:
    database = await connect("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(StoreError):
        await database.ping()
    tasks = TaskSet()
    gate = SchemaGate(database, SystemClock())
    task = tasks.spawn(gate.run(), name="gate")
    await asyncio.wait([task], timeout=0.2)
    assert not task.done()
    assert gate.waits_for == "postgres"
    await tasks.cancel()
    await database.close()


async def test_a_gate_outlives_what_postgres_refuses_it(database: Database) -> None:
    rename = "alter table schema_migrations rename column {} to {}"
    tasks = TaskSet()
    gate = SchemaGate(database, SystemClock())
    async with database.connection() as connection:
        await connection.execute(rename.format("name", "other"))
        with structlog.testing.capture_logs() as logs:
            task = tasks.spawn(gate.run(), name="gate")

            async def told() -> bool:
                return bool(logs) or task.done()

            await eventually(told, within_s=10, what="it says what is wrong")
        assert [(line["event"], line["error"]) for line in logs] == [("schema_unread", "UndefinedColumnError")]
        assert gate.waits_for == "postgres"
        await connection.execute(rename.format("other", "name"))
    await asyncio.wait_for(task, 10)
    assert gate.waits_for == ""
    await tasks.cancel()


async def test_a_migration_that_meets_traffic_crosswise_is_tried_again(
    tmp_path: Path, database_dsn: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT_S", 10.0)
    monkeypatch.setattr(migrations, "LOCK_RETRY_S", 0.01)
    (tmp_path / "0101_grow.sql").write_text("lock table groups; alter table models add column kind text")
    tasks = TaskSet()
    async with database.connection() as watching:

        async def waits() -> bool:
            return bool(await watching.fetchval(_WAITING, "Lock"))

        async with database.transaction() as holding:
            await holding.execute("set local deadlock_timeout = '60s'")  # so that the migration is the one to go
            await holding.fetchval("select count(*) from models")
            running = tasks.spawn(migrate(database_dsn, tmp_path), name="migrate")
            await eventually(waits, within_s=10, what="the migration waits for the lock")
            assert await holding.fetchval("select count(*) from groups") is not None
    assert await running == ["0101_grow.sql"]
    await tasks.cancel()


async def test_metering_waits_for_its_schema(
    bus: NATSBus, database: Database, database_dsn: str, tasks: TaskSet
) -> None:
    last = read_migrations()[-1].name
    async with database.connection() as connection:
        checksum = await connection.fetchval("delete from schema_migrations where name = $1 returning checksum", last)
    process = Process("metering", "metering-test", 1, SystemClock(), tasks, bus, CollectorRegistry())
    settings = MeteringSettings(database_url=database_dsn)
    async with open_metering(process, settings) as service:

        async def waits_for(what: list[str]) -> bool:
            return service.not_ready() == what

        await eventually(lambda: waits_for(["schema"]), within_s=10, what="it waits for its schema")
        async with database.connection() as connection:
            await connection.execute("insert into schema_migrations (name, checksum) values ($1, $2)", last, checksum)
        await eventually(lambda: waits_for([]), within_s=10, what="it works")
    async with database.connection() as connection:
        await connection.execute("delete from schema_migrations where name = $1", last)
    async with open_metering(dataclasses.replace(process, registry=CollectorRegistry()), settings) as service:
        await asyncio.wait_for(service.drain(), 5)
