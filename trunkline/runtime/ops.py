"""The ops port: ``/livez``, ``/readyz`` and ``/metrics`` of one process, apart from anything public."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

Readiness = Callable[[], list[str]]
"""Returns what the process still waits for or has lost; empty means ready."""


class OpsServer:
    """Serves the ops port.

    Args:
        registry: the metrics of this process.
        not_ready: see `Readiness`.
    """

    def __init__(self, registry: CollectorRegistry, not_ready: Readiness) -> None:
        self._registry = registry
        self._not_ready = not_ready
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Bind and serve. Port 0 takes a free one, which `port` then holds.

        Raises:
            OSError: the port is taken.
        """
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop serving."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _livez(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        missing = self._not_ready()
        if missing:
            return web.json_response({"ready": False, "waiting_for": missing}, status=503)
        return web.json_response({"ready": True})

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"content-type": CONTENT_TYPE_LATEST})
