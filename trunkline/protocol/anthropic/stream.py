"""Relays a Messages stream: the provider's bytes go on as they came, and what the gateway must know is read beside it.

The dispatcher holds one `AnthropicStreamRelay` per streamed attempt and calls it for each chunk of the body. Each event
is decoded into the few members that matter (`wire`) and then forgotten; none is ever encoded again.
"""

import msgspec

from trunkline.core.errors import FaultError
from trunkline.core.usage import Units
from trunkline.protocol.anthropic.foreign import StreamGuard
from trunkline.protocol.anthropic.usage import UsageTally
from trunkline.protocol.anthropic.wire import FAILED_STOPS, Block, Delta, StreamEvent, frame_data, present, read_event
from trunkline.protocol.json_span import edit_object, top_level_spans
from trunkline.protocol.sse import EventBuffer, leading_line_ends, parse_event, render_event, split_events
from trunkline.protocol.tokens import OutputCounter
from trunkline.protocol.upstream_error import UpstreamError, invalid_answer, read_upstream_error

_BROKEN_EVENT = "The provider sent a broken event."


class AnthropicStreamRelay:
    """Bytes of one streamed answer in, bytes for the client out, and facts about it as attributes.

    A stream that fails says so in ``error``: what was forwarded until then is all whole events, and nothing is
    returned any more. It never raises.

    Args:
        public_model: what ``model`` is changed to in the first event; None leaves it.

    Attributes:
        first_output: whether any text, thinking or tool call has come; the beginning of a message is none.
        stopped: whether ``message_stop`` has come.
        finished: whether a stop reason has come.
        flaws: events that an official client would lose: without a name, or with data that is none (DIALECTS
            section 3.4). They pass; a channel that sends such is better translated.
        error: what ended the stream: an error event, a broken event, or a body that is no event stream.
    """

    __slots__ = (
        "_buffer",
        "_counter",
        "_guard",
        "_public_model",
        "_usage",
        "error",
        "finished",
        "first_output",
        "flaws",
        "stopped",
    )

    def __init__(self, *, public_model: str | None = None) -> None:
        self._public_model = msgspec.json.encode(public_model) if public_model is not None else None
        self._buffer = EventBuffer()
        self._guard = StreamGuard()
        self._counter = OutputCounter()
        self._usage = UsageTally()
        self.first_output = False
        self.stopped = False
        self.finished = False
        self.flaws = 0
        self.error: UpstreamError | None = None

    @property
    def complete(self) -> bool:
        """Whether the body may end here as a success: a missing ``message_stop`` behind a stop reason is forgiven."""
        return self.error is None and (self.stopped or self.finished)

    @property
    def units(self) -> Units | None:
        """What the provider reported at the end; None if it reported nothing, or no output although there was some."""
        units = self._usage.units() if self._usage.output_reported else None
        return None if units is not None and self.first_output and not units.output_total else units

    @property
    def opening(self) -> Units | None:
        """See `protocol.dialect.StreamRelay`: ``message_start`` has it, beside an output that is only a beginning."""
        return self._usage.input_units()

    def output_tokens_counted(self) -> int:
        """Return the tokens of the output so far, counted here. Exact to about one per hundred pieces."""
        return self._counter.tokens()

    def receive(self, chunk: bytes) -> bytes:
        """Return what the client gets now: whole events only, so it may be nothing."""
        if self.error is not None or not self._guard.passes(chunk):
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
        if self._guard.foreign is not None:
            self.error = self._guard.error()
            return b""
        rest = self._buffer.finish()
        data = parse_event(rest).data
        if data is None or not (data == b"[DONE]" or _is_json(data)):
            # Nobody can read the beginning of an event; `complete` tells whether the stream was cut in it.
            return leading_line_ends(rest)
        return self._relay(rest.rstrip(b"\r\n") + b"\n\n")

    def _relay(self, block: bytes) -> bytes:
        if block.find(b"\n\n") == len(block) - 2 and b"\r" not in block:
            return self._relay_event(block)
        relayed = []
        for event in split_events(block):
            relayed.append(self._relay_event(event))
            if self.error is not None:
                break
        return b"".join(relayed)

    def _relay_event(self, event: bytes) -> bytes:
        data = frame_data(event)
        if data is None:
            return event
        if not data or data == b"[DONE]":
            self.flaws += 1
            return event
        try:
            said = read_event(data)
        except ValueError:
            self.error = invalid_answer(_BROKEN_EVENT)
            return leading_line_ends(event)
        if said is None:
            self.flaws += 1
            return event
        if not event.startswith(b"event:") or said.type is None:
            self._notice_name(event, said)
        return self._relay_said(event, data, said)

    def _notice_name(self, event: bytes, said: StreamEvent) -> None:
        """Take an event's type from its name where its data has none, and count an event without a name."""
        name = parse_event(event).event
        if not name:
            self.flaws += 1
        if said.type is None:
            said.type = name or None

    def _relay_said(self, event: bytes, data: bytes, said: StreamEvent) -> bytes:
        match said.type:
            case "content_block_delta":
                if said.delta is not None:
                    self._read_delta(said.delta)
            case "content_block_start":
                if said.content_block is not None:
                    self._read_block(said.content_block)
            case "message_start":
                if said.message is not None and (report := present(said.message.usage)):
                    self._usage.take(report, final=False)
                if self._public_model is not None:
                    return _renamed(event, data, self._public_model)
            case "message_delta":
                self._read_end(said)
            case "message_stop":
                self.stopped = True
            case _ if said.failed:
                self.error = read_upstream_error(200, {}, data, 0)
        return event if self.error is None else leading_line_ends(event)

    def _read_delta(self, delta: Delta) -> None:
        text = delta.text or delta.thinking or delta.partial_json
        if text:
            self.first_output = True
            self._counter.add(text)

    def _read_block(self, block: Block) -> None:
        text = block.text or block.thinking or block.name
        if text:
            self._counter.add(text)
        if text or block.type not in {"text", "thinking"}:
            self.first_output = True

    def _read_end(self, said: StreamEvent) -> None:
        if report := present(said.usage):
            self._usage.take(report, final=True)
        reason = said.delta.stop_reason if said.delta is not None else None
        if reason:
            self.finished = True
            if reason in FAILED_STOPS:
                self.error = read_upstream_error(500, {}, b"", 0)


def _renamed(event: bytes, data: bytes, name: bytes) -> bytes:
    """Return the first event under the public model name, every other byte as it was.

    Args:
        event: raw.
        data: of it: a JSON object whose ``message`` has the model.
        name: JSON.
    """
    members = top_level_spans(data)
    replaced = {}
    for index, member in enumerate(members):
        message = data[member.value_start : member.value_end]
        if member.key == "message" and message.startswith(b"{"):
            inner = top_level_spans(message)
            models = {at: name for at, found in enumerate(inner) if found.key == "model"}
            replaced[index] = edit_object(message, inner, replaced=models)
    renamed = edit_object(data, members, replaced=replaced)
    offset = event.find(data)
    if offset < 0:
        return leading_line_ends(event) + render_event(renamed, parse_event(event).event)
    return event[:offset] + renamed + event[offset + len(data) :]


def _is_json(data: bytes) -> bool:
    try:
        read_event(data)
    except ValueError:
        return False
    return True
