"""Days and months of time zones, through changes of the clock and the ends of months."""

import datetime as dt

import pytest

from trunkline.bus.allowance import Period
from trunkline.policy.periods import beginning, span_at

HOUR_MS = 3_600_000


def ms(text: str) -> int:
    """Return a moment of UTC as Unix time in milliseconds."""
    return round(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("zone", "at", "day", "ends"),
    [
        ("UTC", "2026-03-01T00:00", "2026-03-01", "2026-03-02T00:00"),
        ("UTC", "2026-03-01T23:59:59.999", "2026-03-01", "2026-03-02T00:00"),
        ("Asia/Shanghai", "2026-03-01T15:59:59", "2026-03-01", "2026-03-01T16:00"),
        ("Asia/Shanghai", "2026-03-01T16:00", "2026-03-02", "2026-03-02T16:00"),
        ("America/New_York", "2026-03-08T12:00", "2026-03-08", "2026-03-09T04:00"),
        ("Asia/Kathmandu", "2026-03-01T18:14:59", "2026-03-01", "2026-03-01T18:15"),
        ("Pacific/Kiritimati", "2026-03-01T12:00", "2026-03-02", "2026-03-02T10:00"),
    ],
)
def test_a_day_is_that_of_the_zone(zone: str, at: str, day: str, ends: str) -> None:
    assert span_at(Period.DAY, zone, ms(at)) == (dt.date.fromisoformat(day), ms(ends))


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-29", 23), ("2026-10-25", 25), ("2026-07-01", 24)],
    ids=["clocks go forward", "clocks go back", "an ordinary day"],
)
def test_a_day_on_which_the_clock_changes_is_shorter_or_longer(day: str, hours: int) -> None:
    start = beginning(dt.date.fromisoformat(day), "Europe/Berlin")
    start_ms = round(start.timestamp() * 1000)
    span = span_at(Period.DAY, "Europe/Berlin", start_ms)
    assert (span.start.isoformat(), span.until_ms - start_ms) == (day, hours * HOUR_MS)
    assert span_at(Period.DAY, "Europe/Berlin", span.until_ms - 1).start == span.start
    assert span_at(Period.DAY, "Europe/Berlin", span.until_ms).start == span.start + dt.timedelta(days=1)
    assert span_at(Period.DAY, "Europe/Berlin", start_ms - 1).start == span.start - dt.timedelta(days=1)


def test_a_day_without_a_midnight_begins_when_the_clock_changes() -> None:
    # In Santiago the clock goes from 24:00 of the 5th to 1:00 of the 6th.
    span = span_at(Period.DAY, "America/Santiago", ms("2026-09-06T03:59"))
    assert (span.start, span.until_ms) == (dt.date(2026, 9, 5), ms("2026-09-06T04:00"))
    assert span_at(Period.DAY, "America/Santiago", span.until_ms).start == dt.date(2026, 9, 6)


@pytest.mark.parametrize(
    ("zone", "at", "first", "ends"),
    [
        ("UTC", "2026-01-31T23:59:59.999", "2026-01-01", "2026-02-01T00:00"),
        ("UTC", "2026-02-28T12:00", "2026-02-01", "2026-03-01T00:00"),
        ("UTC", "2028-02-29T12:00", "2028-02-01", "2028-03-01T00:00"),
        ("UTC", "2026-12-31T23:00", "2026-12-01", "2027-01-01T00:00"),
        ("Asia/Tokyo", "2026-12-31T15:00", "2027-01-01", "2027-01-31T15:00"),
        ("America/New_York", "2026-11-01T03:59", "2026-10-01", "2026-11-01T04:00"),
        ("America/New_York", "2026-11-01T04:00", "2026-11-01", "2026-12-01T05:00"),
    ],
)
def test_a_month_is_that_of_the_zone(zone: str, at: str, first: str, ends: str) -> None:
    assert span_at(Period.MONTH, zone, ms(at)) == (dt.date.fromisoformat(first), ms(ends))


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "x" * 300])
def test_an_unknown_zone_counts_as_utc(zone: str) -> None:
    assert span_at(Period.DAY, zone, ms("2026-03-01T23:30")) == span_at(Period.DAY, "UTC", ms("2026-03-01T23:30"))
    assert beginning(dt.date(2026, 3, 1), zone) == dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
