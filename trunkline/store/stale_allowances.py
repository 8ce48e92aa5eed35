"""Deletes what accounts and edges have left behind in the tables of allowances and nothing reads any more.

Called by metering once a minute, for a part of the accounts each time.
"""

from collections.abc import Callable
from typing import NamedTuple

from trunkline.policy.grants import says_nothing
from trunkline.store.allowances import PERIODS_READ_DAYS, decode_state
from trunkline.store.database import Connection

PERIODS_KEPT_DAYS = PERIODS_READ_DAYS + 1
"""Nobody reads a period of a budget that began longer ago than `PERIODS_READ_DAYS`. A day more, since a session's date
is that of its time zone."""

PERIODS_MAX = 10_000
"""Periods deleted at a time, in some 50 ms: a budget that begins waits for it, and settlement behind that."""

_STATES = """
select account_id, version, case when edges = '{}' then state end as state,
       (extract(epoch from clock_timestamp()) * 1000)::bigint as now_ms
from allowances where account_id > $1 order by account_id limit $2
"""

# A lease is on disk before its first job, so before its first charge. What is seen here of an account of which no lease
# is seen was booked of one that is no more, after that was dropped.
_LEFT_OVER = """
delete from lease_settlements as l where l.account_id > $1 and ($2::bigint is null or l.account_id <= $2)
and not exists (select from allowances as a where a.account_id = l.account_id and a.edges <> '{}')
"""

_PERIODS = """
with gone as (
    delete from budget_spending where ctid = any(array(
        select ctid from budget_spending where period_start <= current_date - $1::integer limit $2))
    returning account_id
)
select count(*) from gone
"""


class Forgotten(NamedTuple):
    """What was deleted.

    Attributes:
        accounts: states of accounts without a lease, of which nothing counts any more.
        last: id of the last account that was looked at; 0 when there are none behind it.
    """

    accounts: int
    last: int


async def forget_idle_accounts(
    connection: Connection, after: int, rows_max: int, leapt_ms: Callable[[int], int]
) -> Forgotten:
    """Delete the states of accounts that hold no lease and of whose units none counts any more.

    A state whose units count for a day is kept until the day after the next: wherever the account's days begin.

    Args:
        connection: outside of a transaction.
        after: id of the account behind which to begin.
        rows_max: accounts to look at.
        leapt_ms: takes Postgres's time as it was read, Unix time in milliseconds, and returns how far that clock has
            leapt ahead lately.
    """
    rows = await connection.fetch(_STATES, after, rows_max)
    leapt = leapt_ms(rows[-1]["now_ms"]) if rows else 0
    idle = [
        (row["account_id"], row["version"])
        for row in rows
        if row["state"] is not None and says_nothing(decode_state(row["state"]), row["now_ms"], leapt_ms=leapt)
    ]
    if idle:
        # Only as it was read: somebody may be drawing on it right now.
        idle = await connection.fetch(
            "delete from allowances where (account_id, version) in (select * from unnest($1::bigint[], $2::bigint[]))"
            " returning account_id",
            *map(list, zip(*idle, strict=True)),
        )
    last = rows[-1]["account_id"] if len(rows) == rows_max else None
    await connection.execute(_LEFT_OVER, after, last)
    return Forgotten(len(idle), last or 0)


async def forget_periods(connection: Connection) -> int:
    """Delete periods of budgets older than `PERIODS_KEPT_DAYS`; return how many there were, `PERIODS_MAX` at most."""
    forgotten: int = await connection.fetchval(_PERIODS, PERIODS_KEPT_DAYS, PERIODS_MAX)
    return forgotten
