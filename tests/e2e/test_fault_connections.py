"""What an upstream can do wrong with its connections: most of it is nobody's business, the rest a clear error."""

from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import aiohttp
import pytest

from tests.support.books import assert_books_agree
from tests.support.chat_client import ChatClient, Ending, Outcome, assert_proper, session
from tests.support.live_stack import LiveStack, StackPlan, channel_entry, model_entry
from tests.support.rude_upstream import MODEL, Habit, RudeUpstream, rude_upstream
from tests.support.waiting import eventually
from trunkline.dev.ports import PortPicker
from trunkline.policy.retry import ROUNDS_MAX

REQUESTS = 12


class Rig(NamedTuple):
    """A stack with one dispatcher, so that its connections are used again, and an upstream that is rude to it."""

    stack: LiveStack
    key: str
    http: aiohttp.ClientSession
    rude: RudeUpstream

    async def channels(self) -> float:
        """Return how many channels the dispatcher knows."""
        return await self.stack.metric_sum(self.http, "dispatcher", "trunkline_dispatcher_channels")

    async def client(self, model: str, base_url: str) -> ChatClient:
        """Add a model with one channel and return a client once it is served."""
        channel = channel_entry(model, model, base_url, upstream_model=MODEL)
        known = await self.channels()
        await self.stack.apply(self.http, channels=[channel], models=[model_entry(model)])
        client = ChatClient(self.http, self.key, model)

        async def served() -> bool:
            headers = {"authorization": f"Bearer {self.key}"}
            async with self.http.get(f"{self.stack.edges[0]}/v1/models/{model}", headers=headers) as response:
                # The dispatcher hears of the channel by itself.
                return response.status == 200 and await self.channels() > known

        await eventually(served, within_s=10, what="the model is there")
        return client


@pytest.fixture(scope="module")
def stack_and_key() -> Iterator[tuple[LiveStack, str]]:
    plan = StackPlan(edges=1, dispatchers=1)
    key = plan.account("acme")
    with plan.running() as stack:
        yield stack, key


@pytest.fixture
async def rig(stack_and_key: tuple[LiveStack, str]) -> AsyncIterator[Rig]:
    stack, key = stack_and_key
    async with session() as http, rude_upstream() as rude:
        yield Rig(stack, key, http, rude)


async def ask(rig: Rig, client: ChatClient) -> list[Outcome]:
    return [await client.chat(rig.stack.edges[0]) for _ in range(REQUESTS)]


async def test_connections_that_are_badly_treated(rig: Rig) -> None:
    rude = rig.rude
    closes_idle = await rig.client("closes-idle", rude.base_url(Habit.CLOSES_IDLE))
    assert_proper(await ask(rig, closes_idle), {Ending.WHOLE})
    assert rude.connections >= REQUESTS

    # The worst moment: the request is on its way when the connection is closed. One more is made, and only one.
    closes_on_reuse = await rig.client("closes-on-reuse", rude.base_url(Habit.CLOSES_ON_REUSE))
    assert_proper(await ask(rig, closes_on_reuse), {Ending.WHOLE})
    assert rude.closed_unanswered == REQUESTS - 1

    for habit in (Habit.HANGS_UP, Habit.BABBLES):
        asked = rude.asked
        refused = await (await rig.client(habit.value, rude.base_url(habit))).chat(rig.stack.edges[0])
        assert (refused.ending, refused.status, refused.error_type) == (Ending.REFUSED, 502, "server_error")
        assert 0 < rude.asked - asked <= 1 + ROUNDS_MAX + 1  # the first may go over a kept connection, and again

    nobody = f"http://127.0.0.1:{PortPicker().pick()}"
    refused = await (await rig.client("nobody", nobody)).chat(rig.stack.edges[0])
    assert (refused.ending, refused.status, refused.code) == (Ending.REFUSED, 502, "upstream_unavailable")

    assert rude.reported[MODEL].answers == 2 * REQUESTS
    await assert_books_agree(rig.stack, rig.http, elsewhere=rude.reported)
