"""One request to an edge, and its answer as it comes: the console as a client of the gateway, like any other.

The bytes wait in a bounded buffer: while it is full the connection is not read, and the edge slows the provider down.
"""

import asyncio
from collections import deque
from typing import NamedTuple

from trunkline.runtime.http_client import (
    ClientConnection,
    HTTPClientError,
    HTTPClientPool,
    parse_target,
)

CONNECT_TIMEOUT_S = 5.0
"""An edge is near: another network would be a mistake."""

BUFFER_BYTES_MAX = 256 * 1024
"""Of an answer whose reader is slow: a long page of text."""


class AnswerHead(NamedTuple):
    """How an answer begins; names of header fields are in lower case."""

    status: int
    headers: dict[str, str]


class EdgeAnswer:
    """An answer on its way; an `AnswerReceiver`.

    Args:
        connection: that brings it.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._head: AnswerHead | None = None
        self._pieces: deque[bytes] = deque()
        self._buffered_bytes = 0
        self._ended = False
        self._error: HTTPClientError | None = None
        self._news = asyncio.Event()

    def on_head(self, status: int, headers: dict[str, str]) -> None:
        """Called by the connection."""
        self._head = AnswerHead(status, headers)
        self._news.set()

    def on_body(self, data: bytes) -> None:
        """Called by the connection."""
        self._pieces.append(data)
        self._buffered_bytes += len(data)
        if self._buffered_bytes >= BUFFER_BYTES_MAX:
            self._connection.pause()
        self._news.set()

    def on_end(self) -> None:
        """Called by the connection."""
        self._ended = True
        self._news.set()

    def on_error(self, error: HTTPClientError) -> None:
        """Called by the connection."""
        self._error = error
        self._news.set()

    @property
    def head(self) -> AnswerHead | None:
        """How the answer begins; None while that is not known."""
        return self._head

    @property
    def ended(self) -> bool:
        """Whether all of it was taken."""
        return self._ended and not self._pieces

    def take(self) -> bytes:
        """Return what has come since the last time; may be nothing.

        Raises:
            HTTPClientError: the connection broke, and all that came before was taken.
        """
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._buffered_bytes = 0
        if self._error is None:
            self._connection.resume()
        elif not data:
            raise self._error
        return data

    async def wait(self, timeout_s: float) -> None:
        """Return when there is news, or after a time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    def cancel(self) -> None:
        """Give the request up: the edge hears of it at once. Harmless when the answer has ended."""
        if not self._ended and self._error is None:
            self._connection.cancel()


class EdgeClient:
    """Sends requests to the edges.

    Args:
        pool: of connections.
        url: of the edges, without a trailing slash.
    """

    def __init__(self, pool: HTTPClientPool, url: str) -> None:
        self._pool = pool
        self._chat = parse_target(f"{url}/v1/chat/completions")

    async def chat(self, body: bytes, secret: str) -> EdgeAnswer:
        """Send a request of Chat Completions.

        Args:
            body: as it came.
            secret: of a key.

        Raises:
            HTTPClientError: no edge is there.
        """
        # A connection of its own: one that was kept may be closing, and a request that costs money is not sent twice.
        connection = await self._pool.connect(self._chat.endpoint, CONNECT_TIMEOUT_S)
        answer = EdgeAnswer(connection)
        head = (
            f"POST {self._chat.path} HTTP/1.1\r\nhost: {self._chat.host}\r\nauthorization: Bearer {secret}\r\n"
            "content-type: application/json\r\naccept-encoding: identity\r\nuser-agent: trunkline-console\r\n"
            f"x-trunkline-include-cost: true\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        connection.send(head.encode("latin-1") + body, answer)
        return answer
