"""How many wrong keys one address may try: guessing must not be free. Pure; the edge asks it where a key is not known.

Each failure adds to an address's debt, which flows off evenly. As long as the debt is over what a minute takes, no
further key of that address is looked up. A key of ours has 190 random bits, so nobody guesses one; what this bounds is
what trying costs the edge and the bus, and what it hides in.
"""

from collections import OrderedDict
from typing import Final

from trunkline.policy.addresses import block_of

WINDOW_S: Final = 60.0
"""The debt that is free: as many failures at once as a minute may have."""

DEBT_S_MAX: Final = 600.0
"""Failures that come at the same time are all counted, for each was looked up. What one moment has brought is forgotten
after this long at the latest: others may sit behind the same address."""

ADDRESSES_MAX: Final = 65_536
"""Addresses whose debt is remembered, at some 200 bytes each; past it the one is forgotten that failed longest ago."""

_NOISE_S = 1e-6
"""A shorter wait is an error of the arithmetic."""


class FailedKeys:
    """The debts of addresses.

    Args:
        per_minute: failures that an address may have each minute.
        addresses_max: see `ADDRESSES_MAX`.
    """

    __slots__ = ("_addresses_max", "_free_at", "_interval_s")

    def __init__(self, per_minute: int, addresses_max: int = ADDRESSES_MAX) -> None:
        self._interval_s = WINDOW_S / per_minute
        self._addresses_max = addresses_max
        self._free_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._free_at)

    def wait_s(self, address: str, now: float) -> float:
        """Return in how many seconds another key of an address is looked up; 0 if now.

        Args:
            address: of the client, or any text if it has none.
            now: monotonic seconds.
        """
        if not self._free_at:
            return 0.0
        wait_s = self._free_at.get(block_of(address), now) - now - (WINDOW_S - self._interval_s)
        return wait_s if wait_s > _NOISE_S else 0.0

    def fail(self, address: str, now: float) -> bool:
        """Note that a key of an address was wrong; return whether it has just become one too many.

        Arguments as for `wait_s`.
        """
        block = block_of(address)
        before = max(self._free_at.get(block, now), now)
        after = min(before + self._interval_s, now + DEBT_S_MAX)
        self._free_at[block] = after
        self._free_at.move_to_end(block)
        while len(self._free_at) > self._addresses_max or next(iter(self._free_at.values())) <= now:
            self._free_at.popitem(last=False)
        bound = now + WINDOW_S - self._interval_s + _NOISE_S
        return before <= bound < after
