"""An event loop without waiting: when nothing is left to do now, its time jumps to the next timer.

Asyncio's own loop with another selector and another clock, so tasks, futures and timers are the real ones. The same
program gives the same course of events every time.
"""

import asyncio
import selectors
from collections.abc import Callable

EPOCH_MS = 1_790_000_000_000


class StuckError(Exception):
    """Nothing is left to happen, and the simulation has not ended."""


class _JumpingSelector(selectors.SelectSelector):
    """Selects nothing, ever; instead of waiting it moves the time on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StuckError
        self.now += max(0.0, timeout)
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


class LoopClock:
    """The clock of one process: the loop's time, and a wall clock that is wrong by ``skew_ms``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, skew_ms: int) -> None:
        self._loop = loop
        self._skew_ms = skew_ms

    def now(self) -> float:
        return self._loop.time()

    def wall_ms(self) -> int:
        return EPOCH_MS + self._skew_ms + round(self._loop.time() * 1000)

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = self._loop.create_future()
        timer = self._loop.call_later(seconds, _wake, woken)
        try:
            await woken
        finally:
            timer.cancel()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return self._loop.call_later(seconds, callback)


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
