"""The demo upstream's JSON endpoints beside conversations: what they answer, refuse, count, and do by a script."""

import base64
import json
import struct
from typing import Any

import pytest

from tests.support.upstream_client import Client, UpstreamClient
from tests.support.upstream_dialects import KEY, counts, order, send
from trunkline.dev.demo.beside_vectors import DIMENSIONS, vector
from trunkline.dev.demo.counts import ModelUsage
from trunkline.dev.demo.pieces import SENTENCE

HEAD = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
GOOGLE = {"x-goog-api-key": KEY}
REQUESTS: dict[str, dict[str, Any]] = {
    "/v1/embeddings": {"model": "demo", "input": ["one two", "three"]},
    "/v1/completions": {"model": "demo", "prompt": "one two three"},
    "/v1/moderations": {"model": "demo", "input": "one two three"},
    "/v1/rerank": {"model": "demo", "query": "one", "documents": ["two", "one"]},
    "/v2/rerank": {"model": "demo", "query": "one", "documents": ["two", "one"]},
    "/v1/images/generations": {"model": "demo", "prompt": "one two three"},
    "/v1/images/edits": {"model": "demo", "prompt": "one", "images": [{"image_url": "data:,x"}]},
    "/v1/audio/speech": {"model": "demo", "input": "one two three", "voice": "alloy"},
}
every_endpoint = pytest.mark.parametrize("path", REQUESTS)


@pytest.fixture
def upstream() -> UpstreamClient:
    return UpstreamClient()


def ask(upstream: UpstreamClient, path: str, **fields: object) -> Client:
    return send(upstream, "POST", path, {**REQUESTS[path], **fields}, HEAD)


def told(answer: Client) -> Any:
    assert (answer.status, answer.whole) == (200, True), answer.body
    return json.loads(answer.body)


# --- what all of them do -----------------------------------------------------------------------------------------


@every_endpoint
def test_an_answer_is_counted(upstream: UpstreamClient, path: str) -> None:
    answer = ask(upstream, path)
    assert (answer.status, answer.whole) == (200, True)
    assert "x-request-id: req-demo-1" in answer.head
    seen = counts(upstream)
    assert (seen.begun, seen.finished, seen.open, seen.attempts) == (1, 1, 0, {KEY: 1})
    assert sum(usage.answers for usage in [*seen.reported.values(), *seen.unreported.values()]) == 1


@every_endpoint
@pytest.mark.parametrize("status", [400, 401, 429, 503])
def test_scripted_errors_have_openais_shape(upstream: UpstreamClient, path: str, status: int) -> None:
    answer = ask(upstream, path, model=f"demo?status={status}&retry_after=3")
    assert (answer.status, answer.whole) == (status, True)
    assert json.loads(answer.body)["error"].keys() == {"message", "type", "param", "code"}
    assert "retry-after: 3" in answer.head
    assert (counts(upstream).refused, counts(upstream).open) == (1, 0)


@every_endpoint
def test_a_script_comes_in_the_body_and_by_credential(upstream: UpstreamClient, path: str) -> None:
    assert ask(upstream, path, trunkline_demo={"status": 418}).status == 418
    order(upstream, {"status": 502})
    assert ask(upstream, path).status == 502


@every_endpoint
def test_a_cut_answer_never_looks_whole(upstream: UpstreamClient, path: str) -> None:
    answer = ask(upstream, path, trunkline_demo={"cut_after": 1})
    assert (answer.status, answer.body.endswith(b"}"), b"\r\n0\r\n\r\n" in answer.received) == (200, False, False)
    seen = counts(upstream)
    assert (seen.cut, seen.finished, seen.open, seen.reported) == (1, 0, 0, {})


@every_endpoint
def test_nothing_comes_if_nothing_shall(upstream: UpstreamClient, path: str) -> None:
    answer = ask(upstream, path, trunkline_demo={"never_answer": True, "tag": "gone"})
    assert (answer.received, counts(upstream).open) == (b"", 1)
    answer.leave()
    assert [abort.tag for abort in counts(upstream).aborts] == ["gone"]
    assert counts(upstream).open == 0


@every_endpoint
@pytest.mark.parametrize("odd", [None, True, -1, "", [], {}, [[]], [None], {"x": 1}])
def test_odd_values_are_refused_or_answered(upstream: UpstreamClient, path: str, odd: object) -> None:
    """An exception would come out of the request."""
    for name in REQUESTS[path]:
        assert ask(upstream, path, **{name: odd}).status in {200, 400}
    assert ask(upstream, path, of_nobody=odd).status == 400


@every_endpoint
def test_a_model_and_a_credential_are_needed(upstream: UpstreamClient, path: str) -> None:
    optional = {"/v1/moderations", "/v1/images/generations", "/v1/images/edits"}
    assert ask(upstream, path, model=None).status == (200 if path in optional else 400)
    assert send(upstream, "POST", path, REQUESTS[path], {}).status == 401


@pytest.mark.parametrize("tail", ["embeddings", "completions", "images/generations", "audio/speech"])
def test_azure_names_the_model_in_the_path(upstream: UpstreamClient, tail: str) -> None:
    body = {name: value for name, value in REQUESTS[f"/v1/{tail}"].items() if name != "model"}
    path = f"/openai/deployments/gpt-image-d/{tail}"
    assert send(upstream, "POST", path, body, {"api-key": "k"}, query="api-version=1").status == 200
    assert [*counts(upstream).reported, *counts(upstream).unreported] == ["gpt-image-d"]
    assert send(upstream, "POST", path, body, {"api-key": "k"}).status == 404
    assert (
        send(upstream, "POST", path.replace("-d/", "-d%3Fstatus=418/"), body, {}, query="api-version=1").status == 401
    )
    scripted = send(
        upstream, "POST", path.replace("-d/", "-d%3Fstatus=418/"), body, {"api-key": "k"}, query="api-version=1"
    )
    assert scripted.status == 418
    assert send(upstream, "POST", f"/openai/v1/{tail}", {**body, "model": "demo"}, {"api-key": "k"}).status == 200


# --- embeddings --------------------------------------------------------------------------------------------------


def test_embeddings_are_the_same_in_both_forms(upstream: UpstreamClient) -> None:
    floats = told(ask(upstream, "/v1/embeddings"))
    assert [item["embedding"] for item in floats["data"]] == [vector("one two"), vector("three")]
    assert floats["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    packed = told(ask(upstream, "/v1/embeddings", encoding_format="base64"))["data"][1]["embedding"]
    assert list(struct.unpack(f"<{DIMENSIONS}f", base64.b64decode(packed))) == vector("three")
    assert counts(upstream).reported == {"demo": ModelUsage(2, 6)}


def test_embeddings_have_the_wanted_size(upstream: UpstreamClient) -> None:
    answer = told(ask(upstream, "/v1/embeddings", input="x", dimensions=100))
    assert answer["data"][0]["embedding"] == vector("x", 100)
    assert len(set(vector("x", 100))) > 40


def test_a_vendor_may_know_floats_alone(upstream: UpstreamClient) -> None:
    answer = told(ask(upstream, "/v1/embeddings", model="float-only", encoding_format="base64"))
    assert answer["data"][1]["embedding"] == vector("three")


def test_token_ids_are_one_input_or_many(upstream: UpstreamClient) -> None:
    one, many = told(ask(upstream, "/v1/embeddings", input=[1, 2, 3])), [[1, 2], [3]]
    assert (len(one["data"]), one["usage"]["prompt_tokens"]) == (1, 3)
    assert len(told(ask(upstream, "/v1/embeddings", input=many))["data"]) == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"input": []},
        {"input": ""},
        {"input": ["x", ""]},
        {"input": ["x", 1]},
        {"input": ["x"] * 2049},
        {"encoding_format": None},
        {"encoding_format": "hex"},
        {"dimensions": 0},
    ],
)
def test_embeddings_that_openai_refuses(upstream: UpstreamClient, fields: dict[str, object]) -> None:
    assert ask(upstream, "/v1/embeddings", **fields).status == 400


def embed(upstream: UpstreamClient, action: str, body: object, model: str = "text-embedding-004") -> Client:
    return send(upstream, "POST", f"/v1beta/models/{model}:{action}", body, GOOGLE)


def test_gemini_embeds_one_content(upstream: UpstreamClient) -> None:
    body = {"content": {"parts": [{"text": "one two"}]}, "task_type": "RETRIEVAL_DOCUMENT", "title": "x"}
    assert told(embed(upstream, "embedContent", body)) == {"embedding": {"values": vector("one two")}}
    assert counts(upstream).unreported == {"text-embedding-004": ModelUsage(1, 2)}


def test_gemini_embeds_a_batch_and_newer_models_report_it(upstream: UpstreamClient) -> None:
    one = {"model": "models/gemini-embedding-2", "content": {"parts": [{"text": "one two"}]}, "outputDimensionality": 4}
    answer = told(embed(upstream, "batchEmbedContents", {"requests": [one, one]}, "gemini-embedding-2"))
    assert answer["embeddings"] == [{"values": vector("one two", 4)}] * 2
    assert answer["usageMetadata"]["promptTokenCount"] == 4
    assert counts(upstream).reported == {"gemini-embedding-2": ModelUsage(1, 4)}


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("embedContent", {}),
        ("embedContent", {"content": {"parts": []}}),
        ("embedContent", {"content": {"parts": [{"text": "x"}]}, "model": "models/other"}),
        ("embedContent", {"content": {"parts": [{"text": "x"}]}, "title": "x"}),
        ("embedContent", {"content": {"parts": [{"text": "x"}]}, "user": "x"}),
        ("embedContent", {"content": "x"}),
        ("batchEmbedContents", {"requests": []}),
        ("batchEmbedContents", {"requests": [{"content": {"parts": [{"text": "x"}]}}]}),
        ("batchEmbedContents", {"requests": 1}),
    ],
)
def test_gemini_embeddings_that_google_refuses(upstream: UpstreamClient, action: str, body: object) -> None:
    answer = embed(upstream, action, body)
    assert (answer.status, json.loads(answer.body)["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_gemini_embeddings_follow_a_script(upstream: UpstreamClient) -> None:
    answer = embed(upstream, "embedContent", {"content": {"parts": [{"text": "x"}]}}, "x%3Fstatus=429&retry_after=2")
    assert answer.status == 429
    assert json.loads(answer.body)["error"]["details"][0]["retryDelay"] == "2s"


# --- completions -------------------------------------------------------------------------------------------------


def test_completions_come_prompt_by_prompt(upstream: UpstreamClient) -> None:
    answer = told(ask(upstream, "/v1/completions", prompt=["a b", "c"], n=2, echo=True, max_tokens=2))
    texts = [(choice["index"], choice["text"], choice["finish_reason"]) for choice in answer["choices"]]
    said = "Hello! This"
    assert texts == [(index, echo + said, "length") for index, echo in enumerate(["a b", "a b", "c", "c"])]
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 8, "total_tokens": 11}
    assert counts(upstream).reported == {"demo": ModelUsage(1, 3, 8)}


def test_completions_are_short_unless_told_otherwise(upstream: UpstreamClient) -> None:
    assert told(ask(upstream, "/v1/completions"))["usage"]["completion_tokens"] == 16
    choice = told(ask(upstream, "/v1/completions", max_tokens=100))["choices"][0]
    assert (choice["text"], choice["finish_reason"]) == (SENTENCE, "stop")


def test_completions_stream(upstream: UpstreamClient) -> None:
    stream = ask(upstream, "/v1/completions", stream=True, n=2, max_tokens=2, stream_options={"include_usage": True})
    *events, done = stream.events
    chunks = [json.loads(event) for event in events]
    assert done == "[DONE]"
    for index in range(2):
        mine = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
        assert "".join(choice["text"] for choice in mine) == "Hello! This "
        assert [choice["finish_reason"] for choice in mine] == [None, None, "length"]
    assert chunks[-1]["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert counts(upstream).reported == {"demo": ModelUsage(1, 3, 4)}


def test_a_completion_that_fails_on_the_way_has_no_done(upstream: UpstreamClient) -> None:
    stream = ask(upstream, "/v1/completions", stream=True, trunkline_demo={"error_mid_stream": 1})
    assert "error" in json.loads(stream.events[-1])
    assert counts(upstream).unreported == {"demo": ModelUsage(1, 3, 1)}


@pytest.mark.parametrize(
    "fields", [{"n": 2, "best_of": 1}, {"logprobs": 6}, {"prompt": []}, {"stream_options": {"include_usage": True}}]
)
def test_completions_that_openai_refuses(upstream: UpstreamClient, fields: dict[str, object]) -> None:
    assert ask(upstream, "/v1/completions", **fields).status == 400


# --- scores ------------------------------------------------------------------------------------------------------


def test_each_text_is_judged_and_parts_together(upstream: UpstreamClient) -> None:
    results = told(ask(upstream, "/v1/moderations", input=["be kind", "kill them"]))["results"]
    assert [result["flagged"] for result in results] == [False, True]
    assert [name for name, found in results[1]["categories"].items() if found] == ["violence"]
    parts = [{"type": "text", "text": "kill"}, {"type": "image_url", "image_url": {"url": "data:,x"}}]
    assert [result["flagged"] for result in told(ask(upstream, "/v1/moderations", input=parts))["results"]] == [True]


def test_the_best_document_comes_first(upstream: UpstreamClient) -> None:
    documents = ["a dog", {"text": "the capital of France is Paris"}, "the capital"]
    answer = told(ask(upstream, "/v1/rerank", query="capital of France", documents=documents, top_n=2))
    assert [result["index"] for result in answer["results"]] == [1, 2]
    assert answer["results"][0]["document"] == {"text": "the capital of France is Paris"}
    assert answer["usage"] == {"total_tokens": 13}
    assert counts(upstream).reported == {"demo": ModelUsage(1, 13)}


def test_cohere_counts_searches_and_takes_texts_alone(upstream: UpstreamClient) -> None:
    answer = told(ask(upstream, "/v2/rerank", documents=["x"] * 201))
    assert answer["meta"]["billed_units"] == {"search_units": 3}
    assert answer["results"][0].keys() == {"index", "relevance_score"}
    assert counts(upstream).reported == {"demo": ModelUsage(1, searches=3)}
    assert ask(upstream, "/v2/rerank", documents=[{"text": "x"}]).status == 400
    assert ask(upstream, "/v2/rerank", return_documents=True).status == 400
