"""The demo upstream asked in each dialect."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec

from tests.support.upstream_answers import (
    Said,
    anthropic_message,
    anthropic_read,
    chat_read,
    chat_read_stream,
    events,
    gemini_read_stream,
    responses_read,
    responses_read_stream,
)
from tests.support.upstream_client import Client, UpstreamClient
from trunkline.dev.demo.counts import Counts
from trunkline.runtime.http_exchange import Exchange, Request

KEY = "sk-test"
TEXT = "one two three"
SCHEMA = {
    "type": "object",
    "properties": {"place": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["place", "days"],
    "additionalProperties": False,
}
"""Of the tool ``weather``, in all dialects."""

CHAT_TOOL = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
RESPONSES_TOOL = {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}
ANTHROPIC_TOOL = {"name": "weather", "input_schema": SCHEMA}
GEMINI_TOOL = {"functionDeclarations": [{"name": "weather", "parametersJsonSchema": SCHEMA}]}


def send(
    upstream: UpstreamClient, method: str, path: str, body: object, headers: dict[str, str], *, query: str = ""
) -> Client:
    """Send a request with these headers; a body that is no bytes is written as JSON."""
    client = Client()
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    client.exchange = Exchange(
        client, Request(method, path, query, headers, content, "127.0.0.1"), keep_alive=True, chunked=True
    )
    upstream.upstream.on_request(client.exchange)
    return client


def counts(upstream: UpstreamClient) -> Counts:
    """Return what the upstream has counted."""
    return msgspec.json.decode(upstream.send("GET", "/counts").body, type=Counts)


def order(upstream: UpstreamClient, script: dict[str, object] | None, credential: str = KEY) -> None:
    """Have a credential's requests follow a script."""
    sent = json.dumps({"credential": credential, "script": script}).encode()
    assert upstream.send("POST", "/script", sent).status == 200


@dataclasses.dataclass(frozen=True, eq=False)
class Dialect:
    """One way of asking.

    Attributes:
        name: of it.
        credential_header: with the value's prefix.
        headers: beside the credential.
        path: of a model, and whether a stream is wanted.
        query: of a stream.
        body: of a user's text, as a request without tools.
        tool: what offers the tool ``weather``.
        read: reads a whole answer.
        read_stream: reads a stream's decoded events.
    """

    name: str
    credential_header: tuple[str, str]
    headers: dict[str, str]
    path: Callable[[str, bool], str]
    query: str
    body: Callable[[str, str, bool], dict[str, Any]]
    tool: dict[str, Any]
    read: Callable[[dict[str, Any]], Said]
    read_stream: Callable[[list[dict[str, Any]]], Said]

    def __str__(self) -> str:
        return self.name

    def head(self, credential: str = KEY) -> dict[str, str]:
        """Return the request's headers."""
        name, prefix = self.credential_header
        return {name: prefix + credential, **self.headers}

    def ask(
        self,
        upstream: UpstreamClient,
        model: str = "demo",
        said: str = TEXT,
        *,
        stream: bool = False,
        credential: str = KEY,
        **fields: object,
    ) -> Client:
        """Send a request of three words, or of others that the user said."""
        body = {**self.body(model, said, stream), **fields}
        path = self.path(model, stream)
        return send(upstream, "POST", path, body, self.head(credential), query=self.query if stream else "")

    def said(self, answer: Client, *, stream: bool) -> Said:
        """Return what an answer says."""
        return self.read_stream(events(answer)) if stream else self.read(json.loads(answer.body))


# --- Chat --------------------------------------------------------------------------------------------------------


def _chat_body(model: str, text: str, stream: bool) -> dict[str, Any]:
    asked: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}]}
    return {**asked, "stream": True, "stream_options": {"include_usage": True}} if stream else asked


CHAT = Dialect(
    "chat",
    ("authorization", "Bearer "),
    {},
    lambda _model, _stream: "/v1/chat/completions",
    "",
    _chat_body,
    CHAT_TOOL,
    chat_read,
    chat_read_stream,
)


# --- Responses ---------------------------------------------------------------------------------------------------


def _responses_body(model: str, text: str, stream: bool) -> dict[str, Any]:
    return {"model": model, "input": text, "include": ["reasoning.encrypted_content"], "stream": stream}


RESPONSES = Dialect(
    "responses",
    ("authorization", "Bearer "),
    {},
    lambda _model, _stream: "/v1/responses",
    "",
    _responses_body,
    RESPONSES_TOOL,
    responses_read,
    responses_read_stream,
)


# --- Anthropic ---------------------------------------------------------------------------------------------------


def _anthropic_body(model: str, text: str, stream: bool) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 4096, "stream": stream}


ANTHROPIC = Dialect(
    "anthropic",
    ("x-api-key", ""),
    {"anthropic-version": "2023-06-01"},
    lambda _model, _stream: "/v1/messages",
    "",
    _anthropic_body,
    ANTHROPIC_TOOL,
    anthropic_read,
    lambda stream: anthropic_read(anthropic_message(stream)),
)


# --- Gemini ------------------------------------------------------------------------------------------------------


def gemini_path(model: str, stream: bool) -> str:
    """Return the path of a model."""
    action = "streamGenerateContent" if stream else "generateContent"
    return f"/v1beta/models/{quote(model, safe='')}:{action}"


GEMINI = Dialect(
    "gemini",
    ("x-goog-api-key", ""),
    {},
    gemini_path,
    "alt=sse",
    lambda _model, text, _stream: {"contents": [{"role": "user", "parts": [{"text": text}]}]},
    GEMINI_TOOL,
    lambda response: gemini_read_stream([response]),
    gemini_read_stream,
)

DIALECTS = (CHAT, RESPONSES, ANTHROPIC, GEMINI)
