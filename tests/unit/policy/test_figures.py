"""Live figures: means that forget, what is under way, and the times of which a second attempt is made."""

import math

import pytest

from trunkline.bus.snapshots import ModelFigures
from trunkline.policy.figures import (
    EVIDENCE_MIN,
    FAILURES_MAX,
    HALF_LIFE_S,
    TIMES_MIN,
    Ewma,
    LiveFigures,
)


def test_a_mean_of_nothing_is_unknown_and_of_one_is_that_one() -> None:
    mean = Ewma()
    assert mean.mean(0.0) is None
    mean.add(3.0, 10.0)
    assert mean.mean(10.0) == 3.0


def test_an_observation_loses_half_its_weight_in_a_half_life() -> None:
    mean = Ewma(half_life_s=10.0)
    mean.add(0.0, 0.0)
    mean.add(0.0, 0.0)
    mean.add(3.0, 10.0)
    # Two halves of nothing against one whole three.
    assert mean.mean(10.0) == pytest.approx(1.5)


def test_what_is_long_ago_is_unknown_again() -> None:
    mean = Ewma()
    mean.add(3.0, 0.0)
    last = -math.log2(EVIDENCE_MIN) * HALF_LIFE_S
    assert mean.mean(last) == 3.0
    assert mean.mean(last + 0.01) is None


def test_a_clock_that_steps_back_forgets_nothing() -> None:
    mean = Ewma()
    mean.add(1.0, 100.0)
    mean.add(3.0, 50.0)
    assert mean.mean(50.0) == 2.0


def test_an_attempt_counts_as_waiting_until_its_stream_begins_and_as_in_flight_until_its_end() -> None:
    figures = LiveFigures()
    underway = figures.begin(1, "m")
    record = figures.channel(1)
    assert record is not None
    assert (record.in_flight, record.waiting) == (1, 1)
    underway.first_output(0.4, 0.4)
    assert (record.in_flight, record.waiting) == (1, 0)
    underway.end()
    assert (record.in_flight, record.waiting) == (0, 0)
    figures.begin(1, "m").end()
    assert (record.in_flight, record.waiting) == (0, 0)


def test_streams_and_whole_answers_are_not_compared() -> None:
    figures = LiveFigures()
    figures.begin(1, "m").first_output(0.5, 0.0)
    figures.begin(1, "m").answered(4.0, 0.0)
    record = figures.record(1, "m")
    assert record is not None
    assert (record.expected_s(0.0, stream=True), record.expected_s(0.0, stream=False)) == (0.5, 4.0)


def test_failures_make_the_expected_time_longer_but_not_endless() -> None:
    figures = LiveFigures()
    underway = figures.begin(1, "m")
    underway.first_output(0.5, 0.0)
    underway.judged(failed=True, now=0.0)
    record = figures.record(1, "m")
    assert record is not None
    assert record.expected_s(0.0, stream=True) == pytest.approx(0.5 / (1 - FAILURES_MAX))
    underway.judged(failed=False, now=0.0)
    assert record.expected_s(0.0, stream=True) == pytest.approx(1.0)


def test_what_health_says_counts_where_nothing_was_seen_of_late() -> None:
    figures = LiveFigures()
    figures.publish(1, {"m": ModelFigures(first_token_ms=700, tokens_per_s=50)})
    record = figures.record(1, "m")
    assert record is not None
    assert (record.expected_s(0.0, stream=True), record.speed(0.0)) == (0.7, 50)
    assert record.expected_s(0.0, stream=False) is None
    figures.begin(1, "m").first_output(0.2, 0.0)
    assert record.expected_s(0.0, stream=True) == 0.2
    figures.publish(1, {})
    assert record.expected_s(1000.0, stream=True) is None


def test_the_speed_is_that_of_the_tokens_after_the_first() -> None:
    figures = LiveFigures()
    underway = figures.begin(1, "m")
    underway.streamed(100, 2.0, 0.0)
    underway.streamed(1, 2.0, 0.0)  # one token has no speed
    underway.streamed(100, 0.0, 0.0)
    record = figures.record(1, "m")
    assert record is not None
    assert record.speed(0.0) == 50.0


def test_the_95th_percentile_needs_enough_and_is_of_the_last_ones() -> None:
    figures = LiveFigures()
    assert figures.late_after_s(1, "m", stream=True) is None
    for number in range(TIMES_MIN):
        assert figures.late_after_s(1, "m", stream=True) is None
        figures.begin(1, "m").first_output(number / 10, 0.0)
    assert figures.late_after_s(1, "m", stream=True) == pytest.approx(1.9)
    for _ in range(1000):
        figures.begin(1, "m").first_output(0.3, 0.0)
    assert figures.late_after_s(1, "m", stream=True) == 0.3


def test_whole_answers_are_late_by_their_own_times() -> None:
    figures = LiveFigures()
    for _ in range(TIMES_MIN):
        figures.begin(1, "m").first_output(0.1, 0.0)
    assert figures.late_after_s(1, "m", stream=False) is None
    for _ in range(TIMES_MIN):
        figures.begin(1, "m").answered(3.0, 0.0)
    assert figures.late_after_s(1, "m", stream=False) == 3.0
    assert figures.late_after_s(1, "m", stream=True) == 0.1


def test_an_attempt_that_was_outrun_takes_that_long_at_the_least() -> None:
    figures = LiveFigures()
    figures.begin(1, "m").first_output(1.0, 0.0)
    figures.begin(1, "m").outrun(2.0, 0.0, stream=True)
    record = figures.record(1, "m")
    assert record is not None
    assert record.expected_s(0.0, stream=True) == 1.5
    assert record.expected_s(0.0, stream=False) is None
    figures.begin(1, "m").answered(2.0, 0.0)
    figures.begin(1, "m").outrun(3.0, 0.0, stream=False)
    assert record.expected_s(0.0, stream=False) == 2.5
    assert list(record.first_tokens) == [1.0]


def test_one_that_was_given_up_soon_does_not_look_quick_for_it() -> None:
    figures = LiveFigures()
    figures.begin(1, "m").outrun(0.01, 0.0, stream=True)
    record = figures.record(1, "m")
    assert record is not None
    assert record.expected_s(0.0, stream=True) is None
    figures.begin(1, "m").first_output(2.0, 0.0)
    figures.begin(1, "m").outrun(0.01, 0.0, stream=True)
    assert record.expected_s(0.0, stream=True) == 2.0
    figures.begin(1, "m").outrun(3.0, 1000.0, stream=True)
    assert record.expected_s(1000.0, stream=True) == pytest.approx(3.0)
    assert not record.wholes


def test_a_deleted_channel_is_forgotten_and_its_attempts_end_all_the_same() -> None:
    figures = LiveFigures()
    underway = figures.begin(1, "m")
    figures.forget(1)
    underway.end()
    assert figures.channel(1) is None
