"""The ops port: ``/livez``, ``/readyz`` and ``/metrics`` of one process, apart from anything public."""

from collections.abc import Callable
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from trunkline.core.clock import Clock
from trunkline.runtime import connection_watch
from trunkline.runtime.connection_watch import ConnectionWatch
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.tls import TLSContext
from trunkline.runtime.tls_site import open_site

Readiness = Callable[[], list[str]]
"""Returns what the process still waits for or has lost; empty means ready."""

CONNECTIONS_MAX: Final = 100
"""A few scrapers and probes, one connection each; past it the longest idle ones are closed."""

SHUTDOWN_TIMEOUT_S: Final = 1.0
"""For a scraper to take what it has asked for when the process stops, and as long again after it was told to end; by
aiohttp's own minute one that does not read would hold up the stop for two."""


class OpsServer:
    """Serves the ops port.

    Args:
        registry: the metrics of this process.
        not_ready: see `Readiness`.
        clock: of the process.
        tasks: of the process; they end the watch over connections.
    """

    def __init__(self, registry: CollectorRegistry, not_ready: Readiness, *, clock: Clock, tasks: TaskSet) -> None:
        self._registry = registry
        self._not_ready = not_ready
        self._clock = clock
        self._tasks = tasks
        self._watch = ConnectionWatch(clock, CONNECTIONS_MAX)
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, host: str, port: int, tls: TLSContext | None = None) -> None:
        """Bind and serve, over TLS if there is some. Port 0 takes a free one, which `port` then holds.

        Raises:
            OSError: the port is taken.
        """
        app = web.Application(middlewares=[self._watch.middleware()])
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S, keepalive_timeout=connection_watch.IDLE_S
        )
        await self._runner.setup()
        _, self.port = await open_site(
            self._runner, host, port, tls, connections_max=CONNECTIONS_MAX, clock=self._clock, tasks=self._tasks
        )
        self._tasks.spawn(self._watch.run(self._runner), name="ops_connection_watch")

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

    async def _metrics(self, request: web.Request) -> web.Response:
        # Only OpenMetrics has exemplars; a scraper asks for it by name.
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return web.Response(body=encode(self._registry), headers={"content-type": content_type})
