"""A stream whose model thinks for long stays alive on the way, and every official SDK bears the signs of it."""

import json
from collections.abc import Iterator

import pytest

from tests.support.raw_http import exchange, request
from tests.support.sdk_clients import CLIENTS, Question
from tests.support.surface import Surface, running_surface
from trunkline.protocol import registry
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES

MODEL = "slow"
PACE_MS = 900
TEXT = "One two three."
PATHS = {
    OPENAI_CHAT: ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "stream": True}),
    OPENAI_RESPONSES: ("/v1/responses", {"input": "Hi", "stream": True}),
    ANTHROPIC: ("/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], "stream": True}),
    GEMINI: (f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse", {"contents": [{"parts": [{"text": "Hi"}]}]}),
}


@pytest.fixture(scope="module")
def stack() -> Iterator[Surface]:
    with running_surface(settings={"TRUNKLINE_KEEPALIVE_S": "0.3"}) as surface:
        channel = {
            "name": MODEL,
            "dialect": "openai",
            "base_url": f"{surface.ready.upstream_url}/v1",
            "credentials": ["sk-slow"],
            "models": {MODEL: f"demo?delay_ms={PACE_MS}&text={TEXT.replace(' ', '+')}"},
        }
        model = {"name": MODEL, "price": {"input": "0.1", "output": "0.4"}}
        surface.admin("POST", "/apply", {"channels": [channel], "models": [model]})
        surface.wait_for_status(surface.ready.api_key, 200, f"/v1/models/{MODEL}")
        yield surface


@pytest.mark.parametrize("dialect", list(CLIENTS))
def test_an_sdk_reads_past_the_signs_of_life(stack: Surface, dialect: str) -> None:
    client = CLIENTS[dialect](stack.ready.base_url, stack.ready.api_key)
    try:
        assert client.ask(Question(MODEL), stream=True).text == TEXT
    finally:
        client.close()


@pytest.mark.parametrize("dialect", list(PATHS))
def test_signs_of_life_come_while_nothing_else_does(stack: Surface, dialect: str) -> None:
    path, body = PATHS[dialect]
    headers = [("authorization", f"Bearer {stack.ready.api_key}"), ("content-type", "application/json")]
    content = json.dumps({"model": MODEL, **body} if dialect != GEMINI else body).encode()
    answer = exchange(stack.ready.base_url, request("POST", path, headers=headers, body=content))
    assert answer.status == 200, answer.body
    sign = registry.CLIENTS[dialect].keepalive
    assert answer.body.count(sign) >= 2 if sign else b"\n:" not in answer.body
