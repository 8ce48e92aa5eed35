"""Servers of a test that is itself synchronous: they run on a loop in a thread beside it."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")

WITHIN_S = 30.0


class Background:
    """A loop of its own.

    Args:
        loop: runs in another thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    @contextlib.contextmanager
    def running(self, server: contextlib.AbstractAsyncContextManager[T]) -> Iterator[T]:
        """Have a server for the length of the block."""
        started = asyncio.run_coroutine_threadsafe(_enter(server), self._loop).result(WITHIN_S)
        try:
            yield started
        finally:
            asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), self._loop).result(WITHIN_S)


async def _enter(server: contextlib.AbstractAsyncContextManager[T]) -> T:
    return await server.__aenter__()


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
