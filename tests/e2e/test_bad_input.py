"""What clients get wrong in a well-framed request: each a 4xx in OpenAI's shape that says what to do."""

import asyncio
import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.support.raw_http import RawClient, Response, exchange, request
from tests.support.surface import ACCOUNT, BODY_BYTES_MAX, READ_TIMEOUT_S, OpenAIError, Surface, read_error
from trunkline.policy import keys
from trunkline.runtime.clock import SystemClock

CHAT = "/v1/chat/completions"
QUICK_S = READ_TIMEOUT_S
"""A refusal takes a few milliseconds; a busy machine gets more, but less than a client that says nothing."""

EXPIRES_S = 4.0
"""Time enough to see that a key is taken before it expires, and less than a change is waited for."""

LOOKUPS = "trunkline_edge_key_lookups_total"
DEMO: dict[str, Any] = {"model": "demo", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(autouse=True)
def still_serves(surface: Surface) -> Iterator[None]:
    """After each of these tests the same edge process answers a good request."""
    pid = surface.ready.processes["edge"][0].pid
    yield
    assert chat(surface, msgspec.json.encode(DEMO)).status == 200
    assert surface.ready.processes["edge"][0].pid == pid


def chat(surface: Surface, body: bytes, *headers: tuple[str, str], key: str | None = None) -> Response:
    """Send a body as a chat request; it must be answered quickly."""
    bearer = ("authorization", f"Bearer {key or surface.ready.api_key}")
    clock = SystemClock()
    began = clock.now()
    response = exchange(surface.ready.base_url, request("POST", CHAT, headers=[bearer, *headers], body=body))
    assert clock.now() - began < QUICK_S
    return response


def refused(surface: Surface, body: bytes, status: int = 400) -> OpenAIError:
    """Return the error that a chat request is refused with."""
    response = chat(surface, body)
    assert response.status == status, response.body
    assert response.headers["x-should-retry"] == "false"
    return read_error(response)


# --- the body -----------------------------------------------------------------------------------------------------

NOT_JSON = {
    "empty": b"",
    "spaces": b" \r\n\t ",
    "half": b'{"model":"demo","messages":[{"role":"us',
    "trailing_comma": b'{"model":"demo",}',
    "trailing_garbage": b'{"model":"demo","messages":[{"role":"user"}]} x',
    "two_documents": b'{"model":"demo","messages":[1]}{"model":"demo","messages":[1]}',
    "single_quotes": b"{'model':'demo'}",
    "no_quotes": b"{model:demo}",
    "nan": b'{"model":"demo","messages":[1],"temperature":NaN}',
    "control_character": b'{"model":"demo","messages":["a\nb"]}',
    "nul": b'{"model":"demo","messages":["a\x00b"]}',
    "only_nul": b"\x00" * 64,
    "byte_order_mark": b'\xef\xbb\xbf{"model":"demo","messages":[1]}',
    "utf_16": '{"model":"demo","messages":[1]}'.encode("utf-16"),
    "bad_escape": rb'{"model":"demo","messages":["\x41"]}',
    "form": b"model=demo&messages=hi",
    "hash_comment": b'{"model":"demo"} # no',
    "invalid_utf_8": b'{"model":"demo","messages":["\xff\xfe"]}',
    "overlong_utf_8": b'{"model":"demo","messages":["\xc0\x80"]}',
    "surrogate_utf_8": b'{"model":"demo","messages":["\xed\xa0\x80"]}',
    "cut_utf_8": b'{"model":"demo","messages":[1],"x":"\xe2\x82',
    "invalid_utf_8_key": b'{"model":"demo","messages":[1],"\xff":1}',
    "list": b"[]",
    "text": b'"demo"',
    "number": b"5",
    "null": b"null",
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_body_that_is_no_json_object(surface: Surface, body: bytes) -> None:
    error = refused(surface, body)
    assert (error.type, error.code, error.param) == ("invalid_request_error", "invalid_json", None)


@pytest.mark.parametrize("brackets", ["[", "{", '{"a":'], ids=["lists", "objects", "members"])
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "open"])
def test_deep_nesting(surface: Surface, brackets: str, closed: bool) -> None:
    depth = 50_000 if brackets == '{"a":' else 100_000
    end = {"[": "]", "{": "}"}[brackets[0]] * depth if closed else ""
    body = f'{{"model":"demo","messages":[1],"x":{brackets * depth}{end}}}'
    assert len(body) < BODY_BYTES_MAX
    assert refused(surface, body.encode()).type == "invalid_request_error"


def test_nesting_just_over_the_bound_says_so(surface: Surface) -> None:
    body = f'{{"model":"demo","messages":[1],"x":{"[" * 200}{"]" * 200}}}'
    assert "nested" in refused(surface, body.encode()).message


NO_LIMITS: list[object] = [-1, 0, "5", 1.5, 2**40, 10**30, [], True]
WRONG_VALUES: dict[str, list[object]] = {
    "model": [5, None, [], {}, True, "", "   ", "x" * 300],
    "messages": ["hi", {}, None, 5, [], True],
    "stream": ["yes", 1, [], {}],
    "max_tokens": NO_LIMITS,
    "max_completion_tokens": NO_LIMITS,
    "stream_options": [[], "x", 5, True],
}
WRONG_FIELDS = [
    *((name, name, value) for name, values in WRONG_VALUES.items() for value in values),
    ("stream_options", "stream_options.include_usage", {"include_usage": "yes"}),
    ("stream_options", "stream_options.include_usage", {"include_usage": 1}),
]


@pytest.mark.parametrize(("field", "param", "value"), WRONG_FIELDS)
def test_field_of_the_wrong_type_is_named(surface: Surface, field: str, param: str, value: object) -> None:
    error = refused(surface, json.dumps(DEMO | {field: value}).encode())
    assert error.param == param
    assert f"`{param}`" in error.message


@pytest.mark.parametrize("field", ["model", "messages"])
def test_missing_field_is_named(surface: Surface, field: str) -> None:
    error = refused(surface, msgspec.json.encode({name: value for name, value in DEMO.items() if name != field}))
    assert error.param == field


@pytest.mark.parametrize("messages", [[5], ["hi"], [None], [{"role": "user", "content": 5}], [[]]])
def test_messages_that_only_the_upstream_can_judge(surface: Surface, messages: list[object]) -> None:
    response = chat(surface, msgspec.json.encode(DEMO | {"messages": messages}))
    assert response.status == 400
    assert read_error(response, own_words=False).type == "invalid_request_error"


@pytest.mark.parametrize(
    "model", ["unknown", "demo ", "DEMO", "demo\u0000", "../demo", "*", ">", "demo.>", "$KV", "'; drop table keys; --"]
)
def test_unknown_model(surface: Surface, model: str) -> None:
    error = refused(surface, msgspec.json.encode(DEMO | {"model": model}), 404)
    assert (error.code, error.param) == ("model_not_found", "model")
    assert "/v1/models" in error.message
    assert len(model) < 5 or model not in error.message


# --- the key ------------------------------------------------------------------------------------------------------


def unauthenticated(surface: Surface, *headers: tuple[str, str]) -> OpenAIError:
    """Return the error that a request without a good key is refused with, wherever it goes."""
    for method, path in (("POST", CHAT), ("GET", "/v1/models"), ("GET", "/v1/models/demo")):
        body = msgspec.json.encode(DEMO) if method == "POST" else None
        response = exchange(surface.ready.base_url, request(method, path, headers=headers, body=body))
        assert response.status == 401, response.body
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.headers["x-should-retry"] == "false"
        error = read_error(response)
        assert error.code == "invalid_api_key"
    return error


def test_no_key(surface: Surface) -> None:
    assert "Authorization: Bearer" in unauthenticated(surface).message


def malformed_keys() -> dict[str, str]:
    """Return what is no key of ours: mistyped, cut, of others, or an attack."""
    good = keys.mint(bytes(range(64)))
    return {
        "bad_checksum": good[:-1] + ("a" if good[-1] != "a" else "b"),
        "two_letters_swapped": good[:10] + good[11] + good[10] + good[12:],
        "cut": good[:-1],
        "longer": good + "0",
        "lower_case": good.lower(),
        "of_openai": "sk-proj-" + "a" * 48,
        "empty": "",
        "prefix": "sk-tl-",
        "injection": "sk-tl-' or 1=1 --",
        "wildcard": "sk-tl-*",
        "subject": "sk-tl-" + "a.b>" * 10,
        "not_ascii": "sk-tl-" + "\xe9" * 38,
        "long": "sk-tl-" + "a" * 8000,
        "spaces": " ".join(good),
        "hash": keys.key_hash(good, b"some pepper of ours"),
    }


@pytest.mark.parametrize("key", malformed_keys().values(), ids=malformed_keys())
def test_malformed_key_is_refused_without_a_look_up(surface: Surface, key: str) -> None:
    before = surface.edge_sum(LOOKUPS)
    error = unauthenticated(surface, ("authorization", f"Bearer {key}"))
    assert len(key) < 8 or key not in error.message
    assert surface.edge_sum(LOOKUPS) == before


@pytest.mark.parametrize("scheme", ["Basic", "Digest", "Token"])
def test_other_scheme_of_authorization(surface: Surface, scheme: str) -> None:
    unauthenticated(surface, ("authorization", f"{scheme} {surface.ready.api_key}"))


def test_two_keys_in_one_request(surface: Surface) -> None:
    key = f"Bearer {surface.ready.api_key}"
    unauthenticated(surface, ("authorization", key), ("Authorization", key))


def test_unknown_key_is_looked_up_once(surface: Surface) -> None:
    before = surface.edge_sum(LOOKUPS)
    unknown = ("authorization", f"Bearer {keys.mint(bytes(range(100, 164)))}")
    first, second = unauthenticated(surface, unknown), unauthenticated(surface, unknown)
    assert first == second
    assert surface.edge_sum(LOOKUPS) == before + 1


def test_blocked_and_revoked_key(surface: Surface) -> None:
    key = surface.new_key(ACCOUNT, "to-be-blocked")
    header = ("authorization", f"Bearer {key}")
    surface.admin("POST", f"/accounts/{ACCOUNT}/keys/to-be-blocked/block")
    surface.wait_for_status(key, 401)
    assert "blocked" in unauthenticated(surface, header).message
    surface.admin("POST", f"/accounts/{ACCOUNT}/keys/to-be-blocked/unblock")
    surface.wait_for_status(key, 200)
    surface.admin("DELETE", f"/accounts/{ACCOUNT}/keys/to-be-blocked")
    surface.wait_for_status(key, 401)
    assert "revoked" in unauthenticated(surface, header).message


def test_expired_key(surface: Surface) -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=EXPIRES_S)
    key = surface.new_key(ACCOUNT, "short-lived", expires=soon.isoformat())
    surface.wait_for_status(key, 401)
    assert "expired" in unauthenticated(surface, ("authorization", f"Bearer {key}")).message


def test_key_for_other_addresses(surface: Surface) -> None:
    key = surface.new_key(ACCOUNT, "elsewhere", allow_ips=["127.0.0.0/8"])
    networks = ["203.0.113.0/24", "2001:db8::/32"]
    surface.admin("PATCH", f"/accounts/{ACCOUNT}/keys/elsewhere", {"allow_ips": networks})
    surface.wait_for_status(key, 401)
    header = ("authorization", f"Bearer {key}")
    assert "IP address" in unauthenticated(surface, header).message
    assert unauthenticated(surface, header, ("x-forwarded-for", "203.0.113.7")).code == "invalid_api_key"


def test_key_for_other_models(surface: Surface) -> None:
    key = surface.new_key(ACCOUNT, "one-model", models=["vendor/*"])
    response = chat(surface, msgspec.json.encode(DEMO), key=key)
    assert response.status == 403
    assert read_error(response).code == "model_not_allowed"
    assert chat(surface, msgspec.json.encode(DEMO | {"model": "vendor/model:free"}), key=key).status == 200
    assert surface.get("/v1/models/demo", key) == 403


# --- the endpoint -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/", "/v1/fine_tuning/jobs", "/v2/chat/completions", "/v1/chat", "/v1/chat/completions/extra",
     "/v1/x", "/metrics", "/readyz", "/admin/v1/accounts", "/v1/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
     "/v1/%00", "/.env", "//", "/v1/chat/completions%00", "/" + "a/" * 2000, "*"],
)  # fmt: skip
def test_unknown_endpoint(surface: Surface, path: str) -> None:
    key = ("authorization", f"Bearer {surface.ready.api_key}")
    response = exchange(surface.ready.base_url, request("GET", path, headers=[key]))
    assert response.status == 404, response.body
    assert "/v1/chat/completions" in read_error(response).message


@pytest.mark.parametrize("name", ["unknown", "%00", "%FF%FE", "..%2f..%2fetc", "%", "%zz", "a" * 4000, "demo/", "'"])
def test_unknown_model_in_the_path(surface: Surface, name: str) -> None:
    key = ("authorization", f"Bearer {surface.ready.api_key}")
    response = exchange(surface.ready.base_url, request("GET", f"/v1/models/{name}", headers=[key]))
    if name == "demo/":
        assert response.status == 200
    else:
        assert response.status == 404
        assert read_error(response).code == "model_not_found"


@pytest.mark.parametrize(
    ("method", "path"),
    [(method, CHAT) for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND")]
    + [(method, path) for method in ("POST", "DELETE", "PUT") for path in ("/v1/models", "/v1/models/demo")],
)
def test_wrong_method(surface: Surface, method: str, path: str) -> None:
    key = ("authorization", f"Bearer {surface.ready.api_key}")
    response = exchange(surface.ready.base_url, request(method, path, headers=[key]))
    assert response.status == 405
    allowed = "POST" if path == CHAT else "GET"
    assert allowed in response.headers["allow"]
    assert allowed in read_error(response).message


def test_head_is_answered_without_a_body(surface: Surface) -> None:
    key = ("authorization", f"Bearer {surface.ready.api_key}")
    with RawClient(surface.ready.base_url) as client:
        client.send(request("HEAD", "/v1/models", headers=[key, ("connection", "close")]))
        head, _, rest = client.read_to_end().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert rest == b""


async def test_a_flood_of_refusals_does_not_slow_good_requests(surface: Surface) -> None:
    clock = SystemClock()
    bad = [asyncio.to_thread(chat, surface, b"[" * 100_000) for _ in range(16)]
    good = [asyncio.to_thread(chat, surface, msgspec.json.encode(DEMO)) for _ in range(16)]
    began = clock.now()
    statuses = [response.status for response in await asyncio.gather(*bad, *good)]
    assert statuses == [400] * 16 + [200] * 16
    assert clock.now() - began < 16 * QUICK_S
