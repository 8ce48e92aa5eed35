"""Relays a Responses stream: the provider's bytes go on as they came, and what the gateway must know is read beside it.

The dispatcher holds one `ResponsesStreamRelay` per streamed attempt and calls it for each chunk of the body. Each event
is decoded into the few members that matter (`wire`) and then forgotten; none is ever encoded again.
"""

import msgspec

from trunkline.core import limits
from trunkline.core.errors import FaultError
from trunkline.core.usage import Units
from trunkline.protocol.json_span import edit_object, top_level_spans
from trunkline.protocol.openai_responses.answer import failure_of
from trunkline.protocol.openai_responses.failures import read_failed_response, read_failure
from trunkline.protocol.openai_responses.usage import read_usage
from trunkline.protocol.openai_responses.wire import (
    COMPLETED,
    ERROR,
    FAILED,
    INCOMPLETE,
    Item,
    ResponseObject,
    StreamEvent,
    output_texts,
    present,
    read_event,
    read_response,
    sse_data,
)
from trunkline.protocol.sse import EventBuffer, leading_line_ends, parse_event, render_event, split_events
from trunkline.protocol.tokens import OutputCounter
from trunkline.protocol.upstream_error import UpstreamError, invalid_answer

_NO_STREAM = "The provider's answer is not an event stream."
_BROKEN_EVENT = "The provider sent a broken event."

_NOT_COUNTED = "response.audio"
"""How the deltas begin that hold sound as base64: output, but no text to be counted."""


class ResponsesStreamRelay:
    """Bytes of one streamed answer in, bytes for the client out, and facts about it as attributes.

    A stream that fails says so in ``error``: what was forwarded until then is all whole events, and nothing is
    returned any more. It never raises.

    Args:
        public_model: what ``model`` is changed to in each event that holds a response; None leaves it.

    Attributes:
        first_output: whether any text, call, reasoning or media has come; the beginning of a message is none.
        ended: whether the event has come that completes the response, or says why it is incomplete.
        error: what ended the stream: an error event, a failed response, a broken event, or no event stream at all.
    """

    __slots__ = (
        "_buffer",
        "_counter",
        "_deltas",
        "_foreign",
        "_public_model",
        "_started",
        "_units",
        "ended",
        "error",
        "first_output",
    )

    def __init__(self, *, public_model: str | None = None) -> None:
        self._public_model = msgspec.json.encode(public_model) if public_model is not None else None
        self._buffer = EventBuffer()
        self._started = False
        self._foreign: bytearray | None = None
        self._counter = OutputCounter()
        self._deltas = False
        self._units: Units | None = None
        self.first_output = False
        self.ended = False
        self.error: UpstreamError | None = None

    @property
    def opening(self) -> Units | None:
        """See `protocol.dialect.StreamRelay`; this dialect says nothing of the input at the start."""
        return None

    @property
    def complete(self) -> bool:
        """Whether the body may end here as a success (DIALECTS section 3.1): the response has had its one end."""
        return self.ended and self.error is None

    @property
    def units(self) -> Units | None:
        """What the provider reported; None if it reported nothing, or no output although there was some."""
        if self._units is not None and self.first_output and not self._units.output_total:
            return None
        return self._units

    def output_tokens_counted(self) -> int:
        """Return the tokens of the output so far, counted here. Exact to about one per hundred pieces."""
        return self._counter.tokens()

    def receive(self, chunk: bytes) -> bytes:
        """Return what the client gets now: whole events only, so it may be nothing."""
        if self.error is not None:
            return b""
        if not self._started and not self._is_stream(chunk):
            return b""
        try:
            block = self._buffer.receive(chunk)
        except FaultError as error:
            self.error = invalid_answer(error.fault.message)
            return b""
        return self._relay(block) if block else b""

    def finish(self) -> bytes:
        """Return what the client gets at the end of the body: a last event without its blank line, if it is whole."""
        if self.error is not None:
            return b""
        if self._foreign is not None:
            self.error = _foreign_error(bytes(self._foreign))
            return b""
        rest = self._buffer.finish()
        data = parse_event(rest).data
        if data is None or not (data == b"[DONE]" or _is_json(data)):
            # Nobody can read the beginning of an event; `complete` tells whether the stream was cut in it.
            return leading_line_ends(rest)
        return self._relay(rest.rstrip(b"\r\n") + b"\n\n")

    def _is_stream(self, chunk: bytes) -> bool:
        """Look at the first bytes: no line of an event stream begins like JSON or HTML, whatever its content type."""
        if self._foreign is None:
            start = chunk.lstrip(b" \t\r\n\xef\xbb\xbf")
            if not start:
                return True
            if start[0] not in b"{[<":
                self._started = True
                return True
            self._foreign = bytearray()
        self._foreign += chunk[: limits.UPSTREAM_ERROR_BYTES_MAX - len(self._foreign)]
        return False

    def _relay(self, block: bytes) -> bytes:
        events = split_events(block)
        if len(events) == 1:
            return self._relay_event(events[0])
        relayed = []
        for event in events:
            relayed.append(self._relay_event(event))
            if self.error is not None:
                break
        return b"".join(relayed)

    def _relay_event(self, event: bytes) -> bytes:
        data = sse_data(event)
        if not data or data == b"[DONE]":
            return event
        try:
            parsed = read_event(data)
        except ValueError:
            self.error = invalid_answer(_BROKEN_EVENT)
            return leading_line_ends(event)
        if parsed is None:
            return event
        kind = parsed.type or parse_event(event).event
        if self.ended or not self._read(kind, parsed, data):
            # A second end is none: the client has had the first.
            return leading_line_ends(event)
        if parsed.response is not None and self._public_model is not None:
            return self._renamed(event, data)
        return event

    def _read(self, kind: str, event: StreamEvent, data: bytes) -> bool:
        """Note what an event says; returns whether it may be passed on."""
        if event.delta and kind.endswith(".delta"):
            self.first_output = self._deltas = True
            if not kind.startswith(_NOT_COUNTED):
                self._counter.add(event.delta)
            return True
        if kind == ERROR or present(event.error):
            self.error = read_failure(data)
            return False
        if event.item is not None:
            self._read_item(kind, event.item)
        elif event.response is not None or kind in {COMPLETED, INCOMPLETE, FAILED}:
            self._read_response(kind, event.response)
        elif kind.endswith(".partial_image"):
            self.first_output = True
        return self.error is None

    def _read_item(self, kind: str, item: Item) -> None:
        if item.type == "message":
            return
        if item.type == "reasoning":
            # One that shows nothing has no deltas: what a client gets of it is its proof.
            self.first_output |= kind.endswith(".done") and bool(item.encrypted_content)
            return
        self.first_output = True
        if kind.endswith(".added") and item.name:
            self._counter.add(item.name)

    def _read_response(self, kind: str, response: ResponseObject | None) -> None:
        if response is not None and (report := present(response.usage)):
            self._units = read_usage(report, present(response.tool_usage)) or self._units
        if kind == FAILED:
            self.error = read_failed_response(response)
        elif kind in {COMPLETED, INCOMPLETE}:
            self.ended = True
            texts = output_texts(response.output) if response is not None else []
            if texts and not self._deltas:
                self.first_output = True
                self._counter.add("\n".join(texts))

    def _renamed(self, event: bytes, data: bytes) -> bytes:
        """Return an event whose response goes by the public model name; its other bytes stay."""
        members = top_level_spans(data)
        replaced = {}
        for index, member in enumerate(members):
            value = data[member.value_start : member.value_end]
            if member.key == "response" and value.startswith(b"{"):
                replaced[index] = self._renamed_response(value)
        renamed = edit_object(data, members, replaced=replaced)
        offset = event.find(data)
        if offset < 0:
            return leading_line_ends(event) + render_event(renamed, parse_event(event).event)
        return event[:offset] + renamed + event[offset + len(data) :]

    def _renamed_response(self, response: bytes) -> bytes:
        members = top_level_spans(response)
        name = self._public_model or b""
        return edit_object(
            response, members, replaced={index: name for index, member in enumerate(members) if member.key == "model"}
        )


def _is_json(data: bytes) -> bool:
    try:
        read_event(data)
    except ValueError:
        return False
    return True


def _foreign_error(body: bytes) -> UpstreamError:
    try:
        response = read_response(body)
    except ValueError:
        response = None
    if response is not None and (response.status == "failed" or present(response.error)):
        return failure_of(response, body) or invalid_answer(_NO_STREAM)
    return invalid_answer(_NO_STREAM)
