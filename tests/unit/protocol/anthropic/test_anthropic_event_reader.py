"""Anthropic's streams as neutral events: the order, arguments, blocks."""

import pytest

from tests.unit.protocol.anthropic.anthropic_frames import (
    BEGUN,
    NOTHING,
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
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from trunkline.protocol.model import Proof

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
