"""kill -9 at random for two minutes, under plain requests, streams, clients that leave and failing upstreams.

Afterwards every answer that a client got to its end is in the ledger once, as it was reported to that client; nothing
that ended in an error before its first byte was charged; and the books agree with themselves and the wallet.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import aiohttp
import pytest

from tests.support.books import REDELIVERY_TIMEOUT_S, assert_at_rest, ledger_connection
from tests.support.chat_client import ChatClient, Ending, Outcome, endings, load, session
from tests.support.live_stack import LiveStack, StackPlan
from trunkline.core.money import NANO_PER_USD
from trunkline.runtime.clock import SystemClock
from trunkline.store import ledger

pytestmark = pytest.mark.patient

MODEL = "chaos"
CREDIT_USD = 1000.0
DURATION_S = 120.0
KILLS_MIN = 12
"""Where a busy machine takes its time to start processes, it takes longer than that."""

PAUSE_S = (1.0, 5.0)
"""Between the return of a killed process and the next kill."""

VICTIMS = ("edge", "edge", "dispatcher", "dispatcher", "dispatcher", "metering", "health", "console", "nats")
"""Roles by how often they are killed."""

INPUT_NANO, OUTPUT_NANO = 10_000, 20_000
"""What a token costs (`live_stack.model_entry`)."""

SEED = 20_261_128

# What an edge gave up and metering had booked is given back, and its usage stays as it was.
_CHARGED = """
    select job::text, input, output, charge_nano from usage where charge_nano > 0
    and not exists (select from transfers where kind = 'refund' and corrects_job = usage.job)
"""


@pytest.fixture(scope="module")
def stack_and_key() -> Iterator[tuple[LiveStack, str]]:
    plan = StackPlan(edges=3, dispatchers=3, meterings=2)
    plan.channel("good", MODEL, priority=0)
    plan.channel("failing", MODEL, script="status=500", priority=0, weight=20)
    plan.channel("cutting", MODEL, script="cut_after=2&chunks=9", priority=0, weight=5)
    key = plan.account("acme", credit_usd=CREDIT_USD)
    with plan.running() as stack:
        yield stack, key


class Clients:
    """Sends requests of all kinds, wherever an edge takes them."""

    def __init__(self, stack: LiveStack, key: str, http: aiohttp.ClientSession) -> None:
        self._stack = stack
        self._client = ChatClient(http, key, MODEL)
        self.left = 0

    async def request(self, number: int) -> Outcome:
        """Make one; which kind depends on its number."""
        edges = self._stack.edges
        kind = number % 5
        if kind < 2:
            return await self._client.chat_anywhere(edges, number, {"chunks": 5})
        if kind < 4:
            script = {"chunks": 12, "delay_ms": 60 if kind == 2 else 4}
            return await self._client.chat_anywhere(edges, number, script, stream=True)
        try:
            async with asyncio.timeout(0.3):
                return await self._client.chat_anywhere(edges, number, {"chunks": 40, "delay_ms": 50}, stream=True)
        except TimeoutError:
            self.left += 1
            return Outcome(ending=Ending.CUT)


async def kill_at_random(stack: LiveStack, clock: SystemClock) -> Counter[str]:
    """Kill one process after the other until the time is over, and enough are; returns how many of each role."""
    draw = random.Random(SEED)
    killed: Counter[str] = Counter()
    until = clock.now() + DURATION_S
    while clock.now() < until or killed.total() < KILLS_MIN:
        role = draw.choice(VICTIMS)
        index = draw.randrange(len(stack.ready.processes[role]))
        victim = stack.signal(role, index)
        killed[role] += 1
        await stack.restarted(role, index, victim)
        await clock.sleep(draw.uniform(*PAUSE_S))
    return killed


async def test_nothing_is_lost_whatever_is_killed(stack_and_key: tuple[LiveStack, str]) -> None:
    stack, key = stack_and_key
    clock = SystemClock()
    async with session() as http:
        clients = Clients(stack, key, http)
        async with load(clients.request, workers=24) as running:
            killed = await kill_at_random(stack, clock)
        await assert_at_rest(stack, http, within_s=REDELIVERY_TIMEOUT_S + 30)
    assert clients.left > 10
    outcomes = running.outcomes
    said = f"killed {dict(killed)}, {endings(outcomes)}"
    assert not [outcome for outcome in outcomes if outcome.ending in {Ending.SHORT, Ending.MALFORMED, Ending.HUNG}], (
        said
    )
    async with ledger_connection(stack) as connection:
        charged = await connection.fetch(_CHARGED)
        wallet = await ledger.balance(
            connection, await connection.fetchval("select min(id) from accounts where name = 'acme'")
        )
        wrong = await ledger.verify(connection)
    assert not wrong, said
    assert wallet == CREDIT_USD * NANO_PER_USD - sum(row["charge_nano"] for row in charged), said
    _compare(outcomes, {row["job"]: row for row in charged}, said)


def _compare(outcomes: Sequence[Outcome], charged: Mapping[str, Mapping[str, Any]], said: str) -> None:
    """Compare what clients got with what they were charged for."""
    missing, different, unjust = [], [], []
    for outcome in outcomes:
        job = outcome.headers.get("x-request-id", "")
        row = charged.get(job)
        if outcome.ending is Ending.WHOLE and row is None:
            missing.append(job)
        if outcome.ending is Ending.WHOLE and row is not None and outcome.usage is not None:
            tokens = outcome.usage["prompt_tokens"], outcome.usage["completion_tokens"]
            owed = tokens[0] * INPUT_NANO + tokens[1] * OUTPUT_NANO
            if (row["input"], row["output"], row["charge_nano"]) != (*tokens, owed):
                different.append(job)
        if outcome.ending is Ending.REFUSED and row is not None:
            unjust.append(job)
    assert (missing, different, unjust) == ([], [], []), said
