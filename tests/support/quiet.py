"""Whether the machine has time: what is measured beside other work says nothing."""

import time

STEPS = 200_000
"""Some ten milliseconds: longer than a core is left to one process while others wait for it."""

CROWDED = 1.25
"""Of a time and the CPU time in it: from here on others had the core for a good part."""


def crowded() -> float:
    """Return how much longer a fixed calculation takes than the CPU time that it needs."""
    begun, begun_cpu = time.perf_counter(), time.thread_time()
    value = 0
    for number in range(STEPS):
        value = (value * 31 + number) & 0xFFFFFF
    return (time.perf_counter() - begun) / (time.thread_time() - begun_cpu)
