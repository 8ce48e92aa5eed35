"""When all channels of a model fail at once: no flood of retries, and everything is served once they are back."""

from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import aiohttp
import pytest

from tests.support.books import assert_books_agree
from tests.support.chat_client import ChatClient, Ending, Load, Outcome, assert_proper, endings, load, session
from tests.support.live_stack import LiveStack, StackPlan
from tests.support.waiting import eventually
from trunkline.policy.retry import BUDGET_MAX
from trunkline.runtime.clock import SystemClock

pytestmark = pytest.mark.patient

MODEL = "thirds"
CHANNELS = 3
DISPATCHERS = 2
WORKERS = 8
PAUSE_S = 0.08
"""Of each worker between two requests: some 90 a second in all, so that an outage lasts for seconds."""

FIRST_OF_OUTAGE = 250
"""Requests in which the budgets of retries run out: each dispatcher bears ten failures of a channel before."""

RETRIES_BORNE = CHANNELS * DISPATCHERS * int(BUDGET_MAX / 2)

MEASURED = 700
ATTEMPTS_PER_REQUEST_MAX = 1.3
STEP = 100
"""Requests that must end within the time for any progress."""

BACK_WITHIN_S = 30.0
SERVED = 300
SERVED_WITHIN_S = BACK_WITHIN_S + 30.0
"""Until so many have been served without a break, at a quarter of the usual rate."""


class Rig(NamedTuple):
    stack: LiveStack
    client: ChatClient
    http: aiohttp.ClientSession

    async def ask(self, number: int) -> Outcome:
        outcome = await self.client.chat(self.stack.edges[number % 2], stream=number % 2 == 0)
        await SystemClock().sleep(PAUSE_S)
        return outcome

    async def attempts(self) -> int:
        return sum((await self.stack.counts(self.http)).attempts.values())

    @staticmethod
    async def progress(running: Load, requests: int) -> None:
        """Return once so many more have ended, however long a busy machine takes for them."""
        enough = len(running.outcomes) + requests
        while (left := enough - len(running.outcomes)) > 0:
            await running.progress(min(left, STEP))

    async def fail(self, script: dict[str, object] | None) -> None:
        """Have all channels do the same; None ends it."""
        for number in range(CHANNELS):
            await self.stack.order(self.http, script, f"sk-{MODEL}-{number}")


@pytest.fixture
def stack_and_key() -> Iterator[tuple[LiveStack, str]]:
    plan = StackPlan(edges=2, dispatchers=DISPATCHERS)
    for number in range(CHANNELS):
        plan.channel(f"{MODEL}-{number}", MODEL)
    key = plan.account("acme")
    with plan.running() as stack:
        yield stack, key


@pytest.fixture
async def rig(stack_and_key: tuple[LiveStack, str]) -> AsyncIterator[Rig]:
    stack, key = stack_and_key
    async with session() as http:
        yield Rig(stack, ChatClient(http, key, MODEL), http)


@pytest.mark.parametrize("script", [{"status": 500}, {"error_mid_stream": 0}], ids=["all-is-down", "probes-pass"])
async def test_an_outage_of_all_channels_does_not_multiply_traffic(rig: Rig, script: dict[str, object]) -> None:
    async with load(rig.ask, workers=WORKERS) as running:
        await rig.progress(running, SERVED)
        assert_proper(running.outcomes, {Ending.WHOLE})
        before = await rig.attempts()
        await rig.fail(script)
        await rig.progress(running, FIRST_OF_OUTAGE)
        assert await rig.attempts() - before <= FIRST_OF_OUTAGE + WORKERS + 2 * RETRIES_BORNE

        requests, attempts = len(running.outcomes), await rig.attempts()
        await rig.progress(running, MEASURED)
        made, asked = await rig.attempts() - attempts, len(running.outcomes) - requests
        assert made <= ATTEMPTS_PER_REQUEST_MAX * (asked + WORKERS), (made, asked)
        assert {outcome.ending for outcome in running.outcomes[requests:]} == {Ending.REFUSED}
        assert {outcome.status for outcome in running.outcomes[requests:]} <= {502, 503}

        await rig.fail(None)
        back = SystemClock().now()

        async def served() -> bool:
            return {outcome.ending for outcome in running.outcomes[-SERVED:]} == {Ending.WHOLE}

        await eventually(served, within_s=SERVED_WITHIN_S, what="all is served again")
        refused = [outcome for outcome in running.outcomes if outcome.ending is Ending.REFUSED]
        assert max(outcome.began + outcome.seconds for outcome in refused) - back < BACK_WITHIN_S
    assert_proper(running.outcomes[-SERVED:], {Ending.WHOLE})
    assert set(endings(running.outcomes)) <= {"whole", "refused:upstream_unavailable", "refused:overloaded"}
    await assert_books_agree(rig.stack, rig.http)
