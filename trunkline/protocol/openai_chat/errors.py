"""A `Fault` inside a chat stream. Called by the edge; before a stream, `protocol.openai_error` has it."""

import msgspec

from trunkline.core.errors import Fault
from trunkline.protocol.openai_error import ErrorBody, streamed_error
from trunkline.protocol.sse import render_event


def render_stream_error(fault: Fault, request_id: str) -> bytes:
    """Return the event that ends a broken stream. No ``[DONE]`` follows it: the stream is then closed."""
    return render_event(msgspec.json.encode(ErrorBody(streamed_error(fault, request_id))))
