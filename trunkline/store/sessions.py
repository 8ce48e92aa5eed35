"""Sessions of logins. Called by the console; only keyed hashes of cookies are here."""

import dataclasses
import datetime as dt
from typing import Final

import asyncpg

from trunkline.policy.access import Caller, Place
from trunkline.policy.admin_identity import SessionEntry
from trunkline.policy.logins.lifetimes import SESSION_IDLE_S, SESSION_S, SESSION_SEEN_S
from trunkline.store.database import Connection
from trunkline.store.logins import PLACES, decode_places

SESSIONS_MAX: Final = 50
"""Of one login; the one unused for longest ends when there is one more. People have a handful of devices."""

# What is too old counts as gone before the upkeep deletes it.
_HOLDS = f"s.ends_at > now() and s.seen_at > now() - make_interval(secs => {SESSION_IDLE_S})"


@dataclasses.dataclass(frozen=True)
class FoundSession:
    """A session that holds: its id, and who signed in."""

    id: int
    caller: Caller


async def begin_session(
    connection: Connection, hash_: bytes, login_id: int, *, address: str, agent: str, replaces: bytes | None
) -> None:
    """Store a new session.

    Args:
        connection: in a transaction.
        hash_: keyed hash of its cookie.
        login_id: whose.
        address: of the browser.
        agent: what the browser calls itself, for the person to recognise it.
        replaces: hash of the cookie that the browser had: that session ends, whoever's it was.
    """
    if replaces is not None:
        await connection.execute("delete from sessions where hash = $1", replaces)
    await connection.execute(
        "insert into sessions (hash, login_id, ends_at, address, agent)"
        " values ($1, $2, now() + make_interval(secs => $3), $4, $5)",
        hash_,
        login_id,
        SESSION_S,
        address,
        agent,
    )
    await connection.execute(
        "delete from sessions where id in"
        " (select id from sessions where login_id = $1 order by seen_at desc, id desc offset $2)",
        login_id,
        SESSIONS_MAX,
    )
    await connection.execute("update logins set signed_in_at = now() where id = $1", login_id)


async def find_session(connection: Connection, hash_: bytes) -> FoundSession | None:
    """Return the session of a cookie's hash and note that it is used; None if there is none that holds."""
    row = await connection.fetchrow(
        f"select s.id, s.seen_at < now() - make_interval(secs => $2) as unnoted, l.id as login, l.name, l.operator,"  # noqa: S608 - constants
        f" {PLACES} as places from sessions s join logins l on l.id = s.login_id"
        f" where s.hash = $1 and l.state = 'active' and {_HOLDS}",
        hash_,
        SESSION_SEEN_S,
    )
    if row is None:
        return None
    if row["unnoted"]:
        await connection.execute("update sessions set seen_at = now() where id = $1", row["id"])
    return FoundSession(row["id"], _caller(row))


async def find_caller(connection: Connection, session: int) -> Caller | None:
    """Return who has a session; None if it does not hold. Both stay as they are until the transaction ends."""
    row = await connection.fetchrow(
        f"select l.id as login, l.name, l.operator, {PLACES} as places"  # noqa: S608 - constants
        f" from sessions s join logins l on l.id = s.login_id"
        f" where s.id = $1 and l.state = 'active' and {_HOLDS} for share of s, l",
        session,
    )
    return None if row is None else _caller(row)


def _caller(row: asyncpg.Record) -> Caller:
    places = {place.name: Place(place.role, place.user) for place in decode_places(row["places"])}
    return Caller(row["name"], row["login"], row["operator"], places)


async def list_sessions(connection: Connection, login_id: int, current: int) -> list[SessionEntry]:
    """Return a login's sessions, the last used first."""
    rows = await connection.fetch(
        f"select s.id, s.created_at, s.seen_at, s.ends_at, s.address, s.agent, s.id = $2 as current"  # noqa: S608 - constants
        f" from sessions s where s.login_id = $1 and {_HOLDS} order by s.seen_at desc, s.id desc",
        login_id,
        current,
    )
    return [SessionEntry(**row) for row in rows]


async def end_session(connection: Connection, login_id: int, session: int) -> bool:
    """End one session of a login; return whether it was there."""
    status = await connection.execute("delete from sessions where login_id = $1 and id = $2", login_id, session)
    return bool(status == "DELETE 1")


async def end_sessions(connection: Connection, login_id: int, *, but: int | None = None) -> int:
    """End all sessions of a login, or all but one; return how many there were."""
    rows = await connection.fetch(
        "delete from sessions where login_id = $1 and id is distinct from $2 returning id", login_id, but
    )
    return len(rows)


async def session_holds(
    connection: Connection, login_id: int, session: int, *, younger_than_s: int = SESSION_S
) -> bool:
    """Return whether a session of a login holds still, and began no longer ago than that."""
    found: bool = await connection.fetchval(
        f"select exists (select from sessions s where s.id = $2 and s.login_id = $1 and {_HOLDS}"  # noqa: S608 - constants
        " and s.created_at > now() - make_interval(secs => $3))",
        login_id,
        session,
        younger_than_s,
    )
    return found


async def forget_sessions(connection: Connection, now: dt.datetime) -> None:
    """Delete sessions and links that are over."""
    await connection.execute(
        "delete from sessions where ends_at <= $1 or seen_at <= $1 - make_interval(secs => $2)", now, SESSION_IDLE_S
    )
    await connection.execute("delete from login_links where ends_at <= $1", now)
