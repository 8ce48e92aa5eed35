"""Counts of what was tried in vain, over all consoles. Called by the console; see `policy.logins.guesses`."""

from collections.abc import Collection
from typing import Final, NamedTuple

from trunkline.policy.logins.guesses import DAY_S, Bound
from trunkline.store.database import Connection

KEPT_S: Final = 2 * DAY_S
"""The longest window, and as much again."""


class TooManyError(Exception):
    """Too much was tried in vain.

    Attributes:
        retry_after_s: when the window ends that is full.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("too many tries")
        self.retry_after_s = retry_after_s


class _Counter(NamedTuple):
    subject: bytes
    length_s: int
    at_s: int
    failures_max: int


async def count(connection: Connection, bounds: Collection[Bound], now_s: int) -> None:
    """Count a try as failed before it is made, so that parallel ones have no more tries than others.

    Args:
        connection: in a transaction of its own.
        bounds: all of which must have room.
        now_s: Unix time in seconds.

    Raises:
        TooManyError: one is full; then none is counted, once the transaction is rolled back.
    """
    # In the order of the subjects: two transactions cannot wait for each other.
    counters = _counters(bounds, now_s)
    rows = await connection.fetch(
        "insert into sign_in_failures as f (subject, window_at, failures)"
        " select subject, to_timestamp(at_s), 1"
        " from unnest($1::bytea[], $2::bigint[]) as counter (subject, at_s) order by subject"
        " on conflict (subject, window_at) do update set failures = f.failures + 1"
        " returning subject, failures",
        [counter.subject for counter in counters],
        [counter.at_s for counter in counters],
    )
    failures = {row["subject"]: row["failures"] for row in rows}
    full = [counter for counter in counters if failures[counter.subject] > counter.failures_max]
    if full:
        raise TooManyError(max(counter.at_s + counter.length_s - now_s for counter in full))


async def give_back(connection: Connection, bounds: Collection[Bound], now_s: int) -> None:
    """Take a count back: what was tried was right. ``now_s`` as it was counted with."""
    counters = _counters(bounds, now_s)
    # Locked in the order in which they are counted, whatever order they are read in.
    await connection.execute(
        "update sign_in_failures f set failures = f.failures - 1"
        " from (select s.subject, s.window_at from sign_in_failures s"
        "  join unnest($1::bytea[], $2::bigint[]) as c (subject, at_s)"
        "  on s.subject = c.subject and s.window_at = to_timestamp(c.at_s)"
        "  order by s.subject for update of s) as held"
        " where f.subject = held.subject and f.window_at = held.window_at and f.failures > 0",
        [counter.subject for counter in counters],
        [counter.at_s for counter in counters],
    )


async def clear(connection: Connection, bounds: Collection[Bound]) -> None:
    """Forget what was counted: whoever has set a password by a link may use it at once."""
    await connection.execute(
        "delete from sign_in_failures where subject = any($1)", sorted({bound.subject for bound in bounds})
    )


async def forget_guesses(connection: Connection, now_s: int) -> None:
    """Drop counts that bound nothing any more."""
    await connection.execute("delete from sign_in_failures where window_at < to_timestamp($1)", now_s - KEPT_S)


def _counters(bounds: Collection[Bound], now_s: int) -> list[_Counter]:
    return sorted(
        _Counter(subject, window.length_s, now_s - now_s % window.length_s, window.failures_max)
        for subject, window in bounds
    )
