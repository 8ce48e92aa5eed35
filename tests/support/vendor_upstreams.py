"""All vendors of `vendor_clouds`, `vendor_hosts` and `vendor_servers` behind one real server, a path prefix for each.

It runs in a thread of its own: tests that talk to it through the stack are synchronous, as the SDKs that they use.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from aiohttp import web

from tests.support.picture_server import png
from tests.support.vendor_base import Asked, RefusedError, Vendor
from tests.support.vendor_clouds import XAI, DeepSeek, Moonshot, Qwen, Zhipu
from tests.support.vendor_hosts import Fireworks, Groq, Mistral, OpenRouter, Together
from tests.support.vendor_servers import VLLM, LlamaCpp, Ollama

VENDORS: tuple[type[Vendor], ...] = (
    DeepSeek,
    Qwen,
    Moonshot,
    Zhipu,
    XAI,
    Mistral,
    Groq,
    Together,
    Fireworks,
    OpenRouter,
    VLLM,
    Ollama,
    LlamaCpp,
)

PICTURE = png()

START_TIMEOUT_S = 10.0
HOST = "127.0.0.1"


class VendorUpstreams:
    """The running server.

    Attributes:
        port: where it listens.
        vendors: by name.
    """

    def __init__(self) -> None:
        self.port = 0
        self.vendors = {vendor.name: vendor() for vendor in VENDORS}

    def base_url(self, name: str) -> str:
        """Return the base URL of a vendor, for a channel."""
        return f"http://{HOST}:{self.port}/{name}{self.vendors[name].prefix}"

    @property
    def picture_url(self) -> str:
        """Where a picture is."""
        return f"http://{HOST}:{self.port}/picture.png"

    def application(self) -> web.Application:
        """Return all vendors as one application."""
        app = web.Application()
        app.router.add_get("/picture.png", _picture)
        for name, vendor in self.vendors.items():
            app.router.add_get(f"/{name}{vendor.prefix}/models", _models)
            app.router.add_post(f"/{name}{vendor.prefix}/chat/completions", _Endpoint(vendor).answer)
        return app


async def _models(_request: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": []})


async def _picture(_request: web.Request) -> web.Response:
    return web.Response(body=PICTURE, content_type="image/png")


class _Endpoint:
    """Chat completions of one vendor."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    async def answer(self, request: web.Request) -> web.StreamResponse:
        vendor, asked = self._vendor, Asked(json.loads(await request.read()))
        vendor.seen.append(asked)
        try:
            vendor.refuse(asked)
        except RefusedError as refused:
            return web.json_response(refused.body, status=refused.status, headers=dict(refused.headers))
        reply = vendor.reply(asked)
        if not asked.stream:
            return web.Response(body=vendor.write(vendor.whole(asked, reply)), content_type="application/json")
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for event in vendor.events(asked, reply):
            await response.write(event)
        await response.write_eof()
        return response


@contextmanager
def vendor_upstreams() -> Iterator[VendorUpstreams]:
    """Run the server for the length of the block."""
    upstreams = VendorUpstreams()
    loop = asyncio.new_event_loop()
    stopping, started = asyncio.Event(), Event()

    async def serve() -> None:
        runner = web.AppRunner(upstreams.application(), access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
        upstreams.port = runner.addresses[0][1]
        started.set()
        await stopping.wait()
        await runner.cleanup()

    thread = Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert started.wait(START_TIMEOUT_S)
        yield upstreams
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join()
        loop.close()
