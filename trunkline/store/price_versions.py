"""The history of prices: what is there, what is added, and what is taken back before its time. Called by the console.

Versions are only ever added, each with the moment from which it holds; the newest of those whose moment has come is in
force. One whose moment is still to come may be withdrawn. Writers hold `configuration.lock_configuration`; moments are
those of statements, so that a version that is added later begins later.
"""

import datetime as dt

import asyncpg

from trunkline.policy.admin_api import PriceVersionView
from trunkline.policy.entities import Prices
from trunkline.store import outbox
from trunkline.store.configuration import (
    ConflictError,
    NotFoundError,
    decode_prices,
    find_model,
    json_text,
    lock_configuration,
)
from trunkline.store.configuration_writes import find_channel
from trunkline.store.database import Connection

VERSIONS_MAX = 1000
"""Versions of one history that are shown, the newest; a daily price has as many in three years."""

WITHDRAW_BEFORE_S = 5
"""How long before its moment a version can be withdrawn at the latest: metering, which has it in memory for up to a
second, must not book a charge that names a version that is gone."""

_STATE = """
    case when v.effective_from > statement_timestamp() then 'to come'
         when row_number() over (partition by {partition} v.effective_from <= statement_timestamp()
                                 order by v.effective_from desc, v.id desc) = 1 then 'in force'
         else 'past' end as state
"""


async def add_model_version(
    connection: Connection,
    model: str,
    prices: Prices,
    source: str,
    *,
    overrides: Prices | None = None,
    effective_from: dt.datetime | None = None,
) -> None:
    """Add a version of a model's prices.

    Its caller projects the model; a version that is to come is projected when its moment comes (`project_due`).

    Args:
        connection: in a transaction.
        model: there must be one of the name.
        prices: all of them.
        source: see `entities.Model`.
        overrides: see there.
        effective_from: from when it holds; None, or a moment that has passed, means now.
    """
    row = await connection.fetchrow(
        "insert into model_prices (model, effective_from, prices, source, overrides)"
        " values ($1, greatest($2::timestamptz, statement_timestamp()), $3, $4, $5)"
        " returning id, effective_from, effective_from > statement_timestamp() as to_come",
        model,
        effective_from,
        json_text(prices),
        source,
        json_text(overrides or {}),
    )
    if row["to_come"]:
        await connection.execute(
            "insert into price_changes_due (version, model, effective_from) values ($1, $2, $3)",
            row["id"],
            model,
            row["effective_from"],
        )


async def add_cost_version(
    connection: Connection, channel_id: int, model: str, prices: Prices, effective_from: dt.datetime | None = None
) -> None:
    """Add a version of what a channel's provider asks for a model; arguments and projection as `add_model_version`."""
    row = await connection.fetchrow(
        "insert into channel_costs (channel_id, model, effective_from, prices)"
        " values ($1, $2, greatest($3::timestamptz, statement_timestamp()), $4)"
        " returning id, effective_from, effective_from > statement_timestamp() as to_come",
        channel_id,
        model,
        effective_from,
        json_text(prices),
    )
    if row["to_come"]:
        await connection.execute(
            "insert into cost_changes_due (version, channel_id, effective_from) values ($1, $2, $3)",
            row["id"],
            channel_id,
            row["effective_from"],
        )


async def model_versions(connection: Connection, model: str) -> list[PriceVersionView]:
    """Return a model's price versions, the newest first.

    Raises:
        NotFoundError: there is no such model.
    """
    await find_model(connection, model)
    rows = await connection.fetch(
        f"select v.id, v.model, v.effective_from, v.prices, v.source, v.overrides, v.created_at,"  # noqa: S608 - constants
        f" {_STATE.format(partition='')} from model_prices v where v.model = $1"
        " order by v.effective_from desc, v.id desc limit $2",
        model,
        VERSIONS_MAX,
    )
    return [_version_of(row) for row in rows]


async def versions_to_come(connection: Connection) -> dict[str, list[PriceVersionView]]:
    """Return the versions of all models' prices that are not in force yet, by model, the earliest first."""
    rows = await connection.fetch(
        "select id, model, effective_from, prices, source, overrides, created_at, 'to come' as state"
        " from model_prices where effective_from > statement_timestamp()"
        " order by effective_from, id limit $1",
        VERSIONS_MAX,
    )
    found: dict[str, list[PriceVersionView]] = {}
    for row in rows:
        found.setdefault(row["model"], []).append(_version_of(row))
    return found


def _version_of(row: asyncpg.Record) -> PriceVersionView:
    return PriceVersionView(
        **{**row, "prices": decode_prices(row["prices"]), "overrides": decode_prices(row["overrides"])}
    )


async def cost_versions(connection: Connection, channel: str, model: str | None = None) -> list[PriceVersionView]:
    """Return the versions of a channel's costs, by model and then the newest first; of one model if it is named.

    Raises:
        NotFoundError: there is no such channel.
    """
    rows = await connection.fetch(
        "select v.id, v.model, v.effective_from, v.prices, v.created_at,"  # noqa: S608 - constants
        f" {_STATE.format(partition='v.model,')} from channel_costs v"
        " where v.channel_id = $1 and ($2::text is null or v.model = $2)"
        " order by v.model, v.effective_from desc, v.id desc limit $3",
        await find_channel(connection, channel),
        model,
        VERSIONS_MAX,
    )
    return [PriceVersionView(**{**row, "prices": decode_prices(row["prices"])}) for row in rows]


async def withdraw_model_version(connection: Connection, model: str, version: int) -> None:
    """Take back a version of a model's prices that is still to come.

    Raises:
        NotFoundError: there is no such version.
        ConflictError: it is in force, or was, or is about to be.
    """
    there = await connection.fetchrow(
        "with gone as (delete from model_prices where model = $1 and id = $2"
        "  and effective_from > statement_timestamp() + $3 * interval '1 second' returning id)"
        " select effective_from, exists (select from gone) as gone from model_prices where model = $1 and id = $2",
        model,
        version,
        WITHDRAW_BEFORE_S,
    )
    _check_withdrawn(there, f"model {model!r}", version)


async def withdraw_cost_version(connection: Connection, channel: str, model: str, version: int) -> None:
    """Take back a version of a channel's costs that is still to come; raises as `withdraw_model_version`."""
    there = await connection.fetchrow(
        "with gone as (delete from channel_costs where channel_id = $1 and model = $2 and id = $3"
        "  and effective_from > statement_timestamp() + $4 * interval '1 second' returning id)"
        " select effective_from, exists (select from gone) as gone from channel_costs"
        " where channel_id = $1 and model = $2 and id = $3",
        await find_channel(connection, channel),
        model,
        version,
        WITHDRAW_BEFORE_S,
    )
    _check_withdrawn(there, f"channel {channel!r} for model {model!r}", version)


def _check_withdrawn(row: asyncpg.Record | None, whose: str, version: int) -> None:
    if row is None:
        raise NotFoundError(f"there is no version {version} of the prices of {whose}")
    if not row["gone"]:
        moment = row["effective_from"].astimezone(dt.UTC).isoformat(timespec="seconds")
        raise ConflictError(
            f"version {version} of the prices of {whose} holds from {moment} and can no longer be withdrawn; "
            "set new prices instead"
        )


async def project_due(connection: Connection) -> None:
    """Project anew the models and channels of which a version of prices or costs has come into force.

    Called by the projector, several times a second.

    Args:
        connection: outside of any transaction.
    """
    if not await connection.fetchval(
        "select exists (select from price_changes_due where effective_from <= statement_timestamp())"
        " or exists (select from cost_changes_due where effective_from <= statement_timestamp())"
    ):
        return
    async with connection.transaction():
        await lock_configuration(connection)
        channels = await connection.fetch(
            "delete from cost_changes_due where effective_from <= statement_timestamp() returning channel_id"
        )
        await outbox.enqueue_channels(connection, sorted({row["channel_id"] for row in channels}))
        models = await connection.fetch(
            "delete from price_changes_due where effective_from <= statement_timestamp() returning model"
        )
        await outbox.enqueue_models(connection, {row["model"] for row in models})
