"""Measures whether memory grows while nothing else does: an even load for a long time. Called by `bench.__main__`.

Plain requests at a fixed rate and paced streams, with everything on: keys, limits, ledger, metrics, log. A process that
keeps something of each request shows as a slope; what only fills up (caches, the allocator, buffers) flattens out.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from bench import workloads
from bench.figures import merged
from bench.generator import run
from bench.processes import ProcessGoneError, all_parents, descendants
from bench.stack import Home, Stack

RATE_PER_S: Final = 100.0
STREAMS: Final = 32
STREAM_PACE_S: Final = 0.1
"""With the plain requests a quarter of what two cores carry, so that the load is even on a busy machine, too."""

CONNECTIONS: Final = 1
"""For the plain requests: the generator takes the one that was used last, and the edge closes those that stay idle."""

SAMPLE_S: Final = 10.0
WARM_UP_PART: Final = 1 / 3
"""Of the time: caches fill and the allocator finds its size."""

GROWTH_MAX: Final = 1.0
"""Most that a process may grow by, in MiB a minute."""

Say = Callable[[str], None]


class Sample(NamedTuple):
    """Memory at a moment.

    Attributes:
        at: seconds since the beginning.
        mib: of each process and those below it, which are Postgres's backends.
    """

    at: float
    mib: dict[str, float]


class Soaked(NamedTuple):
    """All figures.

    Attributes:
        minutes: of load.
        answered: requests.
        failures: by reason.
        samples: the oldest first.
        slopes: MiB a minute after the warm-up, by process.
    """

    minutes: float
    answered: int
    failures: dict[str, int]
    samples: list[Sample]
    slopes: dict[str, float]

    def fault(self) -> str | None:
        """Return what is not as it should be."""
        if self.failures:
            return f"requests failed: {self.failures}"
        growing = [name for name, slope in self.slopes.items() if slope > GROWTH_MAX]
        return f"growing by more than {GROWTH_MAX:g} MiB a minute: {', '.join(growing)}" if growing else None


def soak(home: Home, minutes: float, say: Say) -> Soaked:
    """Run the load for so many minutes."""
    with home.stack() as stack:
        seconds = minutes * 60
        plain = workloads.plain(CONNECTIONS, seconds, rate_per_s=RATE_PER_S)
        streams = workloads.stream(STREAMS, seconds, pace_s=STREAM_PACE_S)
        orders = [workloads.to_gateway(order, stack.port, stack.api_keys) for order in (plain, streams)]
        with ThreadPoolExecutor() as readers:  # a generator whose progress nobody reads stops
            waiting = [readers.submit(run, order) for order in orders]
            samples = _watch(stack, seconds, say)
            outcomes = [each.result() for each in waiting]
    return Soaked(
        minutes,
        sum(outcome.answered for outcome in outcomes),
        merged(*(outcome.failures for outcome in outcomes)),
        samples,
        slopes(samples, seconds * WARM_UP_PART),
    )


def _watch(stack: Stack, seconds: float, say: Say) -> list[Sample]:
    processes = {
        f"{role} {number}" if len(entries) > 1 else role: entry.pid
        for role, entries in stack.ready.processes.items()
        for number, entry in enumerate(entries, start=1)
    }
    begun = time.monotonic()
    samples: list[Sample] = []
    while (at := time.monotonic() - begun) < seconds:
        samples.append(Sample(at, {name: own_mib(process) for name, process in processes.items()}))
        if len(samples) % 30 == 1:
            said = ", ".join(f"{name} {size:.1f}" for name, size in samples[-1].mib.items())
            say(f"{at / 60:.0f} min, MiB: {said}")
        time.sleep(SAMPLE_S)
    return samples


def own_mib(process: int) -> float:
    """Return the memory of a process and of all below it that is their own, in MiB: what is shared cannot leak.

    Raises:
        ProcessGoneError: the process has ended.
    """
    sizes = {one: _anonymous_kib(one) for one in descendants(all_parents(), [process])}
    if not sizes[process]:
        raise ProcessGoneError(f"process {process} has ended")
    return sum(sizes.values()) / 1024


def _anonymous_kib(process: int) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:")), 0)


def slopes(samples: Sequence[Sample], after_s: float) -> dict[str, float]:
    """Return by how much each process grows, in MiB a minute: the least squares of its samples after a moment."""
    late = [sample for sample in samples if sample.at >= after_s]
    return {name: _slope([(sample.at / 60, sample.mib[name]) for sample in late]) for name in samples[0].mib}


def _slope(points: Sequence[tuple[float, float]]) -> float:
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def text(found: Soaked) -> str:
    """Return the figures as Markdown."""
    first = next(sample for sample in found.samples if sample.at >= found.minutes * 60 * WARM_UP_PART)
    last = found.samples[-1]
    lines = ["| | MiB after the warm-up | at the end | MiB a minute |", "| --- | --- | --- | --- |"]
    for name, slope in found.slopes.items():
        lines.append(f"| {name} | {first.mib[name]:.1f} | {last.mib[name]:.1f} | {slope:+.3f} |")
    verdict = found.fault() or f"No process grows by more than {GROWTH_MAX:g} MiB a minute."
    return "\n".join([f"{found.answered:,} requests in {found.minutes:g} minutes.", "", *lines, "", verdict])


def as_json(found: Soaked) -> bytes:
    """Return the figures as JSON."""
    plain: Mapping[str, object] = {**found._asdict(), "samples": [sample._asdict() for sample in found.samples]}
    return msgspec.json.format(msgspec.json.encode(plain)) + b"\n"
