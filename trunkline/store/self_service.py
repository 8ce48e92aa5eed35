"""What clients may see of their own: sums of what they were charged for, balances, and what bounds them. Read only.

Called by metering for `bus.inquiry`. Sums leave out what nobody paid for (failed attempts), so that they are those of
the ledger; `store.usage` has the operators' view.
"""

import contextlib
import datetime as dt
from collections.abc import AsyncIterator
from typing import NamedTuple

import asyncpg

from trunkline.bus.inquiry import USAGE_DIMENSIONS, USAGE_ROWS_MAX, UsageInquiry, UsageRow, UsageSums
from trunkline.store.database import Connection

DEFAULT_DAYS = 30
"""The span of sums when none is asked for."""

_USED = """
    select (started_at at time zone $3::text)::date as day, model, key_id, group_name, 1 as requests,
           input + cache_read + cache_write_5m + cache_write_1h + coalesce((other_units->>'input_audio')::bigint, 0)
           + coalesce((other_units->>'input_image')::bigint, 0) as input_tokens,
           cache_read as cached_tokens,
           output + joined_output + reasoning + coalesce((other_units->>'output_audio')::bigint, 0)
           + coalesce((other_units->>'output_image')::bigint, 0) as output_tokens,
           charge_nano
    from usage where account_id = $1 and ($2::bigint = 0 or key_id = $2) and charged
    and started_at >= $4::date::timestamp at time zone $3 and started_at < ($5::date + 1)::timestamp at time zone $3
    union all
    select day, model, key_id, group_name, answers,
           input + cache_read + cache_write_5m + cache_write_1h + input_audio + input_image, cache_read,
           output + reasoning + output_audio + output_image, charge_nano
    from usage_history where account_id = $1 and ($2::bigint = 0 or key_id = $2) and answers > 0
    and day >= $4 and day <= $5
"""
"""What was paid for in a span of days. Of days past their time only sums are left, by UTC's day, and in the tokens of
these are those of failed attempts; the money is exact."""

_SUMS = ", ".join(f"coalesce(sum({name}), 0)::bigint as {name}" for name in UsageSums.__struct_fields__)

_COLUMNS = {
    "day": "day::text",
    "model": "model",
    "key": "key_id",
    "group": "group_name",
}
"""The columns behind `USAGE_DIMENSIONS`. Nothing else ever becomes part of a statement's text."""


class OwnAccount(NamedTuple):
    """An account as its clients see it.

    Attributes:
        tier: empty for none.
        time_zone: IANA name.
        charged_nano: all that it was ever charged.
        today: in its time zone.
    """

    tier: str
    time_zone: str
    charged_nano: int
    today: dt.date


async def own_account(connection: Connection, account: int) -> OwnAccount | None:
    """Return an account, None if it is not there."""
    row = await connection.fetchrow(
        "select coalesce(tier, '') as tier, time_zone, (statement_timestamp() at time zone time_zone)::date as today,"
        " (select coalesce(sum(spent_nano), 0)::bigint from monthly_spending where account_id = $1) as charged_nano"
        " from accounts where id = $1",
        account,
    )
    return None if row is None else OwnAccount(**row)


@contextlib.asynccontextmanager
async def reading(connection: Connection, statement_ms: int) -> AsyncIterator[None]:
    """Read one state of the database in the block, by statements that Postgres gives up after so many milliseconds.

    Raises:
        asyncpg.QueryCanceledError: one took longer.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(f"set local statement_timeout = {statement_ms:d}")
        yield


async def usage_rows(
    connection: Connection, question: UsageInquiry, time_zone: str, first: dt.date, last: dt.date
) -> list[UsageRow]:
    """Return the sums of a span of days.

    Args:
        connection: in any state.
        question: whose, and by what; without ``by`` there is one row, also where nothing was used.
        time_zone: whose days these are.
        first: day with which it begins.
        last: day with which it ends.

    Returns:
        Rows in the order of ``by``: at most `USAGE_ROWS_MAX` and one, by which a caller sees that there are too many.

    Raises:
        ValueError: ``by`` names something that usage cannot be summed by.
    """
    by = question.by
    if unknown := [name for name in by if name not in USAGE_DIMENSIONS]:
        raise ValueError(f"usage cannot be summed by {unknown[0]!r}")
    dimensions = "".join(f'{_COLUMNS[name]} as "{name}", ' for name in by)
    positions = ", ".join(str(position) for position in range(1, len(by) + 1))
    grouping = f"group by {positions} order by {positions}" if by else ""
    rows = await connection.fetch(
        f"select {dimensions}{_SUMS} from ({_USED}) as used {grouping} limit {USAGE_ROWS_MAX + 1}",  # noqa: S608 - constants
        question.account,
        question.key,
        time_zone,
        first,
        last,
    )
    names = await _key_names(connection, question.account, {row["key"] for row in rows} if "key" in by else set())
    found = []
    for row in rows:
        told = {name: row[name] for name in by}
        found.append(UsageRow(_sums(row), key_name=names.get(told.get("key", 0), ""), **told))
    return found


async def _key_names(connection: Connection, account: int, keys: set[int]) -> dict[int, str]:
    if not keys:
        return {}
    rows = await connection.fetch(
        "select id, name from keys where account_id = $1 and id = any($2::bigint[])", account, list(keys)
    )
    return {row["id"]: row["name"] for row in rows}


def _sums(row: asyncpg.Record) -> UsageSums:
    return UsageSums(**{name: row[name] for name in UsageSums.__struct_fields__})
