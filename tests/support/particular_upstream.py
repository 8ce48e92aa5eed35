"""A provider of OpenAI's chat with wishes of its own, for the rules by which a channel fulfils them.

What it wants is the first segment of its paths, so one server has a base URL for each. It runs in a thread of its own:
tests that talk to it through the stack are synchronous, as the SDKs that they use.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from threading import Event, Thread
from typing import Any, NamedTuple

from aiohttp import web

HOST = "127.0.0.1"
START_TIMEOUT_S = 10.0


class Wish(StrEnum):
    """What it wants, or does."""

    PARTICULAR = "particular"
    """It refuses a ``top_p`` of 1 and more, and a field that it does not know."""
    BUSY = "busy"
    """It is overloaded, and says so with a 400."""
    SILENT = "silent"
    """It never answers."""


KNOWN = frozenset({"model", "messages", "stream", "stream_options", "top_p", "max_completion_tokens", "seed"})


class Taken(NamedTuple):
    """A request that came: its header lines, names in lower case, and its body."""

    headers: dict[str, str]
    body: dict[str, Any]


class ParticularUpstream:
    """The running server.

    Attributes:
        port: where it listens.
        taken: requests by wish, in their order.
    """

    def __init__(self) -> None:
        self.port = 0
        self.taken: dict[Wish, list[Taken]] = {wish: [] for wish in Wish}

    def base_url(self, wish: Wish) -> str:
        """Return the base URL of a channel."""
        return f"http://{HOST}:{self.port}/{wish.value}/v1"

    def application(self) -> web.Application:
        """Return it as an application."""
        app = web.Application()
        app.router.add_get("/{wish}/v1/models", _models)
        app.router.add_post("/{wish}/v1/chat/completions", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        wish, body = Wish(request.match_info["wish"]), json.loads(await request.read())
        self.taken[wish].append(Taken({name.lower(): value for name, value in request.headers.items()}, body))
        if wish is Wish.SILENT:
            await asyncio.Event().wait()
        if wish is Wish.BUSY:
            return _refusal("Too busy just now.")
        if unknown := body.keys() - KNOWN:
            return _refusal(f"Unknown parameters: {sorted(unknown)}")
        if body.get("top_p", 0) >= 1:
            return _refusal("top_p must be less than 1.")
        return await _stream(request) if body.get("stream") else web.json_response(_whole())


async def _models(_request: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": []})


def _refusal(message: str) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return web.json_response({"error": error}, status=400)


def _whole() -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "As you wish."}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    return {"id": "p-1", "object": "chat.completion", "created": 1, "model": "up", "choices": [choice], "usage": usage}


async def _stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    chunk: dict[str, Any] = {"id": "p-1", "object": "chat.completion.chunk", "created": 1, "model": "up"}
    words = {"index": 0, "delta": {"role": "assistant", "content": "As you wish."}, "finish_reason": None}
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    for members in ({"choices": [words]}, {"choices": [end]}, {"choices": [], "usage": usage}):
        await response.write(b"data: " + json.dumps({**chunk, **members}).encode() + b"\n\n")
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


@contextmanager
def particular_upstream() -> Iterator[ParticularUpstream]:
    """Run one for the length of the block."""
    upstream = ParticularUpstream()
    loop = asyncio.new_event_loop()
    stopping, started = asyncio.Event(), Event()

    async def serve() -> None:
        runner = web.AppRunner(upstream.application(), access_log=None, shutdown_timeout=0, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0).start()
        upstream.port = runner.addresses[0][1]
        started.set()
        await stopping.wait()
        await runner.cleanup()

    thread = Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert started.wait(START_TIMEOUT_S)
        yield upstream
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join()
        loop.close()
