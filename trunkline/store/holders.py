"""Limits and budgets of single holders, and users: read and written for the admin API.

Writers run in the caller's transaction, under `configuration.lock_configuration`. Nothing of limits and budgets is
projected: metering sees that terms have changed (`store.terms`), and edges learn of it with their next draw.
"""

from typing import NamedTuple

from trunkline.policy.admin_accounts import HolderKind
from trunkline.policy.meters import Budgets, Limits
from trunkline.store import outbox
from trunkline.store.configuration import ConflictError, NotFoundError, decode_budgets, decode_limits, json_text
from trunkline.store.database import Connection
from trunkline.store.key_writes import delete_key

KEYS_NAMED_MAX = 3
"""Keys that a message names."""


class Holder(NamedTuple):
    """Who has limits.

    Attributes:
        kind: see there.
        names: its own, for users and keys behind the account's.
    """

    kind: HolderKind
    names: tuple[str, ...]

    @property
    def text(self) -> str:
        """What people call it."""
        return f"{self.kind} {'/'.join(self.names)}"


_BY_NAME = "name = $1"
_BY_NAMES = "account_id = (select id from accounts where name = $1) and name = $2"
_ROWS = {
    HolderKind.ACCOUNT: ("accounts", _BY_NAME),
    HolderKind.USER: ("users", _BY_NAMES),
    HolderKind.KEY: ("keys", _BY_NAMES),
    HolderKind.TIER: ("tiers", _BY_NAME),
    HolderKind.GROUP: ("groups", _BY_NAME),
}


async def read_limits(connection: Connection, holder: Holder) -> Limits:
    """Return a holder's limits.

    Raises:
        NotFoundError: there is no such holder.
    """
    return decode_limits(await _read(connection, holder, "limits"))


async def read_budgets(connection: Connection, holder: Holder) -> Budgets:
    """Return the budgets of an account, user or key.

    Raises:
        NotFoundError: there is no such holder.
    """
    return decode_budgets(await _read(connection, holder, "budgets"))


async def put_limits(connection: Connection, holder: Holder, limits: Limits) -> None:
    """Replace a holder's limits.

    Raises:
        NotFoundError: there is no such holder.
    """
    await _put(connection, holder, "limits", limits)


async def put_budgets(connection: Connection, holder: Holder, budgets: Budgets) -> None:
    """Replace the budgets of an account, user or key.

    Raises:
        NotFoundError: there is no such holder.
    """
    await _put(connection, holder, "budgets", budgets)


async def require_key_of(connection: Connection, key: Holder, user: str) -> None:
    """Return if a key is a user's.

    Args:
        connection: to read with.
        key: see there.
        user: name of a user of the key's account.

    Raises:
        NotFoundError: it is another's, or nobody's, or not there at all; whoever asks is not told which.
    """
    if not await connection.fetchval(
        "select exists (select from keys k join accounts a on a.id = k.account_id join users u on u.id = k.user_id"
        " where a.name = $1 and k.name = $2 and u.name = $3)",
        *key.names,
        user,
    ):
        raise NotFoundError(f"there is no {key.text}")


async def _read(connection: Connection, holder: Holder, column: str) -> str:
    table, where = _ROWS[holder.kind]
    text: str | None = await connection.fetchval(
        f"select {column} from {table} where {where}",  # noqa: S608 - constants
        *holder.names,
    )
    if text is None:
        raise NotFoundError(f"there is no {holder.text}")
    return text


async def _put(connection: Connection, holder: Holder, column: str, value: Limits | Budgets) -> None:
    table, where = _ROWS[holder.kind]
    number = len(holder.names) + 1
    status = await connection.execute(
        f"update {table} set {column} = ${number} where {where}",  # noqa: S608 - constants
        *holder.names,
        json_text(value),
    )
    if status != "UPDATE 1":
        raise NotFoundError(f"there is no {holder.text}")


async def change_account(
    connection: Connection, account: str, *, tier: str | None, time_zone: str, groups: tuple[str, ...]
) -> None:
    """Change an account's tier, its time zone, and the groups that its own people may give to keys.

    Raises:
        NotFoundError: there is no such account.
    """
    there = await connection.fetchrow("select tier from accounts where name = $1", account)
    if there is None:
        raise NotFoundError(f"there is no account {account!r}")
    await connection.execute(
        "update accounts set tier = $2, time_zone = $3, groups = $4 where name = $1", account, tier, time_zone, groups
    )
    if tier != there["tier"]:
        # The priority of its tier stands in the snapshots of its keys.
        await outbox.enqueue_keys(connection, await outbox.keys_of(connection, accounts=[account], tiers=[]))


async def rename_user(connection: Connection, account: str, user: str, name: str) -> None:
    """Give a user another name.

    Raises:
        NotFoundError: there is no such user.
        ConflictError: another one has that name.
    """
    user_id, account_id = await _find_user(connection, account, user)
    if name != user and await connection.fetchval(
        "select exists (select from users where account_id = $1 and name = $2)", account_id, name
    ):
        raise ConflictError(f"there is a user {account}/{name} already")
    await connection.execute("update users set name = $2 where id = $1", user_id, name)


async def delete_user(connection: Connection, account: str, user: str) -> None:
    """Delete a user who has no keys.

    Raises:
        NotFoundError: there is no such user.
        ConflictError: a key is the user's: without its owner it would escape the owner's limits.
    """
    user_id, _ = await _find_user(connection, account, user)
    keys = await connection.fetch(
        "select name from keys where user_id = $1 and playground_seed is null order by name limit $2",
        user_id,
        KEYS_NAMED_MAX,
    )
    if keys:
        names = ", ".join(row["name"] for row in keys)
        raise ConflictError(f"user {account}/{user} has keys ({names}); delete them or give them to another user first")
    for row in await connection.fetch("select name from keys where user_id = $1", user_id):
        await delete_key(connection, account, row["name"])  # of the playground: nobody else's
    await connection.execute("delete from users where id = $1", user_id)


async def _find_user(connection: Connection, account: str, user: str) -> tuple[int, int]:
    row = await connection.fetchrow(
        "select u.id, u.account_id from users u join accounts a on a.id = u.account_id"
        " where a.name = $1 and u.name = $2",
        account,
        user,
    )
    if row is None:
        raise NotFoundError(f"there is no user {account}/{user}")
    return row["id"], row["account_id"]
