"""Where an account could pay less for what it uses."""

import datetime as dt

from aiohttp import web

from services.console.context import Context
from services.console.http import answer, bind, own_user
from services.console.prices_api import asked_models, asked_month, compared
from trunkline.policy.admin_credit import Savings
from trunkline.policy.comparison import NOTE
from trunkline.policy.operations import savings
from trunkline.policy.savings import cheaper_models, unused_caches
from trunkline.store import comparison
from trunkline.store.configuration_writes import find_account
from trunkline.store.square import groups_of


class SavingsAPI:
    """Handlers of accounts' savings and comparisons.

    Args:
        context: of the console.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [bind(savings.SHOW, self._show), bind(savings.COMPARE, self._compare)]

    async def _show(self, request: web.Request) -> web.Response:
        account = request.match_info["account"]
        now_ms = self._context.clock.wall_ms()
        month = asked_month(request.query.get("month"), now_ms)
        async with self._context.database.connection() as connection:
            account_id = await find_account(connection, account)
            used = await comparison.month_usage(connection, account_id, month)
            prices = await comparison.prices_now(connection, account_id=account_id, month=month)
        return answer(
            Savings(
                account=account,
                month=f"{month:%Y-%m}",
                prices_at=dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC),
                note=NOTE,
                cheaper=tuple(cheaper_models(used, prices)),
                caching=tuple(unused_caches(used, prices)),
            )
        )

    async def _compare(self, request: web.Request) -> web.Response:
        account = request.match_info["account"]
        models = asked_models(request)
        now_ms = self._context.clock.wall_ms()
        month = asked_month(request.query.get("month"), now_ms)
        async with self._context.database.connection() as connection:
            account_id = await find_account(connection, account)
            used = await comparison.month_usage(connection, account_id, month, own_user(request))
            groups = await groups_of(connection, account)
            prices = await comparison.callable_prices(connection, groups, models)
        return answer(compared(account, month, now_ms, used, prices, models=models))
