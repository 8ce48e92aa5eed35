"""Accounts and their credit."""

from aiohttp import web
from msgspec import UNSET

from services.console.context import Context
from services.console.http import answer, bad_request, read_struct, refuse
from trunkline.policy.admin_accounts import AccountChange, CreditRequest, CreditResult, NewAccount
from trunkline.policy.admin_api import PREFIX
from trunkline.policy.configuration import AccountEntry, Configuration
from trunkline.policy.configuration_checks import Checker
from trunkline.policy.configuration_values import check_reference, nano_amount
from trunkline.policy.strict import FaultList
from trunkline.store import account_views, holders, ledger
from trunkline.store.configuration import ConflictError, read_names
from trunkline.store.configuration_writes import find_account


class AccountsAPI:
    """Handlers under ``/accounts`` but for users, keys, limits and budgets.

    Args:
        context: of the console.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        account = f"{PREFIX}/accounts/{{account}}"
        return [
            web.get(f"{PREFIX}/accounts", self._list),
            web.post(f"{PREFIX}/accounts", self._create),
            web.get(account, self._show),
            web.patch(account, self._change),
            web.post(f"{account}/credit", self._credit),
        ]

    async def _list(self, _request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(await account_views.accounts(connection))

    async def _show(self, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer((await account_views.accounts(connection, request.match_info["account"]))[0])

    async def _create(self, request: web.Request) -> web.Response:
        new = await read_struct(request, NewAccount)
        entry = AccountEntry(
            name=new.name,
            tier=new.tier,
            time_zone=new.time_zone,
            credit=new.credit,
            limits=new.limits,
            budgets=new.budgets,
            trial=new.trial,
            alerts=new.alerts,
        )
        async with self._context.changing() as connection:
            faults = FaultList()
            Checker(await read_names(connection, []), faults).account(entry, "account")
            refuse(faults)
            if await connection.fetchval("select exists (select from accounts where name = $1)", new.name):
                raise ConflictError(f"there is an account {new.name!r} already")
            await self._context.apply(connection, Configuration(accounts=(entry,)))
            return answer((await account_views.accounts(connection, new.name))[0], 201)

    async def _change(self, request: web.Request) -> web.Response:
        change = await read_struct(request, AccountChange)
        async with self._context.changing() as connection:
            there = (await account_views.accounts(connection, request.match_info["account"]))[0]
            tier = there.tier if change.tier is UNSET else change.tier
            time_zone = there.time_zone if change.time_zone is UNSET else change.time_zone
            faults = FaultList()
            Checker(await read_names(connection, []), faults).account_terms(tier, time_zone, "")
            refuse(faults)
            await holders.change_account(connection, there.name, tier=tier, time_zone=time_zone)
            return answer((await account_views.accounts(connection, there.name))[0])

    async def _credit(self, request: web.Request) -> web.Response:
        wanted = await read_struct(request, CreditRequest)
        try:
            check_reference(wanted.reference)
            amount_nano = nano_amount(wanted.usd)
        except ValueError as error:
            raise bad_request(f"The amount or its reference {error}.") from error
        if amount_nano == 0:
            raise bad_request("The amount must be more than 0 USD.")
        async with self._context.database.transaction() as connection:
            account_id = await find_account(connection, request.match_info["account"])
            granted = await ledger.grant_credit(connection, account_id, amount_nano, wanted.reference)
            return answer(CreditResult(granted, await ledger.balance(connection, account_id)))
