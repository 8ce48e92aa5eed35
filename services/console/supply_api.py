"""What uses groups and tiers, their end, and all models' prices at once."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence

from aiohttp import web

from services.console.context import Context
from services.console.http import answer, bind
from trunkline.policy.admin_supply import ModelPricing
from trunkline.policy.entities import Channel, Prices
from trunkline.policy.list_prices import Serving, list_prices
from trunkline.policy.operations import supply as operations
from trunkline.store import price_versions, uses
from trunkline.store.configuration import read_channels, read_models


class SupplyAPI:
    """Handlers of ``/group-uses``, ``/tier-uses`` and ``/pricing``, and of the end of groups and tiers.

    Args:
        context: of the console.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            bind(operations.LIST_GROUP_USES, self._group_uses),
            bind(operations.DELETE_GROUP, self._delete_group),
            bind(operations.LIST_TIER_USES, self._tier_uses),
            bind(operations.DELETE_TIER, self._delete_tier),
            bind(operations.LIST_PRICING, self._pricing),
        ]

    async def _group_uses(self, _request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(await uses.group_uses(connection))

    async def _delete_group(self, request: web.Request) -> web.Response:
        async with self._context.changing() as connection:
            await uses.delete_group(connection, request.match_info["name"])
        return web.Response(status=204)

    async def _tier_uses(self, _request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(await uses.tier_uses(connection))

    async def _delete_tier(self, request: web.Request) -> web.Response:
        async with self._context.changing() as connection:
            await uses.delete_tier(connection, request.match_info["name"])
        return web.Response(status=204)

    async def _pricing(self, _request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            models = [model.name for model in await read_models(connection)]
            channels = await read_channels(connection)
            to_come = await price_versions.versions_to_come(connection)
        # The lists are large: looking some hundred names up in them takes a while.
        listed = await asyncio.to_thread(_listed, models, channels, self._context.clock.wall_ms())
        return answer([ModelPricing(name, listed[name], tuple(to_come.get(name, ()))) for name in models])


def _listed(models: Iterable[str], channels: Sequence[Channel], now_ms: int) -> dict[str, Prices | None]:
    """Return what the installed list says of models by name."""
    servings: defaultdict[str, list[Serving]] = defaultdict(list)
    for channel in channels:
        for model, upstream_model in channel.models.items():
            servings[model].append(Serving(channel.dialect, channel.base_url, upstream_model))
    return {model: list_prices(model, servings[model], now_ms) for model in models}
