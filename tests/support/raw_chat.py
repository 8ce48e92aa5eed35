"""Chat requests over a bare socket, for clients that leave or that hardly read."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from tests.support.chat_client import ChatClient
from trunkline.runtime.clock import SystemClock

RECEIVE_BUFFER_BYTES = 4096
"""Asked of the kernel for clients that read slowly, so that what they have not read does not wait at their end."""

READ_BYTES = 65536


class RawChat:
    """One connection with one request on it.

    Args:
        sock: connected.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self.received = bytearray()

    async def send(self, client: ChatClient, script: dict[str, object], *, stream: bool) -> None:
        """Send a request."""
        body = client.body(script, stream=stream)
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\n"
            f"authorization: Bearer {client.key}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        await self._loop.sock_sendall(self._sock, head.encode() + body)

    async def read(self, size: int = READ_BYTES) -> bytes:
        """Return what comes next; empty at the connection's end."""
        data = await self._loop.sock_recv(self._sock, size)
        self.received += data
        return data

    async def read_chunks(self, chunks: int) -> None:
        """Return once so many content chunks have come."""
        while self.received.count(b'"content":"') <= chunks:  # the opening's is empty
            assert await self.read(), "the stream ended"

    def leave(self, *, reset: bool) -> int:
        """Close the connection and return Unix milliseconds; ``reset`` as when a client is killed."""
        if reset:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()
        return SystemClock().wall_ms()


@contextlib.asynccontextmanager
async def raw_chat(edge: str, *, slow: bool = False) -> AsyncIterator[RawChat]:
    """Connect to an edge for the length of the block."""
    parts = urlsplit(edge)
    with socket.socket() as sock:
        sock.setblocking(False)
        if slow:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        await asyncio.get_running_loop().sock_connect(sock, (parts.hostname, parts.port))
        yield RawChat(sock)
