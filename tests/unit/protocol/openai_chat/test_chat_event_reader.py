"""A chat provider's stream as neutral events: texts, reasoning, calls (DIALECTS sections 3.2 and 3.4)."""

import pytest

from tests.unit.protocol.openai_chat.chat_chunks import (
    DONE,
    END,
    ROLE,
    START,
    body,
    call,
    calls,
    chunk,
    error_of,
    read,
    usage,
)
from trunkline.core.errors import ErrorType
from trunkline.core.usage import Units
from trunkline.protocol.dialect import Written
from trunkline.protocol.events import (
    Event,
    Finish,
    FinishReason,
    ImageOutput,
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
from trunkline.protocol.names import OPENAI_CHAT
from trunkline.protocol.openai_chat import call_queue, choice_reader
from trunkline.protocol.openai_chat.event_reader import ChatEventReader
from trunkline.protocol.vendor import VendorOptions

# --- Text, reasoning, usage ------------------------------------------------------------------------------------------


def test_a_plain_answer() -> None:
    stream = (
        chunk(ROLE),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({}, "stop"),
        chunk(choices=[], usage=usage()),
        DONE,
    )
    assert read(*stream) == [
        START,
        TextDelta("Hel"),
        TextDelta("lo"),
        UsageReport(Units(input=3, output=2)),
        Finish(FinishReason.STOP),
        END,
    ]


def test_text_comes_as_soon_as_its_event_is_whole() -> None:
    reader = ChatEventReader(Written(b""), VendorOptions())
    assert reader.receive(chunk({"content": "x"})[:-1]) == []
    assert reader.receive(b"\n") == [START, TextDelta("x")]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_ends_before_the_text_begins(field: str) -> None:
    """Regressions 1, 2 and 31."""
    assert body(chunk({field: "hm"}), chunk({field: " so"}), chunk({"content": "x", field: ""})) == [
        ReasoningDelta("hm"),
        ReasoningDelta(" so"),
        ReasoningEnd(),
        TextDelta("x"),
    ]


def test_the_same_reasoning_under_two_names_is_read_once() -> None:
    assert body(chunk({"reasoning_content": "hm", "reasoning": "hm"})) == [ReasoningDelta("hm"), ReasoningEnd()]


def test_reasoning_after_text_is_another_block() -> None:
    deltas = [{"reasoning": "a"}, {"content": "x"}, {"reasoning": "b"}, {"content": "y"}]
    assert body(*map(chunk, deltas)) == [
        ReasoningDelta("a"),
        ReasoningEnd(),
        TextDelta("x"),
        ReasoningDelta("b"),
        ReasoningEnd(),
        TextDelta("y"),
    ]


def test_reasoning_stands_where_the_channel_says() -> None:
    assert body(chunk({"thoughts": "hm"}), chunk({"content": "x"}), reasoning_field="thoughts") == [
        ReasoningDelta("hm"),
        ReasoningEnd(),
        TextDelta("x"),
    ]
    assert body(chunk({"thoughts": "hm", "content": "x"})) == [TextDelta("x")]


def test_a_content_list_of_thoughts_and_texts() -> None:
    thinking = {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}
    text = {"content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]}
    assert body(chunk(thinking), chunk(text)) == [ReasoningDelta("hm"), ReasoningEnd(), TextDelta("xy")]


def test_a_refusal_is_told_from_text() -> None:
    assert body(chunk({"refusal": "No."})) == [RefusalDelta("No.")]


def test_several_choices_interleave() -> None:
    both = [{"index": 1, "delta": {"content": "b"}}, {"index": 0, "delta": {"reasoning": "a"}}]
    ends = [{"index": 1, "delta": {}, "finish_reason": "length"}, {"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert read(chunk(choices=both), chunk(choices=ends)) == [
        START,
        TextDelta("b", 1),
        ReasoningDelta("a", 0),
        ReasoningEnd(choice=0),
        Finish(FinishReason.STOP, choice=0),
        Finish(FinishReason.LENGTH, choice=1),
        END,
    ]


@pytest.mark.parametrize(
    ("finishing", "after"),
    [
        (chunk({}, "stop"), chunk(choices=[], usage=usage())),
        (chunk({}, "stop", usage=usage()), b""),
        (chunk({}, "stop", x_groq={"id": "r", "usage": usage()}), b""),
        (chunk({}, "stop"), chunk({}, None, usage=usage())),
        (chunk({}, "stop", usage=None), chunk(choices=None, usage=usage())),
    ],
)
def test_usage_is_read_wherever_it_stands(finishing: bytes, after: bytes) -> None:
    events = read(chunk({"content": "x"}), finishing, after, DONE)
    assert UsageReport(Units(input=3, output=2)) in events


def test_cumulative_usage_is_reported_as_it_comes_so_that_the_last_one_counts() -> None:
    events = body(chunk({"content": "x"}, usage=usage(3, 1)), chunk({"content": "y"}, usage=usage(3, 2)))
    assert [found for found in events if isinstance(found, UsageReport)] == [
        UsageReport(Units(input=3, output=1)),
        UsageReport(Units(input=3, output=2)),
    ]


@pytest.mark.parametrize("report", [usage(0, 0), {"prompt_tokens": "3", "completion_tokens": 2}, {}, 5, []])
def test_an_unusable_report_is_none(report: object) -> None:
    assert body(chunk({"content": "x"}, usage=report)) == [TextDelta("x")]


def test_images_come_as_base64() -> None:
    images = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO Rw=="}}]
    assert body(chunk({"images": images, "content": ""})) == [ImageOutput("iVBORw==", "image/png")]


def test_an_image_by_reference_becomes_a_link() -> None:
    assert body(chunk({"images": [{"image_url": {"url": "https://x/y.png"}}, {"image_url": 3}, 4]})) == [
        TextDelta("![image](https://x/y.png)")
    ]


# --- Tags ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_tags_are_taken_apart_across_any_border(size: int) -> None:
    text = "\n<think>hm <b>so</b></think>\n\nyes <think>no</think>"
    pieces = [chunk({"content": text[start : start + size]}) for start in range(0, len(text), size)]
    events = body(*pieces, think_tags=True)
    thought = "".join(found.text for found in events if isinstance(found, ReasoningDelta))
    said = "".join(found.text for found in events if isinstance(found, TextDelta))
    assert (thought, said) == ("hm <b>so</b>", "yes <think>no</think>")
    assert events.count(ReasoningEnd()) == 1


def test_tags_are_text_where_the_channel_does_not_say_otherwise() -> None:
    assert body(chunk({"content": "<think>a</think>b"})) == [TextDelta("<think>a</think>b")]


@pytest.mark.parametrize(("text", "expected"), [("<thi", [TextDelta("<thi")]), (" ", [TextDelta(" ")])])
def test_what_waits_for_a_tag_comes_at_the_end(text: str, expected: list[Event]) -> None:
    assert body(chunk({"content": text}), think_tags=True) == expected


def test_an_open_tag_makes_all_of_it_reasoning() -> None:
    assert body(chunk({"content": "<think>hm</th"}), think_tags=True) == [
        ReasoningDelta("hm"),
        ReasoningDelta("</th"),
        ReasoningEnd(),
    ]


# --- Proofs ----------------------------------------------------------------------------------------------------------


def test_reasoning_details_become_the_proof_as_they_were() -> None:
    def details(**item: object) -> bytes:
        return chunk({"reasoning": item.get("text"), "reasoning_details": [{"type": "reasoning.text", **item}]})

    events = body(
        details(text="hm", index=0, format="f"),
        details(text=" so", index=0),
        details(signature="sig", index=0),
        chunk({"reasoning_details": [{"type": "reasoning.encrypted", "data": "enc", "index": 1, "id": None}]}),
        chunk({"content": "x"}),
    )
    proof = (
        '[{"type":"reasoning.text","text":"hm so","index":0,"format":"f","signature":"sig"},'
        '{"type":"reasoning.encrypted","data":"enc","index":1,"id":null}]'
    )
    assert events == [
        ReasoningDelta("hm"),
        ReasoningDelta(" so"),
        ReasoningEnd(Proof(OPENAI_CHAT, proof)),
        TextDelta("x"),
    ]


def test_words_that_stand_only_in_the_details_are_read() -> None:
    items = [{"type": "reasoning.summary", "summary": "hm"}]
    assert body(chunk({"reasoning_details": items})) == [ReasoningDelta("hm"), ReasoningEnd()]


def test_a_proof_without_words_is_redacted() -> None:
    items = [{"type": "reasoning.encrypted", "data": "enc"}]
    proof = Proof(OPENAI_CHAT, '[{"type":"reasoning.encrypted","data":"enc"}]')
    assert body(chunk({"content": "x"}), chunk({"reasoning_details": items})) == [
        TextDelta("x"),
        ReasoningEnd(proof, redacted=True),
    ]


def test_a_signature_on_a_call_is_its_proof() -> None:
    piece = call(0, "{}", id="a", name="f", extra_content={"google": {"thought_signature": "sig"}})
    assert body(calls(piece))[0] == ToolCallStart(0, "a", "f", proof=Proof(OPENAI_CHAT, "sig"))


# --- Calls -----------------------------------------------------------------------------------------------------------


def one_call(arguments: str, number: int = 0, identity: str = "a", name: str = "f") -> list[Event]:
    return [
        ToolCallStart(number, identity, name),
        ToolCallDelta(number, arguments),
        ToolCallEnd(number),
    ]


def test_a_call_in_pieces() -> None:
    stream = (
        calls({"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}),
        calls(call(0, '{"a"')),
        calls(call(0, ":1}")),
    )
    assert body(*stream) == [
        ToolCallStart(0, "a", "f"),
        ToolCallDelta(0, '{"a"'),
        ToolCallDelta(0, ":1}"),
        ToolCallEnd(0),
    ]


def test_parallel_calls_in_order_are_passed_on_as_they_come() -> None:
    reader = ChatEventReader(Written(b""), VendorOptions())
    reader.receive(calls(call(0, "", id="a", name="f")) + calls(call(0, '{"a":1}')))
    assert reader.receive(calls(call(1, "", id="b", name="g"))) == [ToolCallEnd(0), ToolCallStart(1, "b", "g")]
    assert reader.receive(calls(call(1, "{"))) == [ToolCallDelta(1, "{")]


def test_interleaved_calls_are_put_one_after_another() -> None:
    stream = (
        calls(call(0, "", id="a", name="f"), call(1, "", id="b", name="g")),
        calls(call(1, '{"b"')),
        calls(call(0, '{"a"')),
        chunk({"content": "meanwhile"}),
        calls(call(1, ":2}"), call(0, ":1}")),
    )
    assert body(*stream) == [
        ToolCallStart(0, "a", "f"),
        ToolCallDelta(0, '{"a"'),
        ToolCallDelta(0, ":1}"),
        ToolCallEnd(0),
        ToolCallStart(1, "b", "g"),
        ToolCallDelta(1, '{"b"'),
        ToolCallDelta(1, ":2}"),
        ToolCallEnd(1),
        TextDelta("meanwhile"),
    ]


@pytest.mark.parametrize(
    "pieces",
    [
        # Every call with index 0, told apart by ids.
        [call(0, "", id="a", name="f"), call(0, '{"a":1}'), call(0, "", id="b", name="g"), call(0, '{"b":2}')],
        # Indices from 1, and one that is skipped.
        [call(1, '{"a":1}', id="a", name="f"), call(3, '{"b":2}', id="b", name="g")],
        # No index at all: a new id is a new call.
        [call(None, "", id="a", name="f"), call(None, '{"a":1}'), call(None, '{"b":2}', id="b", name="g")],
        # Pieces by id, all with index 0.
        [
            *(call(0, "", id="a", name="f"), call(0, '{"a"', id="a"), call(0, "", id="b", name="g")),
            *(call(0, '{"b"', id="b"), call(0, ":1}", id="a"), call(0, ":2}", id="b")),
        ],
        # The id only in a later piece, or another id with every piece.
        [call(0, "", name="f"), call(0, '{"a":1}', id="a"), call(1, "", id="b", name="g"), call(1, '{"b":2}', id="c")],
        # The name twice.
        [call(0, "", id="a", name="f"), call(0, '{"a":1}', name="f"), call(1, '{"b":2}', id="b", name="g")],
    ],
)
def test_indices_and_ids_of_every_kind(pieces: list[object]) -> None:
    """Regressions 6 and 7."""
    events = body(*[calls(piece) for piece in pieces])
    arguments = {
        number: "".join(
            found.arguments for found in events if isinstance(found, ToolCallDelta) and found.call == number
        )
        for number in (0, 1)
    }
    assert arguments == {0: '{"a":1}', 1: '{"b":2}'}
    assert [found for found in events if not isinstance(found, ToolCallDelta)] == [
        ToolCallStart(0, "a", "f"),
        ToolCallEnd(0),
        ToolCallStart(1, "b", "g"),
        ToolCallEnd(1),
    ]


def test_calls_that_all_have_one_id_are_told_apart_by_index() -> None:
    pieces = [call(0, '{"a":1}', id="a", name="f"), call(1, "", id="a", name="f"), call(1, '{"a":2}', id="a")]
    assert body(*map(calls, pieces)) == one_call('{"a":1}') + one_call('{"a":2}', 1)


def test_whole_calls_without_ids_get_ids_of_their_own() -> None:
    whole = (calls(call(0, '{"a":1}', name="f")), calls(call(0, '{"a":1}', name="f")))
    events = body(*whole, written=Written(b"request"))
    first, second = (found.id for found in events if isinstance(found, ToolCallStart))
    assert first.startswith("call_")
    assert first != second
    assert events == one_call('{"a":1}', 0, first) + one_call('{"a":1}', 1, second)
    assert body(*whole, written=Written(b"request")) == events
    assert body(*whole, written=Written(b"next request")) != events


def test_calls_without_index_and_id_are_told_apart_by_their_names() -> None:
    events = body(calls(call(None, '{"a"', name="f"), call(None, ":1}")), calls(call(None, '{"a":1}', name="f")))
    assert [type(found) for found in events].count(ToolCallStart) == 2
    deltas = [found for found in events if isinstance(found, ToolCallDelta)]
    assert deltas == [ToolCallDelta(0, '{"a"'), ToolCallDelta(0, ":1}"), ToolCallDelta(1, '{"a":1}')]


@pytest.mark.parametrize("arguments", [None, "", "{}", {}])
def test_a_call_without_arguments_has_an_empty_object_exactly_once(arguments: object) -> None:
    """Regression 8."""
    assert body(calls(call(0, arguments, id="a", name="f"))) == one_call("{}")


def test_a_placeholder_before_the_arguments_is_dropped() -> None:
    assert body(calls(call(0, "{}", id="a", name="f")), calls(call(0, '{"a":1}'))) == one_call('{"a":1}')


def test_arguments_as_an_object_keep_their_source() -> None:
    source = b'{"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":'
    number = b'{"n": 12345678901234567890123, "x": 1.10}'
    stream = b"data: " + source + number + b'}}]},"finish_reason":"tool_calls"}]}\n\n'
    assert read(stream)[1:-2] == one_call(number.decode())


def test_cut_arguments_stay_as_they_are() -> None:
    events = read(calls(call(0, '{"a', id="a", name="f")), chunk({}, "length"))
    assert events[1:] == [*one_call('{"a'), Finish(FinishReason.LENGTH), END]


def test_the_deprecated_function_call_is_a_call() -> None:
    stream = (chunk({"function_call": {"name": "f", "arguments": ""}}), chunk({"function_call": {"arguments": "{}"}}))
    events = body(*stream)
    assert isinstance(events[0], ToolCallStart)
    assert events == one_call("{}", identity=events[0].id)


def test_a_custom_call_has_text() -> None:
    start = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "sh", "input": ""}}
    stream = (calls(start), calls({"index": 0, "custom": {"input": "ls"}}))
    assert body(*stream) == [ToolCallStart(0, "a", "sh", custom=True), ToolCallDelta(0, "ls"), ToolCallEnd(0)]


def test_a_call_that_never_gets_a_name_is_dropped() -> None:
    events = read(calls(call(0, '{"a":1}', id="a")), chunk({}, "tool_calls"))
    assert events == [START, Finish(FinishReason.MALFORMED_CALL), END]
    assert read(calls({"index": 0}), chunk({}, "stop")) == [START, Finish(FinishReason.STOP), END]


def test_names_are_mapped_back() -> None:
    written = Written(b"", names={"a_b_12345678": "a.b"})
    events = body(calls(call(0, "{}", id="a", name="a_b_12345678")), written=written)
    assert events == one_call("{}", name="a.b")


def test_a_tool_that_stands_for_the_schema_is_the_text() -> None:
    stream = (
        calls(call(0, "", id="a", name="answer")),
        calls(call(0, '{"x"')),
        calls(call(0, ":1}")),
        chunk({}, "tool_calls"),
    )
    assert read(*stream, written=Written(b"", unwrap_tool="answer")) == [
        START,
        TextDelta('{"x"'),
        TextDelta(":1}"),
        Finish(FinishReason.STOP),
        END,
    ]


@pytest.mark.parametrize(
    ("arguments", "text"), [('{"text":"l\\u0073 -a"}', "ls -a"), ('{"a":1,"b":2}', '{"a":1,"b":2}')]
)
def test_a_custom_tool_that_became_a_function_is_unwrapped(arguments: str, text: str) -> None:
    written = Written(b"", names={"sh_1": "sh"}, unwrap_field=("sh_1",))
    events = body(calls(call(0, arguments[:5], id="a", name="sh_1")), calls(call(0, arguments[5:])), written=written)
    assert events == [ToolCallStart(0, "a", "sh", custom=True), ToolCallDelta(0, text), ToolCallEnd(0)]


def test_reasoning_ends_before_a_call() -> None:
    events = body(chunk({"reasoning": "hm"}), calls(call(0, "{}", id="a", name="f")))
    assert events == [ReasoningDelta("hm"), ReasoningEnd(), *one_call("{}")]


def test_what_waits_behind_a_call_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_queue, "HELD_CHARS_MAX", 100)
    reader = ChatEventReader(Written(b""), VendorOptions())
    reader.receive(calls(call(0, "{", id="a", name="f")))
    assert reader.receive(chunk({"content": "x" * 90})) == []
    assert error_of(reader.receive(chunk({"content": "x" * 90}))).error.fault.type is ErrorType.UPSTREAM_INVALID


def test_the_number_of_calls_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice_reader, "CALLS_MAX", 3)
    events = read(*[calls(call(number, '{"a":1}', id=str(number), name="f")) for number in range(4)])
    assert error_of(events).error.fault.type is ErrorType.UPSTREAM_INVALID


def test_looking_for_the_end_of_arguments_costs_bounded_time() -> None:
    reader = ChatEventReader(Written(b""), VendorOptions())
    reader.receive(calls(call(0, '{"a":"', id="a", name="f"), call(1, "{", id="b", name="g")))
    piece = calls(call(0, "}" * 100))
    for _ in range(2000):
        reader.receive(piece)
    assert reader._choices[0]._queue._front is not None
    assert reader._choices[0]._queue._front._checks == call_queue.CHECKS_MAX
