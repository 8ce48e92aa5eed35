"""In which version of frames an offer is made, by what the dispatchers' beats say."""

import pytest

from tests.support.frame_releases import FORGOT_OLD, OLD, READS_NEW, WRITES_NEW, Release
from trunkline.bus import frames
from trunkline.bus.fleet import LOST_AFTER_S, Fleet
from trunkline.bus.messages import Beat


def _hear(fleet: Fleet, process: str, reads: int, *, lanes: tuple[str, ...] = ("a",), draining: bool = False) -> None:
    fleet.receive(Beat("dispatcher", process, 0, lanes=lanes, draining=draining, frames=reads), 10.0)


@pytest.mark.parametrize(
    ("release", "reads", "written"),
    [
        (OLD, 1, 1),
        (OLD, 2, 1),
        (READS_NEW, 2, 1),
        (WRITES_NEW, 1, 1),
        (WRITES_NEW, 2, 2),
        (WRITES_NEW, 3, 2),
        (FORGOT_OLD, 2, 2),
        (FORGOT_OLD, 1, 2),
    ],
)
def test_the_newest_is_written_that_both_know(release: Release, reads: int, written: int) -> None:
    with release.acting():
        assert frames.agreed(reads) == written


def test_in_a_lane_the_one_counts_that_reads_the_least() -> None:
    fleet = Fleet()
    with WRITES_NEW.acting():
        assert fleet.frame_version(None, "a") == 1, "nobody has been heard"
        _hear(fleet, "d1", 2)
        assert fleet.frame_version(None, "a") == 2
        _hear(fleet, "d2", 1, lanes=("a", "b"))
        _hear(fleet, "d3", 2, lanes=("b", "c"))
        assert [fleet.frame_version(None, lane) for lane in "abcd"] == [1, 1, 2, 1]
        _hear(fleet, "d2", 1, lanes=("b",))
        assert [fleet.frame_version(None, lane) for lane in "ab"] == [2, 1]
        _hear(fleet, "d2", 2, lanes=("b",))
        assert fleet.frame_version(None, "b") == 2


def test_one_that_drains_or_is_about_to_be_lost_may_get_an_offer_still() -> None:
    fleet = Fleet()
    with WRITES_NEW.acting():
        _hear(fleet, "old", 1, draining=True)
        _hear(fleet, "new", 2)
        fleet.receive(Beat("dispatcher", "new", 0, lanes=("a",), frames=2), 12.0)
        assert fleet.take_lost(10.0 + LOST_AFTER_S) == []
        assert fleet.frame_version(None, "a") == 1
        assert fleet.take_lost(10.1 + LOST_AFTER_S) == ["old"]
        assert fleet.frame_version(None, "a") == 2


def test_by_name_only_that_one_counts() -> None:
    fleet = Fleet()
    with WRITES_NEW.acting():
        _hear(fleet, "old", 1)
        _hear(fleet, "new", 2)
        assert [fleet.frame_version(process, "a") for process in ("old", "new", "unheard")] == [1, 2, 1]
