"""Where a page of attempts begins, as the text that clients hand back. Pure; called by the console.

It names the last attempt of the page before, so that nothing is shown twice or left out however much comes in between.
"""

import datetime as dt
import re
from typing import NamedTuple
from uuid import UUID

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_CURSOR = re.compile(r"(-?\d{1,18})-([0-9a-f]{32})-(\d{1,9})", re.ASCII)


class Position(NamedTuple):
    """An attempt, behind which a page begins, towards older ones."""

    started_at: dt.datetime
    job: UUID
    attempt: int


def cursor_text(position: Position) -> str:
    """Return a position as text."""
    started_us = (position.started_at - _EPOCH) // dt.timedelta(microseconds=1)
    return f"{started_us}-{UUID(bytes=position.job.bytes).hex}-{position.attempt}"


def parse_cursor(text: str) -> Position:
    """Return what `cursor_text` has made a text of.

    Raises:
        ValueError: it has not.
    """
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise ValueError("it is no cursor")
    try:
        started_at = _EPOCH + dt.timedelta(microseconds=int(match[1]))
    except OverflowError as error:
        raise ValueError("it is no cursor") from error
    return Position(started_at, UUID(match[2]), int(match[3]))
