"""How public models fare: judged from the states of their channels, added up by day, and told as incidents. Pure.

The console's historian feeds it with health's samples, instant by instant; the status page shows what comes of it.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Final

import msgspec

from trunkline.bus.messages import HealthSample
from trunkline.bus.snapshots import ChannelState
from trunkline.policy.health_history import SAMPLE_S

FRESH_MS: Final = 3 * SAMPLE_S * 1000
"""A state that was not heard again for so long is not known any more: two samples may be lost."""

REJOIN_MS: Final = 5 * 60_000
"""Trouble that comes back within this time is the same trouble: as long as a breaker takes to calm down
(`policy.breaker.CALM_S`)."""


class Level(StrEnum):
    """How a model fares."""

    UP = "up"
    """All channels that serve it are well."""
    DEGRADED = "degraded"
    """Some are ejected or on trial; the others answer."""
    DOWN = "down"
    """All are ejected."""


_RANKS: Final = {level: rank for rank, level in enumerate(Level)}


def worse(one: Level, other: Level) -> Level:
    """Return the worse of two levels."""
    return max(one, other, key=_RANKS.__getitem__)


class Standings:
    """The last known state of each channel; samples of single models have that of their channel."""

    def __init__(self) -> None:
        self._heard: dict[int, tuple[str, int]] = {}

    def receive(self, sample: HealthSample) -> None:
        """Take a sample. An older one than is known changes nothing."""
        if not sample.model and sample.at_ms >= self._heard.get(sample.channel, ("", 0))[1]:
            self._heard[sample.channel] = sample.state, sample.at_ms

    def level(self, channels: Iterable[int], at_ms: int) -> Level | None:
        """Return how a model fares at an instant.

        Args:
            channels: that serve it.
            at_ms: Unix milliseconds.

        Returns:
            None if nothing is known of any of its channels.
        """
        heard = [self._heard[channel] for channel in channels if channel in self._heard]
        states = {state for state, heard_ms in heard if heard_ms > at_ms - FRESH_MS}
        if not states:
            return None
        if states == {ChannelState.EJECTED}:
            return Level.DOWN
        return Level.UP if states == {ChannelState.SERVING} else Level.DEGRADED

    def forget(self, at_ms: int) -> None:
        """Drop what is not known any more at an instant."""
        self._heard = {channel: heard for channel, heard in self._heard.items() if heard[1] > at_ms - FRESH_MS}


class DaySums(msgspec.Struct):
    """How a model fared in a part of a day.

    Attributes:
        up_s, degraded_s, down_s: how long it was at each level.
        level: at last.
        at_ms: when that was, in Unix milliseconds.
    """

    up_s: int = 0
    degraded_s: int = 0
    down_s: int = 0
    level: Level = Level.UP
    at_ms: int = 0

    def add(self, level: Level, at_ms: int) -> None:
        """Count the time that one sample covers."""
        match level:
            case Level.UP:
                self.up_s += SAMPLE_S
            case Level.DEGRADED:
                self.degraded_s += SAMPLE_S
            case Level.DOWN:
                self.down_s += SAMPLE_S
        self.level, self.at_ms = level, at_ms


class Incident(msgspec.Struct):
    """A model was in trouble.

    Attributes:
        model: public name.
        began_ms: Unix milliseconds.
        ended_ms: None while it lasts.
        level: the worst that it came to.
    """

    model: str
    began_ms: int
    ended_ms: int | None
    level: Level


class Chronicle:
    """Judges all models at each instant.

    Args:
        incidents: that are open, or ended a short while ago.
        judged_ms: the instant that was judged last, in Unix milliseconds.

    Attributes:
        judged_ms: see above.
        days: what has come to each model's days since `take`.
        changed: incidents that have begun, got worse, ended or come back since then.
    """

    def __init__(self, incidents: Iterable[Incident], judged_ms: int) -> None:
        self.judged_ms = judged_ms
        self.days: dict[tuple[dt.date, str], DaySums] = {}
        self.changed: dict[tuple[str, int], Incident] = {}
        self._incidents = {incident.model: incident for incident in incidents}
        self._standings = Standings()

    def receive(self, samples: Iterable[HealthSample], served: Mapping[str, Collection[int]]) -> None:
        """Take samples, and judge after each instant that they have.

        A sample that comes after its instant was judged only tells of its channel.

        Args:
            samples: believable ones.
            served: public models that are shown, and the channels that serve each.
        """
        instants: dict[int, list[HealthSample]] = {}
        for sample in samples:
            instants.setdefault(sample.at_ms, []).append(sample)
        for at_ms in sorted(instants):
            for sample in instants[at_ms]:
                self._standings.receive(sample)
            if at_ms > self.judged_ms:
                self._judge(served, at_ms)

    def _judge(self, served: Mapping[str, Collection[int]], at_ms: int) -> None:
        self.judged_ms = at_ms
        day = dt.datetime.fromtimestamp(at_ms / 1000 - SAMPLE_S, dt.UTC).date()
        for model, channels in served.items():
            level = self._standings.level(channels, at_ms)
            if level is None:
                continue
            self.days.setdefault((day, model), DaySums()).add(level, at_ms)
            self._follow(model, level, at_ms)
        for model in [model for model in self._incidents if model not in served]:
            self._end(self._incidents.pop(model), at_ms)
        self._standings.forget(at_ms)

    def _follow(self, model: str, level: Level, at_ms: int) -> None:
        known = self._incidents.get(model)
        if level is Level.UP:
            if known is not None:
                self._end(known, at_ms)
            return
        if known is None or (known.ended_ms is not None and at_ms - known.ended_ms > REJOIN_MS):
            known = self._incidents[model] = Incident(model, at_ms, None, level)
        elif known.ended_ms is None and worse(known.level, level) is known.level:
            return
        known.ended_ms = None
        known.level = worse(known.level, level)
        self._change(known)

    def _end(self, incident: Incident, at_ms: int) -> None:
        if incident.ended_ms is None:
            incident.ended_ms = at_ms
            self._change(incident)

    def _change(self, incident: Incident) -> None:
        self.changed[incident.model, incident.began_ms] = incident

    def take(self) -> tuple[dict[tuple[dt.date, str], DaySums], list[Incident]]:
        """Return what has come since the last time: the days' sums, and the incidents that have changed."""
        days, changed = self.days, list(self.changed.values())
        self.days, self.changed = {}, {}
        return days, changed
