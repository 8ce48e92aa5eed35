"""What a comparison of models needs: an account's usage of a month, and prices. Called by the console."""

import datetime as dt
from collections.abc import Collection

from trunkline.core.usage import UNIT_KINDS, Units
from trunkline.policy.comparison import UsedUnits
from trunkline.policy.entities import Prices
from trunkline.store.configuration import MODELS_WITH_PRICES, NotFoundError, decode_prices
from trunkline.store.database import Connection
from trunkline.store.usage_rows import COMMON_KINDS

_PAID = {"output": "output + joined_output"}
_SUMS = ", ".join(
    f"sum({_PAID.get(kind, kind)})::bigint as {kind}"
    if kind in COMMON_KINDS
    else f"coalesce(sum((other_units ->> '{kind}')::bigint), 0)::bigint as {kind}"
    for kind in UNIT_KINDS
    if kind != "requests"
)


async def month_usage(
    connection: Connection, account_id: int, month: dt.date, user: str | None = None
) -> list[UsedUnits]:
    """Return what an account was to pay for among the attempts that began in a calendar month (UTC), added up.

    Args:
        connection: in any state.
        account_id: whose usage.
        month: its first day.
        user: only with keys of this user; None for all.
    """
    rows = await connection.fetch(
        f"select model, variant, multiplier_ppm, discount_ppm, {_SUMS}, count(*) as requests,"  # noqa: S608 - constants
        " sum(charge_nano)::bigint as charge_nano"
        " from usage where account_id = $1 and started_at >= $2 and started_at < $3 and charged"
        " and ($4::text is null or user_id = (select id from users where account_id = $1 and name = $4))"
        " group by model, variant, multiplier_ppm, discount_ppm order by 1, 2, 3, 4",
        account_id,
        *_span(month),
        user,
    )
    return [
        UsedUnits(
            model=row["model"],
            variant=row["variant"],
            multiplier_ppm=row["multiplier_ppm"],
            discount_ppm=row["discount_ppm"],
            units=Units(**{kind: row[kind] for kind in UNIT_KINDS}),
            charge_nano=row["charge_nano"],
        )
        for row in rows
    ]


def _span(month: dt.date) -> tuple[dt.datetime, dt.datetime]:
    """Return the first moment of a calendar month in UTC, and the first one after it."""
    years, months = divmod(month.month, 12)
    return (
        dt.datetime(month.year, month.month, 1, tzinfo=dt.UTC),
        dt.datetime(month.year + years, months + 1, 1, tzinfo=dt.UTC),
    )


async def prices_now(
    connection: Connection, *, account_id: int, month: dt.date, models: Collection[str] = ()
) -> dict[str, Prices]:
    """Return the prices of models that are in force.

    Args:
        connection: in any state.
        account_id: without ``models``, the prices are of those that a channel serves in a group that it used.
        month: when it used it.
        models: those to look at; one that has no price is left out.

    Raises:
        NotFoundError: there is no model of one of these names.
    """
    if models:
        known = await connection.fetch("select name from models where name = any($1)", list(models))
        if unknown := sorted(set(models) - {row["name"] for row in known}):
            raise NotFoundError(f"there is no model {unknown[0]!r}")
        names = list(models)
    else:
        served = await connection.fetch(
            "select distinct jsonb_object_keys(c.models) as name from channels c where c.enabled and c.groups && array("
            " select distinct group_name from usage where account_id = $1 and started_at >= $2 and started_at < $3)",
            account_id,
            *_span(month),
        )
        names = [row["name"] for row in served]
    return await _prices_of(connection, names)


async def callable_prices(
    connection: Connection, groups: Collection[str], models: Collection[str] = ()
) -> dict[str, Prices]:
    """Return the prices in force of models that can be called through some groups.

    Args:
        connection: in any state.
        groups: see there.
        models: only of these; of others nothing is said, not even whether they are there.
    """
    served = await connection.fetch(
        "select distinct jsonb_object_keys(c.models) as name from channels c"
        " where c.enabled and c.groups && $1::text[]",
        list(groups),
    )
    return await _prices_of(connection, [row["name"] for row in served if not models or row["name"] in models])


async def _prices_of(connection: Connection, names: list[str]) -> dict[str, Prices]:
    rows = await connection.fetch(
        f"select v.name, v.prices from ({MODELS_WITH_PRICES}) v where v.name = any($1) and v.prices is not null",  # noqa: S608 - constants
        names,
    )
    return {row["name"]: decode_prices(row["prices"]) for row in rows}
