"""What edges spend together without metering: no more than was left when it was heard last, each within its grace."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.allowance_world import START_MS, SimulatedEdge, World, need
from tests.support.examples import examples
from trunkline.bus.allowance import Meter, MeterKind, Period
from trunkline.policy.lease import Hold, JobNeed

EDGES = 3

asks = st.lists(st.tuples(st.integers(0, EDGES - 1), st.integers(1, 900)), max_size=12)


def held_nano(edge: SimulatedEdge) -> int:
    return sum(hold.need.amounts[0] for hold in edge.holds)


def go_on(edge: SimulatedEdge, wanted: JobNeed, grace_nano: int) -> None:
    """Start a job as an edge does that metering does not answer."""
    lease, now = edge.lease, edge.world.now
    held = lease.hold(wanted, now)
    if not isinstance(held, Hold):
        lease.report([wanted], now)
        lease.lost()
        if lease.extend([wanted], now, START_MS, grace_nano):
            held = lease.hold(wanted, now)
    if isinstance(held, Hold):
        edge.holds.append(held)


@given(
    balance=st.integers(0, 4_000),
    budget=st.integers(0, 4_000),
    grace_nano=st.integers(0, 2_000),
    before=asks,
    away=asks,
)
@settings(max_examples=examples(3), deadline=None)
def test_the_grace_is_of_what_was_left(
    balance: int, budget: int, grace_nano: int, before: list[tuple[int, int]], away: list[tuple[int, int]]
) -> None:
    world = World([Meter("account:daily", MeterKind.MONEY, Period.DAY, budget)], balance)
    edges = [world.edge() for _ in range(EDGES)]
    for edge in edges:
        world.draw(edge, edge.lease.report((), world.now))
    for number, nano in before:
        edges[number].ask([need(nano)])
    for edge in edges:  # all hear what is left now, and hold nothing that no job has
        world.draw(edge, edge.lease.report((), world.now, recalled=True))
    heard = [held_nano(edge) for edge in edges]
    for number, nano in away:
        go_on(edges[number], need(nano), grace_nano)
    assert sum(map(held_nano, edges)) <= min(balance, budget)
    assert all(held_nano(edge) - before <= grace_nano for edge, before in zip(edges, heard, strict=True))
