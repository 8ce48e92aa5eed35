"""The projector: outbox to KV, in order, soon, by one replica at a time, and anew on request."""

from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from services.console.metrics import ConsoleMetrics
from services.console.projector import Projector
from tests.support.servers import NATSServer, PostgresServer, running_nats
from tests.support.waiting import eventually
from trunkline.bus import subjects
from trunkline.bus.port import BusError
from trunkline.runtime import nats_bus
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store import outbox
from trunkline.store.database import Database, StoreError

WITHIN_S = 10.0


def make_projector(database: Database, bus: NATSBus) -> Projector:
    return Projector(database, bus, clock=SystemClock(), metrics=ConsoleMetrics(CollectorRegistry()))


@pytest.fixture
async def projector(database: Database, bus: NATSBus, tasks: TaskSet) -> AsyncIterator[Projector]:
    projector = make_projector(database, bus)
    task = tasks.spawn(projector.run(), name="projector")
    yield projector
    task.cancel()


async def enqueue(database: Database, *entries: tuple[str, str, bytes | None]) -> None:
    async with database.transaction() as connection:
        await connection.executemany("insert into outbox (bucket, token, value) values ($1, $2, $3)", entries)


async def wait_for(bus: NATSBus, bucket: str, token: str, value: bytes | None) -> None:
    async def there() -> bool:
        try:
            return await bus.kv_get(bucket, token) == value
        except BusError:
            return False

    await eventually(there, within_s=WITHIN_S, what=f"{bucket}/{token} is {value!r}")


async def backlog(database: Database) -> int:
    async with database.connection() as connection:
        return await outbox.backlog(connection)


async def add_key(database: Database, hash_: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            "with a as (insert into accounts (name) values ($1) returning id),"
            " k as (insert into keys (account_id, name, groups, models)"
            " select id, 'k', '{default}', '{*}' from a returning id)"
            " insert into key_secrets (key_id, hash, prefix) select id, $1, 'sk' from k",
            hash_,
        )


@pytest.mark.usefixtures("projector")
async def test_a_change_is_in_kv_soon_and_leaves_the_outbox(database: Database, bus: NATSBus) -> None:
    await enqueue(database, ("models", "m", b"1"))
    await wait_for(bus, "models", "m", b"1")
    await enqueue(database, ("models", "m", b"2"), ("models", "m", None), ("models", "n", b"3"))
    await wait_for(bus, "models", "n", b"3")
    await wait_for(bus, "models", "m", None)

    async def empty() -> bool:
        return await backlog(database) == 0

    await eventually(empty, within_s=WITHIN_S, what="the outbox is empty")


@pytest.mark.usefixtures("projector")
async def test_the_last_of_many_values_stays(database: Database, bus: NATSBus) -> None:
    entries = [("channels", str(number % 7), b"%d" % number) for number in range(1500)]
    await enqueue(database, *entries, ("settings", "end", b"x"))
    await wait_for(bus, "settings", "end", b"x")
    assert await bus.kv_all("channels") == {token: value for _, token, value in entries}


async def test_one_replica_projects_and_another_takes_over(database: Database, bus: NATSBus, tasks: TaskSet) -> None:
    first, second = make_projector(database, bus), make_projector(database, bus)
    first_task = tasks.spawn(first.run(), name="first")
    await enqueue(database, ("models", "a", b"1"))
    await wait_for(bus, "models", "a", b"1")
    tasks.spawn(second.run(), name="second")

    async def second_waits() -> bool:
        return second.postgres_up

    await eventually(second_waits, within_s=WITHIN_S, what="the second is up")
    async with database.connection() as connection:
        held = await connection.fetchval(
            "select count(*) from pg_locks where locktype = 'advisory' and granted"
            " and database = (select oid from pg_database where datname = current_database())"
        )
    assert held == 1
    first_task.cancel()
    await enqueue(database, ("models", "a", b"2"))
    await wait_for(bus, "models", "a", b"2")


async def test_rebuild_writes_all_anew_and_deletes_what_is_stale(
    database: Database, bus: NATSBus, tasks: TaskSet
) -> None:
    # It runs only afterwards: at its start it fills what is empty where there are rows, without being asked to.
    projector = make_projector(database, bus)
    await bus.kv_put(subjects.KV_KEYS, "live", b"garbage")
    await bus.kv_put(subjects.KV_KEYS, "stale", b"garbage")
    await add_key(database, "live")
    await bus.kv_put(subjects.KV_CHANNELS, "99", b"garbage")
    await bus.kv_put(subjects.KV_WEIGHTS, "99", b"not ours")
    rebuilt = await projector.rebuild()
    assert rebuilt.written["keys"] == 1
    assert (rebuilt.deleted["keys"], rebuilt.deleted["channels"]) == (1, 1)
    tasks.spawn(projector.run(), name="projector")
    await wait_for(bus, subjects.KV_KEYS, "stale", None)
    await wait_for(bus, subjects.KV_CHANNELS, "99", None)
    assert b'"account_name":"live"' in (await bus.kv_get(subjects.KV_KEYS, "live") or b"")
    assert await bus.kv_get(subjects.KV_WEIGHTS, "99") == b"not ours"


async def test_a_broker_without_its_data_is_filled_again(database: Database, tasks: TaskSet) -> None:
    await add_key(database, "live")
    with running_nats() as server:
        bus = await nats_bus.connect(server.url, name="test", tasks=tasks)
        await bus.ensure_streams()
        tasks.spawn(make_projector(database, bus).run(), name="projector")

        async def filled() -> bool:
            try:
                return await bus.kv_get(subjects.KV_KEYS, "live") is not None
            except BusError:
                return False

        await eventually(filled, within_s=WITHIN_S, what="the key is there")
        server.stop()
        server.forget()
        server.start()
        await eventually(filled, within_s=WITHIN_S, what="the key is there again")
        await bus.close()


@pytest.mark.usefixtures("projector")
async def test_an_outage_of_either_delays_and_loses_nothing(
    database: Database, bus: NATSBus, nats_server: NATSServer, postgres_server: PostgresServer
) -> None:
    await enqueue(database, ("models", "m", b"1"))
    await wait_for(bus, "models", "m", b"1")
    nats_server.stop()
    try:
        await enqueue(database, ("models", "m", b"2"))
    finally:
        nats_server.start()
    await wait_for(bus, "models", "m", b"2")
    postgres_server.stop()
    postgres_server.start()

    async def answers() -> bool:
        try:
            await database.ping()
        except StoreError:
            return False
        return True

    await eventually(answers, within_s=WITHIN_S, what="the pool has a connection again")
    await enqueue(database, ("models", "m", b"3"))
    await wait_for(bus, "models", "m", b"3")
