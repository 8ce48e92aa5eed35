"""A chat provider's whole answer as the events that a stream would give."""

import json
from typing import Any

import pytest

from trunkline.core.errors import ErrorType
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
    RefusalDelta,
    StreamError,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from trunkline.protocol.model import Proof
from trunkline.protocol.names import OPENAI_CHAT
from trunkline.protocol.openai_chat.dialect import OpenAIChat
from trunkline.protocol.vendor import VendorOptions

WRITTEN = Written(b"{}")
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def answer(message: object, finish: object = "stop", **members: object) -> bytes:
    choices = [{"index": 0, "message": message, "finish_reason": finish}]
    return json.dumps({"id": "c", "object": "chat.completion", "choices": choices, **members}).encode()


def read(source: bytes, written: Written = WRITTEN, **options: Any) -> list[Event]:
    return OpenAIChat().read_answer(source, written, VendorOptions(**options))


def test_all_kinds_of_output() -> None:
    message = {
        "role": "assistant",
        "reasoning_content": "hm",
        "content": "x",
        "refusal": "No.",
        "images": [{"image_url": {"url": "data:image/png;base64,AAAA"}}],
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
            {"id": "b", "type": "custom", "custom": {"name": "sh", "input": "ls"}},
        ],
    }
    assert read(answer(message, usage=USAGE)) == [
        MessageStart("c"),
        ReasoningDelta("hm"),
        ReasoningEnd(),
        TextDelta("x"),
        RefusalDelta("No."),
        ImageOutput("AAAA", "image/png"),
        ToolCallStart(0, "a", "f"),
        ToolCallDelta(0, '{"a":1}'),
        ToolCallEnd(0),
        ToolCallStart(1, "b", "sh", custom=True),
        ToolCallDelta(1, "ls"),
        UsageReport(Units(input=3, output=2)),
        ToolCallEnd(1),
        Finish(FinishReason.TOOL_CALLS),
        MessageEnd(),
    ]


def test_a_message_of_nothing_is_an_answer() -> None:
    assert read(answer({"content": None}, "content_filter")) == [
        MessageStart("c"),
        Finish(FinishReason.FILTER),
        MessageEnd(),
    ]


def test_each_call_of_a_message_is_one_of_its_own() -> None:
    calls = [{"id": "same", "index": 0, "function": {"name": "f", "arguments": {"a": number}}} for number in (1, 2)]
    events = read(answer({"tool_calls": calls}))
    assert events[1:-2] == [
        *(ToolCallStart(0, "same", "f"), ToolCallDelta(0, '{"a": 1}'), ToolCallEnd(0)),
        *(ToolCallStart(1, "same", "f"), ToolCallDelta(1, '{"a": 2}'), ToolCallEnd(1)),
    ]


def test_choices_by_index_or_by_position() -> None:
    def choices(*indices: int | None) -> bytes:
        said = [
            {
                **({} if index is None else {"index": index}),
                "message": {"content": str(number)},
                "finish_reason": "stop",
            }
            for number, index in enumerate(indices)
        ]
        return json.dumps({"choices": said}).encode()

    assert read(choices(1, 0))[1:3] == [TextDelta("0", 1), TextDelta("1", 0)]
    assert read(choices(None, None))[1:3] == [TextDelta("0", 0), TextDelta("1", 1)]


def test_a_missing_finish_reason_is_an_omission_where_the_body_is_whole() -> None:
    assert read(answer({"content": "x"}, None))[-2:] == [Finish(FinishReason.STOP), MessageEnd()]
    call = {"id": "a", "function": {"name": "f"}}
    assert read(answer({"tool_calls": [call]}, None))[-2:] == [Finish(FinishReason.TOOL_CALLS), MessageEnd()]


def test_tags_and_proofs_are_read_as_in_a_stream() -> None:
    events = read(answer({"content": "<think>hm</think>x"}), think_tags=True)
    assert events[1:4] == [ReasoningDelta("hm"), ReasoningEnd(), TextDelta("x")]
    details = [{"type": "reasoning.text", "text": "hm", "signature": "s"}]
    events = read(answer({"content": "x", "reasoning": "hm", "reasoning_details": details}))
    proof = Proof(OPENAI_CHAT, '[{"type":"reasoning.text","text":"hm","signature":"s"}]')
    assert events[1:4] == [ReasoningDelta("hm"), ReasoningEnd(proof), TextDelta("x")]


def test_a_stream_to_a_plain_request_is_read_as_one() -> None:
    delta = {"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]}
    stream = b": hello\n\ndata: " + json.dumps(delta).encode() + b"\n\ndata: [DONE]\n\n"
    assert read(stream) == [MessageStart(), TextDelta("x"), Finish(FinishReason.STOP), MessageEnd()]


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (answer({"content": "x"}, error={"message": "boom", "code": 500}), ErrorType.UPSTREAM_ERROR),
        (answer({"content": "x"}, "error"), ErrorType.UPSTREAM_ERROR),
        (b'{"object":"error","message":"boom","code":500}', ErrorType.UPSTREAM_ERROR),
        (b'{"choices":[]}', ErrorType.UPSTREAM_INVALID),
        (b"{}", ErrorType.UPSTREAM_INVALID),
        (b"", ErrorType.UPSTREAM_CUT),
        (b"[" * 100_000, ErrorType.UPSTREAM_INVALID),
    ],
)
def test_an_answer_that_is_none(source: bytes, kind: ErrorType) -> None:
    last = read(source)[-1]
    assert isinstance(last, StreamError)
    assert last.error.fault.type is kind
