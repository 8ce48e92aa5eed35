"""Hashes passwords with Argon2id (RFC 9106), in threads of their own."""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

import argon2

from services.console.http import RequestError
from trunkline.core.errors import ErrorType
from trunkline.policy.logins.passwords import normal_password, too_long

MEMORY_KIB: Final = 64 * 1024
PASSES: Final = 3
LANES: Final = 4
"""What RFC 9106 section 4 recommends where memory is scarce: some 60 ms of a processor, and 64 MiB for each guess of
somebody who has stolen the table."""

AT_ONCE_MAX: Final = 2
"""Hashes being made at a time: 128 MiB, and two processors that requests have to do without."""

WAITING_MAX: Final = 64
"""Others wait some seconds at most; past it they are told to come again."""

BUSY_RETRY_S: Final = 5

# Of no password that anybody has: verified for names that are not there, so that these take as long as others.
_DUMMY = (
    f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}"
    "$b2Ygbm9ib2R5IGF0IGFsbA$bm8gcGFzc3dvcmQgdGhhdCBhbnlib2R5IGhhcyBnb3Q"
)


P = ParamSpec("P")
R = TypeVar("R")


class Passwords:
    """Hashes and verifies.

    Attributes:
        verified: how many passwords were compared with a hash, or the dummy.
    """

    def __init__(self) -> None:
        self._hasher = argon2.PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
        self._threads = ThreadPoolExecutor(AT_ONCE_MAX, thread_name_prefix="passwords")
        self._waiting = 0
        self.verified = 0

    async def hash(self, password: str) -> str:
        """Return the hash of a password that has been checked.

        Raises:
            RequestError: too many wait already.
        """
        return await self._run(self._hash, normal_password(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Return whether a password is that of a hash. Without a hash it takes as long, and is not.

        Raises:
            RequestError: too many wait already.
        """
        if too_long(password):
            return False  # nobody has such a one: it says nothing of the name
        right = await self._run(self._verify, stored or _DUMMY, normal_password(password))
        return right and stored is not None

    def outdated(self, stored: str) -> bool:
        """Return whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        if self._waiting >= WAITING_MAX:
            message = "Too many people sign in at this moment. Try again in some seconds."
            raise RequestError(503, ErrorType.GATEWAY_OVERLOADED, message, retry_after_s=BUSY_RETRY_S)
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, functools.partial(work, *args, **kwargs))
        finally:
            self._waiting -= 1

    def _hash(self, password: str) -> str:
        return self._hasher.hash(password.encode("utf-8", "surrogatepass"))

    def _verify(self, stored: str, password: str) -> bool:
        self.verified += 1
        try:
            return self._hasher.verify(stored, password.encode("utf-8", "surrogatepass"))
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False
