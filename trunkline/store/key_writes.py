"""Writes keys and their secrets, with their projection. Called by `store.apply` and the console.

A key has one secret without an end and, after a rotation, older ones that end. Rows of secrets that have ended stay, so
that a secret is nobody else's and a file that still names it does not bring it back. Each function runs in the caller's
transaction, under `configuration.lock_configuration`.
"""

from typing import Final

import asyncpg

from trunkline.bus import subjects
from trunkline.policy.entities import Key
from trunkline.store import outbox
from trunkline.store.configuration import ConflictError, NotFoundError, json_text, moment
from trunkline.store.configuration_writes import find_account
from trunkline.store.database import Connection

SECRETS_MAX: Final = 8
"""Secrets of one key that are valid at a time: each is an entry at the edges, and more are a loop that went wild."""


async def put_key(connection: Connection, key: Key, *, shown_to: int | None = None) -> int:
    """Write a key and return its id, for its projection, which is left to the caller.

    A secret that is new ends all that the key had. Whether it is blocked stays as it is.

    Args:
        connection: see there.
        key: as it is to be.
        shown_to: id of the login that is shown its secret; None for none.

    Raises:
        ConflictError: the secret is or was that of another key.
        NotFoundError: there is no such account, or it has no such user.
    """
    account_id = await find_account(connection, key.account)
    other = await connection.fetchrow(
        "select a.name as account, k.name"
        " from key_secrets s join keys k on k.id = s.key_id join accounts a on a.id = k.account_id"
        " where s.hash = $1 and (k.account_id, k.name) is distinct from ($2, $3)",
        key.hash,
        account_id,
        key.name,
    )
    if other is not None:
        raise ConflictError(
            f"the secret of key {key.account}/{key.name} is already that of key {other['account']}/{other['name']}"
        )
    key_id: int = await connection.fetchval(
        "insert into keys"
        " (account_id, name, groups, models, expires_at, allow_ips, user_id, endpoints, limits, budgets, strategy)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        " on conflict (account_id, name) do update set groups = excluded.groups, models = excluded.models,"
        " expires_at = excluded.expires_at, allow_ips = excluded.allow_ips, user_id = excluded.user_id,"
        " endpoints = excluded.endpoints, limits = excluded.limits, budgets = excluded.budgets,"
        " strategy = excluded.strategy returning id",
        account_id,
        key.name,
        *await _columns(connection, account_id, key),
    )
    await _put_secret(connection, key_id, key.hash, key.prefix, shown_to=shown_to)
    return key_id


async def change_key(connection: Connection, account: str, name: str, changed: Key) -> None:
    """Make a key what ``changed`` says, its name included, but for its secret.

    Raises:
        NotFoundError: there is no such key, or its account has no such user.
        ConflictError: another key has the new name; or it is a playground's, and would be another user's.
    """
    key = await find_key(connection, account, name)
    if not await connection.fetchval(
        "select k.playground_seed is null or u.name is not distinct from $2"
        " from keys k left join users u on u.id = k.user_id where k.id = $1",
        key["id"],
        changed.user,
    ):
        raise ConflictError(f"key {account}/{name} is of the playground, and stays its user's")
    if changed.name != name and await connection.fetchval(
        "select exists (select from keys where account_id = $1 and name = $2)", key["account_id"], changed.name
    ):
        raise ConflictError(f"there is a key {account}/{changed.name} already")
    await connection.execute(
        "update keys set name = $2, groups = $3, models = $4, expires_at = $5, allow_ips = $6, user_id = $7,"
        " endpoints = $8, limits = $9, budgets = $10, strategy = $11 where id = $1",
        key["id"],
        changed.name,
        *await _columns(connection, key["account_id"], changed),
    )
    await outbox.enqueue_keys(connection, [key["id"]])


async def rotate_key(
    connection: Connection,
    account: str,
    name: str,
    *,
    new_hash: str,
    prefix: str,
    overlap_s: int,
    shown_to: int | None = None,
) -> None:
    """Give a key a new secret; those that it has end after ``overlap_s``, or when they were to end if that is sooner.

    Args:
        connection: see there.
        account: whose.
        name: of the key.
        new_hash: of the secret.
        prefix: its first characters.
        overlap_s: see above.
        shown_to: id of the login that is shown it; None for none.

    Raises:
        NotFoundError: there is no such key.
        ConflictError: too many secrets of it are valid still.
    """
    key_id = (await find_key(connection, account, name))["id"]
    valid = await connection.fetchval(
        "select count(*) from key_secrets where key_id = $1 and (expires_at is null or expires_at > now())", key_id
    )
    if overlap_s and valid >= SECRETS_MAX:
        raise ConflictError(
            f"{valid} secrets of key {account}/{name} are valid still; rotate it with an overlap of 0, or later"
        )
    await _put_secret(connection, key_id, new_hash, prefix, overlap_s=overlap_s, shown_to=shown_to)
    await outbox.enqueue_keys(connection, [key_id])


async def delete_key(connection: Connection, account: str, name: str) -> None:
    """Delete a key for good.

    Raises:
        NotFoundError: there is no such key.
    """
    key_id = (await find_key(connection, account, name))["id"]
    secrets = await connection.fetch("delete from key_secrets where key_id = $1 returning hash", key_id)
    await connection.execute("delete from keys where id = $1", key_id)
    await outbox.enqueue_delete(connection, subjects.KV_KEYS, [row["hash"] for row in secrets])


async def find_key(connection: Connection, account: str, name: str) -> asyncpg.Record:
    """Return the id of a key and of its account.

    Raises:
        NotFoundError: there is none of that name.
    """
    row = await connection.fetchrow(
        "select k.id, k.account_id from keys k join accounts a on a.id = k.account_id"
        " where a.name = $1 and k.name = $2",
        account,
        name,
    )
    if row is None:
        raise NotFoundError(f"there is no key {account}/{name}")
    return row


async def _columns(connection: Connection, account_id: int, key: Key) -> tuple[object, ...]:
    """Return a key's values in the order in which both statements have them."""
    user_id: int | None = None
    if key.user is not None:
        user_id = await connection.fetchval(
            "select id from users where account_id = $1 and name = $2", account_id, key.user
        )
        if user_id is None:
            raise NotFoundError(f"there is no user {key.account}/{key.user}")
    return (
        key.groups,
        key.models,
        moment(key.expires_ms),
        key.allow_ips,
        user_id,
        key.endpoints,
        json_text(key.limits),
        json_text(key.budgets),
        key.strategy,
    )


async def _put_secret(
    connection: Connection, key_id: int, hash_: str, prefix: str, *, overlap_s: int = 0, shown_to: int | None
) -> None:
    """Make a secret the one without an end; one that it is already stays so."""
    if await connection.fetchval("select key_id from key_secrets where hash = $1 and expires_at is null", hash_):
        return
    ending = await connection.fetch(
        "update key_secrets set expires_at = least(expires_at, now() + make_interval(secs => $2))"
        " where key_id = $1 and (expires_at is null or expires_at > now())"
        " returning hash, expires_at <= now() as ended",
        key_id,
        overlap_s,
    )
    await connection.execute(
        "insert into key_secrets (hash, key_id, prefix, login_id) values ($1, $2, $3, $4)",
        hash_,
        key_id,
        prefix,
        shown_to,
    )
    ended = [row["hash"] for row in ending if row["ended"]]
    await outbox.enqueue_delete(connection, subjects.KV_KEYS, ended)
