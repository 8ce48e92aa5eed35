"""Usage row by row, for export: read by a cursor on the server, a day at a time, so that memory stays bounded.

Called by the console. Rows are of days that are still kept (`TRUNKLINE_USAGE_DAYS`).
"""

import datetime as dt
from collections.abc import AsyncIterator, Collection, Iterator
from typing import Any, Final

from trunkline.core.usage import UNIT_KINDS
from trunkline.store.database import Connection
from trunkline.store.usage_explorer import UsageFilter
from trunkline.store.usage_rows import AMOUNT_COLUMNS, CALL_COLUMNS, COMMON_KINDS

ROWS_READ: Final = 1000
"""Rows fetched at a time: about two megabytes here, and some ten milliseconds of work."""

FETCH_TIMEOUT_S: Final = 120.0
"""The first rows of a day, which are sorted before: a hundred million rows a day take as long."""

DAYS_MAX: Final = 3660
"""Of one export, since each day is a query."""

_UNITS: Final = {kind: "bigint" for kind in UNIT_KINDS if kind != "requests"}

COLUMNS: Final[dict[str, str]] = {
    "started_at": "timestamptz",
    "job": "text",
    "attempt": "integer",
    "account": "text",
    "user": "text",
    "key": "text",
    "model": "text",
    "model_asked": "text",
    "group": "text",
    "channel": "text",
    **CALL_COLUMNS,
    **_UNITS,
    **AMOUNT_COLUMNS,
}
"""Names of the columns and their types in Postgres."""

# Of what is deleted there is no name any more. A user is nobody where there is none.
_NAMED: Final = {
    "job": "u.job::text",
    "account": "coalesce(a.name, '#' || u.account_id)",
    "user": "case when u.user_id <> 0 then coalesce(s.name, '#' || u.user_id) end",
    "key": "coalesce(k.name, '#' || u.key_id)",
    "channel": "coalesce(c.name, '#' || u.channel_id)",
    "model_asked": "coalesce(nullif(u.asked, ''), u.model)",
    "group": "u.group_name",
    **{kind: f"coalesce((u.other_units ->> '{kind}')::bigint, 0)" for kind in _UNITS if kind not in COMMON_KINDS},
}

OPERATORS_ONLY: Final = frozenset({"account", "channel", "upstream_model", "cost_nano", "cost_version"})
"""Columns that an account's people do not get: who serves them and what that costs is the site's."""

_FROM: Final = """
from usage as u left join accounts as a on a.id = u.account_id left join users as s on s.id = u.user_id
left join keys as k on k.id = u.key_id left join channels as c on c.id = u.channel_id
where u.started_at >= $1 and u.started_at < $2
"""
_ORDER: Final = " order by u.started_at, u.job, u.attempt"


async def read_rows(
    connection: Connection,
    wanted: UsageFilter,
    since: dt.datetime,
    until: dt.datetime,
    columns: Collection[str] = tuple(COLUMNS),
) -> AsyncIterator[list[tuple[Any, ...]]]:
    """Yield rows as the values of ``columns``, in the order of their start, at most `ROWS_READ` at a time.

    All of them are of one state of the database. A reader that lets half a minute pass between two pieces is cut off by
    the database: its session would hold back everybody's clean-up.

    Args:
        connection: outside of a transaction.
        wanted: see there.
        since: first moment, with a time zone.
        until: first moment that is not part of it, with a time zone.
        columns: some of `COLUMNS`.
    """
    # Only what is asked for stands in the statement, so that the index of accounts is used where it helps.
    values: list[Any] = [None, None]
    conditions = wanted.conditions(values, "u.")
    read = ", ".join(f'{_NAMED.get(name, f"u.{name}")} as "{name}"' for name in columns)
    statement = f"select {read} {_FROM}{conditions}{_ORDER}"
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for begin, end in days(since, until):
            cursor = await connection.cursor(statement, begin, end, *values[2:])
            while rows := await cursor.fetch(ROWS_READ, timeout=FETCH_TIMEOUT_S):
                yield [tuple(row) for row in rows]
                if len(rows) < ROWS_READ:
                    break


def days(since: dt.datetime, until: dt.datetime) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    """Split a span at the midnights of UTC, as partitions of usage are."""
    begin = since.astimezone(dt.UTC)
    until = until.astimezone(dt.UTC)
    while begin < until:
        midnight = dt.datetime.combine(begin.date() + dt.timedelta(days=1), dt.time(), dt.UTC)
        yield begin, min(midnight, until)
        begin = midnight
