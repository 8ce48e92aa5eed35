"""The whole gateway in one loop, on a simulated clock and bus, with everything going wrong that can.

A failure names its seed: ``simulate(seed)`` runs the same course of events again.
"""

from collections import Counter

import pytest

from tests.sim.sim_clients import Outcome
from tests.sim.sim_scenario import Kind, simulate

SEEDS_PER_KIND = 25
"""Some 0.1 s each. For a longer search, call `simulate` in a loop."""


@pytest.mark.parametrize("kind", Kind)
def test_every_request_ends_once_and_the_ledger_fits(kind: Kind) -> None:
    outcomes: Counter[Outcome] = Counter()
    faults: dict[int, list[str]] = {}
    for number in range(SEEDS_PER_KIND):
        seed = number * len(Kind) + list(Kind).index(kind)
        report = simulate(seed)
        assert report.kind is kind
        outcomes += report.outcomes
        if report.faults:
            faults[seed] = report.faults
    assert not faults
    # What a simulation is for must happen in it.
    assert outcomes[Outcome.FULL] > outcomes.total() / 2
    for outcome in (Outcome.ERROR, Outcome.IN_BAND, Outcome.LEFT):
        assert outcomes[outcome] > SEEDS_PER_KIND / 4
    if kind in {Kind.DEATHS, Kind.STORM}:
        assert outcomes[Outcome.EDGE_DIED]


def test_a_seed_gives_the_same_course_of_events_each_time() -> None:
    assert simulate(3) == simulate(3)
