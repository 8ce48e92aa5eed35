"""How a login begins: registration, proof of an address, links that set a password, and the first operator."""

import unicodedata
from collections.abc import Callable

import structlog
from aiohttp import web

from services.console.http import RequestError, answer, bind, refuse
from services.console.identity import Identity, check_language, check_password, read_small, unknown_link
from services.console.newcomers import activate
from trunkline.core.errors import ErrorType
from trunkline.policy.admin_identity import (
    FirstOperator,
    LinkToken,
    PasswordByLink,
    Registered,
    Registration,
    ResetRequest,
    SignInResult,
)
from trunkline.policy.logins import letters
from trunkline.policy.logins.guesses import Guess
from trunkline.policy.logins.letters import Letter
from trunkline.policy.logins.lifetimes import CONFIRM_LINK_S, FIRST_OPERATOR_LINK_S, RESET_LINK_S
from trunkline.policy.logins.names import EMAIL_CHARS_MAX, normal_email, normal_name
from trunkline.policy.logins.registration import (
    LoginState,
    RegistrationSettings,
    confirmed_state,
    email_fault,
    first_state,
    name_fault,
)
from trunkline.policy.logins.tokens import Domain
from trunkline.policy.operations import identity as operations
from trunkline.policy.strict import FaultList
from trunkline.store import guesses, login_links, logins, members, sessions
from trunkline.store.configuration import ConflictError
from trunkline.store.database import Connection
from trunkline.store.login_links import Purpose
from trunkline.store.logins import Login
from trunkline.store.registration import read_registration

log = structlog.get_logger()


class RegistrationAPI:
    """Handlers of ``/registrations``, ``/password-resets`` and ``/first-operator``.

    Args:
        identity: see there.
    """

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._context = identity.context

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            bind(operations.REGISTER, self._register),
            bind(operations.CONFIRM_EMAIL, self._confirm),
            bind(operations.REQUEST_PASSWORD_RESET, self._request_reset),
            bind(operations.SET_PASSWORD, self._set_password),
            bind(operations.FIRST_OPERATOR, self._first_operator),
            bind(operations.FIRST_OPERATOR_LINK, self._first_operator_link),
        ]

    async def _settings(self) -> RegistrationSettings:
        async with self._context.database.connection() as connection:
            return await read_registration(connection)

    async def _register(self, request: web.Request) -> web.Response:
        wanted = await read_small(request, Registration)
        settings = await self._settings()
        if not self._identity.features(settings).registration:
            raise RequestError(
                403, ErrorType.POLICY_ACCESS_DENIED, "Nobody can register here. Ask the site's operators."
            )
        name, email = _checked(wanted, settings)
        async with self._identity.guessing.counted(request, Guess.REGISTRATION, per_day_max=settings.per_day_max):
            password_hash = await self._identity.passwords.hash(wanted.password)
        # An address that cannot be proved is kept as one that is not.
        to_confirm = email is not None and self._identity.letters is not None
        state = first_state(settings, to_confirm=to_confirm)
        letter = None
        async with self._context.changing() as connection:
            login_id = await logins.create_login(
                connection,
                name,
                email=email,
                email_confirmed=False,
                password_hash=password_hash,
                operator=False,
                state=state,
                language=wanted.language,
            )
            if state is LoginState.ACTIVE:
                await activate(self._context, connection, login_id, settings)
            if to_confirm:
                letter = await self._confirmation(connection, await logins.require_login(connection, name), settings)
        if letter is not None and email is not None:
            self._post(email, letter)
        log.info("registered", login=login_id, state=state.value)
        return answer(Registered(name, state), 201)

    def _post(self, to: str, letter: Letter) -> None:
        # Once the link in it is committed.
        if self._identity.letters is not None:
            self._identity.letters.post(to, letter)

    async def _confirmation(self, connection: Connection, login: Login, settings: RegistrationSettings) -> Letter:
        link = await self._identity.new_link(
            connection, Purpose.CONFIRM_EMAIL, holds_s=CONFIRM_LINK_S, login_id=login.id, email=login.email
        )
        return letters.confirmation(login.language, site=settings.site_name, name=login.name, url=link.url)

    async def _confirm(self, request: web.Request) -> web.Response:
        wanted = await read_small(request, LinkToken)
        await self._identity.require_link(request, Purpose.CONFIRM_EMAIL, wanted.token)
        async with self._context.changing() as connection:
            link = await self._take(connection, Purpose.CONFIRM_EMAIL, wanted.token)
            login = await self._login_of(connection, link)
            settings = await read_registration(connection)
            state = confirmed_state(settings) if login.state is LoginState.UNCONFIRMED else login.state
            if not await logins.confirm_email(connection, login, link.email or "", state):
                raise ConflictError("another login has proved this address; sign in with that one")
            if login.state is LoginState.UNCONFIRMED and state is LoginState.ACTIVE:
                await activate(self._context, connection, login.id, settings)
        self._identity.sessions.forget()
        return answer(Registered(login.name, state))

    async def _request_reset(self, request: web.Request) -> web.Response:
        wanted = await read_small(request, ResetRequest)
        name = unicodedata.normalize("NFKC", wanted.name[:EMAIL_CHARS_MAX]).strip()
        async with (
            self._identity.guessing.counted(request, Guess.RESET, name),
            self._context.database.transaction() as connection,
        ):
            login = await logins.find_login(connection, name, by_email=True)
            letter = None if login is None else await self._reset(connection, login)
        if login is not None and login.email is not None and letter is not None:
            self._post(login.email, letter)
        # The same for whoever there is and is not.
        return web.Response(status=202)

    async def _reset(self, connection: Connection, login: Login) -> Letter | None:
        """Return the mail that lets a login's person set a new password; None if none can be sent."""
        reachable = login.email_confirmed and login.state is LoginState.ACTIVE
        if self._identity.letters is None or not reachable:
            return None
        settings = await read_registration(connection)
        link = await self._identity.new_link(
            connection, Purpose.SET_PASSWORD, holds_s=RESET_LINK_S, login_id=login.id, email=login.email
        )
        return letters.reset(login.language, site=settings.site_name, name=login.name, url=link.url)

    async def _set_password(self, request: web.Request) -> web.Response:
        wanted = await read_small(request, PasswordByLink)
        link = await self._identity.require_link(request, Purpose.SET_PASSWORD, wanted.token)
        async with self._context.database.connection() as connection:
            login = await self._login_of(connection, link)
        settings = await self._settings()
        faults = FaultList()
        check_password(wanted.password, _names(login.name, login.email), settings, faults)
        refuse(faults)
        password_hash = await self._identity.passwords.hash(wanted.password)
        async with self._context.database.transaction() as connection:
            login = await self._login_of(connection, await self._take(connection, Purpose.SET_PASSWORD, wanted.token))
            await logins.set_password(connection, login.id, password_hash)
            await sessions.end_sessions(connection, login.id)
            # Whoever forgot it has tried it in vain: that shall not keep them out now.
            for typed in _names(login.name, login.email):
                await guesses.clear(connection, self._identity.guessing.own(Guess.PASSWORD, typed))
        self._identity.sessions.forget()
        log.info("password_set_by_link", login=login.id)
        return answer(Registered(login.name, login.state))

    async def _first_operator(self, request: web.Request) -> web.Response:
        wanted = await read_small(request, FirstOperator)
        await self._identity.require_link(request, Purpose.FIRST_OPERATOR, wanted.token)
        faults = FaultList()
        name = _normal(normal_name, wanted.name, "name", faults)
        check_password(wanted.password, _names(name, None), await self._settings(), faults)
        check_language(wanted.language, faults)
        refuse(faults)
        password_hash = await self._identity.passwords.hash(wanted.password)
        async with self._context.changing() as connection:
            await self._take(connection, Purpose.FIRST_OPERATOR, wanted.token)
            await _refuse_second(connection)
            login_id = await logins.create_login(
                connection,
                name,
                email=None,
                email_confirmed=False,
                password_hash=password_hash,
                operator=True,
                state=LoginState.ACTIVE,
                language=wanted.language,
            )
            # What the configuration has made so far is nobody's yet, and who begins wants to try it.
            await members.adopt_accounts(connection, login_id, name)
            session = await self._identity.sessions.begin(connection, request, login_id)
        log.info("first_operator", login=login_id)
        return self._identity.sessions.give(answer(SignInResult("signed_in", csrf=session.csrf), 201), session)

    async def _first_operator_link(self, _request: web.Request) -> web.Response:
        async with self._context.changing() as connection:
            await _refuse_second(connection)
            link = await self._identity.new_link(connection, Purpose.FIRST_OPERATOR, holds_s=FIRST_OPERATOR_LINK_S)
        return answer(link, 201)

    async def _take(self, connection: Connection, purpose: Purpose, presented: str) -> login_links.Link:
        link = await login_links.take_link(connection, self._identity.hash_of(Domain.LINK, presented), purpose)
        if link is None:
            raise unknown_link()
        return link

    async def _login_of(self, connection: Connection, link: login_links.Link) -> Login:
        login = None if link.login_id is None else await logins.read_login(connection, link.login_id)
        if login is None:
            raise unknown_link()
        return login


def _checked(wanted: Registration, settings: RegistrationSettings) -> tuple[str, str | None]:
    """Return name and address of a registration in their one form.

    Raises:
        ConfigurationError: with every fault.
    """
    faults = FaultList()
    name = _normal(normal_name, wanted.name, "name", faults)
    if not faults.faults and (fault := name_fault(name, settings)):
        faults.add("name", fault)
    email = None if not wanted.email else _normal(normal_email, wanted.email, "email", faults)
    if fault := email_fault(email, settings):
        faults.add("email", fault)
    check_password(wanted.password, _names(name, email), settings, faults)
    check_language(wanted.language, faults)
    refuse(faults)
    return name, email


def _normal(normal: Callable[[str], str], typed: str, place: str, faults: FaultList) -> str:
    try:
        return normal(typed)
    except ValueError as error:
        faults.add(place, str(error))
        return ""


def _names(name: str, email: str | None) -> tuple[str, ...]:
    return (name,) if email is None else (name, email)


async def _refuse_second(connection: Connection) -> None:
    if await logins.has_operator(connection):
        raise ConflictError("there is an operator already; operators make others operators")
