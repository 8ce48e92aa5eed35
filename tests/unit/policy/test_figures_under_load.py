"""What a mean of many observations makes of a change, and of silence."""

import pytest

from trunkline.policy.figures import HALF_LIFE_S, OBSERVATIONS_MAX, Ewma


def busy(times: int) -> Ewma:
    mean = Ewma()
    for number in range(times):
        mean.add(1.0, number / 1000)
    return mean


@pytest.mark.parametrize("times", [16, 5000])
def test_a_change_shows_within_as_many_observations_as_count_however_many_there_were(times: int) -> None:
    mean = busy(times)
    for _ in range(int(OBSERVATIONS_MAX)):
        mean.add(2.0, times / 1000)
    # Each of them takes a sixteenth of what is left of the old ones.
    assert mean.mean(times / 1000) == pytest.approx(2.0 - (15 / 16) ** 16, abs=0.01)


@pytest.mark.parametrize("times", [1, 5000])
def test_silence_makes_a_channel_unknown_however_much_it_was_asked(times: int) -> None:
    mean = busy(times)
    last = (times - 1) / 1000 + 2 * HALF_LIFE_S
    assert mean.mean(last - 0.01) == pytest.approx(1.0)
    assert mean.mean(last + 0.01) is None
