"""The ledger: append-only double entry in Postgres, and the balances projected from it (docs/ledger.md).

Metering settles usage events here; the console books what people and payments bring, and reads balances. Every
function takes the connection, so that its caller chooses the transaction. `store.corrections` has refunds and
adjustments, `store.ledger_checks` looks whether all of it agrees.
"""

import enum
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from trunkline.core.money import NanoUSD
from trunkline.store.database import Connection

WHOLE_LEDGER_TIMEOUT_S = 300.0
"""One statement that reads all transfers. A hundred million of them take about a minute to add up."""


class Book(enum.IntEnum):
    """Kinds of books. The number is part of what is stored (`book_kind` in 0002_ledger.sql)."""

    WALLET = 1
    """Of an account: what it may still spend."""
    REVENUE = 2
    """Of a channel: what clients paid for its work."""
    COST_OF_SALES = 3
    """Of a channel: what its work cost us; negative, since it is only ever debited."""
    PAYABLE = 4
    """Of a channel: what we owe its provider."""
    GRANTS = 5
    """The site's: the other side of all credit given."""
    PAYMENTS = 6
    """The site's: the other side of all that was paid in."""


def book_number(book: Book, owner_id: int = 0) -> int:
    """Return the number of a book; ``owner_id`` is an account's or a channel's id, 0 for the site."""
    return owner_id * 8 + book


class Transfer(NamedTuple):
    """A transfer that is named by a reference: anything but a job's charge and cost, and corrections of these.

    Attributes:
        kind: one of `transfer_kind` in the migrations.
        debit, credit: books.
        amount_nano: positive.
        reference: names it; the same kind between the same books is booked once per reference.
        corrects_job: of a refund, the job whose charge it gives back.
        corrects_reference: of an adjustment, the reference of the transfer that it corrects.
    """

    kind: str
    debit: int
    credit: int
    amount_nano: int
    reference: str
    corrects_job: UUID | None = None
    corrects_reference: str | None = None


class BookBalance(NamedTuple):
    """A book whose projected balance is wrong.

    Attributes:
        book: its number.
        kind: as in `Book`, in lower case.
        owner_id: account or channel.
        projected_nano: what ``balances`` says; None if it has no row.
        recomputed_nano: what the transfers add up to; None if there are none.
    """

    book: int
    kind: str
    owner_id: int
    projected_nano: int | None
    recomputed_nano: int | None


# Both sides of the given transfers are added to the balances; books in the order of their numbers, so that two
# transactions never wait for each other.
PROJECT_MOVED = """
    insert into balances as b (book, balance_nano)
    select book, sum(delta)::bigint
    from (select debit as book, -amount_nano as delta from moved
          union all
          select credit, amount_nano from moved) as sides
    group by book
    order by book
    on conflict (book) do update set balance_nano = b.balance_nano + excluded.balance_nano
"""

_TRANSFER_ONCE = f"""
with moved as (
    insert into transfers (occurred_at, kind, debit, credit, amount_nano, reference, corrects_job, corrects_reference)
    values (now(), $1::text::transfer_kind, $2, $3, $4, $5, $6, $7)
    on conflict do nothing
    returning debit, credit, amount_nano
), projected as ({PROJECT_MOVED})
select count(*) from moved
"""  # noqa: S608 - made of constants

_RECOMPUTED = """
    select book, sum(delta)::bigint as balance_nano
    from (select debit as book, -amount_nano as delta from transfers
          union all
          select credit, amount_nano from transfers) as sides
    group by book
"""

TAKEN_NANO = f"case when debit & 7 = {Book.WALLET:d} then amount_nano else -amount_nano end"
"""Of a charge or its correction: what it takes from the wallet; negative if it gives back."""

# In two parts, each of which has an index of its own by job.
CHARGED = f"""
    select occurred_at, job, attempt, debit as wallet, credit as revenue, amount_nano
    from transfers where kind = 'charge'
    union all
    select occurred_at, job, attempt, case when debit & 7 = {Book.WALLET:d} then debit else credit end,
           case when debit & 7 = {Book.WALLET:d} then credit else debit end, {TAKEN_NANO}
    from transfers where kind = 'charge_correction' and job is not null
"""  # noqa: S608 - made of constants
"""What jobs are charged: to be summed, since exact usage that comes after a checkpoint corrects its charge."""

SPENDING = f"""
    select wallet >> 3 as account_id, date_trunc('month', occurred_at at time zone 'UTC')::date as month,
           sum(amount_nano)::bigint as spent_nano
    from ({CHARGED}) as charged group by 1, 2
"""  # noqa: S608 - as above
"""What `monthly_spending` is projected from."""

_VERIFY = f"""
select book, book_kind(book) as kind, book >> 3 as owner_id,
       b.balance_nano as projected_nano, r.balance_nano as recomputed_nano
from balances as b full join ({_RECOMPUTED}) as r using (book)
where b.balance_nano is distinct from r.balance_nano
order by book
"""  # noqa: S608 - made of constants


async def grant_credit(connection: Connection, account_id: int, amount_nano: int, reference: str) -> bool:
    """Add to an account's wallet, once per account and reference.

    Args:
        connection: in any state.
        account_id: whose wallet.
        amount_nano: in nano-USD, positive.
        reference: names the grant; the same one again changes nothing, whatever its amount.

    Returns:
        Whether it was booked now; False if it was there already.

    Raises:
        ValueError: the amount is not positive, or the reference is empty.
    """
    if amount_nano <= 0:
        raise ValueError("a grant is a positive amount; book an adjustment to take credit away")
    return await transfer_once(
        connection,
        Transfer("grant", book_number(Book.GRANTS), book_number(Book.WALLET, account_id), amount_nano, reference),
    )


async def transfer_once(connection: Connection, transfer: Transfer) -> bool:
    """Book a transfer and return whether it was booked now; False if one of its kind and reference was there already.

    Raises:
        ValueError: it has no reference.
    """
    if not transfer.reference:
        raise ValueError("a transfer that no job has caused needs a reference")
    return bool(await connection.fetchval(_TRANSFER_ONCE, *transfer))


async def balance(connection: Connection, account_id: int) -> NanoUSD:
    """Return what is in an account's wallet, in nano-USD; negative when it was overdrawn, 0 if nothing was booked."""
    found = await connection.fetchval(
        "select balance_nano from balances where book = $1", book_number(Book.WALLET, account_id)
    )
    return NanoUSD(found or 0)


async def balances(connection: Connection, account_ids: Sequence[int]) -> dict[int, NanoUSD]:
    """Return the wallets of those accounts that exist, in one statement."""
    rows = await connection.fetch(
        "select a.id, coalesce(b.balance_nano, 0) as balance_nano"
        " from accounts as a left join balances as b on b.book = a.id * 8 + $2"
        " where a.id = any($1::bigint[])",
        account_ids,
        Book.WALLET.value,
    )
    return {row["id"]: NanoUSD(row["balance_nano"]) for row in rows}


async def verify(connection: Connection) -> list[BookBalance]:
    """Recompute every balance from the transfers and return the books that differ; empty means that all is well.

    One statement, so one state of the database: it may run while metering settles. It reads the whole ledger.
    """
    return [BookBalance(**row) for row in await connection.fetch(_VERIFY, timeout=WHOLE_LEDGER_TIMEOUT_S)]


async def rebuild(connection: Connection) -> int:
    """Make the balances and the monthly spending anew from the transfers and return how many books there are.

    Settlement waits meanwhile, and goes on from the new balances.
    """
    whole = WHOLE_LEDGER_TIMEOUT_S
    async with connection.transaction():
        await connection.execute("lock table balances, monthly_spending in share row exclusive mode", timeout=whole)
        await connection.execute("delete from monthly_spending")
        await connection.execute(
            f"insert into monthly_spending (account_id, month, spent_nano) {SPENDING}", timeout=whole
        )
        await connection.execute("delete from balances")
        status = await connection.execute(f"insert into balances (book, balance_nano) {_RECOMPUTED}", timeout=whole)
    return int(status.rsplit(" ", 1)[1])
