"""What a failed attempt allows: which models take over, how often a channel is asked, and how soon."""

import pytest

from trunkline.bus.messages import FallbackOn
from trunkline.core.errors import ErrorType, Fault
from trunkline.policy.breaker import CHANNEL_FAULTS
from trunkline.policy.retry import (
    BACKOFF_S,
    BUDGET_MAX,
    BUDGET_RETURN,
    BUDGET_RETURN_PER_S,
    RetryBudget,
    backoff_s,
    taken_over_on,
)

FAILURES = {
    ErrorType.UPSTREAM_CREDENTIAL,
    ErrorType.UPSTREAM_RATE_LIMITED,
    ErrorType.UPSTREAM_OVERLOADED,
    ErrorType.UPSTREAM_ERROR,
    ErrorType.UPSTREAM_UNREACHABLE,
    ErrorType.UPSTREAM_ADDRESS,
    ErrorType.UPSTREAM_INVALID,
    ErrorType.UPSTREAM_CUT,
    ErrorType.UPSTREAM_TIMEOUT,
    ErrorType.GATEWAY_NO_CHANNEL,
}


@pytest.mark.parametrize("error", [error for error in ErrorType if error.value.startswith(("client", "policy", "up"))])
def test_another_model_takes_over_where_nobody_could_answer(error: ErrorType) -> None:
    expected = FallbackOn.FAILURE if error in FAILURES else None
    assert taken_over_on(Fault(error, "x")) is expected


def test_what_the_gateway_itself_failed_at_no_model_mends() -> None:
    assert taken_over_on(Fault(ErrorType.GATEWAY_INTERNAL, "x")) is None
    assert taken_over_on(Fault(ErrorType.GATEWAY_NO_CHANNEL, "x")) is FallbackOn.FAILURE


def test_a_request_that_is_too_long_and_one_that_is_filtered_have_cases_of_their_own() -> None:
    bad = ErrorType.UPSTREAM_BAD_REQUEST
    assert taken_over_on(Fault(bad, "x", code="context_length_exceeded")) is FallbackOn.CONTEXT
    assert taken_over_on(Fault(bad, "x", code="content_filter")) is FallbackOn.FILTER
    assert taken_over_on(Fault(bad, "x", code="request_too_large")) is None


def test_waits_double_and_half_of_each_is_drawn() -> None:
    assert [backoff_s(rounds, lambda: 0.0) for rounds in range(3)] == [BACKOFF_S / 2, BACKOFF_S, 2 * BACKOFF_S]
    assert backoff_s(1, lambda: 1.0) == 2 * BACKOFF_S


@pytest.mark.parametrize("error", sorted(CHANNEL_FAULTS))
def test_a_channel_that_fails_gets_no_more_retries_until_it_has_served_again(error: ErrorType) -> None:
    budget = RetryBudget()
    failures = 0
    while budget.allows(0.0):
        budget.receive(error, 0.0)
        failures += 1
    assert failures == BUDGET_MAX / 2
    budget.receive(None, 0.0)
    assert budget.allows(0.0)
    for _ in range(1000):
        budget.receive(error, 0.0)
    for _ in range(int(BUDGET_MAX / 2 / BUDGET_RETURN)):
        assert not budget.allows(0.0)
        budget.receive(None, 0.0)
    budget.receive(None, 0.0)
    assert budget.allows(0.0)


def test_a_channel_that_is_only_asked_after_others_gets_retries_again_in_time() -> None:
    budget = RetryBudget()
    for _ in range(1000):
        budget.receive(ErrorType.UPSTREAM_ERROR, 100.0)
    again_at = 100.0 + BUDGET_MAX / 2 / BUDGET_RETURN_PER_S
    assert not budget.allows(again_at)
    assert budget.allows(again_at + 0.1)
    budget.receive(ErrorType.UPSTREAM_ERROR, again_at + 0.1)
    assert not budget.allows(again_at + 0.9 / BUDGET_RETURN_PER_S)
    assert budget.allows(again_at + 1.1 / BUDGET_RETURN_PER_S)


def test_what_is_no_fault_of_the_channel_costs_it_no_retries() -> None:
    budget = RetryBudget()
    for _ in range(1000):
        budget.receive(ErrorType.UPSTREAM_RATE_LIMITED, 0.0)
        budget.receive(ErrorType.UPSTREAM_BAD_REQUEST, 0.0)
    assert budget.allows(0.0)


def test_a_channel_that_fails_a_third_of_its_attempts_keeps_its_retries() -> None:
    budget = RetryBudget()
    for _ in range(1000):
        budget.receive(ErrorType.UPSTREAM_ERROR, 0.0)
        budget.receive(None, 0.0)
        budget.receive(None, 0.0)
        assert budget.allows(0.0)
