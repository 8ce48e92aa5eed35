"""The judgement on one channel: `serving`, `ejected` or `probing`, from what happens to its attempts and probes.

Health runs one breaker per channel for the whole gateway; a dispatcher runs its own beside it, so that it goes on
judging while health is away. Pure: `now` is monotonic seconds and an argument.

The idea
--------
::

               FAILING                  WAITED
    serving ───────────▶ ejected ───────────────────▶ probing
       ▲                    ▲          RELAPSED          │
       │                    └────────────────────────────┤
       │                            PROVEN               │
       └─────────────────────────────────────────────────┘

- *serving*: each attempt's outcome falls into a ring of one-second buckets. A channel that fails most of what it
  gets right now (fast window), or half of what it got lately (slow window), is ejected; both need a minimum
  volume, so one error never ejects. Probes are asked only where traffic is silent: several in a row must fail with
  no successful attempt between them.
- *ejected*: weight 0. It lasts longer each time the channel falls back, up to a bound. It ends by time, except
  that a channel whose last probe failed stays out until a probe passes. Outcomes that arrive now are late news of
  attempts begun earlier and change nothing.
- *probing*: a trickle of real traffic. Points are collected for both sides, an attempt giving more than a probe;
  whichever bound is reached first decides.
- back in *serving*, the weight climbs in steps, so that a channel that died of its load is not given it all at once.
"""

from enum import StrEnum

import msgspec

from trunkline.bus.snapshots import ChannelState
from trunkline.core.errors import ErrorType

CHANNEL_FAULTS = frozenset(
    {
        ErrorType.UPSTREAM_OVERLOADED,
        ErrorType.UPSTREAM_ERROR,
        ErrorType.UPSTREAM_UNREACHABLE,
        ErrorType.UPSTREAM_ADDRESS,
        ErrorType.UPSTREAM_INVALID,
        ErrorType.UPSTREAM_CUT,
        ErrorType.UPSTREAM_TIMEOUT,
    }
)
"""What counts against a channel. A bad request is the client's fault, a refused or limited credential is set aside
or cooled by itself (`policy.credentials`), and the gateway's own troubles say nothing about the upstream: all of
those are neither failure nor success."""

BUCKET_S = 1.0
"""Resolution of the windows; a third of the fast one, so that it forgets in steps of a third."""

SLOW_WINDOW_BUCKETS = 30
"""Half a minute: long enough to judge a channel that gets an attempt every few seconds."""

SLOW_ERROR_RATE = 0.5
"""Half of the attempts failing is worse than having the others' share of the load."""

SLOW_VOLUME_MIN = 10
"""Attempts in the slow window below which a rate is chance."""

FAST_WINDOW_BUCKETS = 3
"""What a channel that dies under load fills within 3 s, although half a minute of good answers precedes it; with a
second for the outcomes' way to health it is ejected within 5 s."""

FAST_ERROR_RATE = 0.8
"""Higher than the slow rate: a channel with a tenth of errors reaches 4 of 5 once in two thousand windows."""

FAST_VOLUME_MIN = 5
"""Attempts in the fast window; reached from 2 attempts a second on."""

PROBE_FAILURES_MAX = 3
"""Probes that must fail in a row, with no successful attempt between them: one is noise, two a restart."""

EJECTION_S_MIN = 5.0
"""First ejection: a restarted process or a moved connection is back by then."""

EJECTION_S_MAX = 15.0
"""Longest ejection: with the trickle and the climb after it, a channel has its share again within 30 s of its return.
Each end of one costs two failed attempts, which go elsewhere."""

CALM_S = 300.0
"""Serving this long without an ejection ends the growth: the next trouble is a new one."""

PROBING_WEIGHT = 0.1
"""The trickle: a tenth of the usual share gives proof in seconds and spoils little if the channel is still bad."""

ATTEMPT_POINTS = 2
PROBE_POINTS = 1
"""In `probing`, an attempt proves more than a probe, which does not touch a model."""

PROVEN_POINTS = 10
"""Five answered attempts, or ten probes where there is no traffic."""

RELAPSE_POINTS = 3
"""Two failed attempts, or three failed probes: stricter than in `serving`, but one error still does not eject."""

RAMP_STEPS = 5
RAMP_STEP_S = 2.0
"""From the trickle to the full share in five steps of 2 s: slow enough for a fast window to judge each of them."""


class Event(StrEnum):
    """What moves a breaker."""

    FAILING = "failing"
    WAITED = "waited"
    RELAPSED = "relapsed"
    PROVEN = "proven"


_MOVES = {
    (ChannelState.SERVING, Event.FAILING): ChannelState.EJECTED,
    (ChannelState.EJECTED, Event.WAITED): ChannelState.PROBING,
    (ChannelState.PROBING, Event.RELAPSED): ChannelState.EJECTED,
    (ChannelState.PROBING, Event.PROVEN): ChannelState.SERVING,
}


class BreakerError(Exception):
    """An event came in a state that does not know it: a defect of the caller."""


def transition(state: ChannelState, event: Event) -> ChannelState:
    """Return the state that follows.

    Raises:
        BreakerError: the event is illegal in this state; names both.
    """
    try:
        return _MOVES[state, event]
    except KeyError:
        raise BreakerError(f"event {event.value} is illegal in state {state.value}") from None


class Verdict(msgspec.Struct, frozen=True):
    """The command a breaker gives: publish this, or route by it.

    Attributes:
        state: see `ChannelState`.
        weight: 0 to 1.
        reason: why, in static words.
    """

    state: ChannelState
    weight: float
    reason: str


class _Window:
    """Counts of the last `SLOW_WINDOW_BUCKETS` buckets, with running sums of all of them."""

    __slots__ = ("_bad", "_good", "_newest", "bad", "good")

    def __init__(self, now: float) -> None:
        self._good = [0] * SLOW_WINDOW_BUCKETS
        self._bad = [0] * SLOW_WINDOW_BUCKETS
        self._newest = int(now / BUCKET_S)
        self.good = 0
        self.bad = 0

    def add(self, *, passed: bool, now: float) -> None:
        self._turn(int(now / BUCKET_S))
        slot = self._newest % SLOW_WINDOW_BUCKETS
        if passed:
            self._good[slot] += 1
            self.good += 1
        else:
            self._bad[slot] += 1
            self.bad += 1

    def _turn(self, bucket: int) -> None:
        # A clock that stands or steps back keeps filling the newest bucket.
        for number in range(max(self._newest + 1, bucket - SLOW_WINDOW_BUCKETS + 1), bucket + 1):
            slot = number % SLOW_WINDOW_BUCKETS
            self.good -= self._good[slot]
            self.bad -= self._bad[slot]
            self._good[slot] = self._bad[slot] = 0
        self._newest = max(self._newest, bucket)

    def failing(self) -> bool:
        total = self.good + self.bad
        if total >= SLOW_VOLUME_MIN and self.bad >= SLOW_ERROR_RATE * total:
            return True
        good = bad = 0
        for age in range(FAST_WINDOW_BUCKETS):
            slot = (self._newest - age) % SLOW_WINDOW_BUCKETS
            good += self._good[slot]
            bad += self._bad[slot]
        return good + bad >= FAST_VOLUME_MIN and bad >= FAST_ERROR_RATE * (good + bad)


class Breaker:
    """The state machine of one channel. Each ``receive_*`` and `tick` returns the new verdict if it changed.

    Args:
        now: monotonic seconds.
        state: where to begin; a successor takes up what was last published.
    """

    __slots__ = (
        "_bad_points",
        "_ejected_until",
        "_good_points",
        "_probe_failures",
        "_ramp_from",
        "_repeats",
        "_since",
        "_window",
        "ejections",
        "state",
        "verdict",
    )

    def __init__(self, now: float, state: ChannelState = ChannelState.SERVING) -> None:
        self.ejections = 0
        self._repeats = 0
        self._probe_failures = 0
        self._ramp_from: float | None = None
        self._enter(state, now)
        self.verdict = Verdict(state, self._weight(now), "")

    @property
    def suspect(self) -> bool:
        """Whether the next probe may decide something, so that it should come soon."""
        if self.state is ChannelState.SERVING:
            return self._probe_failures > 0
        return self.state is ChannelState.PROBING

    @property
    def proven(self) -> bool:
        """Whether the last probe failed: then more than attempts speaks against the channel."""
        return self._probe_failures > 0

    @property
    def since(self) -> float:
        """When the present state began, in monotonic seconds."""
        return self._since

    def receive_outcome(self, error: ErrorType | None, now: float) -> Verdict | None:
        """Take what happened to one attempt; None is success."""
        if error is not None and error not in CHANNEL_FAULTS:
            return None
        passed = error is None
        if self.state is ChannelState.PROBING:
            return self._collect(ATTEMPT_POINTS, passed=passed, now=now)
        if self.state is ChannelState.EJECTED:
            return None
        self._window.add(passed=passed, now=now)
        if passed:
            self._probe_failures = 0
        elif self._window.failing():
            return self._move(Event.FAILING, now, "attempts fail")
        return None

    def receive_probe(self, *, passed: bool, now: float) -> Verdict | None:
        """Take the result of one probe."""
        self._probe_failures = 0 if passed else self._probe_failures + 1
        if self.state is ChannelState.PROBING:
            return self._collect(PROBE_POINTS, passed=passed, now=now)
        if self.state is ChannelState.SERVING and self._probe_failures >= PROBE_FAILURES_MAX:
            return self._move(Event.FAILING, now, "probes fail")
        return self.tick(now)

    def tick(self, now: float) -> Verdict | None:
        """Let time pass: an ejection ends, a weight climbs."""
        if self.state is ChannelState.EJECTED:
            if now >= self._ejected_until and self._probe_failures == 0:
                return self._move(Event.WAITED, now, "ejection is over")
            return None
        weight = self._weight(now)
        if weight == self.verdict.weight:
            return None
        self.verdict = Verdict(self.state, weight, "" if weight == 1.0 else "weight climbs")
        return self.verdict

    def _collect(self, points: int, *, passed: bool, now: float) -> Verdict | None:
        if passed:
            self._good_points += points
            if self._good_points >= PROVEN_POINTS:
                return self._move(Event.PROVEN, now, "weight climbs")
        else:
            self._bad_points += points
            if self._bad_points >= RELAPSE_POINTS:
                return self._move(Event.RELAPSED, now, "still fails")
        return None

    def _move(self, event: Event, now: float, reason: str) -> Verdict:
        state = transition(self.state, event)
        if state is ChannelState.EJECTED:
            if self.state is ChannelState.SERVING and now - self._since >= CALM_S:
                self._repeats = 0
            self.ejections += 1
        self._enter(state, now)
        if event is Event.PROVEN:
            self._probe_failures = 0
            self._ramp_from = now
        self.verdict = Verdict(state, self._weight(now), reason)
        return self.verdict

    def _enter(self, state: ChannelState, now: float) -> None:
        self.state = state
        self._since = now
        self._window = _Window(now)
        self._good_points = self._bad_points = 0
        self._ramp_from = None
        self._ejected_until = now
        if state is ChannelState.EJECTED:
            ejection_s = min(EJECTION_S_MIN * 2**self._repeats, EJECTION_S_MAX)
            self._ejected_until = now + ejection_s
            if ejection_s < EJECTION_S_MAX:
                self._repeats += 1

    def _weight(self, now: float) -> float:
        if self.state is ChannelState.EJECTED:
            return 0.0
        if self.state is ChannelState.PROBING:
            return PROBING_WEIGHT
        if self._ramp_from is None:
            return 1.0
        step = int((now - self._ramp_from) / RAMP_STEP_S)
        if step >= RAMP_STEPS:
            self._ramp_from = None
            return 1.0
        return round(PROBING_WEIGHT + (1.0 - PROBING_WEIGHT) * step / RAMP_STEPS, 3)
