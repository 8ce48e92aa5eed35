"""What is asked of the usage explorer, read from a request: the span, and which attempts are wanted."""

import datetime as dt
import re
from typing import Final, NamedTuple

from aiohttp import web

from services.console.context import Context
from services.console.http import bad_request, own_user
from services.console.query import moment
from trunkline.policy.admin_usage import COMPLETE
from trunkline.store.configuration import NotFoundError
from trunkline.store.configuration_writes import find_account, find_channel
from trunkline.store.database import Connection
from trunkline.store.usage_explorer import HOUR, UsageFilter

DAYS_DEFAULT: Final = 30

SPAN_DAYS_MAX: Final = 400
"""A year and the month before it: usage is kept for less, as a rule."""

_NUMBER = re.compile(r"#(\d{1,18})", re.ASCII)
"""How what is deleted is named."""


class Span(NamedTuple):
    """A span of time, in UTC.

    Attributes:
        since: first moment.
        until: first moment that is not part of it.
    """

    since: dt.datetime
    until: dt.datetime

    def hours(self) -> "Span":
        """Return the span of full hours that it is in."""
        since = self.since.replace(minute=0, second=0, microsecond=0)
        until = self.until.replace(minute=0, second=0, microsecond=0)
        return Span(since, until if until == self.until else until + HOUR)

    def before(self) -> "Span":
        """Return the span of the same length before it."""
        return Span(self.since - (self.until - self.since), self.since)


def read_span(context: Context, request: web.Request) -> Span:
    """Return the span that is asked for.

    Raises:
        RequestError: it is none, or too long.
    """
    now = dt.datetime.fromtimestamp(context.clock.wall_ms() / 1000, dt.UTC)
    try:
        until = moment(request, "until", now)
        since = moment(request, "since", until - dt.timedelta(days=DAYS_DEFAULT))
        span = Span(since.astimezone(dt.UTC), until.astimezone(dt.UTC))
        span.hours().before()
    except OverflowError as error:
        raise bad_request("The span is beyond the calendar.") from error
    if not dt.timedelta() < span.until - span.since <= dt.timedelta(days=SPAN_DAYS_MAX):
        raise bad_request(f"since must be before until, and at most {SPAN_DAYS_MAX} days.")
    return span


def read_number(request: web.Request, name: str, default: int, most: int) -> int:
    """Return a number of the query from 1 to ``most``.

    Raises:
        RequestError: it is none.
    """
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and 1 <= int(text) <= most):
        raise bad_request(f"{name} must be a number from 1 to {most}.")
    return int(text)


async def read_filter(connection: Connection, request: web.Request) -> UsageFilter:
    """Return which attempts are wanted. Of an account's people those who are to see their own alone get no others.

    Raises:
        RequestError: it cannot be.
        NotFoundError: something that is named is not there.
    """
    query = request.query
    site = "account" not in request.match_info
    account = query.get("account") if site else request.match_info["account"]
    user, key, own = query.get("user"), query.get("key"), None if site else own_user(request)
    if account is None and (user is not None or key is not None):
        raise bad_request("A user or key is named together with its account.")
    if own is not None:
        if user not in {None, own}:
            raise NotFoundError(f"there is no user {account}/{user}")
        user = own
    errors = query.get("errors", "false")
    if errors not in {"true", "false"}:
        raise bad_request("errors must be true or false.")
    account_id = None if account is None else _number(account) if site else None
    if account is not None and account_id is None:
        account_id = await find_account(connection, account)
    channel, outcome = query.get("channel") if site else None, query.get("outcome")
    user_id = None
    if user is not None:
        user_id = await _find(connection, "users", account_id, account, user, deleted=own is None)
    key_id = None if key is None else await _find(connection, "keys", account_id, account, key)
    if key_id is not None and own is not None and not await _is_of(connection, key_id, user_id):
        raise NotFoundError(f"there is no key {account}/{key}")
    return UsageFilter(
        account=account_id,
        user=user_id,
        key=key_id,
        channel=None if channel is None else _number(channel) or await find_channel(connection, channel),
        model=query.get("model"),
        group=query.get("group"),
        outcome="" if outcome == COMPLETE else outcome,
        errors=errors == "true",
    )


async def _is_of(connection: Connection, key_id: int, user_id: int | None) -> bool:
    """Return whether a key is a user's, or gone: what it used as the user's is told still."""
    other: bool = await connection.fetchval(
        "select exists (select from keys where id = $1 and user_id is distinct from $2)", key_id, user_id
    )
    return not other


def _number(name: str) -> int | None:
    match = _NUMBER.fullmatch(name)
    return None if match is None else int(match[1])


async def _find(
    connection: Connection, table: str, account_id: int | None, account: str | None, name: str, *, deleted: bool = True
) -> int:
    """Return the id of a user or key of an account.

    Args:
        connection: to read with.
        table: where it is.
        account_id: whose it is.
        account: its name.
        name: see there.
        deleted: whether it may also be the number of one that is deleted, where none has that name. Not of a caller's
            own user: people choose their names.

    Raises:
        NotFoundError: there is none.
    """
    found: int | None = await connection.fetchval(
        f"select id from {table} where account_id = $1 and name = $2",  # noqa: S608 - one of two names
        account_id,
        name,
    )
    if found is None and deleted:
        found = _number(name)
    if found is None:
        raise NotFoundError(f"there is no {table[:-1]} {account}/{name}")
    return found
