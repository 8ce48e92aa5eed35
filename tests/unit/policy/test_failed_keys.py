"""How many wrong keys an address may try, for any course of time and any number of addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.policy.addresses import block_of
from trunkline.policy.failed_keys import DEBT_S_MAX, WINDOW_S, FailedKeys

ADDRESS, OTHER = "198.51.100.7", "198.51.100.8"


def failed(keys: FailedKeys, times: int, now: float, address: str = ADDRESS) -> list[bool]:
    return [keys.fail(address, now) for _ in range(times)]


def test_a_minutes_failures_may_come_at_once_and_then_one_at_a_time() -> None:
    keys = FailedKeys(60)
    assert failed(keys, 59, 10.0) == [False] * 59
    assert keys.wait_s(ADDRESS, 10.0) == 0.0
    assert keys.fail(ADDRESS, 10.0)
    assert keys.wait_s(ADDRESS, 10.0) == pytest.approx(1.0)
    assert keys.wait_s(ADDRESS, 10.75) == pytest.approx(0.25)
    assert keys.wait_s(ADDRESS, 11.0) == 0.0
    assert keys.fail(ADDRESS, 11.0)  # which is again one too many
    assert keys.wait_s(ADDRESS, 11.0) == pytest.approx(1.0)


def test_others_are_not_kept_waiting() -> None:
    keys = FailedKeys(2)
    assert failed(keys, 2, 0.0) == [False, True]
    assert keys.wait_s(ADDRESS, 0.0) > 0
    assert keys.wait_s(OTHER, 0.0) == 0.0


def test_what_came_at_the_same_time_is_owed_but_not_for_ever() -> None:
    keys = FailedKeys(60)
    failed(keys, 120, 0.0)
    assert keys.wait_s(ADDRESS, 0.0) == pytest.approx(61.0)
    failed(keys, 100_000, 0.0)
    assert keys.wait_s(ADDRESS, 0.0) == pytest.approx(DEBT_S_MAX - WINDOW_S + 1.0)
    assert keys.wait_s(ADDRESS, DEBT_S_MAX) == 0.0


def test_what_flowed_off_is_forgotten() -> None:
    keys = FailedKeys(60)
    for number in range(100):
        keys.fail(f"198.51.100.{number}", 0.0)
    assert len(keys) == 100
    keys.fail(OTHER, 2.0)
    assert len(keys) == 1


def test_no_more_addresses_than_a_bound_are_remembered() -> None:
    keys = FailedKeys(1, addresses_max=3)
    for number in range(5):
        keys.fail(f"198.51.100.{number}", float(number))
    assert len(keys) == 3
    assert [keys.wait_s(f"198.51.100.{number}", 5.0) > 0 for number in range(5)] == [False, False, True, True, True]


def test_a_bound_of_one() -> None:
    keys = FailedKeys(1)
    assert keys.fail(ADDRESS, 0.0)
    assert keys.wait_s(ADDRESS, 0.0) == pytest.approx(60.0)
    assert keys.wait_s(ADDRESS, 60.0) == 0.0


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_a_home_is_one_client(address: str, block: str) -> None:
    assert block_of(address) == block


@given(
    per_minute=st.integers(1, 600),
    steps=st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=300),
)
def test_who_asks_first_never_fails_more_often_than_allowed(per_minute: int, steps: list[float]) -> None:
    """In any span of time: a minute's failures, and what has flowed off meanwhile."""
    keys, now, failures = FailedKeys(per_minute), 0.0, []
    for step in steps:
        now += step
        if not keys.wait_s(ADDRESS, now):
            keys.fail(ADDRESS, now)
            failures.append(now)
    for first, began in enumerate(failures):
        for count, at in enumerate(failures[first:], start=1):
            assert count <= per_minute + (at - began) * per_minute / WINDOW_S + 1e-3


@given(
    st.lists(st.tuples(st.integers(0, 9), st.floats(0, 5, allow_nan=False), st.booleans()), max_size=200),
    st.integers(1, 5),
)
def test_any_course_is_bounded_in_memory_and_in_what_is_said(
    course: list[tuple[int, float, bool]], addresses_max: int
) -> None:
    keys, now = FailedKeys(3, addresses_max), 0.0
    for number, step, fails in course:
        now += step
        address = f"198.51.100.{number}"
        if fails:
            over = keys.fail(address, now)
            assert not over or keys.wait_s(address, now) > 0
        assert 0.0 <= keys.wait_s(address, now) <= DEBT_S_MAX
        assert len(keys) <= addresses_max
