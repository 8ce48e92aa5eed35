"""The price list that everybody may see."""

from collections.abc import Sequence

from aiohttp import web

from services.console.context import Context
from services.console.http import answer, bind
from services.console.remembered import FRESH_S, Remembered
from trunkline.policy.admin_prices import PublicPrices
from trunkline.policy.operations import public_prices as operations
from trunkline.store.database import Connection
from trunkline.store.public_prices import read_public_prices


class PublicPricesAPI:
    """Handler of ``/prices/public``.

    Args:
        context: of the console.
        groups: whose models are on the list.
    """

    def __init__(self, context: Context, groups: Sequence[str]) -> None:
        self._groups = groups
        self._prices = Remembered("prices", self._read, context.database, clock=context.clock)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [bind(operations.LIST, self._list)]

    async def _list(self, _request: web.Request) -> web.Response:
        response = answer(await self._prices.value())
        response.headers["cache-control"] = f"public, max-age={FRESH_S:.0f}"
        return response

    async def _read(self, connection: Connection) -> PublicPrices:
        return await read_public_prices(connection, self._groups)
