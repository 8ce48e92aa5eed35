"""Settlement: usage events become ledger transfers, balances and usage rows, in one statement. Called by metering.

Everything about it is idempotent: the ledger's unique keys decide what is new, and only what was newly booked is
added to the balances and written into the usage row.
"""

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import asyncpg
from asyncpg.pgproto.pgproto import UUID  # as in `usage_rows`

from trunkline.bus.allowance import WALLET
from trunkline.bus.messages import UsageEvent
from trunkline.policy.discounts import month_of
from trunkline.policy.pricing import PriceBook
from trunkline.store.allowances import PROJECT_BUDGETS, PROJECT_LEASES
from trunkline.store.database import Connection
from trunkline.store.discounts import PROJECT_SPENDING, account_discounts
from trunkline.store.exact_usage import correct
from trunkline.store.ledger import PROJECT_MOVED, Book
from trunkline.store.usage_rows import AT, COLUMNS, COUNTED_COLUMNS, arrays, usage_row
from trunkline.store.usage_sums import PROJECT_HOURS, RECORDED, TOUCH_DAYS

LOCK_TIMEOUT_MS = 2000
"""How long checkpoints may wait for settlements that are under way, since others wait behind. It is tried again."""

_KEPT = ", ".join(
    name for name in COLUMNS if name not in {"started_ms", "charge_nano", "cost_nano"}
)  # columns that go into `usage` as they are
_CHARGE = list(COLUMNS).index("charge_nano")

# For a job that came to nothing its client pays nothing (`store.void_jobs`).
_UNPAID = {
    "charge_nano": "case when void.job is null then charge_nano else 0 end as charge_nano",
    "charged": "charged and void.job is null as charged",
}
_GIVEN = [_UNPAID.get(name, f"given.{name}") for name in COLUMNS]

# By job and attempt, whatever joins the planner chooses. Replicas that settle copies of the same events at the same
# time so meet in the same order, and one waits for the other instead of both. Statements that nothing reads from are
# run from the last to the first: days, hours, budgets, leases, months, balances. That is how Postgres does it, though
# it promises nothing; others who lock several of these do it in this order, and tests let them race.
_WRITE = f"""
with event as materialized (
    select {", ".join(_GIVEN)} from unnest({arrays(COLUMNS)}) as given ({", ".join(COLUMNS)})
    left join void_jobs as void using (job, account_id)
    order by job, attempt
), moved as (
    insert into transfers (occurred_at, kind, debit, credit, amount_nano, price_version, job, attempt)
    select {AT} (started_ms + duration_ms), entry.*, job, attempt
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
    select c.*, moved.amount_nano
    from unnest({arrays(COUNTED_COLUMNS, len(COLUMNS) + 1)}) as c ({", ".join(COUNTED_COLUMNS)})
    join moved using (job, attempt) where moved.kind = 'charge'
), leased as ({PROJECT_LEASES}
), budgeted as ({PROJECT_BUDGETS}
), recorded as (
    insert into usage ({_KEPT}, started_at, charge_nano, cost_nano)
    select {_KEPT}, {AT} started_ms, coalesce(charge.amount_nano, 0), event.cost_nano
    from event left join (select job, attempt, amount_nano from moved where kind = 'charge') as charge
         using (job, attempt)
    order by job, attempt
    on conflict do nothing
    returning job, attempt, {RECORDED}
), hourly as ({PROJECT_HOURS}
), touched as ({TOUCH_DAYS}
)
"""  # noqa: S608 - made of constants; every value is a parameter

_BOOKED = """
select (select count(*) from recorded) as events,
       (select count(*) from recorded where unpriced) as unpriced,
       count(*) filter (where kind = 'charge') as charges,
       coalesce(sum(amount_nano) filter (where kind = 'charge'), 0)::bigint as charge_nano,
       coalesce(sum(amount_nano) filter (where kind = 'cost'), 0)::bigint as cost_nano
from moved
"""

_SETTLE = _WRITE + _BOOKED

# It is remembered of what is newly recorded that it is no more than a checkpoint.
_SETTLE_CHECKPOINTS = f"""{_WRITE}, remembered as (
    insert into settled_checkpoints (job, attempt, started_at) select job, attempt, started_at from recorded
)
{_BOOKED}"""  # noqa: S608 - as above


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
        corrected: those of ``duplicates`` that had been settled by a checkpoint, and are right now (`exact_usage`).
    """

    events: int
    duplicates: int
    unpriced: int
    charge_nano: int
    cost_nano: int
    corrected: int = 0


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
    connection: Connection,
    events: Sequence[UsageEvent],
    book: PriceBook,
    budgets: Budgets = lambda _: (),
    *,
    checkpoints: bool = False,
) -> SettledBatch:
    """Book some attempts: all of them or, if it raises, none. Corrections may be left out then: they come with a copy.

    Args:
        connection: in any state.
        events: the attempts.
        book: prices.
        budgets: see there.
        checkpoints: this is what lost dispatchers had said of attempts under way; exact usage may still come.

    Raises:
        RefusedContentError: see there.
        asyncpg.PostgresError: anything else; the events themselves are not at fault.
    """
    if not events:
        return SettledBatch(0, 0, 0, 0, 0)
    ordered = sorted(events, key=lambda event: (event.job, event.attempt))
    with _refusing_content():
        rows = await _rows(connection, ordered, book)
        if checkpoints:
            return await _settle_checkpoints(connection, ordered, rows, budgets)
        batch, charges = await _book(connection, _SETTLE, ordered, rows, budgets)
        # What is new to the ledger in all respects corrects nothing.
        if batch.duplicates or charges < sum(row[_CHARGE] > 0 for row in rows):
            corrected = await correct(connection, ordered, rows, lambda event: _counted_by(event, budgets))
            batch = batch._replace(corrected=corrected)
    return batch


async def _settle_checkpoints(
    connection: Connection, events: Sequence[UsageEvent], rows: Sequence[tuple[Any, ...]], budgets: Budgets
) -> SettledBatch:
    """Book those attempts of which nothing is known: it may be known exactly already that a client does not pay."""
    async with connection.transaction():
        # Other settlement waits for a moment: nothing exact comes between the look and the booking.
        await connection.execute(f"set local lock_timeout = {LOCK_TIMEOUT_MS}")
        await connection.execute("lock table only usage in share row exclusive mode")
        found = await connection.fetch("select job, attempt from usage where job = any($1)", [row[0] for row in rows])
        known = {tuple(row) for row in found}
        new = [number for number, row in enumerate(rows) if row[:2] not in known]
        if not new:
            return SettledBatch(0, len(rows), 0, 0, 0)
        batch, _ = await _book(
            connection, _SETTLE_CHECKPOINTS, [events[each] for each in new], [rows[each] for each in new], budgets
        )
    return batch._replace(duplicates=len(rows) - batch.events)


async def _book(
    connection: Connection,
    statement: str,
    events: Sequence[UsageEvent],
    rows: Sequence[tuple[Any, ...]],
    budgets: Budgets,
) -> tuple[SettledBatch, int]:
    """Return what was newly booked, and how many charges."""
    counted = [list(column) for column in zip(*_counted(events, budgets), strict=True)]
    booked = await connection.fetchrow(statement, *zip(*rows, strict=True), *(counted or [[] for _ in COUNTED_COLUMNS]))
    batch = SettledBatch(
        events=booked["events"],
        duplicates=len(rows) - booked["events"],
        unpriced=booked["unpriced"],
        charge_nano=booked["charge_nano"],
        cost_nano=booked["cost_nano"],
    )
    return batch, booked["charges"]


@contextlib.contextmanager
def _refusing_content() -> Iterator[None]:
    try:
        yield
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError) as error:
        # A value that has no place in its column, found here or there. The text quotes it, the class does not.
        raise RefusedContentError(getattr(error, "sqlstate", None) or type(error).__name__) from None


async def _rows(connection: Connection, events: Sequence[UsageEvent], book: PriceBook) -> list[tuple[Any, ...]]:
    discounts = await _discounts(connection, events, book)
    try:
        return [usage_row(event, book, discounts.get(_place(event), 0) if discounts else 0) for event in events]
    except ValueError as error:
        raise RefusedContentError(type(error).__name__) from None


async def _discounts(
    connection: Connection, events: Sequence[UsageEvent], book: PriceBook
) -> dict[tuple[int, dt.date], int]:
    """Return the discounts by account and month, as what was booked before these events makes them."""
    if not book.discounts:
        return {}
    return await account_discounts(connection, book.discounts, {_place(event) for event in events if event.charged})


def _counted(events: Sequence[UsageEvent], budgets: Budgets) -> Iterator[tuple[object, ...]]:
    """Yield the values of `COUNTED_COLUMNS` for every money meter that counts an event."""
    seen: set[tuple[bytes, int]] = set()
    for event in events:
        if event.charged and (event.job, event.attempt) not in seen:
            seen.add((event.job, event.attempt))  # a copy in the same batch is booked once, and counted once
            yield from _counted_by(event, budgets)


def _counted_by(event: UsageEvent, budgets: Budgets) -> Iterator[tuple[object, ...]]:
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
