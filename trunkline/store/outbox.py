"""Snapshots on their way to the KV buckets: written with the change they show, taken by the console's projector.

`enqueue_*` read the rows as the transaction has left them and append their snapshots to the outbox. Writers hold
`configuration.lock_configuration`, so the order of the outbox's ids is the order of commits.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import NamedTuple

import asyncpg

from trunkline.bus import snapshots, subjects
from trunkline.bus.snapshots import ChannelSnapshot, KeyPolicy, ModelSnapshot, SealedCredential
from trunkline.core.limits import FRAME_BYTES_MAX
from trunkline.core.money import PARTS_PER_MILLION
from trunkline.policy.configuration import ConfigurationError
from trunkline.policy.entities import Group, Prices
from trunkline.policy.pricing import blended_nano
from trunkline.store.configuration import (
    CHANNEL_COLUMNS,
    MODELS_WITH_PRICES,
    channel_of,
    costs_in_force,
    decode_credential_limits,
    model_of,
    read_groups,
    strategy_of,
    unix_ms,
)
from trunkline.store.database import Connection

ROWS_PER_READ = 1000
"""Keys read at a time."""

VALUE_BYTES_MAX = FRAME_BYTES_MAX
"""Of one entry; a message with it has no headers."""

_KEYS = """
    select k.id, k.name, s.hash, k.groups, k.models, least(k.expires_at, s.expires_at) as expires_at, k.allow_ips,
           k.blocked, k.account_id, k.user_id, k.endpoints, k.strategy, a.name as account_name,
           coalesce(t.priority, 0) as priority
    from ({keys}) k join accounts a on a.id = k.account_id left join tiers t on t.name = a.tier left join lateral (
        select hash, expires_at from key_secrets
        where key_id = k.id and (expires_at is null or expires_at > now()) offset 0
    ) s on true
"""
"""A row per valid secret of a page of keys. A key without any has a row, too, so that no page is empty before the last.
The offset keeps the planner, which knows nothing of rows that are just being written, from reading all secrets."""


class OutboxEntry(NamedTuple):
    """One write to KV. A value of None deletes the entry."""

    id: int
    bucket: str
    token: str
    value: bytes | None


class Lag(NamedTuple):
    """What waits to be written to KV.

    Attributes:
        entries: how many.
        age_s: how long the oldest has waited; 0 without any.
    """

    entries: int
    age_s: float


async def _append(connection: Connection, entries: Iterable[tuple[str, str, bytes | None]]) -> None:
    """Append entries; what NATS would refuse for good must not stand in the outbox before all others.

    Raises:
        ConfigurationError: an entry is larger than a message may be.
    """
    entries = list(entries)
    for bucket, _, value in entries:
        if value is not None and len(value) > VALUE_BYTES_MAX:
            fault = f"an entry takes {len(value) // 1024} KiB, and NATS takes {VALUE_BYTES_MAX // 1024}"
            raise ConfigurationError([f"{bucket}: {fault}; give it fewer models, patterns or rules"])
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


async def lag(connection: Connection) -> Lag:
    """Return how far the projection is behind."""
    row = await connection.fetchrow(
        "select count(*) as entries,"
        " coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float as age_s from outbox"
    )
    return Lag(row["entries"], max(0.0, row["age_s"]))


async def enqueue_delete(connection: Connection, bucket: str, tokens: Iterable[str]) -> None:
    """Delete these entries of a bucket."""
    await _append(connection, ((bucket, token, None) for token in tokens))


async def enqueue_keys(connection: Connection, key_ids: list[int] | None) -> set[str]:
    """Project keys, all without a list of ids, and return the hashes of their secrets: each has an entry."""
    tokens: set[str] = set()
    async for batch in _key_batches(connection, key_ids):
        entries = [(subjects.KV_KEYS, row["hash"], snapshots.encode(_policy(row))) for row in batch if row["hash"]]
        tokens.update(token for _, token, _ in entries)
        await _append(connection, entries)
    return tokens


async def _key_batches(connection: Connection, key_ids: list[int] | None) -> AsyncIterator[list[asyncpg.Record]]:
    if key_ids is not None:
        for first in range(0, len(key_ids), ROWS_PER_READ):
            wanted = key_ids[first : first + ROWS_PER_READ]
            yield await connection.fetch(_KEYS.format(keys="select * from keys where id = any($1)"), wanted)
        return
    last, page = 0, _KEYS.format(keys="select * from keys where id > $1 order by id limit $2")
    while rows := await connection.fetch(page, last, ROWS_PER_READ):
        yield rows
        last = max(row["id"] for row in rows)


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
        user=row["user_id"] or 0,
        endpoints=tuple(row["endpoints"]),
        strategy=strategy_of(row["strategy"]),
        priority=row["priority"],
    )


async def keys_of(connection: Connection, *, accounts: list[str], tiers: list[str]) -> list[int]:
    """Return the ids of the keys of these accounts, and of all accounts of these tiers."""
    rows = await connection.fetch(
        "select k.id from keys k join accounts a on a.id = k.account_id where a.name = any($1) or a.tier = any($2)"
        " order by k.id",
        accounts,
        tiers,
    )
    return [row["id"] for row in rows]


async def enqueue_channels(connection: Connection, channel_ids: list[int] | None) -> set[str]:
    """Project channels with their sealed credentials, all without a list of ids, and return their tokens."""
    entries = [
        (subjects.KV_CHANNELS, str(channel.id), snapshots.encode(channel))
        for channel in await read_channels(connection, channel_ids)
    ]
    await _append(connection, entries)
    return {token for _, token, _ in entries}


async def read_channels(connection: Connection, channel_ids: list[int] | None) -> list[ChannelSnapshot]:
    """Return channels as they are to be projected, all without a list of ids."""
    rows = await connection.fetch(
        f"select {CHANNEL_COLUMNS} from channels c"  # noqa: S608 - constants
        " where $1::bigint[] is null or c.id = any($1) order by c.id",
        channel_ids,
    )
    sealed: dict[int, list[SealedCredential]] = {}
    for row in await connection.fetch(
        "select id, channel_id, master, nonce, ciphertext, weight, limits from credentials"
        " where $1::bigint[] is null or channel_id = any($1) order by id",
        channel_ids,
    ):
        credential = SealedCredential(
            id=row["id"],
            master=row["master"],
            nonce=row["nonce"],
            ciphertext=row["ciphertext"],
            weight=row["weight"],
            limits=decode_credential_limits(row["limits"]),
        )
        sealed.setdefault(row["channel_id"], []).append(credential)
    costs = await costs_in_force(connection, channel_ids)
    return [_channel(row, sealed.get(row["id"], []), costs.get(row["id"], {})) for row in rows]


def _channel(row: asyncpg.Record, credentials: list[SealedCredential], costs: Mapping[str, Prices]) -> ChannelSnapshot:
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
        drained=channel.drained,
        credential_order=channel.credential_order,
        limits=channel.limits,
        overrides=channel.overrides,
        headers=channel.headers,
        status_map=channel.status_map,
        probe=channel.probe,
        costs=_blended(channel.models, costs),
    )


def _blended(models: Iterable[str], costs: Mapping[str, Prices]) -> dict[str, int]:
    blended = {model: blended_nano(costs[model]) for model in models if model in costs}
    return {model: nano for model, nano in blended.items() if nano is not None}


async def enqueue_models(connection: Connection, names: Iterable[str] | None) -> set[str]:
    """Project models with the prices in force, all without names, and return their tokens.

    A model that no channel serves has no groups.
    """
    rows = await connection.fetch(
        f"select v.*, extract(epoch from v.created_at)::bigint as created,"  # noqa: S608 - constants
        " array(select distinct g from channels c cross join unnest(c.groups) g"
        "  where c.enabled and c.models ? v.name order by g) as groups"
        f" from ({MODELS_WITH_PRICES}) v where $1::text[] is null or v.name = any($1) order by v.id",
        None if names is None else list(names),
    )
    groups = {group.name: group for group in await read_groups(connection)}
    entries = [
        (subjects.KV_MODELS, subjects.kv_token(row["name"]), snapshots.encode(_model(row, groups))) for row in rows
    ]
    await _append(connection, entries)
    return {token for _, token, _ in entries}


def _model(row: asyncpg.Record, all_groups: Mapping[str, Group]) -> ModelSnapshot:
    model, names = model_of(row), tuple(row["groups"])
    groups = [all_groups[name] for name in names if name in all_groups]
    return ModelSnapshot(
        name=model.name,
        groups=names,
        lane=model.lane,
        created=row["created"],
        owned_by=model.owned_by,
        prices=model.prices,
        free=model.free,
        multipliers_ppm={
            group.name: group.multiplier_ppm for group in groups if group.multiplier_ppm != PARTS_PER_MILLION
        },
        routing=model.routing,
        strategies={group.name: group.strategy for group in groups if group.strategy is not None},
    )


async def models_of_groups(connection: Connection, groups: list[str]) -> set[str]:
    """Return the names of the models that a channel of one of these groups serves."""
    rows = await connection.fetch(
        "select distinct jsonb_object_keys(models) as name from channels where enabled and groups && $1", groups
    )
    return {row["name"] for row in rows}


async def enqueue_settings(connection: Connection) -> set[str]:
    """Project all settings and return their tokens."""
    rows = await connection.fetch("select name, value from settings order by name")
    await _append(connection, [(subjects.KV_SETTINGS, row["name"], row["value"].encode()) for row in rows])
    return {row["name"] for row in rows}
