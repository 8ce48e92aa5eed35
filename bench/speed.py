"""How fast this machine is at the moment, by a fixed calculation.

A virtual machine whose host is busy, or a core whose caches others fill, makes CPU time go further or less far without
any process showing it. The calculation's own CPU time does.
"""

import time

ROUNDS = 30
STEPS = 20_000
"""About a millisecond."""


class Speed:
    """Compares the machine with itself, at its fastest so far."""

    def __init__(self) -> None:
        self._fastest_ns = 0

    def slowed(self) -> float:
        """Return how much more CPU time the calculation takes than at its fastest: 0.1 is a tenth more."""
        times_ns = [_time_ns() for _ in range(ROUNDS)]
        fastest_ns = min(times_ns)
        if not self._fastest_ns or fastest_ns < self._fastest_ns:
            self._fastest_ns = fastest_ns
        return sum(times_ns) / ROUNDS / self._fastest_ns - 1.0


def _time_ns() -> int:
    begun_ns = time.process_time_ns()
    value = 0
    for number in range(STEPS):
        value = (value * 31 + number) & 0xFFFFFF
    return time.process_time_ns() - begun_ns
