"""Signing in at the OpenID provider: there, back, and who it is here.

The browser is told how it ended behind the # of the page's address. What the provider says of somebody makes them
nobody who was here before: a login of the same name is another person's until that person links them.
"""

import datetime as dt
import hmac
import secrets
from urllib.parse import urlencode

import asyncpg
import structlog
from aiohttp import web

from services.console.http import answer, bind, public, read_struct
from services.console.identity import OIDC_START, Identity
from services.console.newcomers import activate
from services.console.oidc import Provider
from trunkline.policy.admin_identity import OIDCLink, PasswordProof
from trunkline.policy.configuration import ConfigurationError
from trunkline.policy.logins.lifetimes import SIGN_IN_ELSEWHERE_S
from trunkline.policy.logins.names import normal_email, normal_name
from trunkline.policy.logins.oidc import Attempt, Identified, OIDCError, OIDCFault
from trunkline.policy.logins.registration import (
    LoginState,
    RegistrationSettings,
    confirmed_state,
    email_fault,
    name_fault,
)
from trunkline.policy.logins.tokens import TOKEN_BYTES, Domain, opened, signed, token
from trunkline.policy.operations import identity as operations
from trunkline.store import logins
from trunkline.store.configuration import ConflictError, NotFoundError
from trunkline.store.database import Connection, StoreError
from trunkline.store.login_subjects import find_subject, link_subject, unlink_subjects, use_state
from trunkline.store.registration import read_registration
from trunkline.store.sessions import session_holds

log = structlog.get_logger()

CALLBACK = "oidc/callback"
"""Where the browser comes back, after the console's address."""

COOKIE = "trunkline_elsewhere"

CODE_CHARS_MAX = 4096
"""Of a provider's code."""

_FAULT_OF = {
    LoginState.UNCONFIRMED: OIDCFault.UNCONFIRMED,
    LoginState.WAITING: OIDCFault.WAITING,
    LoginState.BLOCKED: OIDCFault.BLOCKED,
}


class OIDCAPI:
    """Handlers of ``/oidc`` and ``/me/oidc``.

    Args:
        identity: see there.
        provider: None for none.
    """

    def __init__(self, identity: Identity, provider: Provider | None) -> None:
        self._identity = identity
        self._context = identity.context
        self._provider = provider

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(f"/{OIDC_START}", self._start),
            web.get(f"/{CALLBACK}", self._callback),
            bind(operations.BEGIN_OIDC_LINK, self._begin_link),
            bind(operations.UNLINK_OIDC, self._unlink),
        ]

    @public
    async def _start(self, _request: web.Request) -> web.Response:
        try:
            attempt, url = await self._ask()
        except OIDCError as error:
            return self._ended(Attempt("", "", "", 0), error)
        return self._keep(_to(url), attempt)

    async def _begin_link(self, request: web.Request) -> web.Response:
        proof = await read_struct(request, PasswordProof)
        login = await self._identity.own_login(request)
        await self._identity.prove(request, login, proof.password)
        session = (await self._identity.session_of(request)).session
        try:
            attempt, url = await self._ask(login.id, session)
        except OIDCError as error:
            log.warning("oidc_failed", reason=str(error))
            raise ConflictError("the OpenID provider cannot be asked now; try again later") from error
        return self._keep(answer(OIDCLink(url)), attempt)

    async def _unlink(self, request: web.Request) -> web.Response:
        proof = await read_struct(request, PasswordProof)
        login = await self._identity.own_login(request)
        if login.password_hash is None:
            raise ConflictError("without a password there would be no way in; set one first")
        await self._identity.prove(request, login, proof.password)
        async with self._context.database.connection() as connection:
            await unlink_subjects(connection, login.id)
        return web.Response(status=204)

    async def _ask(self, login: int = 0, session: int = 0) -> tuple[Attempt, str]:
        if self._provider is None:
            raise OIDCError("no provider is set")
        ends_s = self._context.clock.wall_ms() // 1000 + SIGN_IN_ELSEWHERE_S
        state, nonce, verifier = (token(secrets.token_bytes(TOKEN_BYTES)) for _ in range(3))
        attempt = Attempt(state, nonce, verifier, ends_s, login, session)
        return attempt, await self._provider.authorization_url(attempt)

    @public
    async def _callback(self, request: web.Request) -> web.Response:
        cookie = request.cookies.get(COOKIE, "")
        attempt = opened(Domain.ELSEWHERE, cookie, Attempt, self._context.pepper) or Attempt("", "", "", 0)
        try:
            person = await self._identify(request, attempt)
            if attempt.login:
                await self._link(person, attempt)
                return self._drop(_to(self._page("me", "linked")))
            return self._drop(await self._sign_in(request, person))
        except OIDCError as error:
            return self._ended(attempt, error)
        except (StoreError, asyncpg.PostgresError, ConfigurationError, NotFoundError) as error:
            return self._ended(attempt, OIDCError(type(error).__name__))

    async def _identify(self, request: web.Request, attempt: Attempt) -> Identified:
        if self._provider is None:
            raise OIDCError("no provider is set")
        now_s = self._context.clock.wall_ms() // 1000
        state = request.query.get("state", "").encode("utf-8", "surrogateescape")
        if not attempt.state or not hmac.compare_digest(state, attempt.state.encode()) or attempt.ends_s <= now_s:
            raise OIDCError("an answer without its question, or too late", OIDCFault.EXPIRED)
        ends_at = dt.datetime.fromtimestamp(attempt.ends_s, dt.UTC)
        async with self._context.database.connection() as connection:
            if not await use_state(connection, self._identity.hash_of(Domain.STATE, attempt.state), ends_at):
                raise OIDCError("an answer that came before", OIDCFault.EXPIRED)
        if "error" in request.query:
            raise OIDCError("the provider says no", OIDCFault.DENIED)
        code = request.query.get("code", "")
        if not code or len(code) > CODE_CHARS_MAX:
            raise OIDCError("an answer without a code")
        return await self._provider.identify(attempt, code)

    async def _link(self, person: Identified, attempt: Attempt) -> None:
        async with self._context.database.transaction() as connection:
            if not await session_holds(connection, attempt.login, attempt.session):
                raise OIDCError("the session that asked has ended", OIDCFault.EXPIRED)
            try:
                await link_subject(connection, person.issuer, person.subject, attempt.login)
            except ConflictError as error:
                raise OIDCError("the person has another login", OIDCFault.TAKEN) from error
        log.info("oidc_linked", login=attempt.login)

    async def _sign_in(self, request: web.Request, person: Identified) -> web.Response:
        async with self._context.database.connection() as connection:
            known = await find_subject(connection, person.issuer, person.subject)
        # Only who is new here changes the configuration.
        transaction = self._context.changing() if known is None else self._context.database.transaction()
        async with transaction as connection:
            login_id = await find_subject(connection, person.issuer, person.subject)
            if login_id is None and known is not None:
                raise OIDCError("the login was unlinked just now")
            if login_id is None:
                login_id = await self._register(connection, person)
            login = await logins.read_login(connection, login_id, lock=True)
            state = LoginState.BLOCKED if login is None else login.state
            session = None
            if state is LoginState.ACTIVE:
                session = await self._identity.sessions.begin(connection, request, login_id)
        if session is None:
            # Committed: a new login waits for its approval.
            raise OIDCError(f"the login is {state.value}", _FAULT_OF[state])
        log.info("signed_in", login=login_id, elsewhere=True)
        return self._identity.sessions.give(_to(self._page("")), session)

    async def _register(self, connection: Connection, person: Identified) -> int:
        """Make a login for a person who has none, as the settings of registration say, and return its id."""
        settings = await read_registration(connection)
        if not settings.open:
            raise OIDCError("nobody may register", OIDCFault.CLOSED)
        name, email = _checked(person, settings)
        state = confirmed_state(settings)
        try:
            login_id = await logins.create_login(
                connection,
                name,
                email=email,
                email_confirmed=email is not None,
                password_hash=None,
                operator=False,
                state=state,
                language=None,
            )
        except ConflictError as error:
            raise OIDCError("the name or address is another login's", OIDCFault.NAME) from error
        await link_subject(connection, person.issuer, person.subject, login_id)
        if state is LoginState.ACTIVE:
            await activate(self._context, connection, login_id, settings)
        log.info("registered", login=login_id, state=state.value, elsewhere=True)
        return login_id

    def _ended(self, attempt: Attempt, error: OIDCError) -> web.Response:
        log.warning("oidc_failed", reason=str(error), fault=error.fault.value)
        return self._drop(_to(self._page("me" if attempt.login else "sign-in", error.fault.value)))

    def _page(self, page: str, outcome: str = "") -> str:
        query = f"?{urlencode({'oidc': outcome})}" if outcome else ""
        return f"{self._identity.public_url}/#/{page}{query}"

    def _keep(self, response: web.Response, attempt: Attempt) -> web.Response:
        sessions = self._identity.sessions
        response.set_cookie(
            COOKIE,
            signed(Domain.ELSEWHERE, attempt, self._context.pepper),
            max_age=SIGN_IN_ELSEWHERE_S,
            path=f"{sessions.path}oidc",
            secure=sessions.secure,
            httponly=True,
            samesite="Lax",  # the provider sends the browser back, which is another site
        )
        return response

    def _drop(self, response: web.Response) -> web.Response:
        sessions = self._identity.sessions
        response.del_cookie(COOKIE, path=f"{sessions.path}oidc", secure=sessions.secure, httponly=True, samesite="Lax")
        return response


def _to(url: str) -> web.Response:
    headers = {"location": url, "cache-control": "no-store", "referrer-policy": "no-referrer"}
    return web.Response(status=303, headers=headers)


def _checked(person: Identified, settings: RegistrationSettings) -> tuple[str, str | None]:
    """Return name and address of a person who registers.

    Raises:
        OIDCError: they cannot be those of a new login.
    """
    try:
        name = normal_name(person.name or "")
        email = None if person.email is None else normal_email(person.email)
    except ValueError as error:
        raise OIDCError("the provider's name or address can be none here", OIDCFault.NAME) from error
    if name_fault(name, settings) is not None:
        raise OIDCError("the provider's name does not match the pattern", OIDCFault.NAME)
    if email_fault(email, settings) is not None:
        raise OIDCError("the provider's address is missing, not verified, or of another domain", OIDCFault.EMAIL)
    return name, email
