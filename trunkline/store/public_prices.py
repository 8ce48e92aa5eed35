"""The price list that everybody may see. Called by the console."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from trunkline.policy.admin_prices import PricesToCome, PublicGroup, PublicModel, PublicPrices
from trunkline.store.configuration import MODELS_WITH_PRICES, decode_prices, model_of
from trunkline.store.database import Connection

TO_COME_MAX: Final = 1000
"""Versions to come of all models together; the next ones."""

# Channels that take no jobs do not count, as on the status page (`store.health_history`).
_SERVED: Final = """
    select model, array_agg(distinct group_name order by group_name) as groups
    from channels, jsonb_object_keys(models) as model, unnest(groups) as group_name
    where enabled and not drained and weight > 0 and group_name = any($1::text[])
    group by model
"""


async def read_public_prices(connection: Connection, groups: Sequence[str]) -> PublicPrices:
    """Return the models that are served through some groups, with their prices; those without any are left out."""
    rows = await connection.fetch(
        "select name, multiplier_ppm from groups where name = any($1::text[]) order by name",
        list(groups),
    )
    named = tuple(PublicGroup(row["name"], row["multiplier_ppm"]) for row in rows)
    served = {row["model"]: tuple(row["groups"]) for row in await connection.fetch(_SERVED, list(groups))}
    to_come: defaultdict[str, list[PricesToCome]] = defaultdict(list)
    for row in await connection.fetch(
        "select model, effective_from, prices from model_prices"
        " where effective_from > statement_timestamp() and model = any($1::text[])"
        " order by effective_from, id limit $2",
        list(served),
        TO_COME_MAX,
    ):
        to_come[row["model"]].append(PricesToCome(row["effective_from"], decode_prices(row["prices"])))
    found = await connection.fetch(f"{MODELS_WITH_PRICES} where m.name = any($1::text[]) order by m.name", list(served))
    models = [
        PublicModel(model.name, served[model.name], model.free, model.prices, tuple(to_come[model.name]))
        for model in map(model_of, found)
        if model.prices or model.free
    ]
    at = await connection.fetchval("select statement_timestamp()")
    return PublicPrices(at, named, tuple(models))
