"""The configuration as a whole, the projection, usage, and what the console sees of the system."""

import datetime as dt
from typing import NamedTuple

from aiohttp import web

from services.console.context import Context
from services.console.http import answer, bad_request, read_json
from services.console.peers import Peers
from trunkline.policy.admin_api import PREFIX, Applied, Check, HealthReport, UsageRow
from trunkline.store import account_views, outbox, usage
from trunkline.store.configuration import read_names
from trunkline.store.configuration_writes import find_account
from trunkline.store.database import Connection, StoreError
from trunkline.store.usage import UsageSummary

USAGE_DAYS = 30
"""The span of a summary when none is asked for."""


class SystemAPI:
    """Handlers of ``/apply``, ``/names``, ``/projection``, ``/usage`` and ``/health``.

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
            web.post(f"{PREFIX}/apply", self._apply),
            web.get(f"{PREFIX}/names", self._names),
            web.post(f"{PREFIX}/projection/rebuild", self._rebuild),
            web.get(f"{PREFIX}/usage", self._usage),
            web.get(f"{PREFIX}/health", self._health),
        ]

    async def _apply(self, request: web.Request) -> web.Response:
        dry_run = request.query.get("dry_run", "false")
        if dry_run not in {"true", "false"}:
            raise bad_request("dry_run must be true or false.")
        parsed = await read_json(request)
        try:
            async with self._context.changing() as connection:
                configuration = await self._context.check(connection, parsed)
                changes = tuple(await self._context.apply(connection, configuration))
                if dry_run == "true":
                    raise _DryRunError
        except _DryRunError:
            return answer(Applied(dry_run=True, changes=changes))
        return answer(Applied(dry_run=False, changes=changes))

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
        checks = [await self._check_postgres(), self._check_nats()]
        return answer(HealthReport((*checks, *self._peers.checks()), self._peers.alive()))

    async def _check_postgres(self) -> Check:
        try:
            async with self._context.database.connection() as connection:
                waiting = await outbox.backlog(connection)
        except StoreError as error:
            return Check("postgres", False, f"{error}. Start it, or correct DATABASE_URL of console and metering.")
        return Check("postgres", True, f"answers; {waiting} changes wait to be projected")

    def _check_nats(self) -> Check:
        if self._peers.connected:
            return Check("nats", True, "connected")
        return Check("nats", False, "The console has no connection. Start NATS, or correct NATS_URL.")


class _DryRunError(Exception):
    """Rolls back the transaction of a dry run."""


def moment(request: web.Request, name: str, default: dt.datetime) -> dt.datetime:
    """Return a day or moment of the query, in UTC unless it names another zone.

    Raises:
        RequestError: it is none.
    """
    text = request.query.get(name)
    if text is None:
        return default
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise bad_request(f"{name} must be a day or moment such as 2030-01-31 or 2030-01-31T12:00:00Z.") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)


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
