"""The processes that are heard, how fast each of them works, and who has fallen silent. From beats alone; pure.

Beats carry sums since the start of a process. A rate is the difference of two of them by the sender's own monotonic
clock, so that neither a late beat nor a clock that is wrong changes it. A sum that falls is a process that began anew.
"""

from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from trunkline.bus.fleet import LOST_AFTER_S
from trunkline.bus.messages import Beat
from trunkline.policy.admin_live import LiveProcess

BEATS_COMPARED = 4
"""A rate is over three seconds: a lost beat leaves no gap in it, and a burst is still seen."""

SPAN_S_MIN = 0.5
"""Two beats that are closer (a process sends one more when it begins to drain) say nothing of a rate."""

LOST_SHOWN_S = 60.0
"""How long a process that fell silent stays to be seen."""

PROCESSES_MAX = 10_000
"""Processes remembered; beats of more are not kept."""


class _Sums(NamedTuple):
    """What a beat says of all since the start; ``at`` by the sender's clock."""

    at: float
    finished: int
    attempts: int
    failures: dict[str, int]


class Rates(NamedTuple):
    """What came to an end each second."""

    requests: float = 0.0
    attempts: float = 0.0
    failures: Mapping[str, float] = MappingProxyType({})


class _Member:
    """One process."""

    __slots__ = ("beat", "heard", "skew_ms", "sums")

    def __init__(self) -> None:
        self.sums: deque[_Sums] = deque(maxlen=BEATS_COMPARED)

    def receive(self, beat: Beat, now: float, wall_ms: int) -> None:
        self.beat, self.heard, self.skew_ms = beat, now, beat.sent_ms - wall_ms
        at = beat.clock_ms / 1000 if beat.clock_ms else now
        sums = _Sums(at, beat.finished, beat.stored + beat.unstored, beat.failures)
        if self.sums:
            last = self.sums[-1]
            if sums.at < last.at or sums.finished < last.finished or sums.attempts < last.attempts:
                self.sums.clear()
        self.sums.append(sums)

    def rates(self) -> Rates:
        first, last = self.sums[0], self.sums[-1]
        span_s = last.at - first.at
        if span_s < SPAN_S_MIN:
            return Rates()
        failures = {name: (count - first.failures.get(name, 0)) / span_s for name, count in last.failures.items()}
        return Rates(
            (last.finished - first.finished) / span_s,
            (last.attempts - first.attempts) / span_s,
            {name: rate for name, rate in failures.items() if rate > 0},
        )


class Totals(NamedTuple):
    """Over all processes that live; see `policy.admin_live.LivePoint`."""

    requests_per_s: float
    attempts_per_s: float
    errors_per_s: dict[str, float]
    in_flight: int
    streams: int
    waiting: int
    unstored: int


class Processes:
    """All processes that are heard."""

    def __init__(self) -> None:
        self._members: dict[str, _Member] = {}

    def receive(self, beat: Beat, now: float, wall_ms: int) -> None:
        """Take a beat; ``now`` in monotonic seconds, ``wall_ms`` in Unix milliseconds."""
        member = self._members.get(beat.process)
        if member is None:
            if len(self._members) >= PROCESSES_MAX:
                return
            member = self._members[beat.process] = _Member()
        member.receive(beat, now, wall_ms)

    def forgive(self, now: float) -> None:
        """Our own connection was away: silence until now says nothing about the others."""
        for member in self._members.values():
            if now - member.heard <= LOST_SHOWN_S:
                member.heard = now

    def tick(self, now: float) -> None:
        """Forget who has been silent for long, and who said that it would end."""
        self._members = {
            process: member
            for process, member in self._members.items()
            if now - member.heard <= (LOST_AFTER_S if member.beat.draining else LOST_AFTER_S + LOST_SHOWN_S)
        }

    def totals(self, now: float) -> Totals:
        """Return what all living processes come to. What one did that fell silent is no longer in it."""
        living = [member for member in self._members.values() if now - member.heard <= LOST_AFTER_S]
        edges = [member.beat for member in living if member.beat.role == "edge"]
        failures: dict[str, float] = {}
        requests = attempts = 0.0
        for member in living:
            rates = member.rates()
            requests += rates.requests
            attempts += rates.attempts
            for name, rate in rates.failures.items():
                failures[name] = failures.get(name, 0.0) + rate
        return Totals(
            requests_per_s=round(requests, 2),
            attempts_per_s=round(attempts, 2),
            errors_per_s={name: round(rate, 2) for name, rate in sorted(failures.items())},
            in_flight=sum(beat.in_flight for beat in edges),
            streams=sum(beat.streams for beat in edges),
            waiting=sum(beat.waiting for beat in edges),
            unstored=sum(member.beat.unstored for member in living),
        )

    def list(self, now: float) -> tuple[LiveProcess, ...]:
        """Return them, by role and id."""
        return tuple(
            _shown(member, now)
            for member in sorted(self._members.values(), key=lambda member: (member.beat.role, member.beat.process))
        )


def _shown(member: _Member, now: float) -> LiveProcess:
    beat, lost = member.beat, now - member.heard > LOST_AFTER_S
    rates = Rates() if lost else member.rates()
    return LiveProcess(
        role=beat.role,
        process=beat.process,
        age_ms=round((now - member.heard) * 1000),
        lost=lost,
        draining=beat.draining,
        in_flight=beat.in_flight,
        room=beat.room,
        streams=beat.streams,
        waiting=beat.waiting,
        unstored=beat.unstored,
        per_s=round(rates.requests + rates.attempts, 2),
        skew_ms=member.skew_ms,
    )
