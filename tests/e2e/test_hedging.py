"""A second attempt beside one that is late: the client gets the first answer, both are booked, and one is paid for."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import aiohttp
import pytest

from tests.support.books import assert_books_agree, ledger_connection
from tests.support.chat_client import ChatClient, Ending, Outcome, assert_proper, session
from tests.support.live_stack import LiveStack, StackPlan, channel_entry
from tests.support.raw_chat import raw_chat
from tests.support.waiting import eventually
from trunkline.core.ids import parse_job
from trunkline.core.usage import UsageSource
from trunkline.policy.figures import TIMES_MIN
from trunkline.store.usage import AttemptUsage, find_request

STREAMS, PLAIN, MIXED, UNHEDGED = "streams", "plain", "mixed", "unhedged"
LEFT, FAILING, SAVED, STUCK = "left", "failing", "saved", "stuck"
MODELS = (STREAMS, PLAIN, MIXED, UNHEDGED, LEFT, FAILING, SAVED, STUCK)
"""One for each test: with more answers than it takes to know what is late, some are late by a hair's breadth."""

QUICK_MS = 50
SLOW_MS = 6000
LATE_MS = 1500
"""Later than any quick answer on a busy machine, and sooner than slow ones by far."""

SETTLED_WITHIN_S = 10.0
CLOSED_WITHIN_S = 4.0
"""Sooner than a slow answer would end by itself."""

CONNECT_S = 20


class Rig(NamedTuple):
    """A stack, and models with two channels of which the first is preferred."""

    stack: LiveStack
    key: str
    http: aiohttp.ClientSession

    def client(self, model: str) -> ChatClient:
        return ChatClient(self.http, self.key, model)

    async def ask(self, model: str, *, stream: bool) -> Outcome:
        return await self.client(model).chat(self.stack.edges[0], stream=stream)

    async def warm_up(self, model: str, *, stream: bool, **later: object) -> None:
        """Have so many quick answers of the first channel that a late one is known for one; then it does ``later``."""
        await self.order(model, "first", first_delay_ms=QUICK_MS)
        before = await self.attempts(model)
        warmed = [await self.ask(model, stream=stream) for _ in range(TIMES_MIN)]
        assert_proper(warmed, {Ending.WHOLE})
        assert (await self.attempts(model))[0] == before[0] + TIMES_MIN
        await self.order(model, "first", tag=model, **later)

    async def order(self, model: str, channel: str, **script: object) -> None:
        await self.stack.order(self.http, script, f"sk-{model}-{channel}")

    async def attempts(self, model: str) -> tuple[int, int]:
        """Return how many attempts came to the two channels."""
        attempts = (await self.stack.counts(self.http)).attempts
        return attempts.get(f"sk-{model}-first", 0), attempts.get(f"sk-{model}-second", 0)

    async def closed(self, tag: str) -> int:
        """Return how many calls were closed at the upstream before their answers."""
        return sum(abort.tag == tag for abort in (await self.stack.counts(self.http)).aborts)

    async def settled(self, outcome: Outcome, attempts: int) -> list[AttemptUsage]:
        """Return the attempts of a request once so many are booked."""
        async with ledger_connection(self.stack) as connection:

            async def look() -> list[AttemptUsage]:
                found = await find_request(connection, parse_job(outcome.headers["x-request-id"]))
                return found if len(found) >= attempts else []

            return await eventually(look, within_s=SETTLED_WITHIN_S, what="the request is settled")


@pytest.fixture
def nowhere() -> Iterator[str]:
    """A base URL whose connections are never made: the queue of those that nobody takes is full."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}/v1"
        for each in waiting:
            each.close()


@pytest.fixture(scope="module")
def stack_and_key() -> Iterator[tuple[LiveStack, str]]:
    plan = StackPlan(edges=1, dispatchers=1)  # one, so that it sees all the times
    for model in MODELS:
        plan.channel(f"{model}-first", model, priority=10)
        plan.channel(f"{model}-second", model)
        plan.model(model, hedge=model != UNHEDGED)
    key = plan.account("acme")
    with plan.running() as stack:
        yield stack, key


@pytest.fixture
async def rig(stack_and_key: tuple[LiveStack, str]) -> AsyncIterator[Rig]:
    async with session() as http:
        yield Rig(*stack_and_key, http)


def ends(rows: list[AttemptUsage]) -> list[tuple[str, bool]]:
    """Return how attempts ended, and whether they are paid for."""
    return [(row.outcome, row.charged) for row in rows]


@pytest.mark.parametrize(("model", "stream"), [(STREAMS, True), (PLAIN, False)])
async def test_a_late_attempt_is_outrun_by_a_second_one(rig: Rig, model: str, stream: bool) -> None:
    await rig.warm_up(model, stream=stream, first_delay_ms=SLOW_MS)
    assert (await rig.attempts(model))[1] == 0
    raced = await rig.ask(model, stream=stream)
    assert raced.ending is Ending.WHOLE
    assert QUICK_MS <= raced.seconds * 1000 < SLOW_MS / 2
    assert raced.headers["x-trunkline-attempts"] == "2"

    async def loser_closed() -> bool:
        return await rig.closed(model) == 1

    await eventually(loser_closed, within_s=CLOSED_WITHIN_S, what="the loser is closed")
    loser, winner = await rig.settled(raced, 2)
    assert ends([loser, winner]) == [("gateway_outrun", False), ("", True)]
    assert (loser.charge_nano, loser.usage.source) == (0, UsageSource.COUNTED)
    # The provider has read the request, and asks for that.
    assert loser.usage.units.input > 0
    assert loser.usage.units.output == 0
    assert winner.charge_nano > 0


async def test_quick_answers_stay_alone_and_streams_say_nothing_of_whole_ones(rig: Rig) -> None:
    await rig.warm_up(UNHEDGED, stream=True, first_delay_ms=LATE_MS)
    assert (await rig.ask(UNHEDGED, stream=True)).headers["x-trunkline-attempts"] == "1"
    await rig.warm_up(MIXED, stream=True, first_delay_ms=LATE_MS)
    assert (await rig.ask(MIXED, stream=False)).headers["x-trunkline-attempts"] == "1"
    assert (await rig.attempts(MIXED))[1] == 0


async def test_the_late_one_answers_where_the_second_fails(rig: Rig) -> None:
    await rig.warm_up(SAVED, stream=True, first_delay_ms=LATE_MS)
    await rig.order(SAVED, "second", status=500)
    saved = await rig.ask(SAVED, stream=True)
    assert saved.ending is Ending.WHOLE
    assert ends(await rig.settled(saved, 2)) == [("", True), ("upstream_error", False)]


async def test_both_fail(rig: Rig) -> None:
    await rig.warm_up(FAILING, stream=True, first_delay_ms=LATE_MS, status=500)
    await rig.order(FAILING, "second", status=503)
    failed = await rig.ask(FAILING, stream=True)
    assert (failed.ending, failed.status) in {(Ending.REFUSED, 502), (Ending.REFUSED, 503)}
    rows = await rig.settled(failed, 2)  # and more, as long as health has not found both out
    assert ends(rows[:2]) == [("upstream_error", False), ("upstream_overloaded", False)]
    assert {charged for _, charged in ends(rows)} == {False}


async def test_a_client_leaves_while_two_run(rig: Rig) -> None:
    await rig.warm_up(LEFT, stream=True, first_delay_ms=SLOW_MS)
    await rig.order(LEFT, "second", first_delay_ms=SLOW_MS, tag=LEFT)
    before = await rig.attempts(LEFT)

    async def both_run() -> bool:
        first, second = await rig.attempts(LEFT)
        return (first, second) == (before[0] + 1, before[1] + 1)

    async def both_closed() -> bool:
        return await rig.closed(LEFT) == 2

    async with raw_chat(rig.stack.edges[0]) as chat:
        await chat.send(rig.client(LEFT), {}, stream=True)
        await eventually(both_run, within_s=SLOW_MS / 1000, what="two attempts run")
        chat.leave(reset=True)
    await eventually(both_closed, within_s=CLOSED_WITHIN_S, what="both are closed")


async def test_a_connection_that_is_not_made_holds_nothing_up(rig: Rig, nowhere: str) -> None:
    await rig.warm_up(STUCK, stream=True, first_delay_ms=LATE_MS)
    entry = channel_entry(f"{STUCK}-third", STUCK, nowhere, priority=5, timeouts={"connect_s": CONNECT_S})
    known = len(MODELS) * 2

    async def third_known() -> bool:
        return await rig.stack.metric_sum(rig.http, "dispatcher", "trunkline_dispatcher_channels") == known + 1

    await rig.stack.apply(rig.http, channels=[entry])  # not before: probes would find out about it
    await eventually(third_known, within_s=SETTLED_WITHIN_S, what="the channel is known")
    stuck = await asyncio.gather(*(rig.ask(STUCK, stream=True) for _ in range(3)))
    assert_proper(stuck, {Ending.WHOLE})
    assert max(outcome.seconds for outcome in stuck) < CONNECT_S / 4
    for outcome in stuck:
        assert outcome.headers["x-trunkline-attempts"] == "2"
        assert ends(await rig.settled(outcome, 2)) == [("", True), ("gateway_outrun", False)]


async def test_the_books_agree(rig: Rig) -> None:
    await assert_books_agree(rig.stack, rig.http)
    counts = await rig.stack.counts(rig.http)
    assert counts.begun == counts.finished + counts.aborted + counts.refused
