"""What a credential is used for, and the limits that the configuration sets it. Kept by `policy.credentials`. Pure.

A limit holds over all dispatchers, and nobody counts for all of them: each keeps to the limit divided by how many live.
A minute slides in steps of `STEP_S`, of which one more than fit into it is counted, so that no minute has more than the
limit wherever it begins.
"""

import math
from collections import deque

from trunkline.bus.snapshots import CredentialLimits
from trunkline.policy.foreseen_limits import Gauge

MINUTE_S = 60.0

STEP_S = 1.0
"""How finely a minute slides: of a credential's attempts a sixtieth is lost to it, and 61 counts are kept."""

TOKENS_NEWEST = 0.2
"""Part of the newest attempt in the mean by which those under way are counted before it is known what they use."""


def limits_of(channel: CredentialLimits, own: CredentialLimits | None) -> CredentialLimits | None:
    """Return a credential's limits, of which each that it has not itself is the channel's; None if there are none."""
    limits = channel
    if own is not None:
        limits = CredentialLimits(
            jobs=channel.jobs if own.jobs is None else own.jobs,
            rpm=channel.rpm if own.rpm is None else own.rpm,
            tpm=channel.tpm if own.tpm is None else own.tpm,
        )
    return None if limits.jobs is limits.rpm is limits.tpm is None else limits


def share_of(limit: int, dispatchers: int) -> int:
    """Return one dispatcher's part of a limit: rounded down, but at least 1."""
    return max(limit // max(dispatchers, 1), 1)


class SlidingMinute:
    """A sum over the last minute."""

    __slots__ = ("_steps", "total")

    def __init__(self) -> None:
        self._steps: deque[list[int]] = deque()
        self.total = 0

    def add(self, amount: int, now: float) -> None:
        """Count something; what is counted for a later time than the last is never before it."""
        step = math.floor(now / STEP_S)
        if self._steps and step <= self._steps[-1][0]:
            self._steps[-1][1] += amount
        else:
            self._steps.append([step, amount])
        self.total += amount

    def expire(self, now: float) -> None:
        """Forget what is older than a minute."""
        while self._steps and _left_at(self._steps[0][0]) <= now:
            self.total -= self._steps.popleft()[1]

    def below_at(self, limit: float) -> float:
        """Return the time at which the sum is below a limit, monotonic seconds, if nothing is added until then."""
        total, at = self.total, -math.inf
        for step, amount in self._steps:
            if total < limit:
                break
            total -= amount
            at = _left_at(step)
        return at


def _left_at(step: int) -> float:
    return (step + 1) * STEP_S + MINUTE_S


class CredentialUse:
    """What one dispatcher uses a credential for.

    Attributes:
        under_way: attempts.
        gauges: what its provider's answers say is left, by model.
    """

    __slots__ = ("_attempts", "_limits", "_sources", "_tokens", "_tokens_mean", "gauges", "under_way")

    def __init__(self) -> None:
        self.under_way = 0
        self.gauges: dict[str, Gauge] = {}
        self._sources: tuple[CredentialLimits | None, CredentialLimits | None] = (None, None)
        self._limits: CredentialLimits | None = None
        self._attempts = SlidingMinute()
        self._tokens = SlidingMinute()
        self._tokens_mean = 0.0

    def limit(self, channel: CredentialLimits, own: CredentialLimits | None) -> None:
        """Take the limits of a configuration that may be another one; those of its own, where it has them."""
        if self._sources[0] is not channel or self._sources[1] is not own:
            self._sources = channel, own
            self._limits = limits_of(channel, own)

    def gauge(self, model: str) -> Gauge:
        """Return what tells how much is left for a model."""
        gauge = self.gauges.get(model)
        if gauge is None:
            gauge = self.gauges[model] = Gauge()
        return gauge

    def begin(self, dispatchers: int, now: float) -> float:
        """Count an attempt that is made now or at a time to come; returns until when it takes no further one.

        Args:
            dispatchers: among how many its limits are shared.
            now: monotonic seconds.

        Returns:
            Monotonic seconds, not after ``now`` if it takes another one; infinity if it takes none until one ends.
        """
        self.under_way += 1
        if self._limits is None:
            return -math.inf
        self._attempts.add(1, now)
        return self._full_until(self._limits, dispatchers, now)

    def end(self, tokens: int, dispatchers: int, now: float) -> float:
        """Count what an attempt used, input and output; returns the same as `begin`."""
        self.under_way = max(self.under_way - 1, 0)
        if self._limits is None:
            return -math.inf
        if tokens > 0:
            self._tokens.add(tokens, now)
            self._tokens_mean += (tokens - self._tokens_mean) * (TOKENS_NEWEST if self._tokens_mean else 1.0)
        return self._full_until(self._limits, dispatchers, now)

    def _full_until(self, limits: CredentialLimits, dispatchers: int, now: float) -> float:
        if limits.jobs is not None and self.under_way >= share_of(limits.jobs, dispatchers):
            return math.inf
        self._attempts.expire(now)
        self._tokens.expire(now)
        until = -math.inf
        if limits.rpm is not None:
            until = self._attempts.below_at(share_of(limits.rpm, dispatchers))
        if limits.tpm is not None:
            room = share_of(limits.tpm, dispatchers) - self.under_way * self._tokens_mean
            if room <= 0:
                return math.inf
            until = max(until, self._tokens.below_at(room))
        return until
