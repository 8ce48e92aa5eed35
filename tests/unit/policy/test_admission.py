"""Who may wait, how fast jobs get in, and what those are told that are refused."""

import pytest

from trunkline.policy import admission, fair_queue
from trunkline.policy.admission import (
    RETRY_AFTER_MAX_S,
    RETRY_AFTER_MIN_S,
    EntryRate,
    LaneAdmission,
    Refused,
    RetryLine,
)
from trunkline.policy.fair_queue import Refusal, Ticket

A, B = 1, 2


def joined(lane: LaneAdmission[str], job: str, account: int = A, now: float = 0.0, priority: int = 0) -> Ticket[str]:
    ticket = lane.join(job, account, priority, now)
    assert isinstance(ticket, Ticket)
    return ticket


def served(lane: LaneAdmission[str], per_s: float, until: float, now: float = 0.0) -> None:
    """Let jobs get in at a rate; a new one of account B waits for each."""
    joined(lane, "b", B, now)
    while now < until:
        now += 1 / per_s
        joined(lane, "b", B, now)
        ticket = lane.queue.take()
        assert ticket is not None
        lane.entered(ticket, now)


# --- rate ------------------------------------------------------------------------------------------------------


def test_the_rate_is_right_from_the_first_seconds_on() -> None:
    rate = EntryRate()
    rate.resume(100.0)
    assert rate.per_s(100.0) is None
    now = 100.0
    for number in range(1, 401):
        now += 0.05
        rate.entered(now)
        if number >= 10:
            assert rate.per_s(now) == pytest.approx(20.0, rel=0.1)


def test_the_rate_follows_and_times_in_which_nobody_waits_do_not_count() -> None:
    rate = EntryRate()
    rate.resume(0.0)
    now = 0.0
    for _ in range(200):
        now += 0.1
        rate.entered(now)
    rate.resume(now + 3600.0)
    now += 3600.0
    assert rate.per_s(now) == pytest.approx(10.0, rel=0.05)
    for _ in range(20):
        now += 1.0
        rate.entered(now)
    assert rate.per_s(now) == pytest.approx(1.0, rel=0.3)
    assert rate.per_s(now + 600.0) is None  # nobody gets in any more


def test_a_rate_of_a_few_jobs_is_not_relied_on() -> None:
    rate = EntryRate()
    rate.resume(0.0)
    for _ in range(9):
        rate.entered(0.1)
    assert not rate.sure(0.1)
    rate.entered(0.1)
    rate.entered(0.1)
    assert rate.sure(0.1)
    assert not rate.sure(2.0)


# --- retries ---------------------------------------------------------------------------------------------------


def test_refused_jobs_are_told_to_come_one_after_the_other() -> None:
    line = RetryLine()
    assert [line.stand(A, 2.0, 0.5, 0.0) for _ in range(4)] == [2.0, 2.5, 3.0, 3.5]
    assert line.stand(B, 2.0, 0.5, 0.0) == 2.0  # another account, another line
    assert line.stand(A, 2.0, 0.5, 2.6) == 3.0  # the first two are back
    assert line.stand(A, 2.0, 0.5, 50.0) == 2.0


def test_a_wait_that_is_told_has_bounds() -> None:
    line = RetryLine()
    assert line.stand(A, 0.001, 0.001, 0.0) == RETRY_AFTER_MIN_S
    assert line.stand(A, 1e9, 1.0, 0.0) == RETRY_AFTER_MAX_S


def test_accounts_whose_jobs_are_back_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "RETRY_LINES_MAX", 3)
    line = RetryLine()
    for account in range(10):
        line.stand(account, 5.0, 1.0, 0.0)
    assert len(line) == 3
    line.stand(99, 5.0, 1.0, 6.0)
    assert len(line) == 1


# --- a lane ----------------------------------------------------------------------------------------------------


def test_before_anything_is_known_nobody_is_refused_for_lack_of_hope() -> None:
    lane: LaneAdmission[str] = LaneAdmission(10.0)
    lane.resume(0.0)
    tickets = [joined(lane, "a") for _ in range(500)]
    refused = lane.take_late(10.0)
    assert [ticket for ticket, _ in refused] == tickets
    assert {told for _, told in refused} == {Refused(Refusal.LATE, 10.0)}


def test_who_is_refused_is_told_by_the_rate_and_what_waits() -> None:
    lane: LaneAdmission[str] = LaneAdmission(10.0)
    lane.resume(0.0)
    for _ in range(30):
        joined(lane, "a", A, 0.0)
    served(lane, per_s=10.0, until=1.0)
    waiting = len(lane.queue)
    assert waiting == 31  # one came for each that got in, and one before
    now = 1.0
    assert joined(lane, "a", A, now)
    refused = lane.refuse_late(joined(lane, "a", A, now), now)
    assert refused.why is Refusal.LATE
    # Account A is behind all that wait; the rate is 10 a second.
    assert refused.retry_after_s == pytest.approx((len(lane.queue) + 1) / 10.0, rel=0.1)


def test_those_that_are_late_together_are_told_different_times() -> None:
    lane: LaneAdmission[str] = LaneAdmission(10.0)
    lane.resume(0.0)
    tickets = [joined(lane, f"a{number}") for number in range(120)]
    for number in range(100):
        ticket = lane.queue.take()
        assert ticket is tickets[number]
        lane.entered(ticket, (number + 1) * 0.1)
    told = lane.take_late(10.0)
    assert [ticket.job for ticket, _ in told] == [f"a{number}" for number in range(100, 120)]
    times = [refused.retry_after_s for _, refused in told]
    assert times == sorted(times)
    assert times[0] == RETRY_AFTER_MIN_S
    assert times[-1] == pytest.approx(2.0, rel=0.1)  # twenty turns at ten a second
    assert lane.queue.empty


def test_a_job_whose_turn_would_come_far_too_late_is_refused_at_once() -> None:
    lane: LaneAdmission[str] = LaneAdmission(2.0)
    lane.resume(0.0)
    served(lane, per_s=20.0, until=1.5)
    told = []
    for _ in range(100):
        answer = lane.join("a", A, 0, 1.5)
        if isinstance(answer, Refused):
            told.append(answer)
    # Three seconds are half again as long as it may wait: sixty turns, some of which are the other account's.
    assert 40 <= 100 - len(told) <= 62
    assert {refused.why for refused in told} == {Refusal.NO_CHANCE}
    assert told[0].retry_after_s == pytest.approx(3.0, rel=0.15)
    assert isinstance(lane.join("b", B, 0, 1.5), Ticket)  # other accounts have their own turns
    assert isinstance(lane.join("a", A, 7, 1.5), Ticket)  # and higher priorities theirs


def test_bounds_of_the_queue_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_queue, "WAITING_PER_ACCOUNT_MAX", 2)
    monkeypatch.setattr(fair_queue, "WAITING_MAX", 3)
    lane: LaneAdmission[str] = LaneAdmission(10.0)
    lane.resume(0.0)
    joined(lane, "a")
    joined(lane, "a")
    assert lane.join("a", A, 0, 0.0) == Refused(Refusal.ACCOUNT_FULL, 10.0)
    joined(lane, "b", B)
    assert lane.join("c", 3, 0, 0.0) == Refused(Refusal.ALL_FULL, 10.0)
