"""The audit log. Written by the console's shell, around every change."""

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from trunkline.policy.admin_audit import AuditEntry, AuditPage
from trunkline.store.database import Connection

PAGE_ROWS = 50

KEPT_DAYS = 730
"""Two years: longer than any dispute about a bill. Addresses and names are in it, so it has an end."""


class Begun(NamedTuple):
    """A change that is about to be made; fields as of `AuditEntry`, the view as JSON text."""

    login: int | None
    actor: str
    address: str
    operation: str
    account: str | None
    subject: str
    before: str | None


class AuditFilter(NamedTuple):
    """Which entries are wanted; None for any.

    Attributes:
        account: its name.
        actor, operation: how their names begin.
        since, until: the first moment, and the one after the last.
        before: id of the entry that the wanted ones stand behind.
    """

    account: str | None = None
    actor: str | None = None
    operation: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    before: int | None = None


async def begin(connection: Connection, begun: Begun) -> int:
    """Write a change down and return its id."""
    entry: int = await connection.fetchval(
        "insert into audit (login_id, actor, address, operation, account, subject, before)"
        " values ($1, $2, $3, $4, $5, $6, $7) returning id",
        *begun,
    )
    return entry


async def end(connection: Connection, entry: int, status: int, after: str | None) -> None:
    """Add how a change ended."""
    await connection.execute("update audit set status = $2, after = $3 where id = $1", entry, status, after)


async def note(connection: Connection, begun: Iterable[Begun], status: int, after: str) -> None:
    """Write down changes that are made in the same transaction, and all end alike."""
    await connection.executemany(
        "insert into audit (login_id, actor, address, operation, account, subject, before, status, after)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        [(*one, status, after) for one in begun],
    )


async def withdraw(connection: Connection, entry: int) -> None:
    """Take a row back: what it was about to tell of was not done."""
    await connection.execute("delete from audit where id = $1", entry)


async def read_page(connection: Connection, wanted: AuditFilter) -> AuditPage:
    """Return the newest entries of those that are wanted."""
    rows = await connection.fetch(
        "select id, at, actor, address, operation, account, subject, before, after, status from audit"
        " where ($1::text is null or account = $1) and ($2::text is null or starts_with(lower(actor), lower($2)))"
        " and ($3::text is null or starts_with(operation, lower($3))) and ($4::timestamptz is null or at >= $4)"
        " and ($5::timestamptz is null or at < $5) and ($6::bigint is null or id < $6)"
        " order by id desc limit $7",
        *wanted,
        PAGE_ROWS + 1,
    )
    entries = [
        AuditEntry(**{**row, "before": _raw(row["before"]), "after": _raw(row["after"])}) for row in rows[:PAGE_ROWS]
    ]
    return AuditPage(entries, entries[-1].id if len(rows) > PAGE_ROWS else None)


async def forget(connection: Connection) -> None:
    """Delete entries past their time."""
    await connection.execute("delete from audit where at < now() - make_interval(days => $1)", KEPT_DAYS)


def _raw(text: str | None) -> msgspec.Raw | None:
    return None if text is None else msgspec.Raw(text.encode())
