"""How a Responses upstream's answer ends: well, badly, and in a body of another kind."""

import json

import pytest

from tests.support.responses_stream import (
    CALLED,
    CREATED,
    PLAIN,
    START,
    STOP,
    USAGE,
    added,
    end,
    event,
    failed,
    function,
    message,
    read,
    response,
    text,
)
from trunkline.core import limits
from trunkline.core.errors import ErrorType
from trunkline.core.usage import Units
from trunkline.protocol.events import (
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
from trunkline.protocol.openai_responses import item_events
from trunkline.protocol.openai_responses.event_reader import ResponsesEventReader, read_answer
from trunkline.protocol.upstream_error import RetryClass
from trunkline.protocol.vendor import DEFAULTS, VendorOptions

# --- ends --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("details", "calls", "reason"),
    [
        ({"reason": "max_output_tokens"}, False, FinishReason.LENGTH),
        ({"reason": "content_filter"}, False, FinishReason.FILTER),
        ({"reason": "steered"}, False, FinishReason.OTHER),
        ({"reason": None}, False, FinishReason.OTHER),
        (None, False, FinishReason.OTHER),
        ({"reason": "max_output_tokens"}, True, FinishReason.LENGTH),
        ({"reason": "content_filter"}, True, FinishReason.FILTER),
        ({"reason": "steered"}, True, FinishReason.TOOL_CALLS),
    ],
)
def test_why_an_answer_is_incomplete(details: object, calls: bool, reason: FinishReason) -> None:
    output = [{"id": "a", **function("c1", "{}")}] if calls else []
    final = response("incomplete", *output, incomplete_details=details)
    whole = read_answer(json.dumps(final).encode(), PLAIN, DEFAULTS)
    streamed = read(CREATED, event("response.incomplete", None, None, response=final))
    assert whole == streamed
    assert streamed[-2:] == [Finish(reason), MessageEnd()]


def test_a_body_that_ends_without_its_end_is_cut() -> None:
    for rest in ((), (b"data: [DONE]\n\n",), (end()[:-30],)):
        events = read(CREATED, text("a"), *rest)
        assert events[:-1] == [START, TextDelta("a")]
        error = failed(events).error
        assert (error.fault.type, error.cls) == (ErrorType.UPSTREAM_CUT, RetryClass.OTHER_CHANNEL)


def test_done_is_a_good_end_where_the_channel_is_lenient() -> None:
    lenient = VendorOptions(lenient_end=True)
    expected = [START, TextDelta("a"), ToolCallStart(0, "c", "f"), ToolCallDelta(0, "{}"), ToolCallEnd(0), MessageEnd()]
    stream = (CREATED, text("a"), added(1, "fc", **function("c")), b"data: [DONE]\n\n")
    assert read(*stream, options=lenient) == expected
    assert failed(read(b"data: [DONE]\n\n", options=lenient)).error.fault.type is ErrorType.UPSTREAM_CUT


def test_a_last_event_without_its_blank_line_counts() -> None:
    assert read(CREATED, text("a"), end()[:-2]) == [START, TextDelta("a"), *STOP]


def test_what_comes_after_the_end_is_no_matter() -> None:
    assert read(CREATED, end() + text("late") + end()) == [START, *STOP]


# --- errors ------------------------------------------------------------------------------------------------------

LIMITED = {"code": "rate_limit_exceeded", "message": "Try again in 2s."}


@pytest.mark.parametrize(
    "one",
    [
        event("error", None, None, **LIMITED, sequence_number=1),
        event("error", None, None, error={"type": "tokens", **LIMITED}, sequence_number=1),
        event("response.failed", None, None, response=response("failed", error=LIMITED)),
        b"data: " + json.dumps({"error": LIMITED}).encode() + b"\n\n",
    ],
)
def test_errors_are_read_flat_nested_and_as_failed_responses(one: bytes) -> None:
    events = read(CREATED, one, text("late"))
    assert events[0] == START
    assert len(events) == 2
    error = failed(events).error
    assert error.fault.type is ErrorType.UPSTREAM_RATE_LIMITED
    assert error.cool_ms == 2000


def test_an_error_as_the_first_event_is_all_there_is() -> None:
    assert len(read(event("error", None, None, **LIMITED))) == 1


def test_usage_of_a_failed_response_is_told_before_the_error() -> None:
    one = event("response.failed", None, None, response=response("failed", usage=USAGE, error=LIMITED))
    assert read(CREATED, text("a"), one)[-2] == UsageReport(Units(input=3, output=2))


@pytest.mark.parametrize("one", [b"data: {\n\n", b'data: {"type":"\xff"}\n\n'])
def test_a_broken_event_ends_the_stream(one: bytes) -> None:
    assert failed(read(CREATED, one, end())).error.fault.type is ErrorType.UPSTREAM_INVALID


def test_an_event_that_is_too_large_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = ResponsesEventReader(PLAIN, DEFAULTS)
    monkeypatch.setattr(reader._splitter._buffer, "_event_bytes_max", 100)
    assert failed(reader.receive(b"data: " + b"x" * 200)).error.fault.type is ErrorType.UPSTREAM_INVALID


def test_more_items_than_can_be_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_events, "ITEMS_MAX", 2)
    reader = ResponsesEventReader(PLAIN, DEFAULTS)
    for index in range(5):
        reader.receive(text("a", index, f"i{index}"))
    assert len(reader._items._items) == 2


# --- bodies of another kind ------------------------------------------------------------------------------------


def test_a_whole_answer_in_place_of_a_stream_is_read() -> None:
    body = json.dumps(response("completed", message("Hello"))).encode()
    assert read(body[:9], body[9:]) == [START, TextDelta("Hello"), *STOP]


def test_a_stream_in_place_of_a_whole_answer_is_read() -> None:
    body = CREATED + text("Hello") + end()
    assert read_answer(body, PLAIN, DEFAULTS) == [START, TextDelta("Hello"), *STOP]


def test_a_body_that_is_too_large_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UPSTREAM_ANSWER_BYTES_MAX", 10)
    assert failed(read(b'{"a":', b'"' + b"x" * 20)).error.fault.type is ErrorType.UPSTREAM_INVALID


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", ErrorType.UPSTREAM_INVALID),
        (b"<html>", ErrorType.UPSTREAM_INVALID),
        (b"[]", ErrorType.UPSTREAM_INVALID),
        (b"{", ErrorType.UPSTREAM_INVALID),
        (b"Bad gateway", ErrorType.UPSTREAM_INVALID),
        (json.dumps(response("queued")).encode(), ErrorType.UPSTREAM_INVALID),
        (json.dumps(response("failed", error=LIMITED)).encode(), ErrorType.UPSTREAM_RATE_LIMITED),
        (json.dumps({"error": LIMITED}).encode(), ErrorType.UPSTREAM_RATE_LIMITED),
    ],
)
def test_what_is_no_answer_is_an_error(body: bytes, kind: ErrorType) -> None:
    events = read_answer(body, PLAIN, DEFAULTS)
    assert len(events) == 1
    assert failed(events).error.fault.type is kind


# --- whole answers ---------------------------------------------------------------------------------------------


def test_a_whole_answer_gives_the_events_of_a_stream() -> None:
    output = [
        {"type": "reasoning", "id": "rs_1", "summary": [{"text": "a"}, {"text": "b"}], "encrypted_content": "gAAA"},
        {
            "type": "message",
            "id": "msg_1",
            "content": [{"type": "output_text", "text": "x"}, {"type": "refusal", "refusal": "no"}],
        },
        {"type": "web_search_call", "id": "ws_1"},
        {"id": "fc_1", **function("c1", '{"n":1.50}')},
        {"id": "fc_2", **function("c2", "")},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c3", "name": "run", "input": "ls"},
    ]
    body = json.dumps(response("completed", *output, usage=USAGE)).encode()
    assert read_answer(body, PLAIN, DEFAULTS) == [
        START,
        ReasoningDelta("a"),
        ReasoningDelta("\n\nb"),
        ReasoningEnd(Proof("openai-responses", "gAAA")),
        TextDelta("x"),
        RefusalDelta("no"),
        ToolCallStart(0, "c1", "f"),
        ToolCallDelta(0, '{"n":1.50}'),
        ToolCallEnd(0),
        ToolCallStart(1, "c2", "f"),
        ToolCallDelta(1, "{}"),
        ToolCallEnd(1),
        ToolCallStart(2, "c3", "run", custom=True),
        ToolCallDelta(2, "ls"),
        ToolCallEnd(2),
        UsageReport(Units(input=3, output=2)),
        *CALLED,
    ]


def test_a_vendor_without_ids_gives_an_answer_too() -> None:
    output = [{"type": "message", "content": [{"text": "a"}]}, {"type": "function_call", "name": "f"}]
    assert read_answer(json.dumps({"id": "r", "output": output}).encode(), PLAIN, DEFAULTS) == [
        MessageStart("r"),
        TextDelta("a"),
        ToolCallStart(0, "call_r2", "f"),
        ToolCallDelta(0, "{}"),
        ToolCallEnd(0),
        *CALLED,
    ]
