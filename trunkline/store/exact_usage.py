"""Exact usage of attempts that were settled by a checkpoint: the difference is booked, once. Called by `settlement`.

A dispatcher that was taken for dead may have lived, or have left a spool behind. What it says later goes before the
checkpoint: transfers of their own kinds take the difference to the charge and the cost in either direction, and all
that is projected from these follows. `settled_checkpoints` says what may still be put right; its rows are locked
first, so that of two replicas the second one finds nothing left to do.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg
import msgspec
from asyncpg.pgproto.pgproto import UUID  # as in `usage_rows`

from trunkline.bus.messages import UsageEvent
from trunkline.policy.exact_charges import due_charges
from trunkline.store.allowances import PROJECT_BUDGETS, PROJECT_LEASES
from trunkline.store.database import Connection
from trunkline.store.ledger import PROJECT_MOVED, TAKEN_NANO, Book
from trunkline.store.usage_rows import AT, COLUMNS, COUNTED_COLUMNS, arrays
from trunkline.store.usage_sums import FORGET_HOURS, PROJECT_HOURS, RECORDED, SUBTRACT_HOURS, TOUCH_DAYS

Key = tuple[UUID, int]
"""Job and attempt."""

Counted = Callable[[UsageEvent], Iterable[tuple[Any, ...]]]
"""Returns the values of `COUNTED_COLUMNS` for the money meters that count an event."""

# Jobs with a checkpoint that stands for an attempt, or stood for one and has been put right.
_CONCERNED = """
select job from settled_checkpoints where job = any($1::uuid[])
union select job from transfers where job = any($1::uuid[]) and kind = 'charge_correction'
"""

_GUESSES = "select job, attempt from settled_checkpoints where job = any($1::uuid[]) order by job, attempt for update"

_USED = """
select job, attempt, started_at, account_id, key_id, user_id, channel_id, model, group_name, charge_nano
from usage where job = any($1::uuid[]) order by job, attempt for update
"""

_PARTS = " union all ".join(
    f"select job, attempt, kind, occurred_at, debit, credit, amount_nano from transfers"  # noqa: S608 - four words
    f" where job = any($1::uuid[]) and kind = '{kind}'"
    for kind in ("charge", "cost", "charge_correction", "cost_correction")
)

_MOVED_COLUMNS = {
    "occurred_at": "timestamptz",
    "kind": "transfer_kind",
    "debit": "bigint",
    "credit": "bigint",
    "amount_nano": "bigint",
    "price_version": "bigint",
    "job": "uuid",
    "attempt": "integer",
}

_CORRECT = f"""
with moved as (
    insert into transfers ({", ".join(_MOVED_COLUMNS)}) select * from unnest({arrays(_MOVED_COLUMNS)})
    on conflict do nothing
    returning {", ".join(_MOVED_COLUMNS)}
), projected as ({PROJECT_MOVED}
), taken as (
    select occurred_at, job, attempt, {TAKEN_NANO} as amount_nano,
           case when debit & 7 = {Book.WALLET:d} then debit else credit end >> 3 as account_id
    from moved where kind = 'charge_correction'
), spent as (
    insert into monthly_spending as m (account_id, month, spent_nano)
    select account_id, date_trunc('month', occurred_at at time zone 'UTC')::date, sum(amount_nano)::bigint
    from taken group by 1, 2 order by 1, 2
    on conflict (account_id, month) do update set spent_nano = m.spent_nano + excluded.spent_nano
), counted as materialized (
    select c.*, taken.amount_nano
    from unnest({arrays(COUNTED_COLUMNS, len(_MOVED_COLUMNS) + 1)}) as c ({", ".join(COUNTED_COLUMNS)})
    join taken using (job, attempt)
), leased as ({PROJECT_LEASES}
), budgeted as ({PROJECT_BUDGETS}
)
select count(*) from moved
"""  # noqa: S608 - made of constants; every value is a parameter

# Of these attempts ($1 and $2).
_RECORDED = f"""
recorded as (
    select {RECORDED} from usage
    where job = any($1::uuid[]) and (job, attempt) in (select * from unnest($1::uuid[], $2::integer[]))
)
"""  # noqa: S608 - made of constants

_REWRITTEN = [name for name in COLUMNS if name not in {"job", "attempt", "started_ms"}]
_REWRITE = f"""
update usage as u set {", ".join(f"{name} = e.{name}" for name in _REWRITTEN)}
from unnest({arrays(COLUMNS)}) as e ({", ".join(COLUMNS)})
where u.job = any($1::uuid[]) and u.job = e.job and u.attempt = e.attempt and u.started_at = {AT} e.started_ms
"""  # noqa: S608 - as above

_CHARGE = """
update usage as u set charge_nano = c.nano
from unnest($1::uuid[], $2::integer[], $3::bigint[]) as c (job, attempt, nano)
where u.job = any($1::uuid[]) and u.job = c.job and u.attempt = c.attempt
"""


class _Sums(NamedTuple):
    """What is booked of an attempt, in nano-USD; ``first`` has the transfers that are corrected, by their kind."""

    nano: dict[tuple[UUID, int, str], int]
    first: dict[tuple[UUID, int, str], asyncpg.Record]


async def correct(
    connection: Connection, events: Sequence[UsageEvent], rows: Sequence[tuple[Any, ...]], counted: Counted
) -> int:
    """Put right what checkpoints were settled for; events of which no checkpoint was settled are passed over.

    Args:
        connection: in any state.
        events: exact usage that has been settled, as far as it was new.
        rows: the same, as values of `COLUMNS`.
        counted: see there.

    Returns:
        How many attempts are exact now and were not before.
    """
    jobs = await connection.fetch(_CONCERNED, list({row[0] for row in rows}))
    if not jobs:
        return 0
    concerned = {row["job"] for row in jobs}
    exact: dict[Key, tuple[UsageEvent, dict[str, Any]]] = {}
    for event, row in zip(events, rows, strict=True):
        if row[0] in concerned:
            exact.setdefault((row[0], row[1]), (event, dict(zip(COLUMNS, row, strict=True))))
    async with connection.transaction():
        # As whoever refunds or rebuilds locks them, who waits for this, and this for them.
        await connection.execute(
            "lock table balances, monthly_spending, lease_settlements, budget_spending in row exclusive mode"
        )
        return await _Correction(connection, exact, counted).make(sorted(concerned))


async def forget_checkpoints(connection: Connection, before: dt.datetime) -> None:
    """Forget that attempts of days whose usage is gone were settled by checkpoints: nothing puts them right any more.

    Args:
        connection: in any state.
        before: the first moment whose day is kept, with a time zone.
    """
    await connection.execute("delete from settled_checkpoints where started_at < $1", before)


class _Correction:
    """One call of `correct`, within its transaction."""

    def __init__(
        self, connection: Connection, exact: Mapping[Key, tuple[UsageEvent, dict[str, Any]]], counted: Counted
    ) -> None:
        self._connection = connection
        self._exact = exact
        self._counted = counted
        self._used: dict[Key, asyncpg.Record] = {}
        self._guesses: set[Key] = set()
        self._sums = _Sums({}, {})
        self._void: set[tuple[UUID, int]] = set()

    async def make(self, jobs: list[UUID]) -> int:
        """Return how many attempts were put right by their own exact usage."""
        guesses = [tuple(row) for row in await self._connection.fetch(_GUESSES, jobs)]
        self._used = {(row["job"], row["attempt"]): row for row in await self._connection.fetch(_USED, jobs)}
        self._guesses = {key for key in guesses if key in self._used}  # of the others only sums are left
        self._sums = await self._read_sums(jobs)
        refunded = await self._connection.fetch("select corrects_job from transfers where corrects_job = any($1)", jobs)
        self._void = {
            (row["job"], row["account_id"])
            for row in await self._connection.fetch("select job, account_id from void_jobs where job = any($1)", jobs)
        }
        left_alone = {row["corrects_job"] for row in refunded} | {job for job, _ in self._void}
        due: dict[Key, int] = {}
        for job in jobs:
            if job not in left_alone:  # a person has decided what its client pays
                due |= self._due(job)
        right = [key for key in self._exact if key in self._guesses and self._same(key)]
        # In the order of `settlement`.
        await self._rewrite(due, right)
        await self._book(due, right)
        return len(right)

    async def _read_sums(self, jobs: list[UUID]) -> _Sums:
        sums = _Sums({}, {})
        for row in await self._connection.fetch(_PARTS, jobs):
            kind = row["kind"].removesuffix("_correction")
            key = (row["job"], row["attempt"], kind)
            payer = Book.WALLET if kind == "charge" else Book.COST_OF_SALES
            nano = row["amount_nano"] if row["debit"] & 7 == payer else -row["amount_nano"]
            sums.nano[key] = sums.nano.get(key, 0) + nano
            if row["kind"] == kind:
                sums.first[key] = row
        return sums

    def _same(self, key: Key) -> bool:
        """Whether exact usage is of the same account and channel as what it is to put right."""
        row, used = self._exact[key][1], self._used[key]
        return bool((row["account_id"], row["channel_id"]) == (used["account_id"], used["channel_id"]))

    def _due(self, job: UUID) -> dict[Key, int]:
        booked = {key[1]: nano for key, nano in self._sums.nano.items() if key[0] == job and key[2] == "charge"}
        exact = {
            key[1]: row["charge_nano"]
            for key, (_, row) in self._exact.items()
            if key[0] == job and key in self._used and self._same(key)
        }
        guessed = [attempt for other, attempt in self._guesses if other == job]
        return {(job, attempt): nano for attempt, nano in due_charges(booked, guessed, exact).items()}

    async def _book(self, due: Mapping[Key, int], right: Sequence[Key]) -> None:
        wanted = [(key, "charge", nano) for key, nano in due.items()]
        wanted += [(key, "cost", self._exact[key][1]["cost_nano"]) for key in right]
        if moved := [transfer for one in wanted if (transfer := self._transfer(*one)) is not None]:
            counted = [line for key in due for line in self._counted(self._event(key))]
            await self._connection.execute(
                _CORRECT, *_columns(moved, len(_MOVED_COLUMNS)), *_columns(counted, len(COUNTED_COLUMNS))
            )

    def _transfer(self, key: Key, kind: str, nano: int) -> tuple[Any, ...] | None:
        """Return the values of `_MOVED_COLUMNS` that make an attempt be booked with ``nano``; None if it is."""
        more_nano = nano - self._sums.nano.get((*key, kind), 0)
        if more_nano == 0:
            return None
        first, used = self._sums.first.get((*key, kind)), self._used[key]
        row = self._exact[key][1] if key in self._exact else None
        if first is not None:
            occurred_at, payer, payee = first["occurred_at"], first["debit"], first["credit"]
        else:  # by the end of the attempt, as settlement dates what it books
            occurred_at = used["started_at"] + dt.timedelta(milliseconds=0 if row is None else row["duration_ms"])
            owner, books = _BOOKS[kind]
            payer, payee = used[owner] * 8 + books[0], used["channel_id"] * 8 + books[1]
        debit, credit = (payer, payee) if more_nano > 0 else (payee, payer)
        version = None if row is None else row["price_version" if kind == "charge" else "cost_version"]
        return (occurred_at, f"{kind}_correction", debit, credit, abs(more_nano), version, *key)

    def _event(self, key: Key) -> UsageEvent:
        """Return an event by which it is told which meters have counted an attempt."""
        if key in self._exact:
            return msgspec.structs.replace(self._exact[key][0], charged=True)
        other = next(event for (job, _), (event, _) in self._exact.items() if job == key[0])
        used = self._used[key]
        return msgspec.structs.replace(
            other,
            attempt=key[1],
            key=used["key_id"],
            user=used["user_id"],
            model=used["model"],
            group=used["group_name"],
            started_ms=round(used["started_at"].timestamp() * 1000),
        )

    async def _rewrite(self, due: Mapping[Key, int], right: Sequence[Key]) -> None:
        """Make usage, and what it adds up to, say what is due."""
        keys = sorted({*right, *(key for key, nano in due.items() if nano != self._used[key]["charge_nano"])})
        if not keys:
            return
        where = _columns(keys, 2)
        execute = self._connection.execute
        await execute(f"with {_RECORDED} {TOUCH_DAYS}", *where)
        await execute(f"with {_RECORDED} {SUBTRACT_HOURS}", *where)
        rows = [self._row(key) for key in right]
        await execute(_REWRITE, *_columns([tuple(row.values()) for row in rows], len(COLUMNS)))
        charges = [(*key, due[key]) for key in keys if key in due]
        await execute(_CHARGE, *_columns(charges, 3))
        await execute(f"with {_RECORDED} {PROJECT_HOURS}", *where)
        await execute(f"with {_RECORDED} {FORGET_HOURS}", *where)
        await execute(
            "delete from settled_checkpoints where (job, attempt) in (select * from unnest($1::uuid[], $2::integer[]))",
            *_columns(right, 2),
        )

    def _row(self, key: Key) -> dict[str, Any]:
        row = self._exact[key][1]
        charged = row["charged"] and (key[0], row["account_id"]) not in self._void
        return {**row, "charged": charged, "charge_nano": self._used[key]["charge_nano"]}


_BOOKS = {
    "charge": ("account_id", (Book.WALLET, Book.REVENUE)),
    "cost": ("channel_id", (Book.COST_OF_SALES, Book.PAYABLE)),
}
"""Whose book pays, and which book is paid from and to."""


def _columns(rows: Sequence[Sequence[Any]], count: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(count)]
