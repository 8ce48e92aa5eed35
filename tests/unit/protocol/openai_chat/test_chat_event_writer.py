"""Neutral events as a chat client's stream: the exact order and bytes of DIALECTS section 3.1."""

import json
from typing import Any

import pytest

from trunkline.core.errors import ErrorType, Fault
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
from trunkline.protocol.model import Proof
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT
from trunkline.protocol.openai_chat.dialect import OpenAIChat
from trunkline.protocol.openai_chat.usage import read_usage
from trunkline.protocol.openai_chat.usage_writer import write_usage
from trunkline.protocol.proof import wrap
from trunkline.protocol.upstream_error import RetryClass, UpstreamError

FRAME = AnswerFrame(id="j1", model="public", created=7)
STOP = Finish(FinishReason.STOP)
END = MessageEnd()
CALL = ToolCallStart(5, "a", "f")
THOUGHT = Proof(ANTHROPIC, "sig")


def stream(*events: Event, wants_usage: bool = False) -> bytes:
    frame = AnswerFrame(FRAME.id, FRAME.model, FRAME.created, wants_usage=wants_usage)
    writer = OpenAIChat().event_writer(frame)
    return b"".join([writer.write(event) for event in events])


def chunks(*events: Event, wants_usage: bool = False) -> list[Any]:
    parts = stream(*events, wants_usage=wants_usage).split(b"\n\n")
    assert parts[-2:] == [b"data: [DONE]", b""]
    return [json.loads(part.removeprefix(b"data: ")) for part in parts[:-2]]


def deltas(*events: Event) -> list[Any]:
    """What the chunks say between the role and the finish reason."""
    shown = [chunk["choices"][0]["delta"] for chunk in chunks(MessageStart(), *events, STOP, END)]
    assert shown[0] == {"role": "assistant", "content": ""}
    assert shown[-1] == {}
    return shown[1:-1]


def test_the_bytes_of_a_plain_stream() -> None:
    head = b'data: {"id":"chatcmpl-j1","object":"chat.completion.chunk","created":7,"model":"public","choices":['
    open_end = b',"finish_reason":null}]}\n\n'
    assert stream(MessageStart("up"), TextDelta('a "b"\n'), UsageReport(Units(input=1, output=1)), STOP, END) == (
        head
        + b'{"index":0,"delta":{"role":"assistant","content":""}'
        + open_end
        + head
        + b'{"index":0,"delta":{"content":"a \\"b\\"\\n"}'
        + open_end
        + head
        + b'{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
        + b"data: [DONE]\n\n"
    )


def test_usage_comes_in_a_chunk_of_its_own_if_it_was_asked_for() -> None:
    events = (MessageStart(), TextDelta("x"), UsageReport(Units(input=3, output=2)), STOP, END)
    shown = chunks(*events, wants_usage=True)
    assert [chunk["usage"] for chunk in shown[:-1]] == [None, None, None]
    assert shown[-1]["choices"] == []
    assert shown[-1]["usage"]["total_tokens"] == 5
    assert shown[-1]["id"] == "chatcmpl-j1"
    assert all("usage" not in chunk for chunk in chunks(*events))


def test_the_last_usage_counts_and_what_the_start_knew_is_better_than_nothing() -> None:
    first, last = Units(input=3), Units(input=3, output=2)
    shown = chunks(MessageStart("", first), UsageReport(first), STOP, UsageReport(last), END, wants_usage=True)
    assert shown[-1]["usage"]["completion_tokens"] == 2
    shown = chunks(MessageStart("", first), STOP, END, wants_usage=True)
    assert shown[-1]["usage"]["prompt_tokens"] == 3
    assert chunks(MessageStart(), STOP, END, wants_usage=True)[-1]["choices"]


def test_each_kind_of_text_has_its_member() -> None:
    assert deltas(ReasoningDelta("hm"), ReasoningEnd(), TextDelta("x"), RefusalDelta("No.")) == [
        {"reasoning_content": "hm"},
        {"content": "x"},
        {"refusal": "No."},
    ]


def test_calls_are_numbered_from_zero_and_named_once() -> None:
    events = (CALL, ToolCallDelta(5, '{"a"'), ToolCallDelta(5, ":1}"), ToolCallEnd(5))
    second = (ToolCallStart(7, "b", "sh", custom=True), ToolCallDelta(7, "ls"), ToolCallEnd(7))
    assert deltas(*events, *second) == [
        {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {"tool_calls": [{"index": 1, "id": "b", "type": "custom", "custom": {"name": "sh", "input": ""}}]},
        {"tool_calls": [{"index": 1, "custom": {"input": "ls"}}]},
    ]


def test_images_stand_in_openrouters_list() -> None:
    assert deltas(ImageOutput("AAAA", "image/png"), ImageOutput("BBBB", "image/webp")) == [
        {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}, "index": 0}]},
        {"images": [{"type": "image_url", "image_url": {"url": "data:image/webp;base64,BBBB"}, "index": 1}]},
    ]


def test_a_proof_stands_in_the_details_with_the_words_it_belongs_to() -> None:
    shown = deltas(ReasoningDelta("h"), ReasoningDelta("m"), ReasoningEnd(THOUGHT), TextDelta("x"), CALL)
    item = {"type": "reasoning.text", "text": "hm", "signature": wrap(THOUGHT), "index": 0}
    assert shown[2] == {"reasoning_details": [item]}
    assert "extra_content" not in shown[4]["tool_calls"][0]


def test_a_redacted_proof_stands_in_the_details_alone() -> None:
    item = {"type": "reasoning.encrypted", "data": wrap(THOUGHT), "index": 0}
    assert deltas(ReasoningEnd(THOUGHT, redacted=True)) == [{"reasoning_details": [item]}]


def test_a_proof_without_words_is_copied_to_the_call_behind_it() -> None:
    second = ToolCallStart(1, "b", "g")
    shown = deltas(ReasoningEnd(THOUGHT), CALL, ToolCallEnd(5), second)
    assert shown[0]["reasoning_details"][0]["signature"] == wrap(THOUGHT)
    assert shown[1]["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": wrap(THOUGHT)}}
    assert "extra_content" not in shown[2]["tool_calls"][0]


def test_a_calls_own_proof_stands_on_it() -> None:
    proof = Proof(GEMINI, "gs")
    shown = deltas(ToolCallStart(0, "a", "f", proof=proof))
    assert shown[0]["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": wrap(proof)}}


def test_a_chat_providers_own_details_are_shown_as_they_were() -> None:
    own = Proof(OPENAI_CHAT, '[{"type":"reasoning.encrypted","data":"enc","index":4}]')
    shown = deltas(ReasoningEnd(own, redacted=True), CALL)
    assert shown[0] == {"reasoning_details": [{"type": "reasoning.encrypted", "data": "enc", "index": 4}]}
    assert "extra_content" not in shown[1]["tool_calls"][0]
    assert deltas(ReasoningEnd(Proof(OPENAI_CHAT, "no list"), redacted=True)) == []


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (FinishReason.STOP, "stop"),
        (FinishReason.STOP_SEQUENCE, "stop"),
        (FinishReason.LENGTH, "length"),
        (FinishReason.CONTEXT_FULL, "length"),
        (FinishReason.TOOL_CALLS, "tool_calls"),
        (FinishReason.FILTER, "content_filter"),
        (FinishReason.PAUSED, "stop"),
        (FinishReason.MALFORMED_CALL, "stop"),
        (FinishReason.OTHER, "stop"),
    ],
)
def test_finish_reasons(reason: FinishReason, word: str) -> None:
    assert chunks(MessageStart(), Finish(reason), END)[-1]["choices"][0]["finish_reason"] == word


def test_the_providers_words_about_a_filter_are_the_refusal() -> None:
    shown = chunks(MessageStart(), Finish(FinishReason.FILTER, message="Not this."), END)
    assert [chunk["choices"][0]["delta"] for chunk in shown][1:] == [{"refusal": "Not this."}, {}]
    assert len(chunks(MessageStart(), Finish(FinishReason.OTHER, message="hm"), END)) == 2


def test_each_choice_begins_with_its_role_and_has_a_finish() -> None:
    events = (
        *(MessageStart(), TextDelta("a"), TextDelta("b", 2), ToolCallStart(0, "a", "f", choice=1)),
        *(ToolCallDelta(0, "{}", 1), ToolCallEnd(0, 1), ReasoningEnd(THOUGHT, choice=3), STOP),
        *(
            Finish(FinishReason.LENGTH, choice=2),
            Finish(FinishReason.TOOL_CALLS, choice=1),
            Finish(STOP.reason, choice=4),
        ),
        END,
    )
    by_choice: dict[int, list[Any]] = {}
    for chunk in chunks(*events):
        said = chunk["choices"][0]
        by_choice.setdefault(said["index"], []).append(said)
    role = {"role": "assistant", "content": ""}
    assert [by_choice[index][0]["delta"] for index in range(5)] == [role] * 5
    ends = {index: said[-1]["finish_reason"] for index, said in by_choice.items()}
    assert ends == {0: "stop", 1: "tool_calls", 2: "length", 3: "stop", 4: "stop"}


def test_an_end_without_a_finish_reason_gets_a_plain_one() -> None:
    assert chunks(MessageStart(), TextDelta("x"), END)[-1]["choices"][0]["finish_reason"] == "stop"
    assert chunks(MessageStart(), CALL, ToolCallEnd(5), END)[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_events_without_a_chunk() -> None:
    error = UpstreamError(Fault(ErrorType.UPSTREAM_CUT, "cut"), RetryClass.OTHER_CHANNEL)
    assert stream(ToolCallEnd(0), UsageReport(Units()), StreamError(error), ToolCallDelta(0, "{}")) == b""


@pytest.mark.parametrize(
    "units",
    [
        Units(input=3, output=2),
        Units(input=1, cache_read=20, cache_write_5m=300, input_audio=4000, output=5, reasoning=60, output_audio=700),
        Units(cache_write_5m=1, cache_write_1h=2, output=1),
        Units(cache_write_1h=2, reasoning=9),
        Units(input=1),
    ],
)
def test_usage_is_written_as_the_inverse_of_its_reading(units: Units) -> None:
    written = write_usage(units)
    assert read_usage(written) == units
    tree = json.loads(written)
    assert tree["total_tokens"] == units.input_total + units.output_total


def test_pictures_in_the_usage_are_part_of_the_totals() -> None:
    tree = json.loads(write_usage(Units(input=1, input_image=10, output=2, output_image=20)))
    assert (tree["prompt_tokens"], tree["completion_tokens"]) == (11, 22)
