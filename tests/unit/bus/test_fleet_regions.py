"""Dispatchers by their beats: those of one's own region, and those of others."""

import pytest

from trunkline.bus.fleet import LOST_AFTER_S, Fleet
from trunkline.bus.messages import Beat

LANE = "default"


def beat(process: str, region: str, room: int, *, draining: bool = False, lane: str = LANE) -> Beat:
    return Beat("dispatcher", process, 0, room=room, draining=draining, lanes=(lane,), region=region)


def fleet(region: str, *beats: Beat) -> Fleet:
    made = Fleet(region)
    for each in beats:
        made.receive(each, 0.0)
    return made


def test_the_nearest_with_the_most_room_is_picked() -> None:
    found = fleet("a", beat("a1", "a", 2), beat("a2", "a", 5), beat("b1", "b", 100), beat("a3", "a", 9, lane="other"))
    assert found.pick((), LANE) == "a2"
    assert found.pick({"a2"}, LANE) == "a1"
    assert found.pick({"a1", "a2"}, LANE) is None
    assert found.pick_far((), LANE) == "b1"
    assert found.pick_far({"b1"}, LANE) is None


def test_without_room_one_is_asked_at_home_and_not_elsewhere() -> None:
    found = fleet("a", beat("a1", "a", 0), beat("b1", "b", 0), beat("b2", "b", 3, draining=True))
    assert (found.pick((), LANE), found.pick_far((), LANE)) == ("a1", None)


@pytest.mark.parametrize(("own", "theirs"), [("", ""), ("", "b"), ("a", ""), ("a", "a")])
def test_who_names_no_region_is_near(own: str, theirs: str) -> None:
    found = fleet(own, beat("d1", theirs, 4))
    assert (found.pick((), LANE), found.pick_far((), LANE), found.is_far("d1")) == ("d1", None, False)


def test_a_lane_is_served_by_whoever_is_there_and_not_about_to_go() -> None:
    found = fleet("a", beat("a1", "a", 4, draining=True), beat("b1", "b", 0))
    assert (found.pick((), LANE), found.serves(LANE), found.serves("other")) == (None, True, False)
    assert (found.is_far("b1"), found.is_far("a1"), found.is_far("b2")) == (True, False, False)
    found.take_lost(LOST_AFTER_S + 0.1)
    assert not found.serves(LANE)
    assert not found.is_far("b1")
