"""The one place where a `Fault` becomes an error in Google's shape: ``google.rpc.Status`` as JSON. Called by the edge.

Codes and statuses are those of DIALECTS section 4.2. The code is a number and ``error`` the first key, since that is
what the official SDK looks for in a stream.
"""

import re
from typing import assert_never

import msgspec

from trunkline.core.errors import ErrorType, Fault
from trunkline.protocol.error_response import ErrorResponse, retry_headers

_TYPES = "type.googleapis.com/google.rpc."
_DOMAIN = "trunkline"


class _Shape(msgspec.Struct, frozen=True):
    """How one kind of error looks.

    Attributes:
        code: HTTP status.
        status: Google's word.
        reason: finer, in ``details``; empty for none.
        retry: whether the same request may succeed later.
        wait: say when, too.
    """

    code: int
    status: str
    reason: str = ""
    retry: bool = False
    wait: bool = False


class _ErrorInfo(msgspec.Struct, tag_field="@type", tag=_TYPES + "ErrorInfo"):
    reason: str
    domain: str = _DOMAIN


class _Violation(msgspec.Struct):
    field: str
    description: str


class _BadRequest(msgspec.Struct, tag_field="@type", tag=_TYPES + "BadRequest", rename="camel"):
    field_violations: list[_Violation]


class _RetryInfo(msgspec.Struct, tag_field="@type", tag=_TYPES + "RetryInfo", rename="camel"):
    retry_delay: str


class _RequestInfo(msgspec.Struct, tag_field="@type", tag=_TYPES + "RequestInfo", rename="camel"):
    request_id: str


_Detail = _ErrorInfo | _BadRequest | _RetryInfo | _RequestInfo


class _Error(msgspec.Struct):
    code: int
    message: str
    status: str
    details: list[_Detail]


class _Body(msgspec.Struct):
    error: _Error


_encode = msgspec.json.Encoder().encode

_OVERFLOW = "context_length_exceeded"
_TOKEN_COUNT = re.compile(r"(?<![\w.-])\d{1,3}(?:,\d{3})+(?![\w-])|(?<![\w.-])\d{3,9}(?![\w-])")
"""A number that can be a token count: of three digits at least, and no part of a model's name."""


def render_error(fault: Fault, request_id: str) -> ErrorResponse:
    """Return the response for a fault that is known before the answer's head was sent."""
    shape = _shape(fault.type)
    headers = {
        "content-type": "application/json; charset=utf-8",
        "x-request-id": request_id,
        **retry_headers(fault, retry=shape.retry, wait=shape.wait),
    }
    if shape.code == 401:
        headers["www-authenticate"] = "Bearer"
    return ErrorResponse(shape.code, headers, _body(fault, shape, request_id, headers.get("retry-after")))


def render_stream_error(fault: Fault, request_id: str, *, array: bool) -> bytes:
    """Return what ends a broken stream of which something was sent; the stream is then closed.

    An array is not closed: the one SDK that reads it takes errors for empty answers, but raises on an array without an
    end, and quotes its last element then.
    """
    body = _body(fault, _shape(fault.type), request_id, None)
    return b"," + body if array else b"data: " + body + b"\n\n"


def _body(fault: Fault, shape: _Shape, request_id: str, retry_after: str | None) -> bytes:
    details: list[_Detail] = []
    reason = fault.code.upper() if fault.code else shape.reason
    if reason:
        details.append(_ErrorInfo(reason))
    if fault.param:
        details.append(_BadRequest([_Violation(fault.param, fault.message)]))
    if retry_after is not None and shape.code == 429:
        details.append(_RetryInfo(f"{retry_after}s"))
    details.append(_RequestInfo(request_id))
    message = _overflow(fault.message) if fault.code == _OVERFLOW else fault.message
    return _encode(_Body(_Error(shape.code, message, shape.status, details)))


def _overflow(message: str) -> str:
    """Return a provider's words about a full context in Gemini's, which clients look for, with its numbers."""
    if "input token count" in message.lower():
        return message
    found = {int(number.replace(",", "")) for number in _TOKEN_COUNT.findall(message)}
    if len(found) == 2:
        return f"The input token count ({max(found)}) exceeds the maximum number of tokens allowed ({min(found)})."
    return f"The input token count exceeds the maximum number of tokens allowed. {message}"


def _shape(kind: ErrorType) -> _Shape:  # noqa: C901, PLR0912 - one row per kind of error, checked to be exhaustive
    match kind:
        case ErrorType.CLIENT_BAD_REQUEST | ErrorType.CLIENT_BAD_JSON | ErrorType.UPSTREAM_BAD_REQUEST:
            shape = _Shape(400, "INVALID_ARGUMENT")
        case ErrorType.CLIENT_UNAUTHENTICATED | ErrorType.POLICY_KEY_BLOCKED:
            shape = _Shape(401, "UNAUTHENTICATED", "API_KEY_INVALID")
        case ErrorType.POLICY_NO_CREDIT:
            shape = _Shape(403, "PERMISSION_DENIED", "INSUFFICIENT_QUOTA")
        case ErrorType.POLICY_BUDGET_SPENT:
            shape = _Shape(403, "PERMISSION_DENIED", "BUDGET_EXCEEDED")
        case ErrorType.POLICY_MODEL_NOT_ALLOWED:
            shape = _Shape(403, "PERMISSION_DENIED", "MODEL_NOT_ALLOWED")
        case ErrorType.POLICY_ENDPOINT_NOT_ALLOWED:
            shape = _Shape(403, "PERMISSION_DENIED", "ENDPOINT_NOT_ALLOWED")
        case ErrorType.POLICY_ACCESS_DENIED:
            shape = _Shape(403, "PERMISSION_DENIED", "ACCESS_DENIED")
        case ErrorType.CLIENT_NOT_FOUND | ErrorType.CLIENT_MODEL_NOT_FOUND:
            shape = _Shape(404, "NOT_FOUND")
        case ErrorType.CLIENT_METHOD_NOT_ALLOWED:
            shape = _Shape(405, "INVALID_ARGUMENT")
        case ErrorType.CLIENT_TOO_SLOW:
            shape = _Shape(408, "DEADLINE_EXCEEDED", retry=True)
        case ErrorType.CLIENT_BODY_TOO_LARGE:
            shape = _Shape(413, "INVALID_ARGUMENT", "REQUEST_TOO_LARGE")
        case ErrorType.CLIENT_UNSUPPORTED_MEDIA:
            shape = _Shape(415, "INVALID_ARGUMENT")
        case ErrorType.CLIENT_UPGRADE_UNSUPPORTED:
            shape = _Shape(426, "INVALID_ARGUMENT")
        case ErrorType.CLIENT_HEADERS_TOO_LARGE:
            shape = _Shape(431, "INVALID_ARGUMENT")
        case ErrorType.POLICY_RATE_LIMITED | ErrorType.UPSTREAM_RATE_LIMITED:
            shape = _Shape(429, "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED", retry=True, wait=True)
        case ErrorType.GATEWAY_OVERLOADED:
            shape = _Shape(429, "RESOURCE_EXHAUSTED", "OVERLOADED", retry=True, wait=True)
        case ErrorType.CLIENT_GONE:
            shape = _Shape(499, "CANCELLED")
        case (
            ErrorType.UPSTREAM_CREDENTIAL
            | ErrorType.UPSTREAM_ERROR
            | ErrorType.UPSTREAM_UNREACHABLE
            | ErrorType.UPSTREAM_ADDRESS
        ):
            shape = _Shape(502, "UNAVAILABLE")
        case ErrorType.UPSTREAM_INVALID | ErrorType.UPSTREAM_CUT:
            shape = _Shape(502, "INTERNAL")
        case ErrorType.UPSTREAM_TIMEOUT:
            shape = _Shape(504, "DEADLINE_EXCEEDED")
        case (
            ErrorType.UPSTREAM_OVERLOADED
            | ErrorType.GATEWAY_BUSY
            | ErrorType.GATEWAY_NO_CHANNEL
            | ErrorType.GATEWAY_NO_DISPATCHER
            | ErrorType.GATEWAY_SHUTTING_DOWN
            | ErrorType.GATEWAY_NOT_READY
        ):
            shape = _Shape(503, "UNAVAILABLE", retry=True, wait=True)
        case (
            ErrorType.GATEWAY_DISPATCHER_LOST
            | ErrorType.GATEWAY_FRAME_LOST
            | ErrorType.GATEWAY_INTERNAL
            | ErrorType.GATEWAY_OUTRUN
        ):
            shape = _Shape(500, "INTERNAL", retry=True)
        case _:
            assert_never(kind)
    return shape
