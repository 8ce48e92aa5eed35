"""Keys of the playground, one per user: made when they are first needed, and set right. Called by the console."""

from collections.abc import Callable
from typing import Final, NamedTuple

from trunkline.policy.changes import PREFIX_CHARS
from trunkline.policy.configuration_values import NAME_CHARS_MAX
from trunkline.policy.entities import Key
from trunkline.policy.playground import ENDPOINTS, key_name
from trunkline.store import key_writes, outbox
from trunkline.store.configuration import ConflictError
from trunkline.store.database import Connection

NAMES_MAX: Final = 100
"""Names that are tried for a new key. Somebody who takes them all does not want one."""


class DrawnSecret(NamedTuple):
    """A secret for a key.

    Attributes:
        seed: what it is derived from.
        secret: never stored.
        hash: its keyed hash.
    """

    seed: int
    secret: str
    hash: str


class PlaygroundKey(NamedTuple):
    """A user's key of the playground.

    Attributes:
        name: of the key.
        seed: what its secret is derived from.
        hash: of the secret that holds now.
        usable: whether it is neither blocked nor past its end.
        current: whether its groups are those of its account.
    """

    name: str
    seed: int
    hash: str
    usable: bool
    current: bool


async def find(connection: Connection, account: str, user: str) -> PlaygroundKey | None:
    """Return a user's key; None if it has not been made, or was deleted."""
    row = await connection.fetchrow(
        "select k.name, k.playground_seed, s.hash,"
        " not k.blocked and coalesce(k.expires_at > now(), true) as usable, k.groups = a.groups as current"
        " from keys k join accounts a on a.id = k.account_id join users u on u.id = k.user_id"
        " join key_secrets s on s.key_id = k.id and s.expires_at is null"
        " where a.name = $1 and u.name = $2 and k.playground_seed is not null",
        account,
        user,
    )
    return None if row is None else PlaygroundKey(*row)


async def make(connection: Connection, account: str, user: str, drawn: DrawnSecret) -> None:
    """Make a user's key.

    Args:
        connection: of a transaction that holds `configuration.lock_configuration`.
        account: whose.
        user: its name.
        drawn: its secret.

    Raises:
        ConflictError: all names for it are taken.
        NotFoundError: there is no such account or user.
    """
    groups = await connection.fetchval("select groups from accounts where name = $1", account)
    taken = await connection.fetch(
        "select k.name from keys k join accounts a on a.id = k.account_id"
        " where a.name = $1 and k.name like 'playground%'",
        account,
    )
    name = _free_name(user, {row["name"] for row in taken}.__contains__)
    key = Key(
        account=account,
        name=name,
        hash=drawn.hash,
        prefix=drawn.secret[:PREFIX_CHARS],
        groups=tuple(groups or ()),
        models=("*",),
        expires_ms=None,
        allow_ips=(),
        user=user,
        endpoints=ENDPOINTS,
    )
    key_id = await key_writes.put_key(connection, key)
    await connection.execute("update keys set playground_seed = $2 where id = $1", key_id, drawn.seed)
    await outbox.enqueue_keys(connection, [key_id])


def _free_name(user: str, taken: Callable[[str], bool]) -> str:
    for number in range(1, NAMES_MAX + 1):
        name = key_name(user, number, NAME_CHARS_MAX)
        if not taken(name):
            return name
    raise ConflictError(f"all names for a key of the playground of user {user} are taken; delete one of those keys")


async def renew(connection: Connection, account: str, name: str, drawn: DrawnSecret) -> None:
    """Give a key another secret: the one that it has is not its seed's. Its ``name``; the others as of `make`."""
    await key_writes.rotate_key(
        connection, account, name, new_hash=drawn.hash, prefix=drawn.secret[:PREFIX_CHARS], overlap_s=0
    )
    key = await key_writes.find_key(connection, account, name)
    await connection.execute("update keys set playground_seed = $2 where id = $1", key["id"], drawn.seed)


async def follow_account(connection: Connection, account: str, name: str) -> None:
    """Give a key the groups that its account has by now."""
    key = await key_writes.find_key(connection, account, name)
    await connection.execute(
        "update keys k set groups = a.groups from accounts a where k.id = $1 and a.id = k.account_id", key["id"]
    )
    await outbox.enqueue_keys(connection, [key["id"]])
