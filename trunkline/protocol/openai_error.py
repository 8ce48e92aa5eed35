"""The one place where a `Fault` becomes an error in OpenAI's shape, for Chat and Responses. Called by the edge.

Statuses, types and codes are those of DIALECTS section 4.2.
"""

from typing import Literal, assert_never

import msgspec

from trunkline.core.errors import ErrorType, Fault
from trunkline.protocol.error_response import ErrorResponse, retry_headers

SERVER_TYPE = "server_error"
RATE_LIMIT_TYPE = "rate_limit_error"
_INVALID = "invalid_request_error"


class _Shape(msgspec.Struct, frozen=True):
    """How one kind of error looks.

    Attributes:
        status: HTTP status.
        type, code: OpenAI's words.
        retry: whether the same request may succeed later.
        wait: say when, too.
    """

    status: int
    type: str
    code: str
    retry: bool = False
    wait: bool = False


class ShownError(msgspec.Struct):
    """The object that clients know errors by."""

    message: str
    type: str
    param: str | None
    code: str | None


class StreamedError(ShownError):
    """The same inside a stream, whose head had no room for it."""

    request_id: str


class ErrorBody(msgspec.Struct):
    """What is sent."""

    error: ShownError


_encode = msgspec.json.Encoder().encode


def render_error(fault: Fault, request_id: str) -> ErrorResponse:
    """Return the response for a fault that is known before the answer's head was sent."""
    shape = _shape(fault.type)
    headers = {
        "content-type": "application/json",
        "x-request-id": request_id,
        **retry_headers(fault, retry=shape.retry, wait=shape.wait),
    }
    if shape.status == 401:
        headers["www-authenticate"] = "Bearer"
    error = ShownError(message=fault.message, type=shape.type, param=fault.param, code=fault.code or shape.code)
    return ErrorResponse(shape.status, headers, _encode(ErrorBody(error)))


def streamed_error(fault: Fault, request_id: str) -> StreamedError:
    """Return a fault as it stands in the event that ends a broken stream."""
    shape = _shape(fault.type)
    return StreamedError(
        message=fault.message, type=shape.type, param=fault.param, code=fault.code or shape.code, request_id=request_id
    )


def _shape(kind: ErrorType) -> _Shape:  # noqa: C901, PLR0911, PLR0912 - one row per kind, checked to be exhaustive
    match kind:
        case ErrorType.CLIENT_BAD_REQUEST | ErrorType.UPSTREAM_BAD_REQUEST:
            return _Shape(400, _INVALID, "invalid_value")
        case ErrorType.CLIENT_BAD_JSON:
            return _Shape(400, _INVALID, "invalid_json")
        case ErrorType.CLIENT_UNAUTHENTICATED | ErrorType.POLICY_KEY_BLOCKED:
            return _Shape(401, _INVALID, "invalid_api_key")
        case ErrorType.POLICY_NO_CREDIT:
            return _Shape(403, "insufficient_quota", "insufficient_quota")
        case ErrorType.POLICY_BUDGET_SPENT:
            return _Shape(403, "insufficient_quota", "budget_exceeded")
        case ErrorType.POLICY_MODEL_NOT_ALLOWED:
            return _Shape(403, "permission_error", "model_not_allowed")
        case ErrorType.POLICY_ENDPOINT_NOT_ALLOWED:
            return _Shape(403, "permission_error", "endpoint_not_allowed")
        case ErrorType.POLICY_ACCESS_DENIED:
            return _Shape(403, "permission_error", "access_denied")
        case ErrorType.CLIENT_NOT_FOUND:
            return _Shape(404, _INVALID, "not_found")
        case ErrorType.CLIENT_MODEL_NOT_FOUND:
            return _Shape(404, _INVALID, "model_not_found")
        case ErrorType.CLIENT_METHOD_NOT_ALLOWED:
            return _Shape(405, _INVALID, "method_not_allowed")
        case ErrorType.CLIENT_TOO_SLOW:
            return _Shape(408, _INVALID, "request_timeout", retry=True)
        case ErrorType.CLIENT_BODY_TOO_LARGE:
            return _Shape(413, _INVALID, "request_too_large")
        case ErrorType.CLIENT_UNSUPPORTED_MEDIA:
            return _Shape(415, _INVALID, "unsupported_media_type")
        case ErrorType.CLIENT_UPGRADE_UNSUPPORTED:
            return _Shape(426, _INVALID, "upgrade_not_supported")
        case ErrorType.CLIENT_HEADERS_TOO_LARGE:
            return _Shape(431, _INVALID, "headers_too_large")
        case ErrorType.CLIENT_GONE:
            return _Shape(499, _INVALID, "client_closed_request")
        case _:
            return _shape_of_ours(kind)


_Ours = Literal[
    ErrorType.POLICY_RATE_LIMITED,
    ErrorType.UPSTREAM_RATE_LIMITED,
    ErrorType.UPSTREAM_CREDENTIAL,
    ErrorType.UPSTREAM_OVERLOADED,
    ErrorType.UPSTREAM_ERROR,
    ErrorType.UPSTREAM_UNREACHABLE,
    ErrorType.UPSTREAM_ADDRESS,
    ErrorType.UPSTREAM_INVALID,
    ErrorType.UPSTREAM_CUT,
    ErrorType.UPSTREAM_TIMEOUT,
    ErrorType.GATEWAY_BUSY,
    ErrorType.GATEWAY_OVERLOADED,
    ErrorType.GATEWAY_NO_CHANNEL,
    ErrorType.GATEWAY_NO_DISPATCHER,
    ErrorType.GATEWAY_DISPATCHER_LOST,
    ErrorType.GATEWAY_FRAME_LOST,
    ErrorType.GATEWAY_SHUTTING_DOWN,
    ErrorType.GATEWAY_OUTRUN,
    ErrorType.GATEWAY_NOT_READY,
    ErrorType.GATEWAY_INTERNAL,
]
"""Kinds where nothing is wrong with the request: it is too much at the moment, or something behind has failed."""


def _shape_of_ours(kind: _Ours) -> _Shape:
    match kind:
        case ErrorType.POLICY_RATE_LIMITED | ErrorType.UPSTREAM_RATE_LIMITED:
            return _Shape(429, RATE_LIMIT_TYPE, "rate_limit_exceeded", retry=True, wait=True)
        case ErrorType.GATEWAY_OVERLOADED:
            return _Shape(429, RATE_LIMIT_TYPE, "overloaded", retry=True, wait=True)
        case (
            ErrorType.UPSTREAM_CREDENTIAL
            | ErrorType.UPSTREAM_ERROR
            | ErrorType.UPSTREAM_UNREACHABLE
            | ErrorType.UPSTREAM_ADDRESS
        ):
            return _Shape(502, SERVER_TYPE, "upstream_unavailable")
        case ErrorType.UPSTREAM_INVALID | ErrorType.UPSTREAM_CUT:
            return _Shape(502, SERVER_TYPE, "upstream_invalid_response")
        case ErrorType.UPSTREAM_TIMEOUT:
            return _Shape(504, SERVER_TYPE, "upstream_timeout")
        case (
            ErrorType.UPSTREAM_OVERLOADED
            | ErrorType.GATEWAY_BUSY
            | ErrorType.GATEWAY_NO_CHANNEL
            | ErrorType.GATEWAY_NO_DISPATCHER
            | ErrorType.GATEWAY_SHUTTING_DOWN
            | ErrorType.GATEWAY_NOT_READY
        ):
            return _Shape(503, SERVER_TYPE, "overloaded", retry=True, wait=True)
        case (
            ErrorType.GATEWAY_DISPATCHER_LOST
            | ErrorType.GATEWAY_FRAME_LOST
            | ErrorType.GATEWAY_INTERNAL
            | ErrorType.GATEWAY_OUTRUN
        ):
            return _Shape(500, SERVER_TYPE, "internal_error", retry=True)
        case _:
            assert_never(kind)
