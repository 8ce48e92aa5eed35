"""Frames of Messages streams, and transcripts made of them. Shared by the tests of this dialect."""

import json
from collections.abc import Iterable
from typing import Any

from trunkline.core.errors import ErrorType
from trunkline.core.usage import Units
from trunkline.protocol.anthropic.event_reader import AnthropicEventReader
from trunkline.protocol.dialect import Written
from trunkline.protocol.events import (
    Event,
    Finish,
    MessageEnd,
    MessageStart,
    ReasoningDelta,
    StreamError,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)


def dump(tree: object) -> bytes:
    return json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode()


def frame(kind: str, **members: Any) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + dump({"type": kind, **members}) + b"\n\n"


def begin(model: str = "up", usage: object = None, message_id: str = "msg_1") -> bytes:
    usage = {"input_tokens": 5, "output_tokens": 1} if usage is None else usage
    message = {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    return frame("message_start", message=message)


def start(index: int, kind: str, **members: Any) -> bytes:
    return frame("content_block_start", index=index, content_block={"type": kind, **members})


def text(index: int, words: str) -> bytes:
    return frame("content_block_delta", index=index, delta={"type": "text_delta", "text": words})


def thought(index: int, words: str) -> bytes:
    return frame("content_block_delta", index=index, delta={"type": "thinking_delta", "thinking": words})


def signature(index: int, proof: str) -> bytes:
    return frame("content_block_delta", index=index, delta={"type": "signature_delta", "signature": proof})


def arguments(index: int, piece: str) -> bytes:
    return frame("content_block_delta", index=index, delta={"type": "input_json_delta", "partial_json": piece})


def stop(index: int) -> bytes:
    return frame("content_block_stop", index=index)


def end(reason: str | None = "end_turn", usage: object = None, **delta: Any) -> bytes:
    members = {"stop_reason": reason, "stop_sequence": None, **delta}
    return frame("message_delta", delta=members, usage={"output_tokens": 7} if usage is None else usage)


STOP = frame("message_stop")
PING = frame("ping")

PLAIN = (begin(), start(0, "text", text=""), text(0, "Hel"), text(0, "lo"), stop(0), end(), STOP)

RICH = (
    begin(),
    PING,
    start(0, "thinking", thinking="", signature=""),
    thought(0, "hm é"),
    signature(0, "c2ln"),
    stop(0),
    start(1, "redacted_thinking", data="cmVk"),
    stop(1),
    start(2, "text", text=""),
    text(2, "中😀"),
    stop(2),
    start(3, "tool_use", id="toolu_1", name="f", input={}),
    arguments(3, '{"a":'),
    arguments(3, "12345678901234567890}"),
    stop(3),
    start(4, "tool_use", id="toolu_2", name="g", input={}),
    stop(4),
    end("tool_use", {"output_tokens": 9}),
    STOP,
)


def merged(events: Iterable[Event]) -> list[Event]:
    """Return events with neighbouring pieces of one block as one."""
    out: list[Event] = []
    for event in events:
        last = out[-1] if out else None
        if isinstance(event, TextDelta | ReasoningDelta) and type(last) is type(event):
            out[-1] = event._replace(text=last.text + event.text)
        elif isinstance(event, ToolCallDelta) and isinstance(last, ToolCallDelta) and last.call == event.call:
            out[-1] = event._replace(arguments=last.arguments + event.arguments)
        else:
            out.append(event)
    return out


def assert_guarantees(events: list[Event]) -> None:
    """Check what `protocol.events` promises of every reader."""
    ends = [event for event in events if isinstance(event, MessageEnd | StreamError)]
    assert len(ends) == 1
    assert events[-1] is ends[0]
    starts = [index for index, event in enumerate(events) if isinstance(event, MessageStart)]
    assert starts == ([0] if len(events) > 1 or isinstance(events[0], MessageStart) else [])
    calls = 0
    open_call: int | None = None
    said = False
    for event in events:
        if isinstance(event, ToolCallStart):
            assert open_call is None
            assert event.call == calls
            open_call, calls, said = event.call, calls + 1, event.custom
        elif isinstance(event, ToolCallDelta):
            assert event.call == open_call
            said = True
        elif isinstance(event, ToolCallEnd):
            assert event.call == open_call
            assert said
            open_call = None
        else:
            # A report is of the whole answer, not of a choice.
            assert open_call is None or isinstance(event, StreamError | UsageReport)


NOTHING = Written(b"")
BEGUN = MessageStart("msg_1", Units(input=5))


def read(*chunks: bytes, written: Written = NOTHING, lenient: bool = False) -> list[Event]:
    reader = AnthropicEventReader(written, lenient=lenient)
    events = [event for chunk in chunks for event in reader.receive(chunk)] + reader.finish()
    assert_guarantees(events)
    return events


def body_of(events: list[Event]) -> list[Event]:
    """Return what stands between the beginning and the reports at the end."""
    return [event for event in events if not isinstance(event, MessageStart | UsageReport | Finish | MessageEnd)]


def finish_of(events: list[Event]) -> Finish:
    (found,) = (event for event in events if isinstance(event, Finish))
    return found


def error_type(events: list[Event]) -> ErrorType:
    last = events[-1]
    assert isinstance(last, StreamError)
    return last.error.fault.type
