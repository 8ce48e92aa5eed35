"""The one place where a `Fault` becomes an error in Anthropic's shape. Called by the edge.

Statuses and types are those of DIALECTS section 4.2.
"""

import re
from typing import assert_never

import msgspec

from trunkline.core.errors import ErrorType, Fault
from trunkline.protocol.error_response import ErrorResponse, retry_headers
from trunkline.protocol.sse import render_event


class _Shape(msgspec.Struct, frozen=True):
    """How one kind of error looks.

    Attributes:
        status: HTTP status.
        type: Anthropic's word.
        retry: whether the same request may succeed later.
        wait: say when, too.
    """

    status: int
    type: str
    retry: bool = False
    wait: bool = False


class _Error(msgspec.Struct):
    type: str
    message: str


class _Body(msgspec.Struct):
    type: str
    error: _Error
    request_id: str


_encode = msgspec.json.Encoder().encode

_INVALID = "invalid_request_error"
_SERVER = "api_error"

_OVERFLOW_AS_IT_IS = ("prompt is too long: ", "input length and `max_tokens` exceed context limit")
"""Anthropic's own words, which clients take apart."""

_NUMBER = re.compile(r"(?<![\w.-])\d[\d,]*(?![\w-])", re.ASCII)
"""A number by itself, not one in the name of a model or in a version."""


def render_error(fault: Fault, request_id: str) -> ErrorResponse:
    """Return the response for a fault that is known before the answer's head was sent."""
    shape = _shape(fault.type)
    headers = {
        "content-type": "application/json",
        "request-id": request_id,
        **retry_headers(fault, retry=shape.retry, wait=shape.wait),
    }
    if shape.status == 401:
        headers["www-authenticate"] = "Bearer"
    return ErrorResponse(shape.status, headers, _body(fault, shape, request_id))


def render_stream_error(fault: Fault, request_id: str) -> bytes:
    """Return the event that ends a broken stream. It needs its name: clients lose an error without one."""
    return render_event(_body(fault, _shape(fault.type), request_id), "error")


def _body(fault: Fault, shape: _Shape, request_id: str) -> bytes:
    message = _overflow(fault.message) if fault.code == "context_length_exceeded" else fault.message
    return _encode(_Body("error", _Error(shape.type, message), request_id))


def _overflow(message: str) -> str:
    """Return a context overflow in Anthropic's words, by which clients know when to shorten a conversation.

    Whoever said it, the largest number is what was asked for, and the largest below it is the bound.
    """
    if message.startswith(_OVERFLOW_AS_IT_IS):
        return message
    numbers = sorted({int(found.replace(",", "")) for found in _NUMBER.findall(message[:4096]) if len(found) < 16})
    if len(numbers) < 2:
        return f"prompt is too long: {message}"
    return f"prompt is too long: {numbers[-1]} tokens > {numbers[-2]} maximum. {message}"


def _shape(kind: ErrorType) -> _Shape:  # noqa: C901, PLR0912 - one row per kind of error, checked to be exhaustive
    match kind:
        case ErrorType.CLIENT_BAD_REQUEST | ErrorType.CLIENT_BAD_JSON | ErrorType.UPSTREAM_BAD_REQUEST:
            shape = _Shape(400, _INVALID)
        case ErrorType.CLIENT_UNAUTHENTICATED | ErrorType.POLICY_KEY_BLOCKED:
            shape = _Shape(401, "authentication_error")
        case ErrorType.POLICY_NO_CREDIT | ErrorType.POLICY_BUDGET_SPENT:
            shape = _Shape(402, "billing_error")
        case (
            ErrorType.POLICY_MODEL_NOT_ALLOWED | ErrorType.POLICY_ENDPOINT_NOT_ALLOWED | ErrorType.POLICY_ACCESS_DENIED
        ):
            shape = _Shape(403, "permission_error")
        case ErrorType.CLIENT_NOT_FOUND | ErrorType.CLIENT_MODEL_NOT_FOUND:
            shape = _Shape(404, "not_found_error")
        case ErrorType.CLIENT_METHOD_NOT_ALLOWED:
            shape = _Shape(405, _INVALID)
        case ErrorType.CLIENT_TOO_SLOW:
            shape = _Shape(408, "timeout_error", retry=True)
        case ErrorType.CLIENT_BODY_TOO_LARGE:
            shape = _Shape(413, "request_too_large")
        case ErrorType.CLIENT_UNSUPPORTED_MEDIA:
            shape = _Shape(415, _INVALID)
        case ErrorType.CLIENT_UPGRADE_UNSUPPORTED:
            shape = _Shape(426, _INVALID)
        case ErrorType.CLIENT_HEADERS_TOO_LARGE:
            shape = _Shape(431, _INVALID)
        case ErrorType.POLICY_RATE_LIMITED | ErrorType.UPSTREAM_RATE_LIMITED | ErrorType.GATEWAY_OVERLOADED:
            shape = _Shape(429, "rate_limit_error", retry=True, wait=True)
        case ErrorType.CLIENT_GONE:
            shape = _Shape(499, _INVALID)
        case (
            ErrorType.UPSTREAM_CREDENTIAL
            | ErrorType.UPSTREAM_ERROR
            | ErrorType.UPSTREAM_UNREACHABLE
            | ErrorType.UPSTREAM_ADDRESS
            | ErrorType.UPSTREAM_INVALID
            | ErrorType.UPSTREAM_CUT
        ):
            shape = _Shape(502, _SERVER)
        case ErrorType.UPSTREAM_TIMEOUT:
            shape = _Shape(504, "timeout_error")
        case (
            ErrorType.UPSTREAM_OVERLOADED
            | ErrorType.GATEWAY_BUSY
            | ErrorType.GATEWAY_NO_CHANNEL
            | ErrorType.GATEWAY_NO_DISPATCHER
            | ErrorType.GATEWAY_SHUTTING_DOWN
            | ErrorType.GATEWAY_NOT_READY
        ):
            shape = _Shape(529, "overloaded_error", retry=True, wait=True)
        case (
            ErrorType.GATEWAY_DISPATCHER_LOST
            | ErrorType.GATEWAY_FRAME_LOST
            | ErrorType.GATEWAY_INTERNAL
            | ErrorType.GATEWAY_OUTRUN
        ):
            shape = _Shape(500, _SERVER, retry=True)
        case _:
            assert_never(kind)
    return shape
