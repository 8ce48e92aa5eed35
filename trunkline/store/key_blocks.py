"""Blocks of keys, of one or of all that a person has; and who has set them. Called by the console.

Each function that writes runs in the caller's transaction, under `configuration.lock_configuration`.
"""

from collections.abc import Sequence
from typing import NamedTuple

from trunkline.policy.access import Standing
from trunkline.store import outbox
from trunkline.store.database import Connection
from trunkline.store.key_writes import find_key


class HeldKey(NamedTuple):
    """A key that a person has.

    Attributes:
        id, account, name: of the key.
        block: who has set its block; None if it is not blocked.
    """

    id: int
    account: str
    name: str
    block: Standing | None


async def read_block(connection: Connection, account: str, name: str) -> Standing | None:
    """Return who has set a key's block; None if it is not blocked.

    Raises:
        NotFoundError: there is no such key.
    """
    key_id = (await find_key(connection, account, name))["id"]
    return _block(*await connection.fetchrow("select blocked, blocked_by from keys where id = $1", key_id))


async def block_keys(connection: Connection, key_ids: Sequence[int], by: Standing) -> None:
    """Block keys; a block that somebody above has set stays theirs."""
    await connection.execute(
        "update keys set blocked = true, blocked_by = $2 where id = any($1) and (not blocked or blocked_by = any($3))",
        key_ids,
        by.value,
        [standing.value for standing in Standing if by.reaches(standing)],
    )
    await outbox.enqueue_keys(connection, list(key_ids))


async def block_key(connection: Connection, account: str, name: str, by: Standing) -> None:
    """Block a key; a block that somebody above has set stays theirs.

    Raises:
        NotFoundError: there is no such key.
    """
    await block_keys(connection, [(await find_key(connection, account, name))["id"]], by)


async def unblock_key(connection: Connection, account: str, name: str) -> None:
    """Accept a key again.

    Raises:
        NotFoundError: there is no such key.
    """
    key_id = (await find_key(connection, account, name))["id"]
    # A version that does not say who sets a block leaves what stands here.
    await connection.execute("update keys set blocked = false, blocked_by = default where id = $1", key_id)
    await outbox.enqueue_keys(connection, [key_id])


async def held_keys(
    connection: Connection, login_id: int | None, account: str | None = None, *, shown: bool = True
) -> list[HeldKey]:
    """Return a login's keys, in the order of accounts' and their own names.

    Args:
        connection: in any state.
        login_id: who; None, nobody, has none.
        account: of which they are to be; None for all.
        shown: whether also those of others with a valid secret that was shown to this login when it was drawn.
    """
    rows = await connection.fetch(
        "select k.id, a.name as account, k.name, k.blocked, k.blocked_by"
        " from keys k join accounts a on a.id = k.account_id where k.id in ("
        "  select o.id from keys o join users u on u.id = o.user_id where u.login_id = $1"
        "  union all select key_id from key_secrets"
        "  where $3 and login_id = $1 and (expires_at is null or expires_at > now())"
        " ) and ($2::text is null or a.name = $2) order by a.name, k.name",
        login_id,
        account,
        shown,
    )
    return [HeldKey(row["id"], row["account"], row["name"], _block(row["blocked"], row["blocked_by"])) for row in rows]


def _block(blocked: bool, by: str) -> Standing | None:
    return Standing(by) if blocked else None
