"""Sealed secrets and their master keys: how many there are of each, and sealing them anew. Called by the console.

The rows are read in batches by their ids, each batch in a transaction of its own: what was done stays done, and who
begins again finds only the rest.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from trunkline.bus.snapshots import SealedCredential
from trunkline.policy.vault import Sealed
from trunkline.store import outbox
from trunkline.store.database import Connection

BATCH_ROWS: Final = 500
"""Secrets sealed anew in one transaction, which holds up other changes of the configuration for some 50 ms."""


class SealedCount(NamedTuple):
    """How much a version of the master key seals."""

    master: int
    credentials: int
    apps: int


class Batch(NamedTuple):
    """What became of a batch.

    Attributes:
        last: id of its last row; None if there was none.
        sealed: how many were sealed anew.
    """

    last: int | None
    sealed: int


async def count_sealed(connection: Connection) -> list[SealedCount]:
    """Return how many credentials and authenticator apps each master key seals, by version."""
    rows = await connection.fetch(
        "select master, sum(credential)::bigint as credentials, sum(app)::bigint as apps from ("
        "  select master, 1 as credential, 0 as app from credentials"
        "  union all select totp_master, 0, 1 from logins where totp_master is not null"
        ") as sealed group by master order by master"
    )
    return [SealedCount(row["master"], row["credentials"], row["apps"]) for row in rows]


async def reseal_credentials(
    connection: Connection, after: int, newest: int, anew: Callable[[SealedCredential], SealedCredential | None]
) -> Batch:
    """Seal a batch of upstream credentials anew and project their channels, under `lock_configuration`.

    Args:
        connection: in a transaction.
        after: the batch begins behind this id.
        newest: version of the master key; what it seals is left alone.
        anew: seals one with it; None for one that cannot be opened.
    """
    rows = await connection.fetch(
        "select id, channel_id, master, nonce, ciphertext from credentials where id > $1 and master <> $2"
        " order by id limit $3",
        after,
        newest,
        BATCH_ROWS,
    )
    channels: set[int] = set()
    sealed: list[SealedCredential] = []
    for row in rows:
        fresh = anew(SealedCredential(row["id"], row["master"], row["nonce"], row["ciphertext"]))
        if fresh is not None:
            sealed.append(fresh)
            channels.add(row["channel_id"])
    await connection.executemany(
        "update credentials set master = $2, nonce = $3, ciphertext = $4 where id = $1",
        [(one.id, one.master, one.nonce, one.ciphertext) for one in sealed],
    )
    if channels:
        await outbox.enqueue_channels(connection, sorted(channels))
    return Batch(rows[-1]["id"] if rows else None, len(sealed))


async def reseal_apps(
    connection: Connection, after: int, newest: int, anew: Callable[[int, Sealed], Sealed | None]
) -> Batch:
    """Seal the secrets of a batch of logins' authenticator apps anew; arguments as for `reseal_credentials`.

    The rows are locked, so that an app that is set up meanwhile keeps its own secret.
    """
    rows = await connection.fetch(
        "select id, totp_master, totp_nonce, totp_secret from logins where id > $1 and totp_master <> $2"
        " order by id limit $3 for update",
        after,
        newest,
        BATCH_ROWS,
    )
    fresh = [(row["id"], anew(row["id"], Sealed(*row[1:]))) for row in rows]
    changed = [(login, *sealed) for login, sealed in fresh if sealed is not None]
    await connection.executemany(
        "update logins set totp_master = $2, totp_nonce = $3, totp_secret = $4 where id = $1", changed
    )
    return Batch(rows[-1]["id"] if rows else None, len(changed))
