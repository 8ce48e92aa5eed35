"""Brings about all that `support.fault_table` says, at once for the sake of time, and keeps what came of it.

Each cell has channels of its own, so that none is judged for what another one does.
"""

import asyncio
from typing import Any, NamedTuple

import aiohttp

from tests.support.books import assert_at_rest, ledger_connection
from tests.support.chat_client import ChatClient, Ending, Outcome
from tests.support.fault_kinds import Against, Seen
from tests.support.fault_table import FAULTS
from tests.support.faulty_upstream import HEALTHY, MODEL, FaultyUpstream
from tests.support.live_stack import LiveStack, StackPlan
from tests.support.waiting import eventually
from trunkline.core.ids import parse_job
from trunkline.policy.breaker import FAST_VOLUME_MIN
from trunkline.store.usage import AttemptUsage, find_request

TIMEOUTS = {"connect_s": 2, "first_token_s": 0.8, "idle_s": 0.6, "total_s": 1.5}
"""Of channels that are too late; the others have all the time of a busy machine."""

UNTIMED = {"limits-untimed", "limits-by-page", "limits-as-400", "limits-inside"}
"""Limits that name no time: the credential cools for less than a second, and longer where one follows another."""

AT_ONCE = 8
JUDGED_REQUESTS = FAST_VOLUME_MIN + 1
MARKER = "marker"
WITHIN_S = 30.0


class Cell(NamedTuple):
    """One fault in one form of answer, alone or with a healthy channel behind it."""

    name: str
    streamed: bool
    backed: bool

    @property
    def model(self) -> str:
        return f"{self.name}-{'stream' if self.streamed else 'plain'}-{'backed' if self.backed else 'alone'}"

    @property
    def first(self) -> str:
        """Its channel that fails; the other one has the model's name and a dash and ``second``."""
        return f"{self.model}-first"

    @property
    def seen(self) -> Seen:
        return FAULTS[self.name].of(streamed=self.streamed)


class Result(NamedTuple):
    """What came of a cell.

    Attributes:
        outcome: for the client.
        attempts, attempts_second: at its two channels, by the upstream's count.
        booked: in the ledger.
    """

    outcome: Outcome
    attempts: int
    attempts_second: int
    booked: list[AttemptUsage]


class Verdict(NamedTuple):
    """What came of several requests at a channel that always fails.

    Attributes:
        ejections: of the channel.
        refused_credentials, refused_models: by health's count.
        attempts_later: at the channel, of one more request.
    """

    ejections: int
    refused_credentials: int
    refused_models: int
    attempts_later: int


CELLS = [
    Cell(name, streamed, backed)
    for name, fault in FAULTS.items()
    for streamed in fault.forms()
    for backed in (False, True)
]


def judged(name: str) -> str:
    """Return the model, and channel, that is asked until it is judged."""
    return f"{name}-judged"


class Trial:
    """A running stack and upstream, and all that is to be brought about.

    Args:
        stack, upstream, key, http: to ask with.

    Attributes:
        good: whole answers so far.
    """

    def __init__(self, stack: LiveStack, upstream: FaultyUpstream, key: str, http: aiohttp.ClientSession) -> None:
        self.stack = stack
        self._upstream = upstream
        self._key = key
        self._http = http
        self._turn = asyncio.Semaphore(AT_ONCE)
        self.good = 0

    async def ask(self, model: str, *, streamed: bool) -> Outcome:
        async with self._turn:
            return await self._ask(model, streamed=streamed)

    async def _ask(self, model: str, *, streamed: bool) -> Outcome:
        outcome = await ChatClient(self._http, self._key, model).chat(self.stack.edges[0], stream=streamed)
        self.good += outcome.ending is Ending.WHOLE
        return outcome

    async def served(self) -> None:
        """Return once the whole configuration has come to where it is used."""
        channels = len(CELLS) + sum(cell.backed for cell in CELLS) + len(FAULTS) + 1
        wanted = {cell.model for cell in CELLS} | {judged(name) for name in FAULTS} | {MARKER}
        headers = {"authorization": f"Bearer {self._key}"}

        async def look() -> bool:
            async with self._http.get(f"{self.stack.edges[0]}/v1/models", headers=headers) as response:
                listed = {model["id"] for model in (await response.json())["data"]}
            known = await self.stack.metric_sum(self._http, "dispatcher", "trunkline_dispatcher_channels")
            return listed >= wanted and known == channels

        await eventually(look, within_s=WITHIN_S, what="all models are served")

    async def cells(self) -> dict[Cell, Result]:
        """Bring about all cells."""
        outcomes = await asyncio.gather(*(self.ask(cell.model, streamed=cell.streamed) for cell in CELLS))
        await assert_at_rest(self.stack, self._http)
        count, results = self._upstream.attempts, {}
        async with ledger_connection(self.stack) as connection:
            for cell, outcome in zip(CELLS, outcomes, strict=True):
                booked = await find_request(connection, parse_job(outcome.headers["x-request-id"]))
                results[cell] = Result(outcome, count[cell.first], count[f"{cell.model}-second"], booked)
        return results

    async def verdicts(self) -> dict[str, Verdict]:
        """Have all faults judged."""
        names = list(FAULTS)
        later = await asyncio.gather(*(self._fail(judged(name), name) for name in names))
        # Outcomes come to health in their order: once it has judged this one, it has all the others.
        await self._fail(MARKER, "fails")
        await eventually(self._judged, within_s=WITHIN_S, what="health has heard everything")
        health = await self.stack.metrics(self._http, "health", 0)

        def count(what: str, name: str) -> int:
            return int(health.get(f"trunkline_channel_{what}{{channel={judged(name)}}}", 0))

        return {
            name: Verdict(
                count("ejections_total", name),
                count("refused_credentials", name),
                count("refused_models", name),
                attempts,
            )
            for name, attempts in zip(names, later, strict=True)
        }

    async def _fail(self, model: str, name: str) -> int:
        """Ask often enough for a judgement; returns at how many attempts one more request comes."""
        streamed = next(iter(FAULTS[name].forms()))
        await asyncio.gather(*(self.ask(model, streamed=streamed) for _ in range(JUDGED_REQUESTS)))
        attempts = await self._one_more(model, streamed=streamed)
        if not attempts and name in UNTIMED:

            async def asked() -> int:
                return await self._one_more(model, streamed=streamed)

            attempts = await eventually(asked, within_s=WITHIN_S, what=f"the credential of {name} is free again")
        if attempts and FAULTS[name].against is Against.MODEL:
            # The five seconds for which it is not asked may have passed in the queue here; now they begin anew.
            attempts = await self._one_more(model, streamed=streamed)
        return attempts

    async def _one_more(self, model: str, *, streamed: bool) -> int:
        before = self._upstream.attempts[model]
        await self._ask(model, streamed=streamed)
        return self._upstream.attempts[model] - before

    async def _judged(self) -> bool:
        health = await self.stack.metrics(self._http, "health", 0)
        return health[f"trunkline_channel_ejections_total{{channel={MARKER}}}"] > 0


def add_channels(plan: StackPlan, upstream: FaultyUpstream) -> None:
    """Add a channel for each cell that fails, one behind it where it is to be backed, and one to be judged."""
    for name, fault in FAULTS.items():
        fields: dict[str, Any] = {"base_url": upstream.base_url(name), "upstream_model": MODEL}
        if fault.late:
            fields["timeouts"] = TIMEOUTS
        plan.channel(judged(name), judged(name), **fields)
        for cell in (cell for cell in CELLS if cell.name == name):
            plan.channel(cell.first, cell.model, priority=10, **fields)
            if cell.backed:
                plan.channel(
                    f"{cell.model}-second", cell.model, base_url=upstream.base_url(HEALTHY), upstream_model=MODEL
                )
    plan.channel(MARKER, MARKER, base_url=upstream.base_url("fails"), upstream_model=MODEL)
