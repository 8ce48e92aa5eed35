"""Channels, their credentials, models, groups and tiers."""

import msgspec
from aiohttp import web
from msgspec import UNSET

from services.console.context import Context
from services.console.http import answer, bad_request, bind, read_json, read_struct, refuse
from services.console.query import path_id
from trunkline.policy.admin_api import CredentialChange, CredentialView, NewCredential
from trunkline.policy.changes import fingerprint
from trunkline.policy.configuration import CredentialEntry
from trunkline.policy.configuration_values import check_upstream_secret, credential_limits
from trunkline.policy.entities import Credential
from trunkline.policy.operations import channels, models
from trunkline.policy.routing_checks import check_credential
from trunkline.policy.strict import FaultList
from trunkline.store import edits, views
from trunkline.store.configuration import read_groups, read_tiers
from trunkline.store.database import Connection


class ChannelsAPI:
    """Handlers under ``/channels``, ``/models``, ``/groups`` and ``/tiers``.

    Args:
        context: of the console.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            bind(channels.LIST, self._list_channels),
            bind(channels.SHOW, self._show_channel),
            bind(channels.PUT, self._put_channel),
            bind(channels.DELETE, self._delete_channel),
            bind(channels.ENABLE, self._enable),
            bind(channels.DISABLE, self._disable),
            bind(channels.DRAIN, self._drain),
            bind(channels.UNDRAIN, self._undrain),
            bind(channels.ADD_CREDENTIAL, self._add_credential),
            bind(channels.CHANGE_CREDENTIAL, self._change_credential),
            bind(channels.DELETE_CREDENTIAL, self._delete_credential),
            bind(models.LIST, self._list_models),
            bind(models.SHOW, self._show_model),
            bind(models.PUT, self._put_model),
            bind(models.DELETE, self._delete_model),
            bind(models.LIST_GROUPS, self._list_groups),
            bind(models.PUT_GROUP, self._put_group),
            bind(models.LIST_TIERS, self._list_tiers),
            bind(models.PUT_TIER, self._put_tier),
        ]

    async def _put(self, request: web.Request, section: str) -> None:
        """Apply a configuration of one entry: the body, under the name in the path."""
        name = request.match_info["name"]
        entry = await read_json(request)
        if not isinstance(entry, dict):
            raise bad_request("The body must be a JSON object.")
        if entry.setdefault("name", name) != name:
            raise bad_request("The name in the body is another than in the path; names do not change.")
        async with self._context.changing() as connection:
            configuration = await self._context.check(connection, {section: [entry]})
            await self._context.apply(connection, configuration)

    async def _list_channels(self, _request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(await views.channels(connection))

    async def _show_channel(self, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer((await views.channels(connection, request.match_info["name"]))[0])

    async def _put_channel(self, request: web.Request) -> web.Response:
        await self._put(request, "channels")
        return await self._show_channel(request)

    async def _delete_channel(self, request: web.Request) -> web.Response:
        async with self._context.changing() as connection:
            await edits.delete_channel(connection, request.match_info["name"])
        return web.Response(status=204)

    async def _enable(self, request: web.Request) -> web.Response:
        return await self._set_enabled(request, enabled=True)

    async def _disable(self, request: web.Request) -> web.Response:
        return await self._set_enabled(request, enabled=False)

    async def _set_enabled(self, request: web.Request, *, enabled: bool) -> web.Response:
        async with self._context.changing() as connection:
            await edits.set_channel_enabled(connection, request.match_info["name"], enabled)
        return await self._show_channel(request)

    async def _drain(self, request: web.Request) -> web.Response:
        return await self._set_drained(request, drained=True)

    async def _undrain(self, request: web.Request) -> web.Response:
        return await self._set_drained(request, drained=False)

    async def _set_drained(self, request: web.Request, *, drained: bool) -> web.Response:
        async with self._context.changing() as connection:
            await edits.set_channel_drained(connection, request.match_info["name"], drained)
        return await self._show_channel(request)

    async def _add_credential(self, request: web.Request) -> web.Response:
        entry = CredentialEntry(**msgspec.structs.asdict(await read_struct(request, NewCredential)))
        try:
            check_upstream_secret(entry.secret)
        except ValueError as error:
            raise bad_request(f"The secret {error}.") from error
        faults = FaultList()
        check_credential(entry, "", faults)
        refuse(faults)
        name, mark = request.match_info["name"], fingerprint(entry.secret, self._context.pepper)
        stored = Credential(mark, entry.weight, credential_limits(entry))
        async with self._context.changing() as connection:
            credential_id, new = await edits.store_credential(
                connection, name, stored, entry.secret, self._context.seal
            )
            view = await _credential(connection, name, credential_id)
        return answer(view, 201 if new else 200)

    async def _change_credential(self, request: web.Request) -> web.Response:
        change = await read_struct(request, CredentialChange)
        given = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET}
        faults = FaultList()
        # The secret stays as it is, and is no part of what is checked.
        check_credential(CredentialEntry(secret="", **given), "", faults)
        refuse(faults)
        weight = given.pop("weight", None)
        name, credential_id = request.match_info["name"], path_id(request, "id")
        async with self._context.changing() as connection:
            await edits.change_credential(connection, name, credential_id, weight, limits=given)
            view = await _credential(connection, name, credential_id)
        return answer(view)

    async def _delete_credential(self, request: web.Request) -> web.Response:
        credential_id = path_id(request, "id")
        async with self._context.changing() as connection:
            await edits.delete_credential(connection, request.match_info["name"], credential_id)
        return web.Response(status=204)

    async def _list_models(self, _request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(await views.models(connection))

    async def _show_model(self, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer((await views.models(connection, request.match_info["name"]))[0])

    async def _put_model(self, request: web.Request) -> web.Response:
        await self._put(request, "models")
        return await self._show_model(request)

    async def _delete_model(self, request: web.Request) -> web.Response:
        async with self._context.changing() as connection:
            await edits.delete_model(connection, request.match_info["name"])
        return web.Response(status=204)

    async def _list_groups(self, _request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(await read_groups(connection))

    async def _put_group(self, request: web.Request) -> web.Response:
        await self._put(request, "groups")
        return await self._list_groups(request)

    async def _list_tiers(self, _request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(await read_tiers(connection))

    async def _put_tier(self, request: web.Request) -> web.Response:
        await self._put(request, "tiers")
        return await self._list_tiers(request)


async def _credential(connection: Connection, channel: str, credential_id: int) -> CredentialView:
    """Return a credential that is known to be there."""
    credentials = (await views.channels(connection, channel))[0].credentials
    return next(credential for credential in credentials if credential.id == credential_id)
