"""A clock that stands still until it is told to go on. For tests on a real event loop whose timeouts are long."""

import asyncio
import heapq
import itertools
from collections.abc import Callable

TURNS = 8
"""Turns of the event loop after which what a timer has set off counts as done."""


class ManualTimer:
    """A call to come."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self._callback = None

    def fire(self) -> None:
        if self._callback is not None:
            self._callback()


class ManualClock:
    """See `core.clock.Clock`."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._timers: list[tuple[float, int, ManualTimer]] = []
        self._order = itertools.count()

    def now(self) -> float:
        return self._now

    def wall_ms(self) -> int:
        return 1_790_000_000_000 + round(self._now * 1000)

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.call_later(seconds, lambda: None if woken.done() else woken.set_result(None))
        await woken

    def call_later(self, seconds: float, callback: Callable[[], None]) -> ManualTimer:
        timer = ManualTimer(callback)
        heapq.heappush(self._timers, (self._now + seconds, next(self._order), timer))
        return timer

    async def advance(self, seconds: float) -> None:
        """Let time pass: each timer fires at its own time, and what it sets off is done before the next."""
        end = self._now + seconds
        await _turns()
        while self._timers and self._timers[0][0] <= end:
            self._now, _, timer = heapq.heappop(self._timers)
            timer.fire()
            await _turns()
        self._now = end
        await _turns()


async def _turns() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(TURNS):
        turn: asyncio.Future[None] = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn
