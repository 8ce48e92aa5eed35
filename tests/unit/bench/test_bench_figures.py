import pytest

from bench.figures import middle, percentile, ratio, spent_us


def test_percentiles_are_nearest_ranks() -> None:
    ordered = [float(value) for value in range(1, 101)]
    assert percentile(ordered, 0.5) == 50.0
    assert percentile(ordered, 0.99) == 99.0
    assert percentile(ordered, 1.0) == 100.0
    assert percentile([7.0], 0.01) == 7.0
    assert percentile([1.0, 2.0], 0.99) == 2.0


def test_nothing_has_no_middle() -> None:
    assert percentile([], 0.5) == 0.0
    assert middle([]) == 0.0
    assert middle([3.0, 1.0, 2.0]) == 2.0


def test_idle_use_is_taken_off() -> None:
    # 2 s of CPU in 10 s, of which 0.05 s per second are idle use: 1.5 s for 1000 units.
    assert spent_us(2.0, 10.0, 0.05, 1000) == pytest.approx(1500.0)


def test_less_than_the_idle_use_costs_nothing() -> None:
    assert spent_us(0.1, 10.0, 0.05, 1000) == 0.0
    assert spent_us(1.0, 1.0, 0.0, 0) == 0.0


def test_a_ratio_to_nothing_is_nothing() -> None:
    assert ratio(3.0, 2.0) == 1.5
    assert ratio(3.0, 0.0) == 0.0
