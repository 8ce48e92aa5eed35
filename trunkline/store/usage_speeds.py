"""How fast attempts were, as counts by steps of time on a scale of logarithms. Called by the console.

A day that is over has its counts (`store.usage_sums`) by account, channel and model. What those do not tell apart, and
what is not over, is counted from the attempts themselves: from the newest ones, as many as can be read in time.
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg

from trunkline.policy.admin_usage import Dimension, Quantiles, Speeds
from trunkline.store.database import Connection
from trunkline.store.usage_explorer import DAY, Sources, UsageFilter, sources
from trunkline.store.usage_sums import (
    ALL_CHANNELS,
    ALL_MODELS,
    BUCKETS_PER_DOUBLING,
    DURATION,
    FIRST_TOKEN,
    counted_speeds,
)

ATTEMPTS_MAX: Final = 10_000
"""How many attempts are read to count them: some 20 ms. Of more the medians differ by less than a bucket."""

Counts = Counter[tuple[int, int]]
"""Attempts by kind and bucket."""


def added(counts: Sequence[Counts]) -> Counts:
    """Return the sum of counts."""
    whole: Counts = Counter()
    for part in counts:
        whole.update(part)
    return whole


def speeds_of(counts: Mapping[tuple[int, int], int]) -> Speeds:
    """Return medians and the like of counts."""
    return Speeds(first_token=_quantiles(counts, FIRST_TOKEN), duration=_quantiles(counts, DURATION))


def _quantiles(counts: Mapping[tuple[int, int], int], kind: int) -> Quantiles | None:
    buckets = sorted((bucket, count) for (of, bucket), count in counts.items() if of == kind)
    attempts = sum(count for _, count in buckets)
    if not attempts:
        return None
    return Quantiles(attempts, _quantile_ms(buckets, attempts * 50), _quantile_ms(buckets, attempts * 95))


def _quantile_ms(buckets: list[tuple[int, int]], hundredths: int) -> int:
    """Return the middle of the bucket in which the quantile lies."""
    seen = 0
    for bucket, count in buckets:
        seen += count * 100
        if seen >= hundredths:
            return round(2 ** ((bucket + 0.5) / BUCKETS_PER_DOUBLING))
    raise AssertionError


async def count_speeds(
    connection: Connection,
    wanted: UsageFilter,
    since: dt.datetime,
    until: dt.datetime,
    starts: Sequence[dt.datetime],
    *,
    hourly: bool,
) -> list[Counts]:
    """Return the counts of a span step by step.

    Args:
        connection: inside of a repeatable-read transaction.
        wanted: see there.
        since: first moment, a full hour in UTC.
        until: first moment that is not part of it, as ``since``.
        starts: of the steps, in order, the first one not after ``since``. A day that has counts of its own, which is
            one of UTC, belongs to the step in which its noon is.
        hourly: whether steps are shorter than a day.
    """
    counted = wanted.only(Dimension.ACCOUNT, Dimension.CHANNEL, Dimension.MODEL)
    where = await sources(connection, since, until, whole_days=counted and not hourly)
    found: list[Counts] = [Counter() for _ in starts]
    for row in await _count_days(connection, wanted, where, starts):
        found[row["step"] - 1][row["kind"], row["bucket"]] += row["attempts"]
    for begin, end in await _newest(connection, wanted, where):
        values: list[Any] = [list(starts), begin, end]
        conditions = f"started_at >= $2 and started_at < $3{wanted.conditions(values)}"
        counted_in = {"step": "width_bucket(started_at, $1::timestamptz[])"}
        statement = f"{counted_speeds(counted_in, conditions)} group by step, kind, bucket"
        for row in await connection.fetch(statement, *values):
            found[row["step"] - 1][row["kind"], row["bucket"]] += row["attempts"]
    return found


async def _count_days(
    connection: Connection, wanted: UsageFilter, where: Sources, starts: Sequence[dt.datetime]
) -> list[asyncpg.Record]:
    if not where.days:
        return []
    summed = ALL_MODELS * (wanted.model is None) + ALL_CHANNELS * (wanted.channel is None)
    if wanted.account is not None and summed != ALL_MODELS + ALL_CHANNELS:
        summed = 0  # of accounts there is nothing between
    values: list[Any] = [list(starts), where.days, summed]
    account = "" if wanted.account is not None else " and account_id = 0"
    rows: list[asyncpg.Record] = await connection.fetch(
        "select width_bucket((day + time '12:00') at time zone 'UTC', $1::timestamptz[]) as step, kind, bucket,"  # noqa: S608 - constants
        " sum(attempts)::bigint as attempts from usage_speeds"
        f" where day = any($2::date[]) and summed = $3{account}{wanted.conditions(values)} group by 1, 2, 3",
        *values,
    )
    return rows


async def _newest(connection: Connection, wanted: UsageFilter, where: Sources) -> list[tuple[dt.datetime, dt.datetime]]:
    """Return the newest parts of what has no counts, of `ATTEMPTS_MAX` attempts or a little more, the newest first."""
    account = UsageFilter(account=wanted.account)
    found = []
    left = ATTEMPTS_MAX
    length = DAY
    for begin, beyond in reversed(where.ranges):
        end = beyond
        while begin < end and left > 0:
            first = max(begin, end - length)
            values: list[Any] = [first, end, left]
            # All attempts of the account have to be read, whichever of them are wanted.
            newest = await connection.fetchrow(
                "select min(hour) as hour, coalesce(sum(attempts), 0)::bigint as attempts from ("  # noqa: S608 - constants
                " select hour, sum(attempts) as attempts, sum(sum(attempts)) over (order by hour desc) as so_far"
                f" from usage_hours where hour >= $1 and hour < $2{account.conditions(values)} group by hour"
                ") as hours where so_far - attempts < $3",
                *values,
            )
            if newest["attempts"]:
                found.append((newest["hour"], end))
            left -= newest["attempts"]
            end = first
            length *= 2
    return found
