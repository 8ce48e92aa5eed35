"""Leaps of a clock that is read over the network are told from slow answers, and remembered while they matter."""

import pytest

from trunkline.policy.leaps import KEPT_S, LEAPS_MAX, LeapWatch

WALL_MS = 1_800_000_000_000


class Rig:
    """A clock, and its readings."""

    def __init__(self) -> None:
        self.watch = LeapWatch()
        self.now_s = 100.0
        self.ahead_ms = 0.0

    def read(self, *, after_s: float = 1.0, there_s: float = 0.001, back_s: float = 0.001) -> float:
        """Ask after a while; returns by how much it leapt."""
        asked_s = self.now_s + after_s
        wall_ms = int(WALL_MS + (asked_s + there_s) * 1000 + self.ahead_ms)
        self.now_s = asked_s + there_s + back_s
        return self.watch.read(wall_ms, asked_s, self.now_s)

    def leapt_ms(self) -> int:
        return self.watch.leapt_ms(self.now_s)


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.read()
    return rig


def test_a_clock_that_goes_right_leaps_never_however_long_answers_take(rig: Rig) -> None:
    ways_s = [(0.001, 0.001), (3.0, 0.001), (0.001, 3.0), (0.0, 0.0), (2.0, 2.0)] * 20
    assert {rig.read(after_s=7.77, there_s=there_s, back_s=back_s) for there_s, back_s in ways_s} == {0.0}
    assert rig.leapt_ms() == 0


@pytest.mark.parametrize("leap_ms", [50, 2_000, 90_000, 7_200_000])
def test_a_leap_ahead_is_known_by_its_size_and_never_taken_for_less(rig: Rig, leap_ms: int) -> None:
    rig.ahead_ms = leap_ms
    assert leap_ms <= rig.read() <= leap_ms + 10
    assert leap_ms <= rig.leapt_ms() <= leap_ms + 10
    assert rig.read() == 0.0, "once"


def test_a_leap_is_noticed_after_hours_without_a_reading(rig: Rig) -> None:
    rig.ahead_ms = 90_000
    assert rig.read(after_s=7200.0) == pytest.approx(90_000, abs=10)


def test_a_leap_back_makes_nothing_look_older(rig: Rig) -> None:
    rig.ahead_ms = -7_200_000
    assert rig.read() == pytest.approx(-7_200_000, abs=10)
    assert rig.leapt_ms() == 0


def test_there_and_back_again(rig: Rig) -> None:
    rig.ahead_ms = 7_200_000
    rig.read()
    rig.ahead_ms = 0
    rig.read()
    assert rig.leapt_ms() <= 10, "what was before looks as old as it is"
    rig.ahead_ms = -7_200_000
    rig.read()
    rig.ahead_ms = 0
    rig.read()
    # What was between the two looks older than it is.
    assert rig.leapt_ms() == pytest.approx(7_200_000, abs=20)


def test_several_leaps_add_up(rig: Rig) -> None:
    for ahead_ms in (2_000, 92_000, 94_000):
        rig.ahead_ms = ahead_ms
        rig.read()
    assert rig.leapt_ms() == pytest.approx(94_000, abs=30)


def test_a_leap_is_forgotten_when_nothing_of_before_it_counts_any_more(rig: Rig) -> None:
    rig.ahead_ms = 90_000
    rig.read()
    began_s = rig.now_s
    assert rig.watch.leapt_ms(began_s + KEPT_S) >= 90_000
    assert rig.watch.leapt_ms(began_s + KEPT_S + 0.1) == 0


def test_answers_that_overtake_each_other_across_a_leap_do_not_hide_it(rig: Rig) -> None:
    late = int(WALL_MS + (rig.now_s + 1.0) * 1000), rig.now_s + 1.0
    rig.ahead_ms = 90_000
    rig.read(after_s=1.1)
    rig.watch.read(*late, rig.now_s + 0.1)
    rig.read()
    assert rig.leapt_ms() == pytest.approx(90_000, abs=300)


def test_what_is_remembered_is_bounded(rig: Rig) -> None:
    for turn in range(3 * LEAPS_MAX):
        rig.ahead_ms = 100 * turn
        rig.read(after_s=0.01)
    assert len(rig.watch._leaps) == LEAPS_MAX
