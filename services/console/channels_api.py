"""Channels, their credentials, models, groups and tiers."""

import msgspec
from aiohttp import web

from services.console.context import Context
from services.console.http import answer, bad_request, read_json, read_struct, refuse
from trunkline.policy.admin_api import PREFIX, NewCredential
from trunkline.policy.changes import fingerprint
from trunkline.policy.configuration import CredentialEntry
from trunkline.policy.configuration_values import check_upstream_secret, credential_limits
from trunkline.policy.entities import Credential
from trunkline.policy.routing_checks import check_credential
from trunkline.policy.strict import FaultList
from trunkline.store import edits, views
from trunkline.store.configuration import read_groups, read_tiers

ID_MAX = 2**63 - 1


class ChannelsAPI:
    """Handlers under ``/channels``, ``/models``, ``/groups`` and ``/tiers``.

    Args:
        context: of the console.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        channel, model = f"{PREFIX}/channels/{{name}}", f"{PREFIX}/models/{{name}}"
        return [
            web.get(f"{PREFIX}/channels", self._list_channels),
            web.get(channel, self._show_channel),
            web.put(channel, self._put_channel),
            web.delete(channel, self._delete_channel),
            web.post(f"{channel}/enable", self._enable),
            web.post(f"{channel}/disable", self._disable),
            web.post(f"{channel}/drain", self._drain),
            web.post(f"{channel}/undrain", self._undrain),
            web.post(f"{channel}/credentials", self._add_credential),
            web.delete(f"{channel}/credentials/{{id:[0-9]+}}", self._delete_credential),
            web.get(f"{PREFIX}/models", self._list_models),
            web.get(model, self._show_model),
            web.put(model, self._put_model),
            web.delete(model, self._delete_model),
            web.get(f"{PREFIX}/groups", self._list_groups),
            web.put(f"{PREFIX}/groups/{{name}}", self._put_group),
            web.get(f"{PREFIX}/tiers", self._list_tiers),
            web.put(f"{PREFIX}/tiers/{{name}}", self._put_tier),
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
            credentials = (await views.channels(connection, name))[0].credentials
        view = next(credential for credential in credentials if credential.id == credential_id)
        return answer(view, 201 if new else 200)

    async def _delete_credential(self, request: web.Request) -> web.Response:
        credential_id = min(int(request.match_info["id"]), ID_MAX)
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
