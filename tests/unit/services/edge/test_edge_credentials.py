"""Where a client's key stands in its request."""

import pytest

from services.edge.credentials import find_secret
from trunkline.core.errors import ErrorType, FaultError
from trunkline.policy import keys
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT
from trunkline.runtime.http_exchange import Request

ONE, OTHER = keys.mint(bytes(64)), keys.mint(bytes(range(64)))


def request(query: str = "", **headers: str) -> Request:
    return Request("POST", "/", query, {name.replace("_", "-"): value for name, value in headers.items()}, b"", "")


@pytest.mark.parametrize(
    "sent",
    [
        request(authorization=f"Bearer {ONE}"),
        request(authorization=f"bearer  {ONE} "),
        request(authorization=ONE),
        request(x_api_key=ONE),
        request(x_goog_api_key=ONE),
        request(api_key=ONE),
        request(f"alt=sse&key={ONE}"),
    ],
)
@pytest.mark.parametrize("dialect", [OPENAI_CHAT, ANTHROPIC, GEMINI])
def test_a_key_is_found_in_every_dialects_place_on_every_route(sent: Request, dialect: str) -> None:
    assert find_secret(sent, dialect) == ONE


@pytest.mark.parametrize("left_over", ["Bearer undefined", "Bearer ", "Bearer sk-ant-api03-abc", "Basic eDp5"])
def test_what_a_program_left_there_does_not_hide_a_key(left_over: str) -> None:
    assert find_secret(request(authorization=left_over, x_api_key=ONE), OPENAI_CHAT) == ONE


def test_of_two_keys_the_dialects_own_place_wins() -> None:
    both = request(f"key={OTHER}", authorization=f"Bearer {ONE}", x_api_key=OTHER)
    assert find_secret(both, OPENAI_CHAT) == ONE
    assert find_secret(both, ANTHROPIC) == OTHER
    assert find_secret(both, GEMINI) == OTHER


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (request(), "No API key was sent"),
        (request(authorization="Bearer "), "No API key was sent"),
        (request(authorization="Bearer undefined"), "not a key of this gateway"),
        (request(x_api_key=ONE[:-1]), "not a key of this gateway"),
    ],
)
def test_without_one_the_client_is_told_why(sent: Request, words: str) -> None:
    with pytest.raises(FaultError, match=words) as raised:
        find_secret(sent, OPENAI_CHAT)
    assert raised.value.fault.type is ErrorType.CLIENT_UNAUTHENTICATED
