"""A chat provider's stream as neutral events: how it ends, what its bytes look like, and what is no stream."""

import json

import pytest

from tests.unit.protocol.openai_chat.chat_chunks import (
    DONE,
    END,
    ROLE,
    START,
    call,
    calls,
    chunk,
    error_of,
    event,
    read,
    usage,
)
from trunkline.core import limits
from trunkline.core.errors import ErrorType
from trunkline.core.usage import Units
from trunkline.protocol.dialect import Written
from trunkline.protocol.events import (
    Finish,
    FinishReason,
    MessageStart,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    UsageReport,
)
from trunkline.protocol.openai_chat.event_reader import ChatEventReader
from trunkline.protocol.vendor import VendorOptions

# --- Ends ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("content_filter", FinishReason.FILTER),
        ("sensitive", FinishReason.FILTER),
        ("model_length", FinishReason.CONTEXT_FULL),
        ("tool_calls", FinishReason.STOP),
        ("something new", FinishReason.OTHER),
    ],
)
def test_finish_reasons_without_calls(said: str, reason: FinishReason) -> None:
    assert read(chunk({"content": "x"}, said))[-2:] == [Finish(reason), END]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("stop", FinishReason.TOOL_CALLS),
        ("function_call", FinishReason.TOOL_CALLS),
        ("something new", FinishReason.TOOL_CALLS),
        ("length", FinishReason.LENGTH),
        ("content_filter", FinishReason.FILTER),
    ],
)
def test_calls_decide_the_finish_reason(said: str, reason: FinishReason) -> None:
    assert read(calls(call(0, "{}", id="a", name="f")), chunk({}, said))[-2:] == [Finish(reason), END]


def test_the_finish_reason_is_held_until_the_end() -> None:
    stream = (
        chunk({"content": "x"}, "stop"),
        chunk({"content": "y"}),
        chunk({}, "stop"),
        DONE,
        chunk({"content": "z"}),
    )
    assert read(*stream) == [START, TextDelta("x"), TextDelta("y"), Finish(FinishReason.STOP), END]


@pytest.mark.parametrize("end", [b"", DONE])
def test_an_end_without_a_finish_reason_is_a_cut(end: bytes) -> None:
    """Regression 35."""
    events = read(chunk({"content": "x"}), calls(call(0, "{", id="a", name="f")), end)
    assert error_of(events).error.fault.type is ErrorType.UPSTREAM_CUT
    assert events[:-1] == [START, TextDelta("x"), ToolCallStart(0, "a", "f"), ToolCallDelta(0, "{")]


def test_a_lenient_channel_takes_done_for_a_good_end() -> None:
    assert read(chunk({"content": "x"}), DONE, lenient_end=True) == [
        *(START, TextDelta("x"), Finish(FinishReason.STOP), END),
    ]
    assert error_of(read(chunk({"content": "x"}), lenient_end=True)).error.fault.type is ErrorType.UPSTREAM_CUT


def test_each_choice_with_output_has_to_finish() -> None:
    both = [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}, {"index": 1, "delta": {"content": "b"}}]
    assert error_of(read(chunk(choices=both), DONE)).error.fault.type is ErrorType.UPSTREAM_CUT


@pytest.mark.parametrize("said", ["error", "insufficient_system_resource", "network_error", "abort"])
def test_a_finish_reason_that_means_failure_is_an_error(said: str) -> None:
    events = read(chunk({"content": "x"}), chunk({}, said), DONE)
    assert events[:-1] == [START, TextDelta("x")]
    assert error_of(events).error.fault.type is ErrorType.UPSTREAM_ERROR


@pytest.mark.parametrize(
    "broken",
    [
        event({"error": {"message": "boom", "code": 502}}),
        event({"error": "boom"}),
        event({"object": "error", "message": "boom", "code": 500}),
        b'event: error\ndata: {"message":"boom"}\n\n',
        chunk({"content": ""}, "error", error={"code": 502, "message": "boom"}),
    ],
)
def test_errors_of_every_shape_end_the_stream(broken: bytes) -> None:
    assert error_of(read(broken, chunk({"content": "x"}), DONE)).error.fault.type is ErrorType.UPSTREAM_ERROR
    events = read(chunk({"content": "x"}), broken, DONE)
    assert events[:-1] == [START, TextDelta("x")]
    assert error_of(events).error.fault.type is ErrorType.UPSTREAM_ERROR


def test_an_error_says_what_it_is() -> None:
    limited = event({"error": {"message": "slow down", "type": "rate_limit_error"}})
    assert error_of(read(limited)).error.fault.type is ErrorType.UPSTREAM_RATE_LIMITED


@pytest.mark.parametrize(
    "broken", [b"data: hello\n\n", b'data: {"choices":[{"delta":{"content":"x"}}\n\n', b'data: {"id":"\xff"}\n\n']
)
def test_a_broken_event_is_an_invalid_answer(broken: bytes) -> None:
    assert error_of(read(chunk({"content": "x"}), broken)).error.fault.type is ErrorType.UPSTREAM_INVALID


def test_an_event_without_end_is_bounded() -> None:
    reader = ChatEventReader(Written(b""), VendorOptions())
    piece = b"data: " + b"x" * (limits.UPSTREAM_EVENT_BYTES_MAX + 1)
    assert error_of(reader.receive(piece)).error.fault.type is ErrorType.UPSTREAM_INVALID
    assert reader.receive(b"x") == []
    assert reader.finish() == []


# --- Events and their bytes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "quiet",
    [
        *(b": keep-alive\n\n", b"data: null\n\n", b"data: 5\n\n", b"data:\n\n", b"event: ping\n\n", b"\n\n"),
        chunk(ROLE),
        chunk({}),
        chunk(None),
        chunk({}, ""),
        chunk({"content": None, "tool_calls": [], "function_call": None, "images": None, "reasoning_details": []}),
        chunk(choices=[]),
        chunk(choices=None),
        chunk(choices=["odd", 1]),
        chunk(choices=[], prompt_filter_results=[{"index": 0}]),
        chunk({}, error=None),
        chunk({}, error={}),
        event({"choices": [{"index": 0, "content_filter_results": {}, "finish_reason": None}]}),
    ],
)
def test_what_says_nothing_is_no_event(quiet: bytes) -> None:
    """Regression 4."""
    events = read(quiet, chunk({"content": "x"}), quiet, chunk({}, "stop"), quiet, DONE)
    assert events[0].__class__ is MessageStart
    assert events[1:] == [TextDelta("x"), Finish(FinishReason.STOP), END]


@pytest.mark.parametrize(
    "change",
    [
        (b"data: ", b"data:"),
        (b"\n", b"\r\n"),
        (b"\n", b"\r"),
        (b"data: {", b"event: message\ndata: {"),
        (b"data: {", b"id: 7\ndata: {"),
        (b'"choices"', b'\ndata: "choices"'),
    ],
)
def test_events_in_any_spelling(change: tuple[bytes, bytes]) -> None:
    """Regression 20."""
    plain = chunk({"content": "é"}) + chunk({}, "stop") + chunk(choices=[], usage=usage()) + DONE
    for start in (b"", b"\xef\xbb\xbf", b"\n"):
        events = read(start + plain.replace(*change))
        assert events == [
            *(START, TextDelta("é"), UsageReport(Units(input=3, output=2)), Finish(FinishReason.STOP), END),
        ]


def test_a_character_may_be_cut_at_any_border() -> None:
    """Regression 19."""
    stream = b'data: {"id":"chatcmpl-1","choices":[{"delta":{"content":"\xe4\xb8\xad\xf0\x9f\x98\x80"}}]}\n\n'
    reader = ChatEventReader(Written(b""), VendorOptions())
    events = [found for number in range(len(stream)) for found in reader.receive(stream[number : number + 1])]
    assert events == [START, TextDelta("中😀")]


def test_half_of_a_surrogate_pair_is_a_replacement_character() -> None:
    stream = b'data: {"id":"chatcmpl-1","choices":[{"delta":{"content":"a\\ud83d \\ud83d\\ude00"}}]}\n\n'
    assert read(stream, chunk({}, "stop"))[1] == TextDelta("a\ufffd 😀")


def test_a_last_event_without_its_blank_line_counts_if_it_parses() -> None:
    assert read(chunk({"content": "x"}), chunk({}, "stop")[:-2])[-1] == END
    assert read(chunk({"content": "x"}, "stop"), b"data: [DONE]")[-1] == END
    assert error_of(read(chunk({"content": "x"}), chunk({}, "stop")[:-5])).error.fault.type is ErrorType.UPSTREAM_CUT


def test_messages_instead_of_deltas() -> None:
    def message(text: str, finish: str | None = None) -> bytes:
        choices = [{"index": 0, "message": {"content": text}, "finish_reason": finish}]
        return event({"id": "chatcmpl-1", "choices": choices})

    assert read(message("x"), message("y", "stop"))[1:-2] == [TextDelta("x"), TextDelta("y")]
    # Behind deltas the whole message only repeats them.
    assert read(chunk({"content": "xy"}), message("xy", "stop"))[1:-2] == [TextDelta("xy")]


def test_choices_and_ids_of_odd_types() -> None:
    odd = event({"id": 7, "choices": [{"index": "1", "delta": {"content": "x"}, "finish_reason": "stop"}, 3]})
    assert read(odd) == [MessageStart("7"), TextDelta("x", 1), Finish(FinishReason.STOP, choice=1), END]


def test_choices_without_bounds_cost_no_memory() -> None:
    reader = ChatEventReader(Written(b""), VendorOptions())
    for index in range(-200, 200):
        reader.receive(chunk(choices=[{"index": index, "delta": {"content": "x"}}]))
    assert len(reader._choices) <= 128


# --- No stream at all ------------------------------------------------------------------------------------------------


def test_a_whole_answer_to_a_stream_is_read_as_one() -> None:
    whole = {
        "id": "chatcmpl-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}],
        "usage": usage(),
    }
    source = json.dumps(whole).encode()
    expected = [START, TextDelta("x"), UsageReport(Units(input=3, output=2)), Finish(FinishReason.STOP), END]
    assert read(source) == expected
    assert read(b"\n ", source[:7], source[7:], b"\n") == expected


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"<html>busy</html>", ErrorType.UPSTREAM_INVALID),
        (b'[{"a":1}]', ErrorType.UPSTREAM_INVALID),
        (b"[]", ErrorType.UPSTREAM_INVALID),
        (b'{"choices":[]}', ErrorType.UPSTREAM_INVALID),
        (b'{"choices":', ErrorType.UPSTREAM_INVALID),
        (b'{"error":{"message":"overloaded","type":"overloaded_error"}}', ErrorType.UPSTREAM_OVERLOADED),
        (b'[{"error":{"message":"x","code":429,"status":"RESOURCE_EXHAUSTED"}}]', ErrorType.UPSTREAM_RATE_LIMITED),
        (b"", ErrorType.UPSTREAM_CUT),
        (b"busy, come later", ErrorType.UPSTREAM_CUT),
    ],
)
def test_what_is_no_answer_is_an_error(answer: bytes, kind: ErrorType) -> None:
    events = read(answer)
    assert len(events) == 1
    assert error_of(events).error.fault.type is kind
