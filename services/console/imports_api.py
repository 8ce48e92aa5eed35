"""Files of other gateways: what they would be here, and what applying that would change."""

import asyncio
import secrets
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from services.console.context import Context
from services.console.http import answer, bind, read_struct
from services.console.streams import Room
from trunkline.policy.admin_imports import ImportPreview, ImportRequest
from trunkline.policy.changes import Change
from trunkline.policy.configuration import ConfigurationError
from trunkline.policy.configuration_file import load
from trunkline.policy.imports import Format, import_text
from trunkline.policy.imports.remarks import Imported
from trunkline.policy.imports.writing import yaml_text
from trunkline.policy.keys import mint
from trunkline.policy.operations import imports as operations
from trunkline.policy.upstream_addresses import check_base_urls
from trunkline.store.configuration import ConflictError, NotFoundError, read_names

RANDOM_BYTES: Final = 64

_STAND_IN: Final = "in-a-variable"
"""Beginning of what stands for a secret that only who applies the configuration has."""


class ImportsAPI:
    """Handler of ``/import``.

    Args:
        context: of the console.
        room: for what keeps a processor busy for seconds.
    """

    def __init__(self, context: Context, room: Room) -> None:
        self._context = context
        self._room = room

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [bind(operations.PREVIEW, self._preview)]

    async def _preview(self, request: web.Request) -> web.Response:
        name = request.match_info["format"]
        if name not in set(Format):
            raise NotFoundError(f"there is no import from {name!r}; there are: {', '.join(Format)}")
        wanted = await read_struct(request, ImportRequest)
        with self._room.place():
            # In a thread: a large file takes seconds, in which others want their answers.
            imported, text = await asyncio.to_thread(self._import, Format(name), wanted)
        stand_ins = {variable: f"{_STAND_IN}-{number}" for number, variable in enumerate(imported.variables)}
        try:
            changes: tuple[Change, ...] = await self._changes(imported, stand_ins)
            faults: tuple[str, ...] = ()
        except ConfigurationError as error:
            changes, faults = (), tuple(error.faults)
        except ConflictError as error:
            changes, faults = (), (str(error),)
        response = answer(
            ImportPreview(imported.configuration, text, imported.remarks, imported.variables, changes, faults)
        )
        response.headers["cache-control"] = "no-store"
        return response

    def _import(self, format_: Format, wanted: ImportRequest) -> tuple[Imported, str]:
        imported = import_text(
            format_, wanted.text.encode(), wanted.include, _draw_secret, self._context.clock.wall_ms()
        )
        return imported, yaml_text(imported.configuration)

    async def _changes(self, imported: Imported, stand_ins: Mapping[str, str]) -> tuple[Change, ...]:
        """Return what applying it would change.

        Raises:
            ConfigurationError: it cannot be applied as it is.
        """
        try:
            async with self._context.changing() as connection:
                names, now_ms = await read_names(connection), self._context.clock.wall_ms()
                configuration = load(imported.configuration, stand_ins, names, now_ms)
                check_base_urls(configuration.channels, self._context.upstream_networks)
                changes = tuple(await self._context.apply(connection, configuration))
                raise _OnlyLookedError
        except _OnlyLookedError:
            return changes


class _OnlyLookedError(Exception):
    """Rolls the transaction back."""


def _draw_secret() -> str:
    return mint(secrets.token_bytes(RANDOM_BYTES))
