"""Usage as people ask for it: sums by day, account, key, model, channel or group, and the attempts of one request.

Called by the console. Metering calls `set_aside`. Of days past their time only sums are left (`store.usage_history`).
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType

import asyncpg
import msgspec
from asyncpg.pgproto.pgproto import UUID

from trunkline.core.ids import JobID
from trunkline.core.usage import Units, Usage, UsageSource
from trunkline.store.database import Connection
from trunkline.store.usage_rows import COMMON_KINDS

SUMMARIES_MAX = 10_000
"""Rows of one summary. A month of 30 models and 10 channels by day has 9,000; more is not read by a person."""

DIMENSIONS: Mapping[str, str] = MappingProxyType(
    {
        "day": "day",
        "account": "account_id",
        "key": "key_id",
        "model": "model",
        "channel": "channel_id",
        "group": "group_name",
    }
)
"""What usage can be summed by, and the column behind it. Nothing else ever becomes part of a statement's text."""


_KEPT = """
    select (started_at at time zone 'UTC')::date as day, account_id, key_id, model, channel_id, group_name,
           1 as attempts, charged::integer as answers,
           input + cache_read + cache_write_5m + cache_write_1h + coalesce((other_units->>'input_audio')::bigint, 0)
           + coalesce((other_units->>'input_image')::bigint, 0) as input_tokens,
           cache_read,
           output + reasoning + coalesce((other_units->>'output_audio')::bigint, 0)
           + coalesce((other_units->>'output_image')::bigint, 0) as output_tokens,
           charge_nano, cost_nano
    from usage where started_at >= $1 and started_at < $2
    and ($3::bigint is null or account_id = $3) and ($4::bigint is null or key_id = $4)
"""
_PAST = """
    select day, account_id, key_id, model, channel_id, group_name, attempts, answers,
           input + cache_read + cache_write_5m + cache_write_1h + input_audio + input_image, cache_read,
           output + reasoning + output_audio + output_image, charge_nano, cost_nano
    from usage_history where day >= $5 and day < $6
    and ($3::bigint is null or account_id = $3) and ($4::bigint is null or key_id = $4)
"""


class UsageSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row of a summary. Dimensions that were not asked for are None.

    Attributes:
        day: in UTC, by the attempt's start.
        account, key, model, channel, group: as in the usage event.
        attempts: upstream calls.
        answers: those that the client was to pay for.
        input_tokens: all input, cached or not.
        cache_read_tokens: the part of it that came from a cache.
        output_tokens: all output, reasoning included.
        charge_nano: what clients paid, in nano-USD.
        cost_nano: what the providers got, in nano-USD.
    """

    attempts: int
    answers: int
    input_tokens: int
    cache_read_tokens: int
    output_tokens: int
    charge_nano: int
    cost_nano: int
    day: date | None = None
    account: int | None = None
    key: int | None = None
    model: str | None = None
    channel: int | None = None
    group: str | None = None


class AttemptUsage(msgspec.Struct, frozen=True):
    """One attempt of a request, as it was settled. The fields are those of `bus.messages.UsageEvent`, and its money.

    Attributes:
        unpriced: the client was to pay, and the model or a kind of unit it used had no price.
        charge_nano, cost_nano: what the client paid and the provider got, in nano-USD.
        price_version, cost_version: the prices used; None where there was none.
        multiplier_ppm: of the group, at that time.
        discount_ppm: of the account, at that time.
        variant: of images: size and quality, as far as they are known.
        asked: the model that the client named, where it is not ``model``; else empty.
        continues: it went on with the answer of an earlier attempt, which is charged for both.
        joined_output: tokens of output of those that went on with this one, in its charge.
    """

    attempt: int
    account: int
    key: int
    channel: int
    credential: int
    model: str
    upstream_model: str
    group: str
    usage: Usage
    charged: bool
    unpriced: bool
    outcome: str
    status: int
    stream: bool
    started_at: datetime
    first_token_ms: int
    duration_ms: int
    charge_nano: int
    cost_nano: int
    price_version: int | None
    cost_version: int | None
    multiplier_ppm: int
    discount_ppm: int
    variant: str
    asked: str
    continues: bool
    joined_output: int


async def summarise(
    connection: Connection,
    *,
    account: int | None,
    key: int | None,
    since: datetime,
    until: datetime,
    by: tuple[str, ...],
) -> list[UsageSummary]:
    """Sum up the attempts that began in a span of time.

    A day past its time, of which only sums are left, counts as if all of it had been at its first moment.

    Args:
        connection: in any state.
        account: only of this account; None for all.
        key: only of this key; None for all.
        since: first moment, with a time zone.
        until: first moment that is not part of it, with a time zone.
        by: names of `DIMENSIONS`, each at most once; empty for one sum over all.

    Returns:
        Rows in the order of ``by``, at most `SUMMARIES_MAX`.

    Raises:
        ValueError: ``by`` names something else.
    """
    if unknown := [name for name in by if name not in DIMENSIONS]:
        raise ValueError(f"usage cannot be summed by {unknown[0]!r}, only by {', '.join(DIMENSIONS)}")
    if len(set(by)) != len(by):
        raise ValueError("usage is summed by each thing at most once")
    # Names of columns that no client has written; aliases are quoted, since "group" and "key" are words of SQL.
    dimensions = "".join(f'{DIMENSIONS[name]} as "{name}", ' for name in by)
    positions = ", ".join(str(position) for position in range(1, len(by) + 1))
    grouping = f"group by {positions} order by {positions}" if by else "having count(*) > 0"
    rows = await connection.fetch(
        f"select {dimensions}"  # noqa: S608 - made of the constants of DIMENSIONS
        " sum(attempts)::bigint as attempts, sum(answers)::bigint as answers,"
        " sum(input_tokens)::bigint as input_tokens, sum(cache_read)::bigint as cache_read_tokens,"
        " sum(output_tokens)::bigint as output_tokens,"
        " sum(charge_nano)::bigint as charge_nano, sum(cost_nano)::bigint as cost_nano"
        f" from ({_KEPT} union all {_PAST}) as used {grouping} limit {SUMMARIES_MAX}",
        since,
        until,
        account,
        key,
        _first_day(since),
        _first_day(until),
    )
    return [UsageSummary(**row) for row in rows]


def _first_day(moment: datetime) -> date:
    """Return the first day in UTC whose first moment is not before ``moment``."""
    day = moment.astimezone(UTC)
    return day.date() + timedelta(days=day.time() > time.min)


async def find_request(connection: Connection, job: JobID) -> list[AttemptUsage]:
    """Return the attempts of a request in their order; empty if nothing of it was settled (yet, or any more)."""
    rows = await connection.fetch("select * from usage where job = $1 order by attempt", UUID(job))
    return [_attempt(row) for row in rows]


def _attempt(row: asyncpg.Record) -> AttemptUsage:
    rare = msgspec.json.decode(row["other_units"], type=dict[str, int]) if row["other_units"] else {}
    units = Units(**{kind: row[kind] for kind in COMMON_KINDS}, **rare)
    return AttemptUsage(
        attempt=row["attempt"],
        account=row["account_id"],
        key=row["key_id"],
        channel=row["channel_id"],
        credential=row["credential_id"],
        model=row["model"],
        upstream_model=row["upstream_model"],
        group=row["group_name"],
        usage=Usage(units, UsageSource.COUNTED if row["counted"] else UsageSource.REPORTED),
        charged=row["charged"],
        unpriced=row["unpriced"],
        outcome=row["outcome"],
        status=row["status"],
        stream=row["stream"],
        started_at=row["started_at"],
        first_token_ms=row["first_token_ms"],
        duration_ms=row["duration_ms"],
        charge_nano=row["charge_nano"],
        cost_nano=row["cost_nano"],
        price_version=row["price_version"],
        cost_version=row["cost_version"],
        multiplier_ppm=row["multiplier_ppm"],
        discount_ppm=row["discount_ppm"],
        variant=row["variant"],
        asked=row["asked"],
        continues=row["continues"],
        joined_output=row["joined_output"],
    )


async def set_aside(connection: Connection, *, subject: str | None, payload: bytes, reason: str) -> None:
    """Keep what cannot be settled; once, however often it comes.

    Args:
        connection: in any state.
        subject: of a message that is no batch; None for one event, as a batch of its own.
        payload: the bytes.
        reason: static words or an SQLSTATE.
    """
    await connection.execute(
        "insert into usage_refused (subject, payload, reason) values ($1, $2, $3) on conflict do nothing",
        subject,
        payload,
        reason,
    )
