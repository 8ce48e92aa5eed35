"""The clients of a run: plain requests, streams, and clients that leave, against all edges.

One runs dry, and two ask for more than their limits by the minute let through.
"""

import asyncio
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from tests.support.chat_client import ChatClient, Ending, Outcome
from tests.support.live_stack import channel_entry, new_key
from trunkline.runtime.clock import SystemClock

MODEL = "chaos"
RICH, POOR, HASTY, WORDY = "rich", "poor", "hasty", "wordy"

RICH_USD = 1000.0
POOR_USD = 0.01
"""Sixty of its requests: it runs dry in every run."""

CREDIT_USD = {RICH: RICH_USD, POOR: POOR_USD, HASTY: RICH_USD, WORDY: RICH_USD}

HASTY_RPM = 12
WORDY_TPM = 240
"""Each of the two asks about once a second, for a dozen tokens: several times as much."""

LIMITS: Mapping[str, Mapping[str, int]] = {HASTY: {"rpm": HASTY_RPM}, WORDY: {"tpm": WORDY_TPM}}

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
"""What a token costs. One from a cache costs nothing: as many of them are reported as a
request has for a number, and the ledger keeps that, so that each answer is found again in it."""


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
        outcomes: of all requests that have ended, by account.
    """

    def __init__(self, edges: Sequence[str], http: aiohttp.ClientSession) -> None:
        self.keys = {name: new_key() for name in CREDIT_USD}
        self.leavings: list[Leaving] = []
        self.outcomes: dict[str, list[Outcome]] = {name: [] for name in CREDIT_USD}
        self._edges = edges
        self._clients = {name: ChatClient(http, key, MODEL) for name, key in self.keys.items()}
        self._clock = SystemClock()
        self._numbers = itertools.count()

    def configuration(self, upstream_url: str) -> dict[str, list[dict[str, Any]]]:
        """Return what a cluster must be told for them: a provider that works, and two that fail in part."""
        return {
            "channels": [
                channel_entry("good", MODEL, upstream_url),
                channel_entry("failing", MODEL, upstream_url, script="status=500", weight=20),
                channel_entry("cutting", MODEL, upstream_url, script="cut_after=2&chunks=9", weight=5),
            ],
            "models": [{"name": MODEL, "price": {"input": 10, "output": 20, "cached_input": 0}}],
            "accounts": [
                {
                    "name": name,
                    "credit": CREDIT_USD[name],
                    "limits": LIMITS.get(name, {}),
                    "keys": [{"name": name, "secret": key}],
                }
                for name, key in self.keys.items()
            ],
        }

    async def request(self, _number: int) -> Outcome:
        """Make one; which kind depends on how many there were."""
        number = next(self._numbers)
        await self._clock.sleep(PAUSE_S)
        match number % 8:
            case 0 | 1:
                return await self._chat(RICH, number, PLAIN)
            case 2:
                return await self._chat(RICH, number, SLOW_STREAM, stream=True)
            case 3:
                return await self._chat(RICH, number, QUICK_STREAM, stream=True)
            case 4:
                return await self._leave(number)
            case 5:
                return await self._chat(POOR, number, PLAIN, max_tokens=TOKENS)
            case 6:
                return await self._chat(HASTY, number, PLAIN, max_tokens=TOKENS)
            case _:
                return await self._chat(WORDY, number, PLAIN, max_tokens=TOKENS)

    async def probe(self, edge: int) -> Outcome:
        """Make a plain request to a certain edge."""
        number = next(self._numbers)
        outcome = await self._clients[RICH].chat(self._edges[edge], self._script(RICH, number, PLAIN))
        return self._noted(RICH, outcome)

    async def _chat(self, name: str, number: int, script: Mapping[str, object], **fields: Any) -> Outcome:
        # Which edge it goes to first has nothing to do with its kind.
        first = number // 8
        told = self._script(name, number, script)
        return self._noted(name, await self._clients[name].chat_anywhere(self._edges, first, told, **fields))

    @staticmethod
    def _script(name: str, number: int, script: Mapping[str, object]) -> dict[str, object]:
        # Tokens from a cache count against a limit of tokens.
        numbered = {} if name == WORDY else {"cached_tokens": number + 1}
        return {**script, **numbered, "tag": _tag(number)}

    def _noted(self, name: str, outcome: Outcome) -> Outcome:
        self.outcomes[name].append(outcome)
        return outcome

    async def _leave(self, number: int) -> Outcome:
        try:
            async with asyncio.timeout(LEAVES_AFTER_S):
                return await self._chat(RICH, number, LEFT_STREAM, stream=True)
        except TimeoutError:
            self.leavings.append(Leaving(_tag(number), self._clock.now(), self._clock.wall_ms()))
        began = self._clock.now() - LEAVES_AFTER_S
        return self._noted(RICH, Outcome(ending=Ending.LEFT, began=began, seconds=LEAVES_AFTER_S))


def _tag(number: int) -> str:
    return f"request-{number}"
