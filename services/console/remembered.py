"""What anybody may ask for: read from Postgres at most once in some seconds, however many ask.

While Postgres is away the last one is given, up to an age beyond which it would tell of another time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import asyncpg
import structlog

from trunkline.core.clock import Clock
from trunkline.store.database import Connection, Database, StoreError

log = structlog.get_logger()

FRESH_S = 10.0
"""How old an answer may be: changes are seen by everybody after so long."""

STALE_S_MAX = 900.0
"""How old it may be while Postgres is away."""

RETRY_S = 2.0
"""After a failure Postgres is left alone for so long."""

T = TypeVar("T")


class Remembered(Generic[T]):
    """Something that is read from Postgres.

    Args:
        what: for the log.
        read: reads it.
        database, clock: of the process.
    """

    def __init__(
        self, what: str, read: Callable[[Connection], Awaitable[T]], database: Database, *, clock: Clock
    ) -> None:
        self._what = what
        self._read_from = read
        self._database = database
        self._clock = clock
        self._reading = asyncio.Lock()
        self._value: T | None = None
        self._read_at = 0.0
        self._due = 0.0

    def forget(self) -> None:
        """Read anew when somebody asks next: it was changed here."""
        self._due = 0.0

    async def value(self) -> T:
        """Return it, read anew if it is due. While one caller reads it the others get the last one.

        Raises:
            StoreError: Postgres is away, and has been for long.
        """
        if self._value is None or not self._reading.locked():
            async with self._reading:
                if self._clock.now() >= self._due:
                    await self._read()
        if self._value is None or self._clock.now() - self._read_at > STALE_S_MAX:
            raise StoreError(f"{self._what} cannot be read")
        return self._value

    async def _read(self) -> None:
        # Before it is read: what is forgotten meanwhile is read again.
        self._due = self._clock.now() + FRESH_S
        try:
            async with self._database.connection() as connection:
                self._value = await self._read_from(connection)
        except (StoreError, asyncpg.PostgresError) as error:
            log.warning("remembered_not_read", what=self._what, error=type(error.__cause__ or error).__name__)
            self._due = self._clock.now() + RETRY_S
        else:
            self._read_at = self._clock.now()
