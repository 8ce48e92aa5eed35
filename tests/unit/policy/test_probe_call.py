"""What a probe sends, what its answer means."""

import json
from typing import Any

import msgspec
import pytest

from trunkline.bus.snapshots import ChannelOverride, ChannelSnapshot, HeaderRules, ParameterRules, ProbeKind
from trunkline.core.errors import ErrorType, FaultError
from trunkline.policy.probe_call import ProbeAnswer, Reading, models_path, probe_call, probe_headers, read_answer
from trunkline.policy.probing import ProbeResult
from trunkline.protocol.vendor import VendorOptions


def make_channel(dialect: str, **fields: Any) -> ChannelSnapshot:
    return ChannelSnapshot(1, "c", dialect, "https://provider.example", (), {"m": "up"}, **fields)


@pytest.mark.parametrize(
    ("dialect", "header", "value"),
    [
        ("openai", "authorization", "Bearer s3cret"),
        ("openai-responses", "authorization", "Bearer s3cret"),
        ("azure", "api-key", "s3cret"),
        ("anthropic", "x-api-key", "s3cret"),
        ("gemini", "x-goog-api-key", "s3cret"),
    ],
)
def test_each_dialect_gets_exactly_one_credential_header(dialect: str, header: str, value: str) -> None:
    channel = make_channel(dialect)
    headers = probe_headers(channel, "s3cret")
    assert {name: text for name, text in headers.items() if "s3cret" in text} == {header: value}
    assert ("anthropic-version" in headers) is (dialect == "anthropic")
    assert header not in probe_headers(channel, None)


@pytest.mark.parametrize(
    ("dialect", "version", "path"),
    [
        ("openai", "", "/models"),
        ("gemini", "", "/models"),
        ("azure", "", "/openai/v1/models"),
        ("azure", "2024-10-21", "/openai/models?api-version=2024-10-21"),
    ],
)
def test_the_list_of_models_is_asked_for(dialect: str, version: str, path: str) -> None:
    options = VendorOptions(api_version=version)
    assert models_path(make_channel(dialect, options=options)) == path


@pytest.mark.parametrize(
    ("dialect", "path", "body"),
    [
        (
            "openai",
            "/chat/completions",
            {"model": "up", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]},
        ),
        ("anthropic", "/messages", {"model": "up", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}),
        (
            "azure",
            "/openai/v1/chat/completions",
            {"model": "up", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]},
        ),
        (
            "gemini",
            "/models/up:generateContent",
            {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "generationConfig": {"maxOutputTokens": 1}},
        ),
        (
            "openai-responses",
            "/responses",
            {
                "model": "up",
                "input": [{"type": "message", "role": "user", "content": "Hi"}],
                "max_output_tokens": 16,
                "store": False,
                "include": ["reasoning.encrypted_content"],
            },
        ),
    ],
)
def test_a_completion_is_asked_for_in_each_dialect(dialect: str, path: str, body: object) -> None:
    call = probe_call(make_channel(dialect), ProbeKind.COMPLETION, "m", "s3cret")
    assert (call.method, call.url) == ("POST", "https://provider.example" + path)
    assert call.headers["content-type"] == "application/json"
    assert [text for text in call.headers.values() if "s3cret" in text] != []
    assert json.loads(call.body or b"") == body


@pytest.mark.parametrize(
    ("dialect", "path"),
    [
        ("openai", "/embeddings"),
        ("azure", "/openai/v1/embeddings"),
        ("gemini", "/models/up:batchEmbedContents"),
    ],
)
def test_an_embedding_is_asked_for_where_the_dialect_has_them(dialect: str, path: str) -> None:
    call = probe_call(make_channel(dialect), ProbeKind.EMBEDDING, "m", None)
    assert call.url == "https://provider.example" + path
    assert b'"Hi"' in (call.body or b"")


@pytest.mark.parametrize("dialect", ["anthropic", "openai-responses"])
def test_an_embedding_is_impossible_where_the_dialect_has_none(dialect: str) -> None:
    with pytest.raises(FaultError, match="no embeddings"):
        probe_call(make_channel(dialect), ProbeKind.EMBEDDING, "m", None)


def test_a_channels_rules_and_headers_hold_for_its_probes() -> None:
    channel = make_channel(
        "openai",
        params=ParameterRules(set={"top_p": msgspec.Raw(b"0.5")}, rename={"max_tokens": "max_new_tokens"}),
        overrides=(
            ChannelOverride(("m*",), params=ParameterRules(default={"seed": msgspec.Raw(b"7")})),
            ChannelOverride(("other",), params=ParameterRules(drop=("messages",))),
        ),
        headers=HeaderRules(drop=("user-agent",), set={"x-team": "blue", "authorization": "Bearer other"}),
    )
    call = probe_call(channel, ProbeKind.COMPLETION, "m", "s3cret")
    assert json.loads(call.body or b"") == {
        "model": "up",
        "messages": [{"role": "user", "content": "Hi"}],
        "top_p": 0.5,
        "seed": 7,
        "max_new_tokens": 1,
    }
    assert "user-agent" not in call.headers
    assert (call.headers["x-team"], call.headers["authorization"]) == ("blue", "Bearer s3cret")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "length"}]}, None),
        ({"choices": [{"index": 0, "message": {"content": ""}, "finish_reason": "length"}]}, None),
        ({"error": {"message": "The server is overloaded.", "type": "server_error"}}, ErrorType.UPSTREAM_OVERLOADED),
        ({"choices": []}, ErrorType.UPSTREAM_INVALID),
    ],
)
def test_what_is_no_answer_is_seen_in_a_completion(body: object, error: ErrorType | None) -> None:
    call = probe_call(make_channel("openai"), ProbeKind.COMPLETION, "m", None)
    assert call.read is not None
    fault = call.read(json.dumps(body).encode())
    assert (None if fault is None else fault.type) is error


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"data": [{"embedding": [0.5, 0.25], "index": 0}], "usage": {"prompt_tokens": 1}}, None),
        ({"data": []}, ErrorType.UPSTREAM_INVALID),
    ],
)
def test_what_is_no_answer_is_seen_in_an_embedding(body: object, error: ErrorType | None) -> None:
    call = probe_call(make_channel("openai"), ProbeKind.EMBEDDING, "m", None)
    assert call.read is not None
    fault = call.read(json.dumps(body).encode())
    assert (None if fault is None else fault.type) is error


@pytest.mark.parametrize(
    ("status", "statuses", "result", "error"),
    [
        (200, {}, ProbeResult.PASSED, None),
        (401, {}, ProbeResult.CREDENTIAL, ErrorType.UPSTREAM_CREDENTIAL),
        (429, {}, ProbeResult.PASSED, ErrorType.UPSTREAM_RATE_LIMITED),
        (403, {403: 503}, ProbeResult.FAILED, ErrorType.UPSTREAM_OVERLOADED),
        (501, {}, ProbeResult.PASSED, ErrorType.UPSTREAM_ERROR),
    ],
)
def test_the_status_of_a_list_says_all(
    status: int, statuses: dict[int, int], result: ProbeResult, error: ErrorType | None
) -> None:
    channel = make_channel("openai", status_map=statuses)
    call = probe_call(channel, ProbeKind.MODELS, "", None)
    reading = read_answer(channel, call, ProbeAnswer(status, {}, b"<html>", whole=True), now_ms=0)

    assert (reading.result, None if reading.fault is None else reading.fault.type) == (result, error)


def test_an_answer_of_a_model_is_read_as_dispatchers_read_it() -> None:
    channel = make_channel("openai")
    call = probe_call(channel, ProbeKind.COMPLETION, "m", None)
    good = {"choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "length"}]}

    def read(status: int, body: object, *, whole: bool = True) -> Reading:
        return read_answer(channel, call, ProbeAnswer(status, {}, json.dumps(body).encode(), whole), now_ms=0)

    assert read(200, good) == Reading(ProbeResult.PASSED)
    assert read(200, [], whole=False) == Reading(ProbeResult.PASSED)  # it was too long to be read to its end
    assert read(200, []).result is ProbeResult.FAILED
    assert read(404, {}).result is ProbeResult.DENIED
    assert read(429, {}).result is ProbeResult.LIMITED
