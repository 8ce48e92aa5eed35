"""Invoices, whom they are made out to, and where accounts' people can pay in."""

import asyncio
import datetime as dt
from urllib.parse import quote

from aiohttp import web

from services.console.announcements_api import wanted_language
from services.console.context import Context
from services.console.http import answer, bad_request, bind, read_struct, refuse
from services.console.invoice_pdf import invoice_pdf
from services.console.streams import Room, asking_account, streaming
from trunkline.policy.admin_credit import TopUp
from trunkline.policy.invoices import BillingDetails, check_billing, parse_month
from trunkline.policy.operations import billing as operations
from trunkline.policy.strict import FaultList
from trunkline.store import invoices
from trunkline.store.configuration_writes import find_account

ACCOUNT_PLACE = "{account}"
"""What stands for the account's name in the URL of the page where people pay in."""


class BillingAPI:
    """Handlers of accounts' invoices, billing details and top-up page.

    Args:
        context: of the console.
        room: for long answers.
        issuer: who writes the invoices, of some lines.
        top_up_url: of the page where people pay in, with `ACCOUNT_PLACE`; empty for none.
    """

    def __init__(self, context: Context, room: Room, issuer: str, top_up_url: str) -> None:
        self._context = context
        self._room = room
        self._issuer = issuer
        self._top_up_url = top_up_url

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            bind(operations.LIST_INVOICES, self._list),
            bind(operations.SHOW_INVOICE, self._show),
            bind(operations.SHOW_BILLING, self._show_billing),
            bind(operations.SET_BILLING, self._set_billing),
            bind(operations.SHOW_TOP_UP, self._show_top_up),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            account_id = await find_account(connection, request.match_info["account"])
            return answer(await invoices.read_months(connection, account_id, self._now()))

    @streaming
    async def _show(self, request: web.Request) -> web.Response:
        month = parse_month(request.match_info["month"])
        if month is None:
            raise bad_request("The month must be one such as 2030-01.")
        language = wanted_language(request)
        with self._room.place(asking_account(request)):
            async with self._context.database.connection() as connection:
                account = request.match_info["account"]
                invoice = await invoices.read_invoice(connection, account, month, self._now())
            body = await asyncio.to_thread(invoice_pdf, invoice, self._issuer, language)
        name = f"invoice-{invoice.number}.pdf"
        headers = {"cache-control": "no-store", "content-disposition": f'inline; filename="{name}"'}
        return web.Response(body=body, content_type=operations.PDF, headers=headers)

    async def _show_billing(self, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            _, details = await invoices.read_billing(connection, request.match_info["account"])
        return answer(details)

    async def _set_billing(self, request: web.Request) -> web.Response:
        details = await read_struct(request, BillingDetails)
        faults = FaultList()
        check_billing(details, faults)
        refuse(faults)
        async with self._context.transaction() as connection:
            await invoices.put_billing(connection, request.match_info["account"], details)
        return answer(details)

    async def _show_top_up(self, request: web.Request) -> web.Response:
        account = request.match_info["account"]
        async with self._context.database.connection() as connection:
            await find_account(connection, account)
        page = self._top_up_url.replace(ACCOUNT_PLACE, quote(account, safe="")) or None
        return answer(TopUp(page))

    def _now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._context.clock.wall_ms() / 1000, dt.UTC)
