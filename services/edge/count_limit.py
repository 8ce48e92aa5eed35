"""How often a key may ask for token counts. Counting is free and makes no job, so no limit of its account holds it."""

import math

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.policy.token_buckets import TokenBuckets

COUNTS_PER_S = 10.0
"""Of one key at one edge. A count takes up to 8 ms in which the edge does nothing else (`limits.COUNT_CHARS_MAX`), so a
key may take a twelfth of its time."""

COUNTS_BURST = 60
"""At once, after a pause: a coding agent counts each of its tools and files when it begins."""

COUNT_KEYS_MAX = 10_000
"""Keys that are remembered, 1.5 MB. One that is forgotten was not used for longer than all of these."""


class CountLimit:
    """See the module."""

    def __init__(self) -> None:
        self._buckets = TokenBuckets(COUNTS_PER_S, COUNTS_BURST, COUNT_KEYS_MAX)

    def check(self, key: int, now: float) -> None:
        """Count one question.

        Args:
            key: id of the key that asks.
            now: monotonic seconds.

        Raises:
            FaultError: ``policy_rate_limited``: it has asked too often.
        """
        wait_s = self._buckets.take(key, now)
        if wait_s:
            raise FaultError(
                Fault(
                    ErrorType.POLICY_RATE_LIMITED,
                    f"This API key asks for token counts too often: {COUNTS_PER_S:.0f} a second are answered, and "
                    f"{COUNTS_BURST} at once after a pause.",
                    retry_after_ms=math.ceil(wait_s * 1000),
                    code="rate_limit",
                )
            )
