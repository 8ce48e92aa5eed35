"""What the public status page says, before it is put into words: uptime, days and incidents by public model. Pure."""

import datetime as dt
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from trunkline.policy.incidents import Incident, Level, worse

DAYS_SHOWN: Final = 90

DEGRADED_SHOWN_MS_MIN: Final = 60_000
"""A shorter time in which some channels are out is no incident for the public: requests went to the others. What was
down is always told."""

EVENTS_SHOWN_MAX: Final = 50
"""Incidents on a page. What begins and ends together counts once."""


class DayFigures(NamedTuple):
    """How long a model was at each level in a day, in seconds."""

    up_s: int
    degraded_s: int
    down_s: int

    @property
    def known_s(self) -> int:
        """The part of the day of which something is known."""
        return self.up_s + self.degraded_s + self.down_s

    @property
    def level(self) -> Level | None:
        """The worst of the day; None if nothing is known."""
        if self.down_s:
            return Level.DOWN
        if self.degraded_s >= DEGRADED_SHOWN_MS_MIN // 1000:
            return Level.DEGRADED
        return Level.UP if self.known_s else None


NO_FIGURES: Final = DayFigures(0, 0, 0)


class ModelReport(msgspec.Struct):
    """How a public model fares.

    Attributes:
        name: public.
        level: at present; None if that is not known.
        days: by date in UTC; days of which nothing is known are missing.
    """

    name: str
    level: Level | None = None
    days: dict[dt.date, DayFigures] = {}


class StatusReport(msgspec.Struct, frozen=True):
    """All that the page is made of.

    Attributes:
        made_ms: when, in Unix milliseconds.
        models: in the order of their names.
        incidents: of these models, in any order.
    """

    made_ms: int
    models: tuple[ModelReport, ...]
    incidents: tuple[Incident, ...]

    @property
    def levels(self) -> list[Level]:
        """The models' present levels, as far as they are known."""
        return [model.level for model in self.models if model.level is not None]

    def dates(self) -> list[dt.date]:
        """Return the days that are shown, today last."""
        today = moment(self.made_ms).date()
        return [today - dt.timedelta(days=ago) for ago in reversed(range(DAYS_SHOWN))]


class PublicEvent(NamedTuple):
    """Incidents of models that began and ended together: most often one channel that they share.

    Attributes:
        began_ms, ended_ms: as in `Incident`.
        level: the worst of them.
        models: their names in order.
    """

    began_ms: int
    ended_ms: int | None
    level: Level
    models: tuple[str, ...]


def moment(at_ms: int) -> dt.datetime:
    """Return Unix milliseconds as a moment in UTC."""
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC)


def uptime_ppm(figures: Iterable[DayFigures]) -> int | None:
    """Return in how much of the known time a model could be used, in parts per million, rounded down."""
    down_s = known_s = 0
    for day in figures:
        down_s += day.down_s
        known_s += day.known_s
    return (known_s - down_s) * 1_000_000 // known_s if known_s else None


def public_events(incidents: Iterable[Incident], now_ms: int) -> list[PublicEvent]:
    """Return incidents as the public is told of them: what lasts first, then the newest first; a bounded number."""
    together: dict[tuple[int, int | None], list[Incident]] = {}
    for incident in incidents:
        lasted_ms = (incident.ended_ms or now_ms) - incident.began_ms
        if incident.level is Level.DOWN or lasted_ms >= DEGRADED_SHOWN_MS_MIN:
            together.setdefault((incident.began_ms, incident.ended_ms), []).append(incident)
    events = []
    for (began_ms, ended_ms), group in together.items():
        level = Level.DEGRADED
        for incident in group:
            level = worse(level, incident.level)
        events.append(PublicEvent(began_ms, ended_ms, level, tuple(sorted(incident.model for incident in group))))
    events.sort(key=lambda event: (event.ended_ms is not None, -event.began_ms, event.ended_ms or 0))
    return events[:EVENTS_SHOWN_MAX]
