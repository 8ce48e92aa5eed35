"""Measures Trunkline and LiteLLM's proxy in one run, in front of the same upstream. Called by `bench.__main__`.

They take turns, round by round, so that a machine that gets slower slows both. CPU time is that of all processes of
each: of Trunkline its services, NATS and Postgres.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from bench import generator, workloads
from bench.figures import merged, middle, ratio
from bench.measure import Bench, Patience, sum_us, units_of
from bench.orders import Order, Outcome
from bench.results import GATEWAY_ROLES
from bench.rival import KEY, NAME, Rival, install, running
from bench.stack import Home, Stack
from bench.workloads import CONNECTIONS, Effort

GATEWAY: Final = "trunkline"
DIRECT: Final = "upstream directly"

VENV: Final = Path(".data/compare")

WARM_S: Final = 3.0

Say = Callable[[str], None]


class Compared(NamedTuple):
    """Figures of one load on one of them, medians of the rounds.

    Attributes:
        cpu_us: of all its processes, for each request or chunk; None of the upstream called directly.
        per_s: requests or chunks.
        p50_ms, p99_ms: until the answer's end. Their first bytes do not compare: one of them sends none before there is
            something to say, the other one at once.
    """

    cpu_us: float | None
    per_s: float
    p50_ms: float
    p99_ms: float


class Comparison(NamedTuple):
    """All figures.

    Attributes:
        loads: by load and by who carried it.
        memory_mb: resident, after all loads.
        failures: by reason.
    """

    loads: dict[str, dict[str, Compared]]
    memory_mb: dict[str, float]
    failures: dict[str, int]


def _loads(effort: Effort) -> dict[str, Order]:
    return {
        "plain, 1 connection": workloads.plain(1, effort.run_s),
        f"plain, {CONNECTIONS} connections": workloads.plain(CONNECTIONS, effort.run_s),
        "streamed, 1 connection, 100 chunks, 10 ms each": workloads.stream(1, effort.run_s),
        f"streamed, {CONNECTIONS} connections, 100 chunks, 10 ms each": workloads.stream(CONNECTIONS, effort.run_s),
    }


def compare(home: Home, effort: Effort, say: Say) -> Comparison:
    """Measure both.

    Raises:
        RivalError: LiteLLM cannot be installed or started.
        StackError: the stack did not start.
    """
    program = install(VENV.absolute())
    with home.stack() as stack, running(program, home.data_dir.parent, stack.upstream_port) as rival:
        return _Runs(stack, rival, effort, say).all()


class _Runs:
    def __init__(self, stack: Stack, rival: Rival, effort: Effort, say: Say) -> None:
        self._stack = stack
        self._effort = effort
        self._say = say
        self._rival = rival
        self._bench = Bench(stack, effort.idle_s, Patience(0.0))
        self._bench.watch = stack.watch({NAME: [rival.pid]})
        self._bench.learn_idle(effort.idle_s)
        self._failures: dict[str, int] = {}

    def all(self) -> Comparison:
        loads = {name: self._load(name, order) for name, order in _loads(self._effort).items()}
        memory = self._bench.watch.memory()
        return Comparison(
            loads,
            {
                GATEWAY: sum(memory[role].pss for role in GATEWAY_ROLES if role in memory) / 1e6,
                NAME: memory[NAME].pss / 1e6,
            },
            self._failures,
        )

    def _load(self, load: str, shape: Order) -> dict[str, Compared]:
        orders = {
            DIRECT: workloads.to_upstream(shape, self._stack.upstream_port),
            NAME: workloads.to_gateway(shape, self._rival.port, (KEY,)),
            GATEWAY: workloads.to_gateway(shape, self._stack.port, self._stack.api_keys),
        }
        for order in orders.values():
            self._run(msgspec.structs.replace(order, seconds_max=min(WARM_S, self._effort.run_s)))
        rounds: dict[str, list[Compared]] = {name: [] for name in orders}
        for number in range(self._effort.rounds):
            for name, order in orders.items():
                rounds[name].append(self._measure(name, order))
            said = ", ".join(f"{name} {_us(found[-1].cpu_us)}" for name, found in rounds.items() if name != DIRECT)
            self._say(f"{load}, round {number + 1}: {said}")
        return {name: _middle(found) for name, found in rounds.items()}

    def _measure(self, name: str, order: Order) -> Compared:
        before = self._bench.settle()
        outcome = self._run(order)
        after = self._bench.settle()
        units = units_of(order, outcome)
        costs = self._bench.costs(before, after, units)
        cpu_us = {NAME: costs[NAME].us, GATEWAY: sum_us(costs, GATEWAY_ROLES)}.get(name)
        return Compared(
            cpu_us, ratio(units, outcome.elapsed_s), outcome.whole.p50_us / 1000, outcome.whole.p99_us / 1000
        )

    def _run(self, order: Order) -> Outcome:
        outcome = generator.run(order)
        self._failures = merged(self._failures, outcome.failures)
        return outcome


def _middle(found: list[Compared]) -> Compared:
    costs = [one.cpu_us for one in found if one.cpu_us is not None]
    return Compared(
        middle(costs) if costs else None,
        *(middle([getattr(one, name) for one in found]) for name in ("per_s", "p50_ms", "p99_ms")),
    )


def _us(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f} µs"


def text(found: Comparison) -> str:
    """Return the figures as Markdown."""
    lines = ["| | | CPU | per second | p50 ms | p99 ms |", "| --- | --- | --- | --- | --- | --- |"]
    for load, by_name in found.loads.items():
        for name, one in by_name.items():
            figures = f"{one.per_s:,.0f} | {one.p50_ms:.2f} | {one.p99_ms:.2f}"
            lines.append(f"| {load} | {name} | {_us(one.cpu_us)} | {figures} |")
    memory = ", ".join(f"{name} {size:.0f} MB" for name, size in found.memory_mb.items())
    failures = ", ".join(f"{count} times {reason}" for reason, count in found.failures.items()) or "none"
    return "\n".join([*lines, "", f"Memory of all processes: {memory}. Failed requests: {failures}."])


def as_json(found: Comparison) -> bytes:
    """Return the figures as JSON."""
    plain = {
        "loads": {
            load: {name: one._asdict() for name, one in by_name.items()} for load, by_name in found.loads.items()
        },
        "memory_mb": found.memory_mb,
        "failures": found.failures,
    }
    return msgspec.json.format(msgspec.json.encode(plain)) + b"\n"
