"""What each strategy must make of trouble, whatever else it does: a fleet in simulated time (`bench.fleet`).

A failure repeats itself: nothing here looks at a clock. Figures of all scenarios: ``python -m bench strategies``.
"""

from collections.abc import Callable
from functools import cache

import pytest

from bench import fleet_scenarios
from bench.fleet import Fleet
from bench.fleet_scenarios import Scenario
from bench.strategies import Run, simulate, summed_up
from trunkline.bus.snapshots import Strategy
from trunkline.policy.breaker import PROBING_WEIGHT

SEED = 7
DEATH_SEEN_S = 5.0
"""A channel that dies under load is ejected within this."""

RECOVERED_S = 40.0
"""So long after a brown-out its channel has its share again: two half-lives at two processes, and some to be found."""

STRATEGIES = list(Strategy)


def shorter(scenario: Scenario) -> Scenario:
    """A fifth of the requests: at a fifth of the answers at a time as well, so that nobody is less crowded."""
    providers = tuple(provider._replace(answers=provider.answers // 5) for provider in scenario.providers)
    return scenario._replace(providers=providers, per_s=scenario.per_s / 5)


def fleet(make: Callable[[int], Scenario], strategy: Strategy, *, affinity: bool = False) -> Fleet:
    return simulate(shorter(make(SEED)), strategy, SEED, affinity=affinity)


@cache
def run(make: Callable[[int], Scenario], strategy: Strategy, *, affinity: bool = False) -> Run:
    return summed_up(shorter(make(SEED)), fleet(make, strategy, affinity=affinity), strategy, affinity=affinity)


def test_a_seed_gives_the_same_course_of_events_each_time() -> None:
    first, second = (fleet(fleet_scenarios.outage, Strategy.LATENCY, affinity=True) for _ in range(2))
    assert first.served == second.served
    assert first.calls == second.calls
    assert len(first.served) > 1000


@pytest.mark.parametrize("affinity", [False, True])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_dead_channel_costs_what_it_was_answering_and_nothing_after(strategy: Strategy, *, affinity: bool) -> None:
    dead = 1
    world = fleet(fleet_scenarios.outage, strategy, affinity=affinity)
    begin_s, end_s = fleet_scenarios.TROUBLE_S
    after = [one for one in world.served if one.at_s >= begin_s]
    assert sum(one.whole for one in after) >= 0.999 * len(after)
    # Those that were cut had begun to answer before: nobody can take them over.
    assert all(one.first_s is not None for one in world.served if not one.whole)
    asked = [call for call in world.calls if call.channel == dead and begin_s + DEATH_SEEN_S <= call.at_s < end_s]
    assert not [call for call in asked if call.weight == 0]
    assert len(asked) <= 3
    if strategy in {Strategy.PRIORITY, Strategy.LEAST_BUSY}:  # the others need not want it
        assert [call for call in world.calls if call.channel == dead and call.at_s > end_s + 30.0]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_channel_on_trial_gets_a_trickle(strategy: Strategy) -> None:
    world = fleet(fleet_scenarios.outage, strategy)
    trial = [call for call in world.calls if 0 < call.weight <= PROBING_WEIGHT]
    assert trial or strategy is Strategy.COST
    if trial:
        begin_s, end_s = min(call.at_s for call in trial), max(call.at_s for call in trial) + 1.0
        beside = [call for call in world.calls if begin_s <= call.at_s < end_s]
        assert len(trial) < 2 * PROBING_WEIGHT * len(beside) + 5


def test_in_a_brown_out_latency_leaves_the_slow_one_and_comes_back() -> None:
    latency, priority = (run(fleet_scenarios.brown_out, each) for each in (Strategy.LATENCY, Strategy.PRIORITY))
    assert latency.p99_s < 0.95 * priority.p99_s
    assert latency.p50_s < 0.95 * priority.p50_s
    assert latency.watched >= 0.999
    slow, (begin_s, end_s) = 2, fleet_scenarios.TROUBLE_S
    shares = {moment.at_s: moment.shares[slow] for moment in latency.moments}
    before, meanwhile, after = (
        [share for at_s, share in shares.items() if from_s < at_s < to_s]
        for from_s, to_s in ((20.0, begin_s), (begin_s + 15.0, end_s), (end_s + RECOVERED_S, 180.0))
    )
    assert min(before) > 0.5
    assert max(meanwhile) < 0.3
    assert sum(after) / len(after) > 0.5


@pytest.mark.parametrize(
    "make", [fleet_scenarios.calm, fleet_scenarios.outage, fleet_scenarios.brown_out, fleet_scenarios.slow_starts]
)
def test_cost_is_the_cheapest(make: Callable[[int], Scenario]) -> None:
    costs = {strategy: run(make, strategy).cost for strategy in STRATEGIES}
    assert min(costs, key=costs.__getitem__) is Strategy.COST
    assert costs[Strategy.COST] == pytest.approx(1.0)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_when_all_fail_retries_are_few_and_all_are_answered_soon_after(strategy: Strategy) -> None:
    found = run(fleet_scenarios.all_fail, strategy)
    assert found.watched < 0.01
    assert found.attempts <= 1.3
    _, end_s = fleet_scenarios.TROUBLE_S
    assert all(moment.answered == 1.0 for moment in found.moments if moment.at_s > end_s + 5.0)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_calm_conversation_stays_where_it_is(strategy: Strategy) -> None:
    moved = run(fleet_scenarios.calm, strategy, affinity=True).moved
    assert moved <= (0.2 if strategy in {Strategy.LATENCY, Strategy.THROUGHPUT, Strategy.LEAST_BUSY} else 0.0)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_limits_that_are_told_are_not_run_into(strategy: Strategy) -> None:
    scenario = fleet_scenarios.limit_storm(SEED, tells=True)
    world = simulate(scenario._replace(seconds=90.0), strategy, SEED, affinity=False)
    refused = sum(call.status == 429 for call in world.calls)
    assert refused <= 0.002 * len(world.calls)
    assert all(one.whole for one in world.served)
