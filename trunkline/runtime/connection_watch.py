"""Closes connections of an aiohttp server on which nothing comes: its own settings bound only what follows an answer.

A connection that never sends a request, or never ends its head, would else be held for as long as its client likes.
Called by the console and the ops ports; bodies are bounded by the time that handlers have.
"""

from collections import Counter
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from trunkline.core.clock import Clock

log = structlog.get_logger()

IDLE_S: Final = 75.0
"""Without a whole head of a request: as long as the edge keeps an idle connection."""

TAKING_S: Final = 600.0
"""For a client to take the end of an answer, as at the edge."""

CONNECTIONS_MAX: Final = 2000
"""Past it the longest idle ones are closed: a page has up to six, and scripts one each."""

SWEEP_INTERVAL_S: Final = 1.0


class ConnectionWatch:
    """Watches the connections of one server.

    Args:
        clock: of the process.
        connections_max: see `CONNECTIONS_MAX`.
    """

    def __init__(self, clock: Clock, connections_max: int = CONNECTIONS_MAX) -> None:
        self._clock = clock
        self._connections_max = connections_max
        self._busy: Counter[web.RequestHandler] = Counter()
        self._quiet_since: dict[web.RequestHandler, float] = {}

    def middleware(self) -> Middleware:
        """Return what tells when requests are handled; it stands before all others."""

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            connection = request.protocol
            self._busy[connection] += 1
            try:
                return await handler(request)
            finally:
                self._busy[connection] -= 1
                self._quiet_since[connection] = self._clock.now()

        return middleware

    async def run(self, runner: web.AppRunner) -> None:
        """Look at the connections until the process ends; the runner must be set up."""
        while True:
            await self._clock.sleep(SWEEP_INTERVAL_S)
            if runner.server is not None:
                self._sweep(runner.server.connections)

    def _sweep(self, connections: list[web.RequestHandler]) -> None:
        now = self._clock.now()
        self._quiet_since = {one: self._quiet_since.get(one, now) for one in connections}
        self._busy = Counter({one: count for one, count in self._busy.items() if count})
        quiet = sorted((since, number) for number, since in enumerate(self._quiet_since.values()))
        surplus, closed = len(connections) - self._connections_max, 0
        for since, number in quiet:
            connection = connections[number]
            transport = connection.transport
            if transport is None or self._busy[connection]:
                continue
            taking = transport.get_write_buffer_size() > 0
            if now - since >= (TAKING_S if taking else IDLE_S) or (closed < surplus and not taking):
                transport.abort()
                closed += 1
        if surplus > 0:
            log.warning("connections_full", connections=len(connections), closed=closed)
