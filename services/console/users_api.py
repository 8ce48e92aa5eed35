"""Users of accounts."""

from aiohttp import web

from services.console.context import Context
from services.console.http import answer, bind, read_struct, refuse
from services.console.members_api import refuse_above
from trunkline.policy.admin_accounts import NewUser, UserChange
from trunkline.policy.configuration import UserEntry
from trunkline.policy.configuration_checks import Checker
from trunkline.policy.configuration_values import nano_budgets
from trunkline.policy.entities import User
from trunkline.policy.operations import users
from trunkline.policy.strict import FaultList
from trunkline.store import account_views, holders, members
from trunkline.store.configuration import ConflictError, read_names
from trunkline.store.configuration_writes import find_account, put_user
from trunkline.store.database import Connection


class UsersAPI:
    """Handlers under ``/users`` and ``/accounts/{account}/users``, but for limits and budgets.

    Args:
        context: of the console.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            bind(users.LIST_ALL, self._list),
            bind(users.LIST, self._list),
            bind(users.CREATE, self._create),
            bind(users.SHOW, self._show),
            bind(users.RENAME, self._rename),
            bind(users.DELETE, self._delete),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        account = request.match_info.get("account")
        async with self._context.database.connection() as connection:
            if account is not None:
                await find_account(connection, account)
            return answer(await account_views.users(connection, account))

    async def _show(self, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer((await account_views.users(connection, *_named(request)))[0])

    async def _create(self, request: web.Request) -> web.Response:
        new = await read_struct(request, NewUser)
        account = request.match_info["account"]
        async with self._context.changing() as connection:
            account_id = await find_account(connection, account)
            await _check(connection, UserEntry(name=new.name, limits=new.limits, budgets=new.budgets))
            if await connection.fetchval(
                "select exists (select from users where account_id = $1 and name = $2)", account_id, new.name
            ):
                raise ConflictError(f"there is a user {account}/{new.name} already")
            await put_user(connection, User(account, new.name, new.limits, nano_budgets(new.budgets)))
            return answer((await account_views.users(connection, account, new.name))[0], 201)

    async def _rename(self, request: web.Request) -> web.Response:
        name = (await read_struct(request, UserChange)).name
        account, user = _named(request)
        async with self._context.changing() as connection:
            await _check(connection, UserEntry(name=name))
            await holders.rename_user(connection, account, user, name)
            return answer((await account_views.users(connection, account, name))[0])

    async def _delete(self, request: web.Request) -> web.Response:
        account, user = _named(request)
        async with self._context.changing() as connection:
            member = await members.find_member(connection, account, user)
            if member is not None and member.login_id is not None:
                refuse_above(request, account, member.role)
                await members.keep_an_owner(connection, account, member)
            await holders.delete_user(connection, account, user)
        return web.Response(status=204)


def _named(request: web.Request) -> tuple[str, str]:
    return request.match_info["account"], request.match_info["user"]


async def _check(connection: Connection, entry: UserEntry) -> None:
    faults = FaultList()
    Checker(await read_names(connection, []), faults).user(entry, "")
    refuse(faults)
