"""What reaches the upstream: the bytes that the client wrote, but for the model's name and our own fields."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support.raw_http import Response, exchange, request
from tests.support.surface import Surface

ASK_USAGE = '"stream_options":{"include_usage":true}'
PRIVATE = '"fallback_models": ["limited"], "zenmux-route": {"fallback": "limited"}, "models": ["demo"]'
MESSAGES = '"messages":[{"role":"user","content":"hi"}]'


class Recorder:
    """The SDK, and the bytes that it sent last."""

    def __init__(self, surface: Surface) -> None:
        self.sent = ""
        ready = surface.ready
        http_client = openai.DefaultHttpxClient(event_hooks={"request": [self._note]})
        self.client = OpenAI(base_url=ready.base_url, api_key=ready.api_key, max_retries=0, http_client=http_client)

    def _note(self, outgoing: Any) -> None:
        self.sent = outgoing.content.decode()


@pytest.fixture
def recorder(surface: Surface) -> Iterator[Recorder]:
    """See `Recorder`."""
    recorder = Recorder(surface)
    with recorder.client:
        yield recorder


def post(surface: Surface, body: str, *headers: tuple[str, str]) -> Response:
    """Send a chat request as these very bytes."""
    key = ("authorization", f"Bearer {surface.ready.api_key}")
    wire = request("POST", "/v1/chat/completions", headers=[key, *headers], body=body.encode())
    response = exchange(surface.ready.base_url, wire)
    assert response.status == 200, response.body
    return response


def upstream_got(surface: Surface, body: str) -> str:
    """Send a chat request and return what the upstream received."""
    post(surface, body)
    return surface.last_request().body


TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Wetter für Ätna ☃",
            "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
            "strict": True,
        },
    }
]
SCHEMA: Any = {
    "type": "json_schema",
    "json_schema": {"name": "answer", "strict": True, "schema": {"type": "object", "properties": {}}},
}
IMAGE: Any = [
    {"type": "text", "text": "what is this?"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}},
]


def test_everything_an_sdk_sends_arrives_as_it_was(surface: Surface, recorder: Recorder) -> None:
    recorder.client.chat.completions.create(
        model="demo",
        messages=[{"role": "system", "content": "“quoted”\u2028\t\\"}, {"role": "user", "content": IMAGE}],
        tools=TOOLS,
        tool_choice={"type": "function", "function": {"name": "weather"}},
        response_format=SCHEMA,
        temperature=0.30000000000000004,
        top_p=1.0,
        seed=2**53 + 1,
        logit_bias={"50256": -100},
        metadata={"a": "b"},
        user="someone",
        extra_body={"vendor_field": {"deep": [1, None, True, 1e-9]}, "another.vendor/field": "x"},
    )
    assert surface.last_request().body == recorder.sent
    assert json.loads(recorder.sent)["vendor_field"]["deep"] == [1, None, True, 1e-9]


def test_stream_asks_for_usage_and_changes_nothing_else(surface: Surface, recorder: Recorder) -> None:
    message: Any = {"role": "user", "content": "hi"}
    with recorder.client.chat.completions.create(model="demo", messages=[message], stream=True, tools=TOOLS) as stream:
        assert list(stream)
    got = surface.last_request().body
    assert got.count(ASK_USAGE) == 1
    assert got.replace(f",{ASK_USAGE}", "").replace(f"{ASK_USAGE},", "") == recorder.sent


def test_stream_that_asks_for_usage_itself_arrives_as_it_was(surface: Surface, recorder: Recorder) -> None:
    options: Any = {"include_usage": True, "vendor": 1}
    message: Any = {"role": "user", "content": "hi"}
    with recorder.client.chat.completions.create(
        model="demo", messages=[message], stream=True, stream_options=options
    ) as stream:
        assert list(stream)[-1].usage is not None
    assert surface.last_request().body == recorder.sent


def test_private_fields_never_reach_the_upstream(surface: Surface, recorder: Recorder) -> None:
    message: Any = {"role": "user", "content": "models fallback_models zenmux-route"}
    recorder.client.chat.completions.create(
        model="demo",
        messages=[message],
        extra_body={
            "fallback_models": ["limited"],
            "zenmux-route": {"strategy": "cost"},
            "models": ["demo"],
            "kept": {"models": [1], "fallback_models": 2},
        },
    )
    got = json.loads(surface.last_request().body)
    assert got == {"model": "demo", "messages": [message], "kept": {"models": [1], "fallback_models": 2}}


BODIES = {
    "spaces": '{ "model" : "demo" ,\r\n\t"messages" : [ {"role":"user","content":"a  b"} ] }\n',
    "escapes": '{"\\u006dodel":"d\\u0065mo","messages":[{"role":"user","content":"\\ud83d\\ude00 \\u0000 \\/"}]}',
    "long_numbers": f'{{"model":"demo",{MESSAGES},"n1":123456789012345678901234567890,"n2":1.10,"n3":-0.0,"n4":1E400}}',
    "order_and_repeats": f'{{"x":1,{MESSAGES},"x":2,"model":"demo","x":3}}',
    "unicode": '{"model":"demo","messages":[{"role":"user","content":"日本語 🏔 \u202e"}]}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_unusual_but_valid_json_arrives_byte_for_byte(surface: Surface, body: str) -> None:
    assert upstream_got(surface, body) == body


def test_half_a_surrogate_pair_arrives_byte_for_byte(surface: Surface) -> None:
    body = f'{{"model":"demo",{MESSAGES},"note":"\\ud800"}}'
    key = ("authorization", f"Bearer {surface.ready.api_key}")
    exchange(surface.ready.base_url, request("POST", "/v1/chat/completions", headers=[key], body=body.encode()))
    assert surface.last_request().body == body  # which the demo upstream cannot read; others can


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_private_fields_are_cut_out_and_no_other_byte(surface: Surface, place: str) -> None:
    parts = {"first": (PRIVATE, '"model":"demo"', MESSAGES), "middle": ('"model":"demo"', PRIVATE, MESSAGES)}
    body = ", ".join(parts.get(place, ('"model":"demo"', MESSAGES, PRIVATE)))
    got = upstream_got(surface, f"{{{body}}}")
    assert got == f'{{"model":"demo", {MESSAGES}}}'


def test_only_the_models_name_is_changed_where_the_channel_maps_it(surface: Surface) -> None:
    body = '{ "temperature":0.10, "model" :  "renamed", "messages":[{"role":"user","content":"renamed"}] }'
    assert upstream_got(surface, body) == body.replace('"renamed", ', '"upstream-name", ')


def test_only_the_models_name_is_changed_in_the_answer(surface: Surface) -> None:
    named = post(surface, f'{{"model":"demo",{MESSAGES}}}').body.decode()
    renamed = post(surface, f'{{"model":"renamed",{MESSAGES}}}').body.decode()

    def without_own(answer: str) -> dict[str, Any]:
        return {name: value for name, value in json.loads(answer).items() if name not in {"id", "created", "model"}}

    assert without_own(named) == without_own(renamed)
    assert json.loads(renamed)["model"] == "renamed"
    assert "upstream-name" not in renamed


def test_what_is_of_the_connection_or_secret_stays_at_the_edge(surface: Surface) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    post(
        surface,
        f'{{"model":"renamed",{MESSAGES}}}',
        ("cookie", "session=secret"),
        ("x-forwarded-for", "203.0.113.7"),
        ("openai-organization", "org-of-the-client"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "1"),
        ("traceparent", trace),
    )
    headers = surface.last_request().headers
    assert headers["authorization"] == "Bearer sk-surface-upstream"
    assert headers["traceparent"] == trace
    assert not {"cookie", "x-forwarded-for", "openai-organization", "x-hop"} & set(headers)
