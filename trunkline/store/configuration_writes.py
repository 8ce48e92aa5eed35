"""Writes configuration entities. Called by `store.apply` and the console, under `lock_configuration`."""

from collections.abc import Callable, Mapping

from trunkline.bus.snapshots import SealedCredential
from trunkline.policy.entities import (
    Account,
    Channel,
    Credential,
    DiscountSchedules,
    FreeTrial,
    Group,
    Model,
    SiteAlerts,
    Tier,
    User,
)
from trunkline.store.configuration import ALERTS_SETTING, TRIAL_SETTING, NotFoundError, json_text
from trunkline.store.database import Connection
from trunkline.store.discounts import SETTING
from trunkline.store.routing_column import routing_column

Seal = Callable[[int, str], SealedCredential]
"""Encrypts the secret of the credential with that id (`policy.vault.Vault.seal` with fresh randomness)."""


async def put_group(connection: Connection, group: Group) -> None:
    """Write a group."""
    await connection.execute(
        "insert into groups (name, multiplier_ppm, limits, strategy) values ($1, $2, $3, $4)"
        " on conflict (name) do update set multiplier_ppm = excluded.multiplier_ppm, limits = excluded.limits,"
        " strategy = excluded.strategy",
        group.name,
        group.multiplier_ppm,
        json_text(group.limits),
        group.strategy,
    )


async def put_tier(connection: Connection, tier: Tier) -> None:
    """Write a tier."""
    await connection.execute(
        "insert into tiers (name, limits, priority) values ($1, $2, $3)"
        " on conflict (name) do update set limits = excluded.limits, priority = excluded.priority",
        tier.name,
        json_text(tier.limits),
        tier.priority,
    )


async def put_account(connection: Connection, account: Account) -> int:
    """Write an account and return its id."""
    account_id: int = await connection.fetchval(
        "insert into accounts (name, tier, time_zone, limits, budgets, alerts, groups)"
        " values ($1, $2, $3, $4, $5, $6, $7)"
        " on conflict (name) do update set tier = excluded.tier, time_zone = excluded.time_zone,"
        " limits = excluded.limits, budgets = excluded.budgets, alerts = excluded.alerts, groups = excluded.groups"
        " returning id",
        account.name,
        account.tier,
        account.time_zone,
        json_text(account.limits),
        json_text(account.budgets),
        json_text(account.alerts),
        account.groups,
    )
    return account_id


async def put_user(connection: Connection, user: User) -> None:
    """Write a user.

    Raises:
        NotFoundError: there is no such account.
    """
    await connection.execute(
        "insert into users (account_id, name, limits, budgets) values ($1, $2, $3, $4)"
        " on conflict (account_id, name) do update set limits = excluded.limits, budgets = excluded.budgets",
        await find_account(connection, user.account),
        user.name,
        json_text(user.limits),
        json_text(user.budgets),
    )


async def put_model(connection: Connection, model: Model) -> None:
    """Write a model; its prices are versions of their own (`store.price_versions`)."""
    await connection.execute(
        "insert into models (name, lane, owned_by, free, routing) values ($1, $2, $3, $4, $5)"
        " on conflict (name) do update set lane = excluded.lane, owned_by = excluded.owned_by, free = excluded.free,"
        " routing = excluded.routing",
        model.name,
        model.lane,
        model.owned_by,
        model.free,
        json_text(model.routing),
    )


async def put_channel(connection: Connection, channel: Channel, secrets: Mapping[str, str], seal: Seal) -> int:
    """Write a channel, make its credentials those that it names, and return its id.

    Args:
        connection: in a transaction.
        channel: what to write.
        secrets: by fingerprint; those of credentials that are there already are not needed.
        seal: encrypts the new ones.
    """
    channel_id: int = await connection.fetchval(
        "insert into channels (name, dialect, base_url, models, groups, priority, weight, enabled, timeouts, params,"
        " stream_usage, options, drained, routing)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
        " on conflict (name) do update set dialect = excluded.dialect, base_url = excluded.base_url,"
        " models = excluded.models, groups = excluded.groups, priority = excluded.priority,"
        " weight = excluded.weight, enabled = excluded.enabled, timeouts = excluded.timeouts,"
        " params = excluded.params, stream_usage = excluded.stream_usage,"
        " options = excluded.options, drained = excluded.drained, routing = excluded.routing returning id",
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
        channel.drained,
        json_text(routing_column(channel)),
    )
    await connection.execute(
        "delete from credentials where channel_id = $1 and fingerprint <> all($2)",
        channel_id,
        [credential.fingerprint for credential in channel.credentials],
    )
    for credential in channel.credentials:
        if (secret := secrets.get(credential.fingerprint)) is not None:
            await put_credential(connection, channel_id, credential, secret, seal)
    return channel_id


async def put_credential(
    connection: Connection, channel_id: int, credential: Credential, secret: str, seal: Seal
) -> tuple[int, bool]:
    """Store an upstream secret, encrypted, or the weight and limits of one that is there.

    Returns:
        The credential's id, and whether it is new.
    """
    there: int | None = await connection.fetchval(
        "update credentials set weight = $3, limits = $4 where channel_id = $1 and fingerprint = $2 returning id",
        channel_id,
        credential.fingerprint,
        credential.weight,
        json_text(credential.limits),
    )
    if there is not None:
        return there, False
    # The id is part of what is authenticated, so it is drawn before the row is made.
    credential_id: int = await connection.fetchval("select nextval(pg_get_serial_sequence('credentials', 'id'))")
    sealed = seal(credential_id, secret)
    await connection.execute(
        "insert into credentials (id, channel_id, fingerprint, master, nonce, ciphertext, weight, limits)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8)",
        credential_id,
        channel_id,
        credential.fingerprint,
        sealed.master,
        sealed.nonce,
        sealed.ciphertext,
        credential.weight,
        json_text(credential.limits),
    )
    return credential_id, True


async def put_discounts(connection: Connection, schedules: DiscountSchedules) -> None:
    """Write the volume discounts of all tiers."""
    await connection.execute(
        "insert into settings (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value",
        SETTING,
        json_text(schedules.steps),
    )


async def put_console_setting(connection: Connection, setting: FreeTrial | SiteAlerts) -> None:
    """Write what there is one of and the console alone reads."""
    name, value = (TRIAL_SETTING, setting) if isinstance(setting, FreeTrial) else (ALERTS_SETTING, setting.alerts)
    await connection.execute(
        "insert into console_settings (name, value) values ($1, $2)"
        " on conflict (name) do update set value = excluded.value",
        name,
        json_text(value),
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
