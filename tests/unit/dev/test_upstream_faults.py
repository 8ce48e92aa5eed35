"""The demo upstream fails as it is told to, in every dialect's shape, and answers what is no request for an answer."""

import json

import pytest

from tests.support.upstream_client import UpstreamClient
from tests.support.upstream_dialects import (
    ANTHROPIC,
    DIALECTS,
    GEMINI,
    KEY,
    RESPONSES,
    Dialect,
    counts,
    order,
    send,
)
from trunkline.dev.demo.counts import ModelUsage


def named(value: object) -> str | None:
    return value.name if isinstance(value, Dialect) else None


in_every_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=named)
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture
def upstream() -> UpstreamClient:
    return UpstreamClient()


# --- Faults ------------------------------------------------------------------------------------------------------


@in_every_dialect
def test_script_comes_by_model_name_and_by_credential(upstream: UpstreamClient, dialect: Dialect) -> None:
    assert dialect.ask(upstream, "demo?status=503").status == 503
    order(upstream, {"status": 502}, "sk-other")
    assert dialect.ask(upstream, credential="sk-other").status == 502
    assert dialect.ask(upstream).status == 200
    assert counts(upstream).attempts == {KEY: 2, "sk-other": 1}


@in_every_dialect
@streamed_or_not
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
def test_error_status_is_in_the_dialects_shape(
    upstream: UpstreamClient, dialect: Dialect, stream: bool, status: int
) -> None:
    answer = dialect.ask(upstream, f"demo?status={status}&retry_after=1.5", stream=stream)
    assert (answer.status, answer.whole) == (status, True)
    body = json.loads(answer.body)
    if dialect is ANTHROPIC:
        assert (body["type"], body["request_id"]) == ("error", "req-demo-1")
        kinds = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
        expected = kinds.get(status, "api_error" if status >= 500 else "invalid_request_error")
        assert body["error"] == {"type": expected, "message": f"The script asked for status {status}."}
        assert "request-id: req-demo-1" in answer.head
    elif dialect is GEMINI:
        assert body["error"]["code"] == status
        assert body["error"]["status"].isupper()
        assert body["error"]["details"][0]["retryDelay"] == "1.5s"
    else:
        assert body["error"].keys() == {"message", "type", "param", "code"}
    assert ("retry-after: 1.5" in answer.head) == (dialect is not GEMINI)
    assert counts(upstream).refused == 1


@in_every_dialect
def test_missing_credential_is_unauthorized(upstream: UpstreamClient, dialect: Dialect) -> None:
    answer = send(upstream, "POST", dialect.path("demo", False), dialect.body("demo", "x", False), dialect.headers)
    assert answer.status == 401
    assert "error" in json.loads(answer.body)
    assert counts(upstream).attempts == {}


@in_every_dialect
@streamed_or_not
def test_cut_ends_the_connection(upstream: UpstreamClient, dialect: Dialect, stream: bool) -> None:
    answer = dialect.ask(upstream, "demo?cut_after=2", stream=stream)
    assert (answer.ended, answer.whole) == (True, False)
    seen = counts(upstream)
    assert (seen.cut, seen.open) == (1, 0)
    # Gemini has told its usage with each frame.
    expected = {"demo": ModelUsage(1, 3, 2 if stream else 0)}
    assert (seen.reported, seen.unreported) == ((expected, {}) if dialect is GEMINI and stream else ({}, expected))


@in_every_dialect
@streamed_or_not
def test_stall_lasts_until_the_client_leaves(upstream: UpstreamClient, dialect: Dialect, stream: bool) -> None:
    answer = dialect.ask(upstream, "demo?stall_after=2&tag=mine", stream=stream)
    upstream.clock.advance(1000)
    assert not answer.ended
    answer.leave()
    seen = counts(upstream)
    assert (seen.aborted, seen.open, seen.aborts[0].tag) == (1, 0, "mine")


@in_every_dialect
def test_never_answered_request_stays_open(upstream: UpstreamClient, dialect: Dialect) -> None:
    answer = dialect.ask(upstream, "demo?never_answer=true", stream=True)
    assert answer.received == b""
    assert counts(upstream).open == 1


@in_every_dialect
def test_broken_chunk_is_no_json_and_the_stream_goes_on(upstream: UpstreamClient, dialect: Dialect) -> None:
    answer = dialect.ask(upstream, "demo?text=a b&broken_chunk_after=1", stream=True)
    data = [line[6:] for line in answer.body.decode().splitlines() if line.startswith("data: {")]
    broken = [event for event in data if not _is_json(event)]
    assert len(broken) == 1
    assert answer.whole
    assert counts(upstream).reported == {"demo": ModelUsage(1, 3, 2)}


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@in_every_dialect
def test_error_in_mid_stream_is_the_last_event(upstream: UpstreamClient, dialect: Dialect) -> None:
    answer = dialect.ask(upstream, "demo?error_mid_stream=2", stream=True)
    assert answer.whole
    assert b"[DONE]" not in answer.body
    stream = [json.loads(line[6:]) for line in answer.body.decode().splitlines() if line.startswith("data: ")]
    message = "The script asked for an error."
    if dialect is RESPONSES:
        assert (stream[-2]["type"], stream[-2]["error"]["message"]) == ("error", message)
        assert (stream[-1]["type"], stream[-1]["response"]["status"]) == ("response.failed", "failed")
    elif dialect is GEMINI:
        assert stream[-1] == {"error": {"code": 500, "message": message, "status": "INTERNAL"}}
    elif dialect is ANTHROPIC:
        assert stream[-1] == {"type": "error", "error": {"type": "api_error", "message": message}}
    else:
        assert stream[-1]["error"]["message"] == message
    seen = counts(upstream)
    assert (seen.cut, seen.finished, seen.open) == (1, 0, 0)


@in_every_dialect
def test_error_in_mid_stream_of_a_whole_answer_is_an_error(upstream: UpstreamClient, dialect: Dialect) -> None:
    assert dialect.ask(upstream, "demo?error_mid_stream=2").status == 500
    assert counts(upstream).refused == 1


@in_every_dialect
@streamed_or_not
def test_usage_is_left_out(upstream: UpstreamClient, dialect: Dialect, stream: bool) -> None:
    answer = dialect.ask(upstream, "demo?no_usage=true&text=a b", stream=stream)
    body = answer.body.decode()
    if dialect is ANTHROPIC:
        assert '"usage":{"input_tokens":0,"output_tokens":0}' in body
        assert body.count('"output_tokens":0') == body.count("output_tokens")
    elif dialect is RESPONSES:
        assert body.count('"usage":null') == body.count("usage")
    else:
        assert "usage" not in body
    seen = counts(upstream)
    assert (seen.reported, seen.unreported) == ({}, {"demo": ModelUsage(1, 3, 2)})


@in_every_dialect
def test_delays_pace_a_stream(upstream: UpstreamClient, dialect: Dialect) -> None:
    answer = dialect.ask(upstream, "demo?text=a b c&delay_ms=100&first_delay_ms=500", stream=True)
    assert answer.received == b""
    upstream.clock.advance(0.5)
    assert answer.received
    sizes = []
    for _ in range(2):
        upstream.clock.advance(0.1)
        sizes.append(len(answer.received))
    assert sizes[0] < sizes[1]
    assert not answer.whole
    upstream.clock.advance(0.1)
    assert answer.whole


@in_every_dialect
def test_chunks_and_their_size_are_followed(upstream: UpstreamClient, dialect: Dialect) -> None:
    said = dialect.said(dialect.ask(upstream, "demo?chunks=3&chunk_bytes=10", stream=True), stream=True)
    assert said.text == "lorem ipsu" * 3


@pytest.mark.parametrize(
    "script",
    [
        {"finish": "nothing"},
        {"tool": "x", "tool_calls": 0},
        {"tool": "x", "tool_calls": 1000},
        {"cached_tokens": -1},
        {"reasoning_tokens": -1},
        {"text": "x" * 2_000_000},
    ],
)
def test_script_out_of_bounds_is_refused(upstream: UpstreamClient, script: dict[str, object]) -> None:
    assert upstream.send("POST", "/script", json.dumps({"script": script}).encode()).status == 400


# --- What is no answer -------------------------------------------------------------------------------------------


@in_every_dialect
def test_last_request_is_shown_with_its_path(upstream: UpstreamClient, dialect: Dialect) -> None:
    dialect.ask(upstream, "a/b?chunks=1", stream=True)
    last = json.loads(upstream.send("GET", "/last").body)
    assert (last["path"], last["query"]) == (dialect.path("a/b?chunks=1", True), dialect.query)
    assert json.loads(last["body"]) == dialect.body("a/b?chunks=1", "one two three", True)


COUNTING = {
    RESPONSES: "/v1/responses/input_tokens",
    ANTHROPIC: "/v1/messages/count_tokens",
    GEMINI: "/v1beta/models/demo:countTokens",
}


@pytest.mark.parametrize("dialect", COUNTING, ids=named)
def test_tokens_of_a_prompt_are_counted(upstream: UpstreamClient, dialect: Dialect) -> None:
    body = dialect.body("demo", "one two three", False)
    body = {name: value for name, value in body.items() if name not in {"max_tokens", "stream"}}
    answer = send(upstream, "POST", COUNTING[dialect], body, dialect.head())
    expected = {
        RESPONSES: {"object": "response.input_tokens", "input_tokens": 3},
        ANTHROPIC: {"input_tokens": 3},
        GEMINI: {"totalTokens": 3, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 3}]},
    }
    assert json.loads(answer.body) == expected[dialect]
    seen = counts(upstream)
    assert (seen.token_counts, seen.begun, seen.attempts, seen.reported) == (1, 0, {}, {})
    order(upstream, {"status": 429})
    assert send(upstream, "POST", COUNTING[dialect], body, dialect.head()).status == 429


@in_every_dialect
def test_models_are_listed_in_the_dialects_shape(upstream: UpstreamClient, dialect: Dialect) -> None:
    path = "/v1beta/models" if dialect is GEMINI else "/v1/models"
    listed = json.loads(send(upstream, "GET", path, b"", dialect.head()).body)
    if dialect is GEMINI:
        assert listed["models"][0]["name"] == "models/demo"
    elif dialect is ANTHROPIC:
        assert (listed["data"][0]["type"], listed["has_more"]) == ("model", False)
    else:
        assert listed["object"] == "list"
    assert send(upstream, "GET", path, b"", dialect.headers).status == 401
    order(upstream, {"status": 503})
    assert send(upstream, "GET", path, b"", dialect.head()).status == 503
    assert counts(upstream).listings == 3


@pytest.mark.parametrize(
    ("path", "headers", "shape"),
    [
        ("/v1/nothing", {}, {"error"}),
        ("/v1/nothing", {"anthropic-version": "2023-06-01"}, {"type", "error", "request_id"}),
        ("/v1beta/models/demo:paint", {}, {"error"}),
    ],
)
def test_unknown_path_is_not_found(
    upstream: UpstreamClient, path: str, headers: dict[str, str], shape: set[str]
) -> None:
    answer = send(upstream, "POST", path, {}, headers)
    assert (answer.status, json.loads(answer.body).keys()) == (404, shape)
