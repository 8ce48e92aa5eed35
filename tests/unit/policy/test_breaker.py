"""The breaker's table, its data and its bounds. tests/playbooks/test_breaker_playbook has whole courses of events."""

import pytest

from trunkline.bus.snapshots import ChannelState
from trunkline.core.errors import ErrorType
from trunkline.policy import breaker
from trunkline.policy.breaker import CHANNEL_FAULTS, Breaker, BreakerError, Event, transition

SERVING, EJECTED, PROBING = ChannelState.SERVING, ChannelState.EJECTED, ChannelState.PROBING
LEGAL = {
    (SERVING, Event.FAILING): EJECTED,
    (EJECTED, Event.WAITED): PROBING,
    (PROBING, Event.RELAPSED): EJECTED,
    (PROBING, Event.PROVEN): SERVING,
}


@pytest.mark.parametrize("state", list(ChannelState))
@pytest.mark.parametrize("event", list(Event))
def test_every_pair_of_state_and_event_moves_or_is_refused_by_name(state: ChannelState, event: Event) -> None:
    if (state, event) in LEGAL:
        assert transition(state, event) is LEGAL[state, event]
    else:
        with pytest.raises(BreakerError, match=f"{event.value}.*{state.value}"):
            transition(state, event)


@pytest.mark.parametrize("error", [error for error in ErrorType if error not in CHANNEL_FAULTS])
def test_what_is_not_the_channels_fault_counts_for_nothing(error: ErrorType) -> None:
    machine = Breaker(0.0)
    for step in range(100):
        assert machine.receive_outcome(error, step / 100) is None
    # Were it counted as a success, the four failures below would stay under the fast rate.
    verdicts = [machine.receive_outcome(ErrorType.UPSTREAM_ERROR, 1.0) for _ in range(breaker.FAST_VOLUME_MIN)]
    assert [verdict is None for verdict in verdicts] == [True] * (breaker.FAST_VOLUME_MIN - 1) + [False]


@pytest.mark.parametrize("error", sorted(CHANNEL_FAULTS))
def test_each_fault_of_the_channel_ejects_in_numbers(error: ErrorType) -> None:
    machine = Breaker(0.0)
    for _ in range(breaker.FAST_VOLUME_MIN):
        machine.receive_outcome(error, 0.1)
    assert machine.state is EJECTED
    assert machine.verdict.weight == 0.0
    assert machine.verdict.reason == "attempts fail"


def test_every_upstream_error_was_decided_on() -> None:
    """A new error type must be put on one side or the other."""
    upstream = {error for error in ErrorType if error.value.startswith("upstream_")}
    not_the_channels = {
        ErrorType.UPSTREAM_BAD_REQUEST,
        ErrorType.UPSTREAM_CREDENTIAL,
        ErrorType.UPSTREAM_RATE_LIMITED,
    }
    assert upstream == CHANNEL_FAULTS | not_the_channels


def test_the_slow_window_forgets() -> None:
    machine = Breaker(0.0)
    # One failure in three seconds never fills the fast window and never reaches the slow volume either.
    for step in range(0, 300, 4):
        assert machine.receive_outcome(ErrorType.UPSTREAM_ERROR, float(step)) is None
    assert machine.state is SERVING


def test_half_of_all_attempts_over_half_a_minute_eject() -> None:
    machine = Breaker(0.0)
    now = 0.0
    while machine.state is SERVING and now < 60:
        machine.receive_outcome(None, now)
        machine.receive_outcome(ErrorType.UPSTREAM_TIMEOUT, now + 0.1)
        now += 2.0
    assert machine.state is EJECTED
    assert now <= breaker.SLOW_WINDOW_BUCKETS


def test_a_tenth_of_errors_is_borne() -> None:
    machine = Breaker(0.0)
    for step in range(5000):
        error = ErrorType.UPSTREAM_ERROR if step % 10 == 0 else None
        assert machine.receive_outcome(error, step * 0.05) is None


@pytest.mark.parametrize("rate", [2, 10, 100])
def test_a_channel_that_dies_under_load_is_ejected_within_the_fast_window(rate: int) -> None:
    machine = Breaker(0.0)
    for step in range(30 * rate):
        machine.receive_outcome(None, step / rate)
    died = now = 30.0
    while machine.receive_outcome(ErrorType.UPSTREAM_UNREACHABLE, now) is None:
        now += 1 / rate
        assert now - died < 4.0
    assert machine.state is EJECTED


def test_a_clock_that_steps_back_changes_nothing_but_the_newest_bucket() -> None:
    machine = Breaker(100.0)
    for step in range(breaker.FAST_VOLUME_MIN - 1):
        assert machine.receive_outcome(ErrorType.UPSTREAM_ERROR, 100.0 - step) is None
    assert machine.receive_outcome(ErrorType.UPSTREAM_ERROR, 90.0) is not None


def test_a_successor_takes_up_the_published_state() -> None:
    assert Breaker(0.0).verdict.weight == 1.0
    assert Breaker(0.0, EJECTED).verdict.weight == 0.0
    assert Breaker(0.0, PROBING).verdict.weight == breaker.PROBING_WEIGHT
    resumed = Breaker(0.0, EJECTED)
    assert resumed.tick(breaker.EJECTION_S_MIN - 0.01) is None
    verdict = resumed.tick(breaker.EJECTION_S_MIN)
    assert verdict is not None
    assert verdict.state is PROBING
