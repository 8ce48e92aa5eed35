"""Relays a Responses stream: the provider's bytes go on as they came, and what the gateway must know is read beside it.

The dispatcher holds one `ResponsesStreamRelay` per streamed attempt and calls it for each chunk of the body.
"""

import msgspec

from trunkline.core.usage import Units
from trunkline.protocol.counted_usage import CountInput, state_usage_inside
from trunkline.protocol.event_relay import NO_STREAM, EventRelay
from trunkline.protocol.openai_responses.answer import failure_of
from trunkline.protocol.openai_responses.failures import read_failed_response, read_failure
from trunkline.protocol.openai_responses.usage import read_usage, show_usage
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
from trunkline.protocol.renaming import rename_model_inside
from trunkline.protocol.sse import SSEEvent, leading_line_ends, parse_event, with_data
from trunkline.protocol.upstream_error import BROKEN_EVENT, UpstreamError, invalid_answer

_ENDS = frozenset({COMPLETED, INCOMPLETE, FAILED})

_NOT_COUNTED = "response.audio"
"""How the deltas begin that hold sound as base64: output, but no text to be counted."""


def ends_response(event: SSEEvent) -> bool:
    """Return whether an event is the one end that a response has. Look-alikes may not name their events."""
    if event.event or event.data is None:
        return event.event in _ENDS
    if event.data == b"[DONE]":
        return True
    try:
        parsed = read_event(event.data)
    except ValueError:
        return False
    return parsed is not None and parsed.type in _ENDS


class ResponsesStreamRelay(EventRelay):
    """See `EventRelay`.

    Args:
        public_model: what ``model`` is changed to in each event that holds a response; None leaves it.
        count_input: for the usage in the last event where the provider reports none.

    Attributes:
        first_output: whether any text, call, reasoning or media has come; the beginning of a message is none.
        ended: whether the event has come that completes the response, or says why it is incomplete.
        error: what ended the stream: an error event, a failed response, a broken event, or no event stream at all.
    """

    __slots__ = ("_deltas", "_units", "ended")

    def __init__(self, *, public_model: str | None = None, count_input: CountInput | None = None) -> None:
        super().__init__(public_model, read_event, count_input)
        self._deltas = False
        self._units: Units | None = None
        self.ended = False

    @property
    def complete(self) -> bool:
        """Whether the body may end here as a success (DIALECTS section 3.1): the response has had its one end."""
        return self.ended and self.error is None

    def _relay_event(self, event: bytes) -> bytes:
        data = sse_data(event)
        if not data or data == b"[DONE]":
            return event
        try:
            parsed = read_event(data)
        except ValueError:
            self.error = invalid_answer(BROKEN_EVENT)
            return leading_line_ends(event)
        if parsed is None:
            return event
        kind = parsed.type or parse_event(event).event
        if self.ended or not self._read(kind, parsed, data):
            # A second end is none: the client has had the first.
            return leading_line_ends(event)
        return event if parsed.response is None else self._relay_response(event, data)

    def _relay_response(self, event: bytes, data: bytes) -> bytes:
        """Return an event that holds the response, under the public name; the last one states the usage."""
        shown = data
        if self._public_model is not None:
            shown = rename_model_inside(shown, "response", self._public_model)
        units = self._counted_usage() if self.ended else None
        if units is not None:
            shown = state_usage_inside(shown, "response", msgspec.json.encode(show_usage(units)))
        return event if shown is data else with_data(event, data, shown)

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
        elif event.response is not None or kind in _ENDS:
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
            self.finish_reason = response.end_word if response is not None else ""
            texts = output_texts(response.output) if response is not None else []
            if texts and not self._deltas:
                self.first_output = True
                self._counter.add("\n".join(texts))

    def _reported(self) -> Units | None:
        return self._units

    def _foreign_error(self, body: bytes) -> UpstreamError:
        try:
            response = read_response(body)
        except ValueError:
            response = None
        if response is not None and (response.status == "failed" or present(response.error)):
            return failure_of(response, body) or invalid_answer(NO_STREAM)
        return invalid_answer(NO_STREAM)
