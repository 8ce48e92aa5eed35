"""Accounts and their credit."""

from aiohttp import web
from msgspec import UNSET

from services.console.context import Context
from services.console.http import RequestError, answer, bad_request, bind, caller_of, read_struct, refuse
from services.console.query import row_limit
from trunkline.core.errors import ErrorType
from trunkline.policy.admin_accounts import AccountChange, CreditRequest, CreditResult, NewAccount, PlaceView
from trunkline.policy.configuration import AccountEntry, Configuration
from trunkline.policy.configuration_checks import Checker
from trunkline.policy.configuration_values import check_reference, nano_amount
from trunkline.policy.logins.registration import check_groups
from trunkline.policy.meters import NO_LIMITS
from trunkline.policy.operations import accounts
from trunkline.policy.strict import FaultList
from trunkline.store import account_views, holders, ledger
from trunkline.store.configuration import ConflictError, read_names, read_tiers
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
        return [
            bind(accounts.LIST, self._list),
            bind(accounts.CREATE, self._create),
            bind(accounts.SHOW, self._show),
            bind(accounts.SHOW_PLACE, self._show_place),
            bind(accounts.CHANGE, self._change),
            bind(accounts.CREDIT, self._credit),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        search, after, limit = request.query.get("search"), request.query.get("after"), row_limit(request)
        async with self._context.database.connection() as connection:
            return answer(await account_views.accounts(connection, search=search, after=after, limit=limit))

    async def _show(self, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer((await account_views.accounts(connection, request.match_info["account"]))[0])

    async def _show_place(self, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            account = (await account_views.accounts(connection, request.match_info["account"]))[0]
            tiers = [] if account.tier is None else await read_tiers(connection, [account.tier])
        return answer(
            PlaceView(
                name=account.name,
                tier=account.tier,
                time_zone=account.time_zone,
                limits=account.limits,
                tier_limits=tiers[0].limits if tiers else NO_LIMITS,
                groups=account.groups,
            )
        )

    async def _create(self, request: web.Request) -> web.Response:
        new = await read_struct(request, NewAccount)
        entry = AccountEntry(
            name=new.name,
            tier=new.tier,
            time_zone=new.time_zone,
            groups=new.groups,
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
        if not caller_of(request).operator and (change.tier is not UNSET or change.groups is not UNSET):
            message = "Tier and groups of an account are for the site's operators to change."
            raise RequestError(403, ErrorType.POLICY_ACCESS_DENIED, message)
        async with self._context.changing() as connection:
            there = (await account_views.accounts(connection, request.match_info["account"]))[0]
            tier = there.tier if change.tier is UNSET else change.tier
            time_zone = there.time_zone if change.time_zone is UNSET else change.time_zone
            groups = there.groups if change.groups is UNSET else change.groups
            faults = FaultList()
            names = await read_names(connection, [])
            Checker(names, faults).account_terms(tier, time_zone, "")
            if change.groups is not UNSET:
                check_groups(groups, names, "groups", faults)
            refuse(faults)
            await holders.change_account(connection, there.name, tier=tier, time_zone=time_zone, groups=groups)
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
        async with self._context.transaction() as connection:
            account_id = await find_account(connection, request.match_info["account"])
            granted = await ledger.grant_credit(connection, account_id, amount_nano, wanted.reference)
            return answer(CreditResult(granted, await ledger.balance(connection, account_id)))
