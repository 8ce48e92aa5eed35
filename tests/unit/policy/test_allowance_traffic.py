"""Limits and money under traffic from several edges: never more than the bound, and not much less."""

import random
from collections.abc import Sequence

import pytest

from tests.support.allowance_world import World, need
from trunkline.bus.allowance import Meter, MeterKind, Period
from trunkline.core.limits import RECALL_AGE_MS

MINUTE_MS = 60_000


def minute(kind: MeterKind, limit: int, name: str = "tier:rpm") -> Meter:
    return Meter(name, kind, Period.MINUTE, limit)


def most_in_a_minute(moments_ms: Sequence[int], amounts: Sequence[int] | None = None) -> int:
    """Return the largest sum over any 60 seconds, wherever they begin."""
    amounts = amounts or [1] * len(moments_ms)
    best, total, first = 0, 0, 0
    for last, moment_ms in enumerate(moments_ms):
        total += amounts[last]
        while moments_ms[first] <= moment_ms - MINUTE_MS:
            total -= amounts[first]
            first += 1
        best = max(best, total)
    return best


@pytest.mark.parametrize("edges", [1, 4])
@pytest.mark.parametrize("per_step", [1, 7])
def test_no_minute_holds_more_requests_than_the_limit_and_most_are_used(edges: int, per_step: int) -> None:
    world = World([minute(MeterKind.REQUESTS, 100)])
    fleet = [world.edge() for _ in range(edges)]
    draw = random.Random(5)
    begun: list[int] = []
    for _ in range(8 * 300):  # five minutes in steps of an eighth of a second
        edge = draw.choice(fleet)
        needs = [need() for _ in range(per_step)]
        begun += [world.now_ms] * (per_step - len(edge.ask(needs)))
        for held in list(edge.holds):
            edge.finish(held)
        world.now_ms += draw.choice([0, 100, 150, 250])
        for edge in fleet:
            edge.renew()
    assert most_in_a_minute(begun) <= 100
    minutes = (world.now_ms - begun[0]) / MINUTE_MS
    assert len(begun) / minutes > 90


def test_a_burst_takes_the_limit_to_the_last_and_the_next_one_a_minute_later() -> None:
    world = World([minute(MeterKind.REQUESTS, 100)])
    fleet = [world.edge() for _ in range(4)]
    served = [500 - len(edge.ask([need()] * 500)) for edge in fleet]
    assert sum(served) == 100
    world.now_ms += 59_000
    assert sum(500 - len(edge.ask([need()] * 500)) for edge in fleet) == 0
    world.now_ms += 2_500
    assert sum(500 - len(edge.ask([need()] * 500)) for edge in fleet) == 100


def test_units_that_were_not_used_come_back() -> None:
    world = World([minute(MeterKind.TOKENS, 1_000, "tier:tpm")])
    edge = world.edge()
    for _ in range(12):
        # Each is held at 300 tokens and uses 50: twelve of them would not fit by their holds.
        assert not edge.ask([need(tokens=300)])
        edge.finish(edge.holds[0], tokens=50)
        world.now_ms += 300
    assert sum(world.state.windows["tier:tpm"].values()) < 1_000


def test_tokens_beyond_the_hold_are_counted() -> None:
    world = World([minute(MeterKind.TOKENS, 1_000, "tier:tpm")])
    edge = world.edge()
    assert not edge.ask([need(tokens=100)])
    edge.finish(edge.holds[0], tokens=950)
    world.now_ms += 600
    edge.renew()
    assert edge.ask([need(tokens=100)])


@pytest.mark.parametrize("edges", [1, 4])
def test_a_balance_is_served_to_its_last_cent(edges: int) -> None:
    """A hundred jobs' worth of money, holds of three times what jobs come to, and bursts of 500 at each edge."""
    world = World([], balance=100 * 1_000)
    fleet = [world.edge() for _ in range(edges)]
    waiting = {edge.name: 500 for edge in fleet}
    served = 0
    for _ in range(400):
        for edge in fleet:
            waiting[edge.name] = len(edge.ask([need(nano=3_000)] * waiting[edge.name], polls=1))
        for edge in fleet:
            for held in list(edge.holds):
                edge.finish(held, nano=1_000)
                served += 1
        world.now_ms += 25
        assert world.balance >= 0
    # What is left is less than one hold, so no job could be sure of its end.
    assert served == 98
    assert world.balance == 2_000


def test_permits_are_never_more_than_the_limit_and_move_to_where_jobs_are() -> None:
    world = World([Meter("tier:concurrency", MeterKind.CONCURRENCY, Period.NONE, 10)])
    first, second = world.edge(), world.edge()
    assert len(first.ask([need()] * 30)) == 20
    assert len(second.ask([need()] * 30)) == 30
    for held in list(first.holds):
        first.finish(held)
    # Ten permits lie idle at the first edge; the second gets them when it asks again.
    world.now_ms += RECALL_AGE_MS
    assert len(second.ask([need()] * 30)) == 20
    assert len(first.holds) + len(second.holds) == 10


def test_a_busy_key_draws_rarely() -> None:
    world = World([minute(MeterKind.REQUESTS, 100_000)])
    edge = world.edge()
    for _ in range(2_000):  # 200 requests a second for ten seconds
        assert not edge.ask([need(nano=500)])
        edge.finish(edge.holds[0], nano=200)
        world.now_ms += 5
        edge.renew()
    assert world.draws < 40


def test_the_tightest_of_several_limits_decides() -> None:
    world = World(
        [
            minute(MeterKind.REQUESTS, 50),
            Meter("key:1:rpm", MeterKind.REQUESTS, Period.MINUTE, 20, key=1),
            Meter("tier:rpm:gpt-*", MeterKind.REQUESTS, Period.MINUTE, 10, models=("gpt-*",)),
        ]
    )
    edge = world.edge()
    assert len(edge.ask([need(model="gpt-4o")] * 30)) == 20
    assert len(edge.ask([need(model="claude")] * 30)) == 20
    assert len(edge.ask([need(model="claude", key=2)] * 50)) == 20


def test_a_day_begins_anew_in_the_accounts_time_zone() -> None:
    world = World([Meter("tier:rpd", MeterKind.REQUESTS, Period.DAY, 5)])
    edge = world.edge()
    assert len(edge.ask([need()] * 8)) == 3
    world.now_ms += 24 * 3_600_000
    assert len(edge.ask([need()] * 8)) == 3
