"""Usage row by row, as a file of any length."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Mapping

from aiohttp import web

from services.console.context import Context
from services.console.http import bad_request, bind
from services.console.query import moment
from services.console.streams import Room, asking_account, stream, streaming
from services.console.system_api import USAGE_DAYS
from services.console.usage_files import FORMATS, MissingPackageError, UsageFile
from services.console.usage_query import Span, read_filter
from trunkline.policy.operations import exports, usage_explorer
from trunkline.store.usage_explorer import UsageFilter
from trunkline.store.usage_export import COLUMNS, DAYS_MAX, OPERATORS_ONLY, read_rows


class ExportAPI:
    """Handlers of ``/usage/export`` and ``/accounts/{account}/usage/export``.

    Args:
        context: of the console.
        room: for long answers.
    """

    def __init__(self, context: Context, room: Room) -> None:
        self._context = context
        self._room = room

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [bind(exports.USAGE, self._export), bind(usage_explorer.ACCOUNT_EXPORT, self._export)]

    @streaming
    async def _export(self, request: web.Request) -> web.StreamResponse:
        kind = request.query.get("format", "csv")
        if kind not in FORMATS:
            raise bad_request(f"format must be one of {', '.join(FORMATS)}.")
        try:
            columns = _columns(request)
            file = FORMATS[kind](columns)
        except MissingPackageError as error:
            raise bad_request(
                f"This console cannot write {kind}: the package {error} is not installed "
                "(requirements/export.txt has it). Ask for csv."
            ) from error
        now = dt.datetime.fromtimestamp(self._context.clock.wall_ms() / 1000, dt.UTC)
        since = moment(request, "since", now - dt.timedelta(days=USAGE_DAYS))
        until = moment(request, "until", now)
        if until - since > dt.timedelta(days=DAYS_MAX):
            raise bad_request(f"An export has at most {DAYS_MAX} days.")
        async with self._context.database.connection() as connection:
            wanted = await read_filter(connection, request)
        with self._room.place(asking_account(request)):
            return await stream(
                request,
                self._pieces(wanted, Span(since, until), columns, file),
                content_type=file.content_type,
                file_name=f"usage-{since:%Y%m%d}-{until:%Y%m%d}.{kind}",
            )

    async def _pieces(
        self, wanted: UsageFilter, span: Span, columns: Mapping[str, str], file: UsageFile
    ) -> AsyncIterator[bytes]:
        async with self._context.database.connection() as connection:
            async for rows in read_rows(connection, wanted, *span, tuple(columns)):
                # In a thread: a row group takes tens of milliseconds, in which others want their answers.
                if piece := await asyncio.to_thread(file.add, rows):
                    yield piece
        yield await asyncio.to_thread(file.finish)


def _columns(request: web.Request) -> dict[str, str]:
    """Return the columns that the caller gets, with their types."""
    site = "account" not in request.match_info
    return {name: kind for name, kind in COLUMNS.items() if site or name not in OPERATORS_ONLY}
