"""Real NATS and real Postgres, one of each for the whole run; a database and empty buckets for each test."""

import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from tests.support.servers import NATSServer, PostgresServer, running_nats, running_postgres
from tests.support.waiting import eventually
from trunkline.bus.port import BusError
from trunkline.runtime import nats_bus
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store import database as store_database
from trunkline.store.database import Database
from trunkline.store.migrate import migrate

TEMPLATE = "trunkline_template"

STREAMS_TIMEOUT_S = 10.0

PATIENCE_S = 25.0
"""Less than the console gives a request."""

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NATSServer]:
    """NATS with JetStream; a test that stops it must start it again."""
    with running_nats() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Postgres; a test that stops it must start it again."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def nats_url(nats_server: NATSServer) -> str:
    """Where NATS is."""
    return nats_server.url


@pytest.fixture(scope="session")
def postgres_dsn(postgres_server: PostgresServer) -> str:
    """The maintenance database; tests use `database_dsn`."""
    return postgres_server.admin_dsn


@pytest.fixture
def patient_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections may be waited for: where hundreds ask at once, a busy machine would have some be answered 503."""
    monkeypatch.setattr(store_database, "ACQUIRE_TIMEOUT_S", PATIENCE_S)
    monkeypatch.setattr(store_database, "CONNECT_TIMEOUT_S", PATIENCE_S)


@pytest.fixture
async def database_dsn(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """A fresh, migrated database of this test's own, dropped afterwards."""
    name = f"test_{next(_numbers)}"
    admin = await asyncpg.connect(postgres_server.admin_dsn)
    try:
        if not await admin.fetchval("select count(*) from pg_database where datname = $1", TEMPLATE):
            await admin.execute(f"create database {TEMPLATE}")
            await migrate(postgres_server.dsn(TEMPLATE))
        # A copy of a migrated database takes a fraction of the time that the migrations take.
        await admin.execute(f"create database {name} template {TEMPLATE} strategy file_copy")
    finally:
        await admin.close()
    yield postgres_server.dsn(name)
    admin = await asyncpg.connect(postgres_server.admin_dsn)
    try:
        await admin.execute(f"drop database {name} with (force)")
    finally:
        await admin.close()


@pytest.fixture
async def database(database_dsn: str) -> AsyncIterator[Database]:
    """A pool on `database_dsn`."""
    database = await store_database.connect(database_dsn, application="test")
    yield database
    await database.close()


@pytest.fixture
async def tasks() -> AsyncIterator[TaskSet]:
    """The background tasks of a test, cancelled at its end."""
    tasks = TaskSet()
    yield tasks
    await tasks.cancel()


@pytest.fixture
async def bus(nats_url: str, tasks: TaskSet) -> AsyncIterator[NATSBus]:
    """A connection to NATS with every stream and bucket there and empty."""
    bus = await nats_bus.connect(nats_url, name="test", tasks=tasks)
    for stream in await bus.jetstream.streams_info():
        await bus.jetstream.delete_stream(stream.config.name)

    async def made() -> bool:
        # The broker refuses a name whose files it has not removed yet.
        with contextlib.suppress(BusError):
            await bus.ensure_streams()
            return True
        return False

    await eventually(made, within_s=STREAMS_TIMEOUT_S, what="the streams are there")
    yield bus
    await bus.close()
