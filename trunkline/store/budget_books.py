"""Budgets with what was spent of them: `budget_spending` joined with the budgets that hold now.

Called by the console, which checks the figures and tells owners that a budget is about to be used up.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import asyncpg

from trunkline.bus.allowance import Meter
from trunkline.policy.admin_accounts import HolderKind
from trunkline.policy.meters import Budgets, budget_meters
from trunkline.store.allowances import PERIODS_READ_DAYS
from trunkline.store.configuration import decode_budgets
from trunkline.store.database import Connection

_READ = f"""
select s.account_id, s.meter, s.period_start, s.spent_nano, s.refused_limit_nano, a.name, a.time_zone, a.budgets
from budget_spending as s join accounts as a on a.id = s.account_id
where s.period_start > current_date - {PERIODS_READ_DAYS} and ($1::bigint[] is null or s.account_id = any($1))
  and (not $2 or s.period_start >= current_date - 1 or extract(day from s.period_start) = 1)
  and ($3::date[] is null or s.period_start = any($3))
order by s.account_id, s.meter, s.period_start
"""  # noqa: S608 - made of constants


class BudgetBook(NamedTuple):
    """What was spent of a budget in one of its periods.

    Attributes:
        account_id, account: whose.
        time_zone: the account's.
        holder: kind of what the budget hangs on.
        name: of the user or key; empty for the account itself.
        meter: the budget.
        period_start: first day of the period.
        spent_nano: of it, in nano-USD.
        refuses: what was spent has left too little for some request, and the budget was not raised since.
    """

    account_id: int
    account: str
    time_zone: str
    holder: HolderKind
    name: str
    meter: Meter
    period_start: dt.date
    spent_nano: int
    refuses: bool


class _Holder(NamedTuple):
    kind: HolderKind
    id: int


async def read_budget_books(
    connection: Connection,
    accounts: Sequence[int] | None = None,
    *,
    lately: bool = False,
    starts: Collection[dt.date] | None = None,
) -> list[BudgetBook]:
    """Return the budgets that hold still, with each of their periods that runs or ended within a month.

    Args:
        connection: in any state.
        accounts: only of these; None for all.
        lately: leave out days that are over in every time zone, which are most of what there is to read.
        starts: only periods that begin on these days; None for any.
    """
    rows = await connection.fetch(_READ, accounts, lately, None if starts is None else list(starts))
    ids: dict[HolderKind, set[int]] = {HolderKind.KEY: set(), HolderKind.USER: set()}
    for row in rows:
        kind, id_ = _holder(row["meter"])
        if kind in ids:
            ids[kind].add(id_)
    holders = {
        **await _holders(connection, HolderKind.KEY, "keys", ids[HolderKind.KEY]),
        **await _holders(connection, HolderKind.USER, "users", ids[HolderKind.USER]),
    }
    meters: dict[tuple[int, _Holder], Mapping[str, Meter]] = {}
    books = []
    for row in rows:
        holder = _holder(row["meter"])
        name, budgets = ("", row["budgets"]) if holder.kind is HolderKind.ACCOUNT else holders.get(holder, ("", "{}"))
        place = row["account_id"], holder
        if place not in meters:
            meters[place] = {meter.id: meter for meter in _meters(holder, decode_budgets(budgets))}
        meter = meters[place].get(row["meter"])
        if meter is not None:
            books.append(_book(row, holder.kind, name, meter))
    return books


def _book(row: asyncpg.Record, kind: HolderKind, name: str, meter: Meter) -> BudgetBook:
    return BudgetBook(
        row["account_id"],
        row["name"],
        row["time_zone"],
        kind,
        name,
        meter,
        row["period_start"],
        row["spent_nano"],
        refuses=row["refused_limit_nano"] is not None and meter.limit <= row["refused_limit_nano"],
    )


def _holder(meter: str) -> _Holder:
    """Return whose budget a meter's id says it is; the ids are made in `policy.meters`."""
    kind, _, rest = meter.partition(":")
    if kind == HolderKind.ACCOUNT:
        return _Holder(HolderKind.ACCOUNT, 0)
    return _Holder(HolderKind(kind), int(rest.partition(":")[0]))


def _meters(holder: _Holder, budgets: Budgets) -> Iterable[Meter]:
    return budget_meters(
        budgets,
        key=holder.id if holder.kind is HolderKind.KEY else 0,
        user=holder.id if holder.kind is HolderKind.USER else 0,
    )


async def _holders(
    connection: Connection, kind: HolderKind, table: str, ids: Iterable[int]
) -> dict[_Holder, tuple[str, str]]:
    """Return names and budgets, as JSON, of keys or users."""
    rows = await connection.fetch(
        f"select id, name, budgets from {table} where id = any($1::bigint[])",  # noqa: S608 - two constants
        list(ids),
    )
    return {_Holder(kind, row["id"]): (row["name"], row["budgets"]) for row in rows}
