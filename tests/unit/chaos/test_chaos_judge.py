"""The judges of a chaos run find what is against a promise, and nothing else."""

from collections import Counter
from typing import Any

import pytest

from tests.chaos import judge
from tests.chaos.judge import CLOSED_WITHIN_MS, Limited, Span, Told
from tests.chaos.load import INPUT_NANO, OUTPUT_NANO, Leaving
from tests.support.chat_client import PROPER, Ending, Outcome
from trunkline.dev.demo.counts import Abort, Answer, Counts, ModelUsage, Usage
from trunkline.store.database import Connection

QUIET = (Span(10.0, 20.0),)
EXPECTED = frozenset({"upstream_cut"})
USAGE = {"prompt_tokens": 7, "completion_tokens": 5}
OF_CACHE = {"prompt_tokens": 107, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 100}}
OWED = 7 * INPUT_NANO + 5 * OUTPUT_NANO


class Ledger:
    """A connection that answers with given rows."""

    def __init__(self, **rows: int) -> None:
        self._rows = [
            {"job": job, "charges": charges, "input": 7, "output": 5, "charge_nano": OWED}
            for job, charges in rows.items()
        ]

    async def fetch(self, _query: str) -> list[dict[str, Any]]:
        return self._rows


def outcome(ending: Ending, job: str = "a", began: float = 12.0, **fields: Any) -> Outcome:
    return Outcome(ending=ending, began=began, seconds=1.0, headers={"x-request-id": job}, **fields)


async def charges(ledger: Ledger, *outcomes: Outcome) -> judge.Charges:
    connection: Connection = ledger  # type: ignore[assignment]  # all that is asked of it
    return await judge.judge_charges(connection, outcomes, QUIET)


def test_whoever_hears_nothing_or_half_is_found() -> None:
    ends = [outcome(ending) for ending in Ending]
    assert judge.improper_ends([each for each in ends if each.ending in PROPER], PROPER) == []
    (found,) = judge.improper_ends(ends, PROPER)
    assert found.startswith("P1: 5 requests")


def test_an_error_counts_where_nothing_was_wrong() -> None:
    ours = outcome(Ending.REFUSED, code="overloaded")
    assert len(judge.failures_in_quiet([ours], QUIET, EXPECTED)) == 1
    assert judge.failures_in_quiet([outcome(Ending.REFUSED, began=9.5, code="overloaded")], QUIET, EXPECTED) == []
    assert judge.failures_in_quiet([outcome(Ending.REFUSED, began=19.5, code="overloaded")], QUIET, EXPECTED) == []
    assert judge.failures_in_quiet([outcome(Ending.IN_BAND, code="upstream_cut")], QUIET, EXPECTED) == []


def test_a_late_closing_is_found_where_nothing_was_wrong() -> None:
    aborts = [Abort("slow", "m", 3_100, 1), Abort("quick", "m", 2_900, 1)]
    assert judge.late_closings([Leaving("quick", 12.0, 2_000), Leaving("unseen", 12.0, 2_000)], aborts, QUIET) == []
    assert len(judge.late_closings([Leaving("slow", 12.0, 2_000)], aborts, QUIET)) == 1
    assert judge.late_closings([Leaving("slow", 9.0, 2_000), Leaving("slow", 19.5, 2_000)], aborts, QUIET) == []


@pytest.mark.parametrize(
    ("ledger", "one", "found", "in_vain"),
    [
        (Ledger(a=1), outcome(Ending.WHOLE, usage=USAGE), 0, 0),
        (Ledger(a=1), outcome(Ending.WHOLE, usage=OF_CACHE), 0, 0),
        (Ledger(), outcome(Ending.WHOLE, usage=USAGE), 1, 0),
        (Ledger(a=1), outcome(Ending.WHOLE, usage={**USAGE, "completion_tokens": 4}), 1, 0),
        (Ledger(a=2), outcome(Ending.WHOLE, usage=USAGE), 1, 0),
        (Ledger(a=2), outcome(Ending.WHOLE, began=30.0, usage=USAGE), 1, 0),
        (Ledger(), outcome(Ending.REFUSED), 0, 0),
        (Ledger(a=1), outcome(Ending.REFUSED), 1, 0),
        (Ledger(a=1), outcome(Ending.REFUSED, began=30.0), 0, 1),
        (Ledger(a=1), outcome(Ending.IN_BAND), 0, 0),
    ],
)
async def test_charges_are_compared_with_what_clients_got(
    ledger: Ledger, one: Outcome, found: int, in_vain: int
) -> None:
    judged = await charges(ledger, one)
    assert (len(judged.found), judged.in_vain) == (found, in_vain)


def answer(number: int, *, closed_after_ms: float | None = None) -> Answer:
    return Answer(f"request-{number}", "demo", Usage(7, 5, number), closed_after_ms)


def reported(*answers: Answer) -> Counts:
    usage = ModelUsage()
    for each in answers:
        usage.add(each.usage)
    return Counts(reported={"demo": usage})


def booked(*numbers: int) -> Counter[Told]:
    return Counter(Told("demo", 7, 5, number) for number in numbers)


def judged(ledger: Counter[Told], *answers: Answer, killed: bool = False) -> tuple[int, int]:
    found = judge.judge_answers(ledger, answers, reported(*answers), killed=killed)
    return len(found.found), found.closed


def test_the_ledger_has_each_answer_once() -> None:
    assert judged(booked(1, 2), answer(1), answer(2)) == (0, 0)
    assert judged(booked(1, 1), answer(1), answer(1)) == (0, 0)
    assert judged(booked(1), answer(1), answer(2)) == (1, 0)
    assert judged(booked(1), answer(1), answer(1)) == (1, 0)
    assert judged(booked(1, 2, 2), answer(1), answer(2)) == (1, 0)
    assert judged(booked(1, 3), answer(1), answer(2)) == (2, 0), "as many, but not the same"
    assert judged(Counter([Told("demo", 7, 4, 1)]), answer(1)) == (2, 0), "to the token"
    assert judged(Counter([Told("other", 7, 5, 1)]), answer(1)) == (2, 0)


def test_an_answer_may_be_missing_whose_call_was_closed_in_that_instant() -> None:
    assert judged(booked(), answer(1, closed_after_ms=CLOSED_WITHIN_MS)) == (0, 1)
    assert judged(booked(), answer(1, closed_after_ms=CLOSED_WITHIN_MS + 1)) == (1, 0)
    # It makes up for no other.
    assert judged(booked(1), answer(1, closed_after_ms=2.0), answer(2)) == (1, 0)
    assert judged(booked(), answer(1, closed_after_ms=2.0), answer(2)) == (1, 1)
    assert judged(booked(), answer(1, closed_after_ms=2.0), answer(1)) == (1, 1)
    assert judged(booked(1), answer(1, closed_after_ms=2.0), answer(1)) == (0, 1)


def test_where_services_were_killed_usage_may_be_missing_but_not_made_up() -> None:
    assert judged(booked(), answer(1), killed=True) == (0, 0)
    assert judged(booked(1, 2), answer(1), killed=True) == (1, 0)


def test_an_upstream_that_does_not_list_what_it_counts_proves_nothing() -> None:
    counts = reported(answer(1), answer(2))
    assert len(judge.judge_answers(booked(1), [answer(1)], counts, killed=False).found) == 1


# --- limits ----------------------------------------------------------------------------------------------------------

TEN = Limited("hasty", 10, lambda _outcome: 1)


def served(*began: float, seconds: float = 0.1) -> list[Outcome]:
    return [Outcome(ending=Ending.WHOLE, began=each, seconds=seconds) for each in began]


def every(step_s: float, count: int, *, begin_s: float = 0.0) -> list[Outcome]:
    return served(*[begin_s + step_s * number for number in range(count)])


def test_a_minute_has_no_more_than_the_limit_wherever_it_begins() -> None:
    assert judge.over_limits(TEN, every(6.0, 100), [], []) == []
    assert judge.over_limits(TEN, every(0.1, 10) + every(0.1, 10, begin_s=60.0), [], []) == []
    (found,) = judge.over_limits(TEN, every(0.1, 10) + served(59.0), [], [])
    assert found == "P3: hasty had too much in 1 minutes: ['11 instead of 10 units, from 0.0 s']"
    assert len(judge.over_limits(TEN, every(0.1, 5, begin_s=50.0) + every(0.1, 6, begin_s=65.0), [], [])) == 1


def test_it_counts_what_was_used_for_sure() -> None:
    refused = [Outcome(ending=Ending.REFUSED, began=1.0, seconds=0.1)]
    assert judge.over_limits(TEN, every(0.1, 10) + refused, [], []) == []
    # It may have been let in after the minute.
    assert judge.over_limits(TEN, every(0.1, 10) + served(59.0, seconds=1.5), [], []) == []


def test_units_are_added_up() -> None:
    tokens = Limited("wordy", 100, lambda outcome: outcome.chunks)
    requests = every(1.0, 5)
    for each in requests:
        each.chunks = 20
    assert judge.over_limits(tokens, requests, [], []) == []
    requests[0].chunks = 21
    assert len(judge.over_limits(tokens, requests, [], [])) == 1


def test_edges_that_cannot_ask_go_on_at_their_share() -> None:
    trouble = [Span(20.0, 49.0)]  # half a minute with the second before it
    assert judge.over_limits(TEN, every(0.1, 10) + every(1.0, 7, begin_s=30.0), trouble, []) == []
    assert len(judge.over_limits(TEN, every(0.1, 10) + every(1.0, 8, begin_s=30.0), trouble, [])) == 1
    # A trouble of another minute gives nothing.
    assert len(judge.over_limits(TEN, every(0.1, 11), [Span(90.0, 120.0)], [])) == 1


def test_what_a_crash_of_postgres_has_forgotten_may_be_used_again() -> None:
    crash = [Span(3.95, 5.05)]
    assert judge.over_limits(TEN, every(1.0, 12), [], crash) == []
    assert len(judge.over_limits(TEN, every(1.0, 13), [], crash)) == 1
