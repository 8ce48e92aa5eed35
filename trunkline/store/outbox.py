"""Snapshots on their way to the KV buckets: written with the change they show, taken by the console's projector.

`enqueue_*` read the rows as the transaction has left them and append their snapshots to the outbox. Writers hold
`configuration.lock_configuration`, so the order of the outbox's ids is the order of commits.
"""

from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

import asyncpg

from trunkline.bus import snapshots, subjects
from trunkline.bus.snapshots import ChannelSnapshot, KeyPolicy, ModelSnapshot, SealedCredential
from trunkline.store.configuration import CHANNEL_COLUMNS, channel_of, unix_ms
from trunkline.store.database import Connection

ROWS_PER_READ = 1000
"""Keys read at a time when all are projected."""


class OutboxEntry(NamedTuple):
    """One write to KV. A value of None deletes the entry."""

    id: int
    bucket: str
    token: str
    value: bytes | None


async def _append(connection: Connection, entries: Iterable[tuple[str, str, bytes | None]]) -> None:
    await connection.executemany("insert into outbox (bucket, token, value) values ($1, $2, $3)", entries)


async def take(connection: Connection, rows_max: int) -> list[OutboxEntry]:
    """Return the oldest entries; they stay until `delete_through`."""
    rows = await connection.fetch("select id, bucket, token, value from outbox order by id limit $1", rows_max)
    return [OutboxEntry(*row) for row in rows]


async def delete_through(connection: Connection, entry_id: int) -> None:
    """Delete the entries up to and with this one: they are in KV."""
    await connection.execute("delete from outbox where id <= $1", entry_id)


async def backlog(connection: Connection) -> int:
    """Return how many entries wait."""
    waiting: int = await connection.fetchval("select count(*) from outbox")
    return waiting


async def enqueue_delete(connection: Connection, bucket: str, tokens: Iterable[str]) -> None:
    """Delete these entries of a bucket."""
    await _append(connection, ((bucket, token, None) for token in tokens))


async def enqueue_keys(connection: Connection, key_ids: list[int] | None) -> set[str]:
    """Project keys, all without a list of ids, and return their hashes."""
    tokens: set[str] = set()
    async for batch in _key_batches(connection, key_ids):
        entries = [(subjects.KV_KEYS, row["hash"], snapshots.encode(_policy(row))) for row in batch]
        tokens.update(token for _, token, _ in entries)
        await _append(connection, entries)
    return tokens


async def _key_batches(connection: Connection, key_ids: list[int] | None) -> AsyncIterator[list[asyncpg.Record]]:
    last = 0
    while True:
        rows = await connection.fetch(
            "select k.id, k.name, k.hash, k.groups, k.models, k.expires_at, k.allow_ips, k.blocked, k.account_id,"
            " a.name as account_name from keys k join accounts a on a.id = k.account_id"
            " where k.id > $1 and ($2::bigint[] is null or k.id = any($2)) order by k.id limit $3",
            last,
            key_ids,
            ROWS_PER_READ,
        )
        if not rows:
            return
        yield rows
        last = rows[-1]["id"]


def _policy(row: asyncpg.Record) -> KeyPolicy:
    return KeyPolicy(
        key=row["id"],
        key_name=row["name"],
        account=row["account_id"],
        account_name=row["account_name"],
        groups=tuple(row["groups"]),
        models=tuple(row["models"]),
        expires_ms=unix_ms(row["expires_at"]),
        allow_ips=tuple(row["allow_ips"]),
        blocked=row["blocked"],
    )


async def enqueue_channels(connection: Connection, channel_ids: list[int] | None) -> set[str]:
    """Project channels with their sealed credentials, all without a list of ids, and return their tokens."""
    rows = await connection.fetch(
        f"select {CHANNEL_COLUMNS}, '{{}}'::text[] as fingerprints from channels c"  # noqa: S608 - constants
        " where $1::bigint[] is null or c.id = any($1) order by c.id",
        channel_ids,
    )
    sealed: dict[int, list[SealedCredential]] = {}
    for row in await connection.fetch(
        "select id, channel_id, master, nonce, ciphertext from credentials"
        " where $1::bigint[] is null or channel_id = any($1) order by id",
        channel_ids,
    ):
        credential = SealedCredential(row["id"], row["master"], row["nonce"], row["ciphertext"])
        sealed.setdefault(row["channel_id"], []).append(credential)
    entries = [
        (subjects.KV_CHANNELS, str(row["id"]), snapshots.encode(_channel(row, sealed.get(row["id"], []))))
        for row in rows
    ]
    await _append(connection, entries)
    return {token for _, token, _ in entries}


def _channel(row: asyncpg.Record, credentials: list[SealedCredential]) -> ChannelSnapshot:
    channel = channel_of(row)
    return ChannelSnapshot(
        id=row["id"],
        name=channel.name,
        dialect=channel.dialect,
        base_url=channel.base_url,
        credentials=tuple(credentials),
        models=channel.models,
        groups=channel.groups,
        priority=channel.priority,
        weight=channel.weight,
        enabled=channel.enabled,
        timeouts=channel.timeouts,
        params=channel.params,
        stream_usage=channel.stream_usage,
        options=channel.options,
    )


async def enqueue_models(connection: Connection, names: Iterable[str] | None) -> set[str]:
    """Project models, all without names, and return their tokens. A model that no channel serves has no groups."""
    rows = await connection.fetch(
        "select m.name, m.lane, m.owned_by, extract(epoch from m.created_at)::bigint as created,"
        " array(select distinct g from channels c cross join unnest(c.groups) g"
        "  where c.enabled and c.models ? m.name order by g) as groups"
        " from models m where $1::text[] is null or m.name = any($1) order by m.id",
        None if names is None else list(names),
    )
    entries = [
        (
            subjects.KV_MODELS,
            subjects.kv_token(row["name"]),
            snapshots.encode(
                ModelSnapshot(row["name"], tuple(row["groups"]), row["lane"], row["created"], row["owned_by"])
            ),
        )
        for row in rows
    ]
    await _append(connection, entries)
    return {token for _, token, _ in entries}


async def enqueue_settings(connection: Connection) -> set[str]:
    """Project all settings and return their tokens."""
    rows = await connection.fetch("select name, value from settings order by name")
    await _append(connection, [(subjects.KV_SETTINGS, row["name"], row["value"].encode()) for row in rows])
    return {row["name"] for row in rows}
