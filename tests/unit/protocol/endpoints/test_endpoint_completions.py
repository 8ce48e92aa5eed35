"""The old completions, whole: what is read of a request, what goes on, and what an answer used."""

import json
from typing import Any

import msgspec
import pytest

from trunkline.core.errors import ErrorType, FaultError
from trunkline.core.usage import Units
from trunkline.protocol.dialect import ClientRequest, WholeAnswer
from trunkline.protocol.endpoint import EndpointCall, Provider
from trunkline.protocol.endpoints.completions import LegacyCompletions
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.tokens import count_text
from trunkline.protocol.upstream_error import RetryClass
from trunkline.protocol.vendor import VendorOptions

ENDPOINT = LegacyCompletions()
OPENAI = Provider("openai", "up", "public", VendorOptions(), RequestRules())


def opened(body: bytes, provider: Provider = OPENAI) -> EndpointCall:
    ENDPOINT.read_head(body, "")
    return ENDPOINT.open(body, "", provider)


def read(body: bytes, request: bytes = b'{"model":"m","prompt":"p"}') -> tuple[WholeAnswer, bytes]:
    call = opened(request)
    assert call.whole is not None
    assert call.stream is None
    return call.whole(body)


def answer(*texts: object, finish: object = "stop", **members: Any) -> bytes:
    choices = [
        {"text": text, "index": index, "logprobs": None, "finish_reason": finish} for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    tree = {"id": "cmpl-1", "object": "text_completion", "model": "up", "choices": choices, "usage": usage, **members}
    return json.dumps(tree).encode()


# --- the request ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "max_output"),
    [
        ({}, 0),
        ({"max_tokens": 16}, 16),
        ({"max_tokens": 0, "echo": True}, 0),
        ({"max_tokens": 10, "n": 2}, 20),
        ({"max_tokens": 10, "n": 2, "best_of": 3}, 30),
        ({"max_tokens": 10, "n": 2, "prompt": ["a", "b", "c"]}, 60),
        ({"max_tokens": 10, "prompt": [[1, 2], [3]]}, 20),
        ({"max_tokens": 10, "prompt": [1, 2, 3]}, 10),
        ({"max_tokens": 2**31 - 1, "n": 2}, 2**31 - 1),
    ],
)
def test_the_bound_on_output_covers_all_completions(members: dict[str, Any], max_output: int) -> None:
    body = json.dumps({"model": "m", "prompt": "x", **members}).encode()
    assert ENDPOINT.read_head(body, "") == ClientRequest("m", stream=False, max_output=max_output)


@pytest.mark.parametrize(
    ("members", "choices"),
    [
        ({"max_tokens": None, "n": 2}, 2),
        ({"n": 2, "best_of": 3, "prompt": ["a", "b"]}, 6),
        ({"prompt": [1, 2, 3]}, 1),
        ({"n": 10**6}, 1024),
    ],
)
def test_completions_without_a_bound_are_counted(members: dict[str, Any], choices: int) -> None:
    body = json.dumps({"model": "m", "prompt": "x", **members}).encode()
    assert ENDPOINT.read_head(body, "") == ClientRequest("m", stream=False, choices=choices)


def test_stream_and_its_options_are_read() -> None:
    body = b'{"model":"m","prompt":"","stream":true,"stream_options":{"include_usage":true}}'
    assert ENDPOINT.read_head(body, "") == ClientRequest("m", stream=True, wants_usage=True)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": {}}, "prompt"),
        ({"model": None}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"best_of": "2"}, "best_of"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
    ],
)
def test_a_wrong_field_is_named(members: dict[str, Any], param: str) -> None:
    with pytest.raises(FaultError) as caught:
        ENDPOINT.read_head(json.dumps({"model": "m", "prompt": "x", **members}).encode(), "")
    assert (caught.value.fault.type, caught.value.fault.param) == (ErrorType.CLIENT_BAD_REQUEST, param)


def test_a_whole_request_passes_but_for_the_model() -> None:
    body = b'{"model": "up","prompt":[1,2], "logit_bias":{"50256":-100}, "suffix":"s","best_of":2}'
    call = opened(body)
    assert call.body is body
    assert (call.call.path, call.answer_type) == ("/completions", "application/json")
    assert opened(body.replace(b"up", b"public")).body == body


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (b"", b'{"stream_options":{"include_usage":true},"model":"up","prompt":"x","stream":true}'),
        (
            b',"stream_options":{ "a":1}',
            b'{"model":"up","prompt":"x","stream":true,"stream_options":{"include_usage":true, "a":1}}',
        ),
        (
            b',"stream_options":{"include_usage":false}',
            b'{"model":"up","prompt":"x","stream":true,"stream_options":{"include_usage":true}}',
        ),
        (
            b',"stream_options":null',
            b'{"model":"up","prompt":"x","stream":true,"stream_options":{"include_usage":true}}',
        ),
    ],
)
def test_a_stream_is_asked_for_its_usage(options: bytes, sent: bytes) -> None:
    call = opened(b'{"model":"up","prompt":"x","stream":true' + options + b"}")
    assert call.body == sent
    assert call.whole is None
    assert call.stream is not None
    assert call.answer_type == "text/event-stream; charset=utf-8"


def test_a_client_that_asked_itself_changes_nothing() -> None:
    body = b'{"model":"up","prompt":"x","stream":true,"stream_options":{"include_usage":true}}'
    assert opened(body).body is body


def test_a_rule_against_stream_options_wins() -> None:
    provider = msgspec.structs.replace(OPENAI, rules=RequestRules(drop=("stream_options",)))
    body = b'{"model":"up","prompt":"x","stream":true,"stream_options":{"a":1}}'
    assert opened(body, provider).body == b'{"model":"up","prompt":"x","stream":true}'


def test_azures_older_paths_name_the_deployment() -> None:
    azure = msgspec.structs.replace(OPENAI, dialect="azure", options=VendorOptions(api_version="v"))
    assert opened(b'{"model":"m","prompt":"x"}', azure).call.path == "/openai/deployments/up/completions?api-version=v"


@pytest.mark.parametrize("dialect", ["gemini", "anthropic", "openai-responses"])
def test_other_providers_offer_none(dialect: str) -> None:
    with pytest.raises(FaultError) as caught:
        opened(b'{"model":"m","prompt":"x"}', msgspec.structs.replace(OPENAI, dialect=dialect))
    assert (caught.value.fault.type, caught.value.fault.param) == (ErrorType.CLIENT_BAD_REQUEST, "model")


# --- the answer ----------------------------------------------------------------------------------------------


def test_an_answer_passes_under_the_public_name() -> None:
    body = answer("a", "b")
    whole, shown = read(body)
    assert whole == WholeAnswer(Units(input=3, output=2), 0, None)
    assert shown == body.replace(b'"up"', b'"public"')


@pytest.mark.parametrize(
    ("usage", "units"),
    [
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
            Units(input=5, cache_read=4, output=3, reasoning=2),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 5, "prompt_cache_hit_tokens": 4},
            Units(input=5, cache_read=4, output=5),
        ),
        (
            {"prompt_tokens": 3, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}},
            Units(cache_read=3, output=5),
        ),
    ],
)
def test_usage_is_in_disjoint_buckets(usage: object, units: Units) -> None:
    assert read(answer("a", usage=usage))[0].units == units


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        5,
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": 3, "completion_tokens": 0},
        {"prompt_tokens": -3, "completion_tokens": 2},
        {"prompt_tokens": "3", "completion_tokens": 2},
    ],
)
def test_what_is_not_reported_is_counted(usage: object) -> None:
    whole, _ = read(answer("hello", "world", usage=usage))
    assert whole == WholeAnswer(None, count_text("hello\nworld"), None)


def test_an_echoed_prompt_is_no_output() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 0}
    whole, _ = read(answer("p", usage=usage), b'{"model":"m","prompt":"p","echo":true,"max_tokens":0}')
    assert whole.units == Units(input=3)


def test_an_odd_answer_is_read_loosely() -> None:
    choices = b'[{"text":["a"],"index":"0","finish_reason":5},7]'
    body = b'{"choices":' + choices + b',"usage":{"prompt_tokens":1,"completion_tokens":1}}'
    whole, shown = read(body)
    assert whole == WholeAnswer(Units(input=1, output=1), 0, None)
    assert shown == body


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", ErrorType.UPSTREAM_INVALID),
        (b"<html>", ErrorType.UPSTREAM_INVALID),
        (b"[]", ErrorType.UPSTREAM_INVALID),
        (b'{"choices":[]}', ErrorType.UPSTREAM_INVALID),
        (b'{"choices":null}', ErrorType.UPSTREAM_INVALID),
        (b'{"choices":"x"}', ErrorType.UPSTREAM_INVALID),
        (answer("a")[:-1], ErrorType.UPSTREAM_INVALID),
        (b'{"choices":[{"text":"\xff"}]}', ErrorType.UPSTREAM_INVALID),
        (b"[" * 100_000, ErrorType.UPSTREAM_INVALID),
        (answer("a", error={"message": "boom"}), ErrorType.UPSTREAM_ERROR),
        (b'{"object":"error","message":"overloaded","code":503}', ErrorType.UPSTREAM_OVERLOADED),
        (b'{"error":"boom","choices":"odd"}', ErrorType.UPSTREAM_ERROR),
        (answer("a", finish="error"), ErrorType.UPSTREAM_ERROR),
    ],
)
def test_what_is_no_answer_is_seen(body: bytes, kind: ErrorType) -> None:
    whole, shown = read(body)
    assert whole.error is not None
    assert (whole.error.fault.type, whole.error.cls) == (kind, RetryClass.OTHER_CHANNEL)
    assert (whole.units, shown) == (None, b"")


def test_prompt_and_suffix_are_counted() -> None:
    assert ENDPOINT.count_input(b'{"model":"m","prompt":["a","b"],"suffix":"c"}') == count_text("c\nb\na")
    assert ENDPOINT.count_input(b'{"prompt":[[1,2],[3]]}') == 3
    assert ENDPOINT.count_input(b"\xff") == 0
