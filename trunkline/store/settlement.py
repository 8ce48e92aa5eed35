"""Settlement: usage events become ledger transfers, balances and usage rows, in one statement. Called by metering.

Everything about it is idempotent: the ledger's unique keys decide what is new, and only what was newly booked is
added to the balances and written into the usage row.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import asyncpg
import msgspec
from asyncpg.pgproto.pgproto import UUID  # the type asyncpg decodes to; a third of the cost of the standard one

from trunkline.bus.allowance import WALLET
from trunkline.bus.messages import UsageEvent
from trunkline.core.usage import UNIT_KINDS, Units, UsageSource
from trunkline.policy.discounts import month_of
from trunkline.policy.pricing import PriceBook, Quote, UnitsError
from trunkline.store.allowances import PROJECT_BUDGETS, PROJECT_LEASES
from trunkline.store.database import Connection
from trunkline.store.discounts import PROJECT_SPENDING, account_discounts
from trunkline.store.ledger import PROJECT_MOVED, Book
from trunkline.store.usage_sums import PROJECT_HOURS, RECORDED, TOUCH_DAYS

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
    "discount_ppm": "bigint",
    "variant": "text",
    "user_id": "bigint",
    "asked": "text",
    "continues": "boolean",
    "joined_output": "bigint",
}
"""One array parameter each, in the order of `_row`."""

_ARRAYS = ", ".join(f"${number}::{type_}[]" for number, type_ in enumerate(_COLUMNS.values(), 1))

_COUNTED_COLUMNS = {
    "job": "uuid",
    "attempt": "integer",
    "account_id": "bigint",
    "lease": "bigint",
    "meter": "text",
    "period_start": "date",
}
"""One array parameter each, behind those of `_COLUMNS`: the money meters that count an event (ADR 6)."""

_COUNTED_ARRAYS = ", ".join(
    f"${number}::{type_}[]" for number, type_ in enumerate(_COUNTED_COLUMNS.values(), len(_COLUMNS) + 1)
)
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
    returning occurred_at, kind, debit, credit, amount_nano, job, attempt
), projected as ({PROJECT_MOVED}
), spent as ({PROJECT_SPENDING}
), counted as materialized (
    select c.*, moved.amount_nano from unnest({_COUNTED_ARRAYS}) as c ({", ".join(_COUNTED_COLUMNS)})
    join moved using (job, attempt) where moved.kind = 'charge'
), leased as ({PROJECT_LEASES}
), budgeted as ({PROJECT_BUDGETS}
), recorded as (
    insert into usage ({_KEPT}, started_at, charge_nano, cost_nano)
    select {_KEPT}, {_AT} started_ms, coalesce(charge.amount_nano, 0), event.cost_nano
    from event left join (select job, attempt, amount_nano from moved where kind = 'charge') as charge
         using (job, attempt)
    on conflict do nothing
    returning {RECORDED}
), hourly as ({PROJECT_HOURS}
), touched as ({TOUCH_DAYS}
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


class BudgetPeriod(NamedTuple):
    """A budget that counts an event.

    Attributes:
        meter: its id.
        start: first day of the period that the event is in.
    """

    meter: str
    start: dt.date


Budgets = Callable[[UsageEvent], Sequence[BudgetPeriod]]
"""Says which budgets count an event."""


async def settle(
    connection: Connection, events: Sequence[UsageEvent], book: PriceBook, budgets: Budgets = lambda _: ()
) -> SettledBatch:
    """Book some attempts: all of them or, if it raises, none.

    Args:
        connection: in any state.
        events: the attempts.
        book: prices.
        budgets: see there.

    Raises:
        RefusedContentError: see there.
        asyncpg.PostgresError: anything else; the events themselves are not at fault.
    """
    if not events:
        return SettledBatch(0, 0, 0, 0, 0)
    try:
        discounts = await _discounts(connection, events, book)
        rows = [
            _row(event, book, discounts.get(_place(event), 0) if discounts else 0)
            for event in sorted(events, key=lambda event: (event.job, event.attempt))
        ]
        counted = [list(column) for column in zip(*_counted(events, budgets), strict=True)]
        booked = await connection.fetchrow(
            _SETTLE, *zip(*rows, strict=True), *(counted or [[] for _ in _COUNTED_COLUMNS])
        )
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


async def _discounts(
    connection: Connection, events: Sequence[UsageEvent], book: PriceBook
) -> dict[tuple[int, dt.date], int]:
    """Return the discounts by account and month, as what was booked before these events makes them."""
    if not book.discounts:
        return {}
    return await account_discounts(connection, book.discounts, {_place(event) for event in events if event.charged})


def _counted(events: Sequence[UsageEvent], budgets: Budgets) -> Iterator[tuple[object, ...]]:
    """Yield the values of `_COUNTED_COLUMNS` for every money meter that counts an event."""
    seen: set[tuple[bytes, int]] = set()
    for event in events:
        if event.charged and (event.job, event.attempt) not in seen:
            seen.add((event.job, event.attempt))  # a copy in the same batch is booked once, and counted once
            who = (UUID(event.job), event.attempt, event.account, event.lease)
            if event.lease:
                yield (*who, WALLET, None)
            for meter, start in budgets(event):
                yield (*who, meter, start)


def _place(event: UsageEvent) -> tuple[int, dt.date]:
    try:
        return event.account, month_of(event.started_ms + event.duration_ms)
    except (ValueError, OverflowError, OSError):
        # A moment that no calendar has. The database will refuse it; until then it needs some month.
        return event.account, dt.date.min


def _row(event: UsageEvent, book: PriceBook, discount_ppm: int) -> tuple[Any, ...]:
    """Return the values of `_COLUMNS`.

    Raises:
        RefusedContentError: the job is no id, or the units cannot be.
    """
    try:
        job = UUID(event.job)
        if event.joined_output < 0:
            raise UnitsError("a negative output")
        quote = _quote(event, book, discount_ppm)
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
        quote.discount_ppm,
        event.variant,
        event.user,
        event.asked,
        event.continues,
        event.joined_output,
    )


def _quote(event: UsageEvent, book: PriceBook, discount_ppm: int) -> Quote:
    return book.quote(
        event.units,
        billed=event.billed,
        charged=event.charged,
        model=event.model,
        group=event.group,
        channel=event.channel,
        at_ms=event.started_ms,
        variant=event.variant,
        discount_ppm=discount_ppm,
    )


def _rare_units(units: Units) -> str | None:
    counts = {kind: count for kind in _RARE_KINDS if (count := getattr(units, kind))}
    return msgspec.json.encode(counts).decode() if counts else None
