"""The one place where a `Fault` becomes an error in the shape of OpenAI's Responses. Called by the edge.

Statuses, types and codes are those of DIALECTS section 4.2, the end of a broken stream is that of 3.3.
"""

from typing import assert_never

import msgspec

from trunkline.core.errors import ErrorType, Fault
from trunkline.protocol.error_response import ErrorResponse, retry_headers
from trunkline.protocol.openai_responses.shapes import ErrorShown, Lifecycle, ResponseShown
from trunkline.protocol.openai_responses.wire import ERROR, FAILED
from trunkline.protocol.sse import render_event


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


class _Error(msgspec.Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class _Body(msgspec.Struct):
    error: _Error


class _NestedError(_Error):
    request_id: str


class _ErrorEvent(msgspec.Struct):
    """Flat as documented, and nested as the service sends it: the SDKs raise on the nested form alone."""

    type: str
    code: str | None
    message: str
    param: str | None
    sequence_number: int
    error: _NestedError


_encode = msgspec.json.Encoder().encode

_LATE = 2**31 - 2
"""Sequence number where it is not known how many events were sent: behind all of them, and still 32 bits."""

_INVALID = "invalid_request_error"
_SERVER = "server_error"
_LIMITED = "rate_limit_error"


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
    error = _Error(message=fault.message, type=shape.type, param=fault.param, code=fault.code or shape.code)
    return ErrorResponse(shape.status, headers, _encode(_Body(error)))


def render_stream_error(fault: Fault, request_id: str) -> bytes:
    """Return the two events that end a broken stream: ``error``, then ``response.failed``.

    In this order SDKs raise with the error in their hands, before they compare the failed response with the one that
    was created: its id is known here only where we wrote it (see `event_writer`). Clients that read nothing but the
    lifecycle get the second.

    Args:
        fault: what went wrong.
        request_id: the job's id as text.
    """
    shape = _shape(fault.type)
    code = fault.code or shape.code
    nested = _NestedError(message=fault.message, type=shape.type, param=fault.param, code=code, request_id=request_id)
    event = _ErrorEvent(
        type=ERROR, code=code, message=fault.message, param=fault.param, sequence_number=_LATE, error=nested
    )
    failed = ResponseShown(
        id="resp_" + request_id.replace("-", ""),
        created_at=0,
        model="",
        status="failed",
        output=[],
        error=ErrorShown(fault.code or _response_code(shape), fault.message),
    )
    end = Lifecycle(FAILED, failed, _LATE + 1)
    return render_event(_encode(event), ERROR) + render_event(_encode(end), FAILED)


def _response_code(shape: _Shape) -> str:
    """Return a code that the SDKs' type of a failed response lists."""
    if shape.type == _LIMITED:
        return "rate_limit_exceeded"
    return "server_error" if shape.type == _SERVER else "invalid_prompt"


def _shape(kind: ErrorType) -> _Shape:  # noqa: C901, PLR0912 - one row per kind of error, checked to be exhaustive
    match kind:
        case ErrorType.CLIENT_BAD_REQUEST:
            shape = _Shape(400, _INVALID, "invalid_value")
        case ErrorType.CLIENT_BAD_JSON:
            shape = _Shape(400, _INVALID, "invalid_json")
        case ErrorType.UPSTREAM_BAD_REQUEST:
            shape = _Shape(400, _INVALID, "invalid_value")
        case ErrorType.CLIENT_UNAUTHENTICATED | ErrorType.POLICY_KEY_BLOCKED:
            shape = _Shape(401, _INVALID, "invalid_api_key")
        case ErrorType.POLICY_NO_CREDIT:
            shape = _Shape(403, "insufficient_quota", "insufficient_quota")
        case ErrorType.POLICY_MODEL_NOT_ALLOWED:
            shape = _Shape(403, "permission_error", "model_not_allowed")
        case ErrorType.CLIENT_NOT_FOUND:
            shape = _Shape(404, _INVALID, "not_found")
        case ErrorType.CLIENT_MODEL_NOT_FOUND:
            shape = _Shape(404, _INVALID, "model_not_found")
        case ErrorType.CLIENT_METHOD_NOT_ALLOWED:
            shape = _Shape(405, _INVALID, "method_not_allowed")
        case ErrorType.CLIENT_TOO_SLOW:
            shape = _Shape(408, _INVALID, "request_timeout", retry=True)
        case ErrorType.CLIENT_BODY_TOO_LARGE:
            shape = _Shape(413, _INVALID, "request_too_large")
        case ErrorType.CLIENT_UNSUPPORTED_MEDIA:
            shape = _Shape(415, _INVALID, "unsupported_media_type")
        case ErrorType.CLIENT_HEADERS_TOO_LARGE:
            shape = _Shape(431, _INVALID, "headers_too_large")
        case ErrorType.POLICY_RATE_LIMITED | ErrorType.UPSTREAM_RATE_LIMITED:
            shape = _Shape(429, _LIMITED, "rate_limit_exceeded", retry=True, wait=True)
        case ErrorType.CLIENT_GONE:
            shape = _Shape(499, _INVALID, "client_closed_request")
        case ErrorType.UPSTREAM_CREDENTIAL | ErrorType.UPSTREAM_ERROR | ErrorType.UPSTREAM_UNREACHABLE:
            shape = _Shape(502, _SERVER, "upstream_unavailable")
        case ErrorType.UPSTREAM_INVALID | ErrorType.UPSTREAM_CUT:
            shape = _Shape(502, _SERVER, "upstream_invalid_response")
        case ErrorType.UPSTREAM_TIMEOUT:
            shape = _Shape(504, _SERVER, "upstream_timeout")
        case (
            ErrorType.UPSTREAM_OVERLOADED
            | ErrorType.GATEWAY_BUSY
            | ErrorType.GATEWAY_NO_CHANNEL
            | ErrorType.GATEWAY_NO_DISPATCHER
            | ErrorType.GATEWAY_SHUTTING_DOWN
            | ErrorType.GATEWAY_NOT_READY
        ):
            shape = _Shape(503, _SERVER, "overloaded", retry=True, wait=True)
        case ErrorType.GATEWAY_DISPATCHER_LOST | ErrorType.GATEWAY_FRAME_LOST | ErrorType.GATEWAY_INTERNAL:
            shape = _Shape(500, _SERVER, "internal_error", retry=True)
        case _:
            assert_never(kind)
    return shape
