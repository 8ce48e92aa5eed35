from typing import Any

import pytest

from tests.chaos import judge
from tests.chaos.judge import Quiet
from tests.chaos.load import INPUT_NANO, OUTPUT_NANO, Leaving
from tests.support.chat_client import PROPER, Ending, Outcome
from trunkline.dev.demo.counts import Abort, Counts, ModelUsage
from trunkline.store.database import Connection

QUIET = (Quiet(10.0, 20.0),)
USAGE = {"prompt_tokens": 7, "completion_tokens": 5}
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
    assert len(judge.failures_in_quiet([ours], QUIET)) == 1
    assert judge.failures_in_quiet([outcome(Ending.REFUSED, began=9.5, code="overloaded")], QUIET) == []
    assert judge.failures_in_quiet([outcome(Ending.REFUSED, began=19.5, code="overloaded")], QUIET) == []
    assert judge.failures_in_quiet([outcome(Ending.IN_BAND, code="upstream_cut")], QUIET) == []


def test_a_late_closing_is_found_where_nothing_was_wrong() -> None:
    aborts = [Abort("slow", "m", 3_100, 1), Abort("quick", "m", 2_900, 1)]
    assert judge.late_closings([Leaving("quick", 12.0, 2_000), Leaving("unseen", 12.0, 2_000)], aborts, QUIET) == []
    assert len(judge.late_closings([Leaving("slow", 12.0, 2_000)], aborts, QUIET)) == 1
    assert judge.late_closings([Leaving("slow", 9.0, 2_000), Leaving("slow", 19.5, 2_000)], aborts, QUIET) == []


@pytest.mark.parametrize(
    ("ledger", "one", "found", "in_vain"),
    [
        (Ledger(a=1), outcome(Ending.WHOLE, usage=USAGE), 0, 0),
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


def test_the_ledger_has_what_was_reported() -> None:
    counts = Counts(reported={"demo": ModelUsage(answers=2, prompt_tokens=14)})
    assert judge.wrong_sums({"demo": ModelUsage(answers=2, prompt_tokens=14)}, counts) == []
    assert len(judge.wrong_sums({"demo": ModelUsage(answers=2, prompt_tokens=13)}, counts)) == 1
    assert len(judge.wrong_sums({"demo": ModelUsage(answers=3, prompt_tokens=14)}, counts)) == 1
    assert len(judge.wrong_sums({"demo": ModelUsage(answers=2, prompt_tokens=15)}, counts)) == 1
    assert len(judge.wrong_sums({"other": ModelUsage(answers=2, prompt_tokens=14)}, counts)) == 1


def test_a_few_answers_may_be_made_while_their_call_is_closed() -> None:
    many = Counts(reported={"demo": ModelUsage(answers=100, prompt_tokens=700)})
    assert judge.wrong_sums({"demo": ModelUsage(answers=97, prompt_tokens=679)}, many) == []
    assert len(judge.wrong_sums({"demo": ModelUsage(answers=96, prompt_tokens=672)}, many)) == 1
    assert len(judge.wrong_sums({"demo": ModelUsage(answers=97, prompt_tokens=701)}, many)) == 1
