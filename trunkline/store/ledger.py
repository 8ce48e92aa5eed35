"""The ledger: append-only double entry in Postgres, and the balances projected from it (docs/ledger.md).

Metering settles usage events here; the console grants credit and reads balances. Every function takes the
connection, so that its caller chooses the transaction.
"""

import enum
from collections.abc import Sequence
from typing import NamedTuple

from trunkline.core.money import NanoUSD
from trunkline.store.database import Connection


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


def book_number(book: Book, owner_id: int = 0) -> int:
    """Return the number of a book; ``owner_id`` is an account's or a channel's id, 0 for the site."""
    return owner_id * 8 + book


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
    insert into transfers (occurred_at, kind, debit, credit, amount_nano, reference)
    values (now(), $1::text::transfer_kind, $2, $3, $4, $5)
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
    sides = book_number(Book.GRANTS), book_number(Book.WALLET, account_id)
    return await _transfer_once(connection, "grant", sides, amount_nano, reference)


async def adjust_wallet(connection: Connection, account_id: int, amount_nano: int, reference: str) -> bool:
    """Correct an account's wallet upwards or downwards: the only way to take back what was booked.

    Arguments, result and errors as for `grant_credit`, but the amount may be negative; it may not be zero.
    """
    if amount_nano == 0:
        raise ValueError("an adjustment of zero adjusts nothing")
    sides = book_number(Book.GRANTS), book_number(Book.WALLET, account_id)
    if amount_nano < 0:
        sides = sides[1], sides[0]
    return await _transfer_once(connection, "adjustment", sides, abs(amount_nano), reference)


async def _transfer_once(
    connection: Connection, kind: str, sides: tuple[int, int], amount_nano: int, reference: str
) -> bool:
    if not reference:
        raise ValueError("a transfer made by a person needs a reference")
    return bool(await connection.fetchval(_TRANSFER_ONCE, kind, *sides, amount_nano, reference))


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
    return [BookBalance(**row) for row in await connection.fetch(_VERIFY)]


async def rebuild(connection: Connection) -> int:
    """Make the balances anew from the transfers and return how many books there are.

    Settlement waits meanwhile, and goes on from the new balances.
    """
    async with connection.transaction():
        await connection.execute("lock table balances in share row exclusive mode")
        await connection.execute("delete from balances")
        status = await connection.execute(f"insert into balances (book, balance_nano) {_RECOMPUTED}")
    return int(status.rsplit(" ", 1)[1])
