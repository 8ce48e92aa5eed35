"""Whom an OpenID provider knows by which subject. Called by the console."""

import datetime as dt

from trunkline.store.configuration import ConflictError
from trunkline.store.database import Connection


async def find_subject(connection: Connection, issuer: str, subject: str) -> int | None:
    """Return the id of the login of a provider's person; None if there is none."""
    found: int | None = await connection.fetchval(
        "select login_id from login_subjects where issuer = $1 and subject = $2", issuer, subject
    )
    return found


async def link_subject(connection: Connection, issuer: str, subject: str, login_id: int) -> None:
    """Make a login that of a provider's person, in a transaction; it is no other person's of that provider any more.

    Raises:
        ConflictError: the person has another login.
    """
    await connection.execute(
        "delete from login_subjects where issuer = $1 and login_id = $2 and subject <> $3", issuer, login_id, subject
    )
    linked = await connection.fetchval(
        "insert into login_subjects as s (issuer, subject, login_id) values ($1, $2, $3)"
        " on conflict (issuer, subject) do update set login_id = s.login_id returning login_id",
        issuer,
        subject,
        login_id,
    )
    if linked != login_id:
        raise ConflictError("another login is that person's already")


async def unlink_subjects(connection: Connection, login_id: int) -> None:
    """Make a login nobody's of any provider."""
    await connection.execute("delete from login_subjects where login_id = $1", login_id)


async def use_state(connection: Connection, hash_: bytes, ends_at: dt.datetime) -> bool:
    """Note that the answer to a question has come; return False if it came before."""
    new = await connection.fetchval(
        "insert into used_states (hash, ends_at) values ($1, $2) on conflict do nothing returning true",
        hash_,
        ends_at,
    )
    return new is not None


async def forget_states(connection: Connection, now: dt.datetime) -> None:
    """Drop questions whose answers would come too late anyway."""
    await connection.execute("delete from used_states where ends_at <= $1", now)
