"""Pictures and documents by URL on their way to providers that do not fetch them, through the official SDKs."""

import contextlib
import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import openai
import pytest
from google import genai
from google.genai import types as google

from tests.support.picture_server import PDF, PictureServer, base64_of, picture_server, png
from tests.support.raw_http import RawClient, exchange, request
from tests.support.stack import until
from tests.support.surface import Surface, running_surface
from trunkline.cli import http
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES

CHANNELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "inline-chat": ("openai", "/v1", {"inline_images": True}),
    "inline-responses": ("openai-responses", "/v1", {"inline_images": True}),
    "inline-anthropic": ("anthropic", "/v1", {"inline_images": True}),
    "usual-gemini": ("gemini", "/v1beta", {}),
    "inline-gemini": ("gemini", "/v1beta", {"inline_images": True}),
    "fetching-gemini": ("gemini", "/v1beta", {"inline_images": False}),
    "usual-chat": ("openai", "/v1", {}),
}
GONE_WITHIN_S = 5.0
"""Sooner than what is not given up is over by itself."""

REFUSALS = 40
"""More failures than any channel is forgiven in a row."""


class World(NamedTuple):
    """The stack, and the web that its clients' pictures are in.

    Attributes:
        planted: stands in every URL.
        key: of the clients.
    """

    surface: Surface
    web: PictureServer
    planted: str
    key: str

    def url(self, path: str) -> str:
        return self.web.url(f"{path}?{self.planted}")

    def sent(self) -> str:
        """Return what the provider got last."""
        return self.surface.last_request().body.replace("_", "/").replace("-", "+")

    def fetches(self, result: str) -> float:
        """Return how many ended so."""
        metrics = self.surface.metrics(self.surface.ready.processes["dispatcher"][0].ops_url)
        samples = [sample for metric in metrics for sample in metric.samples]
        name = "trunkline_dispatcher_fetches_total"
        return sum(sample.value for sample in samples if sample.name == name and sample.labels["result"] == result)

    def post(self, body: object) -> Any:
        headers = [("authorization", f"Bearer {self.key}"), ("content-type", "application/json")]
        wire = request("POST", "/v1/chat/completions", headers=headers, body=json.dumps(body).encode())
        return exchange(self.surface.ready.base_url, wire)


def configuration(upstream_url: str) -> dict[str, object]:
    """Return a channel for each model, and a model with a channel that fails before the one that does not."""
    channels: list[dict[str, Any]] = [
        {
            "name": name,
            "dialect": dialect,
            "base_url": upstream_url + base,
            "models": {name: "demo"},
            "options": options,
        }
        for name, (dialect, base, options) in CHANNELS.items()
    ]
    for priority, script in enumerate(("demo", "demo?status=500")):
        name, base, options = f"twice-{priority}", f"{upstream_url}/v1", {"inline_images": True}
        channel = {"name": name, "dialect": "openai", "base_url": base, "models": {"twice": script}, "options": options}
        channels.append({**channel, "priority": priority})
    for channel in channels:
        channel["credentials"] = [f"sk-{channel['name']}"]
    models = [{"name": name, "price": {"input": "0.1", "output": "0.4"}} for name in (*CHANNELS, "twice")]
    return {"channels": channels, "models": models, "accounts": [{"name": "pictures", "credit": "100"}]}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    planted = f"planted-{secrets.token_hex(8)}"
    with picture_server(png(planted.encode())) as web:
        settings = {"TRUNKLINE_FETCH_ALLOW": "127.0.0.1/32", "TRUNKLINE_FETCH_PORTS": f"80,{web.port}"}
        with running_surface("--log-level", "debug", settings=settings) as surface:
            surface.admin("POST", "/apply", configuration(surface.ready.upstream_url))
            key = surface.new_key("pictures", "pictures")
            for model in (*CHANNELS, "twice"):
                surface.wait_for_status(key, 200, f"/v1/models/{model}")
            yield World(surface, web, planted, key)


# --- the SDKs ------------------------------------------------------------------------------------------------------


def ask_chat(world: World, model: str, url: str, *, stream: bool) -> str:
    content: Any = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    asked: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": content}]}
    base_url = f"{world.surface.ready.base_url}/v1"
    with openai.OpenAI(base_url=base_url, api_key=world.key, max_retries=0) as client:
        if stream:
            chunks = client.chat.completions.create(**asked, stream=True)
            return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
        return client.chat.completions.create(**asked).choices[0].message.content or ""


def ask_responses(world: World, model: str, url: str, *, stream: bool) -> str:
    content = [
        {"type": "input_text", "text": "What is it?"},
        {"type": "input_image", "image_url": url, "detail": "auto"},
    ]
    asked: dict[str, Any] = {"model": model, "input": [{"role": "user", "content": content}]}
    base_url = f"{world.surface.ready.base_url}/v1"
    with openai.OpenAI(base_url=base_url, api_key=world.key, max_retries=0) as client:
        if stream:
            with client.responses.stream(**asked) as events:
                return str(events.get_final_response().output_text)
        return str(client.responses.create(**asked).output_text)


def ask_anthropic(world: World, model: str, url: str, *, stream: bool) -> str:
    content: Any = [{"type": "image", "source": {"type": "url", "url": url}}, {"type": "text", "text": "What is it?"}]
    asked: dict[str, Any] = {"model": model, "max_tokens": 99, "messages": [{"role": "user", "content": content}]}
    with anthropic.Anthropic(base_url=world.surface.ready.base_url, api_key=world.key, max_retries=0) as client:
        if stream:
            with client.messages.stream(**asked) as events:
                return "".join(events.text_stream)
        message = client.messages.create(**asked)
        return "".join(block.text for block in message.content if block.type == "text")


def ask_gemini(world: World, model: str, url: str, *, stream: bool) -> str:
    contents: Any = [google.Part.from_uri(file_uri=url, mime_type="image/png"), "What is it?"]
    client = genai.Client(api_key=world.key, http_options={"base_url": world.surface.ready.base_url})
    try:
        if stream:
            return "".join(
                part.text or "" for part in client.models.generate_content_stream(model=model, contents=contents)
            )
        return client.models.generate_content(model=model, contents=contents).text or ""
    finally:
        client.close()


Ask = Callable[..., str]
ASK: dict[str, Ask] = {
    OPENAI_CHAT: ask_chat,
    OPENAI_RESPONSES: ask_responses,
    ANTHROPIC: ask_anthropic,
    GEMINI: ask_gemini,
}
INLINE = ("inline-chat", "inline-responses", "inline-anthropic", "inline-gemini")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", INLINE)
@pytest.mark.parametrize("dialect", list(ASK))
def test_a_picture_by_its_url_arrives_inline(world: World, dialect: str, model: str, *, stream: bool) -> None:
    before = len(world.web.asked)
    assert ASK[dialect](world, model, world.url("/picture.png"), stream=stream).startswith("Hello! ")
    assert world.web.paths[before:] == [f"/picture.png?{world.planted}"]
    assert base64_of(world.web.picture) in world.sent()
    assert "image/png" in world.sent()
    assert world.planted not in world.sent()


@pytest.mark.parametrize("dialect", [OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC])
def test_gemini_gets_pictures_of_other_dialects_inline_unless_its_models_fetch(world: World, dialect: str) -> None:
    url = world.url("/photo.png")
    ASK[dialect](world, "usual-gemini", url, stream=False)
    (part,) = [
        part for part in json.loads(world.surface.last_request().body)["contents"][0]["parts"] if "text" not in part
    ]
    assert part["inlineData"]["mimeType"] == "image/jpeg"
    before = len(world.web.asked)
    ASK[dialect](world, "fetching-gemini", url, stream=False)
    assert url in world.surface.last_request().body
    assert len(world.web.asked) == before


def test_what_a_provider_fetches_itself_stays_a_url(world: World) -> None:
    before, url = len(world.web.asked), world.url("/picture.png")
    ask_gemini(world, "usual-gemini", url, stream=False)
    assert url in world.surface.last_request().body
    ask_chat(world, "usual-chat", url, stream=False)
    assert url in world.surface.last_request().body
    assert len(world.web.asked) == before


def test_a_document_reaches_a_chat_provider(world: World) -> None:
    content: Any = [
        {"type": "document", "source": {"type": "url", "url": world.url("/document.pdf")}},
        {"type": "text", "text": "Read it."},
    ]
    with anthropic.Anthropic(base_url=world.surface.ready.base_url, api_key=world.key, max_retries=0) as client:
        messages: Any = [{"role": "user", "content": content}]
        client.messages.create(model="inline-chat", max_tokens=9, messages=messages)
        assert f"data:application/pdf;base64,{base64_of(PDF)}" in world.surface.last_request().body
        with pytest.raises(anthropic.BadRequestError, match=r"source\.url"):
            client.messages.create(model="usual-chat", max_tokens=9, messages=messages)


def test_within_a_dialect_every_other_byte_stays(world: World) -> None:
    url = world.url("/picture.png").replace("/", "\\/")
    image = f'{{"type":"image_url","image_url":{{ "url" : "{url}" }} }}'
    body = f'{{ "model":"inline-chat", "messages":[{{"role":"user","content":[{image}]}}] ,"temperature":1.50 }}'
    headers = [("authorization", f"Bearer {world.key}"), ("content-type", "application/json")]
    wire = request("POST", "/v1/chat/completions", headers=headers, body=body.encode())
    assert exchange(world.surface.ready.base_url, wire).status == 200
    data_url = f"data:image/png;base64,{base64_of(world.web.picture)}"
    expected = body.replace(url, data_url).replace("inline-chat", "demo")
    assert world.surface.last_request().body == expected


def test_it_is_fetched_once_for_all_attempts_and_named_where_it_counts(world: World) -> None:
    before = len(world.web.asked)
    answer = world.post(chat("twice", world.url("/picture.png")))
    assert (answer.status, answer.headers["x-trunkline-attempts"]) == (200, "2")
    assert len(world.web.asked) == before + 1
    assert "x-trunkline-fidelity" not in answer.headers
    answer = world.post(chat("usual-gemini", world.url("/picture.png")))
    assert answer.headers["x-trunkline-fidelity"] == "degraded=image_url"


# --- failures ------------------------------------------------------------------------------------------------------


def chat(model: str, url: str, *, stream: bool = False) -> dict[str, Any]:
    content = [{"type": "image_url", "image_url": {"url": url}}]
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": content}]}


FAILURES = {
    "an address that is not allowed": ("http://127.0.0.2/picture.png", "forbidden_address"),
    "a cloud's metadata": ("http://169.254.169.254/latest/meta-data", "forbidden_address"),
    "the loopback in other words": ("http://0x7f000002/", "forbidden_address"),
    "a name of the inside": ("http://localhost:1/", "bad_url"),
    "a redirect to the inside": ("/to?url=http://10.0.0.1/", "forbidden_address"),
    "a user's name": ("http://user@127.0.0.1/", "bad_url"),
    "a page": ("/lies.png", "wrong_type"),
    "a bomb": ("/gzip.png", "encoded"),
    "more than there may be": ("/huge.png", "too_large"),
    "nothing": ("/nothing.png", "bad_status"),
}


@pytest.mark.parametrize(("place", "result"), FAILURES.values(), ids=FAILURES)
def test_what_cannot_be_fetched_is_a_bad_request_and_no_fault_of_a_channel(
    world: World, place: str, result: str
) -> None:
    url = world.url(place) if place.startswith("/") and "?" not in place else place
    url = world.web.url(url) if url.startswith("/") else url
    begun, counted = world.surface.counts().begun, world.fetches(result)
    with pytest.raises(openai.BadRequestError) as raised:
        ask_chat(world, "inline-chat", url, stream=False)
    error: Any = raised.value.body
    assert (error["param"], error["code"]) == ("messages[0].content[1].image_url.url", "invalid_image_url")
    assert "send it inline as base64" in error["message"]
    for told in (url, world.planted, "127.0.0", "169.254", "secret page"):
        assert told not in raised.value.response.text
    assert world.surface.counts().begun == begun
    assert world.fetches(result) == counted + 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("dialect", list(ASK))
def test_the_failure_raises_in_the_clients_own_sdk(world: World, dialect: str, *, stream: bool) -> None:
    errors = (openai.BadRequestError, anthropic.BadRequestError, genai.errors.ClientError)
    with pytest.raises(errors, match="could not be fetched: what is there is of another type"):
        ASK[dialect](world, "inline-gemini", world.url("/lies.png"), stream=stream)


def test_no_channel_is_judged_and_no_other_one_tried(world: World) -> None:
    for _ in range(REFUSALS):
        answer = world.post(chat("twice", world.url("/lies.png")))
        assert answer.status == 400
        assert answer.headers["x-should-retry"] == "false"
    assert world.post(chat("twice", world.url("/picture.png"))).status == 200


def test_a_client_that_leaves_ends_the_fetching(world: World) -> None:
    before = len(world.web.asked)
    world.web.gone.clear()
    body = json.dumps(chat("inline-chat", world.url("/silent.png"))).encode()
    headers = [("authorization", f"Bearer {world.key}"), ("content-type", "application/json")]
    with RawClient(world.surface.ready.base_url) as client:
        client.send(request("POST", "/v1/chat/completions", headers=headers, body=body))
        until(lambda: len(world.web.asked) > before, GONE_WITHIN_S, "it is being fetched")
    assert world.web.gone.wait(GONE_WITHIN_S)
    until(lambda: world.fetches("given_up") == 1, GONE_WITHIN_S, "it is given up")


def content_of(path: Path) -> bytes:
    """Return what is in a file: nothing in a folder, and in what its process has done away with meanwhile."""
    with contextlib.suppress(FileNotFoundError, IsADirectoryError):
        return path.read_bytes()
    return b""


def test_neither_urls_nor_pictures_are_in_any_log_or_metric(world: World) -> None:
    surface = world.surface
    ask_chat(world, "inline-chat", world.url("/picture.png"), stream=False)
    surface.wait_until_idle()
    metrics = [http.call("GET", f"{entry.ops_url}/metrics").body for _, entry in surface.processes()]
    folders = ("logs", "nats")
    files = [path for folder in folders for path in (surface.stack.data_dir / folder).rglob("*")]
    kept = {str(path): content for path in [surface.stack.output, *files] if (content := content_of(path))}
    assert any(b"request" in content and b"inline-chat" in content for content in kept.values())
    picture = world.web.picture
    for form in (world.planted.encode(), base64_of(picture).encode(), picture[:24], base64_of(picture)[40:80].encode()):
        assert [path for path, content in kept.items() if form in content] == []
        assert not any(form in text for text in metrics)
