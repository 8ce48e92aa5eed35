"""Watching the site: one picture now, or one a second."""

import asyncio

import structlog
from aiohttp import web

from services.console.http import RequestError, answer, bind
from services.console.live import Live
from services.console.shell import Sessions
from services.console.streams import STREAM_TIMEOUT_S, streaming
from trunkline.core.clock import Clock
from trunkline.core.errors import ErrorType
from trunkline.policy.operations import live as operations
from trunkline.store.database import StoreError

log = structlog.get_logger()

WATCH_S = STREAM_TIMEOUT_S - 60.0
"""How long one answer lasts. The page asks anew then, as it does when a connection breaks."""

SESSION_CHECK_S = 30.0
"""How long somebody may go on watching who has signed out, or whose role was taken away."""

WRITE_S = 20.0
"""Who takes nothing for so long is gone, or behind a line that is of no use for this."""

_HEADERS = {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    # Proxies hold answers back until they are whole, unless they are told (nginx by this).
    "x-accel-buffering": "no",
}


class LiveAPI:
    """Handlers of ``/live``.

    Args:
        live: the picture.
        sessions: of the shell, which looks only at the beginning.
        clock: of the process.
    """

    def __init__(self, live: Live, sessions: Sessions, clock: Clock) -> None:
        self._live = live
        self._sessions = sessions
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [bind(operations.LIVE, self._watch), bind(operations.NOW, self._now)]

    async def _now(self, _request: web.Request) -> web.Response:
        await self._live.refresh()
        picture = self._live.now()
        if picture is None:
            raise RequestError(503, ErrorType.GATEWAY_NOT_READY, "The console has just started. Try again in a second.")
        return answer(picture)

    @streaming
    async def _watch(self, request: web.Request) -> web.StreamResponse:
        with self._live.watching():
            await self._live.refresh()
            response = web.StreamResponse(headers=_HEADERS)
            await response.prepare(request)
            try:
                await self._tell(request, response)
                await response.write_eof()
            except (ConnectionError, TimeoutError):
                log.info("live_watcher_gone")
        return response

    async def _tell(self, request: web.Request, response: web.StreamResponse) -> None:
        """Write until it is time to ask anew, the session is over, or the process ends."""
        began = checked = self._clock.now()
        await self._write(response, self._live.history())
        while (now := self._clock.now()) - began < WATCH_S:
            if now - checked >= SESSION_CHECK_S:
                if not await self._still_allowed(request):
                    return
                checked = now
            event = await self._live.next()
            if event is None:
                return
            await self._write(response, event)

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        async with asyncio.timeout(WRITE_S):
            await response.write(data)

    async def _still_allowed(self, request: web.Request) -> bool:
        if "authorization" in request.headers:
            return True  # the admin key does not end while the console runs
        try:
            signed_in = await self._sessions.signed_in(request)
        except StoreError:
            # Who could see it a moment ago needs it most while Postgres is away.
            return True
        return signed_in is not None and signed_in.caller.operator
