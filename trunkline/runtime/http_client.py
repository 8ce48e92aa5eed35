"""An HTTP/1.1 client for the data path: keep-alive connections to upstreams, llhttp's parser (httptools).

An answer arrives as callbacks on an `AnswerReceiver`, in the turn of the loop in which its bytes came: no task and
no queue per chunk (docs/adr/0002). Reading can be paused, which is how a client without credit slows its upstream.
The caller watches the time; this module only bounds the connect.
"""

import asyncio
import socket
import ssl
from collections import deque
from typing import NamedTuple, Protocol, cast
from urllib.parse import urlsplit

import httptools
import structlog

from trunkline.core.clock import Clock
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.upstream_guard import AddressRefusedError, UpstreamGuard

log = structlog.get_logger()

HEAD_BYTES_MAX = 64 * 1024
"""Status line and header fields of one answer; what common servers send at most is 8 to 16 KiB."""

IDLE_CONNECTION_S = 30.0
"""An unused connection is closed after this: shorter than the 60 s and more after which servers and load balancers
do, so that we rarely write to one that is just being closed."""

SWEEP_INTERVAL_S = 1.0


class HTTPClientError(Exception):
    """The exchange failed on the network.

    Attributes:
        unused: not one byte of an answer came, so another connection may be tried.
    """

    def __init__(self, message: str, *, unused: bool) -> None:
        super().__init__(message)
        self.unused = unused


class NotAllowedError(HTTPClientError):
    """No connection was made, since the host is none that upstreams may have (`runtime.upstream_guard`)."""

    def __init__(self) -> None:
        super().__init__("its address is not allowed", unused=True)


class Endpoint(NamedTuple):
    """Where connections lead. Connections to the same endpoint are shared."""

    host: str
    port: int
    tls: bool


class Target(NamedTuple):
    """A parsed URL, made once per channel.

    Attributes:
        endpoint: where.
        host: value of the Host header.
        path: with query.
    """

    endpoint: Endpoint
    host: str
    path: str


def parse_target(url: str) -> Target:
    """Split an http or https URL.

    Raises:
        ValueError: not such a URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"not an http or https URL: {url!r}")
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    path = parts.path or "/"
    return Target(
        Endpoint(parts.hostname, port, tls),
        parts.netloc.rpartition("@")[2],
        f"{path}?{parts.query}" if parts.query else path,
    )


class AnswerReceiver(Protocol):
    """Takes an answer as it comes. After `on_end` or `on_error` nothing more is called."""

    def on_head(self, status: int, headers: dict[str, str]) -> None:
        """Status and header fields, with lower-case names."""

    def on_body(self, data: bytes) -> None:
        """Part of the body, without its transfer coding."""

    def on_end(self) -> None:
        """The body is whole."""

    def on_error(self, error: HTTPClientError) -> None:
        """The connection was lost, or what came is not HTTP."""


class ClientConnection(asyncio.Protocol):
    """One connection to an upstream; carries one exchange at a time."""

    def __init__(self, pool: "HTTPClientPool", endpoint: Endpoint, *, shared: bool = True) -> None:
        self._pool = pool
        self._shared = shared
        self._transport: asyncio.Transport | None = None
        self._receiver: AnswerReceiver | None = None
        self._keep_alive = False
        self._answered = False
        self.endpoint = endpoint
        self.idle_since = 0.0

    @property
    def alive(self) -> bool:
        """Whether a request can be written to it."""
        return self._transport is not None and not self._transport.is_closing()

    # --- asyncio -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        transport = cast("asyncio.Transport", transport)  # uvloop's do not derive from it
        self._transport = transport
        self._pool.connections += 1
        if sock := transport.get_extra_info("socket"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        if self._receiver is None:
            self._close()  # an answer to nothing: the connection is of no use
            return
        self._answered = True
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            log.exception("answer_receiver_failed", error=type(error.__context__).__name__)
            self._fail("the answer could not be taken")
            return
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(f"not an HTTP answer: {type(error).__name__}")
            return
        if self._head_bytes > HEAD_BYTES_MAX and self._receiver is not None:
            self._fail("the answer's head, or what is between or behind its chunks, is too large")

    def eof_received(self) -> None:
        """Called by the event loop: an answer without a length ends here."""
        if self._receiver is not None and self._until_eof:
            self.on_message_complete()

    def connection_lost(self, _error: Exception | None) -> None:
        """Called by the event loop."""
        self._transport = None
        self._pool.forget(self)
        self._fail("the connection was closed")

    # --- httptools ---------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """An answer begins."""
        if self._receiver is None:
            self._close()  # a second answer behind the first: nobody asked for it
        self._headers: dict[str, str] = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header field."""
        if self._head_done:
            return  # a trailer field: nobody reads it
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Status and header fields are known."""
        status = self._parser.get_status_code()
        if status < 200:
            return  # an interim answer (RFC 9110 section 15.2): the real one follows
        self._head_done = True
        self._head_bytes = 0  # from here on, what has come since the last part of the body
        self._keep_alive = self._parser.should_keep_alive()
        self._until_eof = "content-length" not in self._headers and "transfer-encoding" not in self._headers
        if self._receiver is not None:
            self._receiver.on_head(status, self._headers)

    def on_body(self, data: bytes) -> None:
        """Part of the body."""
        self._head_bytes = 0
        if self._receiver is not None:
            self._receiver.on_body(data)

    def on_message_complete(self) -> None:
        """The answer is whole, or was an interim one."""
        if not self._head_done or self._receiver is None:
            return
        receiver, self._receiver = self._receiver, None
        if self._keep_alive and self._shared and self.alive:
            self.resume()
            self._pool.release(self)
        else:
            self._close()
        try:
            receiver.on_end()
        except Exception as error:
            # Whoever waits for the end must hear of one, whatever is wrong with it.
            log.exception("answer_receiver_failed", error=type(error).__name__)
            receiver.on_error(HTTPClientError("the answer could not be taken", unused=False))

    # --- exchange ----------------------------------------------------------------------------------------------

    def send(self, wire: bytes, receiver: AnswerReceiver) -> None:
        """Write a request; its answer goes to ``receiver``."""
        self._parser = httptools.HttpResponseParser(self)
        self._head_done = False
        self._head_bytes = 0
        self._until_eof = False
        self._answered = False
        self._receiver = receiver
        if self._transport is None:
            self._fail("the connection was closed")
        else:
            self._transport.write(wire)

    def pause(self) -> None:
        """Stop reading: TCP slows the upstream down."""
        if self._transport is not None and self._transport.is_reading():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Go on reading."""
        if self._transport is not None and not self._transport.is_reading() and not self._transport.is_closing():
            self._transport.resume_reading()

    def cancel(self) -> None:
        """Give the exchange up: the connection is closed at once, which is what tells the upstream to stop."""
        self._receiver = None
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, message: str) -> None:
        receiver, self._receiver = self._receiver, None
        self._close()
        if receiver is not None:
            receiver.on_error(HTTPClientError(message, unused=not self._answered))

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def close(self) -> None:
        """Close an idle connection."""
        self._close()


class HTTPClientPool:
    """Keep-alive connections by endpoint; the most recently used first, so that surplus ones age and close.

    Args:
        clock, tasks: of the process.
        tls: context for https; None takes the system's trust store.
        guard: looks hosts up, and refuses some; None where all hosts are of the process's own settings.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        tasks: TaskSet,
        tls: ssl.SSLContext | None = None,
        guard: UpstreamGuard | None = None,
    ) -> None:
        self._clock = clock
        self._guard = guard
        self._tls = tls or ssl.create_default_context()
        self._idle: dict[Endpoint, deque[ClientConnection]] = {}
        self.connections = 0
        tasks.spawn(self._sweep(), name="http_client_sweep")

    def take_idle(self, endpoint: Endpoint) -> ClientConnection | None:
        """Return a connection that is ready, if there is one."""
        waiting = self._idle.get(endpoint)
        while waiting:
            connection = waiting.pop()
            if connection.alive:
                return connection
        return None

    async def connect(self, endpoint: Endpoint, timeout_s: float, *, address: str | None = None) -> ClientConnection:
        """Open a new connection.

        Args:
            endpoint: where.
            timeout_s: for all of it.
            address: one that the caller has looked up itself; the name is then for TLS alone, and the connection is
                never kept for others. None looks the name up.

        Raises:
            NotAllowedError: the host may not be connected to.
            HTTPClientError: refused, unreachable, no such host, TLS failed, or not in time.
        """
        try:
            async with asyncio.timeout(timeout_s):
                if address is not None:
                    return await self._open(endpoint, address, shared=False)
                if self._guard is None:
                    return await self._open(endpoint, endpoint.host)
                return await self._open_first(endpoint, await self._guard.addresses(endpoint.host, endpoint.port))
        except AddressRefusedError:
            raise NotAllowedError from None
        except TimeoutError as error:
            raise HTTPClientError("the connection was not made in time", unused=True) from error
        except (OSError, UnicodeError) as error:
            # UnicodeError: the host's name cannot be one. TLS failures are OSErrors.
            raise HTTPClientError(f"the connection was not made: {type(error).__name__}", unused=True) from error

    async def _open_first(self, endpoint: Endpoint, addresses: list[str]) -> ClientConnection:
        """Connect to the first address that takes it; the error is that of the last one.

        Raises:
            OSError: none of them does.
        """
        for address in addresses[:-1]:
            try:
                return await self._open(endpoint, address)
            except OSError:
                continue
        return await self._open(endpoint, addresses[-1])

    async def _open(self, endpoint: Endpoint, host: str, *, shared: bool = True) -> ClientConnection:
        """Connect to a host or an address; the endpoint's name is what TLS checks.

        Raises:
            OSError, UnicodeError: as of `connect`.
        """
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: ClientConnection(self, endpoint, shared=shared),
            host,
            endpoint.port,
            ssl=self._tls if endpoint.tls else None,
            server_hostname=endpoint.host if endpoint.tls else None,
        )
        return connection

    def release(self, connection: ClientConnection) -> None:
        """A connection has carried its exchange and may carry another."""
        connection.idle_since = self._clock.now()
        self._idle.setdefault(connection.endpoint, deque()).append(connection)

    def forget(self, _connection: ClientConnection) -> None:
        """A connection was lost; `take_idle` skips it should it wait there."""
        self.connections -= 1

    async def _sweep(self) -> None:
        while True:
            await self._clock.sleep(SWEEP_INTERVAL_S)
            oldest = self._clock.now() - IDLE_CONNECTION_S
            for endpoint, waiting in list(self._idle.items()):
                while waiting and (waiting[0].idle_since < oldest or not waiting[0].alive):
                    waiting.popleft().close()
                if not waiting:
                    del self._idle[endpoint]

    def close(self) -> None:
        """Close the idle connections."""
        for waiting in self._idle.values():
            for connection in waiting:
                connection.close()
        self._idle.clear()
