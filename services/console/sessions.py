"""Sessions of people: cookies, and who is behind them. See `services.console.shell.Sessions`."""

import asyncio
import secrets
from collections import OrderedDict
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from aiohttp import web

from services.console.context import Context
from services.console.shell import ACTING, SignedIn
from trunkline.policy.logins.lifetimes import SESSION_CACHE_S, SESSION_S
from trunkline.policy.logins.tokens import TOKEN_BYTES, Domain, csrf_token, keyed_hash, token, well_formed
from trunkline.store.configuration import ConflictError
from trunkline.store.database import Connection
from trunkline.store.sessions import begin_session, find_caller, find_session

CACHED_MAX: Final = 10_000
"""Cookies remembered, least recently used first out: a kilobyte each, and those that nobody has made count, too."""

AGENT_CHARS_MAX: Final = 200
"""Of what a browser calls itself."""

_LOCKS: Final = 64
"""Cookies looked up at a time; those of one page wait for each other."""


class _Known(NamedTuple):
    read_at: float
    signed_in: SignedIn | None


class NewSession(NamedTuple):
    """A session that begins: what goes into its cookie, and what its changes must carry."""

    cookie: str
    csrf: str


class LoginSessions:
    """Knows sessions by their cookies.

    Args:
        context: of the console.
        public_url: as people reach it; empty if it is not known. Over https the cookie is never sent in the clear.
    """

    def __init__(self, context: Context, public_url: str) -> None:
        self._context = context
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._locks = tuple(asyncio.Lock() for _ in range(_LOCKS))
        parts = urlsplit(public_url)
        self.secure = parts.scheme == "https"
        self.path = f"{parts.path.rstrip('/')}/"
        # The prefixes keep other hosts of the same domain from setting it (RFC 6265bis section 4.1.3).
        prefix = "" if not self.secure else "__Host-" if self.path == "/" else "__Secure-"
        self.cookie = f"{prefix}trunkline_session"

    async def signed_in(self, request: web.Request) -> SignedIn | None:
        """See `services.console.shell.Sessions`."""
        hash_ = self._presented(request)
        if hash_ is None:
            return None
        # One of a page's requests asks Postgres, and the others wait for its answer.
        async with self._locks[hash_[0] % _LOCKS]:
            now = self._context.clock.now()
            remembered = self._known  # what is read while all is forgotten may be of before that, and is not kept
            known = remembered.get(hash_)
            if known is None or now - known.read_at >= SESSION_CACHE_S:
                known = remembered[hash_] = _Known(now, await self._read(hash_))
                if len(remembered) > CACHED_MAX:
                    remembered.popitem(last=False)
            remembered.move_to_end(hash_)
            return known.signed_in

    async def begin(self, connection: Connection, request: web.Request, login_id: int) -> NewSession:
        """Begin a session in a transaction; the one that the browser had ends. `give` puts it into the answer."""
        cookie = token(secrets.token_bytes(TOKEN_BYTES))
        hash_ = keyed_hash(Domain.SESSION, cookie, self._context.pepper)
        await begin_session(
            connection,
            hash_,
            login_id,
            address=request.remote or "",
            agent=_printable(request.headers.get("user-agent", "")),
            replaces=self._presented(request),
        )
        return NewSession(cookie, csrf_token(hash_, self._context.pepper))

    def give(self, response: web.Response, session: NewSession) -> web.Response:
        """Put a session's cookie into an answer."""
        self.forget()
        response.set_cookie(
            self.cookie,
            session.cookie,
            max_age=SESSION_S,
            path=self.path,
            secure=self.secure,
            httponly=True,
            samesite="Strict",
        )
        return response

    def take(self, response: web.Response) -> web.Response:
        """Have the browser drop its cookie."""
        self.forget()
        response.del_cookie(self.cookie, path=self.path, secure=self.secure, httponly=True, samesite="Strict")
        return response

    def forget(self) -> None:
        """Read all sessions anew: something about logins was changed here. Other consoles learn of it by themselves."""
        self._known = OrderedDict()

    def _presented(self, request: web.Request) -> bytes | None:
        cookie = request.cookies.get(self.cookie, "")
        return keyed_hash(Domain.SESSION, cookie, self._context.pepper) if well_formed(cookie) else None

    async def _read(self, hash_: bytes) -> SignedIn | None:
        async with self._context.database.connection() as connection:
            found = await find_session(connection, hash_)
        if found is None:
            return None
        return SignedIn(found.caller, found.id, csrf_token(hash_, self._context.pepper))


async def require_still(connection: Connection) -> None:
    """Return if whose session this request goes by may still do what they might when it was looked up.

    That was up to `SESSION_CACHE_S` before the request, whose body may take as long to come as a handler has. Whoever
    is put out meanwhile must not make keys, logins or money that outlast their session.

    Args:
        connection: of the transaction that makes the change: until it ends, neither session nor login is changed.

    Raises:
        ConflictError: it has ended, or they may do less by now.
    """
    acting = ACTING.get()
    if acting is None:
        return
    now = await find_caller(connection, acting.session)
    if now is None or not now.covers(acting.caller):
        raise ConflictError("what you may do here was changed just now; load the page anew")


def _printable(agent: str) -> str:
    return "".join(character for character in agent[:AGENT_CHARS_MAX] if character.isprintable())
