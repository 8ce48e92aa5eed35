"""Writes neutral events as a Messages stream or as one whole message, for Anthropic clients. Called by the dispatcher.

A machine with at most one open block (DIALECTS section 3.1). It is written once, in `_MessageWriter`; what a block's
beginning, pieces and end look like is what its two children differ in.

Only the first choice is written, as the dialect has but one; so are no pictures, for which it has no place.
"""

from collections.abc import Sequence

import msgspec

from trunkline.core.usage import Units
from trunkline.protocol import names
from trunkline.protocol.anthropic.usage import render_usage
from trunkline.protocol.dialect import AnswerFrame
from trunkline.protocol.events import (
    Event,
    Finish,
    FinishReason,
    MessageEnd,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from trunkline.protocol.model import Proof
from trunkline.protocol.proof import presented

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

_REASONS = {
    FinishReason.STOP: b'"end_turn"',
    FinishReason.STOP_SEQUENCE: b'"stop_sequence"',
    FinishReason.LENGTH: b'"max_tokens"',
    FinishReason.CONTEXT_FULL: b'"model_context_window_exceeded"',
    FinishReason.TOOL_CALLS: b'"tool_use"',
    FinishReason.FILTER: b'"refusal"',
    FinishReason.PAUSED: b'"pause_turn"',
}
"""DIALECTS section 4.1; any other is a plain end."""

_PIECES = {
    "text": (b"text_delta", b"text"),
    "thinking": (b"thinking_delta", b"thinking"),
    "tool_use": (b"input_json_delta", b"partial_json"),
}
"""By block: the type of its deltas and the member that holds the piece."""


class _MessageWriter:
    """See the module.

    Args:
        frame: what stands around the answer.
    """

    def __init__(self, frame: AnswerFrame) -> None:
        self._frame = frame
        self._out: list[bytes] = []
        self._started = False
        self._open = ""
        self._index = -1
        self._units: Units | None = None
        self._finish = Finish(FinishReason.STOP)

    def take(self, event: Event) -> None:
        """Take one event; what there is to write is in ``_out`` then."""
        match event:
            case MessageStart(units=units):
                self._start(units)
            case UsageReport(units):
                self._units = units
            case MessageEnd():
                self._start(None)
                self._close()
                self._end()
            case _:
                if getattr(event, "choice", 0) == 0:
                    self._start(None)
                    self._take_output(event)

    def _take_output(self, event: Event) -> None:
        match event:
            case TextDelta(text=text) | RefusalDelta(text=text):
                self._say("text", b'{"type":"text","text":""}', text)
            case ReasoningDelta(text=text):
                self._say("thinking", b'{"type":"thinking","thinking":"","signature":""}', text)
            case ReasoningEnd(proof=proof, redacted=redacted):
                self._end_reasoning(proof, redacted=redacted)
            case ToolCallStart(id=call_id, name=name, proof=proof):
                if proof is not None:
                    # The client gives it back in front of the call, where the request reader finds it.
                    self._redacted(proof)
                self._close()
                self._begin("tool_use", _call(call_id, name, b"{}"))
            case ToolCallDelta(arguments=arguments):
                if self._open == "tool_use" and arguments:
                    self._piece(arguments)
            case ToolCallEnd():
                self._close()
            case Finish():
                self._finish = event
            case _:
                pass

    def _say(self, kind: str, start: bytes, text: str) -> None:
        if not text:
            return
        if self._open != kind:
            self._close()
            self._begin(kind, start)
        self._piece(text)

    def _end_reasoning(self, proof: Proof | None, *, redacted: bool) -> None:
        if redacted:
            if proof is not None:
                self._redacted(proof)
            return
        if proof is not None:
            if self._open != "thinking":
                # All that the provider shows of its thinking is the proof.
                self._close()
                self._begin("thinking", b'{"type":"thinking","thinking":"","signature":""}')
            self._sign(presented(proof, names.ANTHROPIC))
        if self._open == "thinking":
            self._close()

    def _redacted(self, proof: Proof) -> None:
        self._close()
        data = presented(proof, names.ANTHROPIC)
        self._begin("redacted_thinking", _encode({"type": "redacted_thinking", "data": data}))
        self._close()

    def _start(self, units: Units | None) -> None:
        if self._started:
            return
        self._started = True
        self._began(units if units is not None else Units(input=self._frame.input_estimate))

    def _close(self) -> None:
        if self._open:
            self._closed()
            self._open = ""

    def _begin(self, kind: str, start: bytes) -> None:
        self._open = kind
        self._index += 1
        self._opened(start)

    def _stop(self) -> bytes:
        """Return the members that say why the answer ended."""
        reason = self._finish.reason
        sequence = self._finish.stop_sequence
        if reason is FinishReason.STOP_SEQUENCE and sequence is None:
            reason = FinishReason.STOP
        written = b'"stop_reason":%b,"stop_sequence":%b' % (
            _REASONS.get(reason, b'"end_turn"'),
            _encode(sequence if reason is FinishReason.STOP_SEQUENCE else None),
        )
        if reason is FinishReason.FILTER and self._finish.message:
            details = {"type": "refusal", "category": None, "explanation": self._finish.message}
            written += b',"stop_details":' + _encode(details)
        return written

    def _head(self) -> bytes:
        """Return a message's members up to its content."""
        frame = self._frame
        return b'"id":%b,"type":"message","role":"assistant","model":%b' % (
            _encode("msg_" + frame.id),
            _encode(frame.model),
        )

    # What differs:

    def _began(self, units: Units) -> None:
        raise NotImplementedError

    def _opened(self, start: bytes) -> None:
        raise NotImplementedError

    def _piece(self, text: str) -> None:
        raise NotImplementedError

    def _sign(self, signature: str) -> None:
        raise NotImplementedError

    def _closed(self) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        raise NotImplementedError


class AnthropicEventWriter(_MessageWriter):
    """Writes one stream; see `protocol.dialect.EventWriter`.

    Args:
        frame: what stands around the answer.
    """

    def __init__(self, frame: AnswerFrame) -> None:
        super().__init__(frame)
        self._prefix = b""

    def write(self, event: Event) -> bytes:
        """Return what the client gets for an event; may be nothing."""
        if isinstance(event, TextDelta) and self._open == "text" and event.choice == 0:
            # Nearly always.
            return self._prefix + _encode(event.text) + b"}}\n\n" if event.text else b""
        self.take(event)
        out = self._out
        if not out:
            return b""
        written = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return written

    def _began(self, units: Units) -> None:
        self._send(
            b"message_start",
            b',"message":{%b,"content":[],"stop_reason":null,"stop_sequence":null,"usage":%b}'
            % (self._head(), render_usage(units)),
        )

    def _opened(self, start: bytes) -> None:
        self._send(b"content_block_start", b',"index":%d,"content_block":%b' % (self._index, start))
        if self._open in _PIECES:
            self._prefix = (
                b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
                b'"delta":{"type":"%b","%b":' % (self._index, *_PIECES[self._open])
            )

    def _piece(self, text: str) -> None:
        self._out.append(self._prefix + _encode(text) + b"}}\n\n")

    def _sign(self, signature: str) -> None:
        delta = b',"index":%d,"delta":{"type":"signature_delta","signature":%b}'
        self._send(b"content_block_delta", delta % (self._index, _encode(signature)))

    def _closed(self) -> None:
        self._send(b"content_block_stop", b',"index":%d' % self._index)

    def _end(self) -> None:
        # Without any report the output is empty, and what the first event said of the input stands.
        usage = render_usage(self._units) if self._units is not None else b'{"output_tokens":0}'
        self._send(b"message_delta", b',"delta":{%b},"usage":%b' % (self._stop(), usage))
        self._send(b"message_stop", b"")

    def _send(self, kind: bytes, members: bytes) -> None:
        self._out.append(b'event: %b\ndata: {"type":"%b"%b}\n\n' % (kind, kind, members))


class _WholeWriter(_MessageWriter):
    """Writes one whole message."""

    def __init__(self, frame: AnswerFrame) -> None:
        super().__init__(frame)
        self._begun_with = Units()
        self._block = b""
        self._texts: list[str] = []
        self._signature = ""

    def body(self) -> bytes:
        """Return the message."""
        units = self._units if self._units is not None else self._begun_with
        return b'{%b,"content":[%b],%b,"usage":%b}' % (
            self._head(),
            b",".join(self._out),
            self._stop(),
            render_usage(units),
        )

    def _began(self, units: Units) -> None:
        self._begun_with = units

    def _opened(self, start: bytes) -> None:
        self._block = start

    def _piece(self, text: str) -> None:
        self._texts.append(text)

    def _sign(self, signature: str) -> None:
        self._signature = signature

    def _closed(self) -> None:
        text = "".join(self._texts)
        match self._open:
            case "text":
                self._out.append(_encode({"type": "text", "text": text}))
            case "thinking":
                block = {"type": "thinking", "thinking": text, "signature": self._signature}
                self._out.append(_encode(block))
            case "tool_use":
                # The block's beginning ends with its empty input.
                self._out.append(self._block.removesuffix(b"{}}") + _object(text) + b"}")
            case _:
                self._out.append(self._block)
        self._texts.clear()
        self._signature = ""

    def _end(self) -> None:
        pass


def write_answer(events: Sequence[Event], frame: AnswerFrame) -> bytes:
    """Return a whole message, made of events that end with `MessageEnd`."""
    writer = _WholeWriter(frame)
    for event in events:
        writer.take(event)
    return writer.body()


def _call(call_id: str, name: str, arguments: bytes) -> bytes:
    return b'{"type":"tool_use","id":%b,"name":%b,"input":%b}' % (_encode(call_id), _encode(name), arguments)


def _object(arguments: str) -> bytes:
    """Return a call's arguments as the object that a whole message must have there.

    Arguments that are none (cut off by the bound on the output, or garbled) are kept as a text: an empty object in
    their place might be taken for a good call.
    """
    source = arguments.encode()
    try:
        _decode_object(source)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _encode({"invalid_arguments": arguments}) if arguments.strip() else b"{}"
    return source
