"""Rates by key, each with a burst: token buckets. Kept is only the moment at which each is full again. Pure."""

from collections import OrderedDict

NOISE_S = 1e-6
"""A shorter wait is an error of the arithmetic."""


class TokenBuckets:
    """One bucket for each key that is in use.

    Args:
        rate_per_s: tokens that flow in each second.
        burst: tokens of a full bucket.
        keys_max: buckets that are remembered, some 150 bytes each; past it that of the key which was used longest ago
            is forgotten, and full when the key comes again.
    """

    __slots__ = ("_full_at", "_interval_s", "_keys_max", "_span_s")

    def __init__(self, rate_per_s: float, burst: int, keys_max: int) -> None:
        self._interval_s = 1 / rate_per_s
        self._span_s = (burst - 1) / rate_per_s
        self._keys_max = keys_max
        self._full_at: OrderedDict[int, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: int, now: float) -> float:
        """Take a token, and return 0; or take none, and return in how many seconds there will be one.

        Args:
            key: whose bucket.
            now: monotonic seconds.
        """
        full_at = max(self._full_at.get(key, now), now)
        wait_s = full_at - self._span_s - now
        if wait_s > NOISE_S:
            self._full_at.move_to_end(key)
            return wait_s
        self._full_at[key] = full_at + self._interval_s
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._keys_max:
            self._full_at.popitem(last=False)
        return 0.0
