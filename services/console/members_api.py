"""Logins as users of accounts: who may do what there. Nobody gives or takes a role above their own."""

from aiohttp import web

from services.console.http import RequestError, answer, bad_request, bind, caller_of, read_struct, refuse
from services.console.identity import Identity
from services.console.query import boolean
from services.console.withdrawal import withdraw_keys
from trunkline.core.errors import ErrorType
from trunkline.policy.access import Role, Standing
from trunkline.policy.admin_identity import MemberChange, MemberRemoved, NewMember
from trunkline.policy.configuration import UserEntry
from trunkline.policy.configuration_checks import Checker
from trunkline.policy.entities import User
from trunkline.policy.logins.registration import LoginState
from trunkline.policy.operations import members as operations
from trunkline.policy.operations.parameters import WITHDRAW_KEYS
from trunkline.policy.strict import FaultList
from trunkline.store import account_views, key_blocks, members
from trunkline.store.configuration import ConflictError, NotFoundError, read_names
from trunkline.store.configuration_writes import find_account, put_user
from trunkline.store.database import Connection
from trunkline.store.logins import find_login
from trunkline.store.members import Member


class MembersAPI:
    """Handlers under ``/accounts/{account}/members``.

    Args:
        identity: see there.
    """

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._context = identity.context

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            bind(operations.ADD, self._add),
            bind(operations.CHANGE, self._change),
            bind(operations.REMOVE, self._remove),
            bind(operations.LIST_KEYS, self._list_keys),
        ]

    async def _add(self, request: web.Request) -> web.Response:
        new = await read_struct(request, NewMember)
        account = request.match_info["account"]
        refuse_above(request, account, new.role)
        async with self._context.changing() as connection:
            await find_account(connection, account)
            login = await find_login(connection, new.login)
            if login is None or login.state is not LoginState.ACTIVE:
                raise bad_request(f"There is no login {new.login!r} that may sign in.")
            if await members.is_member(connection, account, login.id):
                raise ConflictError(f"login {login.name!r} is a user of account {account!r} already")
            user = login.name if new.user is None else new.user
            member = await _place(connection, account, user)
            await members.set_member(connection, member.id, login.id, new.role)
            view = (await account_views.users(connection, account, user))[0]
        self._identity.sessions.forget()
        return answer(view, 201)

    async def _change(self, request: web.Request) -> web.Response:
        role = (await read_struct(request, MemberChange)).role
        account, user = request.match_info["account"], request.match_info["user"]
        async with self._context.changing() as connection:
            member = await members.require_member(connection, account, user)
            refuse_above(request, account, role)
            refuse_above(request, account, member.role)
            await members.set_role(connection, account, member, role)
            view = (await account_views.users(connection, account, user))[0]
        self._identity.sessions.forget()
        return answer(view)

    async def _remove(self, request: web.Request) -> web.Response:
        account, user = request.match_info["account"], request.match_info["user"]
        shown = boolean(request, WITHDRAW_KEYS.name)
        async with self._context.changing() as connection:
            member = await members.require_member(connection, account, user)
            refuse_above(request, account, member.role)
            held = await key_blocks.held_keys(connection, member.login_id, account, shown=shown)
            await members.remove_member(connection, account, member)
            blocked = await withdraw_keys(connection, request, held)
        self._identity.sessions.forget()
        return answer(MemberRemoved(blocked))

    async def _list_keys(self, request: web.Request) -> web.Response:
        account, user = request.match_info["account"], request.match_info["user"]
        async with self._context.database.connection() as connection:
            member = await members.require_member(connection, account, user)
            held = await key_blocks.held_keys(connection, member.login_id, account)
            return answer(await account_views.keys(connection, ids=[key.id for key in held]))


def refuse_above(request: web.Request, account: str, role: Role) -> None:
    """Return if a role is none above the caller's own.

    Raises:
        RequestError: it is.
    """
    if not caller_of(request).standing(account).reaches(Standing(role)):
        message = f"The role {role.value} is above your own: ask who has it."
        raise RequestError(403, ErrorType.POLICY_ACCESS_DENIED, message)


async def _place(connection: Connection, account: str, user: str) -> Member:
    """Return the user of an account that a login is to be; it is made if it is not there.

    Raises:
        ConfigurationError: the name can be none of a user.
        ConflictError: somebody else signs in as it.
    """
    member = await members.find_member(connection, account, user)
    if member is None:
        faults = FaultList()
        Checker(await read_names(connection, []), faults).user(UserEntry(name=user), "user")
        refuse(faults)
        await put_user(connection, User(account, user))
        member = await members.find_member(connection, account, user)
    if member is None:
        raise NotFoundError(f"there is no user {account}/{user}")
    if member.login_id is not None:
        raise ConflictError(f"somebody else signs in as user {account}/{user}; name another one")
    return member
