"""Neutral events as a chat client's stream (DIALECTS sections 3.1 and 3.2). One writer per translated stream.

Chat has no word for reasoning: it goes into ``reasoning_content``, as most vendors write it, never into ``content``.
Chunks are put together from finished beginnings and ends, since each costs the client's whole delay.
"""

from typing import assert_never

import msgspec

from trunkline.core.usage import Units
from trunkline.protocol.dialect import AnswerFrame
from trunkline.protocol.events import (
    Event,
    Finish,
    FinishReason,
    ImageOutput,
    MessageEnd,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    StreamError,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from trunkline.protocol.openai_chat.finishes import written_finish
from trunkline.protocol.openai_chat.proof_carriage import ProofCarriage
from trunkline.protocol.openai_chat.usage_writer import write_usage

_encode = msgspec.json.Encoder().encode

_DONE = b"data: [DONE]\n\n"


class _Choice:
    """What was written of a choice.

    Attributes:
        head: of each of its chunks, up to the members of ``delta``.
        calls: how many calls were begun; the last one is open.
        custom: the open call is one of a free-form tool.
    """

    __slots__ = ("calls", "carriage", "custom", "finished", "head", "images")

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.carriage = ProofCarriage()
        self.calls = 0
        self.custom = False
        self.images = 0
        self.finished = False


class ChatEventWriter:
    """See `dialect.EventWriter`.

    Args:
        frame: the answer's.
    """

    __slots__ = ("_choices", "_head", "_tail", "_units", "_usage", "_wants_usage")

    def __init__(self, frame: AnswerFrame) -> None:
        self._head = (
            b'data: {"id":'
            + _encode(f"chatcmpl-{frame.id}")
            + b',"object":"chat.completion.chunk","created":'
            + _encode(frame.created)
            + b',"model":'
            + _encode(frame.model)
            + b',"choices":['
        )
        # Chunks before the one with the usage say that it is not known yet, where it was asked for.
        self._usage = b',"usage":null' if frame.wants_usage else b""
        self._tail = b'},"finish_reason":null}]' + self._usage + b"}\n\n"
        self._wants_usage = frame.wants_usage
        self._units: Units | None = None
        self._choices: dict[int, _Choice] = {}

    def write(self, event: Event) -> bytes:
        """See `dialect.EventWriter`."""
        match event:
            case TextDelta():
                written = self._said(event.choice, b'"content":' + _encode(event.text))
            case ReasoningDelta():
                written = self._reasoning(event)
            case ToolCallDelta():
                written = self._call_delta(event)
            case MessageStart() | UsageReport():
                written = self._note(event)
            case RefusalDelta():
                written = self._said(event.choice, b'"refusal":' + _encode(event.text))
            case ReasoningEnd():
                written = self._reasoning_end(event)
            case ToolCallStart():
                written = self._call_start(event)
            case ImageOutput():
                written = self._image(event)
            case Finish():
                written = self._finish(event)
            case MessageEnd():
                written = self._end()
            case ToolCallEnd() | StreamError():
                # A call's end has no chunk of its own, and a broken stream ends with `errors.render_stream_error`.
                written = b""
            case _:
                assert_never(event)
        return written

    # --- Kinds of events ---------------------------------------------------------------------------------------------

    def _note(self, event: MessageStart | UsageReport) -> bytes:
        self._units = event.units
        return self._begin(0) if isinstance(event, MessageStart) and not self._choices else b""

    def _reasoning(self, event: ReasoningDelta) -> bytes:
        written = self._said(event.choice, b'"reasoning_content":' + _encode(event.text))
        self._choices[event.choice].carriage.think(event.text)
        return written

    def _reasoning_end(self, event: ReasoningEnd) -> bytes:
        role = b"" if event.choice in self._choices else self._begin(event.choice)
        details = self._choices[event.choice].carriage.details(event)
        return role + self._said(event.choice, b'"reasoning_details":[' + details + b"]") if details else role

    def _call_start(self, event: ToolCallStart) -> bytes:
        role = b"" if event.choice in self._choices else self._begin(event.choice)
        choice = self._choices[event.choice]
        choice.custom = event.custom
        kind, argument = (b"custom", b"input") if event.custom else (b"function", b"arguments")
        extra = choice.carriage.extra_content(event)
        call = (
            b'"tool_calls":[{"index":%d,"id":' % choice.calls
            + _encode(event.id)
            + b',"type":"%b","%b":{"name":' % (kind, kind)
            + _encode(event.name)
            + b',"%b":""}' % argument
            + (b',"extra_content":' + extra if extra else b"")
            + b"}]"
        )
        choice.calls += 1
        return role + self._said(event.choice, call)

    def _call_delta(self, event: ToolCallDelta) -> bytes:
        choice = self._choices.get(event.choice)
        if choice is None or not choice.calls:
            return b""
        names = b'"custom":{"input":' if choice.custom else b'"function":{"arguments":'
        call = b'"tool_calls":[{"index":%d,' % (choice.calls - 1) + names + _encode(event.arguments) + b"}}]"
        return self._said(event.choice, call)

    def _image(self, event: ImageOutput) -> bytes:
        role = b"" if event.choice in self._choices else self._begin(event.choice)
        choice = self._choices[event.choice]
        url = _encode(f"data:{event.media_type};base64,{event.data}")
        image = b'"images":[{"type":"image_url","image_url":{"url":' + url + b'},"index":%d}]' % choice.images
        choice.images += 1
        return role + self._said(event.choice, image)

    def _finish(self, event: Finish) -> bytes:
        # The provider's words about a refusal have no better place in chat than the refusal.
        words = event.message if event.reason is FinishReason.FILTER else ""
        written = self.write(RefusalDelta(words, event.choice)) if words else b""
        if event.choice not in self._choices:
            written += self._begin(event.choice)
        return written + self._ended(event.choice, event.reason)

    def _end(self) -> bytes:
        written = b""
        for index, choice in self._choices.items():
            if not choice.finished:
                written += self._ended(index, FinishReason.TOOL_CALLS if choice.calls else FinishReason.STOP)
        if self._wants_usage and self._units is not None:
            written += self._head + b'],"usage":' + write_usage(self._units) + b"}\n\n"
        return written + _DONE

    # --- Chunks ------------------------------------------------------------------------------------------------------

    def _said(self, index: int, members: bytes) -> bytes:
        choice = self._choices.get(index)
        if choice is None:
            return self._begin(index) + self._said(index, members)
        return choice.head + members + self._tail

    def _begin(self, index: int) -> bytes:
        """Return a choice's first chunk, which has nothing but the role."""
        self._choices[index] = _Choice(self._head + b'{"index":%d,"delta":{' % index)
        return self._said(index, b'"role":"assistant","content":""')

    def _ended(self, index: int, reason: FinishReason) -> bytes:
        choice = self._choices[index]
        choice.finished = True
        return choice.head + b'},"finish_reason":"%b"}]' % written_finish(reason).encode() + self._usage + b"}\n\n"
