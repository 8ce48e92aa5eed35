"""Neutral events as a whole answer for a chat client. Called by the dispatcher; the stream's twin is `event_writer`."""

from collections.abc import Sequence

import msgspec

from trunkline.core.usage import Units
from trunkline.protocol.dialect import AnswerFrame
from trunkline.protocol.events import (
    Event,
    Finish,
    FinishReason,
    ImageOutput,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    UsageReport,
)
from trunkline.protocol.openai_chat.finishes import written_finish
from trunkline.protocol.openai_chat.proof_carriage import ProofCarriage
from trunkline.protocol.openai_chat.usage_writer import write_usage

_encode = msgspec.json.Encoder().encode

_ChoiceEvent = (
    TextDelta | RefusalDelta | ReasoningDelta | ReasoningEnd | ToolCallStart | ToolCallDelta | ImageOutput | Finish
)


class _Message:
    """Collects what a choice says."""

    def __init__(self) -> None:
        self._carriage = ProofCarriage()
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._reasoning: list[str] = []
        self._details: list[bytes] = []
        self._calls: list[tuple[ToolCallStart, bytes, list[str]]] = []
        self._images: list[dict[str, object]] = []
        self._finish: FinishReason | None = None

    def take(self, event: _ChoiceEvent) -> None:
        match event:
            case TextDelta():
                self._text.append(event.text)
            case RefusalDelta():
                self._refusal.append(event.text)
            case ReasoningDelta():
                self._reasoning.append(event.text)
                self._carriage.think(event.text)
            case ReasoningEnd():
                if details := self._carriage.details(event):
                    self._details.append(details)
            case ToolCallStart():
                self._calls.append((event, self._carriage.extra_content(event), []))
            case ToolCallDelta():
                if self._calls:
                    self._calls[-1][2].append(event.arguments)
            case ImageOutput():
                url = f"data:{event.media_type};base64,{event.data}"
                self._images.append({"type": "image_url", "image_url": {"url": url}, "index": len(self._images)})
            case Finish():
                self._finish = event.reason
                if event.message and event.reason is FinishReason.FILTER:
                    self._refusal.append(event.message)

    def shown(self, index: int) -> dict[str, object]:
        """Return the choice, members in OpenAI's order."""
        said = "".join(self._text)
        message: dict[str, object] = {
            "role": "assistant",
            "content": said if said or not (self._calls or self._refusal) else None,
            "refusal": "".join(self._refusal) or None,
        }
        if self._reasoning:
            message["reasoning_content"] = "".join(self._reasoning)
        if self._details:
            message["reasoning_details"] = msgspec.Raw(b"[" + b",".join(self._details) + b"]")
        if self._calls:
            message["tool_calls"] = [_shown_call(*call) for call in self._calls]
        if self._images:
            message["images"] = self._images
        reason = self._finish or (FinishReason.TOOL_CALLS if self._calls else FinishReason.STOP)
        return {"index": index, "message": message, "logprobs": None, "finish_reason": written_finish(reason)}


def _shown_call(start: ToolCallStart, extra_content: bytes, arguments: list[str]) -> dict[str, object]:
    kind, argument = ("custom", "input") if start.custom else ("function", "arguments")
    call: dict[str, object] = {
        "id": start.id,
        "type": kind,
        kind: {"name": start.name, argument: "".join(arguments)},
    }
    if extra_content:
        call["extra_content"] = msgspec.Raw(extra_content)
    return call


def write_answer(events: Sequence[Event], frame: AnswerFrame) -> bytes:
    """Return a whole answer.

    Args:
        events: of an answer that ended well.
        frame: the answer's.
    """
    units: Units | None = None
    messages: dict[int, _Message] = {}
    for event in events:
        if isinstance(event, _ChoiceEvent):
            message = messages.get(event.choice)
            if message is None:
                message = messages[event.choice] = _Message()
            message.take(event)
        elif isinstance(event, MessageStart | UsageReport):
            units = event.units
    if not messages:
        messages[0] = _Message()
    answer: dict[str, object] = {
        "id": f"chatcmpl-{frame.id}",
        "object": "chat.completion",
        "created": frame.created,
        "model": frame.model,
        "choices": [messages[index].shown(index) for index in sorted(messages)],
    }
    if units is not None:
        answer["usage"] = msgspec.Raw(write_usage(units))
    return _encode(answer)
