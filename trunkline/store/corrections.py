"""Corrections of the ledger by people, by transfers that point at what they correct. Called by the console.

A refund gives back what a job was charged: from the channel's revenue to the wallet, once per job and no more than the
charge, and to the budgets that counted it. An adjustment moves credit between the site and a wallet, in either
direction. What they correct stays as it is.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg

from trunkline.bus.allowance import WALLET, Period
from trunkline.core.ids import JobID
from trunkline.core.money import usd_text
from trunkline.policy.meters import counts
from trunkline.policy.periods import span_at
from trunkline.store.budget_books import read_budget_books
from trunkline.store.configuration import ConflictError, NotFoundError
from trunkline.store.database import Connection
from trunkline.store.ledger import CHARGED, Book, Transfer, book_number, transfer_once

_ADJUSTED = """
    select case when credit = $1 then amount_nano else -amount_nano end from transfers
    where kind = 'adjustment' and reference = $3
    and ((credit = $1 and debit = $2) or (credit = $2 and debit = $1))
"""

SITE_BOOKS = (int(Book.GRANTS), int(Book.PAYMENTS))


class Refund(NamedTuple):
    """A refund as it stands in the ledger.

    Attributes:
        booked: now; False if it was there already.
        amount_nano: given back.
        reference: its name.
    """

    booked: bool
    amount_nano: int
    reference: str


async def adjust_wallet(
    connection: Connection, account_id: int, amount_nano: int, reference: str, corrects: str | None = None
) -> bool:
    """Correct an account's wallet upwards or downwards, once per account and reference.

    Args:
        connection: in any state.
        account_id: whose wallet.
        amount_nano: in nano-USD; negative to take away, also what is not there.
        reference: names the adjustment.
        corrects: reference of the transfer to or from the wallet that it corrects, if it is of one.

    Returns:
        Whether it was booked now; False if it was there already.

    Raises:
        ValueError: the amount is zero, or the reference is empty.
        NotFoundError: the account has no transfer of the reference ``corrects``.
        ConflictError: the reference names an adjustment of another amount.
    """
    if amount_nano == 0:
        raise ValueError("an adjustment of zero adjusts nothing")
    wallet = book_number(Book.WALLET, account_id)
    if corrects is not None and not await _has_transfer(connection, wallet, corrects):
        raise NotFoundError(f"the account has no transfer of reference {corrects!r}")
    sides = book_number(Book.GRANTS), wallet
    debit, credit = sides if amount_nano > 0 else sides[::-1]
    # What is there in the other direction is no conflict to the index.
    there = await connection.fetchval(_ADJUSTED, wallet, sides[0], reference)
    if there is None and await transfer_once(
        connection,
        Transfer("adjustment", debit, credit, abs(amount_nano), reference, corrects_reference=corrects),
    ):
        return True
    there = await connection.fetchval(_ADJUSTED, wallet, sides[0], reference)
    if there != amount_nano:
        raise ConflictError(f"the reference {reference!r} names an adjustment of {usd_text(there)} USD")
    return False


async def _has_transfer(connection: Connection, wallet: int, reference: str) -> bool:
    # Both parts by the beginning of the index transfers_reference.
    found: bool = await connection.fetchval(
        "select exists (select from transfers where reference = $2 and credit = $1)"
        " or exists (select from transfers where reference = $2 and credit = any($3::bigint[]) and debit = $1)",
        wallet,
        reference,
        SITE_BOOKS,
    )
    return found


async def lock_for_refunds(connection: Connection) -> None:
    """Let settlement wait until the end of the transaction.

    No budget begins to count between a transfer and what it gives back. In this order, as whoever rebuilds the
    projections locks them.
    """
    await connection.execute("lock table balances in row exclusive mode")
    await connection.execute("lock table budget_spending in share row exclusive mode")


async def refund_charge(
    connection: Connection,
    account_id: int,
    job: JobID,
    *,
    amount_nano: int | None = None,
    reference: str,
    lease: int = 0,
) -> Refund:
    """Give back what an account was charged for a job, or part of it; once.

    The budgets that the charge counted for have it back as well, in the period of the charge and while the job's usage
    is kept. The month's spending that decides on volume discounts stays as it is.

    Args:
        connection: outside of a transaction.
        account_id: whose job.
        job: of the charge.
        amount_nano: positive and at most the charge; None for all of it.
        reference: names the refund.
        lease: whose edge has spent nothing for the job, and does not hear of the refund otherwise; 0 for none.

    Raises:
        ValueError: the amount is not positive, or the reference is empty.
        NotFoundError: the account was charged nothing for such a job.
        ConflictError: that is more than was charged; the job was refunded otherwise; or the reference is another's.
    """
    if amount_nano is not None and amount_nano <= 0:
        raise ValueError("a refund is a positive amount")
    async with connection.transaction():
        await lock_for_refunds(connection)
        refund = await _refund(connection, account_id, job, amount_nano, reference)
        if refund.booked:
            meters = await _give_back(connection, account_id, job, refund.amount_nano)
            await _give_back_to_lease(connection, account_id, lease, [WALLET, *meters], refund.amount_nano)
    return refund


async def _refund(
    connection: Connection, account_id: int, job: JobID, amount_nano: int | None, reference: str
) -> Refund:
    wallet = book_number(Book.WALLET, account_id)
    charge = await connection.fetchrow(
        f"select revenue, sum(amount_nano)::bigint as amount_nano from ({CHARGED}) as charged"  # noqa: S608 - a constant
        " where job = $1 and wallet = $2 group by attempt, revenue having sum(amount_nano) > 0",
        UUID(bytes=job),
        wallet,
    )
    if charge is None:
        raise NotFoundError("the account was charged nothing for such a job")
    wanted_nano: int = charge["amount_nano"] if amount_nano is None else amount_nano
    if wanted_nano > charge["amount_nano"]:
        raise ConflictError(f"the job was charged {usd_text(charge['amount_nano'])} USD; no more can be given back")
    transfer = Transfer("refund", charge["revenue"], wallet, wanted_nano, reference, corrects_job=UUID(bytes=job))
    if await transfer_once(connection, transfer):
        return Refund(booked=True, amount_nano=wanted_nano, reference=reference)
    there = await _refund_of(connection, job)
    if there is None:
        raise ConflictError(f"the reference {reference!r} names another refund")
    if (there["amount_nano"], there["reference"]) != (wanted_nano, reference):
        raise ConflictError(
            f"the job was refunded before: {usd_text(there['amount_nano'])} USD, reference {there['reference']!r}"
        )
    return Refund(booked=False, amount_nano=wanted_nano, reference=reference)


async def _give_back(connection: Connection, account_id: int, job: JobID, nano: int) -> list[str]:
    """Lower what was spent of the budgets that counted a job's charge; returns their meters."""
    used = await connection.fetchrow(
        "select u.started_at, u.key_id, u.user_id, u.model, a.time_zone from usage as u"
        " join accounts as a on a.id = u.account_id where u.job = $1 and u.account_id = $2 and u.charge_nano > 0",
        UUID(bytes=job),
        account_id,
    )
    if used is None:
        return []
    started_ms = round(used["started_at"].timestamp() * 1000)
    meters = []
    starts = {period: span_at(period, used["time_zone"], started_ms).start for period in (Period.DAY, Period.MONTH)}
    # Of the account's budgets only these periods: settlement waits for what is read here.
    for book in await read_budget_books(connection, [account_id], starts=starts.values()):
        start = starts[book.meter.period]
        if book.period_start == start and counts(
            book.meter, key=used["key_id"], user=used["user_id"], model=used["model"], group=""
        ):
            meters.append(book.meter.id)
            # Not below nothing: a budget that could not be counted in time began at zero (`open_budgets`).
            await connection.execute(
                "update budget_spending set spent_nano = greatest(spent_nano - $4, 0)"
                " where account_id = $1 and meter = $2 and period_start = $3",
                account_id,
                book.meter.id,
                start,
                nano,
            )
    return meters


async def _give_back_to_lease(
    connection: Connection, account_id: int, lease: int, meters: Sequence[str], nano: int
) -> None:
    """Lower what is booked of a lease's jobs, as far as the lease is there."""
    await connection.execute(
        "update lease_settlements set settled_nano = settled_nano - $4"
        " where account_id = $1 and lease = $2 and meter = any($3::text[])",
        account_id,
        lease,
        meters,
        nano,
    )


async def _refund_of(connection: Connection, job: JobID) -> asyncpg.Record | None:
    return await connection.fetchrow(
        "select amount_nano, reference from transfers where corrects_job = $1", UUID(bytes=job)
    )
