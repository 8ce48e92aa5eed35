"""Writes configuration entities. Called by `store.apply` and the console, under `lock_configuration`."""

from collections.abc import Callable, Mapping

from trunkline.bus.snapshots import SealedCredential
from trunkline.policy.entities import Account, Channel, Cost, Group, Key, Model, Tier
from trunkline.store.configuration import ConflictError, NotFoundError, json_text, moment
from trunkline.store.database import Connection

Seal = Callable[[int, str], SealedCredential]
"""Encrypts the secret of the credential with that id (`policy.vault.Vault.seal` with fresh randomness)."""


async def put_group(connection: Connection, group: Group) -> None:
    """Write a group."""
    await connection.execute(
        "insert into groups (name, multiplier_ppm) values ($1, $2)"
        " on conflict (name) do update set multiplier_ppm = excluded.multiplier_ppm",
        group.name,
        group.multiplier_ppm,
    )


async def put_tier(connection: Connection, tier: Tier) -> None:
    """Write a tier."""
    await connection.execute(
        "insert into tiers (name, rpm, rpd, tpm, tpd, images_per_minute, concurrency)"
        " values ($1, $2, $3, $4, $5, $6, $7)"
        " on conflict (name) do update set rpm = excluded.rpm, rpd = excluded.rpd, tpm = excluded.tpm,"
        " tpd = excluded.tpd, images_per_minute = excluded.images_per_minute, concurrency = excluded.concurrency",
        tier.name,
        tier.rpm,
        tier.rpd,
        tier.tpm,
        tier.tpd,
        tier.images_per_minute,
        tier.concurrency,
    )


async def put_account(connection: Connection, account: Account) -> int:
    """Write an account with its budgets and return its id."""
    account_id: int = await connection.fetchval(
        "insert into accounts (name, tier) values ($1, $2)"
        " on conflict (name) do update set tier = excluded.tier returning id",
        account.name,
        account.tier,
    )
    await connection.execute("delete from budgets where account_id = $1", account_id)
    for period, limit_nano in (("daily", account.daily_nano), ("monthly", account.monthly_nano)):
        if limit_nano is not None:
            await connection.execute(
                "insert into budgets (account_id, period, limit_nano) values ($1, $2, $3)",
                account_id,
                period,
                limit_nano,
            )
    return account_id


async def put_key(connection: Connection, key: Key) -> int:
    """Write a key and return its id; whether it is blocked stays as it is.

    Raises:
        ConflictError: another key has the same secret.
        NotFoundError: there is no such account.
    """
    account_id = await find_account(connection, key.account)
    other = await connection.fetchrow(
        "select a.name as account, k.name from keys k join accounts a on a.id = k.account_id"
        " where k.hash = $1 and (k.account_id, k.name) is distinct from ($2, $3)",
        key.hash,
        account_id,
        key.name,
    )
    if other is not None:
        raise ConflictError(
            f"the secret of key {key.account}/{key.name} is already that of key {other['account']}/{other['name']}"
        )
    key_id: int = await connection.fetchval(
        "insert into keys (account_id, name, hash, prefix, groups, models, expires_at, allow_ips)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8)"
        " on conflict (account_id, name) do update set hash = excluded.hash, prefix = excluded.prefix,"
        " groups = excluded.groups, models = excluded.models, expires_at = excluded.expires_at,"
        " allow_ips = excluded.allow_ips returning id",
        account_id,
        key.name,
        key.hash,
        key.prefix,
        key.groups,
        key.models,
        moment(key.expires_ms),
        key.allow_ips,
    )
    return key_id


async def put_model(connection: Connection, model: Model, prices_changed: bool) -> None:
    """Write a model, and a new version of its prices if they have changed."""
    await connection.execute(
        "insert into models (name, lane, owned_by, free) values ($1, $2, $3, $4)"
        " on conflict (name) do update set lane = excluded.lane, owned_by = excluded.owned_by, free = excluded.free",
        model.name,
        model.lane,
        model.owned_by,
        model.free,
    )
    if prices_changed:
        await connection.execute(
            "insert into model_prices (model, effective_from, prices, source) values ($1, now(), $2, $3)",
            model.name,
            json_text(model.prices),
            model.price_source,
        )


async def put_channel(connection: Connection, channel: Channel, secrets: Mapping[str, str], seal: Seal) -> int:
    """Write a channel, make its credentials those of its fingerprints, and return its id.

    Args:
        connection: in a transaction.
        channel: what to write.
        secrets: by fingerprint; those of credentials that are there already are not needed.
        seal: encrypts the new ones.
    """
    channel_id: int = await connection.fetchval(
        "insert into channels (name, dialect, base_url, models, groups, priority, weight, enabled, timeouts, params,"
        " stream_usage, options) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
        " on conflict (name) do update set dialect = excluded.dialect, base_url = excluded.base_url,"
        " models = excluded.models, groups = excluded.groups, priority = excluded.priority,"
        " weight = excluded.weight, enabled = excluded.enabled, timeouts = excluded.timeouts,"
        " params = excluded.params, stream_usage = excluded.stream_usage,"
        " options = excluded.options returning id",
        channel.name,
        channel.dialect,
        channel.base_url,
        json_text(channel.models),
        channel.groups,
        channel.priority,
        channel.weight,
        channel.enabled,
        json_text(channel.timeouts),
        json_text(channel.params),
        channel.stream_usage,
        json_text(channel.options),
    )
    await connection.execute(
        "delete from credentials where channel_id = $1 and fingerprint <> all($2)", channel_id, channel.fingerprints
    )
    for fingerprint in channel.fingerprints:
        if fingerprint in secrets:
            await add_credential(connection, channel_id, fingerprint, secrets[fingerprint], seal)
    return channel_id


async def add_credential(
    connection: Connection, channel_id: int, fingerprint: str, secret: str, seal: Seal
) -> tuple[int, bool]:
    """Store an upstream secret, encrypted, and return the credential's id and whether it is new."""
    there: int | None = await connection.fetchval(
        "select id from credentials where channel_id = $1 and fingerprint = $2", channel_id, fingerprint
    )
    if there is not None:
        return there, False
    # The id is part of what is authenticated, so it is drawn before the row is made.
    credential_id: int = await connection.fetchval("select nextval(pg_get_serial_sequence('credentials', 'id'))")
    sealed = seal(credential_id, secret)
    await connection.execute(
        "insert into credentials (id, channel_id, fingerprint, master, nonce, ciphertext)"
        " values ($1, $2, $3, $4, $5, $6)",
        credential_id,
        channel_id,
        fingerprint,
        sealed.master,
        sealed.nonce,
        sealed.ciphertext,
    )
    return credential_id, True


async def put_cost(connection: Connection, cost: Cost) -> None:
    """Write a new version of what a channel's provider asks for a model."""
    await connection.execute(
        "insert into channel_costs (channel_id, model, effective_from, prices) values ($1, $2, now(), $3)",
        await find_channel(connection, cost.channel),
        cost.model,
        json_text(cost.prices),
    )


async def find_account(connection: Connection, name: str) -> int:
    """Return an account's id.

    Raises:
        NotFoundError: there is none of that name.
    """
    account_id: int | None = await connection.fetchval("select id from accounts where name = $1", name)
    if account_id is None:
        raise NotFoundError(f"there is no account {name!r}")
    return account_id


async def find_channel(connection: Connection, name: str) -> int:
    """Return a channel's id.

    Raises:
        NotFoundError: there is none of that name.
    """
    channel_id: int | None = await connection.fetchval("select id from channels where name = $1", name)
    if channel_id is None:
        raise NotFoundError(f"there is no channel {name!r}")
    return channel_id
