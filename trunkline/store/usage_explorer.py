"""Usage as the explorer shows it: sums over any part of it, by time and by any dimension. Called by the console.

A day that is over is read from its own sums where they hold (`store.usage_sums`), anything else from those of the
hours. Every question is asked inside a transaction that sees one state of the database, so that what a sum was made of
and the sum are never both counted.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import asyncpg

from trunkline.policy.admin_usage import Dimension, Order
from trunkline.store.database import Connection
from trunkline.store.usage_sums import ERRORS, SUMS

COLUMNS: Final = {
    Dimension.MODEL: "model",
    Dimension.KEY: "key_id",
    Dimension.USER: "user_id",
    Dimension.GROUP: "group_name",
    Dimension.OUTCOME: "outcome",
    Dimension.ACCOUNT: "account_id",
    Dimension.CHANNEL: "channel_id",
}
"""Columns of usage and of its sums. Nothing else ever becomes part of a statement's text."""

_ORDERS: Final = {
    Order.CHARGE: "charge_nano",
    Order.REQUESTS: "answers",
    Order.TOKENS: "input + cache_read + cache_write + output + reasoning",
    Order.ERRORS: "errors",
    Order.COST: "cost_nano",
}

_SUMS: Final = (*SUMS, "errors")
_ADDED: Final = ", ".join(f"coalesce(sum({name}), 0)::bigint as {name}" for name in _SUMS)
_READ_DAYS: Final = ", ".join(_SUMS)
_READ_HOURS: Final = f"{', '.join(SUMS)}, {ERRORS} as errors"

_KEY_COLUMNS: Final = {"account_id", "user_id", "key_id"}
"""What the sums by key alone tell apart."""

HOUR: Final = dt.timedelta(hours=1)
DAY: Final = dt.timedelta(days=1)


class UsageFilter(NamedTuple):
    """Which attempts are wanted; None for any.

    Attributes:
        account, user, key, channel: ids. Of a user or key the account is given, too.
        model, group: names.
        outcome: as it is stored: empty for a complete answer.
        errors: only those that brought no complete answer.
    """

    account: int | None = None
    user: int | None = None
    key: int | None = None
    channel: int | None = None
    model: str | None = None
    group: str | None = None
    outcome: str | None = None
    errors: bool = False

    def conditions(self, values: list[Any], table: str = "") -> str:
        """Return it as SQL that goes on after another condition.

        Args:
            values: of the statement; those that it needs are added.
            table: prefix of the columns, its dot included.
        """
        found = ""
        for dimension, column in COLUMNS.items():
            value = getattr(self, dimension.value)
            if value is not None:
                values.append(value)
                found += f" and {table}{column} = ${len(values)}"
        return found + f" and {table}outcome <> ''" * self.errors

    def only(self, *dimensions: Dimension) -> bool:
        """Return whether it asks for nothing but some dimensions."""
        given = {dimension for dimension in COLUMNS if getattr(self, dimension.value) is not None}
        return not self.errors and given <= set(dimensions)


class Sums(NamedTuple):
    """What attempts add up to; see `store.usage_sums.SUMS`. Errors are those without a complete answer."""

    attempts: int = 0
    answers: int = 0
    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    charge_nano: int = 0
    cost_nano: int = 0
    first_tokens: int = 0
    first_token_ms: int = 0
    duration_ms: int = 0
    errors: int = 0

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Sums":
        """Return those of a row."""
        return cls(*(row[name] for name in cls._fields))


NO_SUMS: Final = Sums()


def added(sums: Sequence[Sums]) -> Sums:
    """Return the sum of sums."""
    return Sums(*map(sum, zip(*sums, strict=True))) if sums else NO_SUMS


class Group(NamedTuple):
    """One row of a breakdown.

    Attributes:
        value: id or name; None in the row of all that are beyond the first.
        account: whose it is, of keys and users; else None.
        members: how many values it has.
        sums: of its attempts.
    """

    value: Any
    account: int | None
    members: int
    sums: Sums


class Sources(NamedTuple):
    """Where a span is read.

    Attributes:
        days: that have sums of their own, in UTC.
        ranges: all the rest, as moments at full hours, the oldest first; the second of each is not part of it.
    """

    days: list[dt.date]
    ranges: list[tuple[dt.datetime, dt.datetime]]


async def sources(
    connection: Connection, since: dt.datetime, until: dt.datetime, *, whole_days: bool = True
) -> Sources:
    """Return where a span is read.

    Args:
        connection: inside of a repeatable-read transaction, like all that reads there.
        since: first moment, a full hour in UTC.
        until: first moment that is not part of it, as ``since``.
        whole_days: whether the sums of days are of use.
    """
    if not whole_days:
        return Sources([], [(since, until)] if since < until else [])
    rows = await connection.fetch(
        "select day from usage_days_summed where done and day >= $1 and day < $2 order by day",
        (since + DAY - dt.timedelta(microseconds=1)).date(),
        until.date(),
    )
    days = [row["day"] for row in rows]
    return Sources(days, list(_between(since, until, days)))


def _between(
    since: dt.datetime, until: dt.datetime, days: Sequence[dt.date]
) -> "list[tuple[dt.datetime, dt.datetime]]":
    found = []
    begin = since
    for day in days:
        midnight = dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)
        if begin < midnight:
            found.append((begin, midnight))
        begin = midnight + DAY
    if begin < until:
        found.append((begin, until))
    return found


def _rows(wanted: UsageFilter, by: Sequence[str], at: str, where: Sources, values: list[Any]) -> str:
    """Return the select of all sums of a span, as far as they are wanted.

    Args:
        wanted: see there.
        by: columns that are needed beside the sums.
        at: the step of time as SQL, with braces where the moment belongs; empty where it is not needed.
        where: see there.
        values: of the statement; more are added.
    """
    columns = "".join(f"{column}, " for column in by)
    values.append(where.days)
    days = f"day = any(${len(values)}::date[])"
    conditions = wanted.conditions(values)
    # Sums over all accounts are there, too.
    detailed = "account_id" in by
    owned = detailed or wanted.account is not None
    by_key = owned and set(by) <= _KEY_COLUMNS and wanted.only(Dimension.ACCOUNT, Dimension.USER, Dimension.KEY)
    table = "usage_key_days" if by_key else "usage_days"
    accounts = "" if wanted.account is not None else f" and account_id {'<>' if detailed else '='} 0"
    of_day, of_hour = (at and f"{at.format(moment)}, " for moment in ("(day::timestamp at time zone 'UTC')", "hour"))
    return (
        f"select {of_day}{columns}{_READ_DAYS} from {table} where {days}{accounts}{conditions}"  # noqa: S608 - constants
        f" union all select {of_hour}{columns}{_READ_HOURS} from {_hours(wanted, where, values)}{conditions}"
    )


def _hours(wanted: UsageFilter, where: Sources, values: list[Any]) -> str:
    """Return where the hours of a span are read, from behind ``from`` to within the conditions."""
    if wanted.account is None:
        # Span by span, so that Postgres knows how little of the table each of them is.
        values += [moment for part in where.ranges for moment in part]
        first = len(values) - 2 * len(where.ranges) + 1
        parts = (f"hour >= ${number} and hour < ${number + 1}" for number in range(first, len(values), 2))
        return f"usage_hours where ({' or '.join(parts) or 'false'})"
    # Hour by hour: the index begins with the hour and goes on with the account.
    values += [[begin for begin, _ in where.ranges], [end for _, end in where.ranges]]
    return (
        f"unnest(${len(values) - 1}::timestamptz[], ${len(values)}::timestamptz[]) as part (first, beyond)"
        " cross join lateral generate_series(first, beyond - interval '1 hour', interval '1 hour') as one (start)"
        " join usage_hours on hour = one.start where true"
    )


async def sum_series(
    connection: Connection,
    wanted: UsageFilter,
    since: dt.datetime,
    until: dt.datetime,
    starts: Sequence[dt.datetime],
) -> list[Sums]:
    """Return the sums of a span step by step.

    Args:
        connection: as for `sources`.
        wanted: see there.
        since: as for `sources`.
        until: as for `sources`.
        starts: of the steps, in order, the first one not after ``since``. An hour belongs to the step in which it
            begins.
    """
    where = await sources(connection, since, until, whole_days=at_midnights(starts[1:]))
    values: list[Any] = [list(starts)]
    rows = await connection.fetch(
        f"select step, {_ADDED} from ("  # noqa: S608 - constants
        f" {_rows(wanted, (), 'width_bucket({}, $1::timestamptz[]) as step', where, values)}"
        ") as used group by step",
        *values,
    )
    found = [NO_SUMS] * len(starts)
    for row in rows:
        found[row["step"] - 1] = Sums.of(row)
    return found


def at_midnights(moments: Sequence[dt.datetime]) -> bool:
    """Return whether all of them are midnights of UTC, so that days that have sums of their own are whole."""
    return all(moment.astimezone(dt.UTC).time() == dt.time() for moment in moments)


async def sum_span(connection: Connection, wanted: UsageFilter, since: dt.datetime, until: dt.datetime) -> Sums:
    """Return the sums of a span; arguments as for `sum_series`."""
    values: list[Any] = []
    where = await sources(connection, since, until)
    row = await connection.fetchrow(
        f"select {_ADDED} from ({_rows(wanted, (), '', where, values)}) as used",  # noqa: S608 - constants
        *values,
    )
    return Sums.of(row)


async def break_down(
    connection: Connection,
    wanted: UsageFilter,
    since: dt.datetime,
    until: dt.datetime,
    *,
    by: Dimension,
    order: Order,
    top: int,
) -> list[Group]:
    """Return the sums of a span by a dimension: the first ``top`` values, and behind them all others as one.

    Args:
        connection: as for `sources`.
        wanted: see there.
        since: as for `sources`.
        until: as for `sources`.
        by: see there.
        order: what the first have most of.
        top: how many.
    """
    owned = by in {Dimension.KEY, Dimension.USER}
    columns = (COLUMNS[by], *(("account_id",) if owned else ()))
    values: list[Any] = [top]
    where = await sources(connection, since, until)
    used = _rows(wanted, columns, "", where, values)
    account = "account_id" if owned else "null::bigint"
    rows = await connection.fetch(
        f"with grouped as (select {COLUMNS[by]} as value, {account} as account, {_ADDED}"  # noqa: S608 - constants
        f" from ({used}) as used group by 1, 2),"
        f" placed as (select *, row_number() over (order by {_ORDERS[order]} desc, value) as place from grouped)"
        " select least(place, $1 + 1) as place,"
        " case when place <= $1 then value end as value, case when place <= $1 then account end as account,"
        f" count(*) as members, {_ADDED} from placed group by 1, 2, 3 order by 1",
        *values,
    )
    return [
        Group(None if row["place"] > top else row["value"], row["account"], row["members"], Sums.of(row))
        for row in rows
    ]
