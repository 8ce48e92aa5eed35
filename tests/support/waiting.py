"""Waiting for something to become true, with a deadline."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from trunkline.bus.port import BusError
from trunkline.runtime.clock import SystemClock

POLL_S = 0.01

T = TypeVar("T")


async def eventually(look: Callable[[], Awaitable[T | None]], *, within_s: float, what: str) -> T:
    """Return the first true value of ``look()``.

    Raises:
        AssertionError: there was none in time.
    """
    clock = SystemClock()
    deadline = clock.now() + within_s
    while not (found := await look()):
        assert clock.now() < deadline, f"not within {within_s} s: {what}"
        await clock.sleep(POLL_S)
    return found


async def until_done(work: Callable[[], Awaitable[None]], *, within_s: float, what: str) -> None:
    """Try again until it is done, as services do while the nodes of NATS choose who leads.

    Raises:
        AssertionError: it was not in time.
    """

    async def attempt() -> bool:
        try:
            await work()
        except BusError:
            return False
        return True

    await eventually(attempt, within_s=within_s, what=what)
