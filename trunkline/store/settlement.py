"""Settlement: usage events become ledger transfers, balances and usage rows, in one statement. Called by metering.

Everything about it is idempotent: the ledger's unique keys decide what is new, and only what was newly booked is
added to the balances and written into the usage row.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import asyncpg
import msgspec
from asyncpg.pgproto.pgproto import UUID  # the type asyncpg decodes to; a third of the cost of the standard one

from trunkline.bus.messages import UsageEvent
from trunkline.core.usage import UNIT_KINDS, Units, UsageSource
from trunkline.policy.pricing import PriceBook, Quote
from trunkline.store.database import Connection
from trunkline.store.ledger import PROJECT_MOVED, Book

COMMON_KINDS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning")
"""Kinds of units with a column of their own."""

_RARE_KINDS = tuple(kind for kind in UNIT_KINDS if kind not in COMMON_KINDS)

_COLUMNS = {
    "job": "uuid",
    "attempt": "integer",
    "started_ms": "bigint",
    "duration_ms": "integer",
    "first_token_ms": "integer",
    "account_id": "bigint",
    "key_id": "bigint",
    "channel_id": "bigint",
    "credential_id": "bigint",
    "model": "text",
    "upstream_model": "text",
    "group_name": "text",
    "outcome": "text",
    "status": "integer",
    "stream": "boolean",
    "charged": "boolean",
    "unpriced": "boolean",
    "counted": "boolean",
    **dict.fromkeys(COMMON_KINDS, "bigint"),
    "other_units": "jsonb",
    "charge_nano": "bigint",
    "cost_nano": "bigint",
    "price_version": "bigint",
    "cost_version": "bigint",
    "multiplier_ppm": "bigint",
}
"""One array parameter each, in the order of `_row`."""

_ARRAYS = ", ".join(f"${number}::{type_}[]" for number, type_ in enumerate(_COLUMNS.values(), 1))
_AT = "'epoch'::timestamptz + interval '1 millisecond' *"
_KEPT = ", ".join(
    name for name in _COLUMNS if name not in {"started_ms", "charge_nano", "cost_nano"}
)  # columns that go into `usage` as they are

# The events come sorted by job and attempt. Replicas that settle copies of the same events at the same time so
# meet in the same order, and one waits for the other instead of both.
_SETTLE = f"""
with event as materialized (
    select * from unnest({_ARRAYS}) as event ({", ".join(_COLUMNS)})
), moved as (
    insert into transfers (occurred_at, kind, debit, credit, amount_nano, price_version, job, attempt)
    select {_AT} (started_ms + duration_ms), entry.*, job, attempt
    from event cross join lateral (
        values ('charge'::transfer_kind, account_id * 8 + {Book.WALLET:d}, channel_id * 8 + {Book.REVENUE:d},
                charge_nano, price_version),
               ('cost', channel_id * 8 + {Book.COST_OF_SALES:d}, channel_id * 8 + {Book.PAYABLE:d},
                cost_nano, cost_version)
    ) as entry (kind, debit, credit, amount_nano, price_version)
    where entry.amount_nano > 0
    on conflict do nothing
    returning kind, debit, credit, amount_nano, job, attempt
), projected as ({PROJECT_MOVED}
), recorded as (
    insert into usage ({_KEPT}, started_at, charge_nano, cost_nano)
    select {_KEPT}, {_AT} started_ms, coalesce(charge.amount_nano, 0), event.cost_nano
    from event left join (select job, attempt, amount_nano from moved where kind = 'charge') as charge
         using (job, attempt)
    on conflict do nothing
    returning unpriced
)
select (select count(*) from recorded) as events,
       (select count(*) from recorded where unpriced) as unpriced,
       coalesce(sum(amount_nano) filter (where kind = 'charge'), 0)::bigint as charge_nano,
       coalesce(sum(amount_nano) filter (where kind = 'cost'), 0)::bigint as cost_nano
from moved
"""  # noqa: S608 - made of constants; every value is a parameter


class RefusedContentError(Exception):
    """The database refuses a batch because of what is in it. Trying again is of no use; settling less may be.

    Attributes:
        reason: static words or an SQLSTATE; never a value.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SettledBatch(NamedTuple):
    """What a call of `settle` newly booked.

    Attributes:
        events: attempts seen for the first time.
        duplicates: attempts that were there already.
        unpriced: those of ``events`` whose model, or a kind of unit they used, has no price.
        charge_nano, cost_nano: sums of the new transfers.
    """

    events: int
    duplicates: int
    unpriced: int
    charge_nano: int
    cost_nano: int


async def settle(connection: Connection, events: Sequence[UsageEvent], book: PriceBook) -> SettledBatch:
    """Book some attempts: all of them or, if it raises, none.

    Raises:
        RefusedContentError: see there.
        asyncpg.PostgresError: anything else; the events themselves are not at fault.
    """
    if not events:
        return SettledBatch(0, 0, 0, 0, 0)
    rows = [_row(event, book) for event in sorted(events, key=lambda event: (event.job, event.attempt))]
    try:
        booked = await connection.fetchrow(_SETTLE, *zip(*rows, strict=True))
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError) as error:
        # A value that has no place in its column, found here or there. The text quotes it, the class does not.
        raise RefusedContentError(getattr(error, "sqlstate", None) or type(error).__name__) from None
    return SettledBatch(
        events=booked["events"],
        duplicates=len(rows) - booked["events"],
        unpriced=booked["unpriced"],
        charge_nano=booked["charge_nano"],
        cost_nano=booked["cost_nano"],
    )


def _row(event: UsageEvent, book: PriceBook) -> tuple[Any, ...]:
    """Return the values of `_COLUMNS`.

    Raises:
        RefusedContentError: the job is no id, or the units cannot be.
    """
    try:
        job = UUID(event.job)
        quote = _quote(event, book)
    except ValueError as error:
        raise RefusedContentError(type(error).__name__) from None
    units = event.units
    return (
        job,
        event.attempt,
        event.started_ms,
        event.duration_ms,
        event.first_token_ms,
        event.account,
        event.key,
        event.channel,
        event.credential,
        event.model,
        event.upstream_model,
        event.group,
        event.outcome,
        event.status,
        event.stream,
        event.charged,
        quote.unpriced,
        event.source is UsageSource.COUNTED,
        units.input,
        units.cache_read,
        units.cache_write_5m,
        units.cache_write_1h,
        units.output,
        units.reasoning,
        _rare_units(units),
        quote.charge_nano,
        quote.cost_nano,
        quote.price_version,
        quote.cost_version,
        quote.multiplier_ppm,
    )


def _quote(event: UsageEvent, book: PriceBook) -> Quote:
    return book.quote(
        event.units,
        charged=event.charged,
        model=event.model,
        group=event.group,
        channel=event.channel,
        at_ms=event.started_ms,
    )


def _rare_units(units: Units) -> str | None:
    counts = {kind: count for kind in _RARE_KINDS if (count := getattr(units, kind))}
    return msgspec.json.encode(counts).decode() if counts else None
