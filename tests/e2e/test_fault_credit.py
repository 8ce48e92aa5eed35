"""Accounts that run dry, keys that are taken away, models that are new: known at every edge within a second."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import aiohttp
import openai
import pytest

from tests.support.books import account_usage, assert_at_rest, assert_books_agree
from tests.support.chat_client import ChatClient, Ending, Outcome, load, session
from tests.support.live_stack import LiveStack, StackPlan, channel_entry, model_entry
from tests.support.waiting import eventually
from trunkline.core.money import NANO_PER_USD
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.tasks import TaskSet

MODEL = "demo"
POOR_CREDIT_USD = 0.02
KNOWN_WITHIN_S = 1.0
SLACK_S = 2.0
"""For this test's own requests and a busy machine. An edge that is not told of a change finds out much later."""

SETTLED_WITHIN_S = 10.0


class Rig(NamedTuple):
    stack: LiveStack
    keys: dict[str, str]
    http: aiohttp.ClientSession

    def client(self, account: str, model: str = MODEL) -> ChatClient:
        return ChatClient(self.http, self.keys[account], model)

    async def everywhere(self, client: ChatClient, status: int, code: str | None) -> float:
        """Return the seconds until every edge answers like this, and goes on to."""
        clock = SystemClock()
        began = clock.now()
        for edge in self.stack.edges:

            async def look(edge: str = edge) -> bool:
                outcome = await client.chat(edge)
                return (outcome.status, outcome.code) == (status, code)

            await eventually(look, within_s=5, what=f"{edge} answers {status}")
        seconds = clock.now() - began
        for edge in self.stack.edges:
            outcome = await client.chat(edge)
            assert (outcome.status, outcome.code) == (status, code)
        return seconds


@pytest.fixture(scope="module")
def stack_and_keys() -> Iterator[tuple[LiveStack, dict[str, str]]]:
    plan = StackPlan(edges=2, dispatchers=1)
    # Until an edge has heard of a new key, this test is an address that tries wrong ones.
    plan.environment["TRUNKLINE_FAILED_KEYS_PER_MINUTE"] = "100000"
    plan.channel("only", MODEL)
    keys = {"rich": plan.account("rich"), "poor": plan.account("poor", credit_usd=POOR_CREDIT_USD)}
    with plan.running() as stack:
        yield stack, keys


@pytest.fixture
async def rig(stack_and_keys: tuple[LiveStack, dict[str, str]]) -> AsyncIterator[Rig]:
    async with session() as http:
        yield Rig(*stack_and_keys, http)


async def test_exhausted_account_is_refused_and_comes_back(rig: Rig) -> None:
    stack, poor, rich = rig.stack, rig.client("poor"), rig.client("rich")
    edges = stack.edges

    async def ask_rich(number: int) -> Outcome:
        return await rich.chat(edges[number % 2], {"first_delay_ms": 20})

    async with load(ask_rich, workers=2) as others:
        # One answer worth more than the account has.
        assert (await poor.chat(edges[0], {"chunks": 2000})).ending is Ending.WHOLE
        assert await rig.everywhere(poor, 403, "insufficient_quota") < KNOWN_WITHIN_S + SLACK_S
        async with openai.AsyncOpenAI(base_url=f"{edges[1]}/v1", api_key=poor.key, max_retries=0) as sdk:
            with pytest.raises(openai.PermissionDeniedError) as caught:
                await sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "please"}])
            assert caught.value.code == "insufficient_quota"
            assert caught.value.response.headers["x-should-retry"] == "false"

        async def booked() -> bool:
            # Edges know what they have spent before metering has booked it.
            return (await account_usage(stack, "poor")).charge_nano > POOR_CREDIT_USD * NANO_PER_USD

        await eventually(booked, within_s=SETTLED_WITHIN_S, what="the answer is booked")
        credit = {"usd": "1.00", "reference": "top-up"}
        await stack.admin(rig.http, "POST", "/accounts/poor/credit", credit)
        assert await rig.everywhere(poor, 200, None) < KNOWN_WITHIN_S + SLACK_S
    assert {outcome.ending for outcome in others.outcomes} == {Ending.WHOLE}
    await assert_books_agree(stack, rig.http)


async def test_streams_under_way_survive_the_end_of_credit(rig: Rig) -> None:
    stack, tasks = rig.stack, TaskSet()
    await stack.admin(rig.http, "POST", "/accounts", {"name": "brief", "credit": "0.01"})
    made = await stack.admin(rig.http, "POST", "/accounts/brief/keys", {"name": "brief"})
    client = ChatClient(rig.http, made["secret"], MODEL)
    assert await rig.everywhere(client, 200, None) < KNOWN_WITHIN_S + SLACK_S
    begun = asyncio.Event()
    stream = tasks.spawn(
        client.chat(stack.edges[0], {"chunks": 60, "delay_ms": 50}, stream=True, on_chunk=lambda _: begun.set()),
        name="stream",
    )
    await asyncio.wait_for(begun.wait(), timeout=10)
    assert (await client.chat(stack.edges[1], {"chunks": 2000})).ending is Ending.WHOLE
    await rig.everywhere(client, 403, "insufficient_quota")
    outcome = await stream
    assert (outcome.ending, outcome.chunks) == (Ending.WHOLE, 60)
    await assert_at_rest(stack, rig.http)


@pytest.mark.parametrize("action", ["block", "delete"])
async def test_key_that_is_taken_away(rig: Rig, action: str) -> None:
    stack, name = rig.stack, f"doomed-{action}"
    made = await stack.admin(rig.http, "POST", "/accounts/rich/keys", {"name": name})
    client = ChatClient(rig.http, made["secret"], MODEL)
    assert await rig.everywhere(client, 200, None) < KNOWN_WITHIN_S + SLACK_S
    path = f"/accounts/rich/keys/{name}"
    if action == "block":
        await stack.admin(rig.http, "POST", f"{path}/block")
    else:
        await stack.admin(rig.http, "DELETE", path)
    assert await rig.everywhere(client, 401, "invalid_api_key") < KNOWN_WITHIN_S + SLACK_S
    if action == "block":
        await stack.admin(rig.http, "POST", f"{path}/unblock")
        assert await rig.everywhere(client, 200, None) < KNOWN_WITHIN_S + SLACK_S
    assert (await rig.client("rich").chat(stack.edges[0])).ending is Ending.WHOLE


async def test_new_model_and_channel_that_is_switched_off(rig: Rig) -> None:
    stack, client = rig.stack, rig.client("rich", "brand-new")
    assert (await client.chat(stack.edges[0])).code == "model_not_found"
    channel = channel_entry("brand-new", "brand-new", f"{stack.ready.upstream_url}/v1")
    await stack.apply(rig.http, channels=[channel], models=[model_entry("brand-new")])
    assert await rig.everywhere(client, 200, None) < KNOWN_WITHIN_S + SLACK_S
    await stack.admin(rig.http, "POST", "/channels/brand-new/disable")
    assert await rig.everywhere(client, 404, "model_not_found") < KNOWN_WITHIN_S + SLACK_S
    await stack.admin(rig.http, "POST", "/channels/brand-new/enable")
    assert await rig.everywhere(client, 200, None) < KNOWN_WITHIN_S + SLACK_S
    await assert_books_agree(stack, rig.http)
