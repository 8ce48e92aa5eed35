"""What health makes of each channel: one breaker and one tally per enabled channel.

Pure but for its log lines; `app` feeds it and `publisher` reads it.
Time is an argument: ``now`` in monotonic seconds, ``at_ms`` in Unix milliseconds.
"""

from collections.abc import Callable, Iterator

import structlog

from trunkline.bus.messages import HealthSample, OutcomeBatch
from trunkline.bus.snapshots import ChannelSnapshot, ChannelState
from trunkline.policy.breaker import CHANNEL_FAULTS, Breaker, Verdict

log = structlog.get_logger()

OnVerdict = Callable[[int], None]
"""Called with a channel's id when its verdict changed, it came, or it went."""


class _Watched:
    """One channel, its breaker, and what was counted since the last sample."""

    __slots__ = ("breaker", "channel", "failures", "first_token_ms", "first_tokens", "successes")

    def __init__(self, channel: ChannelSnapshot, breaker: Breaker) -> None:
        self.channel = channel
        self.breaker = breaker
        self.restart()

    def restart(self) -> None:
        """Begin a new interval."""
        self.successes = 0
        self.failures = 0
        self.first_token_ms = 0
        self.first_tokens = 0

    def sample(self, at_ms: int) -> HealthSample:
        """Return the interval that ends now."""
        verdict = self.breaker.verdict
        mean_ms = round(self.first_token_ms / self.first_tokens) if self.first_tokens else 0
        return HealthSample(
            channel=self.channel.id,
            model="",
            at_ms=at_ms,
            state=verdict.state.value,
            weight=verdict.weight,
            successes=self.successes,
            failures=self.failures,
            first_token_ms=mean_ms,
        )


class Judge:
    """All channels' breakers.

    Args:
        published: states found in the bucket at the start, so that a restart does not let an ejected channel in.
        on_verdict: see `OnVerdict`.

    Attributes:
        unknown_outcomes: outcomes of channels that are not (or no longer) configured.
    """

    def __init__(self, published: dict[int, ChannelState], on_verdict: OnVerdict) -> None:
        self._published = published
        self._on_verdict = on_verdict
        self._watched: dict[int, _Watched] = {}
        self.unknown_outcomes = 0

    def put(self, channel: ChannelSnapshot, now: float) -> None:
        """Take a new or changed channel. One that is off is not judged; one that moved is judged anew."""
        watched = self._watched.get(channel.id)
        if not channel.enabled:
            self.remove(channel.id)
        elif watched is None:
            state = self._published.pop(channel.id, ChannelState.SERVING)
            self._watched[channel.id] = _Watched(channel, Breaker(now, state))
            self._on_verdict(channel.id)
        else:
            moved = (channel.base_url, channel.dialect) != (watched.channel.base_url, watched.channel.dialect)
            watched.channel = channel
            if moved:
                watched.breaker = Breaker(now)
                self._on_verdict(channel.id)

    def remove(self, channel: int) -> None:
        """Drop a channel that was deleted or turned off."""
        self._published.pop(channel, None)
        if self._watched.pop(channel, None) is not None:
            self._on_verdict(channel)

    def receive_outcomes(self, batch: OutcomeBatch, now: float) -> None:
        """Take what dispatchers saw."""
        for outcome in batch.outcomes:
            watched = self._watched.get(outcome.channel)
            if watched is None:
                self.unknown_outcomes += 1
                continue
            if outcome.error is None:
                watched.successes += 1
                if outcome.first_token_ms > 0:
                    watched.first_tokens += 1
                    watched.first_token_ms += outcome.first_token_ms
            elif outcome.error in CHANNEL_FAULTS:
                watched.failures += 1
            self._take(watched, watched.breaker.receive_outcome(outcome.error, now))

    def receive_probe(self, channel: int, *, passed: bool, now: float) -> None:
        """Take the result of one probe; of a channel deleted meanwhile it is void."""
        watched = self._watched.get(channel)
        if watched is None:
            return
        if passed:
            watched.successes += 1
        else:
            watched.failures += 1
        self._take(watched, watched.breaker.receive_probe(passed=passed, now=now))

    def tick(self, now: float) -> None:
        """Let time pass for all breakers."""
        for watched in self._watched.values():
            self._take(watched, watched.breaker.tick(now))

    def _take(self, watched: _Watched, verdict: Verdict | None) -> None:
        if verdict is None:
            return
        log.info(
            "channel_judged",
            channel=watched.channel.name,
            state=verdict.state.value,
            weight=verdict.weight,
            reason=verdict.reason,
        )
        self._on_verdict(watched.channel.id)

    def verdict(self, channel: int) -> Verdict | None:
        """Return what stands for a channel, None if it is not judged."""
        watched = self._watched.get(channel)
        return None if watched is None else watched.breaker.verdict

    def suspect(self, channel: int) -> bool:
        """Return whether the channel's next probe should come soon."""
        watched = self._watched.get(channel)
        return watched is not None and watched.breaker.suspect

    def channels(self) -> list[ChannelSnapshot]:
        """Return the channels that are judged."""
        return [watched.channel for watched in self._watched.values()]

    def standings(self) -> Iterator[tuple[str, Verdict, int]]:
        """Yield name, verdict and number of ejections of each channel, for metrics."""
        for watched in self._watched.values():
            yield watched.channel.name, watched.breaker.verdict, watched.breaker.ejections

    def samples(self, at_ms: int) -> list[HealthSample]:
        """Return each channel's interval and begin the next one."""
        samples = []
        for watched in self._watched.values():
            samples.append(watched.sample(at_ms))
            watched.restart()
        return samples
