"""Usage row by row, as a file of any length."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator

from aiohttp import web

from services.console.context import Context
from services.console.http import bad_request
from services.console.streams import Room, stream, streaming
from services.console.system_api import USAGE_DAYS, moment
from services.console.usage_files import FORMATS, MissingPackageError, UsageFile
from trunkline.policy.admin_api import PREFIX
from trunkline.store import account_views
from trunkline.store.configuration_writes import find_account, find_channel
from trunkline.store.database import Connection
from trunkline.store.usage_export import DAYS_MAX, ExportFilter, read_rows

FILTERS = ("account", "user", "key", "model", "channel", "group")


class ExportAPI:
    """Handler of ``/usage/export``.

    Args:
        context: of the console.
        room: for long answers.
    """

    def __init__(self, context: Context, room: Room) -> None:
        self._context = context
        self._room = room

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get(f"{PREFIX}/usage/export", self._export)]

    @streaming
    async def _export(self, request: web.Request) -> web.StreamResponse:
        kind = request.query.get("format", "csv")
        if kind not in FORMATS:
            raise bad_request(f"format must be one of {', '.join(FORMATS)}.")
        try:
            file = FORMATS[kind]()
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
            wanted = await _filter(connection, request, since, until)
        with self._room.place():
            return await stream(
                request,
                self._pieces(wanted, file),
                content_type=file.content_type,
                file_name=f"usage-{since:%Y%m%d}-{until:%Y%m%d}.{kind}",
            )

    async def _pieces(self, wanted: ExportFilter, file: UsageFile) -> AsyncIterator[bytes]:
        async with self._context.database.connection() as connection:
            async for rows in read_rows(connection, wanted):
                # In a thread: a row group takes tens of milliseconds, in which others want their answers.
                if piece := await asyncio.to_thread(file.add, rows):
                    yield piece
        yield await asyncio.to_thread(file.finish)


async def _filter(connection: Connection, request: web.Request, since: dt.datetime, until: dt.datetime) -> ExportFilter:
    given = {name: request.query[name] for name in FILTERS if name in request.query}
    account, user, key = (given.get(name) for name in ("account", "user", "key"))
    if account is None and (user is not None or key is not None):
        raise bad_request("A user or key is named together with its account.")
    return ExportFilter(
        since=since,
        until=until,
        account=None if account is None else await find_account(connection, account),
        user=None if user is None else (await account_views.users(connection, account, user))[0].id,
        key=None if key is None else (await account_views.keys(connection, account, key))[0].id,
        model=given.get("model"),
        channel=None if "channel" not in given else await find_channel(connection, given["channel"]),
        group=given.get("group"),
    )
