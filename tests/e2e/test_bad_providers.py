"""Providers that fail, crawl and limit, under load: clients get their answers all the same, and soon."""

# ruff: noqa: TID251 - clients and what they time are outside of the system and its clock

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import aiohttp
import pytest

from tests.support.books import assert_books_agree
from tests.support.chat_client import session
from tests.support.live_stack import LiveStack, StackPlan
from tests.support.waiting import eventually
from trunkline.dev.ports import PortPicker

pytestmark = pytest.mark.patient

QUICK_S = 0.05
SLOW_S = 1.0
RATE = 25
"""Requests a second: enough for figures within seconds, and little for the machine."""

LITTLE_S = 0.5
"""What clients may wait longer than for the provider that serves them; the machine holds some of them up, too."""

SETTLE_S = 10.0
MEASURE_S = 20.0
RECOVERY_S = 30.0


class Answer(NamedTuple):
    """One request: how it ended, and when its first output came."""

    begun: float
    status: int
    first_s: float
    whole: bool


class Client(NamedTuple):
    """Someone who asks, at all edges in turn."""

    http: aiohttp.ClientSession
    stack: LiveStack
    key: str
    model: str
    strategy: str = "priority"

    async def ask(self, number: int) -> Answer:
        edges = self.stack.edges
        body = {"model": self.model, "stream": True, "messages": [{"role": "user", "content": f"question {number}"}]}
        headers = {"authorization": f"Bearer {self.key}", "x-trunkline-strategy": self.strategy}
        url = f"{edges[number % len(edges)]}/v1/chat/completions"
        begun = time.monotonic()
        async with self.http.post(url, json=body, headers=headers) as response:
            first_s, last = 0.0, b""
            async for chunk in response.content.iter_any():
                first_s = first_s or time.monotonic() - begun
                last = (last + chunk)[-64:]
            return Answer(begun, response.status, first_s, last.endswith(b"data: [DONE]\n\n"))

    async def load(self, seconds: float) -> list[Answer]:
        """Ask at a steady rate, whatever comes of it."""
        begun, asked = time.monotonic(), []
        for number in range(int(seconds * RATE)):
            await asyncio.sleep(max(begun + number / RATE - time.monotonic(), 0))
            asked.append(asyncio.ensure_future(self.ask(number)))
        return list(await asyncio.gather(*asked))


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


@pytest.fixture(scope="module")
def stack_and_key() -> Iterator[tuple[LiveStack, str]]:
    plan = StackPlan(edges=2, dispatchers=2)
    nobody = f"http://127.0.0.1:{PortPicker().pick()}/v1"
    quick, slow = (f"first_delay_ms={seconds * 1000:g}&chunks=3" for seconds in (QUICK_S, SLOW_S))
    for model in ("three", "four"):
        plan.channel(f"dead-{model}", model, base_url=nobody)
        plan.channel(f"slow-{model}", model, script=slow)
        plan.channel(f"limiting-{model}", model, script=f"{quick}&status=429&share=0.5")
    plan.channel("healthy-four", "four", script=quick)
    plan.channel("quick", "quick", script=quick)
    plan.channel("slow", "slow", script=slow)
    for channel in ("one", "two"):
        plan.channel(channel, "pair", script=quick)
    key = plan.account("acme")
    with plan.running() as stack:
        yield stack, key


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with session() as http:
        yield http


async def test_one_is_dead_one_is_slow_and_one_refuses_half(
    stack_and_key: tuple[LiveStack, str], http: aiohttp.ClientSession
) -> None:
    """Of three bad channels only the slow one answers whenever it is asked: clients wait little more than for it.

    With a healthy one beside them, the strategy that looks for it finds it.
    """
    stack, key = stack_and_key
    alone = {}
    for model in ("slow", "quick"):
        alone[model] = await Client(http, stack, key, model).load(5.0)
        assert {(answer.status, answer.whole) for answer in alone[model]} == {(200, True)}
    cases = [("three", "priority", "slow"), ("three", "latency", "slow"), ("four", "latency", "quick")]
    clients = [Client(http, stack, key, model, strategy) for model, strategy, _ in cases]
    loads = await asyncio.gather(*(client.load(SETTLE_S + MEASURE_S) for client in clients))
    for (model, strategy, healthy), answers in zip(cases, loads, strict=True):
        good = [answer for answer in answers if answer.status == 200 and answer.whole]
        assert len(good) >= 0.999 * len(answers), [answer for answer in answers if answer not in good]
        settled = [answer.first_s for answer in good if answer.begun - answers[0].begun >= SETTLE_S]
        bound = percentile([answer.first_s for answer in alone[healthy]], 0.99) + LITTLE_S
        assert percentile(settled, 0.99) <= bound, (model, strategy, sorted(settled)[-40:])
        if strategy == "latency":
            assert percentile(settled, 0.25) < SLOW_S / 2, (model, sorted(settled))
    await assert_books_agree(stack, http)


class Attempts:
    """When a channel is asked, as its provider sees it."""

    def __init__(self, http: aiohttp.ClientSession, stack: LiveStack, *channels: str) -> None:
        self._http = http
        self._stack = stack
        self._channels = channels
        self.seen: list[tuple[float, tuple[int, ...]]] = []
        self._task = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while True:
            counts = await self._stack.counts(self._http)
            asked = tuple(counts.attempts.get(f"sk-{channel}", 0) for channel in self._channels)
            self.seen.append((time.monotonic(), asked))
            await asyncio.sleep(0.05)

    def last_asked(self, since: float) -> float:
        """Return when the first of the channels was last asked."""
        last = since
        for (_, before), (at, after) in itertools.pairwise(self.seen):
            if at >= since and after[0] > before[0]:
                last = at
        return last

    def share(self, last_s: float) -> float:
        """Return the first one's part of all that was asked lately."""
        now, asked = self.seen[-1]
        earlier = next((counted for at, counted in self.seen if at >= now - last_s), asked)
        made = [after - before for before, after in zip(earlier, asked, strict=True)]
        return made[0] / max(sum(made), 1)

    def stop(self) -> None:
        self._task.cancel()


async def test_a_channel_that_dies_is_left_alone_and_comes_back(
    stack_and_key: tuple[LiveStack, str], http: aiohttp.ClientSession
) -> None:
    stack, key = stack_and_key
    running = asyncio.ensure_future(Client(http, stack, key, "pair").load(60.0))
    attempts = Attempts(http, stack, "one", "two")
    try:

        async def shares_evenly() -> bool:
            return abs(attempts.share(3.0) - 0.5) < 0.15

        await asyncio.sleep(3.0)
        await eventually(shares_evenly, within_s=10.0, what="both channels are asked")
        died = time.monotonic()
        await stack.order(http, {"status": 500}, "sk-one")

        async def left_alone() -> bool:
            return time.monotonic() - attempts.last_asked(died) > 3.0

        await eventually(left_alone, within_s=10.0, what="the dead channel is left alone")
        # Five seconds until health ejects it, and one until every dispatcher has heard.
        assert attempts.last_asked(died) - died < 6.0
        await asyncio.sleep(max(died + 15.0 - time.monotonic(), 0))
        back = time.monotonic()
        await stack.order(http, None, "sk-one")
        await eventually(shares_evenly, within_s=RECOVERY_S, what="the channel is asked as before")
        assert time.monotonic() - back < RECOVERY_S
        answers = await running
    finally:
        attempts.stop()
        running.cancel()
    assert {(answer.status, answer.whole) for answer in answers} == {(200, True)}
    await assert_books_agree(stack, http)
