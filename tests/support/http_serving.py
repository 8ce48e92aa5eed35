"""An `HTTPServer` for tests, and a client that speaks HTTP/1.1 by hand on asyncio streams."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from tests.support.manual_clock import ManualClock
from trunkline.core.errors import Fault
from trunkline.runtime.http_exchange import Exchange
from trunkline.runtime.http_request_reader import ServerLimits
from trunkline.runtime.http_server import HTTPServer
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.tls import TLSContext

WITHIN_S = 15.0
HOST = "127.0.0.1"
GET = b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n"


class Answer(NamedTuple):
    """One whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class CutError(Exception):
    """The connection ended inside an answer; carries what came of its body."""

    def __init__(self, body: bytes) -> None:
        super().__init__(f"cut after {len(body)} bytes")
        self.body = body


class Client:
    """One connection. Every wait has a deadline."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, wire: bytes) -> None:
        self.writer.write(wire)

    async def sent(self) -> None:
        async with asyncio.timeout(WITHIN_S):
            await self.writer.drain()

    async def exactly(self, size: int) -> bytes:
        async with asyncio.timeout(WITHIN_S):
            return await self.reader.readexactly(size)

    async def line(self) -> bytes:
        async with asyncio.timeout(WITHIN_S):
            return await self.reader.readline()

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read a status line and the header fields."""
        status = int((await self.line()).split(b" ")[1])
        headers = {}
        while (line := await self.line()) not in {b"\r\n", b""}:
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return status, headers

    async def answer(self, *, head_only: bool = False) -> Answer:
        """Read a whole answer, however it is framed.

        Raises:
            CutError: it is not whole.
        """
        status, headers = await self.head()
        if head_only:
            return Answer(status, headers, b"")
        if "content-length" in headers:
            return Answer(status, headers, await self.exactly(int(headers["content-length"])))
        if headers.get("transfer-encoding") == "chunked":
            return Answer(status, headers, await self._chunks())
        return Answer(status, headers, await self.rest())

    async def _chunks(self) -> bytes:
        body = b""
        try:
            while size := int((await self.line()).strip() or b"-", 16):
                body += await self.exactly(size)
                await self.exactly(2)
            await self.exactly(2)
        except (ValueError, asyncio.IncompleteReadError) as error:
            raise CutError(body) from error
        return body

    async def rest(self) -> bytes:
        """Read until the server closes."""
        async with asyncio.timeout(WITHIN_S):
            return await self.reader.read()

    async def closed(self) -> bool:
        """Return whether the server closes without another word."""
        return await self.rest() == b""

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        self.writer.transport.abort()


class Serving:
    """A running server that keeps what it was asked, and answers by ``handle``.

    Attributes:
        handle: called with each request; by default it echoes method, path and body.
        exchanges: every request so far.
        faults: every refusal so far.
        trust: of clients, over TLS.
    """

    def __init__(self, server_limits: ServerLimits) -> None:
        self.clock = ManualClock()
        self.tasks = TaskSet()
        self.server = HTTPServer(self._request, self._fault, server_limits, clock=self.clock, tasks=self.tasks)
        self.handle: Callable[[Exchange], None] = echo
        self.exchanges: list[Exchange] = []
        self.faults: list[Fault] = []
        self.port = 0
        self.trust: ssl.SSLContext | None = None
        self._clients: list[Client] = []

    def _request(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        self.handle(exchange)

    def _fault(self, exchange: Exchange, fault: Fault) -> None:
        self.faults.append(fault)
        exchange.respond(400, b"", fault.type.value.encode(), close=True)

    async def connect(self, source: str = HOST) -> Client:
        """Connect, from an address of the loopback."""
        streams = await asyncio.open_connection(
            HOST,
            self.port,
            limit=1 << 20,
            local_addr=(source, 0),
            ssl=self.trust,
            server_hostname=None if self.trust is None else "localhost",
        )
        client = Client(*streams)
        self._clients.append(client)
        return client

    async def asked(self, count: int = 1) -> Exchange:
        """Return the ``count``-th request once it is here."""
        await until(lambda: len(self.exchanges) >= count, f"{count} requests")
        return self.exchanges[count - 1]

    async def stop(self) -> None:
        for client in self._clients:
            client.reset()
        self.server.drain()
        await self.tasks.cancel()
        await until(lambda: len(self.server) == 0, "all connections closed")


@contextlib.asynccontextmanager
async def serving(
    server_limits: ServerLimits | None = None, *, tls: TLSContext | None = None, trust: ssl.SSLContext | None = None
) -> AsyncIterator[Serving]:
    """Run a server for the length of the block; over TLS with what it presents and its clients trust."""
    running = Serving(server_limits or ServerLimits())
    running.trust = trust
    running.port = await running.server.start(HOST, 0, tls)
    try:
        yield running
    finally:
        await running.stop()


def echo(exchange: Exchange) -> None:
    request = exchange.request
    exchange.respond(200, b"x-test: 1\r\n", f"{request.method} {request.path} ".encode() + request.body)


def hold(_exchange: Exchange) -> None:
    """Leave a request without an answer for now."""


async def until(condition: Callable[[], bool], what: str) -> None:
    """Return once something is true.

    Raises:
        AssertionError: it has not become so in time.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + WITHIN_S
    while not condition():
        assert loop.time() < deadline, f"not within {WITHIN_S} s: {what}"
        turn: asyncio.Future[None] = loop.create_future()
        loop.call_later(0.002, turn.set_result, None)
        await turn


def post(path: str = "/", body: bytes = b"", *lines: str) -> bytes:
    """Return a request's bytes."""
    head = "".join(f"{line}\r\n" for line in (f"POST {path} HTTP/1.1", "host: x", *lines))
    return f"{head}content-length: {len(body)}\r\n\r\n".encode("latin-1") + body
