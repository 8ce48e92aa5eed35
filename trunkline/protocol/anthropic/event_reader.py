"""Reads an Anthropic upstream's answers, streamed and whole, into neutral events. Called by the dispatcher."""

from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.anthropic.answer import foreign_error
from trunkline.protocol.anthropic.blocks import BlockReader, UnfollowableError
from trunkline.protocol.anthropic.usage import UsageTally
from trunkline.protocol.anthropic.wire import (
    FAILED_STOPS,
    MaybeRaw,
    Message,
    StopDetails,
    StreamEvent,
    frame_data,
    present,
    read_blocks,
    read_event,
    read_message,
)
from trunkline.protocol.dialect import Written
from trunkline.protocol.events import Event, Finish, FinishReason, MessageEnd, MessageStart, StreamError, UsageReport
from trunkline.protocol.sse import EventBuffer, parse_event, split_events
from trunkline.protocol.stream_start import StreamStart, without_space
from trunkline.protocol.upstream_error import (
    BROKEN_EVENT,
    RetryClass,
    UpstreamError,
    invalid_answer,
    read_upstream_error,
)

_UNFOLLOWABLE = "The provider sent pieces of an answer that belong to nothing."
_INVALID = "The provider's answer is not a message."
_CUT = UpstreamError(
    Fault(ErrorType.UPSTREAM_CUT, "The provider's answer ended before it was whole."), RetryClass.OTHER_CHANNEL
)

_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP_SEQUENCE,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.CONTEXT_FULL,
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.FILTER,
    "pause_turn": FinishReason.PAUSED,
    # Words of other dialects, which look-alikes pass on.
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.FILTER,
    "sensitive": FinishReason.FILTER,
}
_OVER_CALLS = frozenset({FinishReason.LENGTH, FinishReason.CONTEXT_FULL, FinishReason.FILTER})
"""Reasons that hold even where a tool is called (DIALECTS section 4.1)."""


class _Answer:
    """One answer on its way: what the readers of both forms share.

    Args:
        written: the request that is answered.
        lenient: take ``message_stop`` without a stop reason for a good end.

    Attributes:
        events: those not taken yet.
        ended: the last event is among them.
    """

    __slots__ = (
        "_blocks",
        "_details",
        "_lenient",
        "_reason",
        "_sequence",
        "_started",
        "_usage",
        "_usage_told",
        "ended",
        "events",
    )

    def __init__(self, written: Written, *, lenient: bool = False) -> None:
        self.events: list[Event] = []
        self.ended = False
        self._blocks = BlockReader(written, self.events)
        self._lenient = lenient
        self._usage = UsageTally()
        self._usage_told = False
        self._started = False
        self._reason = ""
        self._sequence: str | None = None
        self._details: StopDetails | None = None

    def take(self) -> list[Event]:
        """Return the events not taken yet."""
        events = self.events.copy()
        self.events.clear()
        return events

    def start(self, message: Message | None) -> None:
        """The answer begins; some begin twice."""
        if message is not None and (report := present(message.usage)):
            self._usage.take(report, final=False)
        if self._started:
            return
        self._started = True
        message_id = (message.id if message is not None else None) or ""
        self._blocks.name_message(message_id)
        self.events.append(MessageStart(message_id, self._usage.input_units()))

    def receive(self, said: StreamEvent, data: bytes) -> None:
        """Take one event of a stream.

        Raises:
            UnfollowableError: as `BlockReader.piece`.
        """
        match said.type:
            case "content_block_delta":
                if said.delta is not None:
                    self._begun().piece(said.index, said.delta)
            case "content_block_start":
                if said.content_block is not None:
                    self._begun().start(said.index, said.content_block)
            case "content_block_stop":
                self._begun().stop(said.index)
            case "message_start":
                self.start(said.message)
            case "message_delta":
                delta = said.delta
                if delta is not None:
                    if delta.stop_reason:
                        self._begun().finish()
                    self.note_end(delta.stop_reason, delta.stop_sequence, delta.stop_details)
                self.note_usage(said.usage)
            case "message_stop":
                self.close(stopped=True)
            case _ if said.failed:
                self.fail(read_upstream_error(200, {}, data, 0))

    def whole(self, message: Message) -> None:
        """Take a whole answer."""
        self.start(Message(id=message.id))
        for index, block in enumerate(read_blocks(message.content) or ()):
            self._blocks.start(index, block)
            self._blocks.stop(index)
        self.note_end(message.stop_reason, message.stop_sequence, message.stop_details)
        self.note_usage(message.usage)
        self.end()

    def note_end(self, reason: str | None, sequence: str | None, details: StopDetails | None) -> None:
        """Note why the answer ended; it is told at the very end, as some say it twice."""
        self._reason = reason or self._reason
        self._sequence = sequence or self._sequence
        self._details = details or self._details

    def note_usage(self, usage: MaybeRaw) -> None:
        """Take a usage report that is not the first event's."""
        report = present(usage)
        if report:
            self._usage.take(report, final=True)
            self._tell_usage()

    def end(self) -> None:
        """The provider says that the answer is whole."""
        if self._reason in FAILED_STOPS:
            self.fail(read_upstream_error(500, {}, b"", 0))
            return
        self._begun().finish()
        if not self._usage_told:
            self._tell_usage()
        details = self._details
        message = (details.explanation or details.category or "") if details is not None else ""
        self.events.append(Finish(self._finish_reason(), self._sequence, message))
        self.events.append(MessageEnd())
        self.ended = True

    def close(self, *, stopped: bool = False) -> None:
        """The stream has ended: well, if there was a stop reason (DIALECTS sections 3.2 and 3.4).

        Args:
            stopped: its last event has come. Alone it comes from look-alikes whose own provider was cut.
        """
        if self._reason or (stopped and self._lenient):
            self.end()
        else:
            self.fail(_CUT)

    def fail(self, error: UpstreamError) -> None:
        """The answer is broken."""
        self.events.append(StreamError(error))
        self.ended = True

    def _begun(self) -> BlockReader:
        if not self._started:
            self.start(None)
        return self._blocks

    def _tell_usage(self) -> None:
        units = self._usage.units()
        if units is not None:
            self._begun()
            self.events.append(UsageReport(units))
            self._usage_told = True

    def _finish_reason(self) -> FinishReason:
        reason = _REASONS.get(self._reason, FinishReason.OTHER)
        if reason in _OVER_CALLS:
            return reason
        if self._blocks.calls:
            return FinishReason.TOOL_CALLS
        # The call of a schema's tool is no call to the client, nor is one that never came.
        return FinishReason.STOP if reason is FinishReason.TOOL_CALLS or self._blocks.answered else reason


class AnthropicEventReader:
    """Reads one stream; see `protocol.dialect.EventReader`.

    Args:
        written: the request that is answered.
        lenient: take ``message_stop`` without a stop reason for a good end.
    """

    __slots__ = ("_answer", "_buffer", "_start")

    def __init__(self, written: Written, *, lenient: bool = False) -> None:
        self._answer = _Answer(written, lenient=lenient)
        self._buffer = EventBuffer()
        self._start = StreamStart(limits.UPSTREAM_ERROR_BYTES_MAX)

    def receive(self, chunk: bytes) -> list[Event]:
        """Return the events that are whole now."""
        if self._answer.ended or not (self._start.is_stream or self._start.receive(chunk)):
            return []
        try:
            block = self._buffer.receive(chunk)
        except FaultError as error:
            self._answer.fail(invalid_answer(error.fault.message))
            return self._answer.take()
        if not block:
            return []
        for event in split_events(block):
            self._read(event)
            if self._answer.ended:
                break
        return self._answer.take()

    def finish(self) -> list[Event]:
        """The body has ended; returns the last events."""
        if self._answer.ended:
            return []
        if self._start.is_stream is False:
            self._answer.fail(foreign_error(self._start.body))
            return self._answer.take()
        rest = self._buffer.finish()
        if rest:
            self._read(rest, last=True)
        if not self._answer.ended:
            self._answer.close()
        return self._answer.take()

    def _read(self, event: bytes, *, last: bool = False) -> None:
        data = frame_data(event)
        if not data or data == b"[DONE]":
            return
        try:
            said = read_event(data)
            if said is None:
                return
            if said.type is None:
                said.type = parse_event(event).event or None
            self._answer.receive(said, data)
        except UnfollowableError:
            self._answer.fail(invalid_answer(_UNFOLLOWABLE))
        except ValueError:
            # A last event may be cut off; whether the stream was is for the stop reason to say.
            if not last:
                self._answer.fail(invalid_answer(BROKEN_EVENT))


def read_answer(body: bytes, written: Written, *, lenient: bool = False) -> list[Event]:
    """Return the events of a whole answer with status 200. Never raises, whatever the bytes.

    Args:
        body: all of it; may be a stream all the same.
        written: the request that is answered.
        lenient: as in `AnthropicEventReader`.
    """
    if without_space(body).startswith((b"event:", b"data:", b":")):
        reader = AnthropicEventReader(written, lenient=lenient)
        return reader.receive(body) + reader.finish()
    try:
        message = read_message(body)
    except ValueError:
        message = None
    if message is None:
        return [StreamError(invalid_answer(_INVALID))]
    if message.failed:
        return [StreamError(read_upstream_error(200, {}, body, 0))]
    if read_blocks(message.content) is None:
        return [StreamError(invalid_answer(_INVALID))]
    answer = _Answer(written)
    answer.whole(message)
    return answer.take()
