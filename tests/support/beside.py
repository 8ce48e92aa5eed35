"""A stack that serves the endpoints beside conversations, its official SDKs, and what each request came to."""

import asyncio
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec
import openai
from google import genai
from google.genai import types as google

from tests.support.surface import OpenAIError, Surface, running_surface
from tests.support.waiting import eventually
from trunkline.cli import http
from trunkline.core.ids import parse_job
from trunkline.core.usage import Units
from trunkline.store.database import single_connection
from trunkline.store.usage import AttemptUsage, find_request

ACCOUNT = "beside"
PRICES = {"input": 2, "output": 8, "images": 40_000, "characters": 15, "seconds": 100, "searches": 2000, "requests": 50}
"""USD per million of each kind; the kinds that are not named cost as those they are part of."""

_AS = {"output_image": "output", "output_audio": "output", "input_image": "input", "input_audio": "input"}

TIMEOUT_S = 20.0
LEDGER_TIMEOUT_S = 15.0

SLOW = "tts-1?chunks=2000&chunk_bytes=1000&delay_ms=20&tag=left"
"""A voice that speaks for 40 s."""

CHANNELS: dict[str, tuple[str, str, dict[str, str]]] = {
    # name: dialect, path of the base URL, and models by their public names
    "openai": (
        "openai",
        "/v1",
        {
            "embed": "text-embedding-3-small",
            "embed-floats": "float-only",
            "embed-silent": "text-embedding-3-small?no_usage=true",
            "complete": "gpt-3.5-turbo-instruct",
            "omni-moderation-latest": "omni-moderation-latest",
            "rank": "jina-reranker-v3",
            "paint": "dall-e-2",
            "paint-tokens": "gpt-image-1",
            "speak": "tts-1",
            "speak-tokens": "gpt-4o-mini-tts",
            "speak-slowly": SLOW,
            "hear": "whisper-1",
            "hear-tokens": "gpt-4o-transcribe",
        },
    ),
    "cohere": ("openai", "/v2", {"rank-searches": "rerank-v3.5"}),
    "google": ("gemini", "/v1beta", {"embed-google": "text-embedding-004", "embed-google-2": "gemini-embedding-2"}),
    "azure": (
        "azure",
        "",
        {"embed-azure": "embedding-d", "paint-azure": "gpt-image-d", "hear-azure": "whisper-d", "speak-azure": "tts-d"},
    ),
    "anthropic": ("anthropic", "/v1", {"claude": "claude"}),
    "limited": ("openai", "/v1", {"limited": "demo?status=429&retry_after=7"}),
    "unpaid": ("openai", "/v1", {"unpaid": "demo?status=401"}),
    "picky": ("openai", "/v1", {"picky": "demo?status=400"}),
    "cut": ("openai", "/v1", {"cut": "demo?chunks=50&cut_after=3&delay_ms=20"}),
    "failing": ("openai", "/v1", {"failing": "gpt-image?error_mid_stream=1&chunks=3&delay_ms=20"}),
}


def configuration(upstream_url: str) -> dict[str, object]:
    """Return the channels, their models at `PRICES`, and an account."""
    return {
        "channels": [
            {
                "name": name,
                "dialect": dialect,
                "base_url": upstream_url + path,
                "credentials": [f"sk-{name}"],
                "models": models,
                "options": {"api_version": "2024-10-21"} if dialect == "azure" else {},
            }
            for name, (dialect, path, models) in CHANNELS.items()
        ],
        "models": [{"name": name, "price": PRICES} for _, _, models in CHANNELS.values() for name in models],
        "accounts": [{"name": ACCOUNT, "credit": "1000"}],
    }


class Answer(NamedTuple):
    """A whole answer over bare HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """What it says."""
        return json.loads(self.body)

    @property
    def request_id(self) -> str:
        """The gateway's."""
        return self.headers["x-request-id"]


class Gateway:
    """The running stack, and clients of it.

    Attributes:
        surface: the stack.
        openai, google: the SDKs.
    """

    def __init__(self, surface: Surface, key: str) -> None:
        base_url = surface.ready.base_url
        self._key = key
        self.surface = surface
        self.openai = openai.OpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=0, timeout=TIMEOUT_S)
        options = google.HttpOptions(base_url=base_url, timeout=int(TIMEOUT_S * 1000))
        self.google = genai.Client(api_key=key, http_options=options)

    def close(self) -> None:
        """Close their connections."""
        self.openai.close()
        self.google.close()

    def post(self, path: str, body: object, content_type: str = "application/json") -> Answer:
        """Send a request over bare HTTP; a body that is no bytes is written as JSON."""
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        headers = {"authorization": f"Bearer {self._key}", "content-type": content_type}
        with http.opened("POST", f"{self.surface.ready.base_url}{path}", body=content, headers=headers) as response:
            found = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, found, response.read())

    def settled(self, request_id: str | None) -> AttemptUsage:
        """Return the one attempt of a request, once it is in the ledger."""
        assert request_id is not None
        assert uuid.UUID(request_id).version == 7
        return asyncio.run(self._find(request_id))

    async def _find(self, request_id: str) -> AttemptUsage:
        dsn = self.surface.ready.postgres_dsn
        async with single_connection(dsn, application="test", command_timeout_s=5) as connection:
            (attempt,) = await eventually(
                lambda: find_request(connection, parse_job(request_id)),
                within_s=LEDGER_TIMEOUT_S,
                what="the request is in the ledger",
            )
        return attempt

    def paid(self, request_id: str | None, **units: int) -> AttemptUsage:
        """Return a request's attempt after checking that these units, and no others, were charged at their prices."""
        attempt = self.settled(request_id)
        assert attempt.usage.units == Units(**units)
        billed = {"requests": 1, **units} if units else {}
        if "output_image" in units:
            del billed["images"]  # paid by their tokens
        assert attempt.charge_nano == sum(1000 * PRICES[_AS.get(kind, kind)] * count for kind, count in billed.items())
        assert (attempt.charged, attempt.unpriced) == (bool(units), False)
        return attempt


@contextmanager
def running_gateway() -> Iterator[Gateway]:
    """Run a gateway for the length of the block."""
    with running_surface() as surface:
        surface.admin("POST", "/apply", configuration(surface.ready.upstream_url))
        key = surface.new_key(ACCOUNT, "beside")
        surface.wait_for_status(key, 200, "/v1/models/failing")
        gateway = Gateway(surface, key)
        yield gateway
        gateway.close()


def error_of(body: object) -> OpenAIError:
    """Return the error in a decoded body after checking that it has OpenAI's shape and nothing else."""
    assert isinstance(body, dict)
    assert body.keys() == {"error"}
    return msgspec.convert(body["error"], OpenAIError)
