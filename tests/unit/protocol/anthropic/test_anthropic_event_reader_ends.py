"""Anthropic's streams as neutral events: ends and errors."""

import pytest

from tests.unit.protocol.anthropic.anthropic_frames import (
    NOTHING,
    PING,
    PLAIN,
    STOP,
    begin,
    end,
    error_type,
    finish_of,
    frame,
    read,
    start,
    stop,
)
from trunkline.core import limits
from trunkline.core.errors import ErrorType
from trunkline.protocol.anthropic.event_reader import AnthropicEventReader
from trunkline.protocol.events import (
    Finish,
    FinishReason,
    StreamError,
    UsageReport,
)
from trunkline.protocol.upstream_error import RetryClass

# --- ends ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("end_turn", FinishReason.STOP),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.CONTEXT_FULL),
        ("tool_use", FinishReason.STOP),
        ("refusal", FinishReason.FILTER),
        ("pause_turn", FinishReason.PAUSED),
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("sensitive", FinishReason.FILTER),
        ("something_new", FinishReason.OTHER),
    ],
)
def test_stop_reasons_without_calls(said: str, reason: FinishReason) -> None:
    assert finish_of(read(*PLAIN[:5], end(said), STOP)) == Finish(reason)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("end_turn", FinishReason.TOOL_CALLS),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("stop_sequence", FinishReason.TOOL_CALLS),
        ("something_new", FinishReason.TOOL_CALLS),
        ("max_tokens", FinishReason.LENGTH),
        ("refusal", FinishReason.FILTER),
    ],
)
def test_calls_decide_unless_length_or_filter_was_said(said: str, reason: FinishReason) -> None:
    call = (start(0, "tool_use", id="t", name="f", input={}), stop(0))
    assert finish_of(read(begin(), *call, end(said), STOP)).reason is reason


def test_a_stop_sequence_is_named() -> None:
    events = read(*PLAIN[:5], end("stop_sequence", stop_sequence="END"), STOP)
    assert finish_of(events) == Finish(FinishReason.STOP_SEQUENCE, "END")


@pytest.mark.parametrize(
    ("details", "message"),
    [({"type": "refusal", "category": "bio", "explanation": "No."}, "No."), ({"category": "cyber"}, "cyber")],
)
def test_a_refusal_says_why(details: object, message: str) -> None:
    events = read(begin(), end("refusal", stop_details=details), STOP)
    assert finish_of(events) == Finish(FinishReason.FILTER, None, message)


def test_a_missing_end_behind_a_stop_reason_is_forgiven() -> None:
    assert read(*PLAIN[:-1]) == read(*PLAIN)


def test_a_last_event_without_its_blank_line_counts() -> None:
    assert read(*PLAIN[:-1], STOP[:-2]) == read(*PLAIN)
    assert read(*PLAIN[:-2], PLAIN[-2][:-1]) == read(*PLAIN)


def test_a_last_event_that_is_cut_is_nothing() -> None:
    assert read(*PLAIN[:-1], STOP[:-5]) == read(*PLAIN)


def test_two_ends_are_one() -> None:
    events = read(*PLAIN[:5], end(None, {"output_tokens": 3}), end("max_tokens", {"output_tokens": 9}), STOP)
    assert finish_of(events).reason is FinishReason.LENGTH
    assert [event.units.output for event in events if isinstance(event, UsageReport)] == [3, 9]


def test_a_declared_end_without_a_reason_is_a_cut_unless_the_channel_is_known_for_it() -> None:
    for stream in ((*PLAIN[:5], STOP), (*PLAIN[:5], end(None), STOP)):
        assert error_type(read(*stream)) is ErrorType.UPSTREAM_CUT
        assert finish_of(read(*stream, lenient=True)).reason is FinishReason.OTHER
    assert error_type(read(*PLAIN[:5], lenient=True)) is ErrorType.UPSTREAM_CUT


@pytest.mark.parametrize("length", range(1, 6))
def test_a_stream_that_is_cut_is_an_error_and_no_end(length: int) -> None:
    events = read(*PLAIN[:length])
    assert error_type(events) is ErrorType.UPSTREAM_CUT
    assert not any(isinstance(event, Finish) for event in events)


def test_nothing_at_all_is_cut() -> None:
    assert error_type(read()) is ErrorType.UPSTREAM_CUT
    assert error_type(read(b": keep-alive\n\n", PING)) is ErrorType.UPSTREAM_CUT


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "kind", "cls"),
    [
        (
            frame("error", error={"type": "overloaded_error", "message": "Overloaded"}),
            ErrorType.UPSTREAM_OVERLOADED,
            RetryClass.OTHER_CHANNEL,
        ),
        (
            frame("error", error={"type": "rate_limit_error", "message": "slow down"}),
            ErrorType.UPSTREAM_RATE_LIMITED,
            RetryClass.OTHER_CREDENTIAL,
        ),
        (
            frame("error", error={"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"}),
            ErrorType.UPSTREAM_BAD_REQUEST,
            RetryClass.NEVER,
        ),
        (b'data: {"error":{"type":"api_error","message":"x"}}\n\n', ErrorType.UPSTREAM_ERROR, RetryClass.OTHER_CHANNEL),
        (b'event: error\ndata: {"message":"x"}\n\n', ErrorType.UPSTREAM_ERROR, RetryClass.OTHER_CHANNEL),
    ],
)
def test_an_error_event_ends_it(event: bytes, kind: ErrorType, cls: RetryClass) -> None:
    for before in ((), PLAIN[:3]):
        events = read(*before, event, *PLAIN[3:])
        assert error_type(events) is kind
        last = events[-1]
        assert isinstance(last, StreamError)
        assert last.error.cls is cls


@pytest.mark.parametrize("reason", ["error", "abort", "network_error"])
def test_a_stop_reason_that_means_failure_is_an_error(reason: str) -> None:
    assert error_type(read(*PLAIN[:5], end(reason), STOP)) is ErrorType.UPSTREAM_ERROR


@pytest.mark.parametrize(
    "broken", [b"data: {\n\n", b"data: \xff\n\n", b"data: nonsense\n\n", b'data: {"a":"\xff"}\n\n']
)
def test_a_broken_event_is_an_error(broken: bytes) -> None:
    assert error_type(read(*PLAIN[:3], broken, *PLAIN[3:])) is ErrorType.UPSTREAM_INVALID


def test_an_event_that_is_too_large_is_an_error() -> None:
    reader = AnthropicEventReader(NOTHING)
    reader.receive(PLAIN[0])
    chunk = b"x" * (limits.UPSTREAM_EVENT_BYTES_MAX // 2 + 1)
    events = reader.receive(b"data: " + chunk) + reader.receive(chunk) + reader.finish()
    assert error_type(events) is ErrorType.UPSTREAM_INVALID
    assert len(events) == 1


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>busy</html>", ErrorType.UPSTREAM_INVALID),
        (b'\n {"type":"error","error":{"type":"overloaded_error","message":"x"}}', ErrorType.UPSTREAM_OVERLOADED),
        (b'{"error":{"message":"quota","type":"insufficient_quota"}}', ErrorType.UPSTREAM_CREDENTIAL),
        (b"[1]", ErrorType.UPSTREAM_INVALID),
        (b"{", ErrorType.UPSTREAM_INVALID),
    ],
)
def test_a_body_that_is_no_stream(body: bytes, kind: ErrorType) -> None:
    assert error_type(read(body[:3], body[3:])) is kind
