"""A chat provider's stream as neutral events: every trap of DIALECTS sections 3.2, 3.4 and 4.1."""

import json
from typing import Any

import pytest

from trunkline.core import limits
from trunkline.core.errors import ErrorType
from trunkline.core.usage import Units
from trunkline.protocol.dialect import Written
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
from trunkline.protocol.names import OPENAI_CHAT
from trunkline.protocol.openai_chat import call_queue, choice_reader
from trunkline.protocol.openai_chat.event_reader import ChatEventReader
from trunkline.protocol.vendor import VendorOptions

DONE = b"data: [DONE]\n\n"
ROLE = {"role": "assistant", "content": ""}
START = MessageStart("chatcmpl-1")
END = MessageEnd()
WRITTEN = Written(b"{}")


def event(tree: object) -> bytes:
    return b"data: " + json.dumps(tree, separators=(",", ":")).encode() + b"\n\n"


def chunk(delta: object = None, finish: object = None, **members: object) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return event({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": choices, **members})


def usage(prompt: int = 3, completion: int = 2) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def call(index: int | None, arguments: object = None, **members: Any) -> dict[str, Any]:
    """A piece of a call; ``name`` and ``id`` where given."""
    function = {"name": members.pop("name", None), "arguments": arguments}
    found: dict[str, Any] = {} if index is None else {"index": index}
    return {**found, **members, "function": {key: value for key, value in function.items() if value is not None}}


def calls(*pieces: object) -> bytes:
    return chunk({"tool_calls": list(pieces)})


def read(*chunks: bytes, written: Written = WRITTEN, **options: Any) -> list[Event]:
    reader = ChatEventReader(written, VendorOptions(**options))
    return [found for piece in chunks for found in reader.receive(piece)] + reader.finish()


def body(*chunks: bytes, **options: Any) -> list[Event]:
    """What lies between the start and the finish of a good answer."""
    events = read(*chunks, chunk({}, "stop"), DONE, **options)
    assert events[0] == START
    assert isinstance(events[-2], Finish)
    assert events[-1] == END
    return events[1:-2]


def error_of(events: list[Event]) -> StreamError:
    last = events[-1]
    assert isinstance(last, StreamError)
    assert not any(isinstance(found, MessageEnd | StreamError) for found in events[:-1])
    return last


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
