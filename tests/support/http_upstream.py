"""An upstream that a test plays by hand, and a receiver that writes down what the HTTP client tells it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

from tests.support.http_serving import HOST, Client, until
from tests.support.manual_clock import ManualClock
from trunkline.runtime.http_client import ClientConnection, Endpoint, HTTPClientError, HTTPClientPool
from trunkline.runtime.tasks import TaskSet

REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: u\r\ncontent-length: 2\r\n\r\n{}"


class Receiver:
    """An `AnswerReceiver`."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.ends: list[str] = []
        self.unused: bool | None = None

    def on_head(self, status: int, headers: dict[str, str]) -> None:
        assert not self.ends
        self.status, self.headers = status, headers

    def on_body(self, data: bytes) -> None:
        assert self.status
        assert not self.ends
        self.body += data

    def on_end(self) -> None:
        self.ends.append("end")

    def on_error(self, error: HTTPClientError) -> None:
        self.ends.append("error")
        self.unused = error.unused

    async def ended(self, how: str) -> None:
        await until(lambda: bool(self.ends), how)
        assert self.ends == [how]


class Upstream:
    """Listens; each connection is a `Client` of which the test reads requests and to which it writes answers.

    Attributes:
        pool: the client under test.
        peers: the connections it has made, seen from here.
    """

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.tasks = TaskSet()
        self.pool = HTTPClientPool(clock=self.clock, tasks=self.tasks)
        self.peers: list[Client] = []
        self.endpoint = Endpoint(HOST, 0, tls=False)
        self._server: asyncio.Server | None = None

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.peers.append(Client(reader, writer))

        self._server = await asyncio.start_server(accept, HOST, 0, ssl=tls, limit=1 << 20)
        port = self._server.sockets[0].getsockname()[1]
        self.endpoint = Endpoint(HOST if tls is None else "localhost", port, tls=tls is not None)

    async def connect(self) -> tuple[ClientConnection, Client]:
        """Return both ends of a new connection."""
        connection = await self.pool.connect(self.endpoint, timeout_s=5.0)
        await until(lambda: len(self.peers) >= self.pool.connections, "the connection")
        return connection, self.peers[-1]

    async def ask(self) -> tuple[ClientConnection, Client, Receiver]:
        """Send a request over a new connection; returns once it has come."""
        connection, peer = await self.connect()
        receiver = Receiver()
        connection.send(REQUEST, receiver)
        assert await peer.exactly(len(REQUEST)) == REQUEST
        return connection, peer, receiver

    async def stop(self) -> None:
        self.pool.close()
        for peer in self.peers:
            peer.reset()
        assert self._server is not None
        self._server.close()
        await self.tasks.cancel()
        await until(lambda: self.pool.connections == 0, "all connections are forgotten")


@contextlib.asynccontextmanager
async def upstream(tls: ssl.SSLContext | None = None) -> AsyncIterator[Upstream]:
    """Run an upstream for the length of the block; afterwards no connection may be left."""
    running = Upstream()
    await running.start(tls)
    try:
        yield running
    finally:
        await running.stop()
