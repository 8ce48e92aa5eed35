"""Serves connections for a test, and leaves none behind."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def stream_server(serve: Serve, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve each connection of a port for the length of the block; yields the port.

    Afterwards those that are open still are cut, and all have ended: what the event loop does not get round to closing
    is a warning in some later test. (`asyncio.Server.wait_closed` does not wait for connections before Python 3.12.)
    """
    serving: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving[writer] = task
        try:
            with contextlib.suppress(ConnectionError):
                await serve(reader, writer)
                writer.close()
                await writer.wait_closed()
        finally:
            del serving[writer]

    async with await asyncio.start_server(take, "127.0.0.1", 0, ssl=tls) as server:
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for writer in serving:
                writer.transport.abort()
            await asyncio.gather(*serving.values())
