"""The public status page: HTML, JSON and RSS of the same report, without the admin key.

The report is read from Postgres at most once in some seconds, however many ask, and each form of it is made once. While
Postgres is away the last one is shown, with its time on it.
"""

import asyncio
from collections.abc import Callable, Sequence

import asyncpg
import structlog
from aiohttp import web

from services.console.http import public
from trunkline.core.clock import Clock
from trunkline.policy.status import StatusReport
from trunkline.policy.status_feeds import json_text, rss
from trunkline.policy.status_page import POLICY, page
from trunkline.policy.status_words import language_of
from trunkline.store.database import Database, StoreError
from trunkline.store.health_history import served_models
from trunkline.store.incidents import read_report

log = structlog.get_logger()

FRESH_S = 10
"""How old a report may be when it is shown: as old as health's samples are."""

STALE_S_MAX = 900.0
"""How old it may be while Postgres is away. Older than that it would tell of another day."""

RETRY_S = 2.0
"""After a failure Postgres is left alone for so long."""

HEADERS = {
    "cache-control": f"public, max-age={FRESH_S}",
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class StatusAPI:
    """Handlers of ``/status``, ``/status.json`` and ``/status.rss``.

    Args:
        database, clock: of the process.
        groups: whose models are shown; there are no such paths without any.
        url: of the page as readers reach it, for the feed.
    """

    def __init__(self, database: Database, groups: Sequence[str], url: str, *, clock: Clock) -> None:
        self._database = database
        self._groups = groups
        self._url = url
        self._clock = clock
        self._reading = asyncio.Lock()
        self._report: StatusReport | None = None
        self._read_at = 0.0
        self._due = 0.0
        self._forms: dict[str, bytes] = {}

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        if not self._groups:
            return []
        return [
            web.get("/status", self._page),
            web.get("/status.json", self._json),
            web.get("/status.rss", self._rss),
        ]

    @public
    async def _page(self, request: web.Request) -> web.Response:
        language = language_of(request.headers.get("accept-language", ""))
        response = await self._answer("text/html", language, lambda report: page(report, language).encode())
        response.headers["vary"] = "accept-language"
        return response

    @public
    async def _json(self, _request: web.Request) -> web.Response:
        return await self._answer("application/json", "json", json_text)

    @public
    async def _rss(self, _request: web.Request) -> web.Response:
        return await self._answer("application/rss+xml", "rss", lambda report: rss(report, self._url).encode())

    async def _answer(self, content_type: str, form: str, make: Callable[[StatusReport], bytes]) -> web.Response:
        report = await self._current()
        body = self._forms.get(form)
        if body is None:
            body = self._forms[form] = make(report)
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=HEADERS)

    async def _current(self) -> StatusReport:
        """Return the report, read anew if it is due. While one caller reads it the others get the last one.

        Raises:
            StoreError: Postgres is away, and has been for long.
        """
        if self._report is None or not self._reading.locked():
            async with self._reading:
                if self._clock.now() >= self._due:
                    await self._read()
        if self._report is None or self._clock.now() - self._read_at > STALE_S_MAX:
            raise StoreError("the status is not known")
        return self._report

    async def _read(self) -> None:
        try:
            async with self._database.connection() as connection:
                models = await served_models(connection, self._groups)
                self._report = await read_report(connection, models, self._clock.wall_ms())
        except (StoreError, asyncpg.PostgresError) as error:
            log.warning("status_not_read", error=type(error.__cause__ or error).__name__)
            self._due = self._clock.now() + RETRY_S
        else:
            self._forms = {}
            self._read_at = self._clock.now()
            self._due = self._read_at + FRESH_S
