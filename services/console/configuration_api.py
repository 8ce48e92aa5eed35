"""The configuration as a file: read, applied, and written of what there is."""

import asyncio

from aiohttp import web

from services.console.context import Context
from services.console.http import answer, bind, read_json, read_struct
from services.console.query import boolean
from services.console.streams import Room, streaming
from trunkline.policy.admin_api import Applied, ConfigurationFile, Offers
from trunkline.policy.configuration_export import Present, exported
from trunkline.policy.configuration_text import read_text
from trunkline.policy.imports.writing import yaml_text
from trunkline.policy.operations import system
from trunkline.store import configuration
from trunkline.store.database import Connection
from trunkline.store.discounts import read_steps

FILE_NAME = "trunkline.yaml"


class ConfigurationAPI:
    """Handlers of ``/apply``, ``/configuration`` and ``/offers``.

    Args:
        context: of the console.
        room: for what keeps a processor busy for seconds.
    """

    def __init__(self, context: Context, room: Room) -> None:
        self._context = context
        self._room = room

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            bind(system.APPLY, self._apply),
            bind(system.READ, self._read),
            bind(system.EXPORT, self._export),
            bind(system.SHOW_OFFERS, self._show_offers),
        ]

    async def _apply(self, request: web.Request) -> web.Response:
        dry_run = boolean(request, "dry_run")
        parsed = await read_json(request)
        try:
            async with self._context.changing() as connection:
                wanted = await self._context.check(connection, parsed)
                changes = tuple(await self._context.apply(connection, wanted))
                if dry_run:
                    raise _DryRunError
        except _DryRunError:
            return answer(Applied(dry_run=True, changes=changes))
        return answer(Applied(dry_run=False, changes=changes))

    async def _read(self, request: web.Request) -> web.Response:
        file = await read_struct(request, ConfigurationFile)
        with self._room.place():
            # In a thread: a large file takes seconds, in which others want their answers.
            found = await asyncio.to_thread(read_text, file.text.encode())
        response = answer(found)
        response.headers["cache-control"] = "no-store"
        return response

    @streaming
    async def _export(self, request: web.Request) -> web.Response:
        accounts = boolean(request, "accounts")
        with self._room.place():
            async with (
                self._context.database.connection() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                present = await _present(connection, accounts=accounts)
            text = await asyncio.to_thread(lambda: yaml_text(exported(present)))
        return web.Response(
            text=text,
            content_type=system.YAML,
            headers={"content-disposition": f'attachment; filename="{FILE_NAME}"', "cache-control": "no-store"},
        )

    async def _show_offers(self, _request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(Offers(await configuration.read_trial(connection), await read_steps(connection)))


async def _present(connection: Connection, *, accounts: bool) -> Present:
    return Present(
        groups=await configuration.read_groups(connection),
        tiers=await configuration.read_tiers(connection),
        models=await configuration.read_models(connection),
        channels=await configuration.read_channels(connection),
        costs=await configuration.read_costs(connection),
        accounts=await configuration.read_accounts(connection) if accounts else (),
        users=await configuration.read_users(connection) if accounts else (),
        discounts=await read_steps(connection),
        trial=await configuration.read_trial(connection),
        alerts=await configuration.read_site_alerts(connection),
    )


class _DryRunError(Exception):
    """Rolls back the transaction of a dry run."""
