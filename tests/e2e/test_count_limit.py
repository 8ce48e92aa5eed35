"""Who asks for token counts too often is told to wait, in the words of its dialect, and nobody else is."""

import json
from typing import Any, NamedTuple

import pytest

from services.edge.count_limit import COUNTS_BURST
from tests.support.raw_http import Response, exchange, request
from tests.support.surface import ACCOUNT, Surface


class Question(NamedTuple):
    """How a dialect asks for a count.

    Attributes:
        path, body: of the request.
        header: that carries the key.
        error: where its errors say what kind they are, and the kind.
    """

    path: str
    body: dict[str, Any]
    header: str
    error: tuple[str, str]


QUESTIONS = {
    "anthropic": Question(
        "/v1/messages/count_tokens",
        {"model": "demo", "messages": [{"role": "user", "content": "Hi"}]},
        "x-api-key",
        ("type", "rate_limit_error"),
    ),
    "responses": Question(
        "/v1/responses/input_tokens", {"model": "demo", "input": "Hi"}, "authorization", ("code", "rate_limit")
    ),
    "gemini": Question(
        "/v1beta/models/demo:countTokens",
        {"contents": [{"parts": [{"text": "Hi"}]}]},
        "x-goog-api-key",
        ("status", "RESOURCE_EXHAUSTED"),
    ),
}


def ask(surface: Surface, question: Question, key: str) -> Response:
    value = f"Bearer {key}" if question.header == "authorization" else key
    body = json.dumps(question.body).encode()
    return exchange(
        surface.ready.base_url, request("POST", question.path, headers=[(question.header, value)], body=body)
    )


@pytest.mark.parametrize("dialect", QUESTIONS)
def test_counts_are_limited_for_each_key(surface: Surface, dialect: str) -> None:
    question = QUESTIONS[dialect]
    counting, other = (surface.new_key(ACCOUNT, f"counts-{dialect}-{number}") for number in range(2))
    answered = 0
    while (response := ask(surface, question, counting)).status == 200 and answered < 20 * COUNTS_BURST:
        answered += 1
    assert answered >= COUNTS_BURST
    assert (response.status, response.headers["retry-after"]) == (429, "1")
    place, kind = question.error
    assert json.loads(response.body)["error"][place] == kind
    assert ask(surface, question, other).status == 200
