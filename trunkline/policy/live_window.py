"""What came of upstream calls in the last seconds, as sums that roll. One per channel, and one of the site.

A window is made of whole seconds, of which only those with calls are kept; its sums are brought up to date as seconds
come and go, so that asking costs the same whatever was counted. Times to the first token are counted in steps of a
twentieth: a percentile is exact to that, and a second of ten thousand calls takes no more than a few dozen numbers.
Pure: seconds are those of a monotonic clock.
"""

import math
from collections import Counter, deque

from trunkline.bus.messages import AttemptOutcome
from trunkline.policy.admin_live import LiveTraffic

STEP = math.log(1.05)
"""Of the times to the first token."""


class _Counts:
    """What was counted in a second, or in all of them."""

    __slots__ = ("attempts", "failures", "first_tokens", "tokens")

    def __init__(self) -> None:
        self.attempts = 0
        self.tokens = 0
        self.failures: Counter[str] = Counter()
        self.first_tokens: Counter[int] = Counter()

    def receive(self, outcome: AttemptOutcome) -> None:
        self.attempts += 1
        self.tokens += outcome.output_tokens
        if outcome.error is not None:
            self.failures[outcome.error.value] += 1
        elif outcome.stream and outcome.first_token_ms > 0:
            self.first_tokens[int(math.log(outcome.first_token_ms) / STEP)] += 1

    def add(self, other: "_Counts") -> None:
        self.attempts += other.attempts
        self.tokens += other.tokens
        self.failures += other.failures
        self.first_tokens += other.first_tokens

    def take_away(self, other: "_Counts") -> None:
        self.attempts -= other.attempts
        self.tokens -= other.tokens
        # Counters keep only what is above zero: what no longer happens leaves no trace.
        self.failures -= other.failures
        self.first_tokens -= other.first_tokens

    def first_token_ms(self, share: float) -> int | None:
        """Return the time below which so much of the streams began; None if none did."""
        rank = math.ceil(self.first_tokens.total() * share)
        for step in sorted(self.first_tokens):
            rank -= self.first_tokens[step]
            if rank <= 0:
                return round(math.exp((step + 0.5) * STEP))
        return None


class Window:
    """The last seconds.

    Args:
        length_s: how many.
        now: monotonic seconds: nothing was counted before.
    """

    __slots__ = ("_began", "_length_s", "_second", "_seconds", "_sum")

    def __init__(self, length_s: int, now: float) -> None:
        self._length_s = length_s
        self._began = self._second = int(now)
        self._sum = _Counts()
        # The newest second may still be running: it is not in the sum yet.
        self._seconds: deque[tuple[int, _Counts]] = deque()

    def receive(self, outcome: AttemptOutcome, now: float) -> None:
        """Count a call that ended."""
        self.turn(now)
        if not self._seconds or self._seconds[-1][0] != self._second:
            self._seconds.append((self._second, _Counts()))
        self._seconds[-1][1].receive(outcome)

    def turn(self, now: float) -> None:
        """Let time pass."""
        second = int(now)
        if second <= self._second:
            return
        if self._seconds and self._seconds[-1][0] == self._second:
            self._sum.add(self._seconds[-1][1])
        self._second = second
        while self._seconds and self._seconds[0][0] < second - self._length_s:
            self._sum.take_away(self._seconds.popleft()[1])

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it."""
        return not self._seconds

    def traffic(self, now: float) -> LiveTraffic:
        """Return what came of the calls that ended in the seconds that are over."""
        self.turn(now)
        counted = self._sum
        length_s = max(min(self._second - self._began, self._length_s), 1)
        failed = counted.failures.total()
        return LiveTraffic(
            attempts_per_s=round(counted.attempts / length_s, 2),
            tokens_per_s=round(counted.tokens / length_s, 1),
            first_token_p50_ms=counted.first_token_ms(0.5),
            first_token_p95_ms=counted.first_token_ms(0.95),
            error_share=round(failed / counted.attempts, 4) if counted.attempts else None,
            errors=dict(counted.failures),
        )
