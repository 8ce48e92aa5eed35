"""The plots of docs/routing.md, from what `bench.strategies` has found. Pure."""

import math
from collections.abc import Callable, Iterable, Sequence

from bench import svg
from bench.fleet_scenarios import Scenario
from bench.strategies import LATE_SHARE, Comparison, Moment
from bench.svg import Axis, Line
from trunkline.bus.snapshots import Strategy

_SECONDS_STEP = 20.0


def plots(comparisons: Iterable[Comparison]) -> dict[str, str]:
    """Return SVG texts by file name."""
    found = {comparison.scenario.name: comparison for comparison in comparisons}
    brown_out, cold = found["brown-out"], found["slow starts"]
    late = f"first token, {LATE_SHARE:.0%} within, s"
    return {
        "brown-out-first-token.svg": _over_time(
            "Brown-out of the fastest of three", brown_out, late, lambda moment: moment.late_s
        ),
        "brown-out-share.svg": _over_time(
            "Brown-out: who still asks the slow one",
            brown_out,
            "its share of attempts, %",
            _share_of("fast", brown_out),
        ),
        "slow-starts.svg": _over_time(
            "Slow starts, conversations known: the cold ones are the better ones",
            cold,
            "first token, median, s",
            lambda moment: moment.p50_s,
            affinity=any(run.affinity for run in cold.runs),
        ),
        "all-fail.svg": _all_fail(found["all fail"]),
        "mixed-day.svg": _mixed_day(found["mixed day"]),
    }


def _share_of(name: str, comparison: Comparison) -> Callable[[Moment], float]:
    number = [provider.name for provider in comparison.scenario.providers].index(name) + 1
    return lambda moment: 100 * moment.shares[number]


def _over_time(
    title: str, comparison: Comparison, name: str, figure: Callable[[Moment], float], *, affinity: bool = False
) -> str:
    drawn = [
        Line(strategy.value, [(moment.at_s, figure(moment)) for moment in run.moments])
        for strategy in Strategy
        if (run := comparison.run(strategy, affinity=affinity)) is not None
    ]
    trouble = _trouble(comparison.scenario)
    return svg.lines(title, _time(comparison.scenario), _upwards(name, drawn), drawn, trouble)


def _all_fail(comparison: Comparison) -> str:
    run = comparison.run(Strategy.PRIORITY, affinity=False)
    moments = [] if run is None else run.moments
    drawn = [
        Line("attempts per request", [(moment.at_s, moment.attempts) for moment in moments]),
        Line("share of requests answered", [(moment.at_s, moment.answered) for moment in moments]),
    ]
    scenario = comparison.scenario
    upwards = Axis("", 0.0, 2.0, 0.5)
    return svg.lines("All fail: retries stay bounded", _time(scenario), upwards, drawn, _trouble(scenario))


def _mixed_day(comparison: Comparison) -> str:
    drawn = []
    for strategy in Strategy:
        runs = [run for run in comparison.runs if run.strategy is strategy]
        drawn.append(Line(strategy.value, [(run.cost, run.p50_s) for run in runs]))
    across = _upwards("cost of a token, over the cheapest channel's", [_turned(line) for line in drawn], least=1.0)
    title = "Mixed day: price and speed (hollow: conversations known)"
    return svg.points(title, across, _upwards("first token, median, s", drawn), drawn)


def _turned(line: Line) -> Line:
    return Line(line.name, [(up, across) for across, up in line.points])


def _time(scenario: Scenario) -> Axis:
    return Axis("seconds", 0.0, scenario.seconds, _SECONDS_STEP)


def _trouble(scenario: Scenario) -> tuple[float, float] | None:
    troubles = [trouble for provider in scenario.providers for trouble in provider.troubles]
    return (troubles[0].begin_s, troubles[0].end_s) if troubles else None


def _upwards(name: str, drawn: Sequence[Line], least: float = 0.0) -> Axis:
    """Return an axis of about five marks that has room for all points."""
    most = max((up for line in drawn for _, up in line.points), default=0.0) - least
    most = most if most > 0 else 1.0
    rough = most / 5
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    return Axis(name, least, least + step * math.ceil(most / step), step)
