"""Redemption codes: made in batches, redeemed once each. Called by the console."""

import datetime as dt
from collections.abc import Collection
from typing import NamedTuple

from trunkline.policy.admin_credit import CodeBatch
from trunkline.policy.codes import FAILURES_PER_HOUR_MAX
from trunkline.store.configuration import ConflictError, NotFoundError
from trunkline.store.database import Connection
from trunkline.store.ledger import Book, Transfer, book_number, transfer_once
from trunkline.store.views import LIST_MAX

FAILURES_KEPT_HOURS = 24

_BATCHES = """
select b.id, b.amount_nano, b.codes, b.note, b.created_at, b.expires_at, b.withdrawn_at,
       (select count(*) from codes where batch_id = b.id and redeemed_at is not null) as redeemed
from code_batches as b where $1::bigint is null or b.id = $1 order by b.id desc limit $2
"""


class Redemption(NamedTuple):
    """A code that was redeemed.

    Attributes:
        redeemed: now; False if the same account had redeemed it before.
        amount_nano: what it was worth.
    """

    redeemed: bool
    amount_nano: int


async def create_batch(
    connection: Connection, hashes: Collection[bytes], *, amount_nano: int, note: str, expires_at: dt.datetime | None
) -> CodeBatch:
    """Store new codes.

    Args:
        connection: in a transaction.
        hashes: of the codes.
        amount_nano: what each is worth, positive.
        note: for people.
        expires_at: when they end; None for never.
    """
    batch_id = await connection.fetchval(
        "insert into code_batches (amount_nano, codes, note, expires_at) values ($1, $2, $3, $4) returning id",
        amount_nano,
        len(hashes),
        note,
        expires_at,
    )
    await connection.execute(
        "insert into codes (batch_id, hash) select $1, hash from unnest($2::bytea[]) as hash", batch_id, hashes
    )
    return (await list_batches(connection, batch_id))[0]


async def list_batches(connection: Connection, batch_id: int | None = None) -> list[CodeBatch]:
    """Return batches, the newest first, or the one of that number."""
    return [CodeBatch(**row) for row in await connection.fetch(_BATCHES, batch_id, LIST_MAX)]


async def withdraw_batch(connection: Connection, batch_id: int) -> CodeBatch:
    """Let no code of a batch be redeemed any more; what was redeemed stays.

    Raises:
        NotFoundError: there is no such batch.
    """
    status = await connection.execute(
        "update code_batches set withdrawn_at = coalesce(withdrawn_at, now()) where id = $1", batch_id
    )
    if status != "UPDATE 1":
        raise NotFoundError(f"there is no batch {batch_id}")
    return (await list_batches(connection, batch_id))[0]


async def count_failure(connection: Connection, account_id: int) -> bool:
    """Count an attempt as failed before it is made; return False if there were too many in this hour.

    Outside of the transaction of the attempt, so that nothing that becomes of it takes the count back: parallel
    guesses have no more tries than others. `redeem` gives back what was counted if the code is good.
    """
    counted = await connection.fetchval(
        "insert into code_failures as f (account_id, hour, failures) values ($1, date_trunc('hour', now()), 1)"
        " on conflict (account_id, hour) do update set failures = f.failures + 1 where f.failures < $2 returning true",
        account_id,
        FAILURES_PER_HOUR_MAX,
    )
    return counted is not None


async def redeem(connection: Connection, account_id: int, hash_: bytes) -> Redemption:
    """Redeem a code, which `count_failure` has counted.

    Args:
        connection: in a transaction.
        account_id: whose wallet it goes to.
        hash_: of the code.

    Raises:
        ConflictError: there is no such code, or it is expired, withdrawn, or used by another account.
    """
    # Of many at once the first locks the row, and the others look at it again when it is done.
    code = await connection.fetchrow(
        "update codes as c set account_id = $2, redeemed_at = now() from code_batches as b"
        " where c.hash = $1 and b.id = c.batch_id and c.redeemed_at is null and b.withdrawn_at is null"
        " and (b.expires_at is null or b.expires_at > now()) returning c.id, b.amount_nano",
        hash_,
        account_id,
    )
    redeemed = code is not None
    if code is None:
        code = await connection.fetchrow(
            "select c.id, b.amount_nano from codes as c join code_batches as b on b.id = c.batch_id"
            " where c.hash = $1 and c.account_id = $2",
            hash_,
            account_id,
        )
        if code is None:
            raise ConflictError("this code is not valid, has expired or was used")
    else:
        sides = book_number(Book.GRANTS), book_number(Book.WALLET, account_id)
        await transfer_once(connection, Transfer("redemption", *sides, code["amount_nano"], f"code {code['id']}"))
    # Of this hour or, at its end, the one before: the newest is the one that was counted.
    await connection.execute(
        "update code_failures set failures = failures - 1 where account_id = $1 and failures > 0"
        " and hour = (select max(hour) from code_failures where account_id = $1)",
        account_id,
    )
    return Redemption(redeemed, code["amount_nano"])


async def forget_failures(connection: Connection) -> None:
    """Drop counts that bound nothing any more."""
    await connection.execute(
        "delete from code_failures where hour < now() - make_interval(hours => $1)", FAILURES_KEPT_HOURS
    )
