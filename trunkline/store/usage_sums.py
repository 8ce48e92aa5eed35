"""Usage added up: by the hour within settlement, by the day when a day is over (0015_usage_hours.sql).

Settlement has `PROJECT_HOURS` and `TOUCH_DAYS`; metering's retention sums up days and forgets what is past its time.
The explorer reads the sums of a day where they hold, else those of its hours (`store.usage_explorer`).
"""

import contextlib
import datetime as dt
from collections.abc import AsyncGenerator, Mapping
from typing import Final

from trunkline.store.database import Connection

LOCK: Final = 0x74_6C_75_73
"""The advisory lock of whoever sums up days: ``tlus`` in ASCII. See `store.migrate.LOCK`."""

DIMENSIONS: Final = ("account_id", "user_id", "key_id", "channel_id", "model", "group_name", "outcome")
"""What the sums tell apart, beside the time."""

SUMS: Final = {
    "attempts": "count(*)",
    "answers": "count(*) filter (where charged)",
    "input": "sum(input + coalesce((other_units->>'input_audio')::bigint, 0)"
    " + coalesce((other_units->>'input_image')::bigint, 0))",
    "cache_read": "sum(cache_read)",
    "cache_write": "sum(cache_write_5m + cache_write_1h)",
    "output": "sum(output + coalesce((other_units->>'output_audio')::bigint, 0)"
    " + coalesce((other_units->>'output_image')::bigint, 0))",
    "reasoning": "sum(reasoning)",
    "charge_nano": "sum(charge_nano)",
    "cost_nano": "sum(cost_nano)",
    "first_tokens": "count(*) filter (where first_token_ms > 0)",
    "first_token_ms": "sum(first_token_ms)",
    "duration_ms": "sum(duration_ms)",
}
"""What is added up, and how from attempts."""

RECORDED: Final = (
    "started_at, account_id, user_id, key_id, channel_id, model, group_name, outcome, charged, unpriced, input,"
    " cache_read, cache_write_5m, cache_write_1h, output, reasoning, other_units, charge_nano, cost_nano,"
    " first_token_ms, duration_ms"
)
"""Columns of newly recorded attempts that the statements below take from ``recorded``."""

_KEY: Final = "hour, account_id, key_id, channel_id, model, group_name, outcome, user_id"

# In the order of the primary key, so that two transactions never wait for each other.
PROJECT_HOURS: Final = f"""
    insert into usage_hours as h (hour, {", ".join(DIMENSIONS)}, {", ".join(SUMS)})
    select date_bin('1 hour', started_at, 'epoch') as hour, {", ".join(DIMENSIONS)}, {", ".join(SUMS.values())}
    from recorded group by {_KEY} order by {_KEY}
    on conflict ({_KEY}) do update set {", ".join(f"{name} = h.{name} + excluded.{name}" for name in SUMS)}
"""  # noqa: S608 - made of constants
"""Adds what was newly recorded."""

SUBTRACT_HOURS: Final = f"""
    insert into usage_hours as h (hour, {", ".join(DIMENSIONS)}, {", ".join(SUMS)})
    select date_bin('1 hour', started_at, 'epoch') as hour, {", ".join(DIMENSIONS)},
           {", ".join(f"-({how})" for how in SUMS.values())}
    from recorded group by {_KEY} order by {_KEY}
    on conflict ({_KEY}) do update set {", ".join(f"{name} = h.{name} + excluded.{name}" for name in SUMS)}
"""  # noqa: S608 - made of constants
"""Takes away what is about to be recorded otherwise."""

FORGET_HOURS: Final = """
    delete from usage_hours where attempts = 0
    and (hour, account_id) in (select date_bin('1 hour', started_at, 'epoch'), account_id from recorded)
"""
"""Deletes rows of which nothing is left."""

TOUCH_DAYS: Final = """
    delete from usage_days_summed where day in (
        select day from usage_days_summed
        where day in (select (started_at at time zone 'UTC')::date from recorded)
        order by day for update)
"""
"""Says of the days of what was newly recorded that their sums hold no longer."""

BUCKETS_PER_DOUBLING: Final = 4
"""Of the time to a first token or an end. A bucket's middle is within 9 % of all that is in it."""

FIRST_TOKEN: Final = 0
DURATION: Final = 1
"""Kinds of `usage_speeds`."""

ALL_MODELS: Final = 1
ALL_CHANNELS: Final = 2
"""Bits of `usage_speeds.summed`, as Postgres's ``grouping(channel_id, model)`` gives them."""


def _bucket(milliseconds: str) -> str:
    # In floating point: the logarithm of whole numbers is one of numerics, which takes twenty times as long.
    return f"floor({BUCKETS_PER_DOUBLING} * ln({milliseconds}::float8) / ln(2::float8))::smallint"


def counted_speeds(by: Mapping[str, str], conditions: str) -> str:
    """Return a select, without its grouping, of what ``by`` names, of kinds and buckets, and of their attempts.

    Args:
        by: names, and the columns or expressions behind them.
        conditions: on the attempts that are counted.
    """
    # By both buckets at once first: a second row for each attempt would cost as much again as all the rest.
    names = ", ".join(by)
    columns = ", ".join(f"{column} as {name}" for name, column in by.items())
    return f"""
        select {names}, kind, bucket, sum(attempts)::bigint as attempts
        from (select {columns}, case when first_token_ms > 0 then {_bucket("first_token_ms")} end as first_token,
                     case when outcome = '' then {_bucket("greatest(duration_ms, 1)")} end as duration,
                     count(*) as attempts
              from usage where {conditions} group by {names}, first_token, duration) as found
        cross join lateral (values ({FIRST_TOKEN}, first_token), ({DURATION}, duration)) as speed (kind, bucket)
        where bucket is not null
    """  # noqa: S608 - made of constants


ERRORS: Final = "case when outcome <> '' then attempts else 0 end"
"""Of a row of `usage_hours`: its attempts without a complete answer."""

_ADDED: Final = ", ".join(f"sum({name})" for name in SUMS) + f", sum({ERRORS})"
_ADD_DAY: Final = f"""
    insert into usage_days (day, {", ".join(DIMENSIONS)}, {", ".join(SUMS)}, errors, hours)
    select $1, coalesce(account_id, 0), coalesce(user_id, 0), coalesce(key_id, 0),
           channel_id, model, group_name, outcome, {_ADDED}, bit_or(1 << extract(hour from hour)::integer)
    from usage_hours where hour >= $2 and hour < $3
    group by grouping sets (({", ".join(DIMENSIONS)}), (channel_id, model, group_name, outcome))
    order by outcome = '', coalesce(account_id, 0)
"""  # noqa: S608 - made of constants
"""In the order in which they are read, so that what is read together lies together: what failed, and accounts."""

MOMENTS_MAX: Final = 8
"""Attempts of a row over all accounts whose moments are kept, so that rare things are found without reading the hours
around them. Of more there is at least one in nearly every third hour."""

_ADD_MOMENTS: Final = f"""
    update usage_days as d set moments = found.moments
    from (select channel_id, model, group_name, outcome, array_agg(started_at order by started_at) as moments
          from usage
          join (select channel_id, model, group_name, outcome from usage_days
                where day = $1 and account_id = 0 and attempts <= {MOMENTS_MAX}) as few
          using (channel_id, model, group_name, outcome)
          where started_at >= $2 and started_at < $3 group by channel_id, model, group_name, outcome) as found
    where d.day = $1 and d.account_id = 0
    and (d.channel_id, d.model, d.group_name, d.outcome)
      = (found.channel_id, found.model, found.group_name, found.outcome)
"""  # noqa: S608 - made of constants
_ADD_KEYS: Final = f"""
    insert into usage_key_days (day, account_id, user_id, key_id, {", ".join(SUMS)}, errors)
    select $1, account_id, user_id, key_id, {_ADDED}
    from usage_hours where hour >= $2 and hour < $3 group by account_id, user_id, key_id
"""  # noqa: S608 - made of constants
_SPEEDS_BY: Final = {name: name for name in ("account_id", "channel_id", "model")}
_ADD_SPEEDS: Final = f"""
    insert into usage_speeds (day, account_id, channel_id, model, summed, kind, bucket, attempts)
    select $1, coalesce(account_id, 0), coalesce(channel_id, 0), coalesce(model, ''), grouping(channel_id, model),
           kind, bucket, sum(attempts)
    from ({counted_speeds(_SPEEDS_BY, "started_at >= $2 and started_at < $3")}
          group by {", ".join(_SPEEDS_BY)}, kind, bucket) as counted
    group by kind, bucket, grouping sets (
        (account_id, channel_id, model), (account_id), (channel_id, model), (channel_id), (model), ())
"""  # noqa: S608 - made of constants

_OF_DAYS: Final = ("usage_days", "usage_key_days", "usage_speeds")

DAY_TIMEOUT_S: Final = 600.0
"""For the sums of one day: some 40 s for 20 million attempts."""

DRAIN_TIMEOUT_MS: Final = 2000
"""How long may be waited for settlements that are under way, since others wait behind. It is tried again."""


async def days_to_sum(connection: Connection, before: dt.date) -> list[dt.date]:
    """Return the days before ``before`` that have usage and no sums that hold, the newest first."""
    rows = await connection.fetch(
        "with recursive used as ("
        " select (max(hour) at time zone 'UTC')::date as day from usage_hours where hour < $1"
        " union all"
        " select (select (max(hour) at time zone 'UTC')::date from usage_hours"
        "         where hour < used.day::timestamp at time zone 'UTC') from used where used.day is not null"
        ") select day from used where day is not null"
        " and not exists (select from usage_days_summed as s where s.day = used.day and s.done) order by day desc",
        _first_moment(before),
    )
    return [row["day"] for row in rows]


async def sum_days(connection: Connection, before: dt.date) -> AsyncGenerator[dt.date, None]:
    """Sum up the days that are over and have no sums that hold, and yield each; none while another process is at it.

    Args:
        connection: outside of a transaction.
        before: first day that is not over, in UTC.

    Raises:
        asyncpg.PostgresError: it could not be done now; the hours are read in the day's place.
    """
    if not await connection.fetchval("select pg_try_advisory_lock($1)", LOCK):
        return
    try:
        for day in await days_to_sum(connection, before):
            if await _sum_day(connection, day):
                yield day
    finally:
        await connection.fetchval("select pg_advisory_unlock($1)", LOCK)


async def _sum_day(connection: Connection, day: dt.date) -> bool:
    """Sum up a day; return False if usage that came late has overtaken it.

    Settlement goes on meanwhile. That its statements see the mark of the day, and take it away where they add to the
    day, is made sure by waiting for those that began before there was one.
    """
    await connection.execute(
        "insert into usage_days_summed (day, done) values ($1, false) on conflict (day) do update set done = false", day
    )
    async with connection.transaction():
        await connection.execute(f"set local lock_timeout = {DRAIN_TIMEOUT_MS}")
        await connection.execute("lock table usage_hours in share mode")
    span = (day, _first_moment(day), _first_moment(day + dt.timedelta(days=1)))
    with contextlib.suppress(_OvertakenError):
        async with connection.transaction():
            for table in _OF_DAYS:
                await connection.execute(f"delete from {table} where day = $1", day, timeout=DAY_TIMEOUT_S)  # noqa: S608 - one of three names
            for add in (_ADD_DAY, _ADD_MOMENTS, _ADD_KEYS, _ADD_SPEEDS):
                await connection.execute(add, *span, timeout=DAY_TIMEOUT_S)
            if not await connection.fetchval(
                "update usage_days_summed set done = true where day = $1 returning true", day
            ):
                raise _OvertakenError
        return True
    return False


class _OvertakenError(Exception):
    """Rolls back sums that hold no longer."""


async def forget_sums(connection: Connection, before: dt.date) -> None:
    """Delete the sums of days before ``before``, whose attempts are gone.

    Args:
        connection: in any state.
        before: first day that is kept, in UTC.
    """
    first = _first_moment(before)
    if not await connection.fetchval("select exists (select from usage_hours where hour < $1)", first):
        return
    async with connection.transaction():
        # First the marks of days and then the hours, as settlement does, which may have something from so long ago.
        for table in ("usage_days_summed", *_OF_DAYS):
            await connection.execute(f"delete from {table} where day < $1", before, timeout=DAY_TIMEOUT_S)  # noqa: S608 - one of four names
        await connection.execute("delete from usage_hours where hour < $1", first, timeout=DAY_TIMEOUT_S)


def _first_moment(day: dt.date) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)
