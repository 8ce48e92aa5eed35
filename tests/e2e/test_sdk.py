"""The official SDK of OpenAI against the gateway, as its users have it: only base URL and key are changed."""

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.support.surface import Surface
from tests.support.waiting import eventually
from trunkline.dev.demo.pieces import SENTENCE
from trunkline.store.database import single_connection

PARALLEL = 200
PROMPT: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "one two three"}]
ASKED = {"include_usage": True}


@pytest.fixture(scope="module")
def client(surface: Surface) -> Iterator[OpenAI]:
    """The SDK as its users make it, but that it never retries behind our back."""
    ready = surface.ready
    with OpenAI(base_url=f"{ready.base_url}/v1", api_key=ready.api_key, max_retries=0, timeout=20) as client:
        yield client


def test_models_are_listed_and_retrieved(client: OpenAI) -> None:
    names = {"demo", "limited", "refusing", "renamed", "vendor/model:free"}
    listed = {model.id: model for model in client.models.list()}
    assert names <= set(listed)  # other tests of this stack add some
    for name in names:
        assert client.models.retrieve(name) == listed[name]
    assert listed["demo"].object == "model"
    assert listed["demo"].owned_by == "trunkline"


def test_unknown_model_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("nobody/knows:it")
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/", "/v1/v1", "/v1/chat/completions"])
def test_base_url_is_taken_bare_with_version_and_as_full_path(surface: Surface, suffix: str) -> None:
    ready = surface.ready
    with OpenAI(base_url=ready.base_url + suffix, api_key=ready.api_key, max_retries=0) as client:
        assert client.chat.completions.create(model="demo", messages=PROMPT).choices[0].message.content == SENTENCE


@pytest.mark.parametrize("model", ["demo", "renamed", "vendor/model:free"])
def test_plain_answer(client: OpenAI, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=PROMPT, max_tokens=5)
    assert answer.model == model
    assert answer.choices[0].message.content == " ".join(SENTENCE.split()[:5])
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (3, 5, 8)


@pytest.mark.parametrize("options", [None, {"include_usage": False}, ASKED], ids=["left_out", "off", "on"])
@pytest.mark.parametrize("model", ["demo", "renamed"])
def test_streamed_answer(client: OpenAI, model: str, options: Any) -> None:
    with client.chat.completions.create(
        model=model,
        messages=PROMPT,
        stream=True,
        stream_options=openai.omit if options is None else options,
    ) as stream:
        chunks = list(stream)
    assert {chunk.model for chunk in chunks} == {model}
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(texts).strip() == SENTENCE
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    extra = [chunk for chunk in chunks if not chunk.choices]
    if options == ASKED:
        assert chunks[-1:] == extra
        assert extra[0].usage is not None
        assert (extra[0].usage.prompt_tokens, extra[0].usage.completion_tokens) == (3, len(SENTENCE.split()))
    else:
        assert not extra
        assert not any(chunk.usage for chunk in chunks)


def test_request_id_names_the_request_in_the_ledger(surface: Surface, client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="renamed", messages=PROMPT, max_tokens=4)
    assert raw.headers["x-request-id"] == raw.request_id
    assert raw.request_id is not None
    assert uuid.UUID(raw.request_id).version == 7
    assert raw.headers["x-upstream-request-id"].startswith("req-demo-")
    assert raw.headers["content-type"] == "application/json"
    rows = asyncio.run(_usage(surface, [raw.request_id]))
    assert rows == [("renamed", "upstream-name", 3, 4, 200, False, "")]


def test_streamed_head(client: OpenAI) -> None:
    with client.chat.completions.with_streaming_response.create(model="demo", messages=PROMPT, stream=True) as raw:
        assert raw.headers["content-type"].startswith("text/event-stream")
        assert raw.headers["cache-control"] == "no-cache"
        assert uuid.UUID(raw.headers["x-request-id"]).version == 7
        lines = list(raw.iter_lines())
    assert lines[-2:] == ["data: [DONE]", ""] or lines[-1] == "data: [DONE]"


async def test_200_parallel_requests_get_their_own_answers(surface: Surface) -> None:
    ready = surface.ready
    async with AsyncOpenAI(base_url=f"{ready.base_url}/v1", api_key=ready.api_key, max_retries=0, timeout=60) as client:

        async def ask(number: int) -> str:
            tokens = number % 25 + 1
            raw = await client.chat.completions.with_raw_response.create(
                model="demo", messages=PROMPT * (number % 7 + 1), max_tokens=tokens
            )
            answer = raw.parse()
            assert answer.choices[0].message.content == " ".join(SENTENCE.split()[:tokens])
            assert answer.usage is not None
            assert answer.usage.prompt_tokens == 3 * (number % 7 + 1)
            assert raw.request_id is not None
            return raw.request_id

        requests = await asyncio.gather(*map(ask, range(PARALLEL)))
    rows = await _usage(surface, requests)
    assert len(rows) == len(set(requests)) == PARALLEL
    assert sum(row[3] for row in rows) == sum(number % 25 + 1 for number in range(PARALLEL))


async def _usage(surface: Surface, requests: list[str]) -> list[tuple[Any, ...]]:
    """Return what the ledger holds of requests, once it holds all."""
    jobs = [uuid.UUID(request) for request in requests]

    async def look() -> list[tuple[Any, ...]]:
        async with single_connection(surface.ready.postgres_dsn, application="test", command_timeout_s=5) as connection:
            rows = await connection.fetch(
                "select model, upstream_model, input, output, status, counted, outcome from usage where job = any($1)",
                jobs,
            )
        return [tuple(row) for row in rows] if len(rows) == len(jobs) else []

    return await eventually(look, within_s=15, what="all usage is in the ledger")


# --- errors, as the SDK shows them --------------------------------------------------------------------------------


def test_rate_limit_says_when_to_come_back(client: OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="limited", messages=PROMPT)
    headers = caught.value.response.headers
    assert caught.value.code == "rate_limit_exceeded"
    assert 1 <= int(headers["retry-after"]) <= 7
    assert 1 <= int(headers["retry-after-ms"]) <= 7000
    assert "x-should-retry" not in headers
    assert uuid.UUID(headers["x-request-id"]).version == 7


def test_bad_request_of_the_upstream_is_not_to_be_retried(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="refusing", messages=PROMPT, stream=True)
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert caught.value.message


def test_wrong_key_is_an_authentication_error(surface: Surface) -> None:
    with (
        OpenAI(base_url=surface.ready.base_url, api_key="sk-wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.chat.completions.create(model="demo", messages=PROMPT)
    assert caught.value.code == "invalid_api_key"
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_retries_of_the_sdk_obey_the_gateway(surface: Surface) -> None:
    before = surface.counts().refused
    ready = surface.ready
    with (
        OpenAI(base_url=ready.base_url, api_key=ready.api_key, max_retries=2) as client,
        pytest.raises(openai.BadRequestError),
    ):
        client.chat.completions.create(model="refusing", messages=PROMPT)
    assert surface.counts().refused == before + 1
