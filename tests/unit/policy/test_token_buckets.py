"""Rates by key: a burst, then the rate; no key takes from another, and few are remembered."""

import pytest

from trunkline.policy.token_buckets import TokenBuckets

NOW = 1000.0


def taken(buckets: TokenBuckets, key: int, now: float, tries: int) -> int:
    return sum(buckets.take(key, now) == 0 for _ in range(tries))


def test_a_full_bucket_has_its_burst_and_then_the_rate() -> None:
    buckets = TokenBuckets(10.0, 5, 100)
    assert taken(buckets, 1, NOW, 9) == 5
    assert buckets.take(1, NOW) == pytest.approx(0.1)
    assert buckets.take(1, NOW + 0.05) == pytest.approx(0.05)
    assert taken(buckets, 1, NOW + 0.101, 9) == 1
    assert taken(buckets, 1, NOW + 0.401, 9) == 3
    assert taken(buckets, 1, NOW + 60, 9) == 5


def test_a_wait_that_was_told_is_long_enough() -> None:
    buckets = TokenBuckets(3.0, 2, 100)
    now = NOW
    for _ in range(50):
        while wait_s := buckets.take(1, now):
            now += wait_s
    assert now == pytest.approx(NOW + 48 / 3)


def test_each_key_has_its_own() -> None:
    buckets = TokenBuckets(1.0, 3, 100)
    assert [taken(buckets, key, NOW, 5) for key in (1, 2)] == [3, 3]


def test_of_many_keys_the_one_used_longest_ago_is_forgotten() -> None:
    buckets = TokenBuckets(1.0, 1, 3)
    for key in (1, 2, 3, 1, 4):
        buckets.take(key, NOW)
    assert len(buckets) == 3
    assert buckets.take(2, NOW) == 0, "it was forgotten"
    assert buckets.take(4, NOW) > 0
    for key in range(1_000):
        buckets.take(key, NOW)
    assert len(buckets) == 3
