"""Looks whether the ledger and all that is projected from it agree, and makes the projections anew.

Called by the console. It reads the whole ledger, in one state of the database, while metering settles.
"""

import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import NamedTuple

from trunkline.bus.allowance import Period
from trunkline.core.money import usd_text
from trunkline.policy.admin_credit import LedgerFinding
from trunkline.policy.meters import counts
from trunkline.policy.periods import beginning, span_at
from trunkline.store import ledger
from trunkline.store.allowances import SPENT
from trunkline.store.budget_books import BudgetBook, read_budget_books
from trunkline.store.configuration import unix_ms
from trunkline.store.database import COMMAND_TIMEOUT_S, Connection
from trunkline.store.ledger import CHARGED, SPENDING, TAKEN_NANO, WHOLE_LEDGER_TIMEOUT_S

FINDINGS_MAX = 1000
"""Findings of one check. Where more is wrong it is wrong in the same way."""

_DOUBLES = {
    "charged twice": "select job::text, count(*) as times from transfers where kind = 'charge'",
    "cost booked twice": (
        "select job::text || '/' || attempt as job, count(*) as times from transfers where kind = 'cost'"
    ),
    "corrected twice": (
        "select kind || ' of ' || job || '/' || attempt as correction, count(*) as times from transfers"
        " where kind in ('charge_correction', 'cost_correction')"
    ),
    "charged for two attempts": (
        f"select job::text, count(*) as times from (select job, attempt from ({CHARGED}) as charged"  # noqa: S608 - a constant
        " where job in (select job from transfers where kind = 'charge_correction')"
        " group by job, attempt having sum(amount_nano) > 0) as attempts"
    ),
    "refunded twice": "select corrects_job::text, count(*) as times from transfers where kind = 'refund'",
    "reference used twice": (
        "select kind || ' ' || reference || ' from ' || debit || ' to ' || credit as reference, count(*) as times"
        " from transfers where reference is not null"
    ),
}

_REFUNDS = f"""
select r.corrects_job::text as job, r.amount_nano as refund_nano, c.charge_nano
from transfers as r left join (
    select job, wallet, revenue, sum(amount_nano)::bigint as charge_nano from ({CHARGED}) as charged
    where job in (select corrects_job from transfers where kind = 'refund')
    group by job, attempt, wallet, revenue having sum(amount_nano) > 0
) as c on c.job = r.corrects_job and c.wallet = r.credit and c.revenue = r.debit
where r.kind = 'refund' and (c.charge_nano is null or r.amount_nano > c.charge_nano)
"""  # noqa: S608 - made of constants

_SPENDING = f"""
select account_id, month, m.spent_nano as found_nano, r.spent_nano as expected_nano
from monthly_spending as m full join ({SPENDING}) as r using (account_id, month)
where m.spent_nano is distinct from r.spent_nano
order by account_id, month
"""  # noqa: S608 - as above

_WRONGLY_CHARGED = f"""
select u.job::text || '/' || u.attempt as attempt, u.charge_nano, t.amount_nano, k.amount_nano as corrected_nano
from %s as u
left join transfers as t on t.kind = 'charge' and t.job = u.job and t.attempt = u.attempt
left join (select job, attempt, {TAKEN_NANO} as amount_nano from transfers where kind = 'charge_correction') as k
     on k.job = u.job and k.attempt = u.attempt
where u.charge_nano <> coalesce(t.amount_nano, 0) + coalesce(k.amount_nano, 0)
"""  # noqa: S608 - as above

_USAGE = _WRONGLY_CHARGED % "usage"

# What says that credit came or went, and has no transfer.
_CREDIT = """
select 'payment ' || p.provider || ':' || p.reference as what, p.amount_nano from payments as p
where p.booked_at is not null and not exists (
    select from transfers as t where t.kind = 'payment' and t.credit = p.account_id * 8 + 1
    and t.reference = p.provider || ':' || p.reference)
union all
select 'code ' || c.id, b.amount_nano from codes as c join code_batches as b on b.id = c.batch_id
where c.redeemed_at is not null and not exists (
    select from transfers as t where t.kind = 'redemption' and t.credit = c.account_id * 8 + 1
    and t.reference = 'code ' || c.id)
union all
select 'trial of account ' || s.account_id, s.amount_nano from trials as s
where not exists (
    select from transfers as t where t.kind = 'trial' and t.credit = s.account_id * 8 + 1)
union all
select 'end of the trial of account ' || s.account_id, s.taken_nano from trials as s
where s.taken_nano > 0 and not exists (
    select from transfers as t where t.kind = 'expiry' and t.debit = s.account_id * 8 + 1 and t.reference is not null)
"""


# Of attempts that have just been settled, so many at most: it is asked every minute.
_NEWEST = _WRONGLY_CHARGED % (
    "(select job, attempt, charge_nano from usage where started_at > now() - interval '3 minutes' limit 10000)"
)


class Rebuilt(NamedTuple):
    """How many balances were made anew, and how many budgets were put right."""

    books: int
    budgets: int


async def check(connection: Connection) -> AsyncIterator[tuple[str, list[LedgerFinding]]]:
    """Yield each check's name and what it found.

    Args:
        connection: in a transaction that sees one state of the database: ``repeatable_read``.
    """
    for name, look in _CHECKS.items():
        yield name, (await look(connection))[:FINDINGS_MAX]


async def look(connection: Connection) -> list[LedgerFinding]:
    """Return what shows at a glance: balances that do not sum to zero, newest attempts that were not charged as booked.

    Reads no transfers but theirs, so it may be called every minute; `check` is thorough.
    """
    return [*await _zero(connection), *await _charges(connection, _NEWEST, COMMAND_TIMEOUT_S)]


async def _balances(connection: Connection) -> list[LedgerFinding]:
    return [
        LedgerFinding(f"{book.kind} of {book.owner_id}", _usd(book.projected_nano), _usd(book.recomputed_nano))
        for book in await ledger.verify(connection)
    ]


async def _zero(connection: Connection) -> list[LedgerFinding]:
    total = int(await connection.fetchval("select coalesce(sum(balance_nano), 0) from balances"))
    return [] if total == 0 else [LedgerFinding("sum of all balances", _usd(total), _usd(0))]


async def _doubles(connection: Connection) -> list[LedgerFinding]:
    found = []
    for what, select in _DOUBLES.items():
        rows = await connection.fetch(
            f"{select} group by 1 having count(*) > 1 order by 1 limit {FINDINGS_MAX}",
            timeout=WHOLE_LEDGER_TIMEOUT_S,
        )
        found += [LedgerFinding(f"{what}: {row[0]}", f"{row['times']} times", "once") for row in rows]
    return found


async def _refunds(connection: Connection) -> list[LedgerFinding]:
    return [
        LedgerFinding(f"refund of {row['job']}", _usd(row["refund_nano"]), f"at most {_usd(row['charge_nano'] or 0)}")
        for row in await connection.fetch(f"{_REFUNDS} limit {FINDINGS_MAX}", timeout=WHOLE_LEDGER_TIMEOUT_S)
    ]


async def _spending(connection: Connection) -> list[LedgerFinding]:
    return [
        LedgerFinding(
            f"account {row['account_id']} in {row['month']:%Y-%m}", _usd(row["found_nano"]), _usd(row["expected_nano"])
        )
        for row in await connection.fetch(f"{_SPENDING} limit {FINDINGS_MAX}", timeout=WHOLE_LEDGER_TIMEOUT_S)
    ]


async def _usage(connection: Connection) -> list[LedgerFinding]:
    return await _charges(connection, _USAGE, WHOLE_LEDGER_TIMEOUT_S)


async def _charges(connection: Connection, select: str, timeout_s: float) -> list[LedgerFinding]:
    return [
        LedgerFinding(
            f"attempt {row['attempt']}",
            _usd(row["charge_nano"]),
            _usd((row["amount_nano"] or 0) + (row["corrected_nano"] or 0)),
        )
        for row in await connection.fetch(f"{select} limit {FINDINGS_MAX}", timeout=timeout_s)
    ]


async def _credit(connection: Connection) -> list[LedgerFinding]:
    return [
        LedgerFinding(row["what"], "no transfer", _usd(row["amount_nano"]))
        for row in await connection.fetch(f"{_CREDIT} limit {FINDINGS_MAX}", timeout=WHOLE_LEDGER_TIMEOUT_S)
    ]


async def _budgets(connection: Connection) -> list[LedgerFinding]:
    return [
        LedgerFinding(
            f"{book.meter.id} of account {book.account} from {book.period_start}",
            _usd(book.spent_nano),
            _usd(expected_nano),
        )
        for book, expected_nano in await _wrong_budgets(connection)
    ]


_CHECKS: dict[str, Callable[[Connection], Awaitable[list[LedgerFinding]]]] = {
    "balances": _balances,
    "zero sum": _zero,
    "booked once": _doubles,
    "refunds": _refunds,
    "monthly spending": _spending,
    "budgets": _budgets,
    "usage": _usage,
    "credit": _credit,
}


async def rebuild(connection: Connection) -> Rebuilt:
    """Make all projections anew; settlement waits meanwhile.

    Budgets whose usage may have been forgotten stay as they are.
    """
    async with connection.transaction():
        await connection.execute(
            "lock table balances, monthly_spending, budget_spending in share row exclusive mode",
            timeout=WHOLE_LEDGER_TIMEOUT_S,
        )
        books = await ledger.rebuild(connection)
        wrong = await _wrong_budgets(connection)
        await connection.executemany(
            "update budget_spending set spent_nano = $4 where account_id = $1 and meter = $2 and period_start = $3",
            [(book.account_id, book.meter.id, book.period_start, nano) for book, nano in wrong],
        )
    return Rebuilt(books, len(wrong))


async def _wrong_budgets(connection: Connection) -> list[tuple[BudgetBook, int]]:
    """Return budgets whose spending is not what the usage of their periods adds up to, and that sum.

    Periods of which usage may have been forgotten are left out: what they had cannot be known any more.
    """
    kept_since_ms = await _kept_since_ms(connection)
    by_account: dict[int, list[BudgetBook]] = {}
    for book in await read_budget_books(connection):
        if kept_since_ms is None or span_at(Period.DAY, book.time_zone, kept_since_ms).start < book.period_start:
            by_account.setdefault(book.account_id, []).append(book)
    wrong = []
    for books in by_account.values():
        for book, nano in zip(books, await _sums(connection, books), strict=True):
            if book.spent_nano != nano:
                wrong.append((book, nano))
    return wrong


async def _kept_since_ms(connection: Connection) -> int | None:
    """Return from when on all usage is there, as Unix time in milliseconds; None if none was ever forgotten."""
    first = await connection.fetchval("select min(started_at) from usage", timeout=WHOLE_LEDGER_TIMEOUT_S)
    # A charge is dated by the end of its attempt. One that ended before the first attempt that is kept began has lost
    # its usage.
    forgotten = await connection.fetchval(
        "select exists (select from transfers"
        " where kind = 'charge' and occurred_at < coalesce($1::timestamptz, 'infinity'))",
        first,
        timeout=WHOLE_LEDGER_TIMEOUT_S,
    )
    if not forgotten:
        return None
    return unix_ms(first or await connection.fetchval("select now()"))


async def _sums(connection: Connection, books: Sequence[BudgetBook]) -> list[int]:
    """Return what the usage of each book's period adds up to; the books are of one account."""
    rows = await connection.fetch(
        "select (started_at at time zone $3)::date as day, key_id, user_id, model, sum(nano)::bigint as nano"  # noqa: S608 - made of a constant
        f" from ({SPENT}) as spent group by 1, 2, 3, 4",
        books[0].account_id,
        beginning(min(book.period_start for book in books), books[0].time_zone),
        books[0].time_zone,
        timeout=WHOLE_LEDGER_TIMEOUT_S,
    )
    return [
        sum(
            row["nano"]
            for row in rows
            if _period_start(book.meter.period, row["day"]) == book.period_start
            and counts(book.meter, key=row["key_id"], user=row["user_id"], model=row["model"], group="")
        )
        for book in books
    ]


def _period_start(period: Period, day: dt.date) -> dt.date:
    return day.replace(day=1) if period is Period.MONTH else day


def _usd(nano: int | None) -> str:
    return "none" if nano is None else f"{usd_text(nano)} USD"
