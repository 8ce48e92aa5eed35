"""The relay of a Gemini stream: plain events through, facts beside."""

import json
from typing import Any

import pytest

from trunkline.core import limits
from trunkline.core.errors import ErrorType
from trunkline.core.usage import Units
from trunkline.protocol.gemini.stream import GeminiStreamRelay
from trunkline.protocol.tokens import count_text
from trunkline.protocol.upstream_error import RetryClass


def frame(*parts: object, finish: object = None, **members: object) -> bytes:
    candidate = {"content": {"parts": list(parts), "role": "model"}, "finishReason": finish, "index": 0}
    tree = {"candidates": [candidate], **members, "modelVersion": "up", "responseId": "r1"}
    return json.dumps(tree, separators=(",", ":")).encode()


def event(*parts: object, finish: object = None, **members: object) -> bytes:
    return b"data: " + frame(*parts, finish=finish, **members) + b"\n\n"


def text(words: str) -> dict[str, str]:
    return {"text": words}


def relay_all(relay: GeminiStreamRelay, *chunks: bytes) -> bytes:
    return b"".join([relay.receive(piece) for piece in chunks]) + relay.finish()


USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
PLAIN = (event(text("Hel")), event(text("lo"), finish="STOP", usageMetadata=USAGE))


def test_bytes_pass_unchanged_and_facts_are_read() -> None:
    relay = GeminiStreamRelay()
    assert relay_all(relay, *PLAIN) == b"".join(PLAIN)
    assert (relay.first_output, relay.complete, relay.error) == (True, True, None)
    assert relay.units == Units(input=3, output=2)
    assert relay.output_tokens_counted() == count_text("Hello")


def test_a_whole_event_is_passed_as_the_very_same_object() -> None:
    assert GeminiStreamRelay().receive(PLAIN[0]) is PLAIN[0]
    with_cr = PLAIN[0].replace(b"\n", b"\r\n")
    assert GeminiStreamRelay().receive(with_cr) is with_cr


def test_the_beginning_of_an_event_waits_for_its_end() -> None:
    relay = GeminiStreamRelay()
    assert relay.receive(PLAIN[0] + PLAIN[1][:20]) == PLAIN[0]
    assert relay.receive(PLAIN[1][20:]) == PLAIN[1]


@pytest.mark.parametrize(
    "withheld",
    [
        b": keep-alive\n\n",
        b"event: ping\n\n",
        b"id: 5\n\n",
        b"data: [DONE]\n\n",
        b"data: null\n\n",
        b"data:\n\n",
        b"data: 5\n\n",
        b"retry: 10\n\n",
        b"\n\n",
        b"data: [{}]\n\n",
    ],
)
def test_what_googles_sdks_break_on_is_withheld(withheld: bytes) -> None:
    relay = GeminiStreamRelay()
    assert relay_all(relay, withheld, PLAIN[0], withheld, PLAIN[1], withheld) == b"".join(PLAIN)
    assert relay.complete


@pytest.mark.parametrize(
    "bent",
    [
        b": ping\n" + PLAIN[0],
        b"event: message\nid: 1\n" + PLAIN[0],
        b"data:" + PLAIN[0][6:],
        b"\xef\xbb\xbf" + PLAIN[0],
        b"\n" + PLAIN[0],
        PLAIN[0].replace(b'"candidates":', b'"candidates":\ndata: '),
        PLAIN[0].replace(b"\n", b"\r"),
    ],
)
def test_an_event_with_foreign_lines_is_written_anew_as_one_plain_line(bent: bytes) -> None:
    relay = GeminiStreamRelay()
    out = relay_all(relay, bent, PLAIN[1])
    first, second, rest = out.split(b"\n\n")
    assert first.startswith(b"data: {")
    assert b"\n" not in first
    assert json.loads(first[6:]) == json.loads(frame(text("Hel")))
    assert (second + b"\n\n", rest) == (PLAIN[1], b"")


# --- an array ----------------------------------------------------------------------------------------------------


def test_an_array_is_sent_piece_by_piece() -> None:
    relay = GeminiStreamRelay(array=True)
    assert relay.receive(PLAIN[0]) == b"[" + frame(text("Hel"))
    assert relay.receive(b": ping\n\n") == b""
    last = frame(text("lo"), finish="STOP", usageMetadata=USAGE)
    assert relay.receive(PLAIN[1]) == b",\n" + last
    assert relay.finish() == b"]"


def test_an_array_of_a_cut_stream_stays_open() -> None:
    relay = GeminiStreamRelay(array=True)
    assert relay_all(relay, PLAIN[0]) == b"[" + frame(text("Hel"))
    assert not relay.complete


def test_an_array_has_the_public_model() -> None:
    relay = GeminiStreamRelay(array=True, public_model="pub")
    assert json.loads(relay_all(relay, *PLAIN)) == [
        {**json.loads(event(text("Hel"))[6:]), "modelVersion": "pub"},
        {**json.loads(PLAIN[1][6:]), "modelVersion": "pub"},
    ]


# --- the model ---------------------------------------------------------------------------------------------------


def test_the_model_is_renamed_and_no_other_byte() -> None:
    relay = GeminiStreamRelay(public_model="p/ü")
    chunks = (*PLAIN[:1] * 3, PLAIN[1])
    name = '"modelVersion":"p/ü"'.encode()
    assert relay_all(relay, *chunks) == b"".join(chunks).replace(b'"modelVersion":"up"', name)


def test_only_the_top_level_model_is_renamed() -> None:
    relay = GeminiStreamRelay(public_model="pub")
    nested = {"functionCall": {"name": "f", "args": {"modelVersion": "up", "responseId": "r1"}}}
    source = event(text('"modelVersion":"up","responseId":"r1"}'), nested)
    for _ in range(2):
        out = json.loads(relay.receive(source)[6:])
        assert out == {**json.loads(source[6:]), "modelVersion": "pub"}


def test_a_frame_without_a_model_stays() -> None:
    relay = GeminiStreamRelay(public_model="pub")
    source = b'data: {"candidates":[{"content":{"parts":[{"text":"x"}]}}]}\n\n'
    assert relay.receive(source) == source


# --- facts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [
        text("x"),
        {"text": "x", "thought": True},
        {"functionCall": {"name": "f", "args": {}}},
        {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
        {"executableCode": {"code": "1"}},
        {"text": 5, "functionCall": {"name": "f"}},
    ],
)
def test_any_kind_of_output_is_a_first_output(part: object) -> None:
    relay = GeminiStreamRelay()
    relay.receive(event(text("")))
    assert not relay.first_output
    relay.receive(event(part))
    assert relay.first_output


def test_usage_is_the_last_value_of_each_field_and_never_a_sum() -> None:
    relay = GeminiStreamRelay()
    relay.receive(event(text("a"), usageMetadata={"promptTokenCount": 8, "thoughtsTokenCount": 4}))
    relay.receive(event(text("b"), usageMetadata={"promptTokenCount": 8, "candidatesTokenCount": 3}))
    relay.receive(event(text("c"), usageMetadata={"promptTokenCount": 8, "candidatesTokenCount": 5}))
    assert relay.units == Units(input=8, output=5, reasoning=4)


def test_a_report_without_output_for_an_output_that_is_there_is_none() -> None:
    relay = GeminiStreamRelay()
    relay.receive(event(text("a"), usageMetadata={"promptTokenCount": 8}))
    assert relay.units is None


def test_each_candidate_with_output_has_to_finish() -> None:
    relay = GeminiStreamRelay()

    def both(first: object, second: object) -> bytes:
        content = {"parts": [{"text": "x"}]}
        candidates = [{"content": content, "finishReason": first}, {"content": content, "finishReason": second}]
        return b"data: " + json.dumps({"candidates": candidates}).encode() + b"\n\n"

    relay.receive(both(None, "STOP"))
    assert not relay.complete
    relay.receive(both("MAX_TOKENS", None))
    assert relay.complete


@pytest.mark.parametrize("reason", [None, "", "FINISH_REASON_UNSPECIFIED", 0])
def test_a_stream_without_a_finish_reason_is_cut(reason: object) -> None:
    relay = GeminiStreamRelay()
    relay_all(relay, event(text("a"), finish=reason))
    assert not relay.complete
    assert relay.error is None


def test_a_blocked_prompt_is_a_whole_answer() -> None:
    relay = GeminiStreamRelay()
    blocked = b'data: {"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":4}}\n\n'
    assert relay_all(relay, blocked) == blocked
    assert relay.complete
    assert relay.units == Units(input=4)


# --- usage that no provider reports --------------------------------------------------------------------------------

COUNTED = b'"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":1,"totalTokenCount":8}'
FINISH = event(text("lo"), finish="STOP")


def counting(**options: Any) -> GeminiStreamRelay:
    return GeminiStreamRelay(count_input=lambda: 7, **options)


def stated(last: bytes) -> bytes:
    return last.replace(b"{", b"{" + COUNTED + b",", 1)


def test_the_last_frame_states_a_count_where_nothing_was_reported() -> None:
    relay = counting()
    assert relay.receive(PLAIN[0]) == PLAIN[0]
    assert relay.receive(FINISH) == b""
    assert (relay.first_output, relay.complete) == (True, True)
    assert relay.finish() == stated(FINISH)
    assert relay.units is None
    assert relay.receive(b"") + relay.finish() == b""


def test_frames_behind_the_finish_follow_as_they_came() -> None:
    empty = event(finish="STOP")
    signed = event({"text": "", "thoughtSignature": "s"})
    relay = counting()
    assert [relay.receive(piece) for piece in (PLAIN[0], FINISH, empty, signed)] == [PLAIN[0], b"", FINISH, empty]
    assert relay.finish() == stated(signed)


def test_a_report_behind_the_finish_lets_all_go_unchanged() -> None:
    report = b'data: {"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2}}\n\n'
    relay = counting()
    assert relay_all(relay, PLAIN[0], FINISH, report) == PLAIN[0] + FINISH + report
    assert relay.units == Units(input=3, output=2)


def test_a_report_of_no_use_is_replaced() -> None:
    relay = counting()
    zeros = {"promptTokenCount": 0, "candidatesTokenCount": 0}
    last = event(text("Hello"), finish="STOP", usageMetadata=zeros)
    shown = last.replace(b'"usageMetadata":' + json.dumps(zeros, separators=(",", ":")).encode(), COUNTED)
    assert relay_all(relay, last) == shown != last


def test_an_array_states_it_under_the_public_model() -> None:
    relay = counting(array=True, public_model="pub")
    whole = json.loads(relay_all(relay, PLAIN[0], FINISH))
    assert whole[0] == {**json.loads(PLAIN[0][6:]), "modelVersion": "pub"}
    assert whole[1] == {**json.loads(FINISH[6:]), "modelVersion": "pub", **json.loads(b"{" + COUNTED + b"}")}
    assert json.loads(relay_all(counting(array=True), FINISH)) == [json.loads(stated(FINISH)[6:])]


def test_a_last_frame_without_its_blank_line_states_it_too() -> None:
    assert relay_all(counting(), PLAIN[0], FINISH.rstrip()) == PLAIN[0] + stated(FINISH)


@pytest.mark.parametrize("options", [{}, {"count_input": lambda: 7}])
@pytest.mark.parametrize(
    "stream",
    [PLAIN, (event(finish="STOP"),), (event(text("a")),), (b'data: {"promptFeedback":{"blockReason":1}}\n\n',)],
)
def test_nothing_is_held_where_it_was_reported_or_nothing_came_or_the_stream_was_cut(
    stream: tuple[bytes, ...], options: dict[str, Any]
) -> None:
    relay = GeminiStreamRelay(**options)
    assert [relay.receive(piece) for piece in stream] == list(stream)
    assert relay.finish() == b""


def test_an_end_that_an_error_follows_is_none() -> None:
    relay = counting()
    assert relay_all(relay, PLAIN[0], FINISH, b'data: {"error":{"code":500}}\n\n') == PLAIN[0]
    assert relay.error is not None


# --- errors ------------------------------------------------------------------------------------------------------


def test_an_error_object_ends_the_stream() -> None:
    relay = GeminiStreamRelay()
    error = b'data: {"error":{"code":429,"message":"Slow down","status":"RESOURCE_EXHAUSTED"}}\n\n'
    assert relay_all(relay, PLAIN[0], error, PLAIN[1]) == PLAIN[0]
    assert relay.error is not None
    assert relay.error.fault.type is ErrorType.UPSTREAM_RATE_LIMITED
    assert not relay.complete


def test_a_broken_event_ends_the_stream() -> None:
    for broken in (b"data: {\n\n", b"data: x\n\n", b'data: {"a":"\xff"}\n\n'):
        relay = GeminiStreamRelay()
        assert relay_all(relay, PLAIN[0], broken, PLAIN[1]) == PLAIN[0]
        assert relay.error is not None
        assert relay.error.fault.type is ErrorType.UPSTREAM_INVALID


@pytest.mark.parametrize("body", [b"<html>", b'{"candidates":[]}', b'[{"candidates":[]}]', b"\xef\xbb\xbf {}"])
def test_a_body_that_is_no_event_stream_is_an_error(body: bytes) -> None:
    relay = GeminiStreamRelay()
    assert relay_all(relay, body[:3], body[3:]) == b""
    assert relay.error is not None
    assert relay.error.fault.type is ErrorType.UPSTREAM_INVALID


@pytest.mark.parametrize("form", ["%s", "[%s]"])
def test_an_error_body_under_a_200_is_that_error(form: str) -> None:
    relay = GeminiStreamRelay()
    error = '{"error":{"code":400,"message":"The input token count (5) exceeds","status":"INVALID_ARGUMENT"}}'
    relay_all(relay, (form % error).encode())
    assert relay.error is not None
    assert relay.error.fault.code == "context_length_exceeded"


def test_other_without_any_content_is_a_failed_provider() -> None:
    relay = GeminiStreamRelay()
    assert relay_all(relay, event(finish="OTHER")) == b""
    assert relay.error is not None
    assert relay.error.cls is RetryClass.OTHER_CHANNEL
    relay = GeminiStreamRelay()
    relay_all(relay, event(text("a")), event(finish="OTHER"))
    assert relay.complete


def test_a_last_event_without_its_blank_line_counts_if_it_is_whole() -> None:
    relay = GeminiStreamRelay()
    assert relay_all(relay, PLAIN[0], PLAIN[1].rstrip()) == b"".join(PLAIN)
    assert relay.complete
    relay = GeminiStreamRelay()
    assert relay_all(relay, PLAIN[0], PLAIN[1][:40]) == PLAIN[0]
    assert not relay.complete


def test_an_event_is_bounded() -> None:
    relay = GeminiStreamRelay()
    assert relay.receive(b"data: " + b"x" * (limits.UPSTREAM_EVENT_BYTES_MAX + 1)) == b""
    assert relay.error is not None
    assert relay.error.fault.type is ErrorType.UPSTREAM_INVALID
