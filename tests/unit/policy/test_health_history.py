"""Sums by minute, hour and day, and the samples that are not believed."""

import msgspec
import pytest

from services.health.history import HISTORY_INTERVAL_S
from trunkline.bus.messages import CredentialEvent, HealthSample
from trunkline.policy.health_history import SAMPLE_S, Counts, RowKey, believable, believable_event, tally

DAY_S = 20_000 * 86_400
NOW_MS = (DAY_S + 40_000) * 1000


def sample(at_s: int, **changes: object) -> HealthSample:
    plain = HealthSample(7, "", (DAY_S + at_s) * 1000, "serving", 1.0, 3, 1, 200, 2)
    return msgspec.structs.replace(plain, **changes)


def test_a_sample_covers_what_health_says_it_does() -> None:
    assert SAMPLE_S == HISTORY_INTERVAL_S


def test_samples_add_up_in_each_span() -> None:
    samples = [
        sample(10),
        sample(60, state="ejected", successes=0, failures=9, first_token_ms=0, first_tokens=0),
        sample(70, state="probing", successes=4, failures=0, first_token_ms=100, first_tokens=1),
        sample(3610, model="m"),
    ]
    first = Counts(3, 10, 2, 400, 10, 10, 0)
    hour = Counts(7, 10, 3, 500, 10, 10, 10)
    assert tally(samples, NOW_MS) == {
        RowKey(7, "", 60, DAY_S): first,
        RowKey(7, "", 60, DAY_S + 60): Counts(4, 0, 1, 100, 0, 0, 10),
        RowKey(7, "", 3600, DAY_S): hour,
        RowKey(7, "", 86_400, DAY_S): hour,
        RowKey(7, "m", 60, DAY_S + 3600): Counts(3, 1, 2, 400, 10, 0, 0),
        RowKey(7, "m", 3600, DAY_S + 3600): Counts(3, 1, 2, 400, 10, 0, 0),
        RowKey(7, "m", 86_400, DAY_S): Counts(3, 1, 2, 400, 10, 0, 0),
    }


def test_an_interval_belongs_to_where_it_begins() -> None:
    [minute, hour, day] = tally([sample(0)], NOW_MS)
    assert (minute.begin_s, hour.begin_s, day.begin_s) == (DAY_S - 60, DAY_S - 3600, DAY_S - 86_400)


def test_what_would_be_deleted_at_once_is_not_stored() -> None:
    def spans(age_s: int) -> list[int]:
        return [key.span_s for key in tally([sample(40_000 - age_s)], NOW_MS)]

    assert spans(0) == [60, 3600, 86_400]
    assert spans(48 * 3600 - 10) == [60, 3600, 86_400]
    assert spans(48 * 3600) == [3600, 86_400]
    assert spans(14 * 86_400) == [86_400]
    assert spans(90 * 86_400) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"channel": 0},
        {"channel": 2**63},
        {"model": "m" * 257},
        {"model": "a\0b"},
        {"state": "fine"},
        {"successes": -1},
        {"failures": 2**40},
        {"first_token_ms": 2**40},
        {"first_tokens": -1},
        {"first_tokens": 2**40},
        {"at_ms": NOW_MS + 300_001},
        {"at_ms": NOW_MS - 90 * 86_400_000 - 1},
        {"at_ms": 2**63},
    ],
)
def test_samples_that_cannot_be_stored_are_not_believed(changes: dict[str, object]) -> None:
    assert believable(sample(0), NOW_MS)
    assert not believable(sample(0, **changes), NOW_MS)


def test_events_that_cannot_be_stored_are_not_believed() -> None:
    event = CredentialEvent(1, 2, NOW_MS, refused=True, status=401)
    assert believable_event(event, NOW_MS)
    for changes in ({"credential": 0}, {"credential": 2**63}, {"at_ms": 0}, {"status": -1}, {"status": 1000}):
        assert not believable_event(msgspec.structs.replace(event, **changes), NOW_MS)
