"""A `Fault` inside a Responses stream (DIALECTS section 3.3). Called by the edge.

Before a stream, `protocol.openai_error` has it.
"""

import msgspec

from trunkline.core.errors import Fault
from trunkline.protocol.openai_error import RATE_LIMIT_TYPE, SERVER_TYPE, StreamedError, streamed_error
from trunkline.protocol.openai_responses.shapes import ErrorShown, Lifecycle, ResponseShown
from trunkline.protocol.openai_responses.wire import ERROR, FAILED
from trunkline.protocol.sse import render_event


class _ErrorEvent(msgspec.Struct):
    """Flat as documented, and nested as the service sends it: the SDKs raise on the nested form alone."""

    type: str
    code: str | None
    message: str
    param: str | None
    sequence_number: int
    error: StreamedError


_encode = msgspec.json.Encoder().encode

_LATE = 2**31 - 2
"""Sequence number where it is not known how many events were sent: behind all of them, and still 32 bits."""


def render_stream_error(fault: Fault, request_id: str) -> bytes:
    """Return the two events that end a broken stream: ``error``, then ``response.failed``.

    In this order SDKs raise with the error in their hands, before they compare the failed response with the one that
    was created: its id is known here only where we wrote it (see `event_writer`). Clients that read nothing but the
    lifecycle get the second.

    Args:
        fault: what went wrong.
        request_id: the job's id as text.
    """
    error = streamed_error(fault, request_id)
    event = _ErrorEvent(
        type=ERROR, code=error.code, message=error.message, param=error.param, sequence_number=_LATE, error=error
    )
    failed = ResponseShown(
        id="resp_" + request_id.replace("-", ""),
        created_at=0,
        model="",
        status="failed",
        output=[],
        error=ErrorShown(fault.code or _response_code(error.type), fault.message),
    )
    end = Lifecycle(FAILED, failed, _LATE + 1)
    return render_event(_encode(event), ERROR) + render_event(_encode(end), FAILED)


def _response_code(error_type: str) -> str:
    """Return a code that the SDKs' type of a failed response lists."""
    if error_type == RATE_LIMIT_TYPE:
        return "rate_limit_exceeded"
    return "server_error" if error_type == SERVER_TYPE else "invalid_prompt"
