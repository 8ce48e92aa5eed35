"""Overload, simulated: who gets how much of a full gateway, how long others wait, and what those hear who cannot."""

import pytest

from bench.figures import percentile
from tests.sim.sim_admission import SERVICE_S, Client, World

PLACES = 10
CAPACITY_PER_S = PLACES / SERVICE_S
SECONDS = 60.0


def shares(world: World) -> dict[int, float]:
    total = sum(world.served.values())
    return {account: served / total for account, served in world.served.items()}


def test_a_burst_takes_only_what_the_others_leave() -> None:
    burst = Client(account=1, under_way=900, obedient=False)
    steady = [Client(account=2 + number, under_way=1) for number in range(3)]
    world = World([burst, *steady])
    world.run(SECONDS)
    assert sum(world.served.values()) > 0.97 * CAPACITY_PER_S * SECONDS
    for client in steady:
        # One at a time: each waits for its turn and is served, over and over.
        assert world.refused[client.account] == 0
        assert max(world.waits_s[client.account]) < 2 * SERVICE_S
    assert world.refused[1] > 500


def test_accounts_that_all_want_more_get_the_same() -> None:
    clients = [Client(account=number, under_way=10 * 3**number, obedient=False) for number in range(1, 5)]
    world = World(clients)
    world.run(SECONDS)
    for share in shares(world).values():
        assert share == pytest.approx(0.25, abs=0.01)
    assert sum(world.served.values()) > 0.97 * CAPACITY_PER_S * SECONDS


@pytest.mark.parametrize("dispatchers", [1, 5])
def test_edges_take_turns_however_many_jobs_each_has_under_way(dispatchers: int) -> None:
    burst = Client(account=1, edge=0, under_way=500, obedient=False)
    world = World([burst], edges=2, dispatchers=dispatchers, places=PLACES // dispatchers)
    world.run(5.0)
    before = world.served[1]
    assert before > 0.95 * CAPACITY_PER_S * 5.0  # the first edge has it all
    late = World(
        [burst, Client(account=2, edge=1, under_way=1), Client(account=3, edge=1, under_way=100, obedient=False)],
        edges=2,
        dispatchers=dispatchers,
        places=PLACES // dispatchers,
    )
    late.run(SECONDS)
    assert max(late.waits_s[2]) < 5 * SERVICE_S + 1.0  # a beat is the longest that a loss of words may last
    assert percentile(sorted(late.waits_s[2]), 0.99) < 5 * SERVICE_S
    assert shares(late)[1] == pytest.approx(0.5, abs=0.03)
    assert sum(late.served.values()) > 0.95 * CAPACITY_PER_S * SECONDS


def test_a_higher_priority_goes_first_and_the_lowest_still_gets_its_part() -> None:
    clients = [
        Client(account=1, under_way=300, priority=0, obedient=False),
        Client(account=2, under_way=300, priority=10, obedient=False),
        Client(account=3, under_way=300, priority=20, obedient=False),
    ]
    world = World(clients)
    world.run(SECONDS)
    found = shares(world)
    assert found[3] == pytest.approx(12 / 16, abs=0.02)
    assert found[2] == pytest.approx(3 / 16, abs=0.02)
    assert found[1] == pytest.approx(1 / 16, abs=0.02)


def within_a_factor_of_two(world: World) -> float:
    """Return for which part of the jobs that were told to wait a second or more that was true."""
    told = [took / said for said, took in world.retries_s if said >= 1.0]
    assert len(told) > 200
    return sum(1 / 2 <= ratio <= 2 for ratio in told) / len(told)


def test_who_is_refused_in_a_burst_is_told_when_there_will_be_room() -> None:
    world = World([Client(account=1, under_way=800, once=True), Client(account=2)], wait_s=2.0)
    world.run(SECONDS)
    assert within_a_factor_of_two(world) > 0.98
    assert (world.served[1], world.refused[2]) == (800, 0)


def test_under_a_load_that_stays_too_high_it_is_true_for_most() -> None:
    world = World([Client(account=1, under_way=600), Client(account=2)], wait_s=2.0)
    world.run(SECONDS)
    assert within_a_factor_of_two(world) > 0.6
    assert world.refused[2] == 0
    assert sum(world.served.values()) > 0.97 * CAPACITY_PER_S * SECONDS


def test_thousands_of_accounts() -> None:
    clients = [Client(account=number, under_way=3, obedient=False) for number in range(2000)]
    world = World(clients, places=200)
    world.run(20.0)
    served = [world.served[number] for number in range(2000)]
    assert max(served) - min(served) <= 3
    assert sum(served) > 0.97 * 400 / SERVICE_S * 20.0
