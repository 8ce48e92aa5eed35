"""Writes an answer for a Gemini client from neutral events, streamed or whole (DIALECTS sections 3.1 and 3.2).

Each event of the stream is a whole response with new parts only. Calls are collected and leave whole; finish reasons
and usage are held for the last frame. Google's SDKs take nothing else between, so nothing else is ever written.
"""

from collections.abc import Sequence

import msgspec

from trunkline.core.usage import Units
from trunkline.protocol.dialect import AnswerFrame
from trunkline.protocol.events import (
    Event,
    Finish,
    ImageOutput,
    MessageEnd,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from trunkline.protocol.gemini import signature
from trunkline.protocol.gemini.arguments import written_arguments, written_custom
from trunkline.protocol.gemini.ends import MALFORMED_CALL, written_reason
from trunkline.protocol.gemini.stream import array_piece, one_line
from trunkline.protocol.gemini.usage import write_usage
from trunkline.protocol.gemini.wire import MODEL_ROLE, Blob, Candidate, Content, Frame, FunctionCall, Part

_encode = msgspec.json.Encoder().encode


class _OpenCall:
    """A call whose arguments are still coming."""

    __slots__ = ("pieces", "start")

    def __init__(self, start: ToolCallStart) -> None:
        self.start = start
        self.pieces: list[str] = []


class _Answer:
    """What is common to a stream and a whole answer: parts made of events, and what is held for the end."""

    __slots__ = ("calls", "finishes", "malformed", "units", "with_content")

    def __init__(self) -> None:
        self.calls: dict[int, _OpenCall] = {}
        self.finishes: dict[int, Finish] = {}
        self.malformed: set[int] = set()
        self.with_content: set[int] = set()
        self.units: Units | None = None

    def take(self, event: Event) -> tuple[int, Part] | None:
        """Return the part that an event gives, with its candidate's number; None for none."""
        part = self._part(event)
        if part is None:
            return None
        choice: int = getattr(event, "choice", 0)
        self.with_content.add(choice)
        return choice, part

    def _part(self, event: Event) -> Part | None:
        match event:
            case TextDelta(text=text) | RefusalDelta(text=text):
                return Part(text=text) if text else None
            case ReasoningDelta(text=text):
                return Part(text=text, thought=True) if text else None
            case ReasoningEnd():
                return self._signed(event)
            case ToolCallStart():
                self.calls[event.choice] = _OpenCall(event)
            case ToolCallDelta():
                self.calls[event.choice].pieces.append(event.arguments)
            case ToolCallEnd():
                return self._call(event.choice)
            case ImageOutput(data, media_type):
                return Part(inline_data=Blob(media_type, data))
            case UsageReport(units):
                self.units = units
            case Finish():
                self.finishes[event.choice] = event
            case _:
                pass
        return None

    def _signed(self, event: ReasoningEnd) -> Part | None:
        if event.proof is None:
            return None
        return Part(text="", thought=None if event.redacted else True, thought_signature=signature.shown(event.proof))

    def _call(self, choice: int) -> Part | None:
        call = self.calls.pop(choice)
        start = call.start
        text = "".join(call.pieces)
        args = written_custom(text) if start.custom else written_arguments(text)
        if args is None:
            # There is no way to show broken arguments where they are an object (section 2.4).
            self.malformed.add(choice)
            return None
        return Part(
            function_call=FunctionCall(start.name, msgspec.Raw(one_line(bytes(args))), start.id),
            thought_signature=signature.shown(start.proof) if start.proof is not None else None,
        )

    def last(self, parts: dict[int, list[Part]], frame: AnswerFrame) -> Frame:
        """Return the answer's last frame, which has its ends and its usage.

        Args:
            parts: of each candidate, for this frame.
            frame: of the answer.
        """
        candidates = []
        for choice in sorted({*self.finishes, *parts}):
            finish = self.finishes.get(choice)
            reason = written_reason(finish.reason) if finish is not None else None
            if choice in self.malformed:
                reason = MALFORMED_CALL
            content = parts.get(choice)
            candidates.append(
                Candidate(
                    content=Content(content, MODEL_ROLE) if content else None,
                    finish_reason=reason,
                    index=choice,
                    finish_message=(finish.message or None) if finish is not None else None,
                )
            )
        return Frame(
            candidates=candidates,
            usage_metadata=write_usage(self.units) if self.units is not None else None,
            model_version=frame.model,
            response_id=frame.id,
        )


class GeminiEventWriter:
    """See `dialect.EventWriter`.

    Args:
        frame: of the answer.
    """

    __slots__ = ("_answer", "_array", "_frame", "_tail", "_written")

    def __init__(self, frame: AnswerFrame) -> None:
        self._frame = frame
        self._array = frame.array
        self._answer = _Answer()
        self._written = False
        self._tail = b'}],"modelVersion":' + _encode(frame.model) + b',"responseId":' + _encode(frame.id) + b"}"

    def write(self, event: Event) -> bytes:
        """See `EventWriter`."""
        if isinstance(event, MessageEnd):
            return self._end()
        made = self._answer.take(event)
        if made is None:
            return b""
        choice, part = made
        index = b"0" if choice == 0 else str(choice).encode()
        return self._framed(
            b'{"candidates":[{"content":{"parts":[' + _encode(part) + b'],"role":"model"},"index":' + index + self._tail
        )

    def _framed(self, source: bytes) -> bytes:
        if not self._array:
            return b"data: " + source + b"\n\n"
        first, self._written = not self._written, True
        return array_piece(source, first=first)

    def _end(self) -> bytes:
        # An empty text as Google sends it: its SDK's chats forget a turn of which one frame has no content.
        parts = {choice: [Part(text="")] for choice in self._answer.finishes if choice in self._answer.with_content}
        last = self._framed(_encode(self._answer.last(parts, self._frame)))
        return last + b"]" if self._array else last


def write_answer(events: Sequence[Event], frame: AnswerFrame) -> bytes:
    """Return a whole answer."""
    answer = _Answer()
    parts: dict[int, list[Part]] = {}
    texts: dict[int, list[str]] = {}
    for event in events:
        made = answer.take(event)
        if made is not None:
            choice, part = made
            _add(parts.setdefault(choice, []), texts.setdefault(choice, []), part)
    for choice, pieces in texts.items():
        _join(parts[choice], pieces)
    return _encode(answer.last(parts, frame))


def _add(parts: list[Part], pieces: list[str], part: Part) -> None:
    """Add a part to a candidate's; pieces of one text become one part, with the signature that follows them.

    Args:
        parts: so far.
        pieces: of the last part, if it is a text.
        part: the next one.
    """
    last = parts[-1] if parts else None
    if (
        last is not None
        and part.text is not None
        and last.text is not None
        and last.thought == part.thought
        and last.thought_signature is None
    ):
        pieces.append(part.text)
        last.thought_signature = part.thought_signature
        return
    _join(parts, pieces)
    parts.append(part)
    if part.text is not None:
        pieces.append(part.text)


def _join(parts: list[Part], pieces: list[str]) -> None:
    if pieces:
        parts[-1].text = "".join(pieces)
        pieces.clear()
