"""Signing in and out, and where one is signed in."""

import dataclasses
import unicodedata

import msgspec
import structlog
from aiohttp import web

from services.console.http import RequestError, answer, bind
from services.console.identity import Identity, read_small
from services.console.query import ID_MAX, row_id
from services.console.second_factor import SecondFactor
from services.console.shell import SignedIn
from trunkline.core.errors import ErrorType
from trunkline.policy.admin_identity import (
    OwnLogin,
    SecondFactorRequest,
    SessionsEnded,
    SessionView,
    SignInRequest,
    SignInResult,
    SiteView,
)
from trunkline.policy.logins.guesses import Guess
from trunkline.policy.logins.lifetimes import SECOND_FACTOR_S
from trunkline.policy.logins.names import EMAIL_CHARS_MAX
from trunkline.policy.logins.registration import RegistrationSettings, asks_for_email
from trunkline.policy.logins.tokens import Domain, opened, peeked, signed
from trunkline.policy.operations import identity as operations
from trunkline.store import logins, second_factors, sessions
from trunkline.store.configuration import NotFoundError
from trunkline.store.database import Connection
from trunkline.store.logins import Login
from trunkline.store.registration import read_registration

log = structlog.get_logger()


class _FirstStep(msgspec.Struct, frozen=True):
    """What the token between the two steps says: whose password was right, and until when that counts."""

    login: int
    ends_s: int


class IdentityAPI:
    """Handlers of ``/site``, ``/session`` and ``/me/sessions``.

    Args:
        identity: see there.
        base_url: of the gateway, as its clients are given it.
    """

    def __init__(self, identity: Identity, base_url: str) -> None:
        self._identity = identity
        self._base_url = base_url
        self._context = identity.context
        self._second_factor = SecondFactor(identity.context)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            bind(operations.SHOW_SITE, self._site),
            bind(operations.SHOW_SESSION, self._session),
            bind(operations.SIGN_IN, self._sign_in),
            bind(operations.SECOND_FACTOR, self._finish),
            bind(operations.SIGN_OUT, self._sign_out),
            bind(operations.LIST_SESSIONS, self._list),
            bind(operations.REVOKE_SESSION, self._revoke),
            bind(operations.REVOKE_OTHER_SESSIONS, self._revoke_others),
        ]

    async def _site(self, request: web.Request) -> web.Response:
        signed_in = await self._identity.sessions.signed_in(request)
        async with self._context.database.connection() as connection:
            settings = await read_registration(connection)
            missing = not await logins.has_operator(connection)
            login = None
            if signed_in is not None and signed_in.caller.login is not None:
                login = await logins.read_login(connection, signed_in.caller.login)
            session = None
            if signed_in is not None and login is not None:
                session = await self._view(connection, login, signed_in, settings)
        return answer(
            SiteView(
                name=settings.site_name,
                base_url=self._base_url,
                first_operator_missing=missing,
                features=self._identity.features(settings),
                name_pattern=settings.name_pattern,
                name_help=dict(settings.name_help),
                password_chars_min=settings.password_chars_min,
                email_required=asks_for_email(settings),
                email_domains=settings.email_domains,
                approval=settings.approval,
                session=session,
            )
        )

    async def _session(self, request: web.Request) -> web.Response:
        signed_in = await self._identity.session_of(request)
        async with self._context.database.connection() as connection:
            login = await self._identity.login_of(connection, request)
            return answer(await self._view(connection, login, signed_in, await read_registration(connection)))

    async def _view(
        self, connection: Connection, login: Login, signed_in: SignedIn, settings: RegistrationSettings
    ) -> SessionView:
        return SessionView(
            login=await _own_login(connection, login),
            accounts=await logins.places_of(connection, login.id),
            csrf=signed_in.csrf,
            features=self._identity.features(settings),
        )

    async def _sign_in(self, request: web.Request) -> web.Response:
        wanted = await read_small(request, SignInRequest)
        name = unicodedata.normalize("NFKC", wanted.name[:EMAIL_CHARS_MAX]).strip()
        login = await self._identified(request, name, wanted.password)
        self._identity.refuse_state(login.state)
        if login.second_factor:
            ends_s = self._context.clock.wall_ms() // 1000 + SECOND_FACTOR_S
            step = _FirstStep(login.id, ends_s)
            token = signed(Domain.SECOND_FACTOR, step, self._context.pepper, bound_to=login.password_hash or "")
            return answer(SignInResult("second_factor", token=token))
        return await self._begin(request, login)

    async def _identified(self, request: web.Request, name: str, password: str) -> Login:
        """Return the login of a name or address whose password this is.

        An unknown name costs the same work as a wrong password, and is answered in the same words.

        Raises:
            RequestError: there is none, or too much was tried.
        """
        async with self._identity.guessing.counted(request, Guess.PASSWORD, name) as attempt:
            async with self._context.database.connection() as connection:
                login = await logins.find_login(connection, name, by_email=True)
            stored = None if login is None else login.password_hash
            attempt.right = await self._identity.passwords.verify(stored, password)
        if login is None or stored is None or not attempt.right:
            message = "Name or password is wrong."
            raise RequestError(401, ErrorType.CLIENT_UNAUTHENTICATED, message)
        if self._identity.passwords.outdated(stored):
            return await self._rehashed(login, password)
        return login

    async def _rehashed(self, login: Login, password: str) -> Login:
        fresh = await self._identity.passwords.hash(password)
        async with self._context.database.connection() as connection:
            await logins.rehash_password(connection, login, fresh)
        return dataclasses.replace(login, password_hash=fresh)

    async def _finish(self, request: web.Request) -> web.Response:
        wanted = await read_small(request, SecondFactorRequest)
        step = peeked(wanted.token, _FirstStep)
        async with self._context.database.connection() as connection:
            login = (
                None
                if step is None or not 0 < step.login <= ID_MAX
                else await logins.read_login(connection, step.login)
            )
        # A token for the password that the login has now: a new one ends what began with the old.
        bound_to = "" if login is None else login.password_hash or ""
        step = opened(Domain.SECOND_FACTOR, wanted.token, _FirstStep, self._context.pepper, bound_to=bound_to)
        if login is None or step is None or step.ends_s <= self._context.clock.wall_ms() // 1000:
            raise RequestError(401, ErrorType.CLIENT_UNAUTHENTICATED, "This took too long. Begin anew.")
        self._identity.refuse_state(login.state)
        async with self._identity.guessing.counted(request, Guess.SECOND_FACTOR, str(login.id)) as attempt:
            attempt.right = await self._second_factor.take(login, wanted.code)
        if not attempt.right:
            message = "The code is wrong, or was used before. Wait for the app's next one."
            raise RequestError(401, ErrorType.CLIENT_UNAUTHENTICATED, message)
        return await self._begin(request, login)

    async def _begin(self, request: web.Request, login: Login) -> web.Response:
        async with self._context.database.transaction() as connection:
            # Looked at again: it may have been blocked, or given another password, while its password was hashed.
            now = await logins.read_login(connection, login.id, lock=True)
            if now is None or now.password_hash != login.password_hash:
                message = "The password has just been changed. Try again."
                raise RequestError(401, ErrorType.CLIENT_UNAUTHENTICATED, message)
            self._identity.refuse_state(now.state)
            session = await self._identity.sessions.begin(connection, request, login.id)
        log.info("signed_in", login=login.id)
        return self._identity.sessions.give(answer(SignInResult("signed_in", csrf=session.csrf)), session)

    async def _sign_out(self, request: web.Request) -> web.Response:
        signed_in = await self._identity.session_of(request)
        async with self._context.database.connection() as connection:
            await sessions.end_session(connection, _login_id(signed_in), signed_in.session)
        return self._identity.sessions.take(web.Response(status=204))

    async def _list(self, request: web.Request) -> web.Response:
        signed_in = await self._identity.session_of(request)
        async with self._context.database.connection() as connection:
            return answer(await sessions.list_sessions(connection, _login_id(signed_in), signed_in.session))

    async def _revoke(self, request: web.Request) -> web.Response:
        signed_in = await self._identity.session_of(request)
        session = row_id(request.match_info["session"])
        async with self._context.database.connection() as connection:
            if session is None or not await sessions.end_session(connection, _login_id(signed_in), session):
                raise NotFoundError("there is no such session of yours")
        self._identity.sessions.forget()
        return web.Response(status=204)

    async def _revoke_others(self, request: web.Request) -> web.Response:
        signed_in = await self._identity.session_of(request)
        async with self._context.database.connection() as connection:
            ended = await sessions.end_sessions(connection, _login_id(signed_in), but=signed_in.session)
        self._identity.sessions.forget()
        return answer(SessionsEnded(ended))


def _login_id(signed_in: SignedIn) -> int:
    login_id = signed_in.caller.login
    assert login_id is not None  # noqa: S101 - sessions are of logins
    return login_id


async def _own_login(connection: Connection, login: Login) -> OwnLogin:
    elsewhere = await connection.fetchval("select exists (select from login_subjects where login_id = $1)", login.id)
    return OwnLogin(
        name=login.name,
        email=login.email,
        email_confirmed=login.email_confirmed,
        operator=login.operator,
        language=login.language,
        totp=login.second_factor,
        password=login.password_hash is not None,
        elsewhere=elsewhere,
        recovery_codes_left=await second_factors.recovery_codes_left(connection, login.id),
    )
