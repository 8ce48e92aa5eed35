"""Migrations on a real Postgres."""

import asyncio
from pathlib import Path

import pytest

from tests.support.servers import PostgresServer
from trunkline.store.database import Database, StoreError, connect
from trunkline.store.migrate import MigrationError, migrate, read_migrations


async def test_each_file_runs_once_even_when_several_processes_migrate(database_dsn: str, database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute("drop schema public cascade; create schema public")
    runs = await asyncio.gather(migrate(database_dsn), migrate(database_dsn), migrate(database_dsn))
    names = [migration.name for migration in read_migrations()]
    assert sorted(runs, key=len) == [[], [], names]


async def test_a_failing_file_leaves_nothing_behind(tmp_path: Path, database_dsn: str, database: Database) -> None:
    (tmp_path / "0101_good.sql").write_text("create table good (id int)")
    (tmp_path / "0102_bad.sql").write_text("create table half (id int); select nonsense from nowhere")
    with pytest.raises(MigrationError, match=r"0102_bad\.sql: "):
        await migrate(database_dsn, tmp_path)
    async with database.connection() as connection:
        assert await connection.fetchval("select to_regclass('good') is not null")
        assert await connection.fetchval("select to_regclass('half') is null")
    (tmp_path / "0102_bad.sql").write_text("create table half (id int)")
    assert await migrate(database_dsn, tmp_path) == ["0102_bad.sql"]


async def test_a_changed_file_is_refused(tmp_path: Path, database_dsn: str) -> None:
    file = tmp_path / "0101_good.sql"
    file.write_text("create table good (id int)")
    await migrate(database_dsn, tmp_path)
    file.write_text("create table good (id bigint)")
    with pytest.raises(MigrationError, match="was changed after"):
        await migrate(database_dsn, tmp_path)


@pytest.mark.parametrize(
    ("names", "fault"),
    [(["1_short.sql"], "is named NNNN_words"), (["0001_a.sql", "0001_b.sql"], "has the same number")],
)
def test_badly_named_files_are_refused(tmp_path: Path, names: list[str], fault: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(MigrationError, match=fault):
        read_migrations(tmp_path)


async def test_an_outage_is_a_store_error_and_ends_by_itself(
    postgres_server: PostgresServer, database: Database, database_dsn: str
) -> None:
    await database.ping()
    postgres_server.stop()
    try:
        with pytest.raises(StoreError, match="Postgres is not available"):
            await database.ping()
        with pytest.raises(StoreError, match="Postgres is not available"):
            await migrate(database_dsn)
    finally:
        postgres_server.start()
    await database.ping()


async def test_a_name_that_is_none_is_a_store_error() -> None:
    database = await connect("http://example.com/")
    with pytest.raises(StoreError, match="DATABASE_URL is not of the form"):
        await database.ping()
    await database.close()


async def test_terms_take_over_what_a_database_holds(tmp_path: Path, database_dsn: str, database: Database) -> None:
    for migration in read_migrations()[:3]:
        (tmp_path / migration.name).write_text(migration.text)
    async with database.transaction() as connection:
        await connection.execute("drop schema public cascade; create schema public")
    await migrate(database_dsn, tmp_path)
    async with database.connection() as connection:
        await connection.execute(
            "insert into tiers (name, rpm, concurrency) values ('basic', 50, 10);"
            "insert into accounts (name, tier) values ('acme', 'basic'), ('poor', null);"
            "insert into budgets select id, 'daily', 5000000000 from accounts where name = 'acme';"
            "insert into budgets select id, 'monthly', 7 from accounts where name = 'acme';"
            "insert into keys (account_id, name, hash, prefix, groups, models)"
            " select id, 'ci', 'the-hash', 'sk-tl-abcd', '{default}', '{*}' from accounts where name = 'acme'"
        )
    await migrate(database_dsn)
    async with database.connection() as connection:
        rows = await connection.fetch("select name, time_zone, limits, budgets::text from accounts order by name")
        assert [tuple(row) for row in rows] == [
            ("acme", "UTC", "{}", '{"daily_nano": 5000000000, "monthly_nano": 7}'),
            ("poor", "UTC", "{}", "{}"),
        ]
        assert await connection.fetchval("select limits from tiers") == '{"rpm": 50, "concurrency": 10}'
        secret = await connection.fetchrow(
            "select k.name, s.hash, s.prefix, s.expires_at, s.created_at = k.created_at as same_age"
            " from keys k join key_secrets s on s.key_id = k.id"
        )
        assert tuple(secret) == ("ci", "the-hash", "sk-tl-abcd", None, True)
        assert await connection.fetchval("select to_regclass('budgets') is null")


async def test_costs_that_are_there_are_due_for_projection(
    tmp_path: Path, database_dsn: str, database: Database
) -> None:
    for migration in read_migrations():
        if migration.name < "0009":
            (tmp_path / migration.name).write_text(migration.text)
    async with database.transaction() as connection:
        await connection.execute("drop schema public cascade; create schema public")
    await migrate(database_dsn, tmp_path)
    async with database.connection() as connection:
        await connection.execute(
            "insert into channel_costs (channel_id, model, effective_from, prices) values"
            " (1, 'a', now() - interval '2 days', '{}'), (1, 'b', now() - interval '1 day', '{}'),"
            " (1, 'a', now() + interval '1 day', '{}'), (2, 'a', now() - interval '1 day', '{}')"
        )
    await migrate(database_dsn)
    async with database.connection() as connection:
        rows = await connection.fetch(
            "select channel_id, effective_from <= now() as in_force from cost_changes_due order by 1, 2"
        )
    assert [tuple(row) for row in rows] == [(1, False), (1, True), (2, True)]
