"""Logins, as the site's operators see to them; and who may register."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog
from aiohttp import web
from msgspec import UNSET

from services.console.http import answer, bad_request, bind, read_struct, refuse
from services.console.identity import Identity, check_language
from services.console.newcomers import activate, give_account
from services.console.query import boolean, row_id
from services.console.withdrawal import withdraw_keys
from trunkline.policy.admin_identity import CreatedLogin, LoginChange, LoginView, NewLogin, SessionsEnded
from trunkline.policy.logins.lifetimes import GIVEN_LINK_S
from trunkline.policy.logins.names import normal_email, normal_name
from trunkline.policy.logins.registration import (
    LoginState,
    RegistrationSettings,
    asks_for_email,
    check_registration,
)
from trunkline.policy.operations import logins as operations
from trunkline.policy.operations.parameters import WITHDRAW_KEYS
from trunkline.policy.strict import FaultList
from trunkline.store import account_views, key_blocks, logins, second_factors, sessions
from trunkline.store.configuration import ConflictError, read_names
from trunkline.store.database import Connection
from trunkline.store.login_links import Purpose
from trunkline.store.logins import PAGE_MAX, Login
from trunkline.store.registration import put_registration, read_registration

log = structlog.get_logger()


class LoginsAPI:
    """Handlers of ``/logins`` and ``/registration``.

    Args:
        identity: see there.
    """

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._context = identity.context

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            bind(operations.LIST, self._list),
            bind(operations.SHOW, self._show),
            bind(operations.LIST_KEYS, self._list_keys),
            bind(operations.CREATE, self._create),
            bind(operations.CHANGE, self._change),
            bind(operations.DELETE, self._delete),
            bind(operations.APPROVE, self._changing(self._approve)),
            bind(operations.BLOCK, self._block),
            bind(operations.UNBLOCK, self._changing(_unblock)),
            bind(operations.REMOVE_SECOND_FACTOR, self._changing(_remove_second_factor)),
            bind(operations.LINK, self._link),
            bind(operations.END_SESSIONS, self._end_sessions),
            bind(operations.SHOW_REGISTRATION, self._show_registration),
            bind(operations.SET_REGISTRATION, self._set_registration),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        state = query.get("state")
        if state is not None and state not in set(LoginState):
            raise bad_request(f"state must be one of {', '.join(LoginState)}.")
        limit = row_id(query.get("limit", str(PAGE_MAX)))
        if limit is None or not 0 < limit <= PAGE_MAX:
            raise bad_request(f"limit must be between 1 and {PAGE_MAX}.")
        async with self._context.database.connection() as connection:
            found = await logins.login_views(
                connection, search=query.get("search"), state=state, after=query.get("after"), limit=limit
            )
        return answer(found)

    async def _show(self, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(await _view(connection, request.match_info["login"]))

    async def _create(self, request: web.Request) -> web.Response:
        new = await read_struct(request, NewLogin)
        faults = FaultList()
        name, email = _checked(new.name, new.email, faults)
        check_language(new.language, faults)
        refuse(faults)
        async with self._context.changing() as connection:
            login_id = await logins.create_login(
                connection,
                name,
                email=email,
                email_confirmed=email is not None,
                password_hash=None,
                operator=new.operator,
                state=LoginState.ACTIVE,
                language=new.language,
            )
            if new.account:
                settings = await read_registration(connection)
                await give_account(self._context, connection, login_id, name, settings)
            link = await self._identity.new_link(
                connection, Purpose.SET_PASSWORD, holds_s=GIVEN_LINK_S, login_id=login_id
            )
            return answer(CreatedLogin(await _view(connection, name), link), 201)

    async def _change(self, request: web.Request) -> web.Response:
        change = await read_struct(request, LoginChange)
        async with self._context.changing() as connection:
            login = await logins.require_login(connection, request.match_info["login"])
            faults = FaultList()
            name = login.name if change.name is UNSET else change.name
            email = login.email if change.email is UNSET else change.email
            name, email = _checked(name, email, faults)
            refuse(faults)
            operator = login.operator if change.operator is UNSET else change.operator
            await logins.change_login(connection, login, name=name, email=email, operator=operator)
            view = await _view(connection, name)
        self._identity.sessions.forget()
        return answer(view)

    async def _list_keys(self, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            login = await logins.require_login(connection, request.match_info["login"])
            held = await key_blocks.held_keys(connection, login.id)
            return answer(await account_views.keys(connection, ids=[key.id for key in held]))

    async def _block(self, request: web.Request) -> web.Response:
        async with self._keeping_out(request) as (connection, login):
            await logins.set_state(connection, login, LoginState.BLOCKED)
            view = await _view(connection, login.name)
        self._identity.sessions.forget()
        return answer(view)

    async def _delete(self, request: web.Request) -> web.Response:
        async with self._keeping_out(request) as (connection, login):
            await logins.delete_login(connection, login)
        self._identity.sessions.forget()
        return web.Response(status=204)

    @contextlib.asynccontextmanager
    async def _keeping_out(self, request: web.Request) -> AsyncIterator[tuple[Connection, Login]]:
        """Lend a transaction in which a login is kept out, and its keys are withdrawn if that is asked for."""
        withdraw = boolean(request, WITHDRAW_KEYS.name)
        async with self._context.changing() as connection:
            login = await logins.require_login(connection, request.match_info["login"])
            if withdraw:
                await withdraw_keys(connection, request, await key_blocks.held_keys(connection, login.id))
            yield connection, login

    def _changing(
        self, change: Callable[[Connection, Login], Awaitable[None]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Return the handler that changes one login and shows it."""

        async def handler(request: web.Request) -> web.Response:
            async with self._context.changing() as connection:
                login = await logins.require_login(connection, request.match_info["login"])
                await change(connection, login)
                view = await _view(connection, login.name)
            self._identity.sessions.forget()
            return answer(view)

        return handler

    async def _approve(self, connection: Connection, login: Login) -> None:
        if login.state is LoginState.BLOCKED:
            raise ConflictError(f"login {login.name!r} is blocked; unblock it")
        if login.state is not LoginState.ACTIVE:
            await activate(self._context, connection, login.id, await read_registration(connection))

    async def _link(self, request: web.Request) -> web.Response:
        async with self._context.changing() as connection:
            login = await logins.require_login(connection, request.match_info["login"])
            link = await self._identity.new_link(
                connection, Purpose.SET_PASSWORD, holds_s=GIVEN_LINK_S, login_id=login.id
            )
        return answer(link)

    async def _end_sessions(self, request: web.Request) -> web.Response:
        async with self._context.changing() as connection:
            login = await logins.require_login(connection, request.match_info["login"])
            ended = await sessions.end_sessions(connection, login.id)
        self._identity.sessions.forget()
        return answer(SessionsEnded(ended))

    async def _show_registration(self, _request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(await read_registration(connection))

    async def _set_registration(self, request: web.Request) -> web.Response:
        wanted = await read_struct(request, RegistrationSettings)
        async with self._context.changing() as connection:
            faults = FaultList()
            check_registration(wanted, await read_names(connection, []), faults)
            proved = self._identity.letters is not None or self._identity.oidc_name
            if wanted.open and asks_for_email(wanted) and not proved:
                place = "email_required" if wanted.email_required else "email_domains"
                faults.add(place, "no mail can be sent: set TRUNKLINE_SMTP_HOST and TRUNKLINE_CONSOLE_PUBLIC_URL")
            refuse(faults)
            await put_registration(connection, wanted)
        return answer(wanted)


async def _unblock(connection: Connection, login: Login) -> None:
    if login.state is LoginState.BLOCKED:
        await logins.set_state(connection, login, LoginState.ACTIVE)


async def _remove_second_factor(connection: Connection, login: Login) -> None:
    await second_factors.remove_totp(connection, login.id)
    await sessions.end_sessions(connection, login.id)


def _checked(name: str, email: str | None, faults: FaultList) -> tuple[str, str | None]:
    """Return name and address in their one form, or note what is wrong with them."""
    try:
        name = normal_name(name)
    except ValueError as error:
        faults.add("name", str(error))
    try:
        email = None if email is None else normal_email(email)
    except ValueError as error:
        faults.add("email", str(error))
    return name, email


async def _view(connection: Connection, name: str) -> LoginView:
    return (await logins.login_views(connection, name=name))[0]
