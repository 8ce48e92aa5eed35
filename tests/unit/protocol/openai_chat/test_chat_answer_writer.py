"""Neutral events as a whole answer for a chat client."""

import json
from typing import Any

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
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from trunkline.protocol.model import Proof
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_RESPONSES
from trunkline.protocol.openai_chat.dialect import OpenAIChat
from trunkline.protocol.proof import wrap

FRAME = AnswerFrame(id="j1", model="public", created=7)


def written(*events: Event) -> Any:
    return json.loads(OpenAIChat().write_answer([MessageStart("up"), *events, MessageEnd()], FRAME))


def test_the_bytes_of_a_plain_answer() -> None:
    events: list[Event] = [
        *(MessageStart("up"), TextDelta("Hel"), TextDelta("lo"), UsageReport(Units(input=3, output=2))),
        *(Finish(FinishReason.STOP), MessageEnd()),
    ]
    assert OpenAIChat().write_answer(events, FRAME) == (
        b'{"id":"chatcmpl-j1","object":"chat.completion","created":7,"model":"public","choices":[{"index":0,'
        b'"message":{"role":"assistant","content":"Hello","refusal":null},"logprobs":null,"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,'
        b'"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},'
        b'"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,'
        b'"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}'
    )


def test_all_kinds_of_output() -> None:
    thought, hidden, own = Proof(ANTHROPIC, "sig"), Proof(ANTHROPIC, "hid"), Proof(GEMINI, "gs")
    message = written(
        *(ReasoningDelta("h"), ReasoningDelta("m"), ReasoningEnd(thought), ReasoningEnd(hidden, redacted=True)),
        TextDelta("x"),
        *(ToolCallStart(0, "a", "f", proof=own), ToolCallDelta(0, '{"a"'), ToolCallDelta(0, ":1}"), ToolCallEnd(0)),
        *(ToolCallStart(1, "b", "sh", custom=True), ToolCallDelta(1, "ls"), ToolCallEnd(1)),
        ImageOutput("AAAA", "image/png"),
        Finish(FinishReason.TOOL_CALLS),
    )["choices"][0]
    assert message["finish_reason"] == "tool_calls"
    assert message["message"] == {
        "role": "assistant",
        "content": "x",
        "refusal": None,
        "reasoning_content": "hm",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "hm", "signature": wrap(thought), "index": 0},
            {"type": "reasoning.encrypted", "data": wrap(hidden), "index": 1},
        ],
        "tool_calls": [
            {
                "id": "a",
                "type": "function",
                "function": {"name": "f", "arguments": '{"a":1}'},
                "extra_content": {"google": {"thought_signature": wrap(own)}},
            },
            {"id": "b", "type": "custom", "custom": {"name": "sh", "input": "ls"}},
        ],
        "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}, "index": 0}],
    }


def test_a_proof_without_words_is_copied_to_the_call() -> None:
    proof = Proof(OPENAI_RESPONSES, "enc")
    shown = written(ReasoningEnd(proof), ToolCallStart(0, "a", "f"), ToolCallEnd(0), Finish(FinishReason.TOOL_CALLS))
    call = shown["choices"][0]["message"]["tool_calls"][0]
    assert call["extra_content"] == {"google": {"thought_signature": wrap(proof)}}


def test_content_is_null_only_beside_something_else() -> None:
    call = (ToolCallStart(0, "a", "f"), ToolCallDelta(0, "{}"), ToolCallEnd(0), Finish(FinishReason.TOOL_CALLS))
    assert written(*call)["choices"][0]["message"]["content"] is None
    assert written(RefusalDelta("No."), Finish(FinishReason.STOP))["choices"][0]["message"]["content"] is None
    assert written(Finish(FinishReason.FILTER))["choices"][0]["message"]["content"] == ""
    assert written()["choices"][0]["message"] == {"role": "assistant", "content": "", "refusal": None}


def test_a_filters_words_are_the_refusal() -> None:
    choice = written(Finish(FinishReason.FILTER, message="Not this."))["choices"][0]
    assert (choice["finish_reason"], choice["message"]["refusal"]) == ("content_filter", "Not this.")


def test_choices_stand_in_order() -> None:
    events = (TextDelta("b", 1), TextDelta("a", 0), Finish(FinishReason.STOP, choice=1), Finish(FinishReason.LENGTH))
    shown = written(*events)["choices"]
    assert [(choice["index"], choice["message"]["content"], choice["finish_reason"]) for choice in shown] == [
        (0, "a", "length"),
        (1, "b", "stop"),
    ]
    assert "usage" not in written(*events)
