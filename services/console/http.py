"""The admin API's shell: who may call, how bodies are read, and the one place where errors become answers."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from services.console.metrics import ConsoleMetrics
from trunkline.bus.port import BusError
from trunkline.core.errors import ErrorType
from trunkline.policy.admin_api import ErrorBody, ErrorDetail
from trunkline.policy.configuration import ConfigurationError
from trunkline.policy.strict import FaultList, convert
from trunkline.store.configuration import ConflictError, NotFoundError
from trunkline.store.database import StoreError

log = structlog.get_logger()

BODY_BYTES_MAX = 8 * 1024 * 1024
"""A configuration of ten thousand channels stays under it."""

REQUEST_TIMEOUT_S = 30.0
"""From a request's head to its answer; the slowest is the application of a large configuration."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

S = TypeVar("S")
H = TypeVar("H", bound=Callable[..., Any])

_encode = msgspec.json.Encoder(decimal_format="string").encode


class RequestError(Exception):
    """The request cannot be done as it is.

    Attributes:
        status: HTTP status.
        type: from the closed vocabulary.
        retry_after_s: when another try has a chance, in seconds; None if that is not known.
    """

    def __init__(self, status: int, type_: ErrorType, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.type = type_
        self.retry_after_s = retry_after_s


def bad_request(message: str) -> RequestError:
    """Return the error for a value that cannot be."""
    return RequestError(400, ErrorType.CLIENT_BAD_REQUEST, message)


def public(handler: H) -> H:
    """Let anybody call a handler, without the admin key: it has a way of its own to know who may."""
    handler.public = True  # type: ignore[attr-defined]  # functions take attributes
    return handler


async def read_bytes(request: web.Request, bytes_max: int) -> bytes:
    """Return the body, of a path that takes less than others do.

    Raises:
        RequestError: it is larger.
    """
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > bytes_max:
            raise RequestError(413, ErrorType.CLIENT_BODY_TOO_LARGE, f"The body is over {bytes_max} bytes.")
    return bytes(body)


async def read_json(request: web.Request) -> object:
    """Return the body as plain data.

    Raises:
        RequestError: it is not JSON.
    """
    try:
        return msgspec.json.decode(await request.read())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(400, ErrorType.CLIENT_BAD_JSON, "The body is not valid JSON.") from error


async def read_struct(request: web.Request, wanted: type[S]) -> S:
    """Return the body as a struct.

    Raises:
        RequestError: it is not JSON.
        ConfigurationError: it is not of that form; with every fault.
    """
    faults = FaultList()
    body = convert(await read_json(request), wanted, "", faults)
    if body is None:
        raise ConfigurationError(faults.faults)
    return body


def refuse(faults: FaultList) -> None:
    """Return if there are no faults.

    Raises:
        ConfigurationError: there are some; it has them all.
    """
    if faults.faults:
        raise ConfigurationError(faults.faults)


def answer(body: object, status: int = 200) -> web.Response:
    """Return a struct, or a list of structs, as JSON."""
    return web.Response(status=status, body=_encode(body), content_type="application/json")


def error_answer(status: int, type_: ErrorType, message: str, faults: tuple[str, ...] = ()) -> web.Response:
    """Return an error in the one shape that all have."""
    response = answer(ErrorBody(ErrorDetail(type_.value, message, faults)), status)
    if status == 401:
        response.headers["www-authenticate"] = "Bearer"
    if status == 503:
        response.headers["retry-after"] = "1"
    return response


def _http_error(error: web.HTTPException) -> web.Response:
    match error.status:
        case 404:
            return error_answer(404, ErrorType.CLIENT_NOT_FOUND, "There is no such path in the admin API.")
        case 405:
            response = error_answer(405, ErrorType.CLIENT_METHOD_NOT_ALLOWED, "This path does not take this method.")
            response.headers["allow"] = error.headers.get("allow", "")
            return response
        case 413:
            return error_answer(413, ErrorType.CLIENT_BODY_TOO_LARGE, f"The body is over {BODY_BYTES_MAX} bytes.")
        case _:
            return error_answer(error.status, ErrorType.CLIENT_BAD_REQUEST, error.reason)


def error_response(error: Exception) -> web.Response:
    """Return the answer to an error of a handler: the one place where it gets a status and words."""
    match error:
        case RequestError():
            response = error_answer(error.status, error.type, str(error))
            if error.retry_after_s is not None:
                response.headers["retry-after"] = str(error.retry_after_s)
            return response
        case ConfigurationError():
            message = "What was sent is wrong; nothing was changed."
            return error_answer(400, ErrorType.CLIENT_BAD_REQUEST, message, tuple(error.faults))
        case NotFoundError():
            return error_answer(404, ErrorType.CLIENT_NOT_FOUND, _sentence(error))
        case ConflictError():
            return error_answer(409, ErrorType.CLIENT_BAD_REQUEST, _sentence(error))
        case asyncpg.DataError():
            # What passed the checks and yet fits no column: a NUL in a text, a number beyond 64 bits.
            message = "A value cannot be stored: out of range, or not text."
            return error_answer(400, ErrorType.CLIENT_BAD_REQUEST, message)
        case StoreError() | BusError() | TimeoutError():
            return _unavailable(error)
        case web.HTTPException():
            return _http_error(error)
        case _:
            log.error("admin_request_failed", error=type(error).__name__, exc_info=error)
            return error_answer(500, ErrorType.GATEWAY_INTERNAL, "An error of the console; its log has more.")


def error_message(error: Exception) -> str:
    """Return the words of `error_response`, for answers that have begun already."""
    body = error_response(error).body
    return msgspec.json.decode(body, type=ErrorBody).error.message if isinstance(body, bytes) else ""


def _unavailable(error: Exception) -> web.Response:
    what = {StoreError: "The database is not available", BusError: "NATS is not available"}
    reason = what.get(type(error), "This took too long")
    return error_answer(503, ErrorType.GATEWAY_NOT_READY, f"{reason}. Try again in a moment.")


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[0].upper()}{text[1:]}."


async def _guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    timeout_s = getattr(request.match_info.handler, "timeout_s", REQUEST_TIMEOUT_S)  # see `streams.streaming`
    try:
        async with asyncio.timeout(timeout_s):
            return await handler(request)
    except Exception as error:
        return error_response(error)


def _authorised(request: web.Request, admin_key: bytes) -> bool:
    scheme, _, presented = request.headers.get("authorization", "").partition(" ")
    # Compared even if the scheme is wrong, and as bytes: the time says nothing of the key.
    same = hmac.compare_digest(presented.strip().encode("utf-8", "surrogateescape"), admin_key)
    return same and scheme.lower() == "bearer"


def shell(admin_key: str, metrics: ConsoleMetrics) -> Middleware:
    """Return the middleware around every handler: authorise, run, answer errors, count, log one line."""
    expected = admin_key.encode()

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if getattr(request.match_info.handler, "public", False) or _authorised(request, expected):
            response = await _guarded(request, handler)
        else:
            message = "The admin key is missing or wrong. Send it as 'Authorization: Bearer <admin key>'."
            response = error_answer(401, ErrorType.CLIENT_UNAUTHENTICATED, message)
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "none"
        metrics.requests.labels(request.method if resource is not None else "none", route, str(response.status)).inc()
        log.info("admin_request", method=request.method, route=route, status=response.status)
        return response

    return middleware
