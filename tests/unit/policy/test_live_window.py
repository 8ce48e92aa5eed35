"""What a window of calls says, second by second."""

import pytest

from trunkline.bus.messages import AttemptOutcome
from trunkline.core.errors import ErrorType
from trunkline.policy.admin_live import LiveTraffic
from trunkline.policy.live_window import Window


def outcome(
    error: ErrorType | None = None, *, first_token_ms: int = 0, tokens: int = 0, stream: bool = True
) -> AttemptOutcome:
    return AttemptOutcome(
        channel=1,
        credential=1,
        model="m",
        error=error,
        status=200,
        first_token_ms=first_token_ms,
        output_tokens=tokens,
        duration_ms=1000,
        stream=stream,
    )


def test_counts_the_seconds_that_are_over() -> None:
    window = Window(10, 100.0)
    for at in (100.2, 100.9, 101.5, 101.6):
        window.receive(outcome(tokens=30), at)

    assert window.traffic(101.9).attempts_per_s == 2.0  # the second that runs is not over
    assert window.traffic(102.0) == LiveTraffic(attempts_per_s=2.0, tokens_per_s=60.0, error_share=0.0)
    assert window.traffic(104.0).attempts_per_s == 1.0


def test_forgets_seconds_and_all_that_was_in_them() -> None:
    window = Window(3, 0.0)
    window.receive(outcome(ErrorType.UPSTREAM_ERROR), 0.5)
    window.receive(outcome(first_token_ms=200, tokens=9), 2.5)

    assert window.traffic(3.0).errors == {"upstream_error": 1}
    assert window.traffic(4.0) == LiveTraffic(
        attempts_per_s=0.33, tokens_per_s=3.0, first_token_p50_ms=199, first_token_p95_ms=199, error_share=0.0
    )
    assert not window.empty
    assert window.traffic(6.0) == LiveTraffic()
    assert window.empty


def test_a_silence_longer_than_the_window_leaves_nothing() -> None:
    window = Window(3, 0.0)
    window.receive(outcome(), 0.5)

    assert window.traffic(1000.0) == LiveTraffic()


def test_a_clock_that_steps_back_loses_nothing() -> None:
    window = Window(10, 50.0)
    window.receive(outcome(), 55.0)
    window.receive(outcome(), 52.0)

    assert window.traffic(56.0).attempts_per_s == round(2 / 6, 2)


def test_percentiles_are_of_streams_that_began() -> None:
    window = Window(10, 0.0)
    for number in range(1, 101):
        window.receive(outcome(first_token_ms=number * 10), 0.0)
    window.receive(outcome(first_token_ms=90_000, stream=False), 0.0)
    window.receive(outcome(ErrorType.UPSTREAM_TIMEOUT, first_token_ms=90_000), 0.0)
    window.receive(outcome(first_token_ms=0), 0.0)

    traffic = window.traffic(1.0)
    assert traffic.first_token_p50_ms == pytest.approx(500, rel=0.03)
    assert traffic.first_token_p95_ms == pytest.approx(950, rel=0.03)


def test_share_of_errors_and_their_types() -> None:
    window = Window(10, 0.0)
    for error in (None, ErrorType.UPSTREAM_ERROR, ErrorType.UPSTREAM_ERROR, ErrorType.UPSTREAM_RATE_LIMITED):
        window.receive(outcome(error), 0.0)

    traffic = window.traffic(1.0)
    assert traffic.error_share == 0.75
    assert traffic.errors == {"upstream_error": 2, "upstream_rate_limited": 1}
