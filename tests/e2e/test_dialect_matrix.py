"""Every client dialect against every upstream dialect, whole and streamed, through the official SDKs.

Each cell is a real stack: SDK, edge, NATS, dispatcher, and a demo provider that speaks the upstream dialect and refuses
what the real one refuses. What a channel's provider does is scripted per credential.
"""

import base64
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.support.sdk_clients import CLIENTS, TOOL, Client, Question
from tests.support.surface import Surface, running_surface
from trunkline.cli import http
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES, UPSTREAMS

BASES = {"openai": "/v1", "openai-responses": "/v1", "azure": "", "anthropic": "/v1", "gemini": "/v1beta"}
ARGUMENTS = {"city": "Zürich", "number": 12345678901234567890}
BEHAVIOURS: dict[str, dict[str, Any]] = {
    "plain": {},
    "thinks": {"reasoning": "First I think about it. ", "text": "Then I say so."},
    "calls": {"tool": TOOL, "arguments": json.dumps(ARGUMENTS, ensure_ascii=False)},
    "calls-twice": {"tool": TOOL, "tool_calls": 2},
    "long": {"finish": "length"},
    "filtered": {"finish": "filter"},
    "silent-about-usage": {"no_usage": True},
    "refuses": {"status": 400},
    "limited": {"status": 429, "retry_after": 7},
    "unpaid": {"status": 401},
    "broken": {"status": 500},
    "breaks": {"chunks": 20, "error_mid_stream": 3},
    "cut": {"chunks": 20, "cut_after": 3},
}
FINISHES = {
    "plain": {OPENAI_CHAT: "stop", OPENAI_RESPONSES: "completed", ANTHROPIC: "end_turn", GEMINI: "STOP"},
    "calls": {OPENAI_CHAT: "tool_calls", OPENAI_RESPONSES: "completed", ANTHROPIC: "tool_use", GEMINI: "STOP"},
    "long": {
        OPENAI_CHAT: "length",
        OPENAI_RESPONSES: "max_output_tokens",
        ANTHROPIC: "max_tokens",
        GEMINI: "MAX_TOKENS",
    },
    "filtered": {
        OPENAI_CHAT: "content_filter",
        OPENAI_RESPONSES: "content_filter",
        ANTHROPIC: "refusal",
        GEMINI: "SAFETY",
    },
}

pytestmark = [
    pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"]),
    pytest.mark.parametrize("upstream", UPSTREAMS),
    pytest.mark.parametrize("dialect", list(CLIENTS)),
]


def model_of(behaviour: str, upstream: str) -> str:
    return f"{behaviour}.{upstream}"


def credential_of(behaviour: str, upstream: str) -> str:
    return f"sk-{behaviour}-{upstream}"


def configuration(upstream_url: str) -> dict[str, object]:
    """Return a channel for each behaviour of each upstream dialect, so that none ejects another."""
    cells = [(behaviour, upstream) for behaviour in BEHAVIOURS for upstream in UPSTREAMS]
    return {
        "channels": [
            {
                "name": f"{upstream}-{behaviour}",
                "dialect": upstream,
                "base_url": upstream_url + BASES[upstream],
                "credentials": [credential_of(behaviour, upstream)],
                "models": {model_of(behaviour, upstream): "demo"},
                "options": {"api_version": "2024-10-21"} if upstream == "azure" else {},
            }
            for behaviour, upstream in cells
        ],
        "models": [{"name": model_of(*cell), "price": {"input": "0.1", "output": "0.4"}} for cell in cells],
        "accounts": [{"name": "matrix", "credit": "100"}],
    }


class Cells(NamedTuple):
    """The running stack, and a client of each dialect."""

    surface: Surface
    clients: dict[str, Client]

    def client(self, dialect: str) -> Client:
        return self.clients[dialect]


@pytest.fixture(scope="module")
def cells() -> Iterator[Cells]:
    with running_surface() as surface:
        url = surface.ready.upstream_url
        surface.admin("POST", "/apply", configuration(url))
        for behaviour, script in BEHAVIOURS.items():
            for upstream in UPSTREAMS:
                order = {"credential": credential_of(behaviour, upstream), "script": script}
                assert http.call("POST", f"{url}/script", body=json.dumps(order).encode()).status == 200
        key = surface.new_key("matrix", "matrix")
        for behaviour in BEHAVIOURS:
            for upstream in UPSTREAMS:
                surface.wait_for_status(key, 200, f"/v1/models/{model_of(behaviour, upstream)}")
        clients = {dialect: make(surface.ready.base_url, key) for dialect, make in CLIENTS.items()}
        yield Cells(surface, clients)
        for client in clients.values():
            client.close()


def png() -> str:
    """Return a picture of one pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    header = struct.pack("!IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\x00\xff\x00\x00")
    picture = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return base64.b64encode(picture).decode()


def test_text_usage_and_the_end(cells: Cells, dialect: str, upstream: str, *, stream: bool) -> None:
    question = Question(model_of("plain", upstream), system="Be brief.")
    told = cells.client(dialect).ask(question, stream=stream)
    assert told.text.startswith("Hello! ")
    assert told.finish == FINISHES["plain"][dialect]
    assert told.input_tokens > 0
    assert told.output_tokens > 0
    assert "Be brief." in cells.surface.last_request().body


def test_a_tool_is_called_and_its_result_comes_back(cells: Cells, dialect: str, upstream: str, *, stream: bool) -> None:
    client = cells.client(dialect)
    question = Question(model_of("calls", upstream), "What is the weather?", tool=True)
    asked = client.ask(question, stream=stream)
    assert [(call.name, call.arguments) for call in asked.calls] == [(TOOL, ARGUMENTS)]
    assert asked.finish == FINISHES["calls"][dialect]
    # The plain model gets the whole loop; a provider refuses a result without its call, and a call without its result.
    results = [(call, "Sunny, 21 degrees.") for call in asked.calls]
    followed = client.ask(
        question._replace(model=model_of("plain", upstream), earlier=asked, results=results), stream=stream
    )
    assert followed.text.startswith("Hello! ")
    sent = cells.surface.last_request().body
    assert "Sunny, 21 degrees." in sent
    assert "12345678901234567890" in sent, "a long integer lost digits"


def test_parallel_calls_stay_apart_and_their_results_together(
    cells: Cells, dialect: str, upstream: str, *, stream: bool
) -> None:
    client = cells.client(dialect)
    question = Question(model_of("calls-twice", upstream), "What is the weather?", tool=True)
    asked = client.ask(question, stream=stream)
    assert [call.name for call in asked.calls] == [TOOL, TOOL]
    if not dialect == upstream == GEMINI:  # whose calls need no ids
        assert len({call.id for call in asked.calls}) == 2
    results = [(call, f"Result {number}.") for number, call in enumerate(asked.calls)]
    followed = client.ask(
        question._replace(model=model_of("plain", upstream), earlier=asked, results=results), stream=stream
    )
    assert followed.text.startswith("Hello! ")


def test_reasoning_is_shown_and_survives_the_next_turn(
    cells: Cells, dialect: str, upstream: str, *, stream: bool
) -> None:
    client = cells.client(dialect)
    told = client.ask(Question(model_of("thinks", upstream)), stream=stream)
    assert told.reasoning.strip() == "First I think about it."
    assert told.text == "Then I say so."


def test_a_picture_arrives(cells: Cells, dialect: str, upstream: str, *, stream: bool) -> None:
    picture = png()
    told = cells.client(dialect).ask(Question(model_of("plain", upstream), image=picture), stream=stream)
    assert told.text.startswith("Hello! ")
    sent = cells.surface.last_request().body.replace("_", "/").replace("-", "+")  # an SDK's alphabet for URLs
    assert picture in sent


def test_an_answer_follows_a_schema(cells: Cells, dialect: str, upstream: str, *, stream: bool) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"type": "string"}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    told = cells.client(dialect).ask(Question(model_of("plain", upstream), schema=schema), stream=stream)
    assert set(json.loads(told.text)) == {"colour"}


@pytest.mark.parametrize("behaviour", ["long", "filtered"])
def test_the_end_keeps_its_reason(cells: Cells, dialect: str, upstream: str, behaviour: str, *, stream: bool) -> None:
    told = cells.client(dialect).ask(Question(model_of(behaviour, upstream)), stream=stream)
    assert told.finish == FINISHES[behaviour][dialect]


def test_usage_is_counted_where_the_provider_says_nothing(
    cells: Cells, dialect: str, upstream: str, *, stream: bool
) -> None:
    told = cells.client(dialect).ask(Question(model_of("silent-about-usage", upstream)), stream=stream)
    assert told.input_tokens > 0
    assert told.output_tokens > 0


@pytest.mark.parametrize(
    ("behaviour", "status"), [("refuses", 400), ("limited", 429), ("unpaid", 502), ("broken", 502)]
)
def test_a_failure_raises_in_the_clients_own_sdk(
    cells: Cells, dialect: str, upstream: str, behaviour: str, status: int, *, stream: bool
) -> None:
    client = cells.client(dialect)
    with pytest.raises(client.error) as raised:
        client.ask(Question(model_of(behaviour, upstream)), stream=stream)
    # One that fails again and again is ejected, and then there is no channel.
    overloaded = 529 if dialect == ANTHROPIC else 503
    assert status_of(raised.value) in {status, overloaded if behaviour == "broken" else status}


@pytest.mark.parametrize("behaviour", ["breaks", "cut"])
def test_an_answer_that_breaks_never_passes_for_a_whole_one(
    cells: Cells, dialect: str, upstream: str, behaviour: str, *, stream: bool
) -> None:
    client = cells.client(dialect)
    with pytest.raises(client.error):
        client.ask(Question(model_of(behaviour, upstream)), stream=stream)


def status_of(error: Exception) -> int:
    status: int = getattr(error, "status_code", None) or error.code  # type: ignore[attr-defined]  # google-genai's name
    return status
