"""Compares the strategies of routing on simulated fleets. Called by `bench.__main__`.

Every strategy gets the same requests at the same providers, once as single requests and once with conversations known.
Nothing here looks at a clock: a seed gives the same figures on every machine.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from bench.figures import percentile, ratio
from bench.fleet import Call, Fleet, Served
from bench.fleet_scenarios import SCENARIOS, Scenario, requests
from trunkline.bus.snapshots import Strategy

SETTLE_S = 60.0
"""So long after the last request the last answers are looked at."""

BIN_S = 5.0
"""Step of what is shown over time: some 250 requests."""

LATE_SHARE = 0.95
"""Percentile that is shown over time: a 99th of 250 would be chance."""

FIRSTS_MIN = 100
"""First tokens of which a 99th percentile is taken."""

Say = Callable[[str], None]


class Moment(msgspec.Struct, frozen=True):
    """What was in one step of `BIN_S`.

    Attributes:
        at_s: its middle.
        p50_s, late_s: first tokens: the median, and the percentile of `LATE_SHARE`.
        answered: share of requests.
        attempts: per request.
        shares: of attempts, by number of the provider.
    """

    at_s: float
    p50_s: float
    late_s: float
    answered: float
    attempts: float
    shares: dict[int, float]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one strategy in one scenario.

    Attributes:
        strategy: see there.
        affinity: conversations were known.
        requests: in all.
        answered: share of them that got a whole answer.
        watched: the same of those in the scenario's trouble, of which all that follows is, too.
        p50_s, p99_s: from a request to its first token, of those that got one.
        cost: of a token, over that of the cheapest provider. Like the other figures of answers 0 where fewer than
            `FIRSTS_MIN` requests got a first token.
        attempts: per request.
        moved: share of requests that went to another channel or account than the one before in their conversation.
        ejected: attempts on channels that every dispatcher knew to be ejected.
        moments: over all of the time.
    """

    strategy: Strategy
    affinity: bool
    requests: int
    answered: float
    watched: float
    p50_s: float
    p99_s: float
    cost: float
    attempts: float
    moved: float
    ejected: int
    moments: list[Moment]


class Comparison(msgspec.Struct, frozen=True):
    """All runs of one scenario."""

    scenario: Scenario
    runs: list[Run]

    def run(self, strategy: Strategy, *, affinity: bool) -> Run | None:
        """Return one of them; None if it was not made."""
        return next((run for run in self.runs if (run.strategy, run.affinity) == (strategy, affinity)), None)


def simulate(scenario: Scenario, strategy: Strategy, seed: int, *, affinity: bool) -> Fleet:
    """Return a fleet that has seen a scenario through."""
    fleet = Fleet(scenario.providers, requests(scenario, seed), strategy, affinity=affinity, seed=seed)
    fleet.run(scenario.seconds + SETTLE_S)
    return fleet


def compare(seed: int, say: Say, *, quick: bool = False) -> list[Comparison]:
    """Return all scenarios; with ``quick``, without conversations."""
    found: list[Comparison] = []
    for make in SCENARIOS:
        scenario = make(seed)
        say(scenario.name)
        runs = [
            summed_up(scenario, simulate(scenario, strategy, seed, affinity=affinity), strategy, affinity=affinity)
            for affinity in ((False,) if quick else (False, True))
            for strategy in Strategy
        ]
        found.append(Comparison(scenario, runs))
    return found


# --- figures ---------------------------------------------------------------------------------------------------------


def summed_up(scenario: Scenario, fleet: Fleet, strategy: Strategy, *, affinity: bool) -> Run:
    """Return a simulation's figures."""
    begin_s, end_s = scenario.watched
    served = sorted(fleet.served)
    watched = [one for one in served if begin_s <= one.at_s < end_s]
    firsts = _firsts(watched)
    enough = len(firsts) >= FIRSTS_MIN
    return Run(
        strategy=strategy,
        affinity=affinity,
        requests=len(served),
        answered=_answered(served),
        watched=_answered(watched),
        p50_s=percentile(firsts, 0.5) if enough else 0.0,
        p99_s=percentile(firsts, 0.99) if enough else 0.0,
        cost=_cost(scenario, watched) if enough else 0.0,
        attempts=ratio(sum(one.attempts for one in watched), len(watched)),
        moved=_moved(served, begin_s, end_s) if enough else 0.0,
        ejected=sum(call.weight == 0 for call in fleet.calls),
        moments=_moments(scenario, served, fleet.calls),
    )


def _firsts(served: Iterable[Served]) -> list[float]:
    return sorted(one.first_s for one in served if one.first_s is not None)


def _answered(served: Sequence[Served]) -> float:
    return ratio(sum(one.whole for one in served), len(served))


def _cost(scenario: Scenario, served: Iterable[Served]) -> float:
    cheapest = min(provider.cost for provider in scenario.providers)
    whole = [one for one in served if one.whole]
    spent = sum(one.tokens * scenario.providers[one.channel - 1].cost for one in whole)
    return ratio(spent, cheapest * sum(one.tokens for one in whole))


def _moved(served: Iterable[Served], begin_s: float, end_s: float) -> float:
    last: dict[int, tuple[int, int]] = {}
    moved = stayed = 0
    for one in served:
        if not one.channel:
            continue
        place = one.channel, one.credential
        if one.conversation in last and begin_s <= one.at_s < end_s:
            moved += last[one.conversation] != place
            stayed += last[one.conversation] == place
        last[one.conversation] = place
    return ratio(moved, moved + stayed)


def _moments(scenario: Scenario, served: Iterable[Served], calls: Iterable[Call]) -> list[Moment]:
    steps = range(int(scenario.seconds / BIN_S))
    asked: list[list[Served]] = [[] for _ in steps]
    made: list[list[int]] = [[] for _ in steps]
    for one in served:
        asked[min(int(one.at_s / BIN_S), len(asked) - 1)].append(one)
    for call in calls:
        if call.at_s < scenario.seconds:
            made[min(int(call.at_s / BIN_S), len(made) - 1)].append(call.channel)
    moments = []
    for step in steps:
        firsts = _firsts(asked[step])
        moments.append(
            Moment(
                at_s=(step + 0.5) * BIN_S,
                p50_s=percentile(firsts, 0.5),
                late_s=percentile(firsts, LATE_SHARE),
                answered=_answered(asked[step]),
                attempts=ratio(len(made[step]), len(asked[step])),
                shares={
                    channel: ratio(made[step].count(channel), len(made[step]))
                    for channel in range(1, len(scenario.providers) + 1)
                },
            )
        )
    return moments


# --- text ------------------------------------------------------------------------------------------------------------


def text(comparisons: Iterable[Comparison]) -> str:
    """Return tables in Markdown: without conversations and with them, where that makes a difference."""
    return "\n".join(_table(comparison) for comparison in comparisons)


def _table(comparison: Comparison) -> str:
    scenario = comparison.scenario
    begin_s, end_s = scenario.watched
    head = ["strategy", "answered", f"{begin_s:.0f} to {end_s:.0f} s", "p50", "p99", "cost", "attempts", "moved"]
    rows = [head, ["---"] * len(head)]
    for strategy in Strategy:
        alone, known = (comparison.run(strategy, affinity=affinity) for affinity in (False, True))
        runs = [run for run in (alone, known) if run is not None]
        rows.append(
            [
                f"`{strategy.value}`",
                _cell(runs, lambda run: _share(run.answered)),
                _cell(runs, lambda run: _share(run.watched)),
                _cell(runs, lambda run: _number(run.p50_s)),
                _cell(runs, lambda run: _number(run.p99_s)),
                _cell(runs, lambda run: _number(run.cost)),
                _cell(runs, lambda run: _number(run.attempts)),
                "" if known is None or not known.p50_s else f"{known.moved:.0%}",
            ]
        )
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([f"**{scenario.name.capitalize()}.** {scenario.what}", "", *lines, ""])


def _cell(runs: Iterable[Run], figure: Callable[[Run], str]) -> str:
    return " / ".join(dict.fromkeys(figure(run) for run in runs))


def _share(share: float) -> str:
    return "100%" if share == 1.0 else f"{share:.2%}"


def _number(value: float) -> str:
    return f"{value:.2f}" if value else "-"
