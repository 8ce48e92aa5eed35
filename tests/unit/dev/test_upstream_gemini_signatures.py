"""The demo upstream as Gemini wants its thought signatures back."""

import json
from typing import Any

import pytest

from tests.support.upstream_answers import events, gemini_parts
from tests.support.upstream_client import Client, UpstreamClient
from tests.support.upstream_dialects import GEMINI

USER = {"role": "user", "parts": [{"text": "one two three"}]}
CALL = {"functionCall": {"name": "weather", "args": {}}}
RESPONSE = {"functionResponse": {"name": "weather", "response": {"output": "sunny day"}}}
PLACEHOLDER = "skip_thought_signature_validator"
THIRD = "gemini-3-pro"


@pytest.fixture
def upstream() -> UpstreamClient:
    return UpstreamClient()


def refusal(answer: Client) -> str:
    assert answer.status == 400
    return str(json.loads(answer.body)["error"]["message"])


def model_turn(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def user_turn(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


@pytest.fixture
def calls(upstream: UpstreamClient) -> list[dict[str, Any]]:
    """Two calls of the third generation, as parts."""
    model = f'{THIRD}?reasoning=let me think&tool=weather&tool_calls=2&arguments={{"a": 1, "b": [2.50]}}'
    parts = gemini_parts(events(GEMINI.ask(upstream, model, stream=True)))
    return [part for part in parts if "functionCall" in part]


def replay(
    upstream: UpstreamClient, calls: list[dict[str, Any]], *further: dict[str, Any], model: str = THIRD
) -> Client:
    contents = [USER, model_turn(*calls), user_turn(*[RESPONSE] * len(calls)), *further]
    return GEMINI.ask(upstream, model, contents=contents)


def test_signature_that_comes_back_is_taken(upstream: UpstreamClient, calls: list[dict[str, Any]]) -> None:
    assert replay(upstream, calls).status == 200


def test_signature_in_the_other_alphabet_is_taken(upstream: UpstreamClient, calls: list[dict[str, Any]]) -> None:
    calls[0]["thoughtSignature"] = calls[0]["thoughtSignature"].replace("+", "-").replace("/", "_")
    assert replay(upstream, calls).status == 200


def test_missing_signature_is_refused_in_the_current_turn(
    upstream: UpstreamClient, calls: list[dict[str, Any]]
) -> None:
    del calls[0]["thoughtSignature"]
    message = refusal(replay(upstream, calls))
    assert message.startswith("Function call is missing a thought_signature in functionCall parts.")
    assert "`default_api:weather` , position 2." in message
    assert replay(upstream, calls, model_turn({"text": "x"}), USER).status == 200
    assert replay(upstream, calls, model="gemini-2.5-pro").status == 200


def test_every_step_of_the_turn_needs_its_signature(upstream: UpstreamClient, calls: list[dict[str, Any]]) -> None:
    answer = replay(upstream, calls, model_turn(CALL), user_turn(RESPONSE))
    assert "position 4." in refusal(answer)


def test_signature_on_the_wrong_call_or_of_another_is_refused(
    upstream: UpstreamClient, calls: list[dict[str, Any]]
) -> None:
    assert "missing a thought_signature" in refusal(replay(upstream, [calls[1], calls[0]]))
    other = {"functionCall": {"name": "weather", "args": {"a": 2}}, "thoughtSignature": calls[0]["thoughtSignature"]}
    assert refusal(replay(upstream, [other])).endswith("Thought signature is not valid.")


def test_documented_placeholder_is_taken(upstream: UpstreamClient) -> None:
    assert replay(upstream, [{**CALL, "thoughtSignature": PLACEHOLDER}]).status == 200
