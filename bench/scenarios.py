"""The runs of the benchmark, each a list of measurements on stacks of its own. Called by `bench.__main__`."""

from collections.abc import Callable, Collection

from bench import money, scale, workloads
from bench.figures import merged
from bench.held import hold
from bench.measure import Bench, Patience
from bench.profile import take, text
from bench.results import Report
from bench.scale import Size
from bench.stack import Home
from bench.workloads import CONNECTIONS, Effort

PARTS = ("plain", "stream", "latency", "memory", "ready")

LOW_RATE_PER_S = 200.0
"""A tenth or so of what two cores carry: low load, as P6 means it."""

BEGUN_PER_S = 500.0
"""Streams opened per second; opening them costs as much as that many plain requests."""

PACES_S = (1.0, 2.0, 4.0)
"""Pace of held streams; the next one is taken when the machine does not keep up."""

PROFILE_MARGIN_S = 3.0
"""How much longer the load lasts than its sampling."""

Say = Callable[[str], None]


def measure(home: Home, parts: Collection[str], effort: Effort, report: Report, say: Say) -> None:
    """Measure some of `PARTS` into ``report``."""
    patience = Patience(effort.patience_s)
    with home.stack() as stack:
        report.first_start_s = stack.started_s
        say(f"ready after {stack.started_s:.1f} s")
        if {"plain", "stream", "latency"} & set(parts):
            bench = Bench(stack, effort.idle_s, patience)
            if "plain" in parts:
                _plain(bench, effort, report, say)
            if "stream" in parts:
                _stream(bench, effort, report, say)
            if "latency" in parts:
                _latency(bench, effort, report, say)
            report.warm_failures = bench.warm_failures
    if "memory" in parts:
        for streams in effort.held:
            _memory(home, streams, effort, report, say)
    if "ready" in parts:
        while len(report.starts_s) < effort.starts:
            with home.stack() as stack:
                report.starts_s.append(stack.started_s)


def measure_scale(home: Home, steps: list[Size], effort: Effort, report: Report, say: Say) -> None:
    """Measure the cost of a request as the system grows into ``report``."""
    with home.stack() as stack:
        bench = Bench(stack, effort.idle_s, Patience(effort.patience_s))
        report.scales = scale.measure(home, bench, steps, effort, say)
        report.warm_failures = bench.warm_failures


def measure_money(home: Home, effort: Effort, report: Report, say: Say) -> None:
    """Measure settlement and allowances into ``report``."""
    with home.stack() as stack:
        report.money = money.measure(Bench(stack, effort.idle_s, Patience(0.0)), effort.events, effort.draws, say)


def profile(home: Home, role: str, load: str, seconds: float) -> str:
    """Return where a service's time goes under a load, ``plain`` or ``stream``."""
    make = workloads.stream if load == "stream" else workloads.plain
    with home.stack() as stack:
        bench = Bench(stack, 1.0, Patience(0.0))
        found = take(bench, role, make(CONNECTIONS, seconds + PROFILE_MARGIN_S), seconds)
    return text(f"{role}, {load} load at {CONNECTIONS} connections", found)


def _plain(bench: Bench, effort: Effort, report: Report, say: Say) -> None:
    for connections in (CONNECTIONS, 1):
        name = f"plain, {connections} connection{'s' * (connections > 1)}"
        say(name)
        report.works.append(bench.work(name, "request", workloads.plain(connections, effort.run_s), effort.warm_s))


def _stream(bench: Bench, effort: Effort, report: Report, say: Say) -> None:
    for name, pace_s in (
        (f"stream, {workloads.CHUNK_PACE_S * 1000:.0f} ms a chunk", workloads.CHUNK_PACE_S),
        ("stream, all at once", 0.0),
    ):
        say(name)
        order = workloads.stream(CONNECTIONS, effort.run_s, pace_s=pace_s)
        report.works.append(bench.work(name, "chunk", order, effort.warm_s))


def _latency(bench: Bench, effort: Effort, report: Report, say: Say) -> None:
    seconds = effort.round_s
    bench.warm(workloads.plain(CONNECTIONS, effort.warm_s), effort.warm_s)
    low = workloads.plain(CONNECTIONS, seconds, rate_per_s=LOW_RATE_PER_S)
    for name, order, first in (
        ("1 connection", workloads.plain(1, seconds), False),
        ("1 connection, streamed", workloads.stream(1, seconds, chunks=1, pace_s=0.0), True),
        (f"{CONNECTIONS} connections, {LOW_RATE_PER_S:.0f} requests/s", low, False),
        (f"{CONNECTIONS} connections, as fast as it goes", workloads.plain(CONNECTIONS, seconds), False),
    ):
        say(f"latency, {name}")
        report.latencies.append(bench.latency(name, order, effort.rounds, first=first))


def _memory(home: Home, streams: int, effort: Effort, report: Report, say: Say) -> None:
    patience = Patience(effort.patience_s)
    for pace_s in PACES_S:
        say(f"{streams} open streams, a chunk each {pace_s:g} s")
        # A stack of its own: what a process has freed and kept would hide what streams cost.
        with home.stack() as stack:
            report.starts_s.append(stack.started_s)
            bench = Bench(stack, effort.idle_s, patience)
            held = hold(bench, streams, BEGUN_PER_S, effort.hold_s, pace_s)
            report.warm_failures = merged(report.warm_failures, bench.warm_failures)
        report.held.append(held)
        if not held.stalled:
            return
