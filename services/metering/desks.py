"""What listens on the bus only while Postgres is there, so that the broker tells an edge at once that nobody does."""

from typing import Protocol


class Desk(Protocol):
    """Answers questions of one kind."""

    async def open(self) -> None:
        """Listen; harmless while open."""

    async def close(self) -> None:
        """Stop listening; harmless while closed."""


class Desks:
    """Several desks as one.

    Args:
        desks: opened in this order.
    """

    def __init__(self, *desks: Desk) -> None:
        self._desks = desks

    async def open(self) -> None:
        """See `Desk`."""
        for desk in self._desks:
            await desk.open()

    async def close(self) -> None:
        """See `Desk`."""
        for desk in self._desks:
            await desk.close()
