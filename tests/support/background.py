"""Servers of a test that is itself synchronous: they run on a loop in a thread beside it."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

WITHIN_S = 30.0


class Background:
    """A loop of its own.

    Args:
        loop: runs in another thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something there, and return what comes of it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WITHIN_S)

    @contextlib.contextmanager
    def running(self, server: contextlib.AbstractAsyncContextManager[T]) -> Iterator[T]:
        """Have a server for the length of the block."""
        started = self.run(_enter(server))
        try:
            yield started
        finally:
            self.run(_leave(server))


async def _enter(server: contextlib.AbstractAsyncContextManager[T]) -> T:
    return await server.__aenter__()


async def _leave(server: contextlib.AbstractAsyncContextManager[T]) -> None:
    await server.__aexit__(None, None, None)


@contextlib.contextmanager
def background() -> Iterator[Background]:
    """Run a loop for the length of the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield Background(loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WITHIN_S)
        loop.close()
