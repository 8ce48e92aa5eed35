"""The arithmetic of the report: percentiles, medians, cost per unit. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least ``share`` of ``ordered`` does not exceed (nearest rank); 0 of nothing."""
    if not ordered:
        return 0.0
    rank = -(-share * len(ordered) // 1)
    return ordered[min(len(ordered), max(1, int(rank))) - 1]


def middle(values: Iterable[float]) -> float:
    """Return the median; 0 of nothing."""
    gathered = list(values)
    return median(gathered) if gathered else 0.0


def spent_us(cpu_s: float, elapsed_s: float, idle_share: float, units: int) -> float:
    """Return CPU microseconds per unit of work.

    Args:
        cpu_s: what a process used while the work was done.
        elapsed_s: how long that was watched.
        idle_share: CPU seconds per second that the process uses without work.
        units: of work.
    """
    return max(0.0, cpu_s - idle_share * elapsed_s) * 1e6 / units if units else 0.0


def ratio(value: float, base: float) -> float:
    """Return how many times ``base`` a value is; 0 without a base."""
    return value / base if base else 0.0


def merged(*counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts of several runs added up by name."""
    found: dict[str, int] = {}
    for one in counts:
        for name, count in one.items():
            found[name] = found.get(name, 0) + count
    return found
