"""The relay of an old completion's stream: bytes through, facts beside."""

import json
from itertools import pairwise

import pytest

from trunkline.core import limits
from trunkline.core.errors import ErrorType
from trunkline.core.usage import Units
from trunkline.protocol.endpoint import Provider
from trunkline.protocol.endpoints.completion_stream import CompletionStream
from trunkline.protocol.endpoints.completions import LegacyCompletions
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.tokens import count_text
from trunkline.protocol.upstream_error import RetryClass
from trunkline.protocol.vendor import VendorOptions

DONE = b"data: [DONE]\n\n"


def chunk(text: object = None, finish: object = None, **members: object) -> bytes:
    tree = {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "choices": [{"text": text, "index": 0, "logprobs": None, "finish_reason": finish}],
        "model": "up",
        **members,
    }
    return b"data: " + json.dumps(tree, separators=(",", ":")).encode() + b"\n\n"


def usage(prompt: int = 3, completion: int = 2) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def relay_all(relay: CompletionStream, *chunks: bytes) -> bytes:
    return b"".join([relay.receive(piece) for piece in chunks]) + relay.finish()


PLAIN = (chunk("Hel"), chunk("lo"), chunk("", "stop"))


def test_bytes_pass_unchanged_and_facts_are_read() -> None:
    relay = CompletionStream()
    stream = (*PLAIN, chunk(choices=[], usage=usage()), DONE)
    assert relay_all(relay, *stream) == b"".join(stream)
    assert (relay.first_output, relay.complete, relay.error) == (True, True, None)
    assert relay.units == Units(input=3, output=2)
    assert relay.output_tokens_counted() == count_text("Hello")


def test_a_whole_event_is_passed_as_the_very_same_object() -> None:
    event = PLAIN[1]
    assert CompletionStream().receive(event) is event


def test_the_beginning_of_an_event_waits_for_its_end() -> None:
    relay = CompletionStream()
    assert relay.receive(PLAIN[0][:20]) == b""
    assert not relay.first_output
    assert relay.receive(PLAIN[0][20:] + PLAIN[1][:20]) == PLAIN[0]
    assert relay.first_output


@pytest.mark.parametrize(
    "event",
    [
        chunk(""),
        chunk(None),
        chunk("", ""),
        chunk(choices=[]),
        chunk(choices=None),
        chunk(choices=[], prompt_filter_results=[{"prompt_index": 0}]),
        chunk(choices=["odd", 1]),
        chunk("", usage=None, error=None),
        chunk("", error={}),
        b": keep-alive\n\n",
        b"data: null\n\n",
        b"data: 5\n\n",
        b"data:\n\n",
        b"data: {}\n\n",
        b"event: ping\n\n",
        b"\n\n",
    ],
)
def test_what_is_no_output_passes_without_a_fact(event: bytes) -> None:
    relay = CompletionStream()
    assert relay.receive(event) == event
    assert (relay.first_output, relay.complete, relay.units, relay.error) == (False, False, None, None)


# --- ends ----------------------------------------------------------------------------------------------------


def test_an_end_needs_a_finish_reason_but_no_done() -> None:
    relay = CompletionStream()
    relay_all(relay, *PLAIN)
    assert relay.complete


def test_done_without_a_finish_reason_is_complete_only_where_that_is_known() -> None:
    for lenient in (False, True):
        relay = CompletionStream(lenient=lenient)
        relay_all(relay, *PLAIN[:2], DONE)
        assert relay.complete is lenient


def test_each_choice_with_output_has_to_finish() -> None:
    relay = CompletionStream()
    relay.receive(chunk(choices=[{"index": 0, "text": "a"}, {"index": 1, "text": "b"}]))
    relay.receive(chunk(choices=[{"index": 1, "text": "", "finish_reason": "stop"}]))
    assert not relay.complete
    relay.receive(chunk(choices=[{"index": 0, "text": "", "finish_reason": "length"}]))
    assert relay.complete


def test_choices_without_bounds_cost_no_memory() -> None:
    relay = CompletionStream()
    for index in range(-500, 500):
        relay.receive(chunk(choices=[{"index": index, "text": "a", "finish_reason": "stop"}]))
    assert len(relay._output_choices) <= 128
    assert len(relay._finished_choices) <= 128


def test_a_last_event_without_its_blank_line_counts_if_it_parses() -> None:
    relay = CompletionStream()
    assert relay_all(relay, *PLAIN[:2], PLAIN[2][:-1]) == b"".join(PLAIN)
    assert relay.complete
    relay = CompletionStream(lenient=True)
    assert relay_all(relay, *PLAIN[:2], DONE[:-2]) == b"".join(PLAIN[:2]) + DONE
    assert relay.complete


def test_a_cut_event_is_not_passed_and_the_stream_is_not_complete() -> None:
    relay = CompletionStream()
    assert relay_all(relay, PLAIN[0], PLAIN[1][:-5]) == PLAIN[0]
    assert (relay.complete, relay.error) == (False, None)
    assert relay.output_tokens_counted() == count_text("Hel")


@pytest.mark.parametrize("finish", ["error", "insufficient_system_resource", "network_error", "abort"])
def test_a_finish_reason_that_means_failure_is_an_error(finish: str) -> None:
    relay = CompletionStream()
    assert relay_all(relay, PLAIN[0], chunk("", finish), DONE) == PLAIN[0]
    assert relay.error is not None
    assert relay.error.fault.type is ErrorType.UPSTREAM_ERROR
    assert not relay.complete


# --- usage ---------------------------------------------------------------------------------------------------


def test_the_extra_usage_chunk_is_withheld_and_nothing_else() -> None:
    null_usage = [chunk("x", usage=None), chunk("", "stop", usage=None)]
    with_finish = chunk("", "stop", usage=usage())
    relay = CompletionStream(hide_usage=True)
    stream = (*null_usage, with_finish, chunk(choices=[], usage=usage(5, 6)), DONE)
    # As if the gateway had not asked: no chunk says that its usage is not known yet, either.
    assert relay_all(relay, *stream) == b"".join((chunk("x"), chunk("", "stop"), with_finish, DONE))
    assert relay.units == Units(input=5, output=6)


def test_null_usage_stays_for_a_client_that_asked_and_inside_texts() -> None:
    null_usage = chunk("x", usage=None)
    assert CompletionStream().receive(null_usage) == null_usage
    text = chunk(',"usage":null', usage=usage())
    assert CompletionStream(hide_usage=True).receive(text) == text


def test_cumulative_usage_is_never_summed_and_a_bad_report_replaces_none() -> None:
    relay = CompletionStream()
    relay_all(
        relay, *[chunk("x", usage=usage(3, number)) for number in (1, 2, 3)], chunk("", "stop", usage=usage(0, 0))
    )
    assert relay.units == Units(input=3, output=3)


@pytest.mark.parametrize("report", [usage(0, 0), usage(3, 0), {"prompt_tokens": "3"}, {}, 5])
def test_an_unusable_report_counts_as_missing(report: object) -> None:
    relay = CompletionStream()
    relay_all(relay, *PLAIN, chunk(choices=[], usage=report), DONE)
    assert (relay.units, relay.error) == (None, None)
    assert relay.opening == (Units(input=3) if report == usage(3, 0) else None), "what it says of the input still holds"


def test_an_echoed_prompt_is_no_output() -> None:
    relay = CompletionStream(echo=True)
    relay_all(relay, *PLAIN, chunk(choices=[], usage=usage(3, 0)), DONE)
    assert (relay.units, relay.opening) == (Units(input=3), None)


# --- errors --------------------------------------------------------------------------------------------------


def test_an_error_event_ends_the_relay_after_what_came_before() -> None:
    relay = CompletionStream()
    event = b'data: {"error":{"message":"slow down","type":"rate_limit_error","code":429}}\n\n'
    assert relay.receive(PLAIN[0] + event + PLAIN[1]) == PLAIN[0]
    assert relay.receive(DONE) == b""
    assert relay.finish() == b""
    assert relay.error is not None
    assert relay.error.cls is RetryClass.OTHER_CREDENTIAL
    assert not relay.complete


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error":"server exploded"}\n\n',
        b'data: {"object":"error","message":"boom","code":500}\n\n',
        b'event: error\ndata: {"error": {"message":"boom"}}\n\n',
        chunk("x", "error", error={"code": 502, "message": "boom"}),
    ],
)
def test_errors_of_every_shape_are_seen(event: bytes) -> None:
    relay = CompletionStream()
    assert relay.receive(event) == b""
    assert relay.error is not None
    assert relay.error.fault.type is ErrorType.UPSTREAM_ERROR


@pytest.mark.parametrize(
    "event",
    [
        b"data: hello\n\n",
        b'data: {"choices":[{"text":"x"}\n\n',
        b'data: {"choices":[]} {"choices":[]}\n\n',
        b'data: {"x":"\xff"}\n\n',
        b"data: " + b"[" * 100_000 + b"\n\n",
    ],
)
def test_a_broken_event_is_an_invalid_answer(event: bytes) -> None:
    relay = CompletionStream()
    assert relay.receive(PLAIN[1] + event) == PLAIN[1]
    assert relay.error is not None
    assert relay.error.fault.type is ErrorType.UPSTREAM_INVALID


def test_an_event_without_end_is_bounded() -> None:
    relay = CompletionStream()
    part = b"data: " + b"x" * (1024 * 1024)
    for _ in range(limits.UPSTREAM_EVENT_BYTES_MAX // len(part) + 2):
        assert relay.receive(part) == b""
    assert relay.error is not None
    assert relay.error.fault.type is ErrorType.UPSTREAM_INVALID


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>" + b"x" * 200_000, ErrorType.UPSTREAM_INVALID),
        (b'\xef\xbb\xbf {"choices":[{"text":"x"}]}\n\n', ErrorType.UPSTREAM_INVALID),
        (b'[{"a":1}]\n\n', ErrorType.UPSTREAM_INVALID),
        (b'{"error":{"message":"overloaded","type":"overloaded_error"}}', ErrorType.UPSTREAM_OVERLOADED),
    ],
)
def test_a_body_that_is_no_event_stream_is_never_relayed(body: bytes, kind: ErrorType) -> None:
    relay = CompletionStream()
    assert relay_all(relay, body[:1], body[1:50], body[50:]) == b""
    assert relay.error is not None
    assert relay.error.fault.type is kind


def test_a_foreign_body_costs_bounded_memory() -> None:
    relay = CompletionStream()
    for _ in range(4):
        assert relay.receive(b"<" + b"x" * limits.UPSTREAM_ERROR_BYTES_MAX) == b""
    assert len(relay._start.body) == limits.UPSTREAM_ERROR_BYTES_MAX
    assert relay.finish() == b""
    assert relay.error is not None


def test_an_empty_body_is_not_complete() -> None:
    relay = CompletionStream()
    assert relay_all(relay, b"\n", b"") == b"\n"
    assert not relay.complete


# --- the model's name ----------------------------------------------------------------------------------------


def test_the_model_is_renamed_and_nothing_else() -> None:
    stream = (*PLAIN, chunk(choices=[], usage=usage()), DONE)
    renamed = b"".join(stream).replace(b'"model":"up"', b'"model":"pub\\"lic"')
    assert relay_all(CompletionStream(public_model='pub"lic'), *stream) == renamed


def test_only_the_top_level_model_is_renamed_wherever_it_stands() -> None:
    stream = (
        b'data: {"vendor":{"model":"up"},"choices":[], "model" : "up-2" }\r\n\r\n',
        b'data: {"choices":[]}\n\n',
        b'event: x\ndata: {"choices":[],\ndata: "model":"up"}\n\n',
    )
    assert relay_all(CompletionStream(public_model="p"), *stream) == (
        b'data: {"vendor":{"model":"up"},"choices":[], "model" : "p" }\r\n\r\n'
        b'data: {"choices":[]}\n\n'
        b'event: x\ndata: {"choices":[],\ndata: "model":"p"}\n\n'
    )


def test_borders_between_chunks_do_not_matter_for_renaming() -> None:
    stream = b"".join(PLAIN)
    borders = [0, *range(1, len(stream), 7), len(stream)]
    relay = CompletionStream(public_model="p")
    assert relay_all(relay, *[stream[start:end] for start, end in pairwise(borders)]) == stream.replace(b'"up"', b'"p"')


# --- from the endpoint ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "shown"),
    [(True, (*PLAIN, chunk(choices=[], usage=usage()), DONE)), (False, (*PLAIN, DONE))],
)
def test_the_endpoint_hides_usage_from_a_client_that_did_not_ask(asked: bool, shown: tuple[bytes, ...]) -> None:
    body = json.dumps(
        {"model": "m", "prompt": "p", "stream": True, "stream_options": {"include_usage": asked}}
    ).encode()
    provider = Provider("openai", "up", "up", VendorOptions(), RequestRules())
    call = LegacyCompletions().open(body, "", provider)
    assert isinstance(call.stream, CompletionStream)
    assert relay_all(call.stream, *PLAIN, chunk(choices=[], usage=usage()), DONE) == b"".join(shown)


def test_the_endpoint_renames_and_knows_the_channels_lenience_and_the_clients_echo() -> None:
    provider = Provider("openai", "up", "public", VendorOptions(lenient_end=True), RequestRules())
    call = LegacyCompletions().open(b'{"model":"m","prompt":"p","stream":true,"echo":true}', "", provider)
    assert isinstance(call.stream, CompletionStream)
    passed = relay_all(call.stream, PLAIN[0], chunk(choices=[], usage=usage(3, 0)), DONE)
    assert passed == PLAIN[0].replace(b'"up"', b'"public"') + DONE
    assert call.stream.complete
    assert call.stream.units == Units(input=3)
