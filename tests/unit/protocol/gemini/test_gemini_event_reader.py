"""Reading a Gemini answer into neutral events, streamed and whole."""

import json
from collections.abc import Sequence

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
    StreamError,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from trunkline.protocol.gemini.event_reader import GeminiEventReader, read_answer
from trunkline.protocol.model import Proof
from trunkline.protocol.upstream_error import RetryClass

PLAIN = Written(b"{}")
STOP = [Finish(FinishReason.STOP), MessageEnd()]


def tree(*parts: object, finish: object = None, index: int | None = 0, **members: object) -> dict[str, object]:
    candidate = {"content": {"parts": list(parts), "role": "model"}, "finishReason": finish, "index": index}
    return {"candidates": [candidate], "responseId": "r1", **members}


def sse(*frames: object) -> bytes:
    return b"".join([b"data: " + json.dumps(frame).encode() + b"\r\n\r\n" for frame in frames])


def read(*frames: object, written: Written = PLAIN) -> list[Event]:
    return read_bytes(sse(*frames), written)


def read_bytes(stream: bytes, written: Written = PLAIN) -> list[Event]:
    reader = GeminiEventReader(written)
    return [*reader.receive(stream), *reader.finish()]


def text(words: str, **members: object) -> dict[str, object]:
    return {"text": words, **members}


def call(name: str, args: object = None, **members: object) -> dict[str, object]:
    return {"functionCall": {"name": name, "args": args or {}, **members}}


def body_of(events: Sequence[Event]) -> list[Event]:
    """The events without their beginning and without a good end."""
    assert isinstance(events[0], MessageStart)
    assert isinstance(events[-1], MessageEnd)
    return [event for event in events[1:-1] if not isinstance(event, Finish | UsageReport)]


def failed(events: Sequence[Event]) -> StreamError:
    """The error at the end, which is the only one."""
    assert [event for event in events if isinstance(event, StreamError | MessageEnd)] == [events[-1]]
    assert isinstance(events[-1], StreamError)
    return events[-1]


# --- texts and thoughts ------------------------------------------------------------------------------------------


def test_texts_come_as_they_are_sent() -> None:
    assert read(tree(text("Hel")), tree(text("lo"), finish="STOP")) == [
        MessageStart("r1"),
        TextDelta("Hel"),
        TextDelta("lo"),
        *STOP,
    ]


def test_thoughts_are_closed_before_the_text() -> None:
    events = read(tree(text("a", thought=True)), tree(text("b", thought=True), text("c")), tree(finish="STOP"))
    assert events == [
        MessageStart("r1"),
        ReasoningDelta("a"),
        ReasoningDelta("b"),
        ReasoningEnd(),
        TextDelta("c"),
        *STOP,
    ]


def test_thoughts_alone_are_closed_at_the_end() -> None:
    events = read(tree(text("a", thought=True), finish="MAX_TOKENS"))
    assert events[1:] == [ReasoningDelta("a"), ReasoningEnd(), Finish(FinishReason.LENGTH), MessageEnd()]


def test_a_signature_on_an_empty_text_comes_through() -> None:
    events = read(tree(text("a")), tree(text("", thoughtSignature="AbCd"), finish="STOP"))
    assert body_of(events) == [TextDelta("a"), ReasoningEnd(Proof("gemini", "AbCd"), redacted=True)]


def test_a_signature_on_a_text_stands_behind_it_and_on_a_thought_ends_it() -> None:
    events = read(
        tree(text("t", thought=True, thoughtSignature="S1"), text("a", thoughtSignature="S2"), text("b"), finish="STOP")
    )
    assert body_of(events) == [
        ReasoningDelta("t"),
        ReasoningEnd(Proof("gemini", "S1")),
        TextDelta("a"),
        ReasoningEnd(Proof("gemini", "S2"), redacted=True),
        TextDelta("b"),
    ]


def test_pictures_come_whole_and_pictures_of_thoughts_not_at_all() -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    events = read(tree({**picture, "thought": True}, {**picture, "thoughtSignature": "S"}, finish="STOP"))
    assert body_of(events) == [
        ImageOutput("AAAA", "image/png"),
        ReasoningEnd(Proof("gemini", "S"), redacted=True),
    ]


# --- calls -------------------------------------------------------------------------------------------------------


def test_calls_in_several_frames_are_numbered_over_the_stream() -> None:
    # All of them under the number 0, their arguments would be mixed.
    events = read(tree(call("f", {"a": 1}, id="c1")), tree(call("g", id="c2")), tree(finish="STOP"))
    assert events[1:] == [
        ToolCallStart(0, "c1", "f"),
        ToolCallDelta(0, '{"a": 1}'),
        ToolCallEnd(0),
        ToolCallStart(1, "c2", "g"),
        ToolCallDelta(1, "{}"),
        ToolCallEnd(1),
        Finish(FinishReason.TOOL_CALLS),
        MessageEnd(),
    ]


def test_the_signature_of_a_call_goes_with_it() -> None:
    events = read(tree(text("t", thought=True)), tree({**call("f", id="c"), "thoughtSignature": "S"}, finish="STOP"))
    assert body_of(events) == [
        ReasoningDelta("t"),
        ReasoningEnd(),
        ToolCallStart(0, "c", "f", proof=Proof("gemini", "S")),
        ToolCallDelta(0, "{}"),
        ToolCallEnd(0),
    ]


def ids(events: Sequence[Event]) -> list[str]:
    return [event.id for event in events if isinstance(event, ToolCallStart)]


def test_missing_ids_are_minted_once_and_differ_between_answers() -> None:
    same = tree(call("f"), call("f"), finish="STOP")
    first = ids(read(same))
    assert first == ids(read(same))
    assert len(set(first)) == 2
    assert all(minted.startswith("call_") and len(minted) <= 40 for minted in first)
    assert not set(first) & set(ids(read({**same, "responseId": "r2"})))
    # Without an id of the answer, what was asked tells one from the next.
    bare = {**same, "responseId": None}
    one, two = Written(b'{"contents":[1]}'), Written(b'{"contents":[1,2]}')
    assert ids(read(bare, written=one)) == ids(read(bare, written=one))
    assert not set(ids(read(bare, written=one))) & set(ids(read(bare, written=two)))


def test_arguments_stay_source_text() -> None:
    source = b'{"n":12345678901234567890.10, "k": {"x":1e400}}'
    stream = b'data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":' + source
    events = read_bytes(stream + b'}}]},"finishReason":"STOP"}]}\n\n')
    assert events[2] == ToolCallDelta(0, source.decode())


@pytest.mark.parametrize(("args", "read_as"), [(None, "{}"), ("", "{}"), ('{"a":1}', '{"a":1}'), ([1], "[1]")])
def test_odd_arguments_are_read_leniently(args: object, read_as: str) -> None:
    events = read(tree({"functionCall": {"name": "f", "args": args}}, finish="STOP"))
    assert events[2] == ToolCallDelta(0, read_as)


def test_names_are_mapped_back_and_free_text_is_unwrapped() -> None:
    written = Written(b"{}", names={"f_1": "f!"}, unwrap_field=("f_1",))
    events = read(tree(call("f_1", {"input": "free\ntext"}, id="c")), tree(finish="STOP"), written=written)
    assert body_of(events) == [
        ToolCallStart(0, "c", "f!", custom=True),
        ToolCallDelta(0, "free\ntext"),
        ToolCallEnd(0),
    ]


def test_a_call_without_a_name_is_no_call() -> None:
    assert body_of(read(tree({"functionCall": {"args": {}}}, text("a"), finish="STOP"))) == [TextDelta("a")]


# --- candidates --------------------------------------------------------------------------------------------------


def test_candidates_are_choices_with_numbers_of_their_own() -> None:
    def both(one: object, two: object, finish: object = None) -> dict[str, object]:
        return {
            "candidates": [
                {"content": {"parts": [one]}, "finishReason": finish, "index": 1},
                {"content": {"parts": [two]}, "finishReason": finish, "index": 0},
            ]
        }

    events = read(both(text("a"), call("f", id="x")), both(call("g", id="y"), text("b"), "STOP"))
    assert events[1:] == [
        TextDelta("a", 1),
        ToolCallStart(0, "x", "f"),
        ToolCallDelta(0, "{}"),
        ToolCallEnd(0),
        ToolCallStart(0, "y", "g", choice=1),
        ToolCallDelta(0, "{}", 1),
        ToolCallEnd(0, 1),
        TextDelta("b"),
        Finish(FinishReason.TOOL_CALLS),
        Finish(FinishReason.TOOL_CALLS, choice=1),
        MessageEnd(),
    ]


def test_candidates_without_an_index_are_numbered_by_their_place() -> None:
    content = {"parts": [{"text": "x"}]}
    answer = {"candidates": [{"content": content, "finishReason": "STOP"}] * 2}
    assert body_of(read(answer)) == [TextDelta("x"), TextDelta("x", 1)]


# --- usage -------------------------------------------------------------------------------------------------------


def test_cumulative_usage_replaces_and_is_never_added() -> None:
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 1, "thoughtsTokenCount": 4}
    events = read(
        tree(text("a"), usageMetadata={"promptTokenCount": 9}),
        tree(text("b"), usageMetadata=usage),
        tree(text("c"), usageMetadata=usage),
        tree(finish="STOP", usageMetadata={**usage, "candidatesTokenCount": 5}),
    )
    assert events[0] == MessageStart("r1", Units(input=9))
    assert [event.units for event in events if isinstance(event, UsageReport)] == [
        Units(input=9),
        Units(input=9, output=1, reasoning=4),
        Units(input=9, output=5, reasoning=4),
    ]


def test_the_start_knows_the_input_only() -> None:
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 1, "cachedContentTokenCount": 4}
    events = read(tree(text("a"), finish="STOP", usageMetadata=usage))
    assert events[0] == MessageStart("r1", Units(input=5, cache_read=4))


# --- ends --------------------------------------------------------------------------------------------------------


def test_a_finish_before_an_empty_frame_is_held() -> None:
    events = read(tree(text("a"), finish="STOP"), {"usageMetadata": {"promptTokenCount": 1}}, {"candidates": []})
    assert events[1:] == [TextDelta("a"), UsageReport(Units(input=1)), *STOP]


def test_text_after_the_finish_is_not_lost() -> None:
    events = read(tree(text("a"), finish="STOP"), tree(text("b")))
    assert events[1:] == [TextDelta("a"), TextDelta("b"), *STOP]


def test_a_finish_without_content_is_an_end() -> None:
    assert read({"candidates": [{"finishReason": "STOP"}]}) == [MessageStart(), *STOP]
    assert read({"candidates": [{"content": None, "finishReason": "STOP"}]}) == [MessageStart(), *STOP]
    assert read({"candidates": [{"content": {"role": "model"}, "finishReason": "STOP"}]}) == [MessageStart(), *STOP]


def test_a_blocked_prompt_is_a_filter_ending() -> None:
    events = read({"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "No."}})
    assert events == [MessageStart(), Finish(FinishReason.FILTER, message="No."), MessageEnd()]


@pytest.mark.parametrize(
    ("reason", "neutral"),
    [
        ("STOP", FinishReason.STOP),
        ("MAX_TOKENS", FinishReason.LENGTH),
        *[
            (name, FinishReason.FILTER)
            for name in (
                *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "MODEL_ARMOR"),
                *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER"),
            )
        ],
        ("CONTINUATION", FinishReason.PAUSED),
        ("MALFORMED_FUNCTION_CALL", FinishReason.MALFORMED_CALL),
        ("UNEXPECTED_TOOL_CALL", FinishReason.MALFORMED_CALL),
        ("TOO_MANY_TOOL_CALLS", FinishReason.MALFORMED_CALL),
        ("MALFORMED_RESPONSE", FinishReason.MALFORMED_CALL),
        ("OTHER", FinishReason.OTHER),
        ("SOMETHING_NEW", FinishReason.OTHER),
        (1, FinishReason.STOP),
        (2, FinishReason.LENGTH),
        (99, FinishReason.OTHER),
    ],
)
def test_every_finish_reason_has_its_neutral_one(reason: object, neutral: FinishReason) -> None:
    assert read(tree(text("a"), finish=reason))[-2:] == [Finish(neutral), MessageEnd()]


@pytest.mark.parametrize(
    ("reason", "neutral"),
    [
        ("OTHER", FinishReason.TOOL_CALLS),
        ("NEW", FinishReason.TOOL_CALLS),
        ("MAX_TOKENS", FinishReason.LENGTH),
        ("SAFETY", FinishReason.FILTER),
    ],
)
def test_calls_decide_unless_it_was_length_or_a_filter(reason: str, neutral: FinishReason) -> None:
    assert read(tree(call("f"), finish=reason))[-2] == Finish(neutral)


def test_why_a_filter_ended_it_is_told() -> None:
    answer = {"candidates": [{"finishReason": "SAFETY", "finishMessage": "Because."}]}
    assert read(answer)[-2] == Finish(FinishReason.FILTER, message="Because.")


@pytest.mark.parametrize("reason", [None, "", "FINISH_REASON_UNSPECIFIED", 0])
def test_a_body_without_a_finish_reason_was_cut(reason: object) -> None:
    events = read(tree(text("a"), finish=reason))
    assert events[:2] == [MessageStart("r1"), TextDelta("a")]
    assert failed(events).error.fault.type is ErrorType.UPSTREAM_CUT


def test_each_candidate_with_output_must_finish() -> None:
    events = read(tree(text("a"), index=0), tree(text("b"), index=1, finish="STOP"))
    assert failed(events).error.fault.type is ErrorType.UPSTREAM_CUT


def test_an_empty_body_was_cut() -> None:
    assert failed(read_bytes(b"")).error.fault.type is ErrorType.UPSTREAM_CUT
    assert failed(read_bytes(b": ping\n\n\n")).error.fault.type is ErrorType.UPSTREAM_CUT


def test_failures_without_output_are_errors() -> None:
    assert failed(read(tree(finish="OTHER"))).error.fault.type is ErrorType.UPSTREAM_ERROR
    malformed = failed(read(tree(finish="MALFORMED_FUNCTION_CALL"))).error
    assert (malformed.fault.type, malformed.cls) == (ErrorType.UPSTREAM_INVALID, RetryClass.OTHER_CHANNEL)
    unsigned = failed(read(tree(finish="MISSING_THOUGHT_SIGNATURE"))).error
    assert (unsigned.fault.type, unsigned.cls) == (ErrorType.UPSTREAM_BAD_REQUEST, RetryClass.NEVER)


def test_an_error_object_ends_the_stream_and_nothing_follows() -> None:
    error = {"error": {"code": 503, "message": "x", "status": "UNAVAILABLE"}}
    reader = GeminiEventReader(PLAIN)
    events = [*reader.receive(sse(tree(text("a")), error, tree(text("b"), finish="STOP")))]
    assert failed(events).error.fault.type is ErrorType.UPSTREAM_OVERLOADED
    assert reader.receive(sse(tree(text("c")))) == []
    assert reader.finish() == []


# --- traps -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd",
    [
        b": comment\n\n",
        b"event: ping\ndata:\n\n",
        b"data: [DONE]\n\n",
        b"data: null\n\n",
        b"data: 7\n\n",
        b"data: {}\n\n",
        b'data: {"candidates":null}\n\n',
        b'data: {"candidates":[null,7]}\n\n',
        b'data: {"candidates":[{"content":{"parts":null}}]}\n\n',
        b'data: {"candidates":[{"content":{"parts":[null,{"text":null},{"text":5}]}}]}\n\n',
        b'data: {"candidates":{"a":1},"usageMetadata":[]}\n\n',
        b'data: {"error":null}\n\n',
    ],
)
def test_frames_that_say_nothing_are_read_leniently(odd: bytes) -> None:
    stream = odd + sse(tree(text("a"))) + odd + sse(tree(text("b"), finish="STOP")) + odd
    assert body_of(read_bytes(stream)) == [TextDelta("a"), TextDelta("b")]


def test_one_bad_member_spoils_nothing_else() -> None:
    events = read(tree(text("a"), finish="STOP", usageMetadata={"promptTokenCount": "7", "candidatesTokenCount": 2}))
    assert events[1:] == [TextDelta("a"), UsageReport(Units(output=2)), *STOP]
    source = b'{"candidates":[{"content":{"parts":[{"text":5},{"functionCall":{"name":"f","args":{"n":1.10}}}]},'
    events = read_bytes(b"data: " + source + b'"finishReason":"STOP"}]}\n\n')
    assert events[2] == ToolCallDelta(0, '{"n":1.10}')


def test_lone_surrogates_are_read() -> None:
    source = rb'data: {"candidates":[{"content":{"parts":[{"text":"\ud83d"}]},"finishReason":"STOP"}]}' + b"\n\n"
    assert body_of(read_bytes(source)) == [TextDelta("\ufffd")]


def test_the_last_event_needs_no_blank_line() -> None:
    assert read_bytes(sse(tree(text("a"), finish="STOP")).rstrip())[1:] == [TextDelta("a"), *STOP]


def test_an_event_that_was_cut_is_a_cut_stream() -> None:
    events = read_bytes(sse(tree(text("a")), tree(text("b"), finish="STOP"))[:-20])
    assert failed(events).error.fault.type is ErrorType.UPSTREAM_CUT


@pytest.mark.parametrize("broken", [b"data: {\n\n", b"data: x\n\n", b'data: {"a":"\xff"}\n\n'])
def test_a_broken_event_is_an_invalid_answer(broken: bytes) -> None:
    events = read_bytes(sse(tree(text("a"))) + broken + sse(tree(text("b"), finish="STOP")))
    assert failed(events).error.fault.type is ErrorType.UPSTREAM_INVALID


def test_an_event_is_bounded() -> None:
    reader = GeminiEventReader(PLAIN)
    events = reader.receive(b"data: " + b"x" * (limits.UPSTREAM_EVENT_BYTES_MAX + 1))
    assert failed(events).error.fault.type is ErrorType.UPSTREAM_INVALID


# --- bodies that are no event stream -----------------------------------------------------------------------------


FRAMES = (tree(text("a")), tree(call("f", id="c"), finish="STOP", usageMetadata={"promptTokenCount": 3}))


def test_a_stream_that_is_one_array_is_read_all_the_same() -> None:
    body = b"\xef\xbb\xbf\n" + json.dumps(FRAMES).encode()
    reader = GeminiEventReader(PLAIN)
    assert [*reader.receive(body[:9]), *reader.receive(body[9:])] == []
    assert reader.finish() == read(*FRAMES)


def test_a_whole_answer_gives_the_events_of_a_stream() -> None:
    frame = tree(text("t", thought=True), text("a"), call("f"), finish="STOP")
    body = json.dumps(frame).encode()
    assert read_answer(body, PLAIN) == read(frame)
    assert read_answer(sse(frame), PLAIN) == read(frame)
    assert read_answer(json.dumps(FRAMES).encode(), PLAIN) == read(*FRAMES)
    assert read_bytes(body) == read(frame)


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"{", b"[", b"[]", b"[1]", b"5", b"\xff", b"{}"])
def test_a_body_that_is_no_answer_is_an_error(body: bytes) -> None:
    for events in (read_answer(body, PLAIN), read_bytes(body)):
        assert failed(events).error.fault.type in {ErrorType.UPSTREAM_INVALID, ErrorType.UPSTREAM_CUT}


def test_an_error_body_under_a_200_is_that_error() -> None:
    error = {"error": {"code": 429, "message": "x", "status": "RESOURCE_EXHAUSTED"}}
    for body in (error, [error]):
        events = read_answer(json.dumps(body).encode(), PLAIN)
        assert failed(events).error.fault.type is ErrorType.UPSTREAM_RATE_LIMITED


def test_an_error_behind_frames_of_an_array_is_that_error() -> None:
    error = {"error": {"code": 503, "message": "x", "status": "UNAVAILABLE"}}
    events = read_answer(json.dumps([tree(text("a")), error, tree(text("b"), finish="STOP")]).encode(), PLAIN)
    assert events[:-1] == [MessageStart("r1"), TextDelta("a")]
    assert failed(events).error.fault.type is ErrorType.UPSTREAM_OVERLOADED


def test_one_empty_candidate_spoils_no_other() -> None:
    events = read(tree(text("a"), finish="STOP"), tree(finish="OTHER", index=1))
    assert events[1:] == [TextDelta("a"), Finish(FinishReason.STOP), Finish(FinishReason.OTHER, choice=1), MessageEnd()]
