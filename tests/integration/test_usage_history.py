"""Usage by day: partitions, and sums that are the same before and after the rows behind them are gone."""

import asyncio
import itertools
import random
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from prometheus_client import CollectorRegistry

from services.metering.metrics import MeteringMetrics
from services.metering.postgres_clock import PostgresClock
from services.metering.retention import DAYS_AHEAD, Retention
from tests.support import usage_events
from tests.support.servers import PostgresServer, running_postgres
from tests.support.usage_events import STARTED_MS, usage_event
from trunkline.bus.messages import UsageEvent
from trunkline.core.usage import UNIT_KINDS, Units
from trunkline.runtime.clock import SystemClock
from trunkline.store import ledger
from trunkline.store.database import Connection, Database, connect
from trunkline.store.migrate import DIRECTORY, migrate
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import settle
from trunkline.store.usage import DIMENSIONS, UsageSummary, find_request, summarise
from trunkline.store.usage_history import days_before, make_partitions, retire_day, retire_late

DAY = datetime.fromtimestamp(STARTED_MS / 1000, UTC).date()
START = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC)
DAY_MS = 86_400_000
START_MS = round(START.timestamp() * 1000)
DAYS = 6


async def settle_all(connection: Connection, events: list[UsageEvent]) -> None:
    book = await load_price_book(connection, await read_mark(connection))
    await settle(connection, events, book)


async def partition_of(connection: Connection, job: bytes) -> str:
    name: str = await connection.fetchval(
        "select tableoid::regclass::text from usage where job = encode($1, 'hex')::uuid", job
    )
    return name


async def counts(connection: Connection) -> tuple[int, int]:
    """Return how many rows there are, and how many attempts the history has."""
    row = await connection.fetchrow(
        "select (select count(*) from usage), (select coalesce(sum(attempts), 0)::bigint from usage_history)"
    )
    return tuple(row)


def some_event(draw: random.Random) -> UsageEvent:
    kinds = draw.sample(UNIT_KINDS, draw.randrange(1, 6))
    event = usage_event(
        account=draw.randrange(1, 4),
        key=draw.randrange(1, 5),
        model=draw.choice(["small", "large", "odd model/name"]),
        group=draw.choice(["default", "vip"]),
        channel=draw.randrange(1, 3),
        units=Units(**{kind: draw.randrange(1, 10**6) for kind in kinds}),
        charged=draw.random() < 0.8,
        started_ms=START_MS + draw.randrange(DAYS * DAY_MS),
    )
    return msgspec.structs.replace(event, user=draw.randrange(2))


async def all_sums(connection: Connection) -> dict[str, list[UsageSummary]]:
    """Return every summary that can be asked for, over some spans of whole days."""
    found = {}
    choices = [by for size in range(4) for by in itertools.combinations(DIMENSIONS, size)] + [tuple(DIMENSIONS)]
    spans = [(0, DAYS), (0, 2), (1, 4), (3, DAYS)]
    for by, (first, last) in itertools.product(choices, spans):
        for filters in ({}, {"account": 1}, {"key": 2}, {"account": 2, "key": 3}):
            asked: dict[str, Any] = {"account": None, "key": None, **filters}
            since, until = START + timedelta(days=first), START + timedelta(days=last)
            rows = await summarise(connection, since=since, until=until, by=by, **asked)
            found[f"{by} {first} {last} {filters}"] = rows
    return found


@pytest.mark.parametrize("seed", range(3))
async def test_sums_are_the_same_before_and_after_the_rows_are_gone(database: Database, seed: int) -> None:
    draw = random.Random(seed)
    events = [some_event(draw) for _ in range(400)]
    late = events[:40]
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        await make_partitions(connection, DAY, draw.randrange(DAYS))
        await settle_all(connection, events[40:])
        await make_partitions(connection, DAY, DAYS)
        await settle_all(connection, late)
        before = await all_sums(connection)
        assert await counts(connection) == (400, 0)
        for day in await days_before(connection, DAY + timedelta(days=3)):
            await retire_day(connection, day)
        rows, past = await counts(connection)
        assert rows + past == 400
        assert past > 100
        assert await all_sums(connection) == before
        for day in await days_before(connection, DAY + timedelta(days=DAYS)):
            await retire_day(connection, day)
        assert await counts(connection) == (0, 400)
        assert await all_sums(connection) == before
        # By user and by kind of unit, too, though nobody asks for that yet.
        sums = ", ".join(f"sum({kind})::bigint" for kind in UNIT_KINDS)
        units = await connection.fetchrow(f"select {sums} from usage_history")  # noqa: S608 - made of constants
        assert list(units) == [sum(getattr(event.units, kind) for event in events) for kind in UNIT_KINDS]
        of_user = await connection.fetchval("select sum(attempts)::bigint from usage_history where user_id = 1")
        assert of_user == sum(event.user for event in events)
        assert await ledger.verify(connection) == []


async def test_late_ones_join_the_sums_of_their_day(database: Database) -> None:
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        await make_partitions(connection, DAY, 1)
        await settle_all(connection, [usage_event(started_ms=START_MS)])
        assert await retire_day(connection, DAY) == 1
        late = [usage_event(started_ms=START_MS + 5), usage_event(started_ms=START_MS + 6, model="other")]
        await settle_all(connection, late)
        assert await partition_of(connection, late[0].job) == "usage_default"
        span: dict[str, Any] = {"account": None, "key": None, "since": START, "until": START + timedelta(days=1)}
        before = await summarise(connection, by=("model",), **span)
        assert [row.attempts for row in before] == [1, 2]
        assert await retire_late(connection, START) == 0
        assert await retire_late(connection, START + timedelta(days=1)) == 2
        assert await counts(connection) == (0, 3)
        assert await summarise(connection, by=("model",), **span) == before
        assert await find_request(connection, late[0].job) == []  # type: ignore[arg-type]  # minted by new_job


async def test_a_past_day_counts_where_its_first_moment_lies(database: Database) -> None:
    async with database.connection() as connection:
        await make_partitions(connection, DAY, 1)
        await settle_all(connection, [usage_event(started_ms=START_MS + DAY_MS // 2)])
        await retire_day(connection, DAY)
        for since_h, until_h, attempts in ((0, 1, 1), (-5, 1, 1), (1, 24, 0), (-24, 0, 0), (0, 24, 1)):
            since, until = START + timedelta(hours=since_h), START + timedelta(hours=until_h)
            rows = await summarise(connection, account=None, key=None, since=since, until=until, by=())
            assert sum(row.attempts for row in rows) == attempts


async def test_partitions_are_made_once_and_take_what_came_before_them(database: Database) -> None:
    events = [usage_event(started_ms=START_MS + number * DAY_MS) for number in (0, 1, 2)]
    async with database.connection() as connection:
        await settle_all(connection, events)
        assert await make_partitions(connection, DAY, 2) == 2
        assert await make_partitions(connection, DAY, 2) == 0
        found = [await partition_of(connection, event.job) for event in events]
        assert found == [f"usage_{DAY:%Y%m%d}", f"usage_{DAY + timedelta(days=1):%Y%m%d}", "usage_default"]
        await settle_all(connection, [*events, usage_event(started_ms=START_MS)])
        assert await counts(connection) == (4, 0)
        assert await days_before(connection, date(2020, 1, 1)) == []


async def test_who_reads_a_day_is_not_cut_short(database: Database) -> None:
    async with database.connection() as connection, database.connection() as reading:
        await make_partitions(connection, DAY, 1)
        await settle_all(connection, [usage_event(started_ms=START_MS)])
        async with reading.transaction():
            await reading.fetchval("select count(*) from usage")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await retire_day(connection, DAY)
            assert await counts(reading) == (1, 0)
        assert await retire_day(connection, DAY) == 1
        assert await counts(connection) == (0, 1)


async def test_two_processes_do_it_once(database: Database) -> None:
    async with database.connection() as connection:
        await make_partitions(connection, DAY, 1)
        await settle_all(connection, [usage_event(started_ms=START_MS) for _ in range(50)])

    async def retire() -> int | None:
        async with database.connection() as connection:
            try:
                return await retire_day(connection, DAY)
            except asyncpg.UndefinedTableError:
                return None  # the other one was quicker by all of its work

    async def make() -> int:
        async with database.connection() as connection:
            return await make_partitions(connection, DAY + timedelta(days=1), 3)

    assert sorted(await asyncio.gather(retire(), retire()), key=str) == [50, None]
    assert sum(await asyncio.gather(make(), make())) == 3
    async with database.connection() as connection:
        assert await counts(connection) == (0, 50)


class SetClock(SystemClock):
    """The real clock, on another day."""

    def __init__(self, wall_ms: int) -> None:
        self._wall_ms = wall_ms

    def wall_ms(self) -> int:
        return self._wall_ms


async def test_metering_keeps_as_many_days_as_it_is_told(database: Database) -> None:
    events = [usage_event(started_ms=START_MS + number * DAY_MS + 1000) for number in range(DAYS)]
    registry = CollectorRegistry()
    metrics = MeteringMetrics(registry)
    now_ms = START_MS + (DAYS - 1) * DAY_MS + 3_600_000
    clock = SetClock(now_ms)
    retention = Retention(database, 2, PostgresClock(clock, metrics), clock=clock, metrics=metrics)
    async with database.connection() as connection:
        await make_partitions(connection, DAY, 3)
        await settle_all(connection, events)
        await retention.keep()
        assert await counts(connection) == (3, 3)
        kept = await connection.fetch("select tableoid::regclass::text as name from usage order by started_at")
        assert [row["name"] for row in kept] == [
            "usage_default",  # two days ago: no partition was made for a day that has begun without one
            "usage_default",
            f"usage_{DAY + timedelta(days=5):%Y%m%d}",
        ]
        last = DAY + timedelta(days=DAYS - 1 + DAYS_AHEAD)
        assert (await days_before(connection, last + timedelta(days=1)))[-1] == last
        await retention.keep()
        assert await counts(connection) == (3, 3)
    assert registry.get_sample_value("trunkline_metering_usage_forgotten_total") == 3


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


async def test_the_migration_carries_all_rows_over(own_postgres: PostgresServer, tmp_path: Path) -> None:
    for path in DIRECTORY.glob("*.sql"):
        # What settlement fills and reads today, too: it does not matter which of these comes first.
        if path.name < "0007" or path.name[:4] in {"0012", "0013", "0015", "0021"}:
            shutil.copy(path, tmp_path)
    await migrate(own_postgres.admin_dsn, tmp_path)
    database = await connect(own_postgres.admin_dsn)
    draw = random.Random(7)
    events = [some_event(draw) for _ in range(200)] + [usage_event(started_ms=0)]
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        await settle_all(connection, events)
        before = await connection.fetch("select * from usage order by job, attempt")
    assert "0007_usage_partitions.sql" in await migrate(own_postgres.admin_dsn)
    async with database.connection() as connection:
        after = await connection.fetch("select * from usage order by job, attempt")
        assert [dict(row) for row in after] == [dict(row) for row in before]
        assert not await connection.fetchval("select count(*) from usage_default")
        today = datetime.now(UTC).date()
        assert len(await days_before(connection, today + timedelta(days=4))) >= 1 + 4
        await settle_all(connection, events)
        assert await counts(connection) == (201, 0)
        assert await ledger.verify(connection) == []
    await database.close()


async def test_the_history_has_a_column_for_each_kind_of_unit(database: Database) -> None:
    async with database.connection() as connection:
        rows = await connection.fetch(
            "select column_name from information_schema.columns where table_name = 'usage_history'"
        )
    assert set(UNIT_KINDS) <= {row["column_name"] for row in rows}
