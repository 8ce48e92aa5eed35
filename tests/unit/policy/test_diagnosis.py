"""What a fleet's beats tell of its condition."""

from trunkline.bus.messages import Beat
from trunkline.policy.admin_api import Check
from trunkline.policy.diagnosis import CLOCKS_APART_MS, Heard, fleet_checks, listed, warning

WHOLE = [Heard(Beat(role, f"{role}-1", 0, release="1.0"), 3) for role in ("edge", "dispatcher", "metering", "health")]


def test_a_whole_fleet() -> None:
    assert fleet_checks(WHOLE) == [
        Check("edge", True, "1 alive"),
        Check("dispatcher", True, "1 alive"),
        Check("metering", True, "1 alive"),
        Check("health", True, "1 alive"),
    ]


def test_a_role_that_nobody_plays() -> None:
    draining = Heard(Beat("edge", "edge-1", 0, draining=True, release="1.0"), 0)
    edge, dispatcher, *_ = fleet_checks([draining, *WHOLE[2:]])
    assert edge == Check(
        "edge", False, "None is alive (1 draining): no client can connect. Start one, or look at its log."
    )
    assert dispatcher == Check(
        "dispatcher", False, "None is alive: no request is served. Start one, or look at its log."
    )
    assert fleet_checks([draining, *WHOLE])[0] == Check("edge", True, "1 alive, 1 draining")


def test_versions_side_by_side() -> None:
    old = Heard(Beat("edge", "edge-2", 0), 0)
    assert fleet_checks([*WHOLE, old])[4:] == [
        warning(
            "versions",
            "Several run side by side: one that does not say (1), 1.0 (4). Finish the roll-out, or roll back.",
        )
    ]


def test_clocks_that_differ() -> None:
    near = Heard(Beat("edge", "edge-2", 0, release="1.0"), CLOCKS_APART_MS)
    assert len(fleet_checks([*WHOLE, near])) == 4
    ahead = Heard(Beat("edge", "edge-3", 0, release="1.0"), CLOCKS_APART_MS + 1)
    behind = Heard(Beat("edge", "edge-4", 0, release="1.0"), -61_000)
    assert fleet_checks([*WHOLE, ahead, behind])[4:] == [
        Check(
            "clocks",
            False,
            "These differ from the clock here: edge-3 (+2.0 s), edge-4 (-61.0 s). Look at their NTP.",
        )
    ]


def test_many_names_are_cut() -> None:
    assert listed("abcde") == "a, b, c, d, e"
    assert listed("abcdefg") == "a, b, c, d, e and 2 more"
