"""Leaves a server of NATS that has lost the others of its cluster. One task of every process."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import structlog

from trunkline.bus.seclusion import Seclusion
from trunkline.core.clock import Clock

log = structlog.get_logger()

ASK_INTERVAL_S = 5.0
ANSWER_TIMEOUT_S = 2.0


class Watched(NamedTuple):
    """One connection.

    Attributes:
        name: for logs.
        stands: whether it does now; one that does not finds another server by itself.
        answers: asks JetStream something through it; returns whether it answers in a given time.
        leave: takes another server for it, if one is reachable.
    """

    name: str
    stands: Callable[[], bool]
    answers: Callable[[float], Awaitable[bool]]
    leave: Callable[[], Awaitable[None]]


class ClusterWatch:
    """Watches one connection.

    Args:
        watched: the connection.
        clock: of the process.
    """

    def __init__(self, watched: Watched, clock: Clock) -> None:
        self._watched = watched
        self._clock = clock
        self._seclusion = Seclusion()

    async def run(self) -> None:
        """Watch until the process ends."""
        while True:
            await self._clock.sleep(ASK_INTERVAL_S)
            if not self._watched.stands() or await self._watched.answers(ANSWER_TIMEOUT_S):
                self._seclusion.answered()
            elif self._seclusion.unanswered(self._clock.now()):
                log.warning("bus_server_secluded", connection=self._watched.name)
                await self._watched.leave()
