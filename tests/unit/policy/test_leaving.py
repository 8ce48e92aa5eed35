"""When jobs leave a region that is full."""

from hypothesis import given
from hypothesis import strategies as st

from trunkline.policy.leaving import LEAVE_AFTER_S, LEFT_LATELY_S, SCOUT_EVERY_S, Leaving


def test_jobs_wait_at_home_for_a_while() -> None:
    lane = Leaving()
    assert not lane.allowed(10.0, 10.0)
    assert not lane.allowed(10.0, 10.0 + LEAVE_AFTER_S - 0.001)
    assert lane.allowed(10.0, 10.0 + LEAVE_AFTER_S + 0.001)


def test_after_one_has_left_others_need_not_wait() -> None:
    lane = Leaving()
    lane.left(10.0)
    assert lane.allowed(10.5, 10.5)
    assert not lane.allowed(10.0 + LEFT_LATELY_S, 10.0 + LEFT_LATELY_S)


@given(st.lists(st.floats(0.0, 0.3), max_size=60), st.sets(st.integers(0, 59)))
def test_scouts_leave_only_when_jobs_may_and_not_too_often(steps: list[float], leaves: set[int]) -> None:
    lane, now, since, scouted = Leaving(), 0.0, 0.0, [float("-inf")]
    for index, step in enumerate(steps):
        now += step
        if lane.scout(since, now):
            assert lane.allowed(since, now)
            assert now - scouted[-1] >= SCOUT_EVERY_S
            scouted.append(now)
        else:
            assert not lane.allowed(since, now) or now - scouted[-1] < SCOUT_EVERY_S
        if index in leaves:
            lane.left(now)
            since = now
