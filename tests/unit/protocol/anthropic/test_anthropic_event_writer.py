"""Neutral events as Anthropic's streams and whole messages."""

import json
from typing import Any

import pytest

from tests.unit.protocol.anthropic.anthropic_frames import RICH, assert_guarantees, merged
from trunkline.core.usage import Units
from trunkline.protocol.anthropic.event_reader import AnthropicEventReader, read_answer
from trunkline.protocol.anthropic.event_writer import AnthropicEventWriter, write_answer
from trunkline.protocol.anthropic.request_reader import read_request
from trunkline.protocol.dialect import AnswerFrame, Written
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
from trunkline.protocol.model import Proof, Reasoning, ToolCall
from trunkline.protocol.proof import wrap

FRAME = AnswerFrame("abc", "public", 1, input_estimate=40)
GEMINI = Proof("gemini", "sig")
END = (UsageReport(Units(input=3, output=4)), Finish(FinishReason.STOP), MessageEnd())


def stream(*events: Event) -> list[dict[str, Any]]:
    """Return the data of the events written, after checking their form and order."""
    writer = AnthropicEventWriter(FRAME)
    out = b"".join([writer.write(event) for event in events])
    frames = []
    for raw in out.removesuffix(b"\n\n").split(b"\n\n"):
        name, _, data = raw.partition(b"\n")
        frames.append(json.loads(data.removeprefix(b"data: ")))
        assert name == b"event: " + frames[-1]["type"].encode()
    assert_order(frames)
    return frames


def assert_order(frames: list[dict[str, Any]]) -> None:
    kinds = [frame["type"] for frame in frames]
    assert kinds[0] == "message_start"
    assert kinds.count("message_start") == 1
    assert kinds[-2:] == ["message_delta", "message_stop"]
    index, is_open = -1, False
    for frame in frames[1:-2]:
        if frame["type"] == "content_block_start":
            assert not is_open
            index, is_open = index + 1, True
        else:
            assert is_open
            is_open = frame["type"] == "content_block_delta"
        assert frame["index"] == index
    assert not is_open


def whole(*events: Event) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(write_answer(events, FRAME))
    return message


def blocks(*events: Event) -> list[dict[str, Any]]:
    """Return the content of the stream as an SDK puts it together; the whole message has the same."""
    content: list[dict[str, Any]] = []
    for frame in stream(*events)[1:-2]:
        if frame["type"] == "content_block_start":
            content.append({**frame["content_block"]})
            pieces = []
        elif frame["type"] == "content_block_delta":
            delta = frame["delta"]
            match delta["type"]:
                case "text_delta":
                    content[-1]["text"] += delta["text"]
                case "thinking_delta":
                    content[-1]["thinking"] += delta["thinking"]
                case "signature_delta":
                    content[-1]["signature"] = delta["signature"]
                case "input_json_delta":
                    pieces.append(delta["partial_json"])
        elif content[-1]["type"] == "tool_use":
            content[-1]["input"] = json.loads("".join(pieces) or "{}")
    assert whole(*events)["content"] == content
    return content


# --- the order -------------------------------------------------------------------------------------------------------


def test_a_plain_answer_byte_for_byte() -> None:
    writer = AnthropicEventWriter(FRAME)
    assert writer.write(MessageStart("up-1")) == (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_abc","type":"message",'
        b'"role":"assistant","model":"public","content":[],"stop_reason":null,"stop_sequence":null,"usage":'
        b'{"input_tokens":40,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}}\n\n'
    )
    assert writer.write(TextDelta('Hé"')) == (
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        b'"content_block":{"type":"text","text":""}}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"H\xc3\xa9\\""}}\n\n'
    )
    assert writer.write(TextDelta("llo")) == (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"llo"}}\n\n'
    )
    assert writer.write(Finish(FinishReason.STOP)) == b""
    assert writer.write(UsageReport(Units(input=3, output=4))) == b""
    assert writer.write(MessageEnd()) == (
        b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn",'
        b'"stop_sequence":null},"usage":{"input_tokens":3,"cache_creation_input_tokens":0,'
        b'"cache_read_input_tokens":0,"output_tokens":4}}\n\n'
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    )


def test_one_start_a_block_per_kind_and_the_last_closed_before_the_next() -> None:
    frames = stream(
        MessageStart(),
        ReasoningDelta("hm"),
        TextDelta("Hi"),
        ReasoningDelta("so"),
        ReasoningEnd(Proof("anthropic", "s")),
        TextDelta("there"),
        ToolCallStart(0, "c1", "f"),
        ToolCallDelta(0, "{}"),
        ToolCallEnd(0),
        ToolCallStart(1, "c2", "g"),
        ToolCallDelta(1, '{"a":1}'),
        ToolCallEnd(1),
        *END,
    )
    kinds = [frame["content_block"]["type"] for frame in frames if frame["type"] == "content_block_start"]
    assert kinds == ["thinking", "text", "thinking", "text", "tool_use", "tool_use"]


def test_blocks_are_put_together_as_they_were() -> None:
    content = blocks(
        MessageStart(),
        ReasoningDelta("h"),
        ReasoningDelta("m"),
        ReasoningEnd(Proof("anthropic", "s")),
        ReasoningEnd(Proof("anthropic", "r"), redacted=True),
        TextDelta("Hi"),
        RefusalDelta(" no"),
        ToolCallStart(0, "c1", "f"),
        ToolCallDelta(0, '{"a":'),
        ToolCallDelta(0, "[1]}"),
        ToolCallEnd(0),
        *END,
    )
    assert content == [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "r"},
        {"type": "text", "text": "Hi no"},
        {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": [1]}},
    ]


def test_a_signature_comes_once_and_right_before_the_stop() -> None:
    frames = stream(MessageStart(), ReasoningDelta("a"), ReasoningEnd(Proof("anthropic", "s")), TextDelta("x"), *END)
    kinds = [frame.get("delta", {}).get("type") or frame["type"] for frame in frames[1:5]]
    assert kinds == ["content_block_start", "thinking_delta", "signature_delta", "content_block_stop"]


def test_a_call_without_text_makes_no_block_of_text() -> None:
    content = blocks(
        MessageStart(), TextDelta(""), ToolCallStart(0, "c", "f"), ToolCallDelta(0, "{}"), ToolCallEnd(0), *END
    )
    assert content == [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]


def test_an_answer_without_anything_has_no_block() -> None:
    assert blocks(MessageStart(), ReasoningEnd(), *END) == []


def test_other_choices_and_pictures_are_not_written() -> None:
    content = blocks(
        MessageStart(),
        TextDelta("a"),
        TextDelta("b", choice=1),
        ReasoningDelta("c", choice=1),
        ToolCallStart(0, "c", "f", choice=1),
        ToolCallDelta(0, "{}", choice=1),
        ToolCallEnd(0, choice=1),
        ImageOutput("AAAA", "image/png"),
        Finish(FinishReason.LENGTH, choice=1),
        TextDelta("d"),
        *END,
    )
    assert content == [{"type": "text", "text": "ad"}]
    assert whole(MessageStart(), Finish(FinishReason.LENGTH, choice=1), MessageEnd())["stop_reason"] == "end_turn"


def test_a_proof_without_a_thought_is_a_thought_without_words() -> None:
    assert blocks(MessageStart(), TextDelta("x"), ReasoningEnd(Proof("anthropic", "s")), *END) == [
        {"type": "text", "text": "x"},
        {"type": "thinking", "thinking": "", "signature": "s"},
    ]


def test_thinking_without_a_proof_has_an_empty_one() -> None:
    assert blocks(MessageStart(), ReasoningDelta("x"), ReasoningEnd(), *END) == [
        {"type": "thinking", "thinking": "x", "signature": ""}
    ]


def test_foreign_proofs_are_carried_and_come_back() -> None:
    resp = Proof("openai-responses", "enc")
    content = blocks(
        MessageStart(),
        ReasoningDelta("hm"),
        ReasoningEnd(resp),
        ReasoningEnd(resp, redacted=True),
        ToolCallStart(0, "c1", "f", proof=GEMINI),
        ToolCallDelta(0, "{}"),
        ToolCallEnd(0),
        ToolCallStart(1, "c2", "f"),
        ToolCallDelta(1, "{}"),
        ToolCallEnd(1),
        *END,
    )
    assert [block["type"] for block in content] == [
        "thinking",
        "redacted_thinking",
        "redacted_thinking",
        "tool_use",
        "tool_use",
    ]
    assert content[0]["signature"] == wrap(resp)
    body = json.dumps({"max_tokens": 9, "messages": [{"role": "assistant", "content": content}]}).encode()
    (turn,) = read_request(body, stream=False).turns
    assert turn.parts == (
        Reasoning("hm", resp),
        Reasoning(proof=resp, redacted=True),
        ToolCall("c1", "f", "{}", proof=GEMINI),
        ToolCall("c2", "f", "{}"),
    )


# --- the start and the end -------------------------------------------------------------------------------------------


def test_known_input_goes_into_the_first_event_and_the_truth_into_the_last() -> None:
    known = Units(input=10, cache_read=100, cache_write_1h=20)
    frames = stream(MessageStart("x", known), TextDelta("a"), UsageReport(Units(input=11, output=2)), MessageEnd())
    assert frames[0]["message"]["usage"] == {
        "input_tokens": 10,
        "cache_creation_input_tokens": 20,
        "cache_read_input_tokens": 100,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 20},
        "output_tokens": 0,
    }
    assert frames[-2]["usage"]["input_tokens"] == 11


def test_without_a_report_the_start_stands() -> None:
    frames = stream(MessageStart(), Finish(FinishReason.FILTER), MessageEnd())
    assert frames[0]["message"]["usage"]["input_tokens"] == 40
    assert frames[-2]["usage"] == {"output_tokens": 0}
    assert whole(MessageStart(), Finish(FinishReason.FILTER), MessageEnd())["usage"]["input_tokens"] == 40


def test_the_last_report_wins() -> None:
    frames = stream(MessageStart(), UsageReport(Units(input=1, output=1)), *END)
    assert frames[-2]["usage"] == {
        "input_tokens": 3,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 4,
    }


@pytest.mark.parametrize(
    ("finish", "reason", "sequence"),
    [
        (Finish(FinishReason.STOP), "end_turn", None),
        (Finish(FinishReason.STOP_SEQUENCE, "END"), "stop_sequence", "END"),
        (Finish(FinishReason.STOP_SEQUENCE), "end_turn", None),
        (Finish(FinishReason.LENGTH), "max_tokens", None),
        (Finish(FinishReason.CONTEXT_FULL), "model_context_window_exceeded", None),
        (Finish(FinishReason.TOOL_CALLS), "tool_use", None),
        (Finish(FinishReason.FILTER), "refusal", None),
        (Finish(FinishReason.PAUSED), "pause_turn", None),
        (Finish(FinishReason.MALFORMED_CALL), "end_turn", None),
        (Finish(FinishReason.OTHER), "end_turn", None),
    ],
)
def test_every_end_has_its_word(finish: Finish, reason: str, sequence: str | None) -> None:
    delta = stream(MessageStart(), finish, MessageEnd())[-2]["delta"]
    assert delta == {"stop_reason": reason, "stop_sequence": sequence}
    message = whole(MessageStart(), finish, MessageEnd())
    assert (message["stop_reason"], message["stop_sequence"]) == (reason, sequence)


def test_a_refusal_says_why_where_that_is_known() -> None:
    delta = stream(MessageStart(), Finish(FinishReason.FILTER, message="SAFETY"), MessageEnd())[-2]["delta"]
    assert delta["stop_details"] == {"type": "refusal", "category": None, "explanation": "SAFETY"}


# --- whole messages --------------------------------------------------------------------------------------------------


def test_a_whole_message_byte_for_byte() -> None:
    events = (MessageStart("x", Units(input=9)), TextDelta("H"), TextDelta("i"), *END)
    assert write_answer(events, FRAME) == (
        b'{"id":"msg_abc","type":"message","role":"assistant","model":"public","content":[{"type":"text","text":"Hi"}],'
        b'"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"cache_creation_input_tokens":0,'
        b'"cache_read_input_tokens":0,"output_tokens":4}}'
    )


def test_whole_arguments_keep_their_source() -> None:
    source = '{"n": 1.10, "big":123456789012345678901}'
    events = (MessageStart(), ToolCallStart(0, "c", "f{}"), ToolCallDelta(0, source), ToolCallEnd(0), *END)
    assert b'"name":"f{}","input":' + source.encode() + b"}" in write_answer(events, FRAME)


@pytest.mark.parametrize("cut", ['{"a":', "[1]", "no", '{"a":"\\'])
def test_arguments_that_are_no_object_are_never_an_empty_call(cut: str) -> None:
    events = (MessageStart(), ToolCallStart(0, "c", "f"), ToolCallDelta(0, cut), ToolCallEnd(0), *END)
    assert whole(*events)["content"][0]["input"] == {"invalid_arguments": cut}


def test_reading_what_was_written_gives_the_same_events() -> None:
    reader = AnthropicEventReader(Written(b""))
    events = reader.receive(b"".join(RICH))
    writer = AnthropicEventWriter(FRAME)
    written = b"".join([writer.write(event) for event in events])
    again = AnthropicEventReader(Written(b""))
    reread = again.receive(written) + again.finish()
    assert_guarantees(reread)
    assert reread[1:] == events[1:]
    assert read_answer(write_answer(events, FRAME), Written(b""))[1:] == merged(events)[1:]
