"""Two regions, simulated: who is helped by the other one, how soon, and at whose expense."""

import pytest

from bench.figures import percentile
from tests.sim.sim_admission import LOOK_S, Client
from tests.sim.sim_regions import ABROAD, HOME, OCEAN_S, SERVICE_S, Regions
from trunkline.policy.leaving import LEAVE_AFTER_S

PLACES = 20
"""Of each region, at two dispatchers."""

PER_S = PLACES / SERVICE_S
SECONDS = 120.0
SEEDS = (1, 2, 3, 4, 5)


def world(*clients: Client, seed: int) -> Regions:
    made = Regions(list(clients), dispatchers=4, places=PLACES // 2, seed=seed)
    made.run(SECONDS)
    return made


def at_home(under_way: int) -> Client:
    return Client(account=1, edge=HOME, under_way=under_way, obedient=False)


def abroad(under_way: int) -> Client:
    return Client(account=2, edge=ABROAD, under_way=under_way, obedient=False)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_region_with_room_keeps_all_to_itself(seed: int) -> None:
    found = world(at_home(PLACES - 1), abroad(5), seed=seed)
    assert not found.crossed
    assert max(found.waits_s[1]) < 0.01


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_too_much_for_one_region_is_soon_served_by_the_other(seed: int) -> None:
    found = world(at_home(PLACES + 12), abroad(4), seed=seed)
    assert not found.refused
    assert found.crossed[ABROAD] == 0
    # Home is nearly full all the time, and who leaves has lost little time, mostly that of the way.
    assert found.served[1] - found.crossed[HOME] > 0.85 * PER_S * SECONDS
    waits_s = sorted(found.waits_s[1])
    assert percentile(waits_s, 0.5) < OCEAN_S + 0.01
    assert percentile(waits_s, 0.9) < 2 * (LEAVE_AFTER_S + LOOK_S)
    assert percentile(waits_s, 0.99) < 0.6
    assert waits_s[-1] < 2 * SERVICE_S
    assert max(found.waits_s[2]) < 0.01


@pytest.mark.parametrize("seed", SEEDS)
def test_regions_that_are_both_full_keep_their_places(seed: int) -> None:
    found = world(at_home(6 * PLACES), abroad(2 * PLACES), seed=seed)
    for account in (1, 2):
        assert found.served[account] == pytest.approx(PER_S * SECONDS, rel=0.04)
    assert sum(found.crossed.values()) < 0.02 * 2 * PER_S * SECONDS


@pytest.mark.parametrize("seed", SEEDS)
def test_a_flood_at_home_takes_what_is_left_abroad_and_no_more(seed: int) -> None:
    found = world(at_home(500), abroad(2), seed=seed)
    assert found.served[1] + found.served[2] > 0.9 * 2 * PER_S * SECONDS
    assert not found.refused[2]
    assert percentile(sorted(found.waits_s[2]), 0.9) < 0.01
    assert max(found.waits_s[2]) < SERVICE_S
