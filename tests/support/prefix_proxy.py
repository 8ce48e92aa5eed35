"""A reverse proxy of a test: hands on what comes below one path to a server, and notes what comes beside it."""

import contextlib
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web
from yarl import URL

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "host"})

LEAVE_WITHIN_S = 0.5
"""Streams never end by themselves."""

NO_TIMEOUT = aiohttp.ClientTimeout(total=None)


class PrefixProxy:
    """Stands before a server that knows nothing of the path.

    Args:
        prefix: such as ``/some/prefix``, without a slash at its end.

    Attributes:
        url: where it listens, with the path.
        target: address of the server, once that is known.
        strays: methods and paths of requests beside the path.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.url = ""
        self.target = ""
        self.strays: list[str] = []
        self._http: aiohttp.ClientSession | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["PrefixProxy"]:
        """Listen for the length of the block."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._pass)
        runner = web.AppRunner(app, auto_decompress=False, shutdown_timeout=LEAVE_WITHIN_S)
        async with aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as self._http:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}{self.prefix}"
            try:
                yield self
            finally:
                await runner.cleanup()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        path = request.raw_path
        if not path.startswith(f"{self.prefix}/"):
            self.strays.append(f"{request.method} {path}")
            return web.Response(status=404, text="not here")
        assert self._http is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        url = URL(f"{self.target}{path.removeprefix(self.prefix)}", encoded=True)
        body = await request.read()
        async with self._http.request(
            request.method, url, headers=headers, data=body or None, allow_redirects=False, timeout=NO_TIMEOUT
        ) as answer:
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            for name, value in answer.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    response.headers.add(name, value)
            # Reader and server leave as they like: nobody is to be told of it.
            with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                await response.prepare(request)
                async for piece in answer.content.iter_any():
                    await response.write(piece)
                await response.write_eof()
            return response
