"""Single attempts, the newest first and page by page, and all that is known of one request. Called by the console.

A page is read hour by hour, and only from hours in which there is something of what is wanted: the sums tell which. Of
what is rare they tell the moments.
"""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from trunkline.core.ids import JobID, job_text
from trunkline.core.usage import UNIT_KINDS
from trunkline.policy.admin_usage import COMPLETE, UsageAttempt, UsageRefund
from trunkline.policy.usage_cursor import Position
from trunkline.store.database import Connection
from trunkline.store.usage_explorer import DAY, HOUR, UsageFilter, sources
from trunkline.store.usage_rows import COMMON_KINDS

PARTS_GROWTH: Final = 4
"""One part of the span is read at first. Each time that it was not enough, so many times as many are."""

SLICE_ATTEMPTS: Final = 20_000
"""An hour with more attempts is read in parts of about so many, so that a page of a busy site costs no more."""

SLICES_MAX: Final = 3600
"""Of an hour: seconds."""

_NAMES: Final = """
    left join accounts as a on a.id = u.account_id left join users as s on s.id = u.user_id
    left join keys as k on k.id = u.key_id left join channels as c on c.id = u.channel_id
"""
_COLUMNS: Final = "u.*, a.name as account, s.name as user_name, k.name as key, c.name as channel"
_NEWEST: Final = " order by started_at desc, job desc, attempt desc"


class Page(NamedTuple):
    """Attempts, the newest first, and where the next page begins; None if this is the last one."""

    attempts: list[UsageAttempt]
    next: Position | None


async def read_page(
    connection: Connection,
    wanted: UsageFilter,
    since: dt.datetime,
    until: dt.datetime,
    *,
    job: JobID | None,
    after: Position | None,
    limit: int,
) -> Page:
    """Return a page of attempts.

    Args:
        connection: inside of a repeatable-read transaction.
        wanted: see there.
        since: first moment, in UTC.
        until: first moment that is not part of it, in UTC.
        job: only of this request, whenever it was; None for any.
        after: where the page begins; None for the newest ones.
        limit: how many at most.
    """
    if job is not None:
        return _page(await _read_job(connection, wanted, job, after, limit + 1), limit)
    if after is not None:
        until = min(until, after.started_at + dt.timedelta(microseconds=1))
    rows: list[asyncpg.Record] = []
    parts: list[tuple[dt.datetime, dt.datetime]] = []
    parts_max = 1
    async for begin, end in _parts(connection, wanted, since, until, limit + 1):
        parts.append((max(begin, since), min(end, until)))
        if len(parts) == parts_max:
            rows += await _read(connection, wanted, parts, after, limit + 1 - len(rows))
            if len(rows) > limit:
                return _page(rows, limit)
            parts.clear()
            parts_max *= PARTS_GROWTH
    rows += await _read(connection, wanted, parts, after, limit + 1 - len(rows))
    return _page(rows, limit)


async def _read(
    connection: Connection,
    wanted: UsageFilter,
    parts: list[tuple[dt.datetime, dt.datetime]],
    after: Position | None,
    limit: int,
) -> list[asyncpg.Record]:
    values: list[Any] = [limit, [begin for begin, _ in parts], [end for _, end in parts]]
    conditions = "started_at >= part.first and started_at < part.beyond" + _behind(after, values)
    conditions += wanted.conditions(values)
    rows: list[asyncpg.Record] = await connection.fetch(
        f"with u as (select found.* from unnest($2::timestamptz[], $3::timestamptz[]) as part (first, beyond)"  # noqa: S608 - constants
        f" cross join lateral (select * from usage where {conditions}{_NEWEST} limit $1) as found {_NEWEST} limit $1)"
        f" select {_COLUMNS} from u {_NAMES}{_NEWEST}",
        *values,
    )
    return rows


async def _read_job(
    connection: Connection, wanted: UsageFilter, job: JobID, after: Position | None, limit: int
) -> list[asyncpg.Record]:
    values: list[Any] = [limit, UUID(bytes=job)]
    conditions = f"job = $2{_behind(after, values)}{wanted.conditions(values)}"
    rows: list[asyncpg.Record] = await connection.fetch(
        f"with u as (select * from usage where {conditions}{_NEWEST} limit $1)"  # noqa: S608 - constants
        f" select {_COLUMNS} from u {_NAMES}{_NEWEST}",
        *values,
    )
    return rows


def _behind(after: Position | None, values: list[Any]) -> str:
    if after is None:
        return ""
    first = len(values) + 1
    values += after
    return f" and (started_at, job, attempt) < (${first}, ${first + 1}, ${first + 2})"


def _page(rows: list[asyncpg.Record], limit: int) -> Page:
    shown = rows[:limit]
    if len(rows) <= limit:
        return Page([_attempt(row) for row in shown], None)
    last = shown[-1]
    return Page([_attempt(row) for row in shown], Position(last["started_at"], last["job"], last["attempt"]))


async def _parts(
    connection: Connection, wanted: UsageFilter, since: dt.datetime, until: dt.datetime, parts_max: int
) -> AsyncIterator[tuple[dt.datetime, dt.datetime]]:
    """Yield the parts of a span in which there are attempts that are wanted, the newest first.

    Each place that is told of has one at least, but for the first and the last; so two more than are wanted suffice.
    """
    async for place in _places(connection, wanted, since, until, parts_max + 2):
        slices = min(-(-place.attempts // SLICE_ATTEMPTS), SLICES_MAX)
        length = place.end - place.begin
        for number in range(slices, 0, -1):
            begin, end = place.begin + length * (number - 1) / slices, place.begin + length * number / slices
            if begin < until and end > since:
                yield begin, end


class _Place(NamedTuple):
    """An hour or a moment in which there is something that is wanted.

    Attributes:
        begin, end: the second is not part of it.
        attempts: about how many have to be read.
    """

    begin: dt.datetime
    end: dt.datetime
    attempts: int


async def _places(
    connection: Connection, wanted: UsageFilter, since: dt.datetime, until: dt.datetime, most: int
) -> AsyncIterator[_Place]:
    """Yield places, the newest first."""
    begin, end = _hour_of(since), _hour_of(until + HOUR - dt.timedelta(microseconds=1))
    where = await sources(connection, begin, end)
    told = 0
    ranges = list(where.ranges)
    for day in await _days_with(connection, wanted, where.days, most):
        while ranges and ranges[-1][0] >= day.midnight:
            async for found in _hours_of(connection, wanted, *ranges.pop(), most):
                yield found
                told += 1
        for place in day.places():
            yield place
            told += 1
        if told >= most:
            return
    for first, beyond in reversed(ranges):
        async for found in _hours_of(connection, wanted, first, beyond, most):
            yield found


class _Day(NamedTuple):
    """Where there is something on a day.

    Attributes:
        midnight: its first moment.
        hours: a bit for each hour, as in `usage_days`.
        attempts: in all these hours.
        moments: more attempts, each by itself, in no order.
    """

    midnight: dt.datetime
    hours: int
    attempts: int
    moments: list[dt.datetime]

    def places(self) -> list[_Place]:
        """Return its places, the newest first."""
        per_hour = -(-self.attempts // max(self.hours.bit_count(), 1))
        begins = (self.midnight + HOUR * hour for hour in range(24) if self.hours >> hour & 1)
        alone = (moment for moment in set(self.moments) if not self.hours >> moment.astimezone(dt.UTC).hour & 1)
        found = [_Place(begin, begin + HOUR, per_hour) for begin in begins]
        found += (_Place(moment, moment + dt.timedelta(microseconds=1), 1) for moment in alone)
        return sorted(found, reverse=True)


async def _days_with(connection: Connection, wanted: UsageFilter, days: list[dt.date], most: int) -> list[_Day]:
    """Return those of some days that have what is wanted, the newest first."""
    values: list[Any] = [days, most]
    account = "" if wanted.account is not None else " and account_id = 0"
    rows = await connection.fetch(
        "select day, coalesce(bit_or(hours) filter (where moments is null), 0) as hours,"  # noqa: S608 - constants
        " coalesce(sum(attempts) filter (where moments is null), 0)::bigint as attempts,"
        " coalesce(array_agg(moment) filter (where moments is not null), '{}') as moments"
        " from usage_days left join lateral unnest(moments) as moment on true"
        f" where day = any($1::date[]){account}{wanted.conditions(values)} group by day order by day desc limit $2",
        *values,
    )
    return [_Day(_midnight(row["day"]), row["hours"], row["attempts"], row["moments"]) for row in rows]


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)


async def _hours_of(
    connection: Connection, wanted: UsageFilter, begin: dt.datetime, end: dt.datetime, most: int
) -> AsyncIterator[_Place]:
    """Yield hours of a part of the span that has no sums by day, the newest first: a day at a time."""
    while begin < end:
        first = max(begin, end - DAY)
        values: list[Any] = [first, end, most]
        for row in await connection.fetch(
            "select hour, sum(attempts)::bigint as attempts from usage_hours"  # noqa: S608 - constants
            f" where hour >= $1 and hour < $2{wanted.conditions(values)} group by hour order by hour desc limit $3",
            *values,
        ):
            yield _Place(row["hour"], row["hour"] + HOUR, row["attempts"])
        end = first


def _hour_of(moment: dt.datetime) -> dt.datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


async def request_attempts(connection: Connection, wanted: UsageFilter, job: JobID) -> list[UsageAttempt]:
    """Return the attempts of a request in their order, as far as they are wanted; all that operators see is in it."""
    values: list[Any] = [UUID(bytes=job)]
    rows = await connection.fetch(
        f"with u as (select * from usage where job = $1{wanted.conditions(values)})"  # noqa: S608 - constants
        f" select {_COLUMNS} from u {_NAMES} order by attempt",
        *values,
    )
    return [_attempt(row) for row in rows]


async def request_refunds(connection: Connection, job: JobID) -> list[UsageRefund]:
    """Return what was given back of a request's charge."""
    rows = await connection.fetch(
        "select occurred_at, reference, amount_nano from transfers where corrects_job = $1 order by occurred_at",
        UUID(bytes=job),
    )
    return [UsageRefund(**row) for row in rows]


def _attempt(row: asyncpg.Record) -> UsageAttempt:
    rare = msgspec.json.decode(row["other_units"], type=dict[str, int]) if row["other_units"] else {}
    counts = {**{kind: row[kind] for kind in COMMON_KINDS}, **rare}
    return UsageAttempt(
        started_at=row["started_at"],
        job=job_text(JobID(row["job"].bytes)),
        attempt=row["attempt"],
        user=_named(row["user_name"], row["user_id"]) if row["user_id"] else None,
        key=_named(row["key"], row["key_id"]),
        model=row["model"],
        asked=row["asked"] or row["model"],
        group=row["group_name"],
        outcome=row["outcome"] or COMPLETE,
        status=row["status"],
        stream=row["stream"],
        charged=row["charged"],
        counted=row["counted"],
        unpriced=row["unpriced"],
        first_token_ms=row["first_token_ms"],
        duration_ms=row["duration_ms"],
        units={kind: counts[kind] for kind in UNIT_KINDS if counts.get(kind)},
        charge_nano=row["charge_nano"],
        price_version=row["price_version"],
        multiplier_ppm=row["multiplier_ppm"],
        discount_ppm=row["discount_ppm"],
        account=_named(row["account"], row["account_id"]),
        channel=_named(row["channel"], row["channel_id"]),
        credential=row["credential_id"],
        upstream_model=row["upstream_model"],
        cost_nano=row["cost_nano"],
        cost_version=row["cost_version"],
    )


def _named(name: str | None, number: int) -> str:
    """Return a name, or the number of what is deleted."""
    return f"#{number}" if name is None else name
