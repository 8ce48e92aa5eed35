"""The demo upstream does what a script says, and what it reports is what it counts."""

from typing import Any

import msgspec
import pytest

from tests.support.upstream_client import UpstreamClient
from trunkline.dev.demo.counts import Answer, Counts, ModelUsage, Usage
from trunkline.dev.demo.pieces import SENTENCE
from trunkline.runtime.http_exchange import Exchange

WORDS = len(SENTENCE.split())


@pytest.fixture
def upstream() -> UpstreamClient:
    return UpstreamClient()


def counts(upstream: UpstreamClient) -> Counts:
    return msgspec.json.decode(upstream.send("GET", "/counts").body, type=Counts)


def test_whole_answer_reports_what_is_counted(upstream: UpstreamClient) -> None:
    answer = upstream.chat()
    body = msgspec.json.decode(answer.body)
    assert answer.status == 200
    assert body["choices"][0]["message"]["content"] == SENTENCE
    assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": WORDS, "total_tokens": 3 + WORDS}
    seen = counts(upstream)
    assert seen.reported == {"demo": ModelUsage(1, 3, WORDS)}
    assert (seen.begun, seen.finished, seen.open, seen.attempts) == (1, 1, 0, {"sk-test": 1})


def test_stream_has_role_content_finish_usage_and_done(upstream: UpstreamClient) -> None:
    events = upstream.chat(stream=True, script={"chunks": 3}, stream_options={"include_usage": True}).events
    assert events[-1] == "[DONE]"
    chunks = [msgspec.json.decode(event) for event in events[:-1]]
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks[1:4]) == "Hello! This is "
    assert chunks[4]["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop"}
    assert chunks[5]["choices"] == []
    assert chunks[5]["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    assert all(chunk["usage"] is None for chunk in chunks[:5])
    assert counts(upstream).reported == {"demo": ModelUsage(1, 3, 3)}


@pytest.mark.parametrize(
    ("include_usage", "script"),
    [(False, {"chunks": 3}), (True, {"chunks": 3, "no_usage": True})],
)
def test_stream_without_usage_is_counted_as_unreported(
    upstream: UpstreamClient, include_usage: bool, script: dict[str, object]
) -> None:
    answer = upstream.chat(stream=True, script=script, stream_options={"include_usage": include_usage})
    assert answer.whole
    assert b"usage" not in answer.body
    seen = counts(upstream)
    assert seen.reported == {}
    assert seen.unreported == {"demo": ModelUsage(1, 3, 3)}


def test_max_tokens_ends_an_answer_with_length(upstream: UpstreamClient) -> None:
    body = msgspec.json.decode(upstream.chat(max_tokens=2).body)
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["choices"][0]["message"]["content"] == "Hello! This"
    assert body["usage"]["completion_tokens"] == 2


def test_delays_pace_a_stream(upstream: UpstreamClient) -> None:
    answer = upstream.chat(stream=True, script={"chunks": 3, "delay_ms": 100, "first_delay_ms": 500})
    assert answer.received == b""
    upstream.clock.advance(0.5)
    assert len(answer.events) == 1
    upstream.clock.advance(0.1)
    assert len(answer.events) == 2
    assert not answer.whole
    upstream.clock.advance(0.2)
    assert answer.events[-1] == "[DONE]"
    assert answer.whole


def test_whole_answer_waits_as_long_as_its_chunks(upstream: UpstreamClient) -> None:
    answer = upstream.chat(script={"chunks": 4, "delay_ms": 100})
    upstream.clock.advance(0.39)
    assert answer.received == b""
    upstream.clock.advance(0.02)
    assert answer.whole


@pytest.mark.parametrize("stream", [False, True])
def test_cut_ends_the_connection_before_the_answer(upstream: UpstreamClient, stream: bool) -> None:
    answer = upstream.chat(stream=stream, script={"chunks": 5, "cut_after": 2})
    assert answer.ended
    assert not answer.whole
    assert (counts(upstream).cut, counts(upstream).open) == (1, 0)


@pytest.mark.parametrize("stream", [False, True])
def test_stalled_answer_stays_open_until_the_client_leaves(upstream: UpstreamClient, stream: bool) -> None:
    answer = upstream.chat(stream=stream, script={"chunks": 5, "stall_after": 2, "tag": "mine"})
    upstream.clock.advance(1000)
    assert not answer.ended
    assert counts(upstream).open == 1
    answer.leave()
    seen = counts(upstream)
    assert (seen.open, seen.aborted) == (0, 1)
    assert (seen.aborts[0].tag, seen.aborts[0].at_ms) == ("mine", upstream.clock.wall_ms())


def test_broken_chunk_is_no_json_and_the_stream_goes_on(upstream: UpstreamClient) -> None:
    events = upstream.chat(stream=True, script={"chunks": 3, "broken_chunk_after": 1}).events
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(events[2])
    assert len(events) == 1 + 3 + 1 + 2
    assert events[-1] == "[DONE]"


def test_never_answered_request_is_open_until_the_client_leaves(upstream: UpstreamClient) -> None:
    answer = upstream.chat(script={"never_answer": True})
    assert answer.received == b""
    answer.leave()
    assert counts(upstream).aborted == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(429, "rate_limit_error"), (401, "authentication_error"), (500, "server_error")]
)
def test_error_status_is_an_error_in_openai_form(upstream: UpstreamClient, status: int, kind: str) -> None:
    answer = upstream.chat(stream=True, script={"status": status, "retry_after": 1.5, "headers": {"x-mine": "yes"}})
    assert answer.status == status
    assert "retry-after: 1.5" in answer.head
    assert "x-mine: yes" in answer.head
    assert msgspec.json.decode(answer.body)["error"]["type"] == kind
    assert counts(upstream).refused == 1


def test_slow_client_slows_a_long_stream(upstream: UpstreamClient) -> None:
    answer = upstream.chat(stream=True, slow=True, script={"chunks": 1000, "chunk_bytes": 1000})
    assert len(answer.received) < 64 * 1024
    written = len(answer.received)
    answer.exchange.drained()
    assert written < len(answer.received) < written + 64 * 1024
    answer.read_on()
    assert answer.whole
    assert len(answer.received) > 1_000_000


def test_client_that_leaves_mid_stream_is_counted_with_what_was_produced(upstream: UpstreamClient) -> None:
    answer = upstream.chat(stream=True, script={"chunks": 10, "delay_ms": 100})
    upstream.clock.advance(0.3)
    answer.leave()
    upstream.clock.advance(10)
    seen = counts(upstream)
    assert (seen.aborted, seen.finished, seen.open) == (1, 0, 0)
    assert seen.aborts[0].chunks == 3
    assert seen.unreported == {"demo": ModelUsage(1, 3, 3)}


def test_script_comes_with_the_model_name_and_the_body_goes_before_it(upstream: UpstreamClient) -> None:
    assert upstream.chat(model="demo?status=500").status == 500
    answer = upstream.chat(model="demo?status=500&chunks=2", script={"chunks": 1, "status": 503})
    assert answer.status == 503
    assert msgspec.json.decode(upstream.chat(model="other?chunks=2").body)["model"] == "other"


def test_script_for_a_credential_lasts_until_it_is_taken_back(upstream: UpstreamClient) -> None:
    order = {"credential": "sk-a", "script": {"status": 503}}
    assert upstream.send("POST", "/script", msgspec.json.encode(order)).status == 200
    assert upstream.chat(credential="sk-a").status == 503
    assert upstream.send("GET", "/v1/models", credential="sk-a").status == 503
    assert upstream.chat(credential="sk-b").status == 200
    upstream.send("POST", "/script", msgspec.json.encode({"credential": "sk-a", "script": None}))
    assert upstream.chat(credential="sk-a").status == 200


@pytest.mark.parametrize(
    "script",
    [
        {"unknown": 1},
        {"chunks": -1},
        {"chunks": 10_000_000},
        {"status": 1000},
        {"delay_ms": -1},
        {"headers": {"x": "a\r\nb: c"}},
        {"chunks": 1000, "chunk_bytes": 100_000},
    ],
)
def test_script_that_cannot_be_followed_is_refused(upstream: UpstreamClient, script: dict[str, object]) -> None:
    answer = upstream.chat(script=script)
    assert answer.status == 400
    assert "error" in msgspec.json.decode(answer.body)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model":"demo"}', b'{"model":1,"messages":[]}'])
def test_body_that_is_no_chat_request_is_refused(upstream: UpstreamClient, body: bytes) -> None:
    assert upstream.send("POST", "/v1/chat/completions", body).status == 400


def test_reset_forgets_totals_but_not_open_requests(upstream: UpstreamClient) -> None:
    upstream.chat()
    upstream.chat(script={"never_answer": True})
    upstream.send("POST", "/counts/reset")
    seen = counts(upstream)
    assert (seen.begun, seen.reported, seen.open) == (0, {}, 1)


def test_last_request_is_shown_as_it_came(upstream: UpstreamClient) -> None:
    upstream.chat(user="somebody")
    last = msgspec.json.decode(upstream.send("GET", "/last").body)
    assert last["headers"]["authorization"] == "Bearer sk-test"
    assert msgspec.json.decode(last["body"])["user"] == "somebody"


def test_unknown_path_is_not_found(upstream: UpstreamClient) -> None:
    assert upstream.send("GET", "/nothing").status == 404


def answers(upstream: UpstreamClient) -> list[Answer]:
    return msgspec.json.decode(upstream.send("GET", "/answers").body, type=list[Answer])


@pytest.mark.parametrize("stream", [False, True])
def test_answers_to_requests_with_a_tag_are_listed(upstream: UpstreamClient, stream: bool) -> None:
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if stream else {}
    upstream.chat(stream=stream, script={"chunks": 2, "cached_tokens": 9, "tag": "mine"}, **options)
    upstream.chat(stream=stream, script={"chunks": 3}, **options)
    upstream.chat(stream=stream, script={"chunks": 4, "tag": "silent", "no_usage": True}, **options)
    upstream.chat(stream=stream, script={"chunks": 5, "tag": "cut", "cut_after": 1}, **options)
    assert answers(upstream) == [Answer("mine", "demo", Usage(3, 2, 9))]
    upstream.send("POST", "/counts/reset")
    assert answers(upstream) == []


def test_an_answer_says_how_soon_its_connection_was_closed(upstream: UpstreamClient) -> None:
    clients = [upstream.chat(script={"tag": tag}) for tag in ("closed", "kept")]
    upstream.clock.advance(0.25)
    for client in clients:
        upstream.upstream.closed(client)
        upstream.clock.advance(1.0)
    assert [(each.tag, each.closed_after_ms) for each in answers(upstream)] == [("closed", 250.0), ("kept", 1250.0)]


def test_a_connection_that_is_used_again_was_not_closed_for_its_answer(upstream: UpstreamClient) -> None:
    client = upstream.chat(script={"tag": "mine"})
    request = client.exchange.request._replace(method="GET", path="/v1/models", body=b"")
    upstream.upstream.on_request(Exchange(client, request, keep_alive=True, chunked=True))
    upstream.upstream.closed(client)
    assert [each.closed_after_ms for each in answers(upstream)] == [None]
