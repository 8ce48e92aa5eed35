"""Alerts: when owners and operators are told, what they were told, and whether it arrived."""

from aiohttp import web

from services.console.context import Context
from services.console.http import answer, bind, caller_of, read_struct, refuse
from trunkline.policy.access import Access, Grant, decide
from trunkline.policy.admin_credit import AlertsView
from trunkline.policy.alert_checks import check_alerts
from trunkline.policy.alerts import TEST, AlertTerms, signing_secret
from trunkline.policy.configuration import AlertsEntry
from trunkline.policy.configuration_values import alert_terms
from trunkline.policy.operations import alerts as operations
from trunkline.policy.strict import FaultList
from trunkline.store import alerts
from trunkline.store.alerts import NewAlert
from trunkline.store.configuration import ConflictError, read_site_alerts
from trunkline.store.configuration_writes import find_account

SITE = "site"
"""What a test of the site's own addresses is about."""


class AlertsAPI:
    """Handlers of ``/alerts`` and of accounts' alerts.

    Args:
        context: of the console.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            bind(operations.LIST, self._list),
            bind(operations.SHOW_SITE, self._show_site),
            bind(operations.TEST_SITE, self._test_site),
            bind(operations.SHOW, self._show),
            bind(operations.PUT, self._put),
            bind(operations.HISTORY, self._history),
            bind(operations.TEST, self._test),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        account = request.query.get("account")
        async with self._context.database.connection() as connection:
            account_id = None if account is None else await find_account(connection, account)
            return answer(await alerts.list_alerts(connection, account_id=account_id))

    async def _show_site(self, _request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(self._view(None, await read_site_alerts(connection), may_change=True))

    async def _show(self, request: web.Request) -> web.Response:
        account = request.match_info["account"]
        async with self._context.database.connection() as connection:
            account_id, terms = await alerts.read_account_terms(connection, account)
        may_change = isinstance(decide(caller_of(request), Access.MONEY_WRITE, account), Grant)
        return answer(self._view(account_id, terms, may_change=may_change))

    async def _history(self, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            account_id = await find_account(connection, request.match_info["account"])
            return answer(await alerts.list_alerts(connection, account_id=account_id))

    async def _put(self, request: web.Request) -> web.Response:
        entry = await read_struct(request, AlertsEntry)
        faults = FaultList()
        check_alerts(entry, "", faults)
        refuse(faults)
        account = request.match_info["account"]
        async with self._context.changing() as connection:
            await alerts.put_account_terms(connection, account, alert_terms(entry))
            return answer(self._view(*await alerts.read_account_terms(connection, account), may_change=True))

    def _view(self, account_id: int | None, terms: AlertTerms, *, may_change: bool) -> AlertsView:
        return AlertsView(
            budget_percent=terms.budget_percent,
            balance_below_nano=terms.balance_below_nano,
            webhook=terms.webhook,
            email=terms.email,
            signing_secret=signing_secret(self._context.pepper, account_id) if may_change else None,
        )

    async def _test_site(self, _request: web.Request) -> web.Response:
        return await self._send_test(None)

    async def _test(self, request: web.Request) -> web.Response:
        return await self._send_test(request.match_info["account"])

    async def _send_test(self, account: str | None) -> web.Response:
        occasion = str(self._context.clock.wall_ms())
        async with self._context.transaction() as connection:
            account_id = None if account is None else await find_account(connection, account)
            subject = account or SITE
            alert = NewAlert(TEST, subject, {"account": subject}, occasion, account_id)
            alert_id = await alerts.raise_alert(connection, alert)
            if alert_id is None:
                raise ConflictError("a test was sent this very moment")
            # Its deliveries begin when this is committed.
            return answer((await alerts.list_alerts(connection, alert_id=alert_id))[0], 202)
