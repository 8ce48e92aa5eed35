"""What an upstream can do wrong (`support.fault_table`): what clients see, who answers, who pays, who is blamed."""

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.support.books import assert_books_agree
from tests.support.chat_client import Ending, session
from tests.support.fault_answers import COMPLETION_TOKENS, PROMPT_TOKENS
from tests.support.fault_kinds import Against
from tests.support.fault_table import FAULTS, REFUSES_CONNECTIONS
from tests.support.fault_trial import CELLS, UNTIMED, Cell, Result, Trial, Verdict, add_channels
from tests.support.faulty_upstream import MODEL, RETRY_AFTER_S, FaultyUpstream, faulty_upstream
from tests.support.live_stack import LiveStack, StackPlan
from trunkline.dev.demo.counts import ModelUsage


class Rig(NamedTuple):
    """A stack, its upstream, and all that came of the table."""

    stack: LiveStack
    results: dict[Cell, Result]
    verdicts: dict[str, Verdict]
    good: int
    """Whole answers."""


async def bring_about(stack: LiveStack, upstream: FaultyUpstream, key: str) -> Rig:
    async with session() as http:
        trial = Trial(stack, upstream, key, http)
        await trial.served()
        upstream.refuse()
        results, verdicts = await trial.cells(), await trial.verdicts()
        return Rig(stack, results, verdicts, trial.good)


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    plan = StackPlan(edges=1, dispatchers=1)
    plan.environment["TRUNKLINE_PROBE_INTERVAL_S"] = "60"  # hundreds of channels, on few cores
    key = plan.account("acme")
    with faulty_upstream() as upstream:
        add_channels(plan, upstream)
        with plan.running() as stack:
            yield asyncio.run(bring_about(stack, upstream, key))


def cells(*, backed: bool) -> pytest.MarkDecorator:
    chosen = [cell for cell in CELLS if cell.backed is backed]
    return pytest.mark.parametrize("cell", chosen, ids=lambda cell: cell.model)


def assert_seen(cell: Cell, result: Result) -> None:
    """Assert that the client saw what the table says of an only channel."""
    seen, outcome = cell.seen, result.outcome
    expected = Ending.WHOLE if seen.error is None else Ending.IN_BAND if seen.begun else Ending.REFUSED
    assert (outcome.ending, outcome.status, outcome.code) == (expected, seen.status, seen.code), outcome
    if expected is Ending.REFUSED:
        assert outcome.headers.get("x-should-retry", "true") == ("true" if seen.waits else "false")
        assert ("retry-after" in outcome.headers) is seen.waits


def arriving(cell: Cell, attempts: int) -> int:
    """Return how many of so many attempts the upstream sees."""
    return 0 if cell.name == REFUSES_CONNECTIONS else attempts


@cells(backed=False)
def test_fault_of_the_only_channel(rig: Rig, cell: Cell) -> None:
    result, seen = rig.results[cell], cell.seen
    assert_seen(cell, result)
    assert result.attempts == arriving(cell, seen.attempts)
    paid = seen.error is None or seen.begun
    ends = [("" if seen.error is None else seen.error.value, paid)] * seen.attempts
    assert [(row.outcome, row.charged) for row in result.booked] == ends
    assert (sum(row.charge_nano for row in result.booked) > 0) is paid


@cells(backed=True)
def test_fault_of_the_first_of_two_channels(rig: Rig, cell: Cell) -> None:
    result, seen = rig.results[cell], cell.seen
    if not seen.retried:
        assert_seen(cell, result)
        assert (result.attempts, result.attempts_second) == (1, 0)
        return
    assert (result.outcome.ending, result.outcome.status) == (Ending.WHOLE, 200), result.outcome
    assert result.outcome.headers["x-trunkline-attempts"] == "2"
    assert (result.attempts, result.attempts_second) == (arriving(cell, 1), 1)
    assert seen.error is not None
    assert [(row.outcome, row.charged) for row in result.booked] == [(seen.error.value, False), ("", True)]
    assert result.booked[0].charge_nano == 0


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_blamed(rig: Rig, name: str) -> None:
    against, verdict = FAULTS[name].against, rig.verdicts[name]
    assert (verdict.ejections > 0) is (against is Against.CHANNEL)
    assert verdict.refused_credentials == (against is Against.ASIDE)
    assert verdict.refused_models <= (against is Against.MODEL)  # after three denials only
    if against is not Against.CHANNEL:  # which may be probing by then
        # What is set aside, denied or cools for long is not asked again.
        assert verdict.attempts_later == (against is Against.NOTHING or name in UNTIMED)


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.against is Against.COOLS])
def test_when_to_come_again(rig: Rig, name: str) -> None:
    for cell, result in rig.results.items():
        if cell.name == name and not cell.backed:
            wait_s = int(result.outcome.headers["retry-after"])
            assert 0 < wait_s <= (1 if name in UNTIMED else RETRY_AFTER_S)


async def test_the_books_agree(rig: Rig) -> None:
    reported = ModelUsage(rig.good, rig.good * PROMPT_TOKENS, rig.good * COMPLETION_TOKENS)
    async with session() as http:
        await assert_books_agree(rig.stack, http, elsewhere={MODEL: reported})
