"""Payments: each is kept once and booked once. Called by the console.

What cannot be booked by itself (another currency, an account that is not there) is kept aside for a person, who says
which account it is for and what it is worth. The provider is told that all is well: sending it again changes nothing.
"""

import enum

import asyncpg

from trunkline.core.money import NANO_PER_USD, NanoUSD
from trunkline.policy.admin_credit import PaymentView
from trunkline.policy.alerts import PAYMENT_ASIDE
from trunkline.policy.configuration_values import AMOUNT_USD_MAX
from trunkline.policy.payments import Payment
from trunkline.store.alerts import NewAlert, raise_alert
from trunkline.store.configuration import ConflictError, NotFoundError
from trunkline.store.database import Connection
from trunkline.store.ledger import Book, Transfer, book_number, transfer_once
from trunkline.store.views import LIST_MAX


class Receipt(enum.Enum):
    """What became of a payment that was announced; a metric's label."""

    BOOKED = "booked"
    KNOWN = "known"
    ASIDE = "aside"


async def receive_payment(connection: Connection, provider: str, payment: Payment) -> Receipt:
    """Book a payment, or keep it aside; once, however often and at how many places at once it is announced.

    Args:
        connection: in a transaction.
        provider: name of the provider.
        payment: verified.
    """
    account_id = await connection.fetchval("select id from accounts where name = $1", payment.account)
    amount_nano = payment.amount_nano
    reason = _reason(payment, account_id)
    # Two transactions with the same payment meet here: the second waits for the first, and then finds its row.
    new = await connection.fetchval(
        "insert into payments (provider, reference, account, amount, currency, reason, account_id, amount_nano,"
        " booked_at) values ($1, $2, $3, $4, $5, $6, $7, $8, case when $6::text is null then now() end)"
        " on conflict do nothing returning true",
        provider,
        payment.reference,
        payment.account,
        payment.amount,
        payment.currency,
        reason,
        account_id if reason is None else None,
        amount_nano if reason is None else None,
    )
    if not new:
        return Receipt.KNOWN
    if reason is not None or amount_nano is None:
        subject = _reference(provider, payment.reference)
        await raise_alert(connection, NewAlert(PAYMENT_ASIDE, subject, {**_words(payment), "reason": reason}))
        return Receipt.ASIDE
    await _book(connection, provider, payment.reference, account_id, amount_nano)
    return Receipt.BOOKED


def _reason(payment: Payment, account_id: int | None) -> str | None:
    """Return why a payment cannot be booked by itself, or None."""
    if payment.amount_nano is None:
        return "another currency than USD"
    if payment.amount_nano > AMOUNT_USD_MAX * NANO_PER_USD:
        return "too large an amount"
    if account_id is None:
        return "no account of that name" if payment.account else "no account named"
    return None


def _words(payment: Payment) -> dict[str, object]:
    return {"account": payment.account, "amount": payment.amount, "currency": payment.currency}


def _reference(provider: str, reference: str) -> str:
    """Return the reference of a payment's transfer."""
    return f"{provider}:{reference}"


async def _book(connection: Connection, provider: str, reference: str, account_id: int, amount_nano: NanoUSD) -> None:
    sides = book_number(Book.PAYMENTS), book_number(Book.WALLET, account_id)
    await transfer_once(connection, Transfer("payment", *sides, amount_nano, _reference(provider, reference)))


async def assign_payment(
    connection: Connection, provider: str, reference: str, *, account_id: int, amount_nano: NanoUSD | None
) -> PaymentView:
    """Book a payment that was kept aside.

    Args:
        connection: in a transaction.
        provider: its name.
        reference: of the payment.
        account_id: whose it is.
        amount_nano: what it is worth; None for a payment in USD.

    Raises:
        NotFoundError: there is no such payment.
        ConflictError: it is booked already; or it is in another currency, and it was not said what it is worth.
    """
    row = await connection.fetchrow(
        "select * from payments where provider = $1 and reference = $2 for update", provider, reference
    )
    if row is None:
        raise NotFoundError(f"there is no payment {_reference(provider, reference)}")
    if row["booked_at"] is not None:
        raise ConflictError(f"payment {_reference(provider, reference)} is booked already")
    worth_nano = _payment(row).amount_nano if amount_nano is None else amount_nano
    if worth_nano is None:
        raise ConflictError(f"the payment is in {row['currency'].upper()}: say what it is worth in USD")
    await connection.execute(
        "update payments set account_id = $3, amount_nano = $4, booked_at = now()"
        " where provider = $1 and reference = $2",
        provider,
        reference,
        account_id,
        worth_nano,
    )
    await _book(connection, provider, reference, account_id, worth_nano)
    return (await list_payments(connection, provider=provider, reference=reference))[0]


def _payment(row: asyncpg.Record) -> Payment:
    return Payment(row["reference"], row["account"], row["amount"], row["currency"])


async def list_payments(
    connection: Connection, *, aside: bool = False, provider: str | None = None, reference: str | None = None
) -> list[PaymentView]:
    """Return payments, the newest first.

    Args:
        connection: in any state.
        aside: only those that wait for a person.
        provider: only its payments.
        reference: only this one.
    """
    rows = await connection.fetch(
        "select p.provider, p.reference, p.account as named, p.amount, p.currency, p.reason, a.name as account,"
        " p.amount_nano, p.received_at, p.booked_at from payments p left join accounts a on a.id = p.account_id"
        " where (not $1 or p.booked_at is null) and ($2::text is null or p.provider = $2)"
        " and ($3::text is null or p.reference = $3) order by p.received_at desc, p.reference limit $4",
        aside,
        provider,
        reference,
        LIST_MAX,
    )
    return [PaymentView(**row) for row in rows]
