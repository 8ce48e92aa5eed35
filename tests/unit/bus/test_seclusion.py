"""When a server through which JetStream does not answer is left."""

from itertools import pairwise

import pytest

from trunkline.bus.permissions import PERMISSIONS, ROLES, watched_stream
from trunkline.bus.seclusion import PATIENCE_S_MAX, SECLUDED_AFTER_S, Seclusion

STEP_S = 2.0


def _leavings(seclusion: Seclusion, begin_s: float, end_s: float) -> list[float]:
    """Return when it says to leave while nothing answers."""
    times = [begin_s + step * STEP_S for step in range(int((end_s - begin_s) / STEP_S))]
    return [now for now in times if seclusion.unanswered(now)]


def test_a_server_is_left_after_some_seconds_and_then_ever_more_rarely() -> None:
    leavings = _leavings(Seclusion(), 100.0, 2000.0)
    assert leavings[:6] == [110.0, 130.0, 170.0, 250.0, 410.0, 710.0]
    assert {later - earlier for earlier, later in pairwise(leavings[5:])} == {PATIENCE_S_MAX}


def test_an_answer_ends_all_doubt() -> None:
    seclusion = Seclusion()
    assert _leavings(seclusion, 100.0, 109.0) == []
    seclusion.answered()
    assert _leavings(seclusion, 110.0, 119.0) == []
    assert _leavings(seclusion, 119.0, 121.0) == []
    assert seclusion.unanswered(110.0 + SECLUDED_AFTER_S)
    seclusion.answered()
    assert _leavings(seclusion, 200.0, 212.0) == [210.0]


@pytest.mark.parametrize("role", ROLES)
def test_each_role_may_ask_what_it_watches(role: str) -> None:
    assert f"$JS.API.STREAM.INFO.{watched_stream(role)}" in PERMISSIONS[role].publish
