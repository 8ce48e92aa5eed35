"""What a probe may be, how paid ones are counted, and what came of one."""

import pytest

from trunkline.bus.snapshots import ChannelSnapshot, Probe, ProbeKind
from trunkline.core.errors import ErrorType, Fault
from trunkline.policy.probing import (
    DAY_S,
    PARTS_A_DAY,
    REACHABLE,
    PaidProbes,
    ProbeResult,
    judged,
    judged_fault,
    next_kind,
    probed_model,
)
from trunkline.protocol.upstream_error import MODEL_DENIED

PART_S = DAY_S / PARTS_A_DAY
COMPLETION = Probe(ProbeKind.COMPLETION, paid_per_day=4)


def kind(paid: PaidProbes, now: float, *, in_doubt: bool = False, pays: bool = True) -> ProbeKind:
    found = next_kind(COMPLETION, paid, in_doubt=in_doubt, pays=pays, now=now)
    if found is ProbeKind.COMPLETION:
        paid.take(now)
    return found


@pytest.mark.parametrize("free", [ProbeKind.MODELS, ProbeKind.TCP])
@pytest.mark.parametrize("pays", [True, False])
def test_what_is_free_is_asked_as_configured(free: ProbeKind, pays: bool) -> None:
    probe = Probe(free, paid_per_day=0)
    assert next_kind(probe, PaidProbes(), in_doubt=True, pays=pays, now=0.0) is free


def test_in_calm_half_of_the_allowance_is_spent_evenly() -> None:
    paid = PaidProbes()
    asked = [kind(paid, hour * 3600.0) for hour in range(48)]
    assert [hour for hour, each in enumerate(asked) if each is ProbeKind.COMPLETION] == [0, 12, 24, 36]
    assert set(asked) == {ProbeKind.COMPLETION, ProbeKind.TCP}


def test_in_doubt_all_of_the_allowance_is_spent_and_then_only_connections_are_tried() -> None:
    paid = PaidProbes()
    asked = [kind(paid, 1000.0 + second, in_doubt=True) for second in range(6)]
    assert asked == [ProbeKind.COMPLETION] * 4 + [ProbeKind.TCP] * 2
    assert kind(paid, 1000.0 + DAY_S - 1, in_doubt=True) is ProbeKind.TCP
    assert kind(paid, 1000.0 + DAY_S + PART_S, in_doubt=True) is ProbeKind.COMPLETION


def test_no_window_of_a_day_holds_more_than_the_allowance() -> None:
    paid = PaidProbes()
    made = [now for step in range(3000) if kind(paid, now := step * 97.3, in_doubt=True) is ProbeKind.COMPLETION]
    assert len(made) > 8
    assert all(later - earlier > DAY_S for earlier, later in zip(made, made[4:], strict=False))


def test_a_process_that_does_not_lead_pays_for_nothing() -> None:
    assert kind(PaidProbes(), 0.0, in_doubt=True, pays=False) is ProbeKind.TCP


def test_an_allowance_of_nothing_is_none() -> None:
    probe = Probe(ProbeKind.EMBEDDING, paid_per_day=0)
    for in_doubt in (True, False):
        assert next_kind(probe, PaidProbes(), in_doubt=in_doubt, pays=True, now=5.0) is ProbeKind.TCP


@pytest.mark.parametrize(
    ("models", "named", "asked"),
    [({"b": "x", "a": "y"}, "", "a"), ({"b": "x", "a": "y"}, "b", "b"), ({"a": "y"}, "gone", "a"), ({}, "a", None)],
)
def test_which_model_is_asked(models: dict[str, str], named: str, asked: str | None) -> None:
    channel = ChannelSnapshot(1, "c", "openai", "http://test", (), models, probe=Probe(model=named))
    assert probed_model(channel) == asked


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (200, ProbeResult.PASSED),
        (302, ProbeResult.PASSED),
        (401, ProbeResult.CREDENTIAL),
        (403, ProbeResult.CREDENTIAL),
        (404, ProbeResult.PASSED),
        (429, ProbeResult.PASSED),
        (500, ProbeResult.FAILED),
        (501, ProbeResult.PASSED),
        (503, ProbeResult.FAILED),
        (529, ProbeResult.FAILED),
    ],
)
def test_any_answer_but_a_server_error_shows_that_the_channel_is_reachable(status: int, result: ProbeResult) -> None:
    assert judged(status) is result
    assert (result in REACHABLE) is (result is not ProbeResult.FAILED)


@pytest.mark.parametrize(
    ("error", "status", "result"),
    [
        (ErrorType.UPSTREAM_CREDENTIAL, 401, ProbeResult.CREDENTIAL),
        (ErrorType.UPSTREAM_CREDENTIAL, 402, ProbeResult.CREDENTIAL),
        (ErrorType.UPSTREAM_RATE_LIMITED, 429, ProbeResult.LIMITED),
        (ErrorType.UPSTREAM_BAD_REQUEST, 400, ProbeResult.PASSED),
        (ErrorType.UPSTREAM_ERROR, 404, ProbeResult.DENIED),
        (ErrorType.UPSTREAM_ERROR, 400, ProbeResult.FAILED),
        (ErrorType.UPSTREAM_ERROR, 302, ProbeResult.FAILED),
        (ErrorType.UPSTREAM_ERROR, 500, ProbeResult.FAILED),
        (ErrorType.UPSTREAM_OVERLOADED, 529, ProbeResult.FAILED),
        (ErrorType.UPSTREAM_TIMEOUT, 504, ProbeResult.FAILED),
        (ErrorType.UPSTREAM_INVALID, 200, ProbeResult.FAILED),
        (ErrorType.UPSTREAM_CUT, 200, ProbeResult.FAILED),
    ],
)
def test_what_a_models_answer_says_against_the_channel(error: ErrorType, status: int, result: ProbeResult) -> None:
    assert judged_fault(Fault(error, "why"), status) is result


@pytest.mark.parametrize("status", [200, 400, 403])
def test_a_model_that_is_denied_says_nothing_against_the_channel(status: int) -> None:
    fault = Fault(ErrorType.UPSTREAM_ERROR, "why", code=MODEL_DENIED)
    assert judged_fault(fault, status) is ProbeResult.DENIED
