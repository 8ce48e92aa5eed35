"""Turns and bounds of jobs that wait; `tests/property/test_fair_queue_any.py` has the laws."""

import pytest

from trunkline.policy import fair_queue
from trunkline.policy.fair_queue import FairQueue, Refusal, Ticket

A, B, C = 1, 2, 3


def queue_of(*jobs: tuple[int, str], priority: int = 0) -> FairQueue[str]:
    queue: FairQueue[str] = FairQueue(10.0)
    for account, job in jobs:
        queue.join(job, account, priority, 0.0)
    return queue


def take(queue: FairQueue[str]) -> Ticket[str]:
    ticket = queue.take()
    assert ticket is not None
    return ticket


def order(queue: FairQueue[str]) -> str:
    """Take everything, and return the jobs in order."""
    taken = []
    while (ticket := queue.take()) is not None:
        taken.append(ticket.job)
        queue.leave(ticket)
    assert queue.empty
    return " ".join(taken)


def test_accounts_take_turns_and_each_keeps_its_order() -> None:
    assert order(queue_of((A, "a1"), (A, "a2"), (A, "a3"), (B, "b1"), (C, "c1"), (C, "c2"))) == "a1 b1 c1 a2 c2 a3"


def test_an_account_that_comes_later_waits_for_one_turn_of_each() -> None:
    queue = queue_of(*((A, f"a{number}") for number in range(1, 6)))
    queue.leave(take(queue))
    queue.join("b1", B, 0, 1.0)
    assert order(queue) == "a2 b1 a3 a4 a5"


def test_three_turns_of_four_are_the_higher_prioritys() -> None:
    queue = queue_of(*((A, f"a{number}") for number in range(1, 4)))
    for number in range(1, 9):
        queue.join(f"v{number}", B, 5, 0.0)
    assert order(queue) == "v1 v2 v3 a1 v4 v5 v6 a2 v7 v8 a3"


def test_the_lower_ones_share_their_turn_by_the_same_rule() -> None:
    queue: FairQueue[str] = FairQueue(10.0)
    for priority, name in ((-1, "l"), (0, "m"), (1, "h")):
        for _ in range(20):
            queue.join(name, A, priority, 0.0)
    first = [take(queue).job for _ in range(16)]
    assert "".join(first) == "hhhmhhhmhhhmhhhl"


def test_one_high_job_at_a_time_does_not_starve_the_others() -> None:
    queue = queue_of(*((A, "a") for _ in range(5)))
    served = ""
    for _ in range(12):
        queue.join("v", B, 5, 0.0)
        ticket = take(queue)
        served += ticket.job
        queue.leave(ticket)
        if ticket.job == "a":  # it comes again when it has been served
            queue.leave(take(queue))
            served += "v"
    assert served == "vvvavvvavvvavvv"


def test_a_refused_job_is_next_again_and_the_second_time_behind_the_others() -> None:
    queue = queue_of((A, "a1"), (A, "a2"), (B, "b1"), (B, "b2"))
    first = take(queue)
    queue.put_back(first)
    assert take(queue) is first
    queue.put_back(first)
    assert order(queue) == "b1 a1 b2 a2"


def test_who_leaves_makes_room_at_once() -> None:
    queue: FairQueue[str] = FairQueue(10.0)
    tickets = [queue.join(f"a{number}", A, 0, 0.0) for number in range(3)]
    other = queue.join("b", B, 0, 0.0)
    queue.leave(tickets[0])
    queue.leave(other)
    assert len(queue) == 2
    assert order(queue) == "a1 a2"


def test_time_runs_from_joining_on_also_while_a_job_is_offered() -> None:
    queue = queue_of((A, "a1"))
    queue.join("b1", B, 0, 2.0)
    first = take(queue)
    assert queue.late(10.0) == []  # it may get in just now
    queue.put_back(first)
    assert [ticket.job for ticket in queue.late(9.9)] == []
    assert [ticket.job for ticket in queue.late(10.0)] == ["a1"]
    assert [ticket.job for ticket in queue.late(12.0)] == ["a1", "b1"]


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_queue, "WAITING_MAX", 3)
    monkeypatch.setattr(fair_queue, "WAITING_PER_ACCOUNT_MAX", 2)
    queue = queue_of((A, "a1"), (A, "a2"))
    assert queue.full_for(A, 0) is Refusal.ACCOUNT_FULL
    assert queue.full_for(B, 0) is None
    queue.join("b1", B, 0, 0.0)
    assert queue.full_for(C, 0) is Refusal.ALL_FULL
    assert queue.full_for(C, 7) is None  # another priority has its own
    queue.leave(take(queue))
    assert queue.full_for(C, 0) is None
    assert queue.full_for(A, 0) is None


def test_an_empty_queue_has_no_turn() -> None:
    queue: FairQueue[str] = FairQueue(10.0)
    assert (queue.take(), len(queue), queue.empty) == (None, 0, True)
    ticket = queue.join("a1", A, 0, 0.0)
    assert queue.take() is ticket
    assert (queue.take(), len(queue), queue.empty) == (None, 0, False)  # it may come back


def test_turns_that_are_foretold() -> None:
    queue = queue_of(*((A, "a") for _ in range(50)), (B, "b"), (C, "c"))
    assert queue.turns_of(A, 0) == 53  # all that wait, and its own
    assert queue.turns_of(B, 0) == 6  # two of each account
    assert queue.turns_of(4, 0) == 4  # one of each, and its own
    assert queue.turns_of(4, 5) == 1  # a higher priority
    assert queue.turns_of(4, -5) == 4  # a lower one has every fourth turn
    assert (queue.turn_every(A, 0), queue.turn_every(4, 0), queue.turn_every(4, 5)) == (3, 4, 1)
