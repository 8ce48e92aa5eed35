"""Configuration as people see it, for the admin API. Read only; secrets are not among it."""

from trunkline.policy.admin_api import AccountView, ChannelView, CredentialView, KeyView, ModelView
from trunkline.policy.entities import Group, Prices, Tier
from trunkline.store import ledger
from trunkline.store.configuration import (
    CHANNEL_COLUMNS,
    MODELS_WITH_PRICES,
    NotFoundError,
    channel_of,
    decode_prices,
)
from trunkline.store.database import Connection

LIST_MAX = 10_000
"""Rows of one list; more is for a query, not for a person."""

MARK_CHARS = 8


async def accounts(connection: Connection, name: str | None = None) -> list[AccountView]:
    """Return accounts in the order of their names, or the one of that name.

    Raises:
        NotFoundError: there is none of that name.
    """
    rows = await connection.fetch(
        "select a.id, a.name, a.tier, a.created_at,"
        " (select limit_nano from budgets where account_id = a.id and period = 'daily') as daily_nano,"
        " (select limit_nano from budgets where account_id = a.id and period = 'monthly') as monthly_nano,"
        " (select count(*) from keys where account_id = a.id) as keys"
        " from accounts a where $1::text is null or a.name = $1 order by a.name limit $2",
        name,
        LIST_MAX,
    )
    if name is not None and not rows:
        raise NotFoundError(f"there is no account {name!r}")
    balances = await ledger.balances(connection, [row["id"] for row in rows])
    return [AccountView(**row, balance_nano=balances.get(row["id"], 0)) for row in rows]


async def keys(connection: Connection, account: str | None = None, key: str | None = None) -> list[KeyView]:
    """Return keys, all or an account's, or the one of that name.

    Raises:
        NotFoundError: ``key`` was given and is not there.
    """
    rows = await connection.fetch(
        "select k.id, a.name as account, k.name, k.prefix, k.groups, k.models, k.expires_at, k.allow_ips, k.blocked,"
        " k.created_at from keys k join accounts a on a.id = k.account_id"
        " where ($1::text is null or a.name = $1) and ($2::text is null or k.name = $2)"
        " order by a.name, k.name limit $3",
        account,
        key,
        LIST_MAX,
    )
    if key is not None and not rows:
        raise NotFoundError(f"there is no key {account}/{key}")
    lists = ("groups", "models", "allow_ips")
    return [KeyView(**{**row, **{name: tuple(row[name]) for name in lists}}) for row in rows]


async def channels(connection: Connection, name: str | None = None) -> list[ChannelView]:
    """Return channels in the order of their names, or the one of that name.

    Raises:
        NotFoundError: there is none of that name.
    """
    rows = await connection.fetch(
        f"select {CHANNEL_COLUMNS}, '{{}}'::text[] as fingerprints from channels c"  # noqa: S608 - constants
        " where $1::text is null or c.name = $1 order by c.name limit $2",
        name,
        LIST_MAX,
    )
    if name is not None and not rows:
        raise NotFoundError(f"there is no channel {name!r}")
    ids = [row["id"] for row in rows]
    credentials: dict[int, list[CredentialView]] = {}
    for row in await connection.fetch(
        "select id, channel_id, fingerprint, created_at from credentials where channel_id = any($1) order by id", ids
    ):
        view = CredentialView(row["id"], row["fingerprint"][:MARK_CHARS], row["created_at"])
        credentials.setdefault(row["channel_id"], []).append(view)
    costs: dict[int, dict[str, Prices]] = {}
    for row in await connection.fetch(
        "select distinct on (channel_id, model) channel_id, model, prices from channel_costs"
        " where channel_id = any($1) and effective_from <= now()"
        " order by channel_id, model, effective_from desc, id desc",
        ids,
    ):
        costs.setdefault(row["channel_id"], {})[row["model"]] = decode_prices(row["prices"])
    views = []
    for row in rows:
        channel = channel_of(row)
        views.append(
            ChannelView(
                id=row["id"],
                name=channel.name,
                dialect=channel.dialect,
                base_url=channel.base_url,
                models=channel.models,
                groups=channel.groups,
                priority=channel.priority,
                weight=channel.weight,
                enabled=channel.enabled,
                timeouts=channel.timeouts,
                params=channel.params,
                stream_usage=channel.stream_usage,
                options=channel.options,
                credentials=tuple(credentials.get(row["id"], ())),
                costs=costs.get(row["id"], {}),
            )
        )
    return views


async def models(connection: Connection, name: str | None = None) -> list[ModelView]:
    """Return models in the order of their names, or the one of that name.

    Raises:
        NotFoundError: there is none of that name.
    """
    rows = await connection.fetch(
        f"select v.*, array(select c.name from channels c where c.enabled and c.models ? v.name order by c.name)"  # noqa: S608 - constants
        f" as channels from ({MODELS_WITH_PRICES}) v where $1::text is null or v.name = $1"
        " order by v.name limit $2",
        name,
        LIST_MAX,
    )
    if name is not None and not rows:
        raise NotFoundError(f"there is no model {name!r}")
    return [
        ModelView(
            name=row["name"],
            lane=row["lane"],
            owned_by=row["owned_by"],
            free=row["free"],
            prices=decode_prices(row["prices"]) if row["prices"] else {},
            price_source=row["source"] or "",
            channels=tuple(row["channels"]),
        )
        for row in rows
    ]


async def groups(connection: Connection) -> list[Group]:
    """Return all groups."""
    return [Group(**row) for row in await connection.fetch("select name, multiplier_ppm from groups order by name")]


async def tiers(connection: Connection) -> list[Tier]:
    """Return all tiers."""
    rows = await connection.fetch(
        "select name, rpm, rpd, tpm, tpd, images_per_minute, concurrency from tiers order by name"
    )
    return [Tier(**row) for row in rows]
