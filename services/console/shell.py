"""The shell around every handler of the admin API.

It goes through one list: `who calls → may they → is it their own doing → audit → run → answer`.
"""

import asyncio
import contextlib
import hmac
from contextvars import ContextVar
from typing import Final, NamedTuple, Protocol

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from services.console.http import CALLER, GRANT, REQUEST_TIMEOUT_S, Handler, RequestError, error_response
from services.console.metrics import ConsoleMetrics
from trunkline.core.errors import ErrorType
from trunkline.policy.access import ADMIN_KEY, Access, Caller, Grant, Refusal, decide
from trunkline.policy.operations import BY_ID
from trunkline.policy.operations.operation import JSON, Operation

log = structlog.get_logger()


class SignedIn(NamedTuple):
    """A session that holds.

    Attributes:
        caller: who signed in.
        session: its id.
        csrf: what a change must carry in the header `CSRF_HEADER`: no other site can read it.
    """

    caller: Caller
    session: int
    csrf: str


ACTING: Final[ContextVar[SignedIn | None]] = ContextVar("acting", default=None)
"""Whose session the request of this task goes by; None for the admin key, for what is public, and beside requests."""


class Sessions(Protocol):
    """Knows sessions by their cookies."""

    async def signed_in(self, request: web.Request) -> SignedIn | None:
        """Return the session of a request's cookie, if it holds.

        Raises:
            StoreError: Postgres is away.
        """


class Audit(Protocol):
    """Writes down what is changed."""

    def recording(
        self, request: web.Request, operation: Operation, caller: Caller | None
    ) -> contextlib.AbstractAsyncContextManager["Recorded"]:
        """Note a change before it is made, and how it ended when the block is left.

        Raises:
            StoreError: Postgres is away: what cannot be noted is not done.
        """


class Recorded(Protocol):
    """A change that has been noted."""

    def ended(self, response: web.StreamResponse) -> None:
        """Take the answer in, before the block is left."""


CSRF_HEADER: Final = "x-csrf-token"

OWN_SITES: Final = frozenset({"same-origin", "none"})
"""Values of Sec-Fetch-Site that a browser sends with what the page itself, or its reader by hand, has asked for."""


AROUND_S: Final = 15.0
"""What the shell itself may take beside a handler: to learn who calls, and to write the audit log before and after it.
A handler that takes too long has ended by then, and its row says so."""


async def _guarded(request: web.Request, handler: Handler, more_s: float = 0.0) -> web.StreamResponse:
    """Return the answer of a handler, or that to its error; it may take ``more_s`` longer than handlers may."""
    timeout_s = getattr(request.match_info.handler, "timeout_s", REQUEST_TIMEOUT_S)  # see `streams.streaming`
    try:
        async with asyncio.timeout(timeout_s + more_s):
            return await handler(request)
    except Exception as error:
        return error_response(error)


class Shell:
    """The middleware around every handler: authorise, audit, run, answer errors, count, log one line.

    Args:
        admin_key: whoever presents it may do everything.
        sessions, audit: see there.
        metrics: of the console.
    """

    def __init__(self, admin_key: str, sessions: Sessions, audit: Audit, metrics: ConsoleMetrics) -> None:
        self._admin_key = admin_key.encode()
        self._sessions = sessions
        self._audit = audit
        self._metrics = metrics

    def middleware(self) -> Middleware:
        """Return it as aiohttp takes it."""

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = await _guarded(request, lambda request: self._serve(request, handler), AROUND_S)
            resource = request.match_info.route.resource
            route = resource.canonical if resource is not None else "none"
            method = request.method if resource is not None else "none"
            self._metrics.requests.labels(method, route, str(response.status)).inc()
            log.info("admin_request", method=request.method, route=route, status=response.status)
            return response

        return middleware

    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        ACTING.set(None)  # requests of one connection may share a task
        if getattr(request.match_info.handler, "public", False):
            return await _guarded(request, handler)
        resource = request.match_info.route.resource
        operation = BY_ID.get(resource.name or "") if resource is not None else None
        caller = await self._who_calls(request, operation)
        if operation is None:
            # No such path. Only who may call the API is told so; and nothing runs that no operation describes.
            if caller is None:
                raise _refused(Refusal.NOT_SIGNED_IN)
            if resource is not None and caller is not ADMIN_KEY:
                raise _refused(Refusal.NOT_ALLOWED)
            return await _guarded(request, handler)
        account = request.match_info.get("account")
        match decide(caller, operation.access, account):
            case Refusal() as refusal:
                raise _refused(refusal, account)
            case Grant() as grant:
                request[GRANT] = grant
        if caller is not None:
            request[CALLER] = caller
        if not operation.changes or not operation.audited:
            return await _guarded(request, handler)
        async with self._audit.recording(request, operation, caller) as recorded:
            response = await _guarded(request, handler)
            recorded.ended(response)
            return response

    async def _who_calls(self, request: web.Request, operation: Operation | None) -> Caller | None:
        """Return who calls; None if that is not known.

        Raises:
            RequestError: the admin key is wrong; or another site has sent this change.
            StoreError: Postgres is away.
        """
        if "authorization" in request.headers:
            if _is_admin(request, self._admin_key):
                return ADMIN_KEY
            raise _refused(Refusal.NOT_SIGNED_IN)
        changes = operation is not None and operation.changes
        if changes and request.headers.get("sec-fetch-site", "none") not in OWN_SITES:
            raise RequestError(403, ErrorType.POLICY_ACCESS_DENIED, "Another site may change nothing here.")
        if changes and request.can_read_body and "origin" in request.headers and request.content_type != JSON:
            # Of a page, but no JSON: what a form of another site can send without asking first, where the browser
            # does not say which site it is (plain http). Nobody is to be signed in by that.
            raise RequestError(403, ErrorType.POLICY_ACCESS_DENIED, "A page sends changes as application/json.")
        signed_in = await self._sessions.signed_in(request)
        if signed_in is None:
            return None
        if changes and operation is not None and operation.access is not Access.PUBLIC:
            token = request.headers.get(CSRF_HEADER, "").encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(token, signed_in.csrf.encode()):
                message = f"The header {CSRF_HEADER} is missing or of another session. Load the page anew."
                raise RequestError(403, ErrorType.POLICY_ACCESS_DENIED, message)
        if operation is not None and operation.access is not Access.PUBLIC:
            ACTING.set(signed_in)
        return signed_in.caller


def _is_admin(request: web.Request, admin_key: bytes) -> bool:
    scheme, _, presented = request.headers.get("authorization", "").partition(" ")
    # Compared even if the scheme is wrong, and as bytes: the time says nothing of the key.
    same = hmac.compare_digest(presented.strip().encode("utf-8", "surrogateescape"), admin_key)
    return same and scheme.lower() == "bearer"


def _refused(refusal: Refusal, account: str | None = None) -> RequestError:
    match refusal:
        case Refusal.NOT_SIGNED_IN:
            message = (
                "Nobody is signed in, and the admin key is missing or wrong. "
                "Send it as 'Authorization: Bearer <admin key>'."
            )
            return RequestError(401, ErrorType.CLIENT_UNAUTHENTICATED, message)
        case Refusal.NO_ACCOUNT:
            # In the words of an account that is not there: nobody finds out which ones are.
            return RequestError(404, ErrorType.CLIENT_NOT_FOUND, f"There is no account {account!r}.")
        case Refusal.NOT_ALLOWED:
            return RequestError(403, ErrorType.POLICY_ACCESS_DENIED, "Your role does not allow this.")
