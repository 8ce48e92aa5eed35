"""Links that work once: kept as keyed hashes of the token in them. Called by the console."""

import dataclasses
import datetime as dt
from enum import StrEnum

from trunkline.store.database import Connection


class Purpose(StrEnum):
    """What a link is for."""

    FIRST_OPERATOR = "first_operator"
    CONFIRM_EMAIL = "confirm_email"
    SET_PASSWORD = "set_password"  # noqa: S105 - the words, not a password


@dataclasses.dataclass(frozen=True)
class Link:
    """A link that holds.

    Attributes:
        login_id: whose; None for the first operator's.
        email: the address that it proves: it was sent there.
    """

    login_id: int | None
    email: str | None


async def create_link(
    connection: Connection,
    hash_: bytes,
    purpose: Purpose,
    *,
    login_id: int | None,
    email: str | None,
    ends_at: dt.datetime,
) -> None:
    """Store a link in a transaction; earlier ones of the same login for the same purpose end."""
    await connection.execute(
        "delete from login_links where purpose = $1 and login_id is not distinct from $2", purpose.value, login_id
    )
    await connection.execute(
        "insert into login_links (hash, purpose, login_id, email, ends_at) values ($1, $2, $3, $4, $5)",
        hash_,
        purpose.value,
        login_id,
        email,
        ends_at,
    )


async def show_link(connection: Connection, hash_: bytes, purpose: Purpose) -> Link | None:
    """Return a link without using it; None if there is none that holds."""
    row = await connection.fetchrow(
        "select login_id, email from login_links where hash = $1 and purpose = $2 and ends_at > now()",
        hash_,
        purpose.value,
    )
    return None if row is None else Link(**row)


async def take_link(connection: Connection, hash_: bytes, purpose: Purpose) -> Link | None:
    """Use a link up, in a transaction, and return it; None if there is none that holds. Of many at once one gets it."""
    row = await connection.fetchrow(
        "delete from login_links where hash = $1 and purpose = $2 and ends_at > now() returning login_id, email",
        hash_,
        purpose.value,
    )
    return None if row is None else Link(**row)
