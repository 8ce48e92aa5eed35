"""Anthropic's streams as neutral events: the order, arguments, blocks, ends and errors."""

import pytest

from tests.unit.protocol.anthropic.anthropic_frames import (
    BEGUN,
    NOTHING,
    PING,
    PLAIN,
    RICH,
    STOP,
    arguments,
    begin,
    body_of,
    end,
    error_type,
    finish_of,
    frame,
    merged,
    read,
    signature,
    start,
    stop,
    text,
    thought,
)
from trunkline.core import limits
from trunkline.core.errors import ErrorType
from trunkline.core.usage import Units
from trunkline.protocol.anthropic.event_reader import AnthropicEventReader
from trunkline.protocol.dialect import Written
from trunkline.protocol.events import (
    Finish,
    FinishReason,
    MessageEnd,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    StreamError,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from trunkline.protocol.model import Proof
from trunkline.protocol.upstream_error import RetryClass

# --- the regular order -----------------------------------------------------------------------------------------------


def test_a_plain_stream() -> None:
    assert read(*PLAIN) == [
        BEGUN,
        TextDelta("Hel"),
        TextDelta("lo"),
        UsageReport(Units(input=5, output=7)),
        Finish(FinishReason.STOP),
        MessageEnd(),
    ]


def test_every_kind_of_block_in_its_place() -> None:
    assert read(*RICH) == [
        BEGUN,
        ReasoningDelta("hm é"),
        ReasoningEnd(Proof("anthropic", "c2ln")),
        ReasoningEnd(Proof("anthropic", "cmVk"), redacted=True),
        TextDelta("中😀"),
        ToolCallStart(0, "toolu_1", "f"),
        ToolCallDelta(0, '{"a":'),
        ToolCallDelta(0, "12345678901234567890}"),
        ToolCallEnd(0),
        ToolCallStart(1, "toolu_2", "g"),
        ToolCallDelta(1, "{}"),
        ToolCallEnd(1),
        UsageReport(Units(input=5, output=9)),
        Finish(FinishReason.TOOL_CALLS),
        MessageEnd(),
    ]


def test_events_come_as_soon_as_they_are_whole() -> None:
    reader = AnthropicEventReader(NOTHING)
    assert reader.receive(PLAIN[0]) == [BEGUN]
    assert reader.receive(PLAIN[1] + PLAIN[2]) == [TextDelta("Hel")]
    assert reader.receive(PLAIN[3][:-1]) == []
    assert reader.receive(PLAIN[3][-1:]) == [TextDelta("lo")]


def test_nothing_comes_after_the_end() -> None:
    reader = AnthropicEventReader(NOTHING)
    reader.receive(b"".join(PLAIN))
    assert reader.receive(text(0, "more")) == []
    assert reader.finish() == []


def test_an_omitted_thought_is_still_proven() -> None:
    events = read(begin(), start(0, "thinking", thinking="", signature=""), signature(0, "s"), stop(0), end(), STOP)
    assert body_of(events) == [ReasoningEnd(Proof("anthropic", "s"))]


def test_a_thinking_block_without_anything_is_nothing() -> None:
    events = read(begin(), start(0, "thinking", thinking="", signature=""), stop(0), end(), STOP)
    assert body_of(events) == []


def test_blocks_that_are_whole_in_their_start() -> None:
    events = read(
        begin(),
        start(0, "thinking", thinking="so", signature="s"),
        stop(0),
        start(1, "text", text="Hi"),
        stop(1),
        start(2, "tool_use", id="t", name="f", input={"a": 1}),
        stop(2),
        end("tool_use"),
        STOP,
    )
    assert body_of(events) == [
        ReasoningDelta("so"),
        ReasoningEnd(Proof("anthropic", "s")),
        TextDelta("Hi"),
        ToolCallStart(0, "t", "f"),
        ToolCallDelta(0, '{"a":1}'),
        ToolCallEnd(0),
    ]


def test_blocks_of_the_providers_own_tools_are_left_out() -> None:
    events = read(
        begin(),
        start(0, "server_tool_use", id="s", name="web_search", input={}),
        arguments(0, '{"query":"x"}'),
        stop(0),
        start(1, "web_search_tool_result", tool_use_id="s", content=[]),
        stop(1),
        start(2, "text", text="", citations=[]),
        frame("content_block_delta", index=2, delta={"type": "citations_delta", "citation": {"url": "x"}}),
        text(2, "found"),
        stop(2),
        end(),
        STOP,
    )
    assert body_of(events) == [TextDelta("found")]
    assert finish_of(events).reason is FinishReason.STOP


# --- arguments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ([], ["{}"]),
        ([""], ["{}"]),
        (["{}"], ["{}"]),
        (["", "{}"], ["{}"]),
        (["{}", '{"a":1}'], ['{"a":1}']),
        (['{"a', '":1}'], ['{"a', '":1}']),
        (["{", "}"], ["{", "}"]),
    ],
)
def test_an_empty_object_is_said_once_and_only_if_nothing_else_came(pieces: list[str], said: list[str]) -> None:
    events = read(
        begin(),
        start(0, "tool_use", id="t", name="f", input={}),
        *[arguments(0, piece) for piece in pieces],
        stop(0),
        end("tool_use"),
        STOP,
    )
    assert body_of(events) == [
        ToolCallStart(0, "t", "f"),
        *[ToolCallDelta(0, piece) for piece in said],
        ToolCallEnd(0),
    ]


def test_pieces_win_over_the_input_in_the_start() -> None:
    events = read(
        begin(),
        start(0, "tool_use", id="t", name="f", input={"a": 1}),
        arguments(0, '{"a":1}'),
        stop(0),
        end("tool_use"),
        STOP,
    )
    assert body_of(events)[1:2] == [ToolCallDelta(0, '{"a":1}')]
    assert len(body_of(events)) == 3


def test_arguments_as_an_object_are_read_as_their_source() -> None:
    raw = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":'
    raw += b'"input_json_delta","partial_json":{"n": 123456789012345678901234567890}}}\n\n'
    events = read(begin(), start(0, "tool_use", id="t", name="f", input={}), raw, stop(0), end("tool_use"), STOP)
    assert body_of(events)[1] == ToolCallDelta(0, '{"n": 123456789012345678901234567890}')


def test_an_id_is_made_where_there_is_none_and_always_the_same_one() -> None:
    stream = (begin(), start(0, "tool_use", name="f"), stop(0), start(1, "tool_use", name="f"), stop(1), end(), STOP)
    ids = [event.id for event in read(*stream) if isinstance(event, ToolCallStart)]
    assert ids == [event.id for event in read(*stream) if isinstance(event, ToolCallStart)]
    assert len(set(ids)) == 2
    assert all(made.startswith("toolu_") for made in ids)


def test_names_are_told_as_the_client_knows_them() -> None:
    written = Written(b"", names={"a_b_12": "a.b"})
    events = read(begin(), start(0, "tool_use", id="t", name="a_b_12"), stop(0), end("tool_use"), STOP, written=written)
    assert body_of(events)[0] == ToolCallStart(0, "t", "a.b")


def test_a_custom_tools_text_is_unwrapped() -> None:
    written = Written(b"", names={"p_1": "p 1"}, unwrap_field=("p_1",))
    pieces = ['{"in', 'put": "line\\n', '\\u00e9 \\"x\\""}']
    events = read(
        begin(),
        start(0, "tool_use", id="t", name="p_1", input={}),
        *[arguments(0, piece) for piece in pieces],
        stop(0),
        end("tool_use"),
        STOP,
        written=written,
    )
    assert body_of(events) == [
        ToolCallStart(0, "t", "p 1", custom=True),
        ToolCallDelta(0, 'line\né "x"'),
        ToolCallEnd(0),
    ]


@pytest.mark.parametrize(
    ("source", "unwrapped"),
    [('{"input":"cut of', "cut of"), ('{"input":""}', None), ("garbled", "garbled"), ('{"other":1}', '{"other":1}')],
)
def test_a_custom_tools_text_that_was_cut_is_kept(source: str, unwrapped: str | None) -> None:
    written = Written(b"", unwrap_field=("p",))
    events = read(
        begin(), start(0, "tool_use", id="t", name="p"), arguments(0, source), stop(0), end("max_tokens"), STOP,
        written=written,
    )  # fmt: skip
    said = [event.arguments for event in events if isinstance(event, ToolCallDelta)]
    assert said == ([] if unwrapped is None else [unwrapped])


def test_the_schemas_tool_is_the_answers_text_and_no_call() -> None:
    written = Written(b"", unwrap_tool="answer")
    events = read(
        begin(),
        start(0, "tool_use", id="t", name="answer", input={}),
        arguments(0, '{"a"'),
        arguments(0, ":1}"),
        stop(0),
        end("tool_use"),
        STOP,
        written=written,
    )
    assert body_of(events) == [TextDelta('{"a"'), TextDelta(":1}")]
    assert finish_of(events) == Finish(FinishReason.STOP)


def test_the_schemas_tool_beside_a_clients_tool() -> None:
    written = Written(b"", unwrap_tool="answer")
    events = read(
        begin(),
        start(0, "tool_use", id="t", name="answer", input={"a": 1}),
        stop(0),
        start(1, "tool_use", id="u", name="f", input={}),
        stop(1),
        end("tool_use"),
        STOP,
        written=written,
    )
    assert body_of(events) == [
        TextDelta('{"a":1}'),
        ToolCallStart(0, "u", "f"),
        ToolCallDelta(0, "{}"),
        ToolCallEnd(0),
    ]
    assert finish_of(events).reason is FinishReason.TOOL_CALLS


# --- blocks out of order ---------------------------------------------------------------------------------------------


def test_blocks_that_are_never_closed() -> None:
    events = read(
        begin(),
        start(0, "thinking", thinking=""),
        thought(0, "hm"),
        start(1, "text", text=""),
        text(1, "Hi"),
        start(2, "tool_use", id="t", name="f", input={}),
        arguments(2, "{}"),
        start(3, "tool_use", id="u", name="g", input={}),
        arguments(3, '{"a":1}'),
        end("tool_use"),
        STOP,
    )
    assert body_of(events) == [
        ReasoningDelta("hm"),
        ReasoningEnd(),
        TextDelta("Hi"),
        ToolCallStart(0, "t", "f"),
        ToolCallDelta(0, "{}"),
        ToolCallEnd(0),
        ToolCallStart(1, "u", "g"),
        ToolCallDelta(1, '{"a":1}'),
        ToolCallEnd(1),
    ]


def test_calls_that_interleave_are_put_one_after_another() -> None:
    events = read(
        begin(),
        start(0, "tool_use", id="t", name="f", input={}),
        start(1, "tool_use", id="u", name="g", input={}),
        arguments(1, '{"b"'),
        arguments(0, '{"a"'),
        start(2, "text", text=""),
        arguments(1, ":2}"),
        text(2, "and"),
        stop(1),
        arguments(0, ":1}"),
        stop(0),
        text(2, " so"),
        stop(2),
        end("tool_use"),
        STOP,
    )
    assert merged(body_of(events)) == [
        ToolCallStart(0, "t", "f"),
        ToolCallDelta(0, '{"a":1}'),
        ToolCallEnd(0),
        ToolCallStart(1, "u", "g"),
        ToolCallDelta(1, '{"b":2}'),
        ToolCallEnd(1),
        TextDelta("and so"),
    ]


def test_a_piece_for_a_call_that_is_over_is_put_into_no_other() -> None:
    events = read(
        begin(),
        start(0, "tool_use", id="t", name="f", input={}),
        arguments(0, "{}"),
        stop(0),
        start(1, "tool_use", id="u", name="g", input={}),
        arguments(0, '{"a":1}'),
        stop(1),
        end("tool_use"),
        STOP,
    )
    assert error_type(events) is ErrorType.UPSTREAM_INVALID


def test_what_waits_for_a_call_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UPSTREAM_EVENT_BYTES_MAX", 1000)
    waiting = [text(1, "x" * 300) for _ in range(4)]
    events = read(begin(), start(0, "tool_use", id="t", name="f"), start(1, "text", text=""), *waiting, end(), STOP)
    assert error_type(events) is ErrorType.UPSTREAM_INVALID


def test_text_without_a_start_and_without_an_index() -> None:
    bare = frame("content_block_delta", delta={"type": "text_delta", "text": "Hi"})
    assert body_of(read(begin(), bare, bare, end(), STOP)) == [TextDelta("Hi"), TextDelta("Hi")]


def test_thinking_and_text_under_one_index() -> None:
    events = read(begin(), start(0, "text", text=""), thought(0, "hm"), text(0, "Hi"), stop(0), end(), STOP)
    assert body_of(events) == [ReasoningDelta("hm"), ReasoningEnd(), TextDelta("Hi")]


def test_a_second_beginning_is_ignored_and_its_usage_is_not() -> None:
    events = read(begin(), begin(usage={"input_tokens": 8}, message_id="other"), *PLAIN[1:])
    assert events[0] == BEGUN
    assert UsageReport(Units(input=8, output=7)) in events


def test_no_beginning_at_all() -> None:
    events = read(*PLAIN[1:])
    assert events[0] == MessageStart()
    assert body_of(events) == [TextDelta("Hel"), TextDelta("lo")]


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


def test_a_declared_end_needs_no_reason() -> None:
    assert finish_of(read(*PLAIN[:5], STOP)).reason is FinishReason.OTHER


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
