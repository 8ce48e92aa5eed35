"""The clients of a run: plain requests, streams, and clients that leave, against all edges; and one that runs dry."""

import asyncio
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from tests.support.chat_client import ChatClient, Ending, Outcome
from tests.support.live_stack import channel_entry, model_entry, new_key
from trunkline.runtime.clock import SystemClock

MODEL = "chaos"
RICH, POOR = "rich", "poor"

RICH_USD = 1000.0
POOR_USD = 0.02
"""About a hundred of its requests: it runs dry in every run."""

WORKERS = 4
"""So few that two cores have time for the rest; what is sought is order, not load."""

PAUSE_S = 0.1
"""Of a client between two requests."""

TOKENS = 5
PLAIN = {"chunks": TOKENS, "first_delay_ms": 20}
"""When a way opens again, a job and its withdrawal come together: the call is made and closed at once. An answer that
was reported just then would be heard by nobody; a provider that thinks first has not reported yet."""

QUICK_STREAM = {"chunks": 12, "delay_ms": 4}
SLOW_STREAM = {"chunks": 12, "delay_ms": 60}
LEFT_STREAM = {"chunks": 40, "delay_ms": 50}
LEAVES_AFTER_S = 0.3

INPUT_NANO, OUTPUT_NANO = 10_000, 20_000
"""What a token costs (`live_stack.model_entry`)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Leaving:
    """A client that left.

    Attributes:
        tag: of its request at the upstream.
        at_s: monotonic seconds.
        at_ms: Unix time in milliseconds.
    """

    tag: str
    at_s: float
    at_ms: int


class Clients:
    """Sends requests of all kinds, wherever an edge takes them.

    Args:
        edges: base URLs.
        http: carries the requests.

    Attributes:
        leavings: of those that left.
    """

    def __init__(self, edges: Sequence[str], http: aiohttp.ClientSession) -> None:
        self.keys = {RICH: new_key(), POOR: new_key()}
        self.leavings: list[Leaving] = []
        self._edges = edges
        self._clients = {name: ChatClient(http, key, MODEL) for name, key in self.keys.items()}
        self._clock = SystemClock()
        self._numbers = itertools.count()

    def configuration(self, upstream_url: str) -> dict[str, list[dict[str, Any]]]:
        """Return what a cluster must be told for them: a provider that works, and two that fail in part."""
        credit = {RICH: RICH_USD, POOR: POOR_USD}
        return {
            "channels": [
                channel_entry("good", MODEL, upstream_url),
                channel_entry("failing", MODEL, upstream_url, script="status=500", weight=20),
                channel_entry("cutting", MODEL, upstream_url, script="cut_after=2&chunks=9", weight=5),
            ],
            "models": [model_entry(MODEL)],
            "accounts": [
                {"name": name, "credit": credit[name], "keys": [{"name": name, "secret": key}]}
                for name, key in self.keys.items()
            ],
        }

    async def request(self, _number: int) -> Outcome:
        """Make one; which kind depends on how many there were."""
        number = next(self._numbers)
        await self._clock.sleep(PAUSE_S)
        match number % 6:
            case 0 | 1:
                return await self._chat(RICH, number, PLAIN)
            case 2:
                return await self._chat(RICH, number, SLOW_STREAM, stream=True)
            case 3:
                return await self._chat(RICH, number, QUICK_STREAM, stream=True)
            case 4:
                return await self._leave(number)
            case _:
                return await self._chat(POOR, number, PLAIN, max_tokens=TOKENS)

    async def probe(self, edge: int) -> Outcome:
        """Make a plain request to a certain edge."""
        return await self._clients[RICH].chat(self._edges[edge], PLAIN)

    async def _chat(self, name: str, number: int, script: Mapping[str, object], **fields: Any) -> Outcome:
        return await self._clients[name].chat_anywhere(self._edges, number, script, **fields)

    async def _leave(self, number: int) -> Outcome:
        tag = f"leaves-{number}"
        outcome = None
        try:
            async with asyncio.timeout(LEAVES_AFTER_S):
                outcome = await self._chat(RICH, number, {**LEFT_STREAM, "tag": tag}, stream=True)
        except TimeoutError:
            self.leavings.append(Leaving(tag, self._clock.now(), self._clock.wall_ms()))
        return outcome or Outcome(ending=Ending.LEFT, began=self._clock.now() - LEAVES_AFTER_S, seconds=LEAVES_AFTER_S)
