"""What handlers of the admin API share: how bodies are read, and the one place where errors become answers."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import asyncpg
import msgspec
import structlog
from aiohttp import web

from trunkline.bus.port import BusError
from trunkline.core.errors import ErrorType
from trunkline.policy.access import Caller, Grant
from trunkline.policy.admin_api import PREFIX, ErrorBody, ErrorDetail
from trunkline.policy.configuration import ConfigurationError
from trunkline.policy.operations.operation import Operation
from trunkline.policy.strict import FaultList, convert
from trunkline.store.configuration import ConflictError, NotFoundError
from trunkline.store.database import StoreError

log = structlog.get_logger()

BODY_BYTES_MAX = 8 * 1024 * 1024
"""A configuration of ten thousand channels stays under it."""

REQUEST_TIMEOUT_S = 30.0
"""Of a handler, from its beginning to its answer; the slowest is the application of a large configuration."""

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
    """Let anybody call a handler that is no operation of the admin API: a page, or what knows its callers otherwise."""
    handler.public = True  # type: ignore[attr-defined]  # functions take attributes
    return handler


CALLER: Final = web.RequestKey("caller", Caller)
GRANT: Final = web.RequestKey("grant", Grant)
"""What the shell has found out of a request."""


def caller_of(request: web.Request) -> Caller:
    """Return who calls an operation that is not public."""
    return request[CALLER]


def own_user(request: web.Request) -> str | None:
    """Return the name of the user whose things alone the caller may see and change; None for all of the account."""
    return request[GRANT].own_user


def bind(operation: Operation, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.RouteDef:
    """Return the route of an operation.

    Args:
        operation: what it is, and who may do it.
        handler: does it; the shell has seen to the rest.
    """
    return web.route(operation.method, PREFIX + operation.path, handler, name=operation.id)


async def read_bytes(request: web.Request, bytes_max: int, take: Callable[[int], None] = lambda _bytes: None) -> bytes:
    """Return the body, of a path that takes less or more than others do.

    Args:
        request: see there.
        bytes_max: of it.
        take: called with the size of each piece that has come; what it raises ends the reading.

    Raises:
        RequestError: it is larger.
    """
    body = bytearray()
    async for piece in request.content.iter_any():
        take(len(piece))
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
