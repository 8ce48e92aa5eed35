"""A Responses upstream's answer as neutral events, from a stream or from a whole body. Called by the dispatcher."""

from trunkline.core import limits
from trunkline.core.errors import FaultError
from trunkline.protocol.dialect import Written
from trunkline.protocol.events import Event, Finish, FinishReason, MessageEnd, StreamError, UsageReport
from trunkline.protocol.openai_responses.answer import INVALID, failure_of
from trunkline.protocol.openai_responses.failures import read_failed_response, read_failure
from trunkline.protocol.openai_responses.item_events import ItemEvents
from trunkline.protocol.openai_responses.stream_pieces import PIECES
from trunkline.protocol.openai_responses.usage import read_usage
from trunkline.protocol.openai_responses.wire import (
    COMPLETED,
    ERROR,
    FAILED,
    INCOMPLETE,
    ResponseObject,
    present,
    read_event,
    read_response,
    sse_data,
)
from trunkline.protocol.sse import EventSplitter, parse_event
from trunkline.protocol.stream_start import StreamStart, without_space
from trunkline.protocol.upstream_error import BROKEN_EVENT, CUT, UpstreamError, invalid_answer
from trunkline.protocol.vendor import VendorOptions

_TOO_LARGE = "The provider's answer is too large."

_OF_THE_RESPONSE = "response."
"""How the types of all events begin that say something of the answer."""

_REASONS = {"max_output_tokens": FinishReason.LENGTH, "content_filter": FinishReason.FILTER}
_STREAM_STARTS = (b"event:", b"data:", b":", b"id:", b"retry:")


def read_answer(body: bytes, written: Written, options: VendorOptions) -> list[Event]:
    """Return the events of a whole answer with status 200. Never raises, whatever the bytes.

    Args:
        body: all of it; an event stream is read as one.
        written: the request that it answers.
        options: of the channel.
    """
    if without_space(body).startswith(_STREAM_STARTS):
        reader = ResponsesEventReader(written, options)
        return reader.receive(body) + reader.finish()
    try:
        response = read_response(body)
    except ValueError:
        response = None
    if response is None:
        return [StreamError(invalid_answer(INVALID))]
    error = failure_of(response, body)
    if error is not None:
        return [StreamError(error)]
    items = ItemEvents(written.names)
    items.start(response.id or "")
    _conclude(items, response, incomplete=response.status == "incomplete")
    return items.out


def _conclude(items: ItemEvents, response: ResponseObject, *, incomplete: bool) -> None:
    """Put the end of an answer behind its items; those that have not come before are taken from the whole response."""
    unseen = items.empty
    for index, item in enumerate(response.output or ()):
        # Where items came before, only those are completed: with ids that changed on the way, one would come twice.
        if unseen or items.find(item.id, index, item.type or "") is not None:
            items.complete(item, index)
    items.end()
    units = read_usage(present(response.usage), present(response.tool_usage))
    if units is not None:
        items.out.append(UsageReport(units))
    reason = FinishReason.STOP
    if incomplete:
        details = response.incomplete_details
        reason = _REASONS.get(details.reason or "" if details is not None else "", FinishReason.OTHER)
    if items.calls and reason in {FinishReason.STOP, FinishReason.OTHER}:
        reason = FinishReason.TOOL_CALLS
    items.out += (Finish(reason), MessageEnd())


class ResponsesEventReader:
    """Reads one stream: bytes of any chunking in, events out. Never raises; see `protocol.events`.

    Args:
        written: the request that the stream answers.
        options: of the channel.
    """

    __slots__ = ("_begun", "_ended", "_items", "_options", "_splitter", "_start", "_written")

    def __init__(self, written: Written, options: VendorOptions) -> None:
        self._written = written
        self._options = options
        self._items = ItemEvents(written.names)
        self._splitter = EventSplitter()
        self._start = StreamStart(limits.UPSTREAM_ANSWER_BYTES_MAX)
        self._begun = False
        self._ended = False

    def receive(self, chunk: bytes) -> list[Event]:
        """Return the events that are whole now."""
        if self._ended:
            return []
        if not self._start.is_stream and not self._start.receive(chunk):
            if self._start.too_long:
                self._fail(invalid_answer(_TOO_LARGE))
            return self._taken()
        try:
            events = self._splitter.receive(chunk)
        except FaultError as error:
            self._fail(invalid_answer(error.fault.message))
            return self._taken()
        for event in events:
            self._read(event)
            if self._ended:
                break
        return self._taken()

    def finish(self) -> list[Event]:
        """The body has ended; returns the last events."""
        if not self._ended and self._start.is_stream is False:
            self._ended = True
            return read_answer(self._start.body, self._written, self._options)
        if not self._ended:
            rest = self._splitter.finish()
            if rest and _is_whole(rest):
                self._read(rest)
        if not self._ended:
            self._fail(CUT)
        return self._taken()

    def _taken(self) -> list[Event]:
        events, self._items.out = self._items.out, []
        return events

    def _fail(self, error: UpstreamError) -> None:
        self._ended = True
        self._items.out.append(StreamError(error))

    def _read(self, raw: bytes) -> None:
        data = sse_data(raw)
        if not data:
            return
        if data == b"[DONE]":
            if self._options.lenient_end and self._begun:
                self._items.end()
                self._items.out.append(MessageEnd())
                self._ended = True
            return
        try:
            event = read_event(data)
        except ValueError:
            self._fail(invalid_answer(BROKEN_EVENT))
            return
        if event is None:
            return
        kind = event.type or parse_event(raw).event
        if kind == ERROR or present(event.error):
            self._fail(read_failure(data))
            return
        if kind == FAILED:
            self._read_failed(event.response)
            return
        if not kind.startswith(_OF_THE_RESPONSE):
            # Heartbeats of some hosts: they say nothing, not even that the answer begins.
            return
        if not self._begun:
            self._begun = True
            self._items.start((event.response.id or "") if event.response is not None else "")
        if kind in {COMPLETED, INCOMPLETE}:
            _conclude(self._items, event.response or ResponseObject(), incomplete=kind == INCOMPLETE)
            self._ended = True
            return
        piece = PIECES.get(kind)
        if piece is not None:
            piece(self._items, event)

    def _read_failed(self, response: ResponseObject | None) -> None:
        units = read_usage(present(response.usage)) if response is not None else None
        if units is not None and self._begun:
            self._items.out.append(UsageReport(units))
        self._fail(read_failed_response(response))


def _is_whole(event: bytes) -> bool:
    """Return whether an event without its blank line is one: nobody can read the beginning of another."""
    data = parse_event(event).data
    if data is None or data == b"[DONE]":
        return data is not None
    try:
        read_event(data)
    except ValueError:
        return False
    return True
