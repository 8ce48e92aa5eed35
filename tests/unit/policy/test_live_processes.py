"""Rates of processes by their beats, and who is taken for lost."""

from typing import Any

import msgspec

from trunkline.bus import messages
from trunkline.bus.fleet import LOST_AFTER_S
from trunkline.bus.messages import Beat
from trunkline.policy.live_processes import LOST_SHOWN_S, PROCESSES_MAX, Processes

WALL_MS = 1_900_000_000_000


def beat(process: str, at_s: float, role: str = "edge", *, ahead_ms: int = 0, **figures: Any) -> Beat:
    """Return a beat that a process sends ``at_s`` seconds after its start."""
    at_ms = round(at_s * 1000)
    return Beat(role, process, WALL_MS + at_ms + ahead_ms, clock_ms=500_000 + at_ms, **figures)


class Heard:
    """Processes that hear beats at the time at which they are sent, or later."""

    def __init__(self) -> None:
        self.processes = Processes()

    def hear(self, process: str, at_s: float, role: str = "edge", *, late_s: float = 0.0, **figures: Any) -> None:
        now = at_s + late_s
        self.processes.receive(beat(process, at_s, role, **figures), now, WALL_MS + round(now * 1000))


def test_a_rate_is_the_difference_of_two_beats() -> None:
    heard = Heard()
    heard.hear("edge-a", 0, finished=100, failures={"upstream_error": 4})
    assert heard.processes.totals(0.0).requests_per_s == 0.0
    heard.hear("edge-a", 1, finished=150, failures={"upstream_error": 4, "client_gone": 5})
    heard.hear("edge-a", 2, finished=300, failures={"upstream_error": 10, "client_gone": 5})

    totals = heard.processes.totals(2.0)
    assert totals.requests_per_s == 100.0
    assert totals.errors_per_s == {"client_gone": 2.5, "upstream_error": 3.0}


def test_a_rate_forgets_after_three_seconds() -> None:
    heard = Heard()
    for second, finished in enumerate((0, 900, 900, 900, 900)):
        heard.hear("edge-a", second, finished=finished)

    assert heard.processes.totals(4.0).requests_per_s == 0.0


def test_attempts_are_what_is_stored_and_what_is_not() -> None:
    heard = Heard()
    heard.hear("dispatcher-a", 0, "dispatcher", stored=10, unstored=0)
    heard.hear("dispatcher-a", 2, "dispatcher", stored=12, unstored=8, in_flight=3, room=7)

    totals = heard.processes.totals(2.0)
    assert (totals.attempts_per_s, totals.unstored, totals.in_flight) == (
        5.0,
        8,
        0,
    )  # a dispatcher's jobs are an edge's
    shown = heard.processes.list(2.0)[0]
    assert (shown.per_s, shown.in_flight, shown.room, shown.unstored) == (5.0, 3, 7, 8)


def test_sums_over_edges_and_their_order() -> None:
    heard = Heard()
    for process, in_flight in (("edge-b", 5), ("edge-a", 2)):
        heard.hear(process, 0, finished=0)
        heard.hear(process, 1, finished=10, in_flight=in_flight, streams=1, waiting=3)
    heard.hear("console-a", 1, "console")

    totals = heard.processes.totals(1.0)
    assert (totals.requests_per_s, totals.in_flight, totals.streams, totals.waiting) == (20.0, 7, 2, 6)
    assert [shown.process for shown in heard.processes.list(1.0)] == ["console-a", "edge-a", "edge-b"]


def test_a_sum_that_falls_is_a_new_beginning() -> None:
    heard = Heard()
    heard.hear("edge-a", 0, finished=1000)
    heard.hear("edge-a", 1, finished=1010)
    heard.hear("edge-a", 2, finished=3)
    assert heard.processes.totals(2.0).requests_per_s == 0.0
    heard.hear("edge-a", 3, finished=8)

    assert heard.processes.totals(3.0).requests_per_s == 5.0


def test_a_late_beat_and_a_wrong_clock_change_no_rate() -> None:
    heard = Heard()
    heard.hear("edge-a", 0, finished=0, ahead_ms=3_600_000)
    heard.hear("edge-a", 1, finished=10, ahead_ms=3_600_000, late_s=0.9)
    heard.hear("edge-a", 2, finished=20, ahead_ms=-50)

    assert heard.processes.totals(2.0).requests_per_s == 10.0
    assert heard.processes.list(2.0)[0].skew_ms == -50


def test_two_beats_at_once_are_no_rate() -> None:
    heard = Heard()
    heard.hear("edge-a", 0.0, finished=0)
    heard.hear("edge-a", 0.01, finished=1, draining=True)

    assert heard.processes.totals(0.01).requests_per_s == 0.0


def test_who_falls_silent_counts_no_more_and_is_shown_as_lost_for_a_while() -> None:
    heard = Heard()
    heard.hear("edge-a", 0, finished=0)
    heard.hear("edge-a", 1, finished=10, in_flight=4)
    heard.processes.tick(1 + LOST_AFTER_S)
    assert heard.processes.totals(1 + LOST_AFTER_S).in_flight == 4

    late = 1.1 + LOST_AFTER_S
    heard.processes.tick(late)
    assert heard.processes.totals(late).in_flight == 0
    shown = heard.processes.list(late)[0]
    assert (shown.lost, shown.per_s, shown.age_ms) == (True, 0.0, round((late - 1) * 1000))

    heard.processes.tick(1.1 + LOST_AFTER_S + LOST_SHOWN_S)
    assert heard.processes.list(1.1 + LOST_AFTER_S + LOST_SHOWN_S) == ()


def test_who_said_that_it_would_end_is_forgotten_at_once() -> None:
    heard = Heard()
    heard.hear("edge-a", 0, draining=True)
    heard.processes.tick(0.1 + LOST_AFTER_S)

    assert heard.processes.list(0.1 + LOST_AFTER_S) == ()


def test_nobody_is_lost_because_we_heard_nothing() -> None:
    heard = Heard()
    heard.hear("edge-a", 0)
    heard.processes.forgive(30.0)

    assert [shown.lost for shown in heard.processes.list(31.0)] == [False]


def test_a_beat_of_the_version_before_counts_as_far_as_it_goes() -> None:
    old = messages.decode_beat(msgspec.msgpack.encode(["edge", "edge-old", 0, 7, 0, False, 0, ["default"], 12_000]))
    processes = Processes()
    processes.receive(old, 0.0, 0)
    processes.receive(old, 1.0, 0)

    totals = processes.totals(1.0)
    assert (totals.requests_per_s, totals.in_flight, totals.errors_per_s) == (0.0, 7, {})


class BeatOfBefore(msgspec.Struct, frozen=True, array_like=True):
    """A beat as the version before reads it."""

    role: str
    process: str
    sent_ms: int
    in_flight: int = 0
    room: int = 0
    draining: bool = False
    stored: int = 0
    lanes: tuple[str, ...] = ()
    clock_ms: int = 0


def test_the_version_before_reads_a_beat_as_it_always_did() -> None:
    sent = messages.encode(beat("edge-a", 1, in_flight=3, finished=9, failures={"client_gone": 1}, streams=2))
    read = msgspec.msgpack.decode(sent, type=BeatOfBefore)

    assert read == BeatOfBefore("edge", "edge-a", WALL_MS + 1000, in_flight=3, clock_ms=501_000)


def test_the_number_of_processes_is_bounded() -> None:
    heard = Heard()
    for number in range(PROCESSES_MAX + 1):
        heard.hear(f"edge-{number}", 0)

    assert len(heard.processes.list(0.0)) == PROCESSES_MAX
