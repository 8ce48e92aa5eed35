"""Bounds what is tried in vain, before it is tried. Shared by all handlers that take a secret from somebody."""

import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from services.console.context import Context
from services.console.http import RequestError
from trunkline.core.errors import ErrorType
from trunkline.policy.logins.guesses import Bound, Guess, bounds
from trunkline.store import guesses
from trunkline.store.guesses import TooManyError


class Try:
    """One try.

    Attributes:
        right: what was tried is right: it does not count.
    """

    def __init__(self) -> None:
        self.right = False


class Guessing:
    """Counts tries over all consoles.

    Args:
        context: of the console.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    @contextlib.asynccontextmanager
    async def counted(
        self, request: web.Request, guess: Guess, what: str = "", *, per_day_max: int = 0
    ) -> AsyncIterator[Try]:
        """Count a try for the length of the block, and let it go uncounted if it turns out right.

        Args:
            request: whose address counts.
            guess: what is tried.
            what: as for `policy.logins.guesses.bounds`.
            per_day_max: of registrations from a network.

        Raises:
            RequestError: too much was tried already.
            StoreError: Postgres is away: what cannot be counted is not tried.
        """
        counters = self._bounds(request, guess, what, per_day_max)
        now_s = self._context.clock.wall_ms() // 1000
        try:
            async with self._context.database.transaction() as connection:
                await guesses.count(connection, counters, now_s)
        except TooManyError as error:
            message = f"Too many tries. Try again in {_in_words(error.retry_after_s)}."
            raise RequestError(
                429, ErrorType.POLICY_RATE_LIMITED, message, retry_after_s=error.retry_after_s
            ) from error
        attempt = Try()
        yield attempt
        if attempt.right:
            async with self._context.database.connection() as connection:
                await guesses.give_back(connection, counters, now_s)

    def own(self, guess: Guess, what: str) -> list[Bound]:
        """Return the counters of what is guessed at, without those of a network."""
        return bounds(guess, what, "", self._context.pepper)

    def _bounds(self, request: web.Request, guess: Guess, what: str, per_day_max: int) -> list[Bound]:
        return bounds(guess, what, request.remote or "", self._context.pepper, per_day_max=per_day_max)


def _in_words(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{-(-seconds // 60)} minutes"
