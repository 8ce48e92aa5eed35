"""What a client of each dialect finds beside conversations: lists, counts, ways to sign in, errors in its words."""

import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import anthropic
import openai
import pytest
from google import genai

from tests.support.raw_http import Response, exchange, request
from tests.support.sdk_clients import CLIENTS, TOOL
from tests.support.surface import Surface, running_surface
from trunkline.core.ids import parse_job
from trunkline.protocol.model import Proof
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES
from trunkline.protocol.proof import wrap
from trunkline.runtime import config

NODE = Path(__file__).parent / "node"
ROOT = Path(__file__).parents[2]
NODE_TIMEOUT_S = 60.0
MODEL = "demo"
ASK: dict[str, tuple[str, dict[str, Any]]] = {
    OPENAI_CHAT: ("/v1/chat/completions", {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}),
    OPENAI_RESPONSES: ("/v1/responses", {"model": MODEL, "input": "Hi"}),
    ANTHROPIC: (
        "/v1/messages",
        {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]},
    ),
    GEMINI: (f"/v1beta/models/{MODEL}:generateContent", {"contents": [{"parts": [{"text": "Hi"}]}]}),
}


@pytest.fixture(scope="module")
def stack() -> Iterator[Surface]:
    with running_surface() as surface:
        channel = {
            "name": "responses",
            "dialect": "openai-responses",
            "base_url": f"{surface.ready.upstream_url}/v1",
            "credentials": ["sk-responses"],
            "models": {"by-responses": "demo"},
        }
        model = {"name": "by-responses", "price": {"input": "0.1", "output": "0.4"}}
        surface.admin("POST", "/apply", {"channels": [channel], "models": [model]})
        surface.wait_for_status(surface.ready.api_key, 200, "/v1/models/by-responses")
        yield surface


def post(stack: Surface, path: str, body: object, **headers: str) -> Response:
    fields = [("content-type", "application/json"), *headers.items()]
    return exchange(stack.ready.base_url, request("POST", path, headers=fields, body=json.dumps(body).encode()))


# --- signing in --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", list(ASK))
@pytest.mark.parametrize("place", ["authorization", "x-api-key", "x-goog-api-key", "api-key", "?key"])
def test_a_key_is_taken_in_every_place_on_every_route(stack: Surface, dialect: str, place: str) -> None:
    path, body = ASK[dialect]
    key = stack.ready.api_key
    if place == "?key":
        answer = post(stack, f"{path}?key={key}", body)
    else:
        answer = post(stack, path, body, **{place: f"Bearer {key}" if place == "authorization" else key})
    assert answer.status == 200, answer.body
    sent = stack.last_request()
    assert key not in json.dumps(sent.headers) + sent.body + sent.query


@pytest.mark.parametrize(
    ("dialect", "field", "word"),
    [
        (OPENAI_CHAT, "code", "invalid_api_key"),
        (OPENAI_RESPONSES, "code", "invalid_api_key"),
        (ANTHROPIC, "type", "authentication_error"),
        (GEMINI, "status", "UNAUTHENTICATED"),
    ],
)
def test_a_bad_key_is_told_in_the_dialects_words(stack: Surface, dialect: str, field: str, word: str) -> None:
    path, body = ASK[dialect]
    answer = post(stack, path, body, authorization="Bearer sk-tl-wrong")
    assert answer.status == 401
    assert json.loads(answer.body)["error"][field] == word
    request_id = "request-id" if dialect == ANTHROPIC else "x-request-id"
    assert parse_job(answer.headers[request_id])


@pytest.mark.parametrize(
    ("path", "headers", "shape"),
    [
        ("/v1/messages/batches", {}, "anthropic"),
        ("/v1beta/cachedContents", {}, "gemini"),
        ("/v1/files", {}, "openai"),
        ("/v1/files", {"anthropic-version": "2023-06-01"}, "anthropic"),
    ],
)
def test_an_endpoint_that_is_not_there_is_told_in_the_suggested_dialect(
    stack: Surface, path: str, headers: dict[str, str], shape: str
) -> None:
    answer = post(stack, path, {}, authorization=f"Bearer {stack.ready.api_key}", **headers)
    assert answer.status == 404
    told = json.loads(answer.body)
    marks = {"openai": "param" in told["error"], "anthropic": "type" in told, "gemini": "status" in told["error"]}
    assert [name for name, there in marks.items() if there] == [shape]


def test_stored_responses_are_told_not_to_be_kept(stack: Surface) -> None:
    key = f"Bearer {stack.ready.api_key}"
    for method, path in (("GET", "/v1/responses/resp_1"), ("POST", "/v1/responses/resp_1/cancel")):
        answer = exchange(stack.ready.base_url, request(method, path, headers=[("authorization", key)]))
        assert answer.status == 404
        assert "not stored here" in json.loads(answer.body)["error"]["message"]
    asked = post(
        stack, "/v1/responses", {"model": MODEL, "input": "Hi", "previous_response_id": "resp_1"}, authorization=key
    )
    assert asked.status == 400
    assert json.loads(asked.body)["error"]["param"] == "previous_response_id"


@pytest.mark.parametrize("dialect", [OPENAI_RESPONSES, ANTHROPIC])
def test_reasoning_that_was_encrypted_for_another_account_is_left_out_once_it_is_refused(
    stack: Surface, dialect: str
) -> None:
    foreign = Proof(OPENAI_RESPONSES, "made-for-another-account")
    if dialect == OPENAI_RESPONSES:
        reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": foreign.data}
        said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello."}]}
        items = [{"role": "user", "content": "Hi"}, reasoning, said, {"role": "user", "content": "Go on"}]
        path, body = "/v1/responses", {"input": items}
    else:
        thinking = {"type": "thinking", "thinking": "Hm.", "signature": wrap(foreign)}
        said = {"role": "assistant", "content": [thinking, {"type": "text", "text": "Hello."}]}
        turns = [{"role": "user", "content": "Hi"}, said, {"role": "user", "content": "Go on"}]
        path, body = "/v1/messages", {"max_tokens": 99, "messages": turns}
    answer = post(stack, path, {"model": "by-responses", **body}, authorization=f"Bearer {stack.ready.api_key}")
    assert answer.status == 200, answer.body
    assert answer.headers["x-trunkline-attempts"] == "2"
    sent = stack.last_request().body
    assert "another-account" not in sent
    assert "Go on" in sent


@pytest.mark.parametrize("stream", [False, True])
def test_old_completions_reach_a_provider_that_only_knows_conversations(stack: Surface, *, stream: bool) -> None:
    with openai.OpenAI(base_url=f"{stack.ready.base_url}/v1", api_key=stack.ready.api_key, max_retries=0) as client:
        asked: dict[str, Any] = {"model": "by-responses", "prompt": "Say hello", "max_tokens": 50}
        if stream:
            chunks = list(client.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
            text = "".join(choice.text for chunk in chunks for choice in chunk.choices)
            finish, usage = chunks[-2].choices[0].finish_reason, chunks[-1].usage
        else:
            answer = client.completions.create(**asked)
            text, finish, usage = answer.choices[0].text, answer.choices[0].finish_reason, answer.usage
        assert text.startswith("Hello! ")
        assert finish == "stop"
        assert usage is not None
        assert min(usage.prompt_tokens, usage.completion_tokens) > 0
        assert "Say hello" in stack.last_request().body
        with pytest.raises(openai.BadRequestError, match="suffix"):
            client.completions.create(**asked, suffix="the end")


# --- lists and counts --------------------------------------------------------------------------------------------


def test_models_are_listed_for_each_sdk(stack: Surface) -> None:
    base_url, key = stack.ready.base_url, stack.ready.api_key
    with openai.OpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=0) as chat:
        assert MODEL in [model.id for model in chat.models.list()]
        assert chat.models.retrieve(MODEL).id == MODEL
    with anthropic.Anthropic(base_url=base_url, api_key=key, max_retries=0) as messages:
        assert MODEL in [model.id for model in messages.models.list()]
        assert messages.models.retrieve(MODEL).type == "model"
    gemini = genai.Client(api_key=key, http_options={"base_url": base_url})
    try:
        assert f"models/{MODEL}" in [model.name for model in gemini.models.list()]
        assert gemini.models.get(model=MODEL).name == f"models/{MODEL}"
    finally:
        gemini.close()


def test_input_is_counted_without_a_call_upstream(stack: Surface) -> None:
    base_url, key = stack.ready.base_url, stack.ready.api_key
    before = stack.counts().begun
    short, long = "Hi", "Hello there, " * 200
    with anthropic.Anthropic(base_url=base_url, api_key=key, max_retries=0) as messages:
        counts = [
            messages.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": text}]).input_tokens
            for text in (short, long)
        ]
    gemini = genai.Client(api_key=key, http_options={"base_url": base_url})
    try:
        totals = [gemini.models.count_tokens(model=MODEL, contents=text).total_tokens or 0 for text in (short, long)]
    finally:
        gemini.close()
    with openai.OpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=0) as chat:
        inputs = [chat.responses.input_tokens.count(model=MODEL, input=text).input_tokens for text in (short, long)]
    for few, many in (counts, totals, inputs):
        assert 0 < few < 20
        assert 600 < many < 1000
    assert stack.counts().begun == before


def test_a_count_for_a_model_that_is_not_there_is_a_404_in_the_dialect(stack: Surface) -> None:
    with (
        anthropic.Anthropic(base_url=stack.ready.base_url, api_key=stack.ready.api_key, max_retries=0) as client,
        pytest.raises(anthropic.NotFoundError),
    ):
        client.messages.count_tokens(model="none", messages=[{"role": "user", "content": "Hi"}])


# --- older and other SDKs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_the_older_gemini_sdk_over_rest(stack: Surface, *, stream: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # it says that it is no longer kept; its users are still there
        import google.generativeai as older  # noqa: PLC0415 - importing it warns
    options = {"api_endpoint": stack.ready.base_url}
    older.configure(api_key=stack.ready.api_key, transport="rest", client_options=options)  # type: ignore[attr-defined]
    answer = older.GenerativeModel(MODEL).generate_content("Hi", stream=stream)  # type: ignore[attr-defined]
    if stream:
        answer.resolve()
    assert answer.text.startswith("Hello! ")
    assert answer.usage_metadata.total_token_count > 0


def node(order: dict[str, object]) -> dict[str, Any]:
    """Run an order through a JavaScript SDK."""
    if which("node") is None or not (NODE / "node_modules").exists():
        assert "CI" not in config.environment(), "Node.js is missing"
        pytest.skip("Node.js and its packages are not there; `make test` installs the packages")
    finished = subprocess.run(  # noqa: S603 - our own program
        ["node", str(NODE / "client.mjs")],  # noqa: S607 - whichever the machine has
        input=json.dumps(order).encode(),
        capture_output=True,
        check=True,
        timeout=NODE_TIMEOUT_S,
    )
    told: dict[str, Any] = json.loads(finished.stdout)
    return told


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("dialect", list(CLIENTS))
def test_the_javascript_sdks(stack: Surface, dialect: str, *, stream: bool) -> None:
    order = {
        "dialect": dialect,
        "base_url": stack.ready.base_url,
        "key": stack.ready.api_key,
        "model": MODEL,
        "stream": stream,
        "prompt": "Hi",
        "tool": False,
    }
    told = node(order)
    assert told.get("text", "").startswith("Hello! "), told
    assert told["usage"]["input"] > 0
    assert told["usage"]["output"] > 0
    called = node({**order, "prompt": f"call {TOOL}", "tool": True})
    assert [call["name"] for call in called["calls"]] == [TOOL]
    assert set(called["calls"][0]["arguments"]) == {"city"}
    refused = node({**order, "key": "sk-tl-wrong"})
    assert refused["error"]["status"] == 401


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_the_examples_run(stack: Surface, path: Path) -> None:
    base_url, key = stack.ready.base_url, stack.ready.api_key
    environment = {
        "OPENAI_BASE_URL": f"{base_url}/v1",
        "OPENAI_API_KEY": key,
        "ANTHROPIC_BASE_URL": base_url,
        "ANTHROPIC_API_KEY": key,
        "TRUNKLINE_BASE_URL": base_url,
        "GEMINI_API_KEY": key,
    }
    finished = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, str(path), "Hello there"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        timeout=60,
    )
    assert finished.stdout.startswith("Hello! ")
