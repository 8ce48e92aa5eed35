"""Reads a Gemini upstream's answer, streamed or whole, into neutral events (DIALECTS sections 3.2 and 4.1).

Each frame is a whole response with new parts only: thoughts, texts, calls that come whole. A candidate's finish reason
is held until the body ends, since an empty frame may follow it, and more text after it has been seen, too.
"""

import hashlib

import msgspec

from trunkline.core import limits
from trunkline.core.errors import FaultError
from trunkline.core.usage import Units
from trunkline.protocol.dialect import Written
from trunkline.protocol.events import (
    Event,
    Finish,
    FinishReason,
    ImageOutput,
    MessageEnd,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    StreamError,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from trunkline.protocol.gemini.arguments import minted_id, read_arguments, read_custom
from trunkline.protocol.gemini.ends import failure, read_reason
from trunkline.protocol.gemini.stream import choice_index
from trunkline.protocol.gemini.usage import latest, read_usage
from trunkline.protocol.gemini.wire import (
    Frame,
    FunctionCall,
    Part,
    UsageMetadata,
    read_frame,
    read_frames,
    reason_name,
)
from trunkline.protocol.model import Proof
from trunkline.protocol.names import GEMINI
from trunkline.protocol.sse import EventBuffer, event_data, split_events
from trunkline.protocol.stream_start import StreamStart, without_space
from trunkline.protocol.upstream_error import (
    BROKEN_EVENT,
    CUT,
    UpstreamError,
    invalid_answer,
    read_upstream_error,
)

_NO_STREAM = "The provider's answer is not a generateContent response."


class _Choice:
    """One candidate: what is open, what it has had, and why it ended."""

    __slots__ = ("calls", "index", "message", "output", "reason", "thinking")

    def __init__(self, index: int) -> None:
        self.index = index
        self.thinking = False
        self.output = False
        self.calls = 0
        self.reason = ""
        self.message = ""


class GeminiEventReader:
    """See `dialect.EventReader`.

    Args:
        written: the request that is answered.
    """

    __slots__ = ("_buffer", "_choices", "_ended", "_report", "_seed", "_start", "_started", "_units", "_written")

    def __init__(self, written: Written) -> None:
        self._written = written
        self._buffer = EventBuffer()
        self._start = StreamStart(limits.UPSTREAM_EVENT_BYTES_MAX)
        self._choices: dict[int, _Choice] = {}
        self._started = False
        self._ended = False
        self._seed = ""
        self._report: UsageMetadata | None = None
        self._units: Units | None = None

    def receive(self, chunk: bytes) -> list[Event]:
        """See `EventReader`."""
        events: list[Event] = []
        if self._ended:
            return events
        if not self._start.is_stream and not self._start.receive(chunk):
            if self._start.too_long:
                self._fail(invalid_answer(_NO_STREAM), events)
            return events
        try:
            block = self._buffer.receive(chunk)
        except FaultError as error:
            self._fail(invalid_answer(error.fault.message), events)
            return events
        if block:
            for event in split_events(block):
                self._read_event(event, events)
        return events

    def finish(self) -> list[Event]:
        """See `EventReader`."""
        events: list[Event] = []
        if self._ended:
            return events
        if self._start.is_stream is False:
            return self.read_body(without_space(self._start.body))
        rest = self._buffer.finish()
        data = event_data(rest) if rest else None
        if data and data != b"[DONE]":
            try:
                frame = read_frame(data)
            except ValueError:
                # The beginning of an event; that a finish reason is missing tells that the stream was cut in it.
                frame = None
            if frame is not None:
                self._read_frame(frame, events)
        self._end(events)
        return events

    def read_body(self, body: bytes) -> list[Event]:
        """Return the events of a whole body: a response, or a list of them as a stream without ``alt=sse`` is."""
        events: list[Event] = []
        try:
            frames = read_frames(body)
        except ValueError:
            frames = []
        if not frames:
            self._fail(invalid_answer(_NO_STREAM), events)
        for frame in frames:
            self._read_frame(frame, events)
        self._end(events)
        return events

    def _read_event(self, event: bytes, events: list[Event]) -> None:
        data = event_data(event)
        if not data or data == b"[DONE]" or self._ended:
            return
        try:
            frame = read_frame(data)
        except ValueError:
            self._fail(invalid_answer(BROKEN_EVENT), events)
            return
        if frame is not None:
            self._read_frame(frame, events)

    def _read_frame(self, frame: Frame, events: list[Event]) -> None:
        if self._ended:
            return
        if frame.failed:
            self._fail(_frame_error(frame), events)
            return
        units = None
        if frame.usage_metadata is not None:
            self._report = latest(self._report, frame.usage_metadata)
            units = read_usage(self._report)
        if not self._started:
            self._started = True
            self._seed = frame.response_id or ""
            events.append(MessageStart(frame.response_id or "", _input_side(units)))
        for position, candidate in enumerate(frame.candidates or ()):
            index = choice_index(candidate, position)
            choice = self._choices.get(index)
            if choice is None:
                choice = self._choices[index] = _Choice(index)
            if candidate.content is not None:
                for part in candidate.content.all_parts:
                    self._read_part(part, choice, events)
            reason = reason_name(candidate.finish_reason)
            if reason:
                choice.reason = reason
                choice.message = candidate.finish_message or choice.message
        if frame.block_reason:
            self._block(frame)
        if units is not None and units != self._units:
            self._units = units
            events.append(UsageReport(units))

    def _block(self, frame: Frame) -> None:
        """The prompt was blocked: an end of its own where there is no candidate."""
        choice = self._choices.setdefault(0, _Choice(0))
        if not choice.reason and not choice.output:
            choice.reason = "PROHIBITED_CONTENT"
            choice.message = (frame.prompt_feedback and frame.prompt_feedback.block_reason_message) or ""

    def _read_part(self, part: Part, choice: _Choice, events: list[Event]) -> None:
        index = choice.index
        signature = part.thought_signature
        if part.function_call is not None:
            self._close_reasoning(choice, events)
            self._read_call(part.function_call, signature, choice, events)
            return
        if part.thought:
            if part.text:
                choice.thinking = choice.output = True
                events.append(ReasoningDelta(part.text, index))
            if signature:
                choice.thinking, choice.output = False, True
                events.append(ReasoningEnd(Proof(GEMINI, signature), False, index))
            return
        if part.text:
            self._close_reasoning(choice, events)
            choice.output = True
            events.append(TextDelta(part.text, index))
        elif part.inline_data is not None and (part.inline_data.mime_type or "").startswith("image/"):
            self._close_reasoning(choice, events)
            choice.output = True
            events.append(ImageOutput(part.inline_data.data or "", part.inline_data.mime_type or "", index))
        if signature:
            # It hangs on a text that has ended or on an empty one, and must come back all the same (section 2.5).
            self._close_reasoning(choice, events)
            choice.output = True
            events.append(ReasoningEnd(Proof(GEMINI, signature), True, index))

    def _read_call(self, call: FunctionCall, signature: str | None, choice: _Choice, events: list[Event]) -> None:
        if not call.name:
            return
        number, index = choice.calls, choice.index
        choice.calls += 1
        choice.output = True
        arguments = read_arguments(call.args)
        custom = call.name in self._written.unwrap_field
        if custom:
            arguments = read_custom(arguments)
        name = self._written.names.get(call.name, call.name)
        proof = Proof(GEMINI, signature) if signature else None
        call_id = call.id or self._minted(index, number, name)
        events.append(ToolCallStart(number, call_id, name, custom, proof, index))
        if arguments:
            events.append(ToolCallDelta(number, arguments, index))
        events.append(ToolCallEnd(number, index))

    def _minted(self, *place: object) -> str:
        """Return an id that no other answer of the conversation has: from the answer's id, else from what was asked."""
        if not self._seed:
            self._seed = hashlib.blake2s(self._written.body).hexdigest()
        return minted_id(self._seed, *place)

    def _close_reasoning(self, choice: _Choice, events: list[Event]) -> None:
        if choice.thinking:
            choice.thinking = False
            events.append(ReasoningEnd(None, False, choice.index))

    def _fail(self, error: UpstreamError, events: list[Event]) -> None:
        self._ended = True
        events.append(StreamError(error))

    def _end(self, events: list[Event]) -> None:
        """The body is over: a good end only if each candidate said why it ended."""
        if self._ended:
            return
        choices = sorted(self._choices.values(), key=lambda choice: choice.index)
        unfinished = any(choice.output and not choice.reason for choice in choices)
        if unfinished or not any(choice.reason for choice in choices):
            self._fail(CUT, events)
            return
        output = any(choice.output for choice in choices)
        for choice in choices:
            error = failure(choice.reason, output=output)
            if error is not None:
                self._fail(error, events)
                return
        for choice in choices:
            if choice.reason:
                self._close_reasoning(choice, events)
                reason = read_reason(choice.reason, calls=choice.calls > 0)
                message = choice.message if reason is FinishReason.FILTER else ""
                events.append(Finish(reason, None, message, choice.index))
        self._ended = True
        events.append(MessageEnd())


def _frame_error(frame: Frame) -> UpstreamError:
    """Return what an error object inside a 200 means."""
    error = bytes(frame.error) if frame.error is not msgspec.UNSET else b""
    return read_upstream_error(200, {}, b'{"error":' + error + b"}", 0)


def _input_side(units: Units | None) -> Units | None:
    if units is None:
        return None
    return msgspec.structs.replace(units, output=0, reasoning=0, output_audio=0, output_image=0)


def read_answer(body: bytes, written: Written) -> list[Event]:
    """Return the events of a whole answer: the same as a stream of one frame would give. Never raises.

    Args:
        body: of an answer with status 200; a stream, too, in case the provider sent one unasked.
        written: the request that is answered.
    """
    reader = GeminiEventReader(written)
    start = without_space(body)
    if start[:1] in {b"{", b"["}:
        return reader.read_body(start)
    events = reader.receive(body)
    return [*events, *reader.finish()]
