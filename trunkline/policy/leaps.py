"""Notices that a clock which is read over the network was set: it leaps against monotonic time. Pure.

Metering watches Postgres's clock with it (`services.metering.postgres_clock`), by which the windows of limits go
(`policy.grants`).
"""

from collections import deque

KEPT_S = 65.0
"""How long a leap is remembered: longer than a unit of a minute counts."""

LEAPS_MAX = 64
"""Leaps that are remembered; past it the oldest is forgotten. A clock that is slewed makes a tiny one now and then."""


class LeapWatch:
    """Readings of one clock.

    What is kept of them is the range in which the difference between that clock and monotonic time lies; it is as wide
    as the quickest answer took. A reading that does not fit in tells of a leap.
    """

    def __init__(self) -> None:
        self._low_ms: float | None = None
        self._high_ms = 0.0
        self._leaps: deque[tuple[float, float]] = deque(maxlen=LEAPS_MAX)

    def read(self, wall_ms: int, asked_s: float, heard_s: float) -> float:
        """Take a reading.

        Args:
            wall_ms: what the clock said: Unix time in whole milliseconds.
            asked_s: monotonic seconds before it was asked.
            heard_s: monotonic seconds when the answer was here.

        Returns:
            By how many milliseconds it has leapt ahead, at the most; below zero for a leap back, 0 if it has not.
        """
        low_ms, high_ms = wall_ms - heard_s * 1000, wall_ms + 1 - asked_s * 1000
        if self._low_ms is None:
            self._low_ms, self._high_ms = low_ms, high_ms
        elif low_ms > self._high_ms or high_ms < self._low_ms:
            by_ms = high_ms - self._low_ms
            self._leaps.append((heard_s, by_ms))
            self._low_ms, self._high_ms = low_ms, high_ms
            return by_ms
        else:
            self._low_ms, self._high_ms = max(low_ms, self._low_ms), min(high_ms, self._high_ms)
        return 0.0

    def leapt_ms(self, now_s: float) -> int:
        """Return how much older than it is something of the last `KEPT_S` may look; never below zero.

        Args:
            now_s: monotonic seconds.
        """
        worst_ms = since_ms = 0.0
        for at_s, by_ms in reversed(self._leaps):
            if now_s - at_s > KEPT_S:
                break
            since_ms += by_ms
            worst_ms = max(worst_ms, since_ms)
        return round(worst_ms)
