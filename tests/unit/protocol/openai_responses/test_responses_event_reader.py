"""A Responses upstream's answer as neutral events: in streams of all kinds, and whole."""

import json

import pytest

from tests.support.responses_stream import (
    CALLED,
    CREATED,
    IN_PROGRESS,
    PLAIN,
    START,
    STOP,
    USAGE,
    added,
    arguments,
    done,
    end,
    event,
    function,
    message,
    read,
    text,
    thought,
)
from trunkline.core.usage import Units
from trunkline.protocol.dialect import Written
from trunkline.protocol.events import (
    ImageOutput,
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
from trunkline.protocol.openai_responses.event_reader import ResponsesEventReader
from trunkline.protocol.vendor import DEFAULTS

# --- text --------------------------------------------------------------------------------------------------------


def test_a_plain_answer() -> None:
    stream = (
        CREATED,
        IN_PROGRESS,
        added(0, "i0", type="message", content=[]),
        event("response.content_part.added", content_index=0, part={"type": "output_text", "text": ""}),
        text("Hel"),
        text("lo"),
        event("response.output_text.done", content_index=0, text="Hello"),
        event("response.content_part.done", content_index=0, part={"type": "output_text", "text": "Hello"}),
        event("response.output_item.done", 0, None, item=message("Hello")),
        end(message("Hello"), usage=USAGE),
    )
    expected = [START, TextDelta("Hel"), TextDelta("lo"), UsageReport(Units(input=3, output=2)), *STOP]
    assert read(*stream) == expected


def test_events_come_as_soon_as_they_are_whole() -> None:
    reader = ResponsesEventReader(PLAIN, DEFAULTS)
    assert reader.receive(CREATED) == [START]
    assert reader.receive(text("a")[:20]) == []
    assert reader.receive(text("a")[20:]) == [TextDelta("a")]
    assert reader.receive(end()) == [*STOP]
    assert reader.finish() == []


def test_several_parts_and_a_refusal() -> None:
    stream = (
        CREATED,
        text("a"),
        text("b", part=1),
        event("response.refusal.delta", content_index=2, delta="no"),
        event("response.refusal.done", content_index=2, refusal="no"),
        end(),
    )
    assert read(*stream) == [START, TextDelta("a"), TextDelta("b"), RefusalDelta("no"), *STOP]


@pytest.mark.parametrize(
    "stream",
    [
        (event("response.output_text.done", content_index=0, text="Hello"), end()),
        (event("response.output_item.done", 0, None, item=message("Hello")), end()),
        (end(message("Hello")),),
        (
            event("response.output_text.done", content_index=0, text="Hello"),
            event("response.output_item.done", 0, None, item=message("Hello")),
            end(message("Hello")),
        ),
    ],
)
def test_text_without_deltas_comes_once(stream: tuple[bytes, ...]) -> None:
    assert read(CREATED, *stream) == [START, TextDelta("Hello"), *STOP]


def test_pieces_of_an_item_that_is_over_are_not_told_of_again() -> None:
    stream = (
        event("response.output_item.done", 0, None, item=message("Hello")),
        text("Hello"),
        event("response.refusal.delta", content_index=1, delta="no"),
        done(1, "i1", type="reasoning", summary=[]),
        thought("a", 1, "i1"),
        done(2, "i2", **function("c1", "{}")),
        arguments("{}", 2, "i2"),
        end(),
    )
    assert read(CREATED, *stream) == [
        START,
        TextDelta("Hello"),
        ToolCallStart(0, "c1", "f"),
        ToolCallDelta(0, "{}"),
        ToolCallEnd(0),
        *CALLED,
    ]


def test_ids_that_change_on_the_way_double_nothing() -> None:
    stream = (
        added(0, "a", type="message", content=[]),
        text("Hello", item_id="b"),
        event("response.output_item.done", 0, None, item={**message("Hello"), "id": "c"}),
        end({**message("Hello"), "id": "d"}),
    )
    assert read(CREATED, *stream) == [START, TextDelta("Hello"), *STOP]


def test_a_vendor_without_ids_and_indices() -> None:
    stream = (
        event("response.output_text.delta", None, None, delta="a"),
        event("response.output_text.delta", None, None, delta="b"),
        end(),
    )
    assert read(*stream) == [MessageStart(), TextDelta("a"), TextDelta("b"), *STOP]


def test_the_name_of_an_event_stands_in_for_its_type() -> None:
    assert read(b'event: response.output_text.delta\r\ndata:{"delta":"a"}\r\n\r\n', end()) == [
        MessageStart(),
        TextDelta("a"),
        *STOP,
    ]


def test_unknown_events_and_bent_members_are_passed_over() -> None:
    stream = (
        CREATED,
        b": ping\n\n",
        b"data:\n\n",
        b"data: null\n\n",
        b"data: 5\n\n",
        event("response.news", delta="x"),
        event("response.output_text.delta", delta=None),
        event("response.output_item.added", item=None),
        event("response.output_text.delta", index=0, item_id=None, delta="a", content_index="odd"),
        end(),
    )
    assert read(*stream) == [START, TextDelta("a"), *STOP]


def test_a_heartbeat_does_not_begin_the_answer() -> None:
    beat = b'event: keepalive\ndata: {"type":"keepalive","sequence_number":0}\n\n'
    assert read(beat, CREATED, beat, end()) == [START, *STOP]


def test_text_in_chinese_and_emoji_is_not_cut_at_chunk_borders() -> None:
    stream = CREATED + json.dumps(
        {"type": "response.output_text.delta", "delta": "中文😀"}, ensure_ascii=False
    ).encode().join((b"data: ", b"\n\n"))
    stream += end()
    assert read(*[stream[i : i + 1] for i in range(len(stream))]) == [START, TextDelta("中文😀"), *STOP]


# --- reasoning ---------------------------------------------------------------------------------------------------


def test_a_summary_with_its_proof_from_the_items_end() -> None:
    stream = (
        added(0, "i0", type="reasoning", summary=[], encrypted_content="begun"),
        event("response.reasoning_summary_part.added", summary_index=0),
        thought("a"),
        thought("b"),
        thought("c", part=1),
        event("response.reasoning_summary_text.done", summary_index=1, text="c"),
        done(0, "i0", type="reasoning", summary=[{"type": "summary_text", "text": "ab"}], encrypted_content="whole"),
        text("x", 1, "i1"),
        end(),
    )
    assert read(CREATED, *stream) == [
        START,
        ReasoningDelta("a"),
        ReasoningDelta("b"),
        ReasoningDelta("\n\nc"),
        ReasoningEnd(Proof("openai-responses", "whole")),
        TextDelta("x"),
        *STOP,
    ]


def test_reasoning_that_shows_nothing_is_its_proof() -> None:
    stream = (
        added(0, "i0", type="reasoning", summary=[]),
        done(0, "i0", type="reasoning", summary=[], encrypted_content="whole"),
        added(1, "i1", type="reasoning", summary=[]),
        done(1, "i1", type="reasoning", summary=[]),
        end(),
    )
    assert read(CREATED, *stream) == [START, ReasoningEnd(Proof("openai-responses", "whole"), redacted=True), *STOP]


def test_raw_reasoning() -> None:
    stream = (
        event("response.reasoning_text.delta", content_index=0, delta="a"),
        event("response.reasoning_text.done", content_index=0, text="a"),
        done(0, "i0", type="reasoning", summary=[], content=[{"type": "reasoning_text", "text": "a"}]),
        end(),
    )
    assert read(CREATED, *stream) == [START, ReasoningDelta("a"), ReasoningEnd(), *STOP]


def test_reasoning_that_is_never_ended_ends_with_what_follows_and_a_late_proof_is_a_block_of_its_own() -> None:
    stream = (
        thought("a"),
        text("x", 1, "i1"),
        done(0, "i0", type="reasoning", summary=[{"type": "summary_text", "text": "a"}], encrypted_content="whole"),
        text("y", 1, "i1"),
        end(),
    )
    assert read(CREATED, *stream) == [
        START,
        ReasoningDelta("a"),
        ReasoningEnd(),
        TextDelta("x"),
        ReasoningEnd(Proof("openai-responses", "whole"), redacted=True),
        TextDelta("y"),
        *STOP,
    ]
    assert read(CREATED, thought("a"), end()) == [START, ReasoningDelta("a"), ReasoningEnd(), *STOP]


# --- calls -------------------------------------------------------------------------------------------------------


def test_a_call_in_pieces() -> None:
    stream = (
        added(0, "fc_1", **function("c1")),
        arguments('{"n":', item_id="fc_1"),
        arguments("1.50}", item_id="fc_1"),
        event("response.function_call_arguments.done", 0, "fc_1", arguments='{"n":1.50}'),
        done(0, "fc_1", **function("c1", '{"n":1.50}')),
        end(),
    )
    assert read(CREATED, *stream) == [
        START,
        ToolCallStart(0, "c1", "f"),
        ToolCallDelta(0, '{"n":'),
        ToolCallDelta(0, "1.50}"),
        ToolCallEnd(0),
        *CALLED,
    ]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("", "{}"),
        (None, "{}"),
        ("{}", "{}"),
        ('{"n":12345678901234567890123.50}', '{"n":12345678901234567890123.50}'),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_a_call_without_deltas_has_its_arguments_exactly_once(given: object, told: str) -> None:
    stream = (added(0, "fc_1", **function("c1", "{}")), done(0, "fc_1", **function("c1", given)), end())
    expected = [START, ToolCallStart(0, "c1", "f"), ToolCallDelta(0, told), ToolCallEnd(0), *CALLED]
    assert read(CREATED, *stream) == expected


def test_a_call_that_is_never_ended_ends_with_the_answer() -> None:
    started = (added(0, "fc_1", **function("c1")), arguments('{"n":1}', item_id="fc_1"))
    expected = [START, ToolCallStart(0, "c1", "f"), ToolCallDelta(0, '{"n":1}'), ToolCallEnd(0), *CALLED]
    assert read(CREATED, *started, end()) == expected
    assert read(CREATED, *started, end({"id": "fc_1", **function("c1", '{"n":1}')})) == expected


def test_a_call_is_told_of_once_its_name_is_known() -> None:
    stream = (
        arguments('{"n":', item_id="fc_1"),
        arguments("1}", item_id="fc_1"),
        event("response.function_call_arguments.done", 0, "fc_1", arguments='{"n":1}'),
        done(0, "fc_1", **function("c1", '{"n":1}')),
        end(),
    )
    expected = [START, ToolCallStart(0, "c1", "f"), ToolCallDelta(0, '{"n":1}'), ToolCallEnd(0), *CALLED]
    assert read(CREATED, *stream) == expected


def test_interleaved_calls_are_put_one_after_another_and_numbered_in_that_order() -> None:
    stream = (
        added(0, "a", **function("c1", name="f")),
        added(1, "b", **function("c2", name="g")),
        arguments('{"a"', 0, "a"),
        arguments('{"b"', 1, "b"),
        text("x", 2, "m"),
        arguments(":1}", 0, "a"),
        arguments(":2}", 1, "b"),
        done(1, "b", **function("c2", name="g")),
        done(0, "a", **function("c1", name="f")),
        text("y", 2, "m"),
        end(),
    )
    assert read(CREATED, *stream) == [
        START,
        ToolCallStart(0, "c1", "f"),
        ToolCallDelta(0, '{"a"'),
        ToolCallDelta(0, ":1}"),
        ToolCallEnd(0),
        ToolCallStart(1, "c2", "g"),
        ToolCallDelta(1, '{"b"'),
        ToolCallDelta(1, ":2}"),
        ToolCallEnd(1),
        TextDelta("x"),
        TextDelta("y"),
        *CALLED,
    ]


def test_calls_that_all_have_one_place_are_told_apart_by_their_ids() -> None:
    stream = (
        added(0, "a", **function("c1")),
        arguments('{"a":1}', 0, "a"),
        added(0, "b", **function("c2")),
        arguments('{"b":2}', 0, "b"),
        done(0, "a", **function("c1")),
        done(0, "b", **function("c2")),
        end(),
    )
    assert read(CREATED, *stream) == [
        START,
        ToolCallStart(0, "c1", "f"),
        ToolCallDelta(0, '{"a":1}'),
        ToolCallEnd(0),
        ToolCallStart(1, "c2", "f"),
        ToolCallDelta(1, '{"b":2}'),
        ToolCallEnd(1),
        *CALLED,
    ]


def test_names_are_mapped_back() -> None:
    written = Written(b"", names={"a_b_1": "a.b"})
    stream = (added(0, "fc_1", **function("c1", name="a_b_1")), done(0, "fc_1", **function("c1", name="a_b_1")), end())
    assert read(CREATED, *stream, written=written)[1] == ToolCallStart(0, "c1", "a.b")


def test_a_call_without_a_call_id_takes_its_items_id() -> None:
    item = {"type": "function_call", "name": "f", "arguments": "{}"}
    assert read(CREATED, done(0, "fc_1", **item), end())[1] == ToolCallStart(0, "fc_1", "f")


def test_custom_tools() -> None:
    call = {"type": "custom_tool_call", "call_id": "c1", "name": "run"}
    stream = (
        added(0, "ctc_1", **call, input=""),
        event("response.custom_tool_call_input.delta", 0, "ctc_1", delta="l"),
        event("response.custom_tool_call_input.delta", 0, "ctc_1", delta="s"),
        event("response.custom_tool_call_input.done", 0, "ctc_1", input="ls"),
        done(0, "ctc_1", **call, input="ls"),
        done(1, "ctc_2", **{**call, "call_id": "c2"}, input=""),
        end(),
    )
    assert read(CREATED, *stream) == [
        START,
        ToolCallStart(0, "c1", "run", custom=True),
        ToolCallDelta(0, "l"),
        ToolCallDelta(0, "s"),
        ToolCallEnd(0),
        ToolCallStart(1, "c2", "run", custom=True),
        ToolCallEnd(1),
        *CALLED,
    ]


def test_a_picture_comes_with_its_items_end() -> None:
    picture = {"type": "image_generation_call", "result": "QUJD", "output_format": "webp"}
    stream = (added(0, "ig_1", type="image_generation_call"), done(0, "ig_1", **picture), end())
    assert read(CREATED, *stream) == [START, ImageOutput("QUJD", "image/webp"), *STOP]
