"""Writing an answer for a Gemini client, streamed and whole."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest

from trunkline.core.usage import Units
from trunkline.protocol.dialect import AnswerFrame, Written
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
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from trunkline.protocol.gemini import signature
from trunkline.protocol.gemini.event_reader import read_answer
from trunkline.protocol.gemini.event_writer import GeminiEventWriter, write_answer
from trunkline.protocol.model import Proof
from trunkline.protocol.proof import wrap

FRAME = AnswerFrame(id="job1", model="pub", created=1)
TAIL = b',"modelVersion":"pub","responseId":"job1"}\n\n'
USAGE = UsageReport(Units(input=3, output=2))
END = (USAGE, Finish(FinishReason.STOP), MessageEnd())


def write(*events: Event, frame: AnswerFrame = FRAME) -> list[bytes]:
    writer = GeminiEventWriter(frame)
    return [written for written in (writer.write(event) for event in (MessageStart(), *events)) if written]


def frames(*events: Event) -> list[Any]:
    written = write(*events)
    for piece in written:
        assert piece.startswith(b"data: {")
        assert piece.endswith(b"}\n\n")
        assert piece.count(b"\n") == 2
    return [json.loads(piece[6:]) for piece in written]


def parts(*events: Event) -> list[Any]:
    """The parts of candidate 0 in the frames before the last."""
    found = [frame["candidates"][0]["content"]["parts"] for frame in frames(*events, *END)[:-1]]
    return [part for group in found for part in group]


def whole(*events: Event) -> Any:
    return json.loads(write_answer([MessageStart(), *events], FRAME))


def test_each_event_is_a_whole_response_with_new_parts_only() -> None:
    assert write(TextDelta("Hel"), TextDelta("lö\n"), *END) == [
        b'data: {"candidates":[{"content":{"parts":[{"text":"Hel"}],"role":"model"},"index":0}]' + TAIL,
        'data: {"candidates":[{"content":{"parts":[{"text":"lö\\n"}],"role":"model"},"index":0}]'.encode() + TAIL,
        b'data: {"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"STOP","index":0}]'
        b',"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5}' + TAIL,
    ]


def test_an_array_is_one_json_document() -> None:
    array = AnswerFrame(id="job1", model="pub", created=1, array=True)
    written = write(TextDelta("a"), TextDelta("b"), *END, frame=array)
    assert [piece[:1] for piece in written] == [b"[", b",", b","]
    assert [json.dumps(item) for item in json.loads(b"".join(written))] == [
        json.dumps(frame) for frame in frames(TextDelta("a"), TextDelta("b"), *END)
    ]


def test_thoughts_refusals_and_pictures_are_parts() -> None:
    assert parts(ReasoningDelta("t"), ReasoningEnd(), RefusalDelta("no"), ImageOutput("AAAA", "image/png")) == [
        {"text": "t", "thought": True},
        {"text": "no"},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
    ]


def test_empty_deltas_write_nothing() -> None:
    assert parts(TextDelta(""), ReasoningDelta(""), ReasoningEnd()) == []


def test_a_call_leaves_whole_with_its_source_text() -> None:
    assert write(ToolCallStart(0, "c", "f"), ToolCallDelta(0, '{"n":1.10,'), ToolCallDelta(0, '\n"m":[]}')) == []
    written = write(
        ToolCallStart(0, "c", "f"),
        ToolCallDelta(0, '{"n":12345678901234567890.10,'),
        ToolCallDelta(0, '\r\n"m":[]}'),
        ToolCallEnd(0),
    )
    call = b'{"functionCall":{"name":"f","args":{"n":12345678901234567890.10,  "m":[]},"id":"c"}}'
    assert written == [
        b'data: {"candidates":[{"content":{"parts":[' + call + b'],"role":"model"},"index":0}],'
        b'"modelVersion":"pub","responseId":"job1"}\n\n'
    ]


def test_calls_of_two_candidates_are_kept_apart() -> None:
    written = frames(
        ToolCallStart(0, "a", "f"),
        ToolCallStart(0, "b", "g", choice=1),
        ToolCallDelta(0, '{"x":1}', 1),
        ToolCallEnd(0, 1),
        ToolCallEnd(0),
        Finish(FinishReason.TOOL_CALLS),
        Finish(FinishReason.STOP, choice=1),
        MessageEnd(),
    )
    calls = [(frame["candidates"][0]["index"], frame["candidates"][0]["content"]["parts"]) for frame in written[:-1]]
    assert calls == [
        (1, [{"functionCall": {"name": "g", "args": {"x": 1}, "id": "b"}}]),
        (0, [{"functionCall": {"name": "f", "args": {}, "id": "a"}}]),
    ]
    assert [(ended["index"], ended["finishReason"]) for ended in written[-1]["candidates"]] == [
        (0, "STOP"),
        (1, "STOP"),
    ]


@pytest.mark.parametrize("arguments", ['{"a":', "[1]", '"x"', "{'a':1}"])
def test_arguments_that_are_no_object_end_as_a_malformed_call(arguments: str) -> None:
    broken = (ToolCallStart(0, "c", "f"), ToolCallDelta(0, arguments), ToolCallEnd(0))
    end = (Finish(FinishReason.LENGTH), MessageEnd())
    written = frames(TextDelta("a"), *broken, *end)
    assert len(written) == 2
    assert written[-1]["candidates"][0]["finishReason"] == "MALFORMED_FUNCTION_CALL"
    answer = whole(TextDelta("a"), *broken, *end)["candidates"][0]
    assert answer == {
        "content": {"parts": [{"text": "a"}], "role": "model"},
        "finishReason": "MALFORMED_FUNCTION_CALL",
        "index": 0,
    }


def test_a_free_form_call_is_an_object_with_its_text() -> None:
    call = (ToolCallStart(0, "c", "f", custom=True), ToolCallDelta(0, "free"), ToolCallEnd(0))
    assert parts(*call) == [{"functionCall": {"name": "f", "args": {"input": "free"}, "id": "c"}}]


# --- proofs ------------------------------------------------------------------------------------------------------


OWN = Proof("gemini", "AbCd")
FOREIGN = Proof("anthropic", "sig")
COVERED = base64.b64encode(wrap(FOREIGN).encode()).decode()


def test_proofs_are_signatures_where_they_belong() -> None:
    call = (ToolCallStart(0, "c", "f", proof=OWN), ToolCallEnd(0))
    assert parts(
        ReasoningDelta("t"), ReasoningEnd(FOREIGN), TextDelta("a"), ReasoningEnd(OWN, redacted=True), *call
    ) == [
        {"text": "t", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": COVERED},
        {"text": "a"},
        {"text": "", "thoughtSignature": "AbCd"},
        {"functionCall": {"name": "f", "args": {}, "id": "c"}, "thoughtSignature": "AbCd"},
    ]
    assert signature.read(COVERED) == FOREIGN


def test_a_whole_answer_hangs_them_on_what_they_follow() -> None:
    answer = whole(
        *(ReasoningDelta("t"), ReasoningDelta("u"), ReasoningEnd(FOREIGN)),
        *(TextDelta("a"), TextDelta("b"), ReasoningEnd(OWN, redacted=True), TextDelta("c")),
        *END,
    )
    assert answer["candidates"][0]["content"]["parts"] == [
        {"text": "tu", "thought": True, "thoughtSignature": COVERED},
        {"text": "ab", "thoughtSignature": "AbCd"},
        {"text": "c"},
    ]


# --- ends --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (FinishReason.STOP, "STOP"),
        (FinishReason.STOP_SEQUENCE, "STOP"),
        (FinishReason.LENGTH, "MAX_TOKENS"),
        (FinishReason.CONTEXT_FULL, "MAX_TOKENS"),
        (FinishReason.TOOL_CALLS, "STOP"),
        (FinishReason.FILTER, "SAFETY"),
        (FinishReason.PAUSED, "CONTINUATION"),
        (FinishReason.MALFORMED_CALL, "MALFORMED_FUNCTION_CALL"),
        (FinishReason.OTHER, "STOP"),
    ],
)
def test_every_end_has_geminis_word(reason: FinishReason, word: str) -> None:
    assert frames(Finish(reason), MessageEnd())[0]["candidates"] == [{"finishReason": word, "index": 0}]
    assert whole(Finish(reason), MessageEnd())["candidates"] == [{"finishReason": word, "index": 0}]


def test_why_it_was_filtered_is_told() -> None:
    answer = whole(Finish(FinishReason.FILTER, message="Because."), MessageEnd())
    assert answer["candidates"][0]["finishMessage"] == "Because."


def test_usage_is_the_last_report_on_the_last_frame() -> None:
    reports = (UsageReport(Units(input=1)), UsageReport(Units(input=5, cache_read=2, output=3, reasoning=4)))
    written = frames(TextDelta("a"), *reports, Finish(FinishReason.STOP), MessageEnd())
    assert "usageMetadata" not in written[0]
    assert written[-1]["usageMetadata"] == {
        "promptTokenCount": 7,
        "cachedContentTokenCount": 2,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 4,
        "totalTokenCount": 14,
    }


# --- whole and streamed ------------------------------------------------------------------------------------------


EVENTS: Sequence[Event] = (
    MessageStart("job1", Units(input=3)),
    ReasoningDelta("think"),
    ReasoningEnd(Proof("gemini", "S0")),
    TextDelta("Hello"),
    ReasoningEnd(Proof("gemini", "S1"), redacted=True),
    ImageOutput("AAAA", "image/png"),
    ToolCallStart(0, "c1", "f", proof=Proof("gemini", "S2")),
    ToolCallDelta(0, '{"n":1.10}'),
    ToolCallEnd(0),
    ToolCallStart(1, "c2", "g"),
    ToolCallDelta(1, "{}"),
    ToolCallEnd(1),
    USAGE,
    Finish(FinishReason.TOOL_CALLS),
    MessageEnd(),
)


def test_what_is_written_reads_as_the_same_events() -> None:
    assert read_answer(write_answer(EVENTS, FRAME), Written(b"")) == list(EVENTS)
    streamed = read_answer(b"".join(write(*EVENTS[1:])), Written(b""))
    # The usage is known at the end only.
    assert streamed == [MessageStart("job1"), *EVENTS[1:]]
