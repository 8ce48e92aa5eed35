"""Calendar days and months of a time zone, for budgets and daily limits. Pure: the moment is an argument."""

import datetime as dt
import functools
import zoneinfo
from typing import NamedTuple

from trunkline.bus.allowance import Period

UTC = "UTC"


class Span(NamedTuple):
    """One day or month.

    Attributes:
        start: its first day.
        until_ms: Unix time of its end, in milliseconds.
    """

    start: dt.date
    until_ms: int


def span_at(period: Period, time_zone: str, at_ms: int) -> Span:
    """Return the day or month that a moment is in.

    Args:
        period: ``DAY`` or ``MONTH``.
        time_zone: IANA name; an unknown one counts as UTC, since a limit must not vanish with a machine's tables.
        at_ms: Unix time in milliseconds.
    """
    return _span(period, time_zone, at_ms // 60_000)


def beginning(start: dt.date, time_zone: str) -> dt.datetime:
    """Return the moment at which a day begins in a time zone; arguments as in `Span` and for `span_at`."""
    return dt.datetime.combine(start, dt.time(), _zone(time_zone))


# A minute is fine enough: zones begin their days at whole minutes. So a busy account costs one look a minute.
@functools.lru_cache(maxsize=4096)
def _span(period: Period, time_zone: str, minute: int) -> Span:
    zone = _zone(time_zone)
    local = dt.datetime.fromtimestamp(minute * 60, zone)
    start = local.date() if period is Period.DAY else local.date().replace(day=1)
    following = start + dt.timedelta(days=1 if period is Period.DAY else 32)
    if period is Period.MONTH:
        following = following.replace(day=1)
    return Span(start, round(beginning(following, time_zone).timestamp() * 1000))


@functools.cache
def _zone(name: str) -> dt.tzinfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # the last one of a name that no file can have
        return dt.UTC
