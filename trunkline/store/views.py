"""Configuration as people see it, for the admin API. Read only; secrets are not among it."""

from trunkline.policy.admin_api import ChannelView, CredentialView, ModelView
from trunkline.policy.entities import Group, Prices, Tier
from trunkline.store.configuration import (
    CHANNEL_COLUMNS,
    MODELS_WITH_PRICES,
    NotFoundError,
    channel_of,
    decode_limits,
    decode_prices,
)
from trunkline.store.database import Connection

LIST_MAX = 10_000
"""Rows of one list; more is for a query, not for a person."""

MARK_CHARS = 8


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
        " where channel_id = any($1) and effective_from <= statement_timestamp()"
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
            overrides=decode_prices(row["overrides"]) if row["overrides"] else {},
            channels=tuple(row["channels"]),
        )
        for row in rows
    ]


async def groups(connection: Connection) -> list[Group]:
    """Return all groups."""
    rows = await connection.fetch("select name, multiplier_ppm, limits from groups order by name")
    return [Group(row["name"], row["multiplier_ppm"], decode_limits(row["limits"])) for row in rows]


async def tiers(connection: Connection) -> list[Tier]:
    """Return all tiers."""
    rows = await connection.fetch("select name, limits from tiers order by name")
    return [Tier(row["name"], decode_limits(row["limits"])) for row in rows]
