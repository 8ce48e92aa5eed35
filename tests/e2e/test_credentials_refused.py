"""A provider refuses one of a channel's credentials: the others serve, and it is replaced while all runs."""

import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import aiohttp
import pytest

from tests.support.books import assert_books_agree
from tests.support.chat_client import ChatClient, Ending, Outcome, assert_proper, session
from tests.support.live_stack import LiveStack, StackPlan
from tests.support.waiting import eventually

MODEL = "keyed"
GOOD, BAD, NEW = "sk-good", "sk-bad", "sk-new"
DISPATCHERS = 2
REQUESTS = 60
"""Enough for both dispatchers to come to each credential: both are drawn."""

KNOWN_WITHIN_S = 10.0


class Rig(NamedTuple):
    stack: LiveStack
    client: ChatClient
    http: aiohttp.ClientSession

    async def chat(self, number: int) -> Outcome:
        """Ask something else each time: a conversation would keep to one credential."""
        messages = [{"role": "user", "content": f"question {number}"}]
        return await self.client.chat(self.stack.edges[0], stream=number % 2 == 0, messages=messages)

    async def ask(self) -> None:
        """Ask often, and expect an answer each time."""
        assert_proper([await self.chat(number) for number in range(REQUESTS)], {Ending.WHOLE})

    async def attempts(self, credential: str) -> int:
        return (await self.stack.counts(self.http)).attempts.get(credential, 0)

    async def refused(self) -> float:
        """Return how many credentials are refused, by health's count."""
        metrics = await self.stack.metrics(self.http, "health", 0)
        return metrics.get(f"trunkline_channel_refused_credentials{{channel={MODEL}}}", 0.0)

    async def add(self, secret: str) -> int:
        """Add a credential and return its id."""
        path = f"/channels/{MODEL}/credentials"
        view: dict[str, Any] = await self.stack.admin(self.http, "POST", path, {"secret": secret})
        return int(view["id"])

    async def remove(self, credential: int) -> None:
        await self.stack.admin(self.http, "DELETE", f"/channels/{MODEL}/credentials/{credential}")


@pytest.fixture
def stack_and_key() -> Iterator[tuple[LiveStack, str]]:
    plan = StackPlan(edges=1, dispatchers=DISPATCHERS)
    plan.channel(MODEL, MODEL, credentials=[GOOD])
    key = plan.account("acme")
    with plan.running() as stack:
        yield stack, key


@pytest.fixture
async def rig(stack_and_key: tuple[LiveStack, str]) -> AsyncIterator[Rig]:
    stack, key = stack_and_key
    async with session() as http:
        yield Rig(stack, ChatClient(http, key, MODEL), http)


async def used(rig: Rig, credential: str, attempts: int) -> None:
    """Ask until a credential has had so many attempts; each question has its answer."""
    numbers = itertools.count()

    async def look() -> bool:
        assert_proper([await rig.chat(next(numbers))], {Ending.WHOLE})
        return await rig.attempts(credential) >= attempts

    await eventually(look, within_s=KNOWN_WITHIN_S, what=f"{credential} is used")


@pytest.mark.parametrize("status", [401, 402])
async def test_a_refused_credential_is_set_aside_and_replaced(rig: Rig, status: int) -> None:
    await rig.stack.order(rig.http, {"status": status}, BAD)
    bad = await rig.add(BAD)
    await used(rig, BAD, DISPATCHERS)
    await rig.ask()
    # One attempt of each dispatcher, and no more: it is set aside for a minute. The client notices nothing.
    assert await rig.attempts(BAD) == DISPATCHERS

    async def health_knows() -> bool:
        return await rig.refused() == 1

    await eventually(health_knows, within_s=KNOWN_WITHIN_S, what="health has counted it")

    await rig.remove(bad)
    await rig.add(NEW)
    await used(rig, NEW, 1)

    async def health_forgot() -> bool:
        return await rig.refused() == 0

    await eventually(health_forgot, within_s=KNOWN_WITHIN_S, what="health has forgotten it")
    before = await rig.attempts(GOOD), await rig.attempts(NEW)
    await rig.ask()
    good, new = await rig.attempts(GOOD) - before[0], await rig.attempts(NEW) - before[1]
    assert good + new == REQUESTS
    assert min(good, new) > REQUESTS // 5
    assert await rig.attempts(BAD) == DISPATCHERS
    await assert_books_agree(rig.stack, rig.http)


async def test_one_that_is_added_again_starts_afresh(rig: Rig) -> None:
    await rig.stack.order(rig.http, {"status": 401}, BAD)
    bad = await rig.add(BAD)
    await used(rig, BAD, DISPATCHERS)
    await rig.remove(bad)
    await rig.stack.order(rig.http, None, BAD)
    await rig.add(BAD)
    await used(rig, BAD, 2 * DISPATCHERS)
    await rig.ask()
    assert await rig.attempts(BAD) > 2 * DISPATCHERS + REQUESTS // 5
