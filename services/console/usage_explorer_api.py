"""The usage explorer: overviews, breakdowns, lists of attempts and single requests, of an account or of all."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from enum import StrEnum
from typing import Final, TypeVar

from aiohttp import web
from msgspec import UNSET

from services.console.context import Context
from services.console.http import answer, bad_request, bind
from services.console.usage_answers import for_account, points, share_names, shares, totals
from services.console.usage_query import Span, read_filter, read_number, read_span
from trunkline.core.ids import JobID, parse_job
from trunkline.policy.admin_usage import (
    ACCOUNT_DIMENSIONS,
    COMPLETE,
    Dimension,
    Order,
    Step,
    UsageAttempt,
    UsageAttempts,
    UsageBreakdown,
    UsageOverview,
    UsageRequest,
)
from trunkline.policy.operations import usage_explorer as operations
from trunkline.policy.periods import UTC, beginning
from trunkline.policy.usage_cursor import Position, cursor_text, parse_cursor
from trunkline.store import usage_attempts, usage_explorer, usage_speeds
from trunkline.store.configuration import NotFoundError
from trunkline.store.database import Connection
from trunkline.store.usage_explorer import DAY, HOUR

E = TypeVar("E", bound=StrEnum)

WORK_MEMORY_MB: Final = 32
"""Of one question to the database: sums of a hundred thousand keys, which need not be sorted on disk then."""

READERS_MAX: Final = 4
"""Questions at a time, half of the console's connections: whoever asks for a year again and again keeps nobody from
signing in. The others wait."""

HOURLY_DAYS_MAX: Final = 3
"""A longer span is shown by day: more points than these say no more."""


class UsageExplorerAPI:
    """Handlers under ``/usage`` and ``/accounts/{account}/usage``, but for sums by day and exports.

    Args:
        context: of the console.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._readers = asyncio.Semaphore(READERS_MAX)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            bind(operations.ACCOUNT_OVERVIEW, self._overview),
            bind(operations.ACCOUNT_BREAKDOWN, self._breakdown),
            bind(operations.ACCOUNT_ATTEMPTS, self._attempts),
            bind(operations.ACCOUNT_REQUEST, self._request),
            bind(operations.OVERVIEW, self._overview),
            bind(operations.BREAKDOWN, self._breakdown),
            bind(operations.ATTEMPTS, self._attempts),
            bind(operations.REQUEST, self._request),
        ]

    @contextlib.asynccontextmanager
    async def _reading(self) -> AsyncIterator[Connection]:
        """Lend a connection that sees one state of the database."""
        async with (
            self._readers,
            self._context.database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await connection.execute(f"set local work_mem = '{WORK_MEMORY_MB}MB'")
            yield connection

    async def _overview(self, request: web.Request) -> web.Response:
        span = read_span(self._context, request).hours()
        before = span.before()
        site = _is_site(request)
        async with self._reading() as connection:
            wanted = await read_filter(connection, request)
            time_zone = UTC if site else await _time_zone(connection, request.match_info["account"])
            step, starts = _steps(span, time_zone)
            hourly = step is Step.HOUR
            sums = await usage_explorer.sum_series(connection, wanted, *span, starts)
            counts = await usage_speeds.count_speeds(connection, wanted, *span, starts, hourly=hourly)
            past = await usage_explorer.sum_span(connection, wanted, *before)
            (past_counts,) = await usage_speeds.count_speeds(connection, wanted, *before, [before.since], hourly=hourly)
        return answer(
            UsageOverview(
                since=span.since,
                until=span.until,
                step=step,
                time_zone=time_zone,
                totals=totals(usage_explorer.added(sums), site=site),
                speeds=usage_speeds.speeds_of(usage_speeds.added(counts)),
                previous=totals(past, site=site),
                previous_speeds=usage_speeds.speeds_of(past_counts),
                series=points(starts, sums, counts, site=site),
            )
        )

    async def _breakdown(self, request: web.Request) -> web.Response:
        span = read_span(self._context, request).hours()
        site = _is_site(request)
        by = _choice(request, "by", tuple(Dimension) if site else ACCOUNT_DIMENSIONS, Dimension.MODEL)
        orders = tuple(order for order in Order if site or order is not Order.COST)
        order = _choice(request, "order", orders, Order.CHARGE)
        top = read_number(request, "top", operations.TOP_DEFAULT, operations.TOP_MAX)
        async with self._reading() as connection:
            wanted = await read_filter(connection, request)
            groups = await usage_explorer.break_down(connection, wanted, *span, by=by, order=order, top=top)
            names = await share_names(connection, by, groups)
        rest = groups[top:]
        return answer(
            UsageBreakdown(
                since=span.since,
                until=span.until,
                by=by,
                rows=shares(groups[:top], by, names, site=site),
                others=sum(group.members for group in rest),
                rest=totals(usage_explorer.added([group.sums for group in rest]), site=site),
            )
        )

    async def _attempts(self, request: web.Request) -> web.Response:
        span = read_span(self._context, request)
        limit = read_number(request, "limit", operations.PAGE_DEFAULT, operations.PAGE_MAX)
        after = _cursor(request)
        job = _job(request.query["job"]) if "job" in request.query else None
        async with self._reading() as connection:
            wanted = await read_filter(connection, request)
            page = await usage_attempts.read_page(connection, wanted, *span, job=job, after=after, limit=limit)
        attempts = page.attempts if _is_site(request) else [for_account(attempt) for attempt in page.attempts]
        return answer(UsageAttempts(tuple(attempts), None if page.next is None else cursor_text(page.next)))

    async def _request(self, request: web.Request) -> web.Response:
        job = _job(request.match_info["job"])
        site = _is_site(request)
        async with self._reading() as connection:
            wanted = await read_filter(connection, request)
            attempts = await usage_attempts.request_attempts(connection, wanted, job)
            if not attempts:
                raise NotFoundError("there is no such request, or it is no longer kept")
            refunds = await usage_attempts.request_refunds(connection, job)
        shown = attempts if site else [for_account(a) for a in attempts if a.charged or a.outcome == COMPLETE]
        if not shown:
            shown = [for_account(attempts[-1])]
        found = UsageRequest(
            job=attempts[0].job,
            attempts=tuple(shown),
            failed_attempts=sum(a.outcome != COMPLETE for a in attempts) if site else len(attempts) - len(shown),
            charge_nano=sum(a.charge_nano for a in attempts),
            refunds=tuple(refunds),
            cost_nano=_cost_nano(attempts) if site else UNSET,
        )
        return answer(found)


def _is_site(request: web.Request) -> bool:
    return "account" not in request.match_info


async def _time_zone(connection: Connection, account: str) -> str:
    found: str | None = await connection.fetchval("select time_zone from accounts where name = $1", account)
    return found or UTC


def _steps(span: Span, time_zone: str) -> tuple[Step, list[dt.datetime]]:
    """Return how far points are apart, and where they begin."""
    if span.until - span.since <= HOURLY_DAYS_MAX * DAY:
        return Step.HOUR, [span.since + HOUR * number for number in range((span.until - span.since) // HOUR)]
    day = beginning(span.since.date(), time_zone)
    first = span.since.astimezone(day.tzinfo).date()
    last = (span.until - HOUR).astimezone(day.tzinfo).date()
    days = [first + dt.timedelta(days=number) for number in range((last - first).days + 1)]
    return Step.DAY, [beginning(day, time_zone).astimezone(dt.UTC) for day in days]


def _choice(request: web.Request, name: str, choices: Sequence[E], default: E) -> E:
    """Return one of some words.

    Raises:
        RequestError: it is none of them.
    """
    text = request.query.get(name, default.value)
    for choice in choices:
        if choice.value == text:
            return choice
    raise bad_request(f"{name} must be one of {', '.join(choices)}.")


def _cursor(request: web.Request) -> Position | None:
    if "cursor" not in request.query:
        return None
    try:
        return parse_cursor(request.query["cursor"])
    except ValueError as error:
        raise bad_request("cursor must be what `next` of another page was.") from error


def _job(text: str) -> JobID:
    try:
        return parse_job(text)
    except ValueError as error:
        raise bad_request("The request's id must be one, as in x-request-id.") from error


def _cost_nano(attempts: Sequence[UsageAttempt]) -> int:
    return sum(attempt.cost_nano for attempt in attempts if attempt.cost_nano is not UNSET)
