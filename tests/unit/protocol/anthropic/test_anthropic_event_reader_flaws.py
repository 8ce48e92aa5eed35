"""Anthropic's answers as neutral events: what look-alikes do to them, usage, and whole ones."""

import json

import pytest

from tests.unit.protocol.anthropic.anthropic_frames import (
    NOTHING,
    PING,
    PLAIN,
    RICH,
    STOP,
    assert_guarantees,
    begin,
    body_of,
    dump,
    end,
    error_type,
    finish_of,
    frame,
    merged,
    read,
    start,
    text,
)
from trunkline.core.errors import ErrorType
from trunkline.core.usage import Units
from trunkline.protocol.anthropic.event_reader import read_answer
from trunkline.protocol.dialect import Written
from trunkline.protocol.events import (
    Finish,
    FinishReason,
    MessageEnd,
    MessageStart,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    UsageReport,
)
from trunkline.protocol.meter import AnswerMeter

# --- flaws of look-alikes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flaw",
    [
        lambda event: event.partition(b"\n")[2],
        lambda event: b"event: message\n" + event.partition(b"\n")[2],
        lambda event: event.replace(b"data: ", b"data:").replace(b"event: ", b"event:"),
        lambda event: event.replace(b"\n", b"\r\n"),
        lambda event: event.replace(b"\n", b"\r"),
        lambda event: b": OPENROUTER PROCESSING\n\n" + event,
        lambda event: b"data: null\n\n" + event,
        lambda event: b"data:\n\n" + event,
        lambda event: b"data: [DONE]\n\n" + event,
        lambda event: b"\n\n" + event + b"\n",
        lambda event: PING + event,
        lambda event: frame("of_the_future", index=0, delta={"text": "no"}) + event,
        lambda event: b"data: 5\n\ndata: [1]\n\n" + event,
        lambda event: b"id: 5\nretry: 3\n" + event,
    ],
)
def test_flaws_are_read_leniently(flaw) -> None:  # type: ignore[no-untyped-def]  # any change of bytes
    assert read(*[flaw(event) for event in RICH]) == read(*RICH)


def test_types_in_names_alone_and_a_byte_order_mark() -> None:
    named = [event.replace(event[: event.index(b"\n")][7:] + b'",', b'",', 1) for event in PLAIN]
    untyped = [b"".join(event.split(b'"type":"' + event[7 : event.index(b"\n")] + b'"', 1)) for event in PLAIN]
    bare = [event.replace(b"{,", b"{") for event in untyped]
    assert named != bare
    assert read(b"\xef\xbb\xbf" + bare[0], *bare[1:]) == read(*PLAIN)


def test_data_over_several_lines_and_separators_of_other_standards() -> None:
    split = PLAIN[2].replace(b'"index"', b'\ndata: "index"')
    assert body_of(read(*PLAIN[:2], split, *PLAIN[3:])) == [TextDelta("Hel"), TextDelta("lo")]
    odd = text(0, "a\u2028b\x85c")
    assert body_of(read(*PLAIN[:2], odd, *PLAIN[4:])) == [TextDelta("a\u2028b\x85c")]


def test_members_of_the_wrong_type_cost_only_themselves() -> None:
    odd = frame("content_block_delta", index="0", delta={"type": "text_delta", "text": "Hi", "thinking": [1]})
    events = read(begin(), start(0, "text", text=None), odd, end(), STOP)
    assert body_of(events) == [TextDelta("Hi")]
    events = read(frame("message_start", message={"id": 7, "usage": "none"}), *PLAIN[1:])
    assert events[0] == MessageStart("7")


def test_half_an_emoji_is_replaced() -> None:
    raw = text(0, "x").replace(b'"x"', rb'"a\ud83d"')
    assert body_of(read(begin(), start(0, "text", text=""), raw, end(), STOP)) == [TextDelta("a\ufffd")]


# --- usage -----------------------------------------------------------------------------------------------------------


def test_usage_is_the_last_value_per_field_and_never_a_sum() -> None:
    first = {
        "input_tokens": 10,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        "output_tokens": 1,
    }
    last = {
        "input_tokens": 11,
        "cache_read_input_tokens": None,
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 20},
        "server_tool_use": {"web_search_requests": 2},
    }
    events = read(begin(usage=first), *PLAIN[1:5], end(usage=last), STOP)
    assert events[0] == MessageStart("msg_1", Units(input=10, cache_read=100, cache_write_5m=10, cache_write_1h=20))
    expected = Units(
        input=11, cache_read=100, cache_write_5m=10, cache_write_1h=20, output=30, reasoning=20, searches=2
    )
    assert [event for event in events if isinstance(event, UsageReport)] == [UsageReport(expected)]


def test_usage_only_at_the_beginning() -> None:
    events = read(begin(usage={"input_tokens": 3, "output_tokens": 4}), *PLAIN[1:5], end(usage={}), STOP)
    assert [event for event in events if isinstance(event, UsageReport)] == [UsageReport(Units(input=3, output=4))]


def test_a_beginning_without_input_says_nothing_of_it() -> None:
    assert read(begin(usage={"input_tokens": 0, "output_tokens": 0}), *PLAIN[1:])[0] == MessageStart("msg_1")


@pytest.mark.parametrize("usage", [{"output_tokens": 0}, {"output_tokens": -1}, {"output_tokens": "7"}])
def test_zeros_beside_output_are_missing(usage: object) -> None:
    meter = AnswerMeter()
    for event in read(begin(usage={"input_tokens": 0}), *PLAIN[1:5], end(usage=usage), STOP):
        meter.take(event)
    assert meter.units is None
    assert meter.output_tokens_counted() == 1


def test_a_stream_that_is_cut_has_reported_no_output() -> None:
    assert not any(isinstance(event, UsageReport) for event in read(*PLAIN[:4]))


# --- whole answers ---------------------------------------------------------------------------------------------------


def whole(**members: object) -> bytes:
    return dump(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "up",
            "content": [{"type": "text", "text": "Hello"}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 5, "output_tokens": 7},
            **members,
        }
    )


def test_a_whole_answer_is_read_as_the_stream_of_it() -> None:
    content = [
        {"type": "thinking", "thinking": "hm é", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "cmVk"},
        {"type": "text", "text": "中😀"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 12345678901234567890}},
        {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
    ]
    body = whole(content=content, stop_reason="tool_use", usage={"input_tokens": 5, "output_tokens": 9})
    events = read_answer(body, NOTHING)
    assert_guarantees(events)
    assert events[0] == MessageStart("msg_1")
    assert events[1:] == merged(read(*RICH))[1:]


def test_whole_arguments_keep_their_source() -> None:
    block = b'{"type":"tool_use","id":"t","name":"f","input":{"n": 1.10, "big":123456789012345678901}}'
    body = whole().replace(dump({"type": "text", "text": "Hello"}), block)
    events = read_answer(body, NOTHING)
    assert ToolCallDelta(0, '{"n": 1.10, "big":123456789012345678901}') in events


def test_whole_answers_are_unwrapped_too() -> None:
    content = [{"type": "tool_use", "id": "t", "name": "answer", "input": {"a": 1}}]
    events = read_answer(whole(content=content, stop_reason="tool_use"), Written(b"", unwrap_tool="answer"))
    assert events[1] == TextDelta('{"a":1}')
    assert finish_of(events).reason is FinishReason.STOP
    content = [{"type": "tool_use", "id": "t", "name": "p", "input": {"input": "x"}}]
    events = read_answer(whole(content=content, stop_reason="tool_use"), Written(b"", unwrap_field=("p",)))
    assert events[1:3] == [ToolCallStart(0, "t", "p", custom=True), ToolCallDelta(0, "x")]


def test_a_refusal_without_content_is_an_answer() -> None:
    events = read_answer(whole(content=[], stop_reason="refusal"), NOTHING)
    assert [type(event) for event in events] == [MessageStart, UsageReport, Finish, MessageEnd]


def test_a_stream_in_place_of_a_whole_answer() -> None:
    assert read_answer(b"".join(RICH), NOTHING) == read(*RICH)


@pytest.mark.parametrize("content", ["Hello", [{"type": "text", "text": "Hello"}, 5, {"type": 3, "text": "no"}]])
def test_bent_content_is_read_as_far_as_it_goes(content: object) -> None:
    assert read_answer(whole(content=content), NOTHING)[1] == TextDelta("Hello")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", ErrorType.UPSTREAM_INVALID),
        (b"<html>", ErrorType.UPSTREAM_INVALID),
        (b"null", ErrorType.UPSTREAM_INVALID),
        (b"{}", ErrorType.UPSTREAM_INVALID),
        (b'{"id":"x","content":5}', ErrorType.UPSTREAM_INVALID),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}', ErrorType.UPSTREAM_OVERLOADED),
        (whole(stop_reason="error"), ErrorType.UPSTREAM_ERROR),
        (whole()[:-4], ErrorType.UPSTREAM_INVALID),
        (b"[" * 100_000, ErrorType.UPSTREAM_INVALID),
    ],
)
def test_what_is_no_answer(body: bytes, kind: ErrorType) -> None:
    assert error_type(read_answer(body, NOTHING)) is kind


def test_the_transcripts_are_json() -> None:
    assert all(json.loads(event.partition(b"data: ")[2]) for event in RICH)
