"""Looks for budgets and balances of which owners want to be told. Called by the console every few seconds.

Settlement has no part in it and loses no time. Looked at are the accounts that are spending (edges hold leases of them,
from before the first job until half a minute after the last), and in turn a slice of all that want to be told: what
people book changes balances, too.
"""

from collections.abc import Sequence
from typing import NamedTuple

from trunkline.bus.allowance import Meter, Period
from trunkline.core.money import usd_text
from trunkline.policy.alerts import BALANCE, BUDGET, AlertTerms, reached
from trunkline.policy.periods import span_at
from trunkline.store.alerts import NewAlert, raise_alert
from trunkline.store.budget_books import BudgetBook, read_budget_books
from trunkline.store.configuration import decode_alerts
from trunkline.store.database import Connection
from trunkline.store.ledger import Book

SPENDING_MAX = 10_000
"""Accounts that spend and want to be told, looked at in one sweep: about a third of a second's work."""

SLICE_MAX = 500
"""Of all that want to be told, in one sweep: twenty thousand have their turn within two minutes."""

_SPENDING = """
select a.id from accounts as a join allowances as l on l.account_id = a.id
where a.alerts <> '{}' and l.edges <> '{}' limit $1
"""

_SLICE = "select id from accounts where alerts <> '{}' and id > $1 order by id limit $2"

_ACCOUNTS = f"""
select a.id, a.name, a.alerts, coalesce(b.balance_nano, 0) as balance_nano, l.below_nano as told_nano
from accounts as a left join balances as b on b.book = a.id * 8 + {Book.WALLET:d}
left join low_balances as l on l.account_id = a.id
where a.id = any($1::bigint[]) order by a.id
"""  # noqa: S608 - made of constants


class _Account(NamedTuple):
    id: int
    name: str
    terms: AlertTerms
    balance_nano: int
    told_nano: int | None


class _Crossing(NamedTuple):
    """A budget that has reached a threshold."""

    book: BudgetBook
    percent: int

    @property
    def occasion(self) -> str:
        return f"{self.book.meter.id}:{self.book.period_start}:{self.percent}"


async def sweep(connection: Connection, after: int, now_ms: int) -> tuple[int, int]:
    """Raise what alerts there are to be raised.

    Args:
        connection: outside of a transaction.
        after: id of the account at which the last slice ended.
        now_ms: Unix time in milliseconds.

    Returns:
        How many alerts were raised, and where this slice ended.
    """
    spending = [row["id"] for row in await connection.fetch(_SPENDING, SPENDING_MAX)]
    part = [row["id"] for row in await connection.fetch(_SLICE, after, SLICE_MAX)]
    rows = await connection.fetch(_ACCOUNTS, sorted({*spending, *part}))
    accounts = [
        _Account(row["id"], row["name"], decode_alerts(row["alerts"]), row["balance_nano"], row["told_nano"])
        for row in rows
    ]
    raised = await _sweep_balances(connection, accounts) + await _sweep_budgets(connection, accounts, now_ms)
    return raised, part[-1] if len(part) == SLICE_MAX else 0


async def _sweep_balances(connection: Connection, accounts: Sequence[_Account]) -> int:
    risen = [
        account.id
        for account in accounts
        if account.told_nano is not None
        and (account.terms.balance_below_nano is None or account.balance_nano >= account.terms.balance_below_nano)
    ]
    if risen:
        await connection.execute("delete from low_balances where account_id = any($1::bigint[])", risen)
    raised = 0
    for account in accounts:
        below_nano = account.terms.balance_below_nano
        if below_nano is not None and account.balance_nano < below_nano and account.told_nano != below_nano:
            raised += await _tell_of_balance(connection, account, below_nano)
    return raised


async def _tell_of_balance(connection: Connection, account: _Account, below_nano: int) -> bool:
    """Raise an alert, once until the balance has risen or the threshold is another."""
    async with connection.transaction():
        moment = await connection.fetchval(
            "insert into low_balances as l (account_id, below_nano) values ($1, $2) on conflict (account_id)"
            " do update set below_nano = excluded.below_nano where l.below_nano <> excluded.below_nano"
            " returning clock_timestamp()",
            account.id,
            below_nano,
        )
        if moment is None:
            return False
        payload = {
            "account": account.name,
            "balance_usd": usd_text(account.balance_nano),
            "below_usd": usd_text(below_nano),
        }
        alert = NewAlert(BALANCE, account.name, payload, str(moment), account.id)
        return await raise_alert(connection, alert) is not None


async def _sweep_budgets(connection: Connection, accounts: Sequence[_Account], now_ms: int) -> int:
    terms = {account.id: account.terms for account in accounts if account.terms.budget_percent}
    if not terms:
        return 0
    crossings = [
        _Crossing(book, percent)
        for book in await read_budget_books(connection, list(terms), lately=True)
        if book.period_start == span_at(book.meter.period, book.time_zone, now_ms).start
        for percent in reached(
            terms[book.account_id].budget_percent, book.spent_nano, book.meter.limit, refuses=book.refuses
        )
    ]
    raised = 0
    for crossing in await _untold(connection, crossings):
        async with connection.transaction():
            alert = NewAlert(
                BUDGET, crossing.book.account, _words(crossing), crossing.occasion, crossing.book.account_id
            )
            raised += await raise_alert(connection, alert) is not None
    return raised


async def _untold(connection: Connection, crossings: Sequence[_Crossing]) -> list[_Crossing]:
    """Return those of which people have not been told yet."""
    if not crossings:
        return []
    told = await connection.fetch(
        "select subject, occasion from alerts where kind = $1 and (subject, occasion) in"
        " (select * from unnest($2::text[], $3::text[]))",
        BUDGET,
        [crossing.book.account for crossing in crossings],
        [crossing.occasion for crossing in crossings],
    )
    known = {(row["subject"], row["occasion"]) for row in told}
    return [crossing for crossing in crossings if (crossing.book.account, crossing.occasion) not in known]


def _words(crossing: _Crossing) -> dict[str, object]:
    book, meter = crossing.book, crossing.book.meter
    return {
        "account": book.account,
        "holder": book.holder.value,
        "name": book.name,
        "budget": _period(meter),
        "models": list(meter.models),
        "percent": crossing.percent,
        "spent_usd": usd_text(book.spent_nano),
        "limit_usd": usd_text(meter.limit),
        "period_start": book.period_start.isoformat(),
        "time_zone": book.time_zone,
    }


def _period(meter: Meter) -> str:
    return "monthly" if meter.period is Period.MONTH else "daily"
