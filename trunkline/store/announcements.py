"""Announcements as rows. Called by the console."""

import datetime as dt
from typing import Final

import asyncpg
import msgspec

from trunkline.policy.announcements import Announcement, Audience, Level, NewAnnouncement
from trunkline.store.configuration import NotFoundError, json_text
from trunkline.store.database import Connection

LISTED_MAX: Final = 1000

_COLUMNS: Final = "id, level, audience, texts, since, until, created_at"

_decode_texts = msgspec.json.Decoder(dict[str, str]).decode


async def read_all(connection: Connection) -> list[Announcement]:
    """Return the newest `LISTED_MAX` announcements, the newest first."""
    rows = await connection.fetch(
        f"select {_COLUMNS} from announcements order by since desc, id desc limit $1",  # noqa: S608 - constants
        LISTED_MAX,
    )
    return [_announcement(row) for row in rows]


async def read_shown(connection: Connection) -> list[Announcement]:
    """Return those that are not over yet, at most `LISTED_MAX`."""
    rows = await connection.fetch(
        f"select {_COLUMNS} from announcements where until is null or until > now()"  # noqa: S608 - constants
        " order by since desc, id desc limit $1",
        LISTED_MAX,
    )
    return [_announcement(row) for row in rows]


async def read_one(connection: Connection, announcement: int) -> Announcement:
    """Return one of them.

    Raises:
        NotFoundError: it is not there.
    """
    row = await connection.fetchrow(
        f"select {_COLUMNS} from announcements where id = $1",  # noqa: S608 - constants
        announcement,
    )
    if row is None:
        raise NotFoundError(f"there is no announcement {announcement}")
    return _announcement(row)


async def add(connection: Connection, new: NewAnnouncement, since: dt.datetime) -> Announcement:
    """Store an announcement that has been checked; it begins at ``since``."""
    row = await connection.fetchrow(
        "insert into announcements (level, audience, texts, since, until) values ($1, $2, $3, $4, $5)"  # noqa: S608 - constants
        f" returning {_COLUMNS}",
        new.level.value,
        new.audience.value,
        json_text(new.texts),
        since,
        new.until,
    )
    return _announcement(row)


async def put(connection: Connection, announcement: Announcement) -> None:
    """Make the row of an announcement what it says.

    Raises:
        NotFoundError: it is not there.
    """
    status = await connection.execute(
        "update announcements set level = $2, audience = $3, texts = $4, since = $5, until = $6 where id = $1",
        announcement.id,
        announcement.level.value,
        announcement.audience.value,
        json_text(announcement.texts),
        announcement.since,
        announcement.until,
    )
    _found(status, announcement.id)


async def delete(connection: Connection, announcement: int) -> None:
    """Delete an announcement.

    Raises:
        NotFoundError: it is not there.
    """
    _found(await connection.execute("delete from announcements where id = $1", announcement), announcement)


def _found(status: str, announcement: int) -> None:
    if status.endswith(" 0"):
        raise NotFoundError(f"there is no announcement {announcement}")


def _announcement(row: asyncpg.Record) -> Announcement:
    return Announcement(
        id=row["id"],
        texts=_decode_texts(row["texts"]),
        level=Level(row["level"]),
        audience=Audience(row["audience"]),
        since=row["since"],
        until=row["until"],
        created_at=row["created_at"],
    )
