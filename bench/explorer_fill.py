"""Fills a stack's database with usage of months, for `bench.explorer`: rows as settlement would have made them.

What chance decides is what a gateway sees: few keys with most of the use and thousands with little, models that go with
keys, times that differ by orders of magnitude, a few errors, and some things that are rare.
"""

import asyncio
import datetime as dt
from collections.abc import Callable
from typing import Final, NamedTuple

from trunkline.store.database import Connection
from trunkline.store.usage_sums import DIMENSIONS, SUMS, days_to_sum, sum_days

ACCOUNTS: Final = 300
KEYS: Final = 5000
"""The most used one has a ninth of all use, and so on by rank (Zipf)."""

MODELS: Final = 20
CHANNELS: Final = 12

RARE_MODEL: Final = "rare-model"
RARE_OUTCOME: Final = "gateway_outrun"
RARE_PER_ROW: Final = 1e-5

FILL_TIMEOUT_S: Final = 600.0
"""One day's rows, and the clean-up after all of them."""

SUMMED_POLL_S: Final = 1.0

Say = Callable[[str], None]

_ROWS: Final = f"""
with drawn as (
    select n, $1::timestamptz + random() * interval '1 day' as started_at, floor($3 ^ random())::bigint as key,
           random() as by_model, random() as by_channel, random() as by_end, random() as rare,
           random_normal() as first, random_normal() as whole, random_normal() as size
    from generate_series(1, $2::bigint) as n
), shaped as (
    select *, round(exp(6.2 + 0.8 * first))::integer as first_token,
           case when rare < {RARE_PER_ROW} then '{RARE_OUTCOME}'
                when by_end < 0.96 then '' when by_end < 0.98 then 'upstream_rate_limited'
                when by_end < 0.99 then 'upstream_timeout' when by_end < 0.997 then 'upstream_error'
                else 'client_gone' end as outcome,
           round(exp(6.5 + 1.2 * size))::bigint as tokens
    from drawn where started_at <= now()
)
insert into usage (started_at, account_id, key_id, user_id, channel_id, credential_id, input, cache_read,
    cache_write_5m, cache_write_1h, output, reasoning, charge_nano, cost_nano, multiplier_ppm, job, attempt, status,
    first_token_ms, duration_ms, charged, unpriced, counted, stream, model, upstream_model, group_name, outcome)
select started_at, $4 + key % {ACCOUNTS}, $5 + key, key % 3, 1 + (key + floor(by_channel ^ 3 * 4)::bigint) % {CHANNELS},
       1, tokens, tokens / 3, 0, 0, tokens / 4, 0, tokens * 900, tokens * 700, 1000000, gen_random_uuid(), 1, 200,
       case when outcome = '' then first_token else 0 end, first_token + round(exp(7 + whole))::integer, outcome = '',
       false, false, key % 2 = 0,
       case when rare > 1 - {RARE_PER_ROW} then '{RARE_MODEL}'
            else 'model-' || (key + floor(by_model ^ 4 * 3)::bigint) % {MODELS} end,
       'upstream', case when key % 10 = 0 then 'vip' else 'default' end, outcome
from shaped order by started_at
"""  # noqa: S608 - made of constants

_HOURS: Final = f"""
insert into usage_hours (hour, {", ".join(DIMENSIONS)}, {", ".join(SUMS)})
select date_bin('1 hour', started_at, 'epoch') as hour, {", ".join(DIMENSIONS)}, {", ".join(SUMS.values())}
from usage where started_at >= $1 and started_at < $2 group by hour, {", ".join(DIMENSIONS)} order by hour
"""  # noqa: S608 - made of constants


class Filled(NamedTuple):
    """What there is now.

    Attributes:
        accounts: names of the accounts, those with most use first.
        keys: names of one key of each, in the same order.
    """

    accounts: list[str]
    keys: list[str]


async def fill(connection: Connection, rows: int, days: int, now: dt.datetime, say: Say) -> Filled:
    """Make so many rows, spread evenly over the days up to now, with their sums.

    Args:
        connection: outside of a transaction.
        rows: of usage.
        days: how many, today's included.
        now: see there.
        say: takes words about how far it is.
    """
    filled, first_account, first_key = await _add_accounts(connection)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for number in range(days):
        day = midnight - dt.timedelta(days=days - 1 - number)
        await connection.execute("select make_usage_partition($1)", day.date())
        values = (day, rows // days, float(KEYS), first_account, first_key)
        await connection.execute(_ROWS, *values, timeout=FILL_TIMEOUT_S)
        await connection.execute(_HOURS, day, day + dt.timedelta(days=1), timeout=FILL_TIMEOUT_S)
        if number % 10 == 9:
            say(f"{number + 1} of {days} days")
    while await days_to_sum(connection, midnight.date()):
        # By the stack's metering, or here where that is not at it yet.
        async for _ in sum_days(connection, midnight.date()):
            pass
        await asyncio.sleep(SUMMED_POLL_S)
    await connection.execute("vacuum analyze", timeout=FILL_TIMEOUT_S)
    return filled


async def _add_accounts(connection: Connection) -> tuple[Filled, int, int]:
    """Make accounts and keys; return them, and the ids that the first ones would have if they were number 0."""
    accounts = await connection.fetch(
        "insert into accounts (name, time_zone) select 'used-' || n, (array['UTC', 'Asia/Shanghai'])[1 + n % 2]"
        " from generate_series(1, $1::bigint) as n returning id, name",
        ACCOUNTS,
    )
    first = min(row["id"] for row in accounts) - 1
    keys = await connection.fetch(
        "insert into keys (account_id, name, groups, models) select $1 + n % $2, 'key-' || n, '{default}', '{*}'"
        " from generate_series(1, $3::bigint) as n returning id, name",
        first + 1,
        ACCOUNTS,
        KEYS,
    )
    names = {row["id"]: row["name"] for row in accounts}
    return (
        Filled([names[first + 1 + number % ACCOUNTS] for number in range(1, 101)], [f"key-{n}" for n in range(1, 101)]),
        first + 1,
        min(row["id"] for row in keys) - 1,
    )
