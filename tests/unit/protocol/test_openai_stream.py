"""The relay of a chat stream: bytes through, facts beside."""

import json
from itertools import pairwise
from typing import Any

import pytest

from trunkline.core import limits
from trunkline.core.errors import ErrorType
from trunkline.core.usage import Units
from trunkline.protocol.openai_chat.stream import ChatStreamRelay
from trunkline.protocol.tokens import count_text
from trunkline.protocol.upstream_error import RetryClass

DONE = b"data: [DONE]\n\n"
ROLE = {"role": "assistant", "content": ""}


def chunk(delta: object = None, finish: object = None, **members: object) -> bytes:
    tree = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "up",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **members,
    }
    return b"data: " + json.dumps(tree, separators=(",", ":")).encode() + b"\n\n"


def usage(prompt: int = 3, completion: int = 2) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def relay_all(relay: ChatStreamRelay, *chunks: bytes) -> bytes:
    return b"".join([relay.receive(piece) for piece in chunks]) + relay.finish()


PLAIN = (chunk(ROLE), chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk({}, "stop"))


def test_bytes_pass_unchanged_and_facts_are_read() -> None:
    relay = ChatStreamRelay()
    stream = (*PLAIN, chunk(choices=[], usage=usage()), DONE)
    assert relay_all(relay, *stream) == b"".join(stream)
    assert (relay.first_output, relay.finished, relay.done, relay.complete) == (True, True, True, True)
    assert relay.units == Units(input=3, output=2)
    assert relay.error is None
    assert relay.error is None
    assert relay.output_tokens_counted() == count_text("Hello")


def test_a_whole_event_is_passed_as_the_very_same_object() -> None:
    event = PLAIN[1]
    assert ChatStreamRelay().receive(event) is event


def test_the_beginning_of_an_event_waits_for_its_end() -> None:
    relay = ChatStreamRelay()
    assert relay.receive(PLAIN[0] + PLAIN[1][:20]) == PLAIN[0]
    assert not relay.first_output
    assert relay.receive(PLAIN[1][20:]) == PLAIN[1]
    assert relay.first_output


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "x"},
        {"reasoning_content": "x"},
        {"reasoning": "x", "content": None},
        {"refusal": "x"},
        {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0}]},
        {"function_call": {"name": "f"}},
        {"audio": {"data": "AA=="}},
        {"images": [{"image_url": {"url": "data:"}}]},
        {"content": [{"type": "thinking", "thinking": "x"}]},
        {"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
    ],
)
def test_any_kind_of_output_is_a_first_output(delta: object) -> None:
    relay = ChatStreamRelay()
    relay.receive(chunk(ROLE))
    assert not relay.first_output
    relay.receive(chunk(delta))
    assert relay.first_output
    assert relay.error is None


@pytest.mark.parametrize(
    "event",
    [
        chunk(ROLE),
        chunk({}),
        chunk(None),
        chunk({"content": None}),
        chunk({"content": "", "tool_calls": [], "audio": None}),
        chunk(choices=[]),
        chunk(choices=None),
        chunk({}, ""),
        chunk(choices=[], prompt_filter_results=[{"index": 0}]),
        chunk(choices=["odd", 1]),
        b": keep-alive\n\n",
        b"data: null\n\n",
        b"data: 5\n\n",
        b"data:\n\n",
        b"data: {}\n\n",
        b"event: ping\n\n",
        b"\n\n",
        chunk({}, error=None),
        chunk({}, error={}),
    ],
)
def test_what_is_no_output_passes_without_a_fact(event: bytes) -> None:
    relay = ChatStreamRelay(hide_usage=True)
    assert relay.receive(event) == event
    assert (relay.first_output, relay.finished, relay.done, relay.units, relay.error) == (
        False,
        False,
        False,
        None,
        None,
    )


# --- ends ----------------------------------------------------------------------------------------------------


def test_an_end_needs_a_finish_reason_but_no_done() -> None:
    relay = ChatStreamRelay()
    relay_all(relay, *PLAIN)
    assert relay.complete
    assert not relay.done


def test_done_without_a_finish_reason_is_complete_only_where_that_is_known() -> None:
    for lenient in (False, True):
        relay = ChatStreamRelay(lenient=lenient)
        # A client would take the answer for a whole one if it got the end of the stream.
        assert relay_all(relay, *PLAIN[:3], DONE) == b"".join(PLAIN[:3]) + (DONE if lenient else b"")
        assert relay.complete is lenient


def test_each_choice_with_output_has_to_finish() -> None:
    relay = ChatStreamRelay()
    relay.receive(chunk(choices=[{"index": 0, "delta": {"content": "a"}}, {"index": 1, "delta": {"content": "b"}}]))
    relay.receive(chunk(choices=[{"index": 1, "delta": {}, "finish_reason": "stop"}]))
    assert not relay.complete
    relay.receive(chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "length"}]))
    assert relay.complete


def test_choices_without_bounds_cost_no_memory() -> None:
    relay = ChatStreamRelay()
    for index in range(-500, 500):
        relay.receive(chunk(choices=[{"index": index, "delta": {"content": "a"}}]))
    assert len(relay._output_choices) <= 128


def test_a_last_event_without_its_blank_line_counts_if_it_parses() -> None:
    relay = ChatStreamRelay()
    assert relay_all(relay, *PLAIN[:3], PLAIN[3][:-1]) == b"".join(PLAIN) + DONE
    assert relay.complete
    relay = ChatStreamRelay()
    assert relay_all(relay, *PLAIN, DONE[:-2]) == b"".join(PLAIN) + DONE
    assert relay.done


def test_a_whole_answer_ends_with_done_and_nothing_comes_behind_it() -> None:
    for behind in ((), PLAIN, (b"data: {\n\n",), (error_event("boom"),), (b"\x00 bye\n\n",), (b"data: {",), (DONE,)):
        relay = ChatStreamRelay()
        assert relay_all(relay, *PLAIN, DONE, *behind) == b"".join(PLAIN) + DONE
        relay_of_one = ChatStreamRelay()
        assert relay_all(relay_of_one, b"".join((*PLAIN, DONE, *behind))) == b"".join(PLAIN) + DONE
        assert (relay.error, relay_of_one.error) == (None, None)
        assert relay.complete
        assert relay.output_tokens_counted() == relay_of_one.output_tokens_counted() == count_text("Hello")
    assert relay_all(ChatStreamRelay(), *PLAIN) == b"".join(PLAIN) + DONE


def test_a_cut_event_is_not_passed_and_the_stream_is_not_complete() -> None:
    relay = ChatStreamRelay()
    assert relay_all(relay, *PLAIN[:2], PLAIN[2][:-5]) == b"".join(PLAIN[:2])
    assert not relay.complete
    assert relay.error is None
    assert relay.output_tokens_counted() == count_text("Hel")


@pytest.mark.parametrize("finish", ["error", "insufficient_system_resource", "network_error", "abort"])
def test_a_finish_reason_that_means_failure_is_an_error(finish: str) -> None:
    relay = ChatStreamRelay()
    assert relay_all(relay, PLAIN[1], chunk({}, finish), DONE) == PLAIN[1]
    assert relay.error is not None
    assert relay.error.fault.type is ErrorType.UPSTREAM_ERROR
    assert not relay.complete


# --- usage ---------------------------------------------------------------------------------------------------


def test_the_extra_usage_chunk_is_withheld_and_nothing_else() -> None:
    null_usage = [chunk({"content": "x"}, usage=None), chunk({}, "stop", usage=None)]
    with_finish = chunk({}, "stop", usage=usage())
    relay = ChatStreamRelay(hide_usage=True)
    stream = (*null_usage, with_finish, chunk(choices=[], usage=usage(5, 6)), DONE)
    # As if the gateway had not asked: no chunk says that its usage is not known yet, either.
    without = [chunk({"content": "x"}), chunk({}, "stop")]
    assert relay_all(relay, *stream) == b"".join((*without, with_finish, DONE))
    assert relay.units == Units(input=5, output=6)


def test_null_usage_stays_for_a_client_that_asked_and_inside_texts() -> None:
    asked = ChatStreamRelay()
    null_usage = chunk({"content": "x"}, usage=None)
    assert asked.receive(null_usage) == null_usage
    text = chunk({"content": ',"usage":null'})
    assert ChatStreamRelay(hide_usage=True).receive(text) == text


def test_cumulative_usage_is_never_summed() -> None:
    relay = ChatStreamRelay()
    relay_all(relay, *[chunk({"content": "x"}, usage=usage(3, number)) for number in (1, 2, 3)])
    assert relay.units == Units(input=3, output=3)


def test_usage_in_groqs_place_is_read() -> None:
    relay = ChatStreamRelay()
    relay_all(relay, chunk({"content": "x"}), chunk({}, "stop", x_groq={"id": "r", "usage": usage(4, 5)}))
    assert relay.units == Units(input=4, output=5)


@pytest.mark.parametrize(
    "report", [usage(0, 0), usage(3, 0), {"prompt_tokens": "3", "completion_tokens": 2}, {"prompt_tokens": -1}, {}, 5]
)
def test_an_unusable_report_counts_as_missing(report: object) -> None:
    relay = ChatStreamRelay()
    relay_all(relay, *PLAIN, chunk(choices=[], usage=report), DONE)
    assert relay.units is None
    assert relay.error is None


def test_an_unusable_report_does_not_replace_a_good_one() -> None:
    relay = ChatStreamRelay()
    relay_all(relay, chunk({"content": "x"}, usage=usage()), chunk({}, "stop", usage=usage(0, 0)))
    assert relay.units == Units(input=3, output=2)


def test_long_output_is_counted_in_bounded_memory() -> None:
    relay = ChatStreamRelay()
    words = [f" word{number}" for number in range(1000)]
    held = 0
    for word in words:
        relay.receive(chunk({"content": word}))
        held = max(held, sum(map(len, relay._counter._pieces)))
    relay.receive(chunk({"content": "x" * 100_000}))
    assert held < 1000
    assert not relay._counter._pieces
    exact = count_text("".join(words) + "x" * 100_000)
    assert abs(relay.output_tokens_counted() - exact) <= 0.01 * exact


def test_reasoning_and_tool_calls_are_counted() -> None:
    relay = ChatStreamRelay()
    relay.receive(chunk({"reasoning_content": "think", "reasoning": "think"}))
    relay.receive(chunk({"tool_calls": [{"index": 0, "function": {"name": "look", "arguments": '{"a":1}'}}]}))
    assert relay.output_tokens_counted() == count_text('thinklook{"a":1}')


# --- usage that no provider reports ----------------------------------------------------------------------------


def counting(**options: Any) -> ChatStreamRelay:
    return ChatStreamRelay(count_input=lambda: 7, **options)


def counted(model: str = "up", **members: object) -> bytes:
    details = {
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    report = {**usage(7, count_text("Hello")), **details}
    return chunk(choices=[], model=model, **{**members, "usage": report})


def test_a_client_that_asked_gets_a_counted_usage_before_the_end() -> None:
    relay = counting()
    assert relay_all(relay, *PLAIN, DONE) == b"".join(PLAIN) + counted() + DONE
    assert relay.complete
    assert relay.units is None
    renamed = b"".join(PLAIN).replace(b'"up"', b'"public"') + counted("public") + DONE
    assert relay_all(counting(public_model="public"), *PLAIN, DONE) == renamed


def test_it_stands_before_the_end_where_that_is_missing_or_not_whole() -> None:
    for rest in (b"", DONE[:-1], DONE[:-2], b"data: [DO"):
        relay = counting()
        assert relay_all(relay, *PLAIN, rest) == b"".join(PLAIN) + counted() + DONE
        assert relay.receive(b"") + relay.finish() == b""


def test_it_has_what_all_chunks_share_and_not_what_one_said() -> None:
    special = {"service_tier": "default", "obfuscation": "abc", "timings": {"ms": 1}}
    stream = (PLAIN[0], chunk({"content": "Hello"}, "stop", **special), chunk(choices=[], id=""))
    shared = counted().replace(b'"choices"', b'"service_tier":"default","choices"')
    assert relay_all(counting(), *stream, DONE) == b"".join(stream) + shared + DONE


def test_a_report_of_no_use_is_followed_by_the_count() -> None:
    zeros = chunk(choices=[], usage=usage(0, 0))
    assert relay_all(counting(), *PLAIN, zeros, DONE) == b"".join((*PLAIN, zeros, counted(), DONE))


@pytest.mark.parametrize(
    ("stream", "options"),
    [
        ((*PLAIN, chunk(choices=[], usage=usage()), DONE), {}),
        ((*PLAIN[:3], chunk({}, "stop", usage=usage()), DONE), {}),
        ((*PLAIN[:3], chunk({}, "stop", x_groq={"usage": usage()}), DONE), {}),
        ((*PLAIN, DONE), {"hide_usage": True}),
        ((PLAIN[0], PLAIN[3], DONE), {}),
        (PLAIN[:3], {}),
        (PLAIN[:3], {"lenient": True}),
    ],
)
def test_nothing_is_added_where_it_was_reported_or_nobody_asked_or_nothing_came_or_the_stream_was_cut(
    stream: tuple[bytes, ...], options: dict[str, Any]
) -> None:
    assert relay_all(counting(**options), *stream) == b"".join(stream)


def test_an_error_behind_the_finish_leaves_no_room_for_usage() -> None:
    relay = counting()
    assert relay_all(relay, *PLAIN, error_event("boom"), DONE) == b"".join(PLAIN)
    assert relay.error is not None


# --- errors --------------------------------------------------------------------------------------------------


def error_event(error: object) -> bytes:
    return b"data: " + json.dumps({"error": error}).encode() + b"\n\n"


def test_an_error_event_ends_the_relay_after_what_came_before() -> None:
    relay = ChatStreamRelay()
    event = error_event({"message": "slow down sk-abcdefghijklmn", "type": "rate_limit_error", "code": 429})
    assert relay.receive(PLAIN[0] + PLAIN[1] + event + PLAIN[2]) == PLAIN[0] + PLAIN[1]
    assert relay.receive(DONE) == b""
    assert relay.finish() == b""
    assert relay.error is not None
    assert relay.error.cls is RetryClass.OTHER_CREDENTIAL
    assert relay.error.fault.type is ErrorType.UPSTREAM_RATE_LIMITED
    assert not relay.done
    assert not relay.complete


@pytest.mark.parametrize(
    "event",
    [
        error_event("server exploded"),
        b'data: {"object":"error","message":"boom","code":500}\n\n',
        b'data: {"code":"internal","error":"boom"}\n\n',
        b'event: error\ndata: {"error": {"message":"boom"}}\n\n',
        chunk({"content": ""}, "error", error={"code": 502, "message": "boom"}),
    ],
)
def test_errors_of_every_shape_are_seen(event: bytes) -> None:
    relay = ChatStreamRelay()
    assert relay.receive(event) == b""
    assert relay.error is not None
    assert relay.error.fault.type is ErrorType.UPSTREAM_ERROR


@pytest.mark.parametrize(
    "event",
    [
        b"data: hello\n\n",
        b'data: {"choices":[{"delta":{"content":"x"}}\n\n',
        b'data: {"id": "x", "choi\n\n',
        b'data: {"choices":[]} {"choices":[]}\n\n',
        b'data: {"x":"\xff"}\n\n',
        b'data: {"choices":[]}\rdata: {"choices":[]}\n\n',
        b"data: " + b"[" * 100_000 + b"\n\n",
    ],
)
def test_a_broken_event_is_an_invalid_answer(event: bytes) -> None:
    relay = ChatStreamRelay(public_model="public")
    assert relay.receive(PLAIN[1] + event).endswith(b'"finish_reason":null}]}\n\n')
    assert relay.error is not None
    assert relay.error.fault.type is ErrorType.UPSTREAM_INVALID
    assert not relay.complete


def test_an_event_without_end_is_bounded() -> None:
    relay = ChatStreamRelay()
    part = b"data: " + b"x" * (1024 * 1024)
    for _ in range(limits.UPSTREAM_EVENT_BYTES_MAX // len(part) + 2):
        assert relay.receive(part) == b""
    assert relay.error is not None
    assert relay.error.fault.type is ErrorType.UPSTREAM_INVALID


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>" + b"x" * 200_000, ErrorType.UPSTREAM_INVALID),
        (b'\xef\xbb\xbf {"choices":[{"message":{"content":"x"}}]}\n\n', ErrorType.UPSTREAM_INVALID),
        (b'[{"a":1}]\n\n', ErrorType.UPSTREAM_INVALID),
        (b'{"error":{"message":"overloaded","type":"overloaded_error"}}', ErrorType.UPSTREAM_OVERLOADED),
    ],
)
def test_a_body_that_is_no_event_stream_is_never_relayed(body: bytes, kind: ErrorType) -> None:
    relay = ChatStreamRelay()
    pieces = [body[:1], body[1:50], body[50:]]
    assert relay_all(relay, *pieces) == b""
    assert relay.error is not None
    assert relay.error.fault.type is kind


def test_an_empty_body_is_not_complete() -> None:
    relay = ChatStreamRelay()
    assert relay_all(relay, b"\n", b"") == b"\n"
    assert not relay.complete


# --- the model's name ----------------------------------------------------------------------------------------


def test_the_model_is_renamed_and_nothing_else() -> None:
    stream = (*PLAIN, chunk(choices=[], usage=usage()), DONE)
    renamed = b"".join(stream).replace(b'"model":"up"', b'"model":"pub\\"lic"')
    assert relay_all(ChatStreamRelay(public_model='pub"lic'), *stream) == renamed


def test_a_model_in_another_place_is_found_again() -> None:
    stream = (
        PLAIN[1],
        b'data: {"vendor":{"model":"up"},"choices":[], "model" : "up-2" }\r\n\r\n',
        b'data: {"model":"","choices":[]}\n\n',
        b'data: {"choices":[]}\n\n',
        PLAIN[2],
    )
    assert relay_all(ChatStreamRelay(public_model="p"), *stream) == (
        PLAIN[1].replace(b'"up"', b'"p"')
        + b'data: {"vendor":{"model":"up"},"choices":[], "model" : "p" }\r\n\r\n'
        + b'data: {"model":"p","choices":[]}\n\n'
        + b'data: {"choices":[]}\n\n'
        + PLAIN[2].replace(b'"up"', b'"p"')
    )


def test_an_event_of_several_data_lines_is_renamed() -> None:
    event = b'event: x\ndata: {"choices":[],\ndata: "model":"up"}\n\n'
    relayed = relay_all(ChatStreamRelay(public_model="p"), event)
    assert relayed == b'event: x\ndata: {"choices":[],\ndata: "model":"p"}\n\n'


def test_borders_between_chunks_do_not_matter_for_renaming() -> None:
    stream = b"".join(PLAIN)
    borders = [0, *range(1, len(stream), 7), len(stream)]
    relay = ChatStreamRelay(public_model="p")
    pieces = [stream[start:end] for start, end in pairwise(borders)]
    assert relay_all(relay, *pieces) == stream.replace(b'"up"', b'"p"') + DONE
