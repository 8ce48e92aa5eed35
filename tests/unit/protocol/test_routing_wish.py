"""What bodies say of the routing: the same in every dialect, and nothing where nothing is said."""

import json
from typing import Any

import pytest

from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol import registry
from trunkline.protocol.dialect import ClientRequest
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES
from trunkline.protocol.routing_wish import RoutingWish, names_of

MESSAGES = [{"role": "user", "content": "hi"}]
BODIES: dict[str, dict[str, Any]] = {
    OPENAI_CHAT: {"model": "m", "messages": MESSAGES},
    OPENAI_RESPONSES: {"model": "m", "input": "hi"},
    ANTHROPIC: {"model": "m", "max_tokens": 9, "messages": MESSAGES},
    GEMINI: {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"maxOutputTokens": 9}},
}
BESIDE: dict[str, dict[str, Any]] = {
    "embeddings": {"model": "m", "input": "hi"},
    "completions": {"model": "m", "prompt": "hi"},
    "moderations": {"model": "m", "input": "hi"},
    "rerank": {"model": "m", "query": "hi", "documents": ["a"]},
    "images_generations": {"model": "m", "prompt": "hi"},
    "images_edits": {"model": "m", "prompt": "hi", "images": [{"file_id": "f"}]},
    "audio_speech": {"model": "m", "input": "hi", "voice": "v"},
}


def read(name: str, **members: object) -> ClientRequest:
    if name in BESIDE:
        return registry.ENDPOINTS[name].read_head(json.dumps({**BESIDE[name], **members}).encode(), "application/json")
    return registry.CLIENTS[name].read_head(json.dumps({**BODIES[name], **members}).encode())


def refusal(name: str, **members: object) -> Fault:
    with pytest.raises(FaultError) as caught:
        read(name, **members)
    assert caught.value.fault.type is ErrorType.CLIENT_BAD_REQUEST
    return caught.value.fault


@pytest.mark.parametrize("name", [*BODIES, *BESIDE])
def test_a_wish_is_read_in_every_dialect_and_endpoint(name: str) -> None:
    assert read(name).wish is None
    assert read(name, fallback_models=["a", "b"]).wish == RoutingWish(("a", "b"))
    assert read(name, models=["m", "a"]).wish == RoutingWish(("m", "a"), first="m")
    route = {"strategy": "latency", "fallback": ["a"]}
    assert read(name, **{"zenmux-route": route}).wish == RoutingWish(("a",), "latency")
    assert refusal(name, fallback_models="a").param == "fallback_models"


@pytest.mark.parametrize(
    ("members", "wish"),
    [
        ({"zenmux-route": {"fallback": "a"}}, RoutingWish(("a",))),
        ({"zenmux-route": {"strategy": "cost"}}, RoutingWish((), "cost")),
        ({"zenmux-route": {"strategy": None, "fallback": None, "more": 1}}, RoutingWish()),
        ({"zenmux-route": None, "models": None, "fallback_models": None}, RoutingWish()),
        ({"fallback_models": []}, RoutingWish()),
        ({"fallback_models": ["a", "b", "a"]}, RoutingWish(("a", "b"))),
        (
            {"zenmux-route": {"fallback": ["a", "d"]}, "fallback_models": ["c", "b"], "models": ["b", "a"]},
            RoutingWish(("b", "a", "c", "d"), first="b"),
        ),
        ({"fallback_models": ["\ud83d"]}, RoutingWish(("\N{REPLACEMENT CHARACTER}",))),
    ],
    ids=["a name", "a strategy", "nothing in it", "nulls", "an empty list", "twice", "all at once", "half an emoji"],
)
def test_forms_of_a_wish(members: dict[str, object], wish: RoutingWish) -> None:
    assert read(OPENAI_CHAT, **members).wish == wish


@pytest.mark.parametrize(
    ("members", "param", "says"),
    [
        ({"models": "a"}, "models", "`models` must be a list of names"),
        ({"models": [1]}, "models", "`models` must be a list of names"),
        ({"fallback_models": {"a": 1}}, "fallback_models", "`fallback_models` must be a list of names"),
        ({"zenmux-route": "latency"}, "zenmux-route", "must be an object such as"),
        ({"zenmux-route": {"strategy": 1}}, "zenmux-route.strategy", "must be the name of a strategy"),
        ({"zenmux-route": {"fallback": 1}}, "zenmux-route.fallback", "must be the name of a model, or a list"),
        ({"zenmux-route": {"fallback": [None]}}, "zenmux-route.fallback", "must be the name of a model, or a list"),
        ({"zenmux-route": {"fallback": " "}}, "zenmux-route.fallback", "has no name"),
        ({"fallback_models": ["a", ""]}, "fallback_models", "has no name"),
        ({"models": ["x" * (limits.MODEL_NAME_CHARS_MAX + 1)]}, "models", "too long"),
    ],
)
def test_what_is_no_wish_is_refused_with_its_field(members: dict[str, object], param: str, says: str) -> None:
    fault = refusal(OPENAI_CHAT, **members)
    assert (fault.param, says in fault.message) == (param, True), fault.message


@pytest.mark.parametrize("name", [OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC])
def test_the_first_of_the_list_is_the_model_where_there_is_no_other(name: str) -> None:
    body = {key: value for key, value in BODIES[name].items() if key != "model"}
    read_head = registry.CLIENTS[name].read_head
    asked = read_head(json.dumps({**body, "models": ["a", "b"]}).encode())
    assert (asked.model, asked.wish) == ("a", RoutingWish(("a", "b"), first="a"))
    for members in ({}, {"models": []}, {"fallback_models": ["a"]}, {"model": None, "models": ["a"]}):
        with pytest.raises(FaultError) as caught:
            read_head(json.dumps({**body, **members}).encode())
        assert caught.value.fault.param == "model"


def test_names_in_a_header_are_checked_alike() -> None:
    assert names_of(["a", "b", "a"], None) == ("a", "b")
    with pytest.raises(FaultError) as caught:
        names_of(["a", ""], None)
    assert caught.value.fault.param is None
