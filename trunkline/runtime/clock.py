"""The real clock. Tests bring a simulated one with the same interface (`core.clock.Clock`)."""

import asyncio
import time
from collections.abc import Callable

from trunkline.core.clock import Timer


class SystemClock:
    """Monotonic and wall time of this machine; timers of the running event loop."""

    now = staticmethod(time.monotonic)
    """Return monotonic seconds. Asked several times per chunk, so without a frame of its own."""

    def wall_ms(self) -> int:
        """Return Unix time in milliseconds."""
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Arrange for ``callback()`` after ``seconds``."""
        return asyncio.get_running_loop().call_later(seconds, callback)
