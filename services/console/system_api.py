"""Names of the configuration, the projection, usage, and what the console sees of the system."""

import datetime as dt
import functools
from typing import NamedTuple

import msgspec
from aiohttp import web

from services.console.context import Context
from services.console.http import answer, bad_request, bind
from services.console.peers import Peers
from services.console.query import moment
from trunkline.policy.admin_api import Check, HealthReport, UsageRow
from trunkline.policy.operations import PARTS, system
from trunkline.policy.operations.openapi import document
from trunkline.policy.operations.operation import JSON
from trunkline.store import account_views, usage
from trunkline.store.condition import read_condition
from trunkline.store.configuration import read_names
from trunkline.store.configuration_writes import find_account
from trunkline.store.database import Connection, StoreError
from trunkline.store.usage import UsageSummary

USAGE_DAYS = 30
"""The span of a summary when none is asked for."""


class SystemAPI:
    """Handlers of ``/names``, ``/projection``, ``/usage``, ``/health`` and ``/openapi.json``.

    Args:
        context: of the console.
        peers: the processes heard on the bus.
    """

    def __init__(self, context: Context, peers: Peers) -> None:
        self._context = context
        self._peers = peers

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            bind(system.NAMES, self._names),
            bind(system.REBUILD_PROJECTION, self._rebuild),
            bind(system.USAGE, self._usage),
            bind(system.HEALTH, self._health),
            bind(system.OPENAPI, self._show_openapi),
        ]

    async def _names(self, _request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(await read_names(connection))

    async def _rebuild(self, _request: web.Request) -> web.Response:
        return answer(await self._context.projector.rebuild())

    async def _usage(self, request: web.Request) -> web.Response:
        now = dt.datetime.fromtimestamp(self._context.clock.wall_ms() / 1000, dt.UTC)
        since = moment(request, "since", now - dt.timedelta(days=USAGE_DAYS))
        until = moment(request, "until", now)
        by = tuple(part for part in request.query.get("by", "").split(",") if part)
        if unknown := set(by) - set(usage.DIMENSIONS) or {name for name in by if by.count(name) > 1}:
            raise bad_request(
                f"by must name each of {', '.join(usage.DIMENSIONS)} at most once; wrong: {', '.join(sorted(unknown))}."
            )
        async with self._context.database.connection() as connection:
            account, key = await _filters(connection, request.query.get("account"), request.query.get("key"))
            rows = await usage.summarise(connection, account=account, key=key, since=since, until=until, by=by)
            names = await _OwnerNames.read(connection, rows)
        return answer([names.row(summary) for summary in rows])

    async def _health(self, _request: web.Request) -> web.Response:
        first, *others = await self._check_postgres()
        checks = [first, self._check_nats(), *self._peers.checks(), *others]
        return answer(HealthReport(tuple(checks), self._peers.alive()))

    async def _show_openapi(self, _request: web.Request) -> web.Response:
        return web.Response(body=_openapi(), content_type=JSON)

    async def _check_postgres(self) -> list[Check]:
        try:
            async with self._context.database.connection() as connection:
                return await read_condition(connection, self._context.vault)
        except StoreError as error:
            return [Check("postgres", False, f"{error}. Start it, or correct DATABASE_URL of console and metering.")]

    def _check_nats(self) -> Check:
        if self._peers.connected:
            return Check("nats", True, "connected")
        return Check("nats", False, "The console has no connection. Start NATS, or correct NATS_URL.")


@functools.cache
def _openapi() -> bytes:
    return msgspec.json.encode(document(PARTS))


async def _filters(connection: Connection, account: str | None, key: str | None) -> tuple[int | None, int | None]:
    if key is None:
        return (None if account is None else await find_account(connection, account)), None
    if account is None:
        raise bad_request("A key is named together with its account.")
    return await find_account(connection, account), (await account_views.keys(connection, account, key))[0].id


class _OwnerNames(NamedTuple):
    """Names for the ids in usage; an id whose row is gone is shown as a number."""

    accounts: dict[int, str]
    keys: dict[int, str]
    channels: dict[int, str]

    @classmethod
    async def read(cls, connection: Connection, rows: list[UsageSummary]) -> "_OwnerNames":
        async def names(statement: str, ids: set[int | None]) -> dict[int, str]:
            found = await connection.fetch(statement, [number for number in ids if number is not None])
            return {row["id"]: row["name"] for row in found}

        return cls(
            await names("select id, name from accounts where id = any($1)", {row.account for row in rows}),
            await names(
                "select k.id, a.name || '/' || k.name as name from keys k join accounts a on a.id = k.account_id"
                " where k.id = any($1)",
                {row.key for row in rows},
            ),
            await names("select id, name from channels where id = any($1)", {row.channel for row in rows}),
        )

    def row(self, summary: UsageSummary) -> UsageRow:
        def named(number: int | None, names: dict[int, str]) -> str | None:
            return None if number is None else names.get(number, f"#{number}")

        return UsageRow(
            attempts=summary.attempts,
            answers=summary.answers,
            input_tokens=summary.input_tokens,
            cache_read_tokens=summary.cache_read_tokens,
            output_tokens=summary.output_tokens,
            charge_nano=summary.charge_nano,
            cost_nano=summary.cost_nano,
            day=summary.day,
            account=named(summary.account, self.accounts),
            key=named(summary.key, self.keys),
            model=summary.model,
            channel=named(summary.channel, self.channels),
            group=summary.group,
        )
