"""Who is lost when, by the beats that were heard and those that never came."""

from trunkline.bus.fleet import LOST_AFTER_S, Fleet
from trunkline.bus.messages import Beat

LATER_S = LOST_AFTER_S + 0.1


def test_whose_beats_stop_is_lost_once() -> None:
    fleet = Fleet()
    fleet.receive(Beat("dispatcher", "d1", 0), 10.0)
    assert fleet.take_lost(10.0 + LOST_AFTER_S) == []
    assert fleet.take_lost(10.0 + LATER_S) == ["d1"]
    assert fleet.take_lost(20.0 + LATER_S) == []


def test_who_takes_a_job_after_it_was_lost_is_lost_again() -> None:
    fleet = Fleet()
    fleet.receive(Beat("dispatcher", "d1", 0), 10.0)
    fleet.take_lost(10.0 + LATER_S)
    fleet.meet("d1", 15.0)
    fleet.meet("d1", 18.0)
    assert fleet.take_lost(15.0 + LOST_AFTER_S) == []
    assert "d1" not in fleet, "nobody offers it a job"
    assert fleet.take_lost(15.0 + LATER_S) == ["d1"]
    assert fleet.take_lost(15.0 + LATER_S) == []


def test_a_beat_ends_all_doubt() -> None:
    fleet = Fleet()
    fleet.meet("d1", 10.0)
    fleet.receive(Beat("dispatcher", "d1", 0), 12.0)
    fleet.meet("d1", 12.5)
    assert fleet.take_lost(10.0 + LATER_S) == []
    assert fleet.take_lost(12.0 + LATER_S) == ["d1"]


def test_after_an_absence_of_our_own_all_are_waited_for_anew() -> None:
    fleet = Fleet()
    fleet.receive(Beat("dispatcher", "d1", 0), 10.0)
    fleet.meet("d2", 10.0)
    fleet.forgive(30.0)
    assert fleet.take_lost(30.0 + LOST_AFTER_S) == []
    assert sorted(fleet.take_lost(30.0 + LATER_S)) == ["d1", "d2"]
