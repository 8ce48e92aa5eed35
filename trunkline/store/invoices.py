"""Months of wallets, read from the ledger for invoices. Called by the console."""

import datetime as dt
from typing import Final

import msgspec

from trunkline.core.usage import UNIT_KINDS
from trunkline.policy.invoices import (
    REFUND,
    BillingDetails,
    Invoice,
    InvoiceEntry,
    InvoiceLine,
    InvoiceSummary,
    bounded_entries,
    bounded_lines,
    invoice_number,
    is_final,
    month_span,
)
from trunkline.store.configuration import NotFoundError, json_text
from trunkline.store.corrections import SITE_BOOKS
from trunkline.store.database import Connection
from trunkline.store.ledger import Book, book_number
from trunkline.store.usage_rows import COMMON_KINDS

USAGE_TIMEOUT_S: Final = 120.0
"""For the sums of a month by model: some 20 s for 20 million attempts."""

_COMMON: Final = frozenset(COMMON_KINDS)

_decode_billing = msgspec.json.Decoder(BillingDetails).decode

# Both parts by the beginning of the index transfers_reference.
_NAMED: Final = """
    select occurred_at, kind::text as kind, reference, amount_nano
    from transfers where credit = $1 and reference is not null
    union all
    select occurred_at, kind::text, reference, -amount_nano
    from transfers where credit = any($2::bigint[]) and debit = $1 and reference is not null
"""

_MONTHS: Final = f"""
with charged as (
    select month, spent_nano from monthly_spending where account_id = $3
), named as (
    select date_trunc('month', occurred_at at time zone 'UTC')::date as month,
           coalesce(sum(amount_nano) filter (where kind = '{REFUND}'), 0)::bigint as refunded_nano,
           coalesce(sum(amount_nano) filter (where kind <> '{REFUND}'), 0)::bigint as credited_nano
    from ({_NAMED}) as named group by 1
)
select month, coalesce(spent_nano, 0) as charged_nano, coalesce(refunded_nano, 0) as refunded_nano,
       coalesce(credited_nano, 0) as credited_nano
from charged full join named using (month) order by month
"""  # noqa: S608 - made of constants

_UNITS: Final = {
    kind: kind if kind in _COMMON else f"coalesce((other_units->>'{kind}')::bigint, 0)" for kind in UNIT_KINDS
}

_BY_MODEL: Final = f"""
select model, sum(answers)::bigint as answers, sum(charge_nano)::bigint as amount_nano,
       {", ".join(f"sum({kind})::bigint as {kind}" for kind in UNIT_KINDS)}
from (
    select model, charged::int as answers, charge_nano, {", ".join(f"{sql} as {kind}" for kind, sql in _UNITS.items())}
    from usage where account_id = $1 and started_at >= $2 and started_at < $3
    union all
    select model, answers, charge_nano, {", ".join(UNIT_KINDS)}
    from usage_history where account_id = $1 and day >= $4 and day < $5
) as used
group by model having sum(charge_nano) > 0 or sum(answers) > 0
"""  # noqa: S608 - made of constants


async def read_months(connection: Connection, account_id: int, now: dt.datetime) -> list[InvoiceSummary]:
    """Return the months in which something was booked, the newest first."""
    rows = await connection.fetch(_MONTHS, book_number(Book.WALLET, account_id), SITE_BOOKS, account_id)
    summaries, opening_nano = [], 0
    for row in rows:
        closing_nano = opening_nano - row["charged_nano"] + row["refunded_nano"] + row["credited_nano"]
        summaries.append(
            InvoiceSummary(
                month=f"{row['month']:%Y-%m}",
                number=invoice_number(account_id, row["month"]),
                final=is_final(row["month"], now),
                opening_nano=opening_nano,
                charged_nano=row["charged_nano"],
                refunded_nano=row["refunded_nano"],
                credited_nano=row["credited_nano"],
                closing_nano=closing_nano,
            )
        )
        opening_nano = closing_nano
    return summaries[::-1]


async def read_invoice(connection: Connection, account: str, month: dt.date, now: dt.datetime) -> Invoice:
    """Return an account's month.

    Args:
        connection: outside of a transaction.
        account: its name.
        month: the first day.
        now: with a time zone.

    Raises:
        NotFoundError: there is no such account, or nothing was booked in that month.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        account_id, billing = await read_billing(connection, account)
        months = await read_months(connection, account_id, now)
        summary = next((one for one in months if one.month == f"{month:%Y-%m}"), None)
        if summary is None:
            raise NotFoundError(f"nothing was booked for account {account!r} in {month:%Y-%m}")
        lines = await _lines(connection, account_id, month)
        refunds, entries = await _entries(connection, account_id, month)
    return Invoice(
        number=summary.number,
        account=account,
        billing=billing,
        month=month,
        as_of=now,
        final=summary.final,
        opening_nano=summary.opening_nano,
        closing_nano=summary.closing_nano,
        charged_nano=summary.charged_nano,
        lines=bounded_lines(lines),
        refunds=refunds,
        refunded_nano=summary.refunded_nano,
        entries=bounded_entries(entries),
    )


async def _lines(connection: Connection, account_id: int, month: dt.date) -> list[InvoiceLine]:
    start, end = month_span(month)
    rows = await connection.fetch(_BY_MODEL, account_id, start, end, start.date(), end.date(), timeout=USAGE_TIMEOUT_S)
    return [
        InvoiceLine(
            model=row["model"],
            requests=row["answers"],
            units={kind: row[kind] for kind in UNIT_KINDS if row[kind]},
            amount_nano=row["amount_nano"],
        )
        for row in rows
    ]


async def _entries(connection: Connection, account_id: int, month: dt.date) -> tuple[int, list[InvoiceEntry]]:
    """Return how many refunds there were, and the other transfers."""
    rows = await connection.fetch(
        f"select * from ({_NAMED}) as named where occurred_at >= $3 and occurred_at < $4"  # noqa: S608 - constants
        " order by occurred_at, reference",
        book_number(Book.WALLET, account_id),
        SITE_BOOKS,
        *month_span(month),
    )
    entries = [
        InvoiceEntry(row["occurred_at"], row["kind"], row["reference"], row["amount_nano"])
        for row in rows
        if row["kind"] != REFUND
    ]
    return len(rows) - len(entries), entries


async def read_billing(connection: Connection, account: str) -> tuple[int, BillingDetails]:
    """Return an account's id, and whom its invoices are made out to.

    Raises:
        NotFoundError: there is no such account.
    """
    row = await connection.fetchrow("select id, billing from accounts where name = $1", account)
    if row is None:
        raise NotFoundError(f"there is no account {account!r}")
    return row["id"], _decode_billing(row["billing"])


async def put_billing(connection: Connection, account: str, details: BillingDetails) -> None:
    """Say whom an account's invoices are made out to.

    Raises:
        NotFoundError: there is no such account.
    """
    status = await connection.execute("update accounts set billing = $2 where name = $1", account, json_text(details))
    if status != "UPDATE 1":
        raise NotFoundError(f"there is no account {account!r}")
