"""Measures streams that are open together: memory for each, CPU of their chunks, and whether one stalled."""

from collections.abc import Mapping

from bench import workloads
from bench.figures import ratio
from bench.generator import Generator
from bench.measure import UPSTREAM, Bench, sum_us
from bench.orders import Outcome, Progress
from bench.processes import Memory, Reading, Watch
from bench.results import GATEWAY_ROLES, PROMISED_ROLES, Held, RoleMemory, Work

GENERATOR = "generator"

STALL_PACES = 3.0
"""A stream counts as stalled after so many times its pace without a byte."""

WARM_S = 1.0


class _Window:
    """The time in which all streams are open: a reading at its beginning and its end, and the memory at its end."""

    def __init__(self, watch: Watch, streams: int, hold_s: float) -> None:
        self._watch = watch
        self._streams = streams
        self._hold_s = hold_s
        self.first: tuple[Reading, int] | None = None
        self.last: tuple[Reading, int] | None = None
        self.memory: Mapping[str, Memory] | None = None
        self.open_min = 0

    def look(self, progress: Progress) -> None:
        """Called each second with what the generator says."""
        if self.memory is not None:
            return
        if self.first is None:
            if progress.answering and progress.answering + progress.failed >= self._streams:
                self.first = (self._watch.read(), progress.events)
                self.open_min = progress.answering
            return
        self.open_min = min(self.open_min, progress.answering)
        self.last = (self._watch.read(), progress.events)
        if self.last[0].at - self.first[0].at >= self._hold_s:
            self.memory = self._watch.memory()


def hold(bench: Bench, streams: int, begun_per_s: float, hold_s: float, pace_s: float) -> Held:
    """Open streams and look at memory and CPU while all of them are open."""
    bench.warm(workloads.plain(workloads.CONNECTIONS, WARM_S), WARM_S)
    slowed = bench.patience.wait(bench.watch)
    base = bench.watch.memory()
    load = Generator(bench.gateway(workloads.hold(streams, begun_per_s, hold_s, pace_s)))
    window = _Window(bench.stack.watch({GENERATOR: [load.pid]}), streams, hold_s)
    outcome = load.outcome(window.look)
    failures = dict(outcome.failures)
    if window.memory is None:
        failures["streams were not all open long enough to be measured"] = 1
    stalled = outcome.gap.max_us > STALL_PACES * pace_s * 1e6 or window.open_min < streams
    return Held(
        streams=streams,
        open=window.open_min,
        pace_s=pace_s,
        roles=_memory_per_stream(base, window.memory or base, streams),
        work=_work(bench, window, outcome, slowed),
        gap_p50_us=outcome.gap.p50_us,
        gap_p99_us=outcome.gap.p99_us,
        gap_max_us=outcome.gap.max_us,
        stalled=stalled,
        failures=failures,
    )


def _work(bench: Bench, window: _Window, outcome: Outcome, slowed: float) -> Work:
    name, unit = "open streams", "chunk"
    if window.first is None or window.last is None:
        return Work(name=name, unit=unit, units=0, failures=outcome.failures)
    (before, events_before), (after, events_after) = window.first, window.last
    # Each event while all streams are open is a content chunk.
    chunks = events_after - events_before
    costs = bench.costs(before, after, chunks)
    disturbance = bench.patience.judge(before, after, slowed)
    return Work(
        name=name,
        unit=unit,
        units=chunks,
        per_s=ratio(chunks, after.at - before.at),
        roles={role: costs[role] for role in GATEWAY_ROLES if role in costs},
        promised_us=sum_us(costs, PROMISED_ROLES),
        all_us=sum_us(costs, GATEWAY_ROLES),
        upstream_us=costs[UPSTREAM].us,
        generator_us=costs[GENERATOR].us,
        others=disturbance.others,
        slowed=disturbance.slowed,
        failures=outcome.failures,
    )


def _memory_per_stream(base: Mapping[str, Memory], held: Mapping[str, Memory], streams: int) -> dict[str, RoleMemory]:
    return {
        role: RoleMemory(
            base[role].pss,
            (held[role].rss - base[role].rss) / streams,
            (held[role].pss - base[role].pss) / streams,
        )
        for role in GATEWAY_ROLES
        if role in base
    }
