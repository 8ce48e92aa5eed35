"""The price book as it stands in the database. Called by metering."""

from collections import defaultdict
from typing import Annotated, NamedTuple

import asyncpg
import msgspec
import structlog

from trunkline.policy.discounts import Discounts, DiscountStep
from trunkline.policy.pricing import PriceBook, PriceVersion
from trunkline.store.database import Connection
from trunkline.store.discounts import read_steps

log = structlog.get_logger()

_decode_prices = msgspec.json.Decoder(dict[str, Annotated[int, msgspec.Meta(ge=0)]]).decode


class PriceMark(NamedTuple):
    """Tells one state of the prices from another. Versions are only ever added or, before their time, withdrawn.

    Attributes:
        models, costs: newest id and number of rows.
        groups: names and multipliers.
        discounts: steps of all schedules.
    """

    models: tuple[int, int]
    costs: tuple[int, int]
    groups: tuple[tuple[str, int], ...]
    discounts: tuple[DiscountStep, ...]


async def read_mark(connection: Connection) -> PriceMark:
    """Return the mark of what is there now; cheap enough for every second."""
    counts = await connection.fetchrow(
        "select (select coalesce(max(id), 0) from model_prices), (select count(*) from model_prices),"
        " (select coalesce(max(id), 0) from channel_costs), (select count(*) from channel_costs)"
    )
    groups = await connection.fetch("select name, multiplier_ppm from groups order by name")
    return PriceMark(
        models=(counts[0], counts[1]),
        costs=(counts[2], counts[3]),
        groups=tuple((row["name"], row["multiplier_ppm"]) for row in groups),
        discounts=await read_steps(connection),
    )


async def load_price_book(connection: Connection, mark: PriceMark) -> PriceBook:
    """Return all prices and costs, with the multipliers and discounts of ``mark``."""
    models: defaultdict[str, list[PriceVersion]] = defaultdict(list)
    costs: defaultdict[tuple[int, str], list[PriceVersion]] = defaultdict(list)
    effective = "(extract(epoch from effective_from) * 1000)::bigint as effective_from_ms"
    for row in await connection.fetch(f"select id, model, {effective}, prices from model_prices"):  # noqa: S608
        if (version := _version(row, "model_prices")) is not None:
            models[row["model"]].append(version)
    for row in await connection.fetch(f"select id, channel_id, model, {effective}, prices from channel_costs"):  # noqa: S608
        if (version := _version(row, "channel_costs")) is not None:
            costs[row["channel_id"], row["model"]].append(version)
    return PriceBook(models, costs, dict(mark.groups), Discounts(mark.discounts))


def _version(row: asyncpg.Record, table: str) -> PriceVersion | None:
    try:
        return PriceVersion(row["id"], row["effective_from_ms"], _decode_prices(row["prices"]))
    except msgspec.MsgspecError:
        # One unreadable row must not stop the settlement of all other models; its own events count as unpriced.
        log.error("price_version_unreadable", table=table, id=row["id"])  # noqa: TRY400 - the text quotes the row
        return None
