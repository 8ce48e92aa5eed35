"""What all handlers of logins share."""

import dataclasses
import datetime as dt
import secrets
from typing import Final, TypeVar

import msgspec
from aiohttp import web

from services.console.context import Context
from services.console.guessing import Guessing
from services.console.http import RequestError, caller_of, read_bytes
from services.console.letters import Letters
from services.console.passwords import Passwords
from services.console.sessions import LoginSessions
from services.console.shell import SignedIn
from trunkline.core.errors import ErrorType
from trunkline.policy.admin_identity import Features, LoginLink, OIDCFeature
from trunkline.policy.configuration import ConfigurationError
from trunkline.policy.logins.guesses import Guess
from trunkline.policy.logins.lifetimes import FRESH_SESSION_S
from trunkline.policy.logins.passwords import normal_password, password_fault
from trunkline.policy.logins.registration import LANGUAGES, LoginState, RegistrationSettings, asks_for_email
from trunkline.policy.logins.tokens import TOKEN_BYTES, Domain, keyed_hash, token
from trunkline.policy.strict import FaultList, convert
from trunkline.store import login_links
from trunkline.store.configuration import NotFoundError
from trunkline.store.database import Connection
from trunkline.store.login_links import Link, Purpose
from trunkline.store.logins import Login, read_login
from trunkline.store.sessions import session_holds

S = TypeVar("S")

PUBLIC_BYTES_MAX: Final = 16 * 1024
"""Of a body that anybody may send: names and passwords at their longest take an eighth of it."""

OIDC_START = "oidc/start"
"""Where signing in elsewhere begins, relative to the page."""

PAGES = {
    Purpose.FIRST_OPERATOR: "#/first/",
    Purpose.CONFIRM_EMAIL: "#/confirm/",
    Purpose.SET_PASSWORD: "#/set-password/",
}
"""Pages that links lead to; the token follows. Behind the #, it is sent to no server and stands in no log."""

_REFUSED = {
    LoginState.UNCONFIRMED: "Open the link in the mail that was sent to you first.",
    LoginState.WAITING: "An operator has not approved this login yet.",
    LoginState.BLOCKED: "This login is blocked. Ask the site's operators.",
}


@dataclasses.dataclass(frozen=True)
class Identity:
    """Made once per process.

    Attributes:
        context: of the console.
        sessions, passwords, guessing: see there.
        letters: sends mails with links; None if that cannot be done.
        public_url: as people reach the console, without a slash at its end; empty if it is not known.
        oidc_name: what the OpenID provider is called; empty for none.
    """

    context: Context
    sessions: LoginSessions
    passwords: Passwords
    guessing: Guessing
    letters: Letters | None
    public_url: str
    oidc_name: str

    def features(self, settings: RegistrationSettings) -> Features:
        """Return what the site offers."""
        mails = self.letters is not None
        return Features(
            registration=settings.open and (mails or not asks_for_email(settings)),
            email=mails,
            password_reset=mails,
            oidc=OIDCFeature(self.oidc_name, OIDC_START) if self.oidc_name else None,
        )

    def hash_of(self, domain: Domain, text: str) -> bytes:
        """Return a keyed hash."""
        return keyed_hash(domain, text, self.context.pepper)

    async def new_link(
        self,
        connection: Connection,
        purpose: Purpose,
        *,
        holds_s: int,
        login_id: int | None = None,
        email: str | None = None,
    ) -> LoginLink:
        """Make a link that works once, in a transaction; earlier ones of the same kind end.

        Args:
            connection: see there.
            purpose: see there.
            holds_s: how long, in seconds.
            login_id: as in `store.login_links.Link`.
            email: as there.
        """
        text = token(secrets.token_bytes(TOKEN_BYTES))
        now_s = self.context.clock.wall_ms() // 1000
        ends_at = dt.datetime.fromtimestamp(now_s + holds_s, dt.UTC)
        await login_links.create_link(
            connection, self.hash_of(Domain.LINK, text), purpose, login_id=login_id, email=email, ends_at=ends_at
        )
        page = f"{PAGES[purpose]}{text}"
        return LoginLink(f"{self.public_url}/{page}" if self.public_url else page, ends_at)

    async def require_link(self, request: web.Request, purpose: Purpose, presented: str) -> Link:
        """Return a link without using it, so that what follows is done for nobody who has none.

        Raises:
            NotFoundError: there is none that holds.
        """
        async with self.guessing.counted(request, Guess.LINK) as attempt:
            async with self.context.database.connection() as connection:
                found = await login_links.show_link(connection, self.hash_of(Domain.LINK, presented), purpose)
            if found is None:
                raise unknown_link()
            attempt.right = True
        return found

    async def own_login(self, request: web.Request) -> Login:
        """Return the login that calls.

        Raises:
            RequestError: it is gone.
        """
        async with self.context.database.connection() as connection:
            return await self.login_of(connection, request)

    async def login_of(self, connection: Connection, request: web.Request, *, lock: bool = False) -> Login:
        """Return the login that calls; arguments as for `store.logins.read_login`.

        Raises:
            RequestError: it is gone.
        """
        login_id = caller_of(request).login
        login = None if login_id is None else await read_login(connection, login_id, lock=lock)
        if login is None:
            raise RequestError(401, ErrorType.CLIENT_UNAUTHENTICATED, "This login is not there any more.")
        return login

    async def session_of(self, request: web.Request) -> SignedIn:
        """Return the session that calls.

        Raises:
            RequestError: it has ended meanwhile.
        """
        signed_in = await self.sessions.signed_in(request)
        if signed_in is None:
            raise RequestError(401, ErrorType.CLIENT_UNAUTHENTICATED, "This session has ended. Sign in again.")
        return signed_in

    async def prove(self, request: web.Request, login: Login, password: str | None) -> None:
        """Return if somebody knows the password of the login that they are signed in as.

        Who has none must have signed in a moment ago: a browser that was left alone changes nothing here.

        Raises:
            RequestError: it is wrong, or was too often; or the session is too old.
        """
        if login.password_hash is None:
            session = (await self.session_of(request)).session
            async with self.context.database.connection() as connection:
                if await session_holds(connection, login.id, session, younger_than_s=FRESH_SESSION_S):
                    return
            raise RequestError(403, ErrorType.POLICY_ACCESS_DENIED, "Sign in again first, and then do this.")
        async with self.guessing.counted(request, Guess.PASSWORD, login.name) as attempt:
            attempt.right = await self.passwords.verify(login.password_hash, password or "")
        if not attempt.right:
            raise RequestError(403, ErrorType.POLICY_ACCESS_DENIED, "The password is wrong.")

    def refuse_state(self, state: LoginState) -> None:
        """Return if a login may sign in.

        Raises:
            RequestError: it may not; says what to do.
        """
        if state is not LoginState.ACTIVE:
            raise RequestError(403, ErrorType.POLICY_ACCESS_DENIED, _REFUSED[state])


async def read_small(request: web.Request, wanted: type[S]) -> S:
    """Return the body as a struct, of an operation that anybody may call.

    Raises:
        RequestError: it is too large, or not JSON.
        ConfigurationError: it is not of that form; with every fault.
    """
    try:
        plain = msgspec.json.decode(await read_bytes(request, PUBLIC_BYTES_MAX))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(400, ErrorType.CLIENT_BAD_JSON, "The body is not valid JSON.") from error
    faults = FaultList()
    body = convert(plain, wanted, "", faults)
    if body is None:
        raise ConfigurationError(faults.faults)
    return body


def unknown_link() -> NotFoundError:
    """Return the error for a link that does not hold."""
    return NotFoundError("this link is not valid, has been used, or is over; ask for a new one")


def check_password(
    password: str, names: tuple[str, ...], settings: RegistrationSettings, faults: FaultList, place: str = "password"
) -> None:
    """Note why a password cannot be taken."""
    fault = password_fault(normal_password(password), names=names, chars_min=settings.password_chars_min)
    if fault is not None:
        faults.add(place, fault)


def check_language(language: str | None, faults: FaultList) -> None:
    """Note a language that there is none of."""
    if language is not None and language not in LANGUAGES:
        faults.add("language", f"must be one of {', '.join(LANGUAGES)}")
