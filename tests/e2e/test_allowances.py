"""Money and limits over four edges at once: exactly what the money covers, never more than a limit, and hardly less."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import aiohttp
import pytest

from tests.support.books import account_usage, assert_at_rest
from tests.support.chat_client import ChatClient, Ending, Outcome, assert_proper, endings, session
from tests.support.live_stack import LiveStack, StackPlan
from trunkline.core.money import NANO_PER_USD
from trunkline.runtime.clock import SystemClock

MODEL = "demo"
CHEAP = "demo-cheap"
PARALLEL = 500
"""Requests that each edge gets at once."""

INPUT_NANO, OUTPUT_NANO = 10_000, 20_000
"""What a token costs (`live_stack.model_entry`)."""

MAX_TOKENS = 64

MINUTE_S = 60
COUNTED_LATE_S = 2
"""A limit is whole again a little later than a minute after."""

COME_AGAIN = {429, 503}
"""Statuses of those that were told to: the rest is held by requests under way, or metering did not answer in time."""


class Rig(NamedTuple):
    stack: LiveStack
    keys: dict[str, str]
    http: aiohttp.ClientSession

    def client(self, account: str, model: str = MODEL) -> ChatClient:
        return ChatClient(self.http, self.keys[account], model)

    async def burst(self, account: str, each: int, script: dict[str, object] | None = None) -> list[Outcome]:
        """Send so many requests to every edge, all at once."""
        client = self.client(account)
        return await asyncio.gather(
            *(client.chat(edge, script, max_tokens=MAX_TOKENS) for _ in range(each) for edge in self.stack.edges)
        )

    async def insistent_burst(self, account: str, each: int) -> list[Outcome]:
        """The same, and those that were told to come again do so, as their SDK would; returns how each ended."""
        client = self.client(account)
        outcomes = await self.burst(account, each)
        while True:
            assert_proper(outcomes)
            again = [outcome for outcome in outcomes if outcome.status in COME_AGAIN]
            if not again:
                return outcomes
            retried = await asyncio.gather(*(client.chat(outcome.edge, max_tokens=MAX_TOKENS) for outcome in again))
            outcomes = [outcome for outcome in outcomes if outcome.status not in COME_AGAIN] + list(retried)

    async def settled(self, account: str) -> int:
        """Return what an account was charged once all is booked."""
        await assert_at_rest(self.stack, self.http)
        return (await account_usage(self.stack, account)).charge_nano


@pytest.fixture(scope="module")
def stack_and_keys() -> Iterator[tuple[LiveStack, dict[str, str]]]:
    plan = StackPlan(edges=4, dispatchers=1)
    plan.channel("only", MODEL)
    plan.channel("cheap", CHEAP)
    keys = {"measure": plan.account("measure"), "hundred": plan.account("hundred", credit_usd=0.0)}
    keys["minute"] = plan.account("minute", limits={"rpm": 100})
    keys["parallel"] = plan.account("parallel", limits={"concurrency": 10})
    keys["budget"] = plan.account("budget", budgets={"daily": 0.05})
    keys["ladder"] = plan.account(
        "ladder", budgets={"models": [{"models": [MODEL], "daily": 0.02}], "cheaper": {MODEL: CHEAP}}
    )
    keys["family"] = plan.account("family", limits={"families": [{"models": ["demo-*"], "rpm": 7}]})
    with plan.running() as stack:
        yield stack, keys


@pytest.fixture
async def rig(stack_and_keys: tuple[LiveStack, dict[str, str]]) -> AsyncIterator[Rig]:
    stack, keys = stack_and_keys
    async with session() as http:
        yield Rig(stack, keys, http)


async def cost_of_one(rig: Rig) -> tuple[int, int]:
    """Return what a request costs, and what is held for it at least, in nano-USD."""
    client = rig.client("measure")
    outcome = await client.chat(rig.stack.edges[0], max_tokens=MAX_TOKENS)
    assert outcome.usage is not None
    cost = outcome.usage["prompt_tokens"] * INPUT_NANO + outcome.usage["completion_tokens"] * OUTPUT_NANO
    return cost, len(client.body(max_tokens=MAX_TOKENS)) // 3 * INPUT_NANO + MAX_TOKENS * OUTPUT_NANO


async def test_two_thousand_requests_at_once_get_exactly_what_the_money_covers(rig: Rig) -> None:
    cost, held = await cost_of_one(rig)
    # The hundredth is only begun if its hold is covered, whatever it comes to in the end.
    credit = 99 * cost + held
    path = "/accounts/hundred/credit"
    await rig.stack.admin(rig.http, "POST", path, {"usd": f"{credit / NANO_PER_USD:.9f}", "reference": "hundred"})
    outcomes = await rig.insistent_burst("hundred", PARALLEL)
    assert Counter(outcome.status for outcome in outcomes) == {200: 100, 403: 4 * PARALLEL - 100}
    assert await rig.settled("hundred") == 100 * cost


@pytest.mark.patient
async def test_a_limit_of_a_hundred_a_minute_lets_a_hundred_through(rig: Rig) -> None:
    clock = SystemClock()
    began = clock.now()
    outcomes = await rig.burst("minute", 100)
    over = clock.now()
    assert endings(outcomes) == {"whole": 100, "refused:rate_limit": 300}
    refused = [outcome for outcome in outcomes if outcome.ending is Ending.REFUSED]
    assert all(outcome.status == 429 for outcome in refused)
    assert all("100 requests per minute" in outcome.message for outcome in refused)
    soonest, latest = MINUTE_S - (over - began), MINUTE_S + COUNTED_LATE_S
    assert {soonest <= int(outcome.headers["retry-after"]) <= latest for outcome in refused} == {True}
    # Nothing before the minute is over, however often one asks.
    await clock.sleep(max(0.0, began + 50 - clock.now()))
    assert endings(await rig.burst("minute", 5)) == {"refused:rate_limit": 20}
    await clock.sleep(max(0.0, over + MINUTE_S + 2 * COUNTED_LATE_S - clock.now()))
    assert endings(await rig.burst("minute", 100)) == {"whole": 100, "refused:rate_limit": 300}


async def test_ten_at_a_time_are_never_eleven(rig: Rig) -> None:
    outcomes = await rig.burst("parallel", 10, {"first_delay_ms": 4000})
    assert endings(outcomes) == {"whole": 10, "refused:concurrency_limit": 30}
    # The permits move to whichever edge is asked.
    for edge in rig.stack.edges:
        client = rig.client("parallel")
        # Long enough for all of them to have come before the first has gone.
        more = await asyncio.gather(*(client.chat(edge, {"first_delay_ms": 1500}) for _ in range(14)))
        assert endings(more) == {"whole": 10, "refused:concurrency_limit": 4}


async def test_a_budget_stops_at_its_end_and_does_not_look_like_a_bad_key(rig: Rig) -> None:
    cost, held = await cost_of_one(rig)
    outcomes = await rig.insistent_burst("budget", 50)
    whole = [outcome for outcome in outcomes if outcome.ending is Ending.WHOLE]
    refused = [outcome for outcome in outcomes if outcome.status == 403]
    assert len(whole) + len(refused) == 200
    assert 50_000_000 - held < len(whole) * cost <= 50_000_000
    assert {outcome.code for outcome in refused} == {"budget_exceeded"}
    assert all("daily budget of 0.05 USD" in outcome.message for outcome in refused)
    assert await rig.settled("budget") == len(whole) * cost


async def test_a_cheaper_model_takes_over_when_a_budget_is_used_up(rig: Rig) -> None:
    client = rig.client("ladder")
    outcomes = [await client.chat(rig.stack.edges[number % 4], max_tokens=MAX_TOKENS) for number in range(40)]
    assert_proper(outcomes, {Ending.WHOLE})
    moved = [outcome for outcome in outcomes if outcome.headers.get("x-trunkline-model") == CHEAP]
    assert moved
    assert "x-trunkline-model" not in outcomes[0].headers
    assert all(outcome.headers["x-trunkline-model-reason"] == "budget" for outcome in moved)


async def test_a_family_of_models_has_a_limit_of_its_own(rig: Rig) -> None:
    cheap, plain = rig.client("family", CHEAP), rig.client("family")
    outcomes = [await cheap.chat(rig.stack.edges[number % 4]) for number in range(12)]
    assert endings(outcomes) == {"whole": 7, "refused:rate_limit": 5}
    assert_proper([await plain.chat(edge) for edge in rig.stack.edges], {Ending.WHOLE})
