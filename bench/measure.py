"""Measures one thing at a time on a running stack: the CPU of a load, and latency against the upstream."""

import dataclasses
import time
from collections.abc import Sequence

import msgspec

from bench import generator, workloads
from bench.figures import merged, middle, ratio, spent_us
from bench.orders import Order, Outcome
from bench.processes import Reading, Watch, others_share, spent
from bench.results import GATEWAY_ROLES, PROMISED_ROLES, Latency, RoleCost, Target, Work
from bench.speed import Speed
from bench.stack import Stack

UPSTREAM = "upstream"

QUIET_POLL_S = 0.3
QUIET_ROUNDS = 2
QUIET_WAIT_MAX_S = 15.0
QUIET_MARGIN = 0.03
"""CPU seconds per second above the idle load at which what was begun counts as settled."""

CALM_POLL_S = 1.0
CALM_SHARE = 0.10
"""CPU seconds per second of other processes up to which they hardly change a figure."""

CALM_SLOWED = 0.15
"""How much slower than at its best the machine may be, measured by `bench.speed`."""


@dataclasses.dataclass(frozen=True)
class Disturbance:
    """What kept a measurement from being fair.

    Attributes:
        others: CPU seconds per second of the machine's other processes.
        slowed: see `bench.speed.Speed.slowed`; the mean of before and after.
    """

    others: float
    slowed: float

    @property
    def calm(self) -> bool:
        """Whether there was hardly any."""
        return self.others <= CALM_SHARE and self.slowed <= CALM_SLOWED

    @property
    def weight(self) -> float:
        """How bad it was, to compare it with another."""
        return self.others + self.slowed


class Patience:
    """Waits for the machine to become calm, but not for ever.

    Args:
        seconds: to spend on it, over all waits and repetitions.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._speed = Speed()

    @property
    def left(self) -> bool:
        """Whether a disturbed measurement should be repeated."""
        return time.monotonic() < self._end

    def wait(self, watch: Watch) -> float:
        """Return how much the machine is slowed, when it is calm or no patience is left."""
        slowed = self._speed.slowed()
        last = watch.read()
        while self.left:
            time.sleep(CALM_POLL_S)
            now = watch.read()
            slowed = self._speed.slowed()
            if Disturbance(others_share(last, now), slowed).calm:
                break
            last = now
        return slowed

    def judge(self, before: Reading, after: Reading, slowed_before: float) -> Disturbance:
        """Return what disturbed between two readings; call it at the second."""
        return Disturbance(others_share(before, after), (slowed_before + self._speed.slowed()) / 2)


class Bench:
    """A stack, and what it uses when idle.

    Args:
        stack: running.
        idle_s: how long it is watched without load.
        patience: see there.

    Attributes:
        watch: over all of the stack's roles.
        idle: CPU seconds per second of each role without load.
        warm_failures: requests that failed while nothing was measured, by reason.
    """

    def __init__(self, stack: Stack, idle_s: float, patience: Patience) -> None:
        self.stack = stack
        self.watch = stack.watch()
        self.patience = patience
        self.idle: dict[str, float] = {}
        self.warm_failures: dict[str, int] = {}
        self.learn_idle(idle_s)

    def learn_idle(self, idle_s: float) -> None:
        """Watch the stack without load."""
        before = self.watch.read()
        time.sleep(idle_s)
        after = self.watch.read()
        self.idle = {role: used_s / (after.at - before.at) for role, used_s in spent(before, after).items()}

    def gateway(self, order: Order) -> Order:
        """Address an order to the gateway."""
        return workloads.to_gateway(order, self.stack.port, self.stack.api_keys)

    def upstream(self, order: Order) -> Order:
        """Address an order to the upstream."""
        return workloads.to_upstream(order, self.stack.upstream_port)

    def warm(self, order: Order, seconds: float) -> None:
        """Send some of a load without measuring, and wait until it is settled."""
        shorter = msgspec.structs.replace(order, seconds_max=min(seconds, order.seconds_max))
        outcome = generator.run(self.gateway(shorter))
        self.warm_failures = merged(self.warm_failures, outcome.failures)
        self.settle()

    def settle(self) -> Reading:
        """Return a reading once what a load left behind is done: usage booked, outcomes judged. Bounded."""
        deadline = time.monotonic() + QUIET_WAIT_MAX_S
        last, quiet = self.watch.read(), 0
        idle = sum(self.idle.values())
        while quiet < QUIET_ROUNDS and time.monotonic() < deadline:
            time.sleep(QUIET_POLL_S)
            now = self.watch.read()
            busy = sum(spent(last, now).values()) / (now.at - last.at)
            quiet = quiet + 1 if busy < idle * 1.5 + QUIET_MARGIN else 0
            last = now
        return last

    def costs(self, before: Reading, after: Reading, units: int) -> dict[str, RoleCost]:
        """Return what a unit of work cost each role between two readings."""
        elapsed_s = after.at - before.at
        costs = {}
        for role, used_s in spent(before, after).items():
            now, then = after.roles[role], before.roles[role]
            system_s, user_s = now.system_s - then.system_s, now.user_s - then.user_s
            us = spent_us(used_s, elapsed_s, self.idle.get(role, 0.0), units)
            costs[role] = RoleCost(us, ratio(system_s, system_s + user_s))
        return costs

    def work(self, name: str, unit: str, order: Order, warm_s: float) -> Work:
        """Measure the CPU of a load, on the gateway and on the upstream called directly.

        While there is patience it is repeated until the machine was calm; the calmest one counts.
        """
        self.warm(order, warm_s)
        calmest: Work | None = None
        failures: dict[str, int] = {}
        best = Disturbance(0.0, 0.0)
        while calmest is None or (not best.calm and self.patience.left):
            work, disturbance = self._work(name, unit, order, self.patience.wait(self.watch))
            failures = merged(failures, work.failures)
            if calmest is None or disturbance.weight < best.weight:
                calmest, best = work, disturbance
        return msgspec.structs.replace(calmest, failures=failures)

    def _work(self, name: str, unit: str, order: Order, slowed: float) -> tuple[Work, Disturbance]:
        before_all = self.watch.read()
        direct = generator.run(self.upstream(order))
        direct_costs = self.costs(before_all, self.watch.read(), units_of(order, direct))
        before = self.settle()
        outcome = generator.run(self.gateway(order))
        after = self.settle()
        units = units_of(order, outcome)
        costs = self.costs(before, after, units)
        disturbance = self.patience.judge(before_all, after, slowed)
        work = Work(
            name=name,
            unit=unit,
            units=units,
            per_s=ratio(units, outcome.elapsed_s),
            roles={role: costs[role] for role in GATEWAY_ROLES if role in costs},
            promised_us=sum_us(costs, PROMISED_ROLES),
            all_us=sum_us(costs, GATEWAY_ROLES),
            upstream_us=costs[UPSTREAM].us,
            direct_upstream_us=direct_costs[UPSTREAM].us,
            generator_us=ratio(outcome.cpu_s * 1e6, units),
            others=disturbance.others,
            slowed=disturbance.slowed,
            failures=merged(outcome.failures, direct.failures),
        )
        return work, disturbance

    def latency(self, name: str, order: Order, rounds: int, *, first: bool = False) -> Latency:
        """Compare the gateway with the upstream, in turn.

        While there is patience further rounds are made, up to twice as many; the calmest ones count.

        Args:
            name: of the pattern.
            order: the pattern.
            rounds: how many count.
            first: look at the first byte of each answer instead of its last.
        """
        made: list[_Round] = []
        while len(made) < rounds or (
            len(made) < 2 * rounds and self.patience.left and sum(one.disturbance.calm for one in made) < rounds
        ):
            slowed = self.patience.wait(self.watch)
            before = self.watch.read()
            direct = generator.run(self.upstream(order))
            gateway = generator.run(self.gateway(order))
            made.append(_Round(direct, gateway, self.patience.judge(before, self.watch.read(), slowed)))
        counted = sorted(made, key=lambda one: one.disturbance.weight)[:rounds]
        return Latency(
            name=name,
            what="first byte" if first else "whole answer",
            gateway=_target([one.gateway for one in counted], first=first),
            direct=_target([one.direct for one in counted], first=first),
            late_p99_us=middle(one.gateway.late.p99_us for one in counted),
            others=middle(one.disturbance.others for one in counted),
            slowed=middle(one.disturbance.slowed for one in counted),
            failures=merged(*(outcome.failures for one in made for outcome in (one.direct, one.gateway))),
        )


@dataclasses.dataclass(frozen=True)
class _Round:
    direct: Outcome
    gateway: Outcome
    disturbance: Disturbance


def units_of(order: Order, outcome: Outcome) -> int:
    """Return what a load is counted in: its content chunks, or its answers."""
    if order.events:
        return workloads.content_chunks(outcome.events, outcome.answered)
    return outcome.answered


def sum_us(costs: dict[str, RoleCost], roles: Sequence[str]) -> float:
    """Return the microseconds of some roles together."""
    return sum(costs[role].us for role in roles if role in costs)


def _target(outcomes: list[Outcome], *, first: bool) -> Target:
    timings = [outcome.first if first else outcome.whole for outcome in outcomes]
    return Target(
        middle(timing.p50_us for timing in timings),
        middle(timing.p99_us for timing in timings),
        middle(ratio(outcome.answered, outcome.elapsed_s) for outcome in outcomes),
    )
