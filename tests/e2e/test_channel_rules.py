"""What a channel changes in requests and in the meaning of answers, through a real stack and the openai SDK."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import openai
import pytest

from tests.support.particular_upstream import ParticularUpstream, Taken, Wish, particular_upstream
from tests.support.surface import Surface, running_surface

ACCOUNT = "particular"
TIMEOUT_S = 30.0
FIRST_TOKEN_S = 0.5

HELLO: Any = [{"role": "user", "content": "Hello"}]
RULES: dict[str, Any] = {
    "drop": ["user"],
    "default": {"seed": 7},
    "clamp": {"top_p": {"max": 0.99}},
    "rename": {"max_tokens": "max_completion_tokens"},
}


class Rig(NamedTuple):
    """The stack, its upstream and an SDK."""

    surface: Surface
    upstream: ParticularUpstream
    sdk: openai.OpenAI

    def ask(self, model: str, **fields: Any) -> str:
        """Return the text of a whole answer."""
        answer: Any = self.sdk.chat.completions.create(model=model, messages=HELLO, **fields)
        text: str = answer.choices[0].message.content
        return text

    def last(self, wish: Wish = Wish.PARTICULAR) -> Taken:
        """Return what came last."""
        return self.upstream.taken[wish][-1]


def configuration(upstream: ParticularUpstream) -> dict[str, Any]:
    def channel(name: str, wish: Wish, *models: str, **members: Any) -> dict[str, Any]:
        return {
            "name": name,
            "dialect": "openai",
            "base_url": upstream.base_url(wish),
            "credentials": [f"sk-{name}-0123456789"],
            "models": dict.fromkeys(models, "up"),
            **members,
        }

    stricter = {"models": ["own-*"], "params": {"clamp": {"top_p": {"max": 0.5}}, "set": {"seed": 8}}}
    hurried = {"models": ["hurried"], "timeouts": {"first_token_s": FIRST_TOKEN_S}}
    headers = {"drop": ["user-agent"], "set": {"x-title": "Team 1", "accept": "application/json"}}
    channels = [
        channel("plain", Wish.PARTICULAR, "plain"),
        channel("ruled", Wish.PARTICULAR, "ruled", "own-rules", params=RULES, headers=headers, overrides=[stricter]),
        channel("busy", Wish.BUSY, "moved", priority=10, status_map={400: 503}),
        channel("misread", Wish.BUSY, "misread", priority=10),
        channel("silent", Wish.SILENT, "hurried", priority=10, overrides=[hurried]),
        channel("last", Wish.PARTICULAR, "moved", "misread", "hurried"),
    ]
    names = dict.fromkeys(name for entry in channels for name in entry["models"])
    return {
        "channels": channels,
        "models": [{"name": name, "price": {"input": "0.1", "output": "0.4"}} for name in names],
        "accounts": [{"name": ACCOUNT, "credit": "100"}],
    }


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with particular_upstream() as upstream, running_surface() as surface:
        configured = configuration(upstream)
        surface.admin("POST", "/apply", configured)
        key = surface.new_key(ACCOUNT, ACCOUNT)
        for model in configured["models"]:
            surface.wait_for_status(key, 200, f"/v1/models/{model['name']}")
        url = f"{surface.ready.base_url}/v1"
        with openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=TIMEOUT_S) as sdk:
            yield Rig(surface, upstream, sdk)


def test_a_provider_that_refuses_a_top_p_of_1_serves_behind_a_clamp(rig: Rig) -> None:
    with pytest.raises(openai.BadRequestError, match="top_p"):
        rig.ask("plain", top_p=1)
    assert rig.ask("ruled", top_p=1) == "As you wish."
    assert rig.last().body["top_p"] == 0.99


def test_fields_are_dropped_given_and_renamed(rig: Rig) -> None:
    rig.ask("ruled", user="u", max_tokens=5, top_p=0.25)
    assert rig.last().body == {
        "model": "up",
        "messages": HELLO,
        "seed": 7,
        "top_p": 0.25,
        "max_completion_tokens": 5,
    }
    rig.ask("ruled", seed=3)
    assert rig.last().body == {"model": "up", "messages": HELLO, "seed": 3}


def test_an_override_rules_its_models_alone(rig: Rig) -> None:
    rig.ask("own-rules", user="u", top_p=1)
    assert rig.last().body == {"model": "up", "messages": HELLO, "seed": 8, "top_p": 0.5}


def test_a_translated_request_is_ruled_as_well(rig: Rig) -> None:
    rig.sdk.responses.create(model="ruled", input="Hello", top_p=1, max_output_tokens=9)
    body = rig.last().body
    assert (body["top_p"], body["seed"], body["max_completion_tokens"]) == (0.99, 7, 9)


def test_header_lines_arrive(rig: Rig) -> None:
    rig.ask("plain")
    plain = rig.last().headers
    rig.ask("ruled")
    ruled = rig.last().headers
    assert ruled["authorization"] == "Bearer sk-ruled-0123456789"
    assert (ruled["x-title"], ruled["accept"]) == ("Team 1", "application/json")
    assert "user-agent" in plain
    assert ruled.keys() == plain.keys() - {"user-agent"} | {"x-title"}


def test_a_status_is_read_as_another_one(rig: Rig) -> None:
    with pytest.raises(openai.BadRequestError, match="Too busy"):
        rig.ask("misread")
    assert rig.ask("moved") == "As you wish."
    assert rig.last(Wish.BUSY).body["model"] == "up"


def test_a_model_with_a_shorter_time_of_its_own_fails_over(rig: Rig) -> None:
    stream: Any = rig.sdk.chat.completions.create(model="hurried", messages=HELLO, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == "As you wish."
    assert stream.response.headers["x-trunkline-attempts"] == "2"
    assert len(rig.upstream.taken[Wish.SILENT]) == 1


def test_what_is_meant_for_the_gateway_stays_with_it(rig: Rig) -> None:
    wishes = {"fallback_models": ["ruled"], "models": ["plain"], "zenmux-route": {"strategy": "cost"}, "usage": {}}
    assert rig.ask("plain", extra_body=wishes) == "As you wish."
    assert rig.last().body == {"model": "up", "messages": HELLO}
