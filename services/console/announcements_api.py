"""Announcements: what everybody is shown, and what operators make of them."""

import datetime as dt

import msgspec
from aiohttp import web
from msgspec import UNSET

from services.console.context import Context
from services.console.http import answer, bad_request, bind, caller_of, read_struct, refuse
from services.console.query import path_id
from services.console.remembered import FRESH_S, Remembered
from trunkline.policy.announcements import (
    LANGUAGES,
    AnnouncementChange,
    NewAnnouncement,
    check_announcement,
    current,
)
from trunkline.policy.operations import announcements as operations
from trunkline.policy.status_words import language_of
from trunkline.policy.strict import FaultList
from trunkline.store import announcements as store


class AnnouncementsAPI:
    """Handlers of ``/announcements``.

    Args:
        context: of the console.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._shown = Remembered("announcements", store.read_shown, context.database, clock=context.clock)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            bind(operations.LIST_CURRENT, self._list_current),
            bind(operations.LIST, self._list),
            bind(operations.CREATE, self._create),
            bind(operations.SHOW, self._show),
            bind(operations.CHANGE, self._change),
            bind(operations.DELETE, self._delete),
        ]

    async def _list_current(self, request: web.Request) -> web.Response:
        language = wanted_language(request)
        found = current(await self._shown.value(), self._now(), language, signed_in=_signed_in(request))
        response = answer(found)
        response.headers["cache-control"] = f"private, max-age={FRESH_S:.0f}"
        response.headers["vary"] = "accept-language, cookie, authorization"
        return response

    async def _list(self, _request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(await store.read_all(connection))

    async def _show(self, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(await store.read_one(connection, _id(request)))

    async def _create(self, request: web.Request) -> web.Response:
        new = await read_struct(request, NewAnnouncement)
        since = self._now() if new.since is None else new.since
        _check(new.texts, since, new.until)
        async with self._context.transaction() as connection:
            made = await store.add(connection, new, since)
        self._shown.forget()
        return answer(made, 201)

    async def _change(self, request: web.Request) -> web.Response:
        change = await read_struct(request, AnnouncementChange)
        given = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET}
        async with self._context.transaction() as connection:
            there = await store.read_one(connection, _id(request))
            changed = msgspec.structs.replace(there, **given)
            _check(changed.texts, changed.since, changed.until)
            await store.put(connection, changed)
        self._shown.forget()
        return answer(changed)

    async def _delete(self, request: web.Request) -> web.Response:
        async with self._context.transaction() as connection:
            await store.delete(connection, _id(request))
        self._shown.forget()
        return web.Response(status=204)

    def _now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._context.clock.wall_ms() / 1000, dt.UTC)


def wanted_language(request: web.Request) -> str:
    """Return the language that a request asks for, by its query or its header.

    Raises:
        RequestError: the query names none of those that there are.
    """
    language = request.query.get("language")
    if language is None:
        return language_of(request.headers.get("accept-language", ""))
    if language not in LANGUAGES:
        raise bad_request(f"language must be one of {', '.join(LANGUAGES)}.")
    return language


def _check(texts: dict[str, str], since: dt.datetime, until: dt.datetime | None) -> None:
    faults = FaultList()
    check_announcement(texts, since, until, faults)
    refuse(faults)


def _signed_in(request: web.Request) -> bool:
    try:
        caller_of(request)
    except KeyError:
        return False
    return True


def _id(request: web.Request) -> int:
    return path_id(request, "id")
