"""From channels' states to models' levels, days and incidents."""

import datetime as dt
import itertools

import pytest

from trunkline.bus.messages import HealthSample
from trunkline.policy.incidents import Chronicle, DaySums, Incident, Level, Standings

MIDNIGHT_MS = 20_000 * 86_400_000
DAY = dt.datetime.fromtimestamp(MIDNIGHT_MS / 1000, dt.UTC).date()
BEGIN_MS = MIDNIGHT_MS + 3_600_000
STATES = {"s": "serving", "e": "ejected", "p": "probing"}


def sample(channel: int, letter: str, at_ms: int, model: str = "") -> HealthSample:
    return HealthSample(channel, model, at_ms, STATES[letter], 1.0, 0, 0, 0)


def instant(states: str, at_ms: int) -> list[HealthSample]:
    """Return samples of channels 1, 2, …, a letter each; a dot for none."""
    return [sample(number, letter, at_ms) for number, letter in enumerate(states, 1) if letter != "."]


def played(steps: list[str], served: dict[str, tuple[int, ...]]) -> Chronicle:
    chronicle = Chronicle([], 0)
    for number, states in enumerate(steps):
        chronicle.receive(instant(states, BEGIN_MS + number * 10_000), served)
    return chronicle


@pytest.mark.parametrize(
    ("states", "level"),
    [
        ("s", Level.UP),
        ("e", Level.DOWN),
        ("p", Level.DEGRADED),
        ("ss", Level.UP),
        ("se", Level.DEGRADED),
        ("sp", Level.DEGRADED),
        ("pe", Level.DEGRADED),
        ("ee", Level.DOWN),
        ("s.", Level.UP),
        ("e.", Level.DOWN),
        ("..", None),
    ],
)
def test_a_model_is_judged_by_its_channels(states: str, level: Level | None) -> None:
    standings = Standings()
    for each in instant(states, BEGIN_MS):
        standings.receive(each)
    assert standings.level(range(1, len(states) + 1), BEGIN_MS) is level


def test_samples_of_single_models_judge_nothing() -> None:
    standings = Standings()
    standings.receive(sample(1, "e", BEGIN_MS, "m"))
    assert standings.level((1,), BEGIN_MS) is None
    standings.receive(sample(1, "s", BEGIN_MS))
    standings.receive(sample(1, "e", BEGIN_MS + 10_000, "m"))
    assert standings.level((1,), BEGIN_MS + 10_000) is Level.UP


def test_two_samples_may_be_lost() -> None:
    standings = Standings()
    standings.receive(sample(1, "e", BEGIN_MS))
    assert standings.level((1,), BEGIN_MS + 20_000) is Level.DOWN
    assert standings.level((1,), BEGIN_MS + 30_000) is None
    standings.receive(sample(1, "s", BEGIN_MS - 10_000))
    assert standings.level((1,), BEGIN_MS) is Level.DOWN


def test_days_add_up_and_end_at_midnight() -> None:
    chronicle = Chronicle([], 0)
    for number, states in enumerate(["ss", "se", "ee", "ee"]):
        chronicle.receive(instant(states, MIDNIGHT_MS - 20_000 + number * 10_000), {"m": (1, 2), "n": (1,), "x": (9,)})
    days, _ = chronicle.take()
    yesterday = DAY - dt.timedelta(days=1)
    assert days == {
        (yesterday, "m"): DaySums(10, 10, 10, Level.DOWN, MIDNIGHT_MS),
        (yesterday, "n"): DaySums(20, 0, 10, Level.DOWN, MIDNIGHT_MS),
        (DAY, "m"): DaySums(0, 0, 10, Level.DOWN, MIDNIGHT_MS + 10_000),
        (DAY, "n"): DaySums(0, 0, 10, Level.DOWN, MIDNIGHT_MS + 10_000),
    }
    assert chronicle.take() == ({}, [])


def test_an_instant_is_judged_once() -> None:
    chronicle = played(["s", "s"], {"m": (1,)})
    chronicle.take()
    chronicle.receive(instant("e", BEGIN_MS + 10_000), {"m": (1,)})
    assert chronicle.take() == ({}, [])
    assert chronicle.judged_ms == BEGIN_MS + 10_000


def test_samples_of_several_instants_are_judged_in_order() -> None:
    chronicle = Chronicle([], 0)
    samples = [each for number, states in enumerate("sees") for each in instant(states, BEGIN_MS + number * 10_000)]
    chronicle.receive(reversed(samples), {"m": (1,)})
    assert chronicle.take()[1] == [Incident("m", BEGIN_MS + 10_000, BEGIN_MS + 30_000, Level.DOWN)]


def test_an_incident_begins_gets_worse_and_ends() -> None:
    served = {"m": (1, 2)}
    chronicle = Chronicle([], 0)
    told = []
    for number, states in enumerate(["ss", "se", "se", "ee", "ep", "ss", "ss"]):
        chronicle.receive(instant(states, BEGIN_MS + number * 10_000), served)
        told.append([(each.ended_ms, each.level) for each in chronicle.take()[1]])
    assert told == [
        [],
        [(None, Level.DEGRADED)],
        [],
        [(None, Level.DOWN)],
        [],
        [(BEGIN_MS + 50_000, Level.DOWN)],
        [],
    ]


def test_trouble_that_comes_back_soon_is_the_same_trouble() -> None:
    for calm, count in ((30, 1), (31, 2)):
        chronicle = played(["e", *"s" * calm, "e"], {"m": (1,)})
        _, incidents = chronicle.take()
        assert len(incidents) == count
        assert incidents[0].ended_ms == (None if count == 1 else BEGIN_MS + 10_000)
        assert incidents[-1].ended_ms is None


def test_a_model_that_is_not_served_any_more_has_no_trouble() -> None:
    chronicle = played(["e"], {"m": (1,), "n": (1,)})
    chronicle.receive(instant("e", BEGIN_MS + 10_000), {"n": (1,)})
    ended = {each.model: each.ended_ms for each in chronicle.take()[1]}
    assert ended == {"m": BEGIN_MS + 10_000, "n": None}


def test_a_successor_takes_up_what_is_open() -> None:
    for ended_ms, begins in ((None, BEGIN_MS - 60_000), (BEGIN_MS - 30_000, BEGIN_MS - 60_000)):
        known = Incident("m", BEGIN_MS - 60_000, ended_ms, Level.DOWN)
        chronicle = Chronicle([known], BEGIN_MS - 10_000)
        for each, letter in enumerate("ees"):
            chronicle.receive(instant(letter, BEGIN_MS + each * 10_000), {"m": (1,)})
        assert chronicle.take()[1] == [Incident("m", begins, BEGIN_MS + 20_000, Level.DOWN)]


def test_silence_neither_begins_nor_ends_an_incident() -> None:
    chronicle = played(["e", ".", ".", ".", ".", "."], {"m": (1,)})
    later = itertools.count(BEGIN_MS + 60_000, 10_000)
    for at_ms in itertools.islice(later, 10):
        chronicle.receive([sample(9, "s", at_ms)], {"m": (1,)})
    days, [incident] = chronicle.take()
    assert incident.ended_ms is None
    assert days[DAY, "m"].down_s == 10
