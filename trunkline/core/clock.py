"""The clock interface. Time is an argument everywhere; only `trunkline.runtime.clock` reads the real one."""

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that will happen unless it is cancelled."""

    def cancel(self) -> None:
        """Prevent the call. Harmless after it has happened."""


class Clock(Protocol):
    """Where a process gets its time from."""

    def now(self) -> float:
        """Return monotonic seconds. The origin is arbitrary; only differences mean something."""

    def wall_ms(self) -> int:
        """Return Unix time in milliseconds."""

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Arrange for ``callback()`` after ``seconds``."""
