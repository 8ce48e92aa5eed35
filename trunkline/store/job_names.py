"""Names for the numbers that the attempts of a job have. Called by the console."""

from collections.abc import Iterable
from typing import NamedTuple

from trunkline.store.database import Connection
from trunkline.store.views import MARK_CHARS


class JobNames(NamedTuple):
    """What is still there of what a job had.

    Attributes:
        account, key: names; None if they are gone.
        channels: names by number.
        credentials: starts of their keyed hashes, by number.
    """

    account: str | None
    key: str | None
    channels: dict[int, str]
    credentials: dict[int, str]


async def read_job_names(
    connection: Connection, *, account: int, key: int, channels: Iterable[int], credentials: Iterable[int]
) -> JobNames:
    """Return the names for these numbers."""
    channel_rows = await connection.fetch("select id, name from channels where id = any($1)", list(channels))
    credential_rows = await connection.fetch(
        "select id, left(fingerprint, $2) as mark from credentials where id = any($1)", list(credentials), MARK_CHARS
    )
    return JobNames(
        account=await connection.fetchval("select name from accounts where id = $1", account),
        key=await connection.fetchval("select name from keys where id = $1", key),
        channels={row["id"]: row["name"] for row in channel_rows},
        credentials={row["id"]: row["mark"] for row in credential_rows},
    )
