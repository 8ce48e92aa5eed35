"""Configuration as people see it, for the admin API. Read only; secrets are not among it."""

from collections.abc import Iterable

from trunkline.policy.admin_api import ChannelView, CredentialView, ModelView
from trunkline.policy.entities import Channel, Model, Prices
from trunkline.store.configuration import (
    CHANNEL_COLUMNS,
    MODELS_WITH_PRICES,
    NotFoundError,
    channel_of,
    costs_in_force,
    decode_credential_limits,
    model_of,
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
        f"select {CHANNEL_COLUMNS} from channels c"  # noqa: S608 - constants
        " where $1::text is null or c.name = $1 order by c.name limit $2",
        name,
        LIST_MAX,
    )
    if name is not None and not rows:
        raise NotFoundError(f"there is no channel {name!r}")
    ids = [row["id"] for row in rows]
    credentials, costs = await _credentials(connection, ids), await costs_in_force(connection, ids)
    return [
        _channel(row["id"], channel_of(row), credentials.get(row["id"], ()), costs.get(row["id"], {})) for row in rows
    ]


async def _credentials(connection: Connection, channel_ids: list[int]) -> dict[int, list[CredentialView]]:
    found: dict[int, list[CredentialView]] = {}
    for row in await connection.fetch(
        "select id, channel_id, fingerprint, weight, limits, created_at from credentials"
        " where channel_id = any($1) order by id",
        channel_ids,
    ):
        limits = decode_credential_limits(row["limits"])
        view = CredentialView(row["id"], row["fingerprint"][:MARK_CHARS], row["created_at"], row["weight"], limits)
        found.setdefault(row["channel_id"], []).append(view)
    return found


def _channel(
    channel_id: int, channel: Channel, credentials: Iterable[CredentialView], costs: dict[str, Prices]
) -> ChannelView:
    return ChannelView(
        id=channel_id,
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
        credentials=tuple(credentials),
        costs=costs,
        drained=channel.drained,
        credential_order=channel.credential_order,
        limits=channel.limits,
        overrides=channel.overrides,
        headers=channel.headers,
        status_map=channel.status_map,
        probe=channel.probe,
    )


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
    return [_model_view(model_of(row), tuple(row["channels"])) for row in rows]


def _model_view(model: Model, channels: tuple[str, ...]) -> ModelView:
    return ModelView(
        name=model.name,
        lane=model.lane,
        owned_by=model.owned_by,
        free=model.free,
        prices=model.prices,
        price_source=model.price_source,
        channels=channels,
        overrides=model.overrides,
        routing=model.routing,
    )
