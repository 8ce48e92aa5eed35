"""Accounts, their credit and their keys."""

import secrets

from aiohttp import web

from services.console.context import Context
from services.console.http import answer, bad_request, read_struct
from trunkline.policy import keys as key_rules
from trunkline.policy.admin_api import PREFIX, CreatedKey, CreditRequest, CreditResult, NewAccount, NewKey
from trunkline.policy.changes import PREFIX_CHARS, moment_ms
from trunkline.policy.configuration import AccountEntry, BudgetsEntry, Configuration, ConfigurationError, Names
from trunkline.policy.configuration_checks import Checker
from trunkline.policy.configuration_values import check_name, nano_amount, normal_network
from trunkline.policy.entities import Key
from trunkline.policy.strict import FaultList
from trunkline.store import edits, ledger, outbox, views
from trunkline.store.configuration import ConflictError, read_names
from trunkline.store.configuration_writes import find_account, put_key
from trunkline.store.database import Connection

RANDOM_BYTES = 64
REFERENCE_CHARS_MAX = 128


class AccountsAPI:
    """Handlers under ``/accounts`` and ``/keys``.

    Args:
        context: of the console.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        account = f"{PREFIX}/accounts/{{account}}"
        key = f"{account}/keys/{{key}}"
        return [
            web.get(f"{PREFIX}/accounts", self._list),
            web.post(f"{PREFIX}/accounts", self._create),
            web.get(account, self._show),
            web.post(f"{account}/credit", self._credit),
            web.get(f"{PREFIX}/keys", self._list_keys),
            web.get(f"{account}/keys", self._list_keys),
            web.post(f"{account}/keys", self._create_key),
            web.get(key, self._show_key),
            web.post(f"{key}/block", self._block),
            web.post(f"{key}/unblock", self._unblock),
            web.delete(key, self._delete_key),
        ]

    async def _list(self, _request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(await views.accounts(connection))

    async def _show(self, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer((await views.accounts(connection, request.match_info["account"]))[0])

    async def _create(self, request: web.Request) -> web.Response:
        new = await read_struct(request, NewAccount)
        budgets = BudgetsEntry(daily=new.daily, monthly=new.monthly)
        entry = AccountEntry(name=new.name, tier=new.tier, credit=new.credit, budgets=budgets)
        async with self._context.changing() as connection:
            await _check_account(connection, entry)
            if await connection.fetchval("select exists (select from accounts where name = $1)", new.name):
                raise ConflictError(f"there is an account {new.name!r} already")
            await self._context.apply(connection, Configuration(accounts=(entry,)))
            return answer((await views.accounts(connection, new.name))[0], 201)

    async def _credit(self, request: web.Request) -> web.Response:
        wanted = await read_struct(request, CreditRequest)
        try:
            check_name(wanted.reference, chars_max=REFERENCE_CHARS_MAX, slash=True)
            amount_nano = nano_amount(wanted.usd)
        except ValueError as error:
            raise bad_request(f"The amount or its reference {error}.") from error
        if amount_nano == 0:
            raise bad_request("The amount must be more than 0 USD.")
        async with self._context.database.transaction() as connection:
            account_id = await find_account(connection, request.match_info["account"])
            granted = await ledger.grant_credit(connection, account_id, amount_nano, wanted.reference)
            return answer(CreditResult(granted, await ledger.balance(connection, account_id)))

    async def _list_keys(self, request: web.Request) -> web.Response:
        account = request.match_info.get("account")
        async with self._context.database.connection() as connection:
            if account is not None:
                await find_account(connection, account)
            return answer(await views.keys(connection, account))

    async def _show_key(self, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer((await views.keys(connection, *_key_named(request)))[0])

    async def _create_key(self, request: web.Request) -> web.Response:
        new = await read_struct(request, NewKey)
        account = request.match_info["account"]
        secret = key_rules.mint(secrets.token_bytes(RANDOM_BYTES))
        key = Key(
            account=account,
            name=new.name,
            hash=key_rules.key_hash(secret, self._context.pepper),
            prefix=secret[:PREFIX_CHARS],
            groups=new.groups,
            models=new.models,
            expires_ms=moment_ms(new.expires),
            allow_ips=new.allow_ips,
        )
        async with self._context.changing() as connection:
            account_id = await find_account(connection, account)
            await _check_key(connection, new)
            if await connection.fetchval(
                "select exists (select from keys where account_id = $1 and name = $2)", account_id, new.name
            ):
                raise ConflictError(f"there is a key {account}/{new.name} already")
            await outbox.enqueue_keys(connection, [await put_key(connection, _normal(key))])
            return answer(CreatedKey(secret, (await views.keys(connection, account, new.name))[0]), 201)

    async def _block(self, request: web.Request) -> web.Response:
        return await self._set_blocked(request, blocked=True)

    async def _unblock(self, request: web.Request) -> web.Response:
        return await self._set_blocked(request, blocked=False)

    async def _set_blocked(self, request: web.Request, *, blocked: bool) -> web.Response:
        account, key = _key_named(request)
        async with self._context.changing() as connection:
            await edits.set_key_blocked(connection, account, key, blocked)
            return answer((await views.keys(connection, account, key))[0])

    async def _delete_key(self, request: web.Request) -> web.Response:
        async with self._context.changing() as connection:
            await edits.delete_key(connection, *_key_named(request))
        return web.Response(status=204)


def _key_named(request: web.Request) -> tuple[str, str]:
    return request.match_info["account"], request.match_info["key"]


def _normal(key: Key) -> Key:
    return Key(
        key.account,
        key.name,
        key.hash,
        key.prefix,
        key.groups,
        key.models,
        key.expires_ms,
        tuple(normal_network(network) for network in key.allow_ips),
    )


async def _check_account(connection: Connection, entry: AccountEntry) -> None:
    faults = FaultList()
    Checker(await read_names(connection), faults).account(entry, "account")
    if faults.faults:
        raise ConfigurationError(faults.faults)


async def _check_key(connection: Connection, new: NewKey) -> None:
    faults = FaultList()
    names: Names = await read_names(connection)
    Checker(names, faults).key_permissions(new.groups, new.models, new.allow_ips, "")
    try:
        check_name(new.name)
    except ValueError as error:
        faults.add("name", str(error))
    if faults.faults:
        raise ConfigurationError(faults.faults)
