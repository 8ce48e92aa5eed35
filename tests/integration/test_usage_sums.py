"""Usage by the hour and by the day: whatever is settled, in whatever order and number, the sums are the rows'."""

import asyncio
import random
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any

import msgspec
import pytest

from tests.support import usage_events
from tests.support.usage_events import STARTED_MS, usage_event
from tests.support.waiting import eventually
from trunkline.bus.messages import UsageEvent
from trunkline.core.usage import UNIT_KINDS, Units
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Connection, Database
from trunkline.store.migrate import DIRECTORY
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import settle
from trunkline.store.usage_history import make_partitions, retire_day
from trunkline.store.usage_sums import (
    ALL_CHANNELS,
    ALL_MODELS,
    DIMENSIONS,
    MOMENTS_MAX,
    SUMS,
    counted_speeds,
    days_to_sum,
    forget_sums,
    sum_days,
)

DAY = datetime.fromtimestamp(STARTED_MS / 1000, UTC).date()
START_MS = round(datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC).timestamp() * 1000)
DAY_MS = 86_400_000
DAYS = 3
OVER = DAY + timedelta(days=DAYS)

_BY = ", ".join(DIMENSIONS)
_TRUE = f"""
    select date_bin('1 hour', started_at, 'epoch') as hour, {_BY}, {", ".join(SUMS.values())}
    from usage group by 1, {_BY} order by 1, {_BY}
"""  # noqa: S608 - made of constants
_KEPT = f"select hour, {_BY}, {', '.join(SUMS)} from usage_hours order by hour, {_BY}"  # noqa: S608 - made of constants


def some_event(draw: random.Random) -> UsageEvent:
    kinds = draw.sample(UNIT_KINDS, draw.randrange(1, 6))
    event = usage_event(
        account=draw.randrange(1, 4),
        key=draw.randrange(1, 4),
        model=draw.choice(["small", "odd model/name"]),
        group=draw.choice(["default", "vip"]),
        channel=draw.randrange(1, 3),
        units=Units(**{kind: draw.randrange(1, 10**6) for kind in kinds}),
        charged=draw.random() < 0.8,
        outcome=draw.choice(["", "", "", "upstream_timeout"]),
        started_ms=START_MS + draw.randrange(DAYS * DAY_MS),
        user=draw.randrange(2),
    )
    return msgspec.structs.replace(
        event, first_token_ms=draw.choice([0, 1, 80, 3000]), duration_ms=draw.randrange(9000)
    )


async def settle_all(connection: Connection, events: list[UsageEvent]) -> None:
    await settle(connection, events, await load_price_book(connection, await read_mark(connection)))


async def table(connection: Connection, statement: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await connection.fetch(statement)]


async def check(connection: Connection) -> None:
    """Check that what is read instead of rows is what the rows add up to."""
    assert await table(connection, _KEPT) == await table(connection, _TRUE)
    summed = [row["day"] for row in await connection.fetch("select day from usage_days_summed where done order by day")]
    for day in summed:
        span = f"started_at >= '{day}' and started_at < '{day + timedelta(days=1)}'"
        sums = ", ".join(f"{how}::bigint" for how in SUMS.values())
        masks = "bit_or(1 << extract(hour from started_at)::integer)"
        kept = f"select {_BY}, {', '.join(SUMS)}, hours from usage_days where day = '{day}' and account_id"  # noqa: S608
        assert await table(connection, f"{kept} <> 0 order by {_BY}") == await table(
            connection,
            f"select {_BY}, {sums}, {masks} from usage where {span} group by {_BY} order by {_BY}",  # noqa: S608
        )
        assert await table(connection, f"{kept} = 0 order by {_BY}") == await table(
            connection,
            f"select 0, 0, 0, channel_id, model, group_name, outcome, {sums}, {masks}"  # noqa: S608
            f" from usage where {span} group by channel_id, model, group_name, outcome"
            " order by channel_id, model, group_name, outcome",
        )
        by_key = "account_id, user_id, key_id"
        errors = "count(*) filter (where outcome <> '')"
        assert await table(
            connection,
            f"select {by_key}, {', '.join(SUMS)}, errors from usage_key_days where day = '{day}' order by {by_key}",  # noqa: S608
        ) == await table(
            connection,
            f"select {by_key}, {sums}, {errors} from usage where {span} group by {by_key} order by {by_key}",  # noqa: S608
        )
        few = f"case when count(*) <= {MOMENTS_MAX} then array_agg(started_at order by started_at) end"
        dimensions = "channel_id, model, group_name, outcome"
        assert await table(
            connection,
            f"select {dimensions}, moments from usage_days"  # noqa: S608
            f" where day = '{day}' and account_id = 0 order by {dimensions}",
        ) == await table(
            connection,
            f"select {dimensions}, {few} from usage where {span} group by {dimensions} order by {dimensions}",  # noqa: S608
        )
        assert not await connection.fetchval(
            f"select count(*) from usage_days where day = '{day}' and account_id <> 0 and moments is not null"  # noqa: S608
        )
        await check_speeds(connection, day, span)


async def check_speeds(connection: Connection, day: date, span: str) -> None:
    """Check the counts of a day: over everything that they are kept over, and over nothing else."""
    kept = 0
    for account, channel, model in product(("account_id", "0::bigint"), ("channel_id", "0::bigint"), ("model", "''")):
        summed = ALL_CHANNELS * (channel != "channel_id") + ALL_MODELS * (model != "model")
        if account == "account_id" and summed not in {0, ALL_CHANNELS + ALL_MODELS}:
            continue
        found = await table(
            connection,
            "select account_id, channel_id, model, kind, bucket, attempts from usage_speeds"  # noqa: S608
            f" where day = '{day}' and (account_id = 0) = {account != 'account_id'} and summed = {summed}"
            " order by 1, 2, 3, 4, 5",
        )
        assert found == await table(
            connection,
            counted_speeds({"account": account, "channel": channel, "name": model}, span)
            + "group by account, channel, name, kind, bucket order by 1, 2, 3, 4, 5",
        )
        kept += len(found)
    assert await connection.fetchval("select count(*) from usage_speeds where day = $1", day) == kept


async def sum_all(connection: Connection, before: date = OVER) -> list[date]:
    return [day async for day in sum_days(connection, before)]


@pytest.mark.parametrize("seed", range(3))
async def test_sums_are_those_of_the_rows_whoever_settles_them(database: Database, seed: int) -> None:
    draw = random.Random(seed)
    events = [some_event(draw) for _ in range(600)]
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        await make_partitions(connection, DAY, draw.randrange(DAYS + 1))

    async def replica(order: random.Random) -> None:
        async with database.connection() as connection:
            for _ in range(25):
                batch = order.choices(events, k=order.randrange(1, 60))
                if order.random() < 0.2:
                    await sum_all(connection)
                await settle_all(connection, batch)

    await asyncio.gather(replica(random.Random(seed)), replica(random.Random(seed + 100)))
    async with database.connection() as connection:
        await check(connection)
        await settle_all(connection, events)
        await check(connection)
        summed = await sum_all(connection)
        assert summed == sorted(summed, reverse=True)
        assert await connection.fetchval("select count(*) from usage_days_summed where done") == DAYS
        await check(connection)
        before = await table(connection, _KEPT)
        await settle_all(connection, events[:50])
        assert await sum_all(connection) == []
        assert await table(connection, _KEPT) == before


async def test_what_comes_late_takes_the_sums_of_its_day_away(database: Database) -> None:
    async with database.connection() as connection:
        first, second = (usage_event(started_ms=START_MS + number * DAY_MS) for number in range(2))
        await settle_all(connection, [first, second])
        assert await days_to_sum(connection, DAY + timedelta(days=1)) == [DAY]
        assert await sum_all(connection) == [DAY + timedelta(days=1), DAY]
        assert await sum_all(connection) == []
        await settle_all(connection, [first, second])
        assert await days_to_sum(connection, OVER) == []
        await settle_all(connection, [usage_event(started_ms=START_MS + DAY_MS - 1)])
        assert await days_to_sum(connection, OVER) == [DAY]
        assert await sum_all(connection) == [DAY]
        await check(connection)


async def test_sums_that_are_overtaken_while_they_are_made_do_not_hold(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database.connection() as connection, database.connection() as other:
        await settle_all(connection, [usage_event(started_ms=START_MS)])
        execute = type(connection).execute
        late = [usage_event(started_ms=START_MS + 5)]

        async def overtaken(self: Any, query: str, *values: Any, **options: Any) -> Any:
            found = await execute(self, query, *values, **options)
            if "insert into usage_speeds" in query and late:
                await settle_all(other, [late.pop()])
            return found

        monkeypatch.setattr(type(connection), "execute", overtaken)
        assert await sum_all(connection) == []
        assert await connection.fetchval("select count(*) from usage_days") == 0
        assert await sum_all(connection) == [DAY]
        await check(connection)


async def test_one_process_at_a_time_sums_up(database: Database) -> None:
    async with database.connection() as connection, database.connection() as other:
        await settle_all(connection, [usage_event(started_ms=START_MS + number * DAY_MS) for number in range(DAYS)])
        days = sum_days(connection, OVER)
        assert await anext(days) == OVER - timedelta(days=1)
        assert await sum_all(other) == []
        await days.aclose()
        assert await sum_all(other) == [DAY + timedelta(days=1), DAY]
        await check(connection)


async def test_sums_are_forgotten_with_the_rows(database: Database) -> None:
    async with database.connection() as connection:
        await make_partitions(connection, DAY, DAYS)
        await settle_all(connection, [usage_event(started_ms=START_MS + number * DAY_MS) for number in range(DAYS)])
        await sum_all(connection)
        await retire_day(connection, DAY)
        await forget_sums(connection, DAY + timedelta(days=1))
        await check(connection)
        for name in ("usage_days", "usage_key_days", "usage_speeds", "usage_days_summed"):
            days = await connection.fetch(f"select distinct day from {name} order by day")  # noqa: S608 - one of four
            assert [row["day"] for row in days] == [DAY + timedelta(days=1), DAY + timedelta(days=2)], name


async def test_forgetting_and_what_comes_very_late_do_not_wait_for_each_other(
    database: Database, tasks: TaskSet
) -> None:
    async with database.connection() as connection, database.connection() as other, database.connection() as late:
        await settle_all(connection, [usage_event(started_ms=START_MS)])
        await sum_all(connection)

        async def waiting(count: int) -> bool:
            waits = (
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
            )
            return await connection.fetchval(waits) >= count

        async with connection.transaction():
            await connection.execute("select from usage_hours for update")
            forgetting = tasks.spawn(forget_sums(other, DAY + timedelta(days=1)), name="forgetting")
            await eventually(lambda: waiting(1), within_s=5, what="the one that forgets")
            settling = tasks.spawn(settle_all(late, [usage_event(started_ms=START_MS)]), name="settling")
            await eventually(lambda: waiting(2), within_s=5, what="what comes late")
        await forgetting
        await settling
        assert await connection.fetchval("select sum(attempts) from usage_hours") == 1, "what came late"
        assert await connection.fetchval("select count(*) from usage_days_summed") == 0


async def test_the_migration_sums_up_what_is_there(database: Database) -> None:
    draw = random.Random(4)
    script = (DIRECTORY / "0015_usage_hours.sql").read_text()
    fill = script[script.index("insert into usage_hours") : script.index("-- For lists")]
    async with database.connection() as connection:
        await settle_all(connection, [some_event(draw) for _ in range(200)])
        kept = await table(connection, _KEPT)
        await connection.execute("delete from usage_hours")
        await connection.execute(fill)
        assert await table(connection, _KEPT) == kept
