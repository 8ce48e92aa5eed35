"""An HTTP/1.1 server for the data path: llhttp's parser (httptools) under one asyncio protocol.

A request is handed over whole, as a callback and not as a task; an answer is written straight to the transport.
That is most of what makes an edge cheap (docs/adr/0002). Everything a client may send too much of
(`http_request_reader`), or too slowly, is bounded by `ServerLimits` and answered through the same error path as any
other fault.
"""

import asyncio
import fcntl
import itertools
import math
import os
import socket
import struct
import sys
import termios
from collections import Counter, deque
from collections.abc import Callable
from email.utils import formatdate
from typing import cast

import httptools
import structlog

from trunkline.core import limits
from trunkline.core.clock import Clock
from trunkline.core.errors import ErrorType, Fault
from trunkline.policy.addresses import block_of
from trunkline.runtime.arrivals import BACKLOG, Arrivals
from trunkline.runtime.http_exchange import Exchange
from trunkline.runtime.http_request_reader import HEAD_BYTES_MAX, RequestReader, ServerLimits, headers_too_large
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.tls import TLSContext

log = structlog.get_logger()

WRITE_HIGH_WATER_BYTES = 64 * 1024
"""What may wait in the transport before a client counts as slow; up to there, written counts as taken."""

PIPELINED_BYTES_MAX = 64 * 1024
"""What a client may send ahead of its answer before its socket is no longer read."""

LINGER_S = 2.0
"""How long the rest of a refused request is read and thrown away, so that the refusal reaches the client before
the reset that an unread socket causes."""

DRAIN_IDLE_S = 2.0
"""How long a stopping server keeps an idle connection open. A client that uses it again is told to close it, whereas
one that writes just as we close sees a reset, for a request that we never saw."""

CLOSE_TIMEOUT_S = limits.TOTAL_TIMEOUT_S
"""How long a client may take to fetch the end of its answer from a connection that is being closed: a window and the
transport's buffer at 1 KB/s are 320 s."""

ROOM_SHARE = 16
"""Where there is no room for a connection, this part of all may go, if they are idle: to look for them takes some
milliseconds, which newcomers must not cost each."""

SWEEP_INTERVAL_S = 0.5
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER of 0 s; without it a close looks like a good end."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_FULL_OF_BODIES = Fault(
    ErrorType.GATEWAY_BUSY,
    "This gateway holds as many large requests as it can at the moment. Please retry.",
    retry_after_ms=1000,
)

OnRequest = Callable[[Exchange], None]
OnFault = Callable[[Exchange, Fault], None]
"""Must answer with `Exchange.respond`; the request may be incomplete."""


class ServerConnection(RequestReader, asyncio.Protocol):
    """One client connection."""

    def __init__(self, server: "HTTPServer") -> None:
        super().__init__(server.limits)
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._paused = False
        self._reading = True
        self._discarding = False
        self._pumping = False
        self._mid_request = False
        self._ahead_bytes = 0
        self._held_bytes = 0
        self.deadline = server.clock.now() + self._limits.request_read_timeout_s

    # --- asyncio -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        transport = cast("asyncio.Transport", transport)  # uvloop's do not derive from it
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER_BYTES)
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if peer else ""
        if sock := transport.get_extra_info("socket"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._server.admit(self):
            transport.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        """Called by the event loop."""
        self._transport = None
        self._server.forget(self)
        self._let_go()
        if self._exchange is not None:
            self._exchange.gone()
        self._waiting.clear()

    def pause_writing(self) -> None:
        """Called by the event loop: the client is slow."""
        self._paused = True

    def resume_writing(self) -> None:
        """Called by the event loop: what was written has left."""
        self._paused = False
        if self._exchange is not None:
            self._exchange.drained()

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        if self._discarding:
            return
        self._head_bytes += len(data)
        answering = self._exchange is not None
        self._feed(data)
        if answering:
            # Only what comes after a whole request is ahead of its answer: as long as the socket is read, we see
            # the client leave.
            self._ahead_bytes += len(data)
            if self._ahead_bytes > PIPELINED_BYTES_MAX:
                self._pause_reading()

    def _feed(self, data: bytes) -> None:
        """Have the parser read what has come, or answer what it cannot read."""
        # Pieces of one buffer, and no calls within calls: a client may offer HTTP/2 in a thousand requests at once.
        pieces: list[bytes | memoryview] = [data]
        try:
            while pieces and not self._discarding:
                piece = pieces.pop()
                try:
                    self._parser.feed_data(piece)
                except httptools.HttpParserUpgrade as upgrade:
                    if self._headers.get("upgrade", "").lower() != "h2c":
                        raise
                    pieces += [memoryview(piece)[upgrade.args[0] :], self._without_upgrade()]
            if self._head_bytes > HEAD_BYTES_MAX:
                self._refuse(headers_too_large())
        except httptools.HttpParserUpgrade:
            # CONNECT ends here, too. A client that offers a web socket falls back at once when it is told so.
            kind = ErrorType.CLIENT_UPGRADE_UNSUPPORTED if "upgrade" in self._headers else ErrorType.CLIENT_BAD_REQUEST
            self._refuse(Fault(kind, "Protocol upgrades are not supported here; use HTTP/1.1."))
        except httptools.HttpParserCallbackError:
            self._refuse(self._fault or Fault(ErrorType.GATEWAY_INTERNAL, "The request could not be read."))
        except httptools.HttpParserError:
            self._refuse(
                Fault(ErrorType.CLIENT_BAD_REQUEST, "This is not a well-formed HTTP/1.1 request. Check its framing.")
            )

    # --- requests ----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins; its time starts to run."""
        self._begin()
        self._mid_request = True
        if self._exchange is None:
            self.deadline = self._server.clock.now() + self._limits.request_read_timeout_s

    def _continue(self) -> None:
        """Ask for the body, except in the middle of an earlier answer, and of HTTP/1.0 (RFC 9110 section 10.1.1)."""
        free = self._exchange is None and not self._waiting
        if free and self._transport is not None and self._version != "1.0":
            self._transport.write(_CONTINUE)

    def _hold(self, size: int) -> None:
        """Count a body's bytes in memory, as long as there is room for them."""
        self._held_bytes += size
        self._server.bodies_bytes += size
        if self._server.bodies_bytes > self._limits.bodies_bytes_max:
            self._raise(_FULL_OF_BODIES)

    def _let_go(self) -> None:
        """The bodies that this connection brought are not in memory any more."""
        self._server.bodies_bytes -= self._held_bytes
        self._held_bytes = 0

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._parser.should_upgrade():
            return  # feed_data raises HttpParserUpgrade next
        keep_alive = self._parser.should_keep_alive()
        self._waiting.append(Exchange(self, self._request(), keep_alive=keep_alive, chunked=self._version == "1.1"))
        self._mid_request = False
        self._head_bytes = 0
        self._body = []
        self._pump()

    # --- answers -----------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Hand over requests one after the other. A loop, since an answer may be complete before this returns."""
        if self._pumping:
            return
        self._pumping = True
        while self._exchange is None and self._waiting and self._transport is not None:
            self._exchange = exchange = self._waiting.popleft()
            self.deadline = float("inf")
            try:
                self._server.on_request(exchange)
            except Exception as error:
                log.exception("request_handler_failed", error=type(error).__name__)
                self._server.on_fault(exchange, Fault(ErrorType.GATEWAY_INTERNAL, "The gateway failed. Please retry."))
        self._pumping = False

    def _refuse(self, fault: Fault) -> None:
        """Answer a request that cannot be read further, throw the rest away, close."""
        self._discarding = True
        self._waiting.clear()
        if self._exchange is not None:
            return  # an answer is under way: its end closes the connection
        self._exchange = Exchange(self, self._request(), keep_alive=False, chunked=self._version == "1.1")
        self._server.on_fault(self._exchange, fault)

    def time_out(self) -> None:
        """The client has not sent a whole request in time, or nothing at all since the last one."""
        if self._transport is None:
            return
        if self._discarding:
            self._transport.abort()
            return
        if not self._mid_request:
            self._close()
            return
        self._refuse(
            Fault(
                ErrorType.CLIENT_TOO_SLOW,
                f"The request was not complete within {self._limits.request_read_timeout_s:g} s. Send it faster.",
            )
        )

    def write(self, wire: bytes) -> bool:
        """Write to the client; returns whether it is slow. A client that has gone is not.

        One that is being found gone is: nothing leaves for it any more, so whoever writes as fast as it takes must
        wait for `connection_lost` and not go on for ever.
        """
        if self._transport is None:
            return False
        self._transport.write(wire)
        return self._paused or self._transport.is_closing()

    def date_line(self) -> bytes:
        """The Date header field, kept for a second."""
        return self._server.date_line

    def answer_begun(self) -> None:
        """Nobody needs the request's body any more, unless another one is coming in behind it."""
        if not self._waiting and not self._mid_request:
            self._let_go()

    def exchange_ended(self, *, keep_alive: bool) -> None:
        """The answer is complete (or cut): go on with the next request, or close."""
        self._exchange = None
        if self._transport is None:
            return
        self.answer_begun()
        if self._discarding:
            # Say that nothing more comes, and let the sweeper close after the client has read it.
            if self._transport.can_write_eof():
                self._transport.write_eof()
            self._resume_reading()
            self.deadline = self._server.clock.now() + LINGER_S
        elif not keep_alive:
            self._waiting.clear()
            self._close()
        elif self._waiting:
            self._pump()
        else:
            self._ahead_bytes = 0
            wait_s = self._limits.request_read_timeout_s if self._mid_request else self._limits.keep_alive_s
            self.deadline = self._server.clock.now() + wait_s
            if self.draining:
                self.close_idle_soon()
            self._resume_reading()

    @property
    def draining(self) -> bool:
        """Whether the server takes no new connections: then this one ends with its next answer."""
        return self._server.draining

    def cut(self) -> None:
        """Reset the connection: the only way to tell a client without chunked coding that its answer is not whole."""
        if self._transport is not None:
            if sock := self._transport.get_extra_info("socket"):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._transport.abort()

    def _pause_reading(self) -> None:
        if self._transport is not None and self._reading:
            self._reading = False
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._transport is not None and not self._reading:
            self._reading = True
            self._transport.resume_reading()

    def _close(self) -> None:
        """Close once the client has taken what was written, or has had long enough for it."""
        if self._transport is not None:
            self._discarding = True
            # With TLS, a connection that has nothing more to send still waits for the client's goodbye.
            wait_s = LINGER_S if _all_taken(self._transport) else CLOSE_TIMEOUT_S
            self.deadline = self._server.clock.now() + wait_s
            self._transport.close()

    @property
    def idle(self) -> bool:
        """Whether no request is here, not even in part, and no answer under way."""
        if self._exchange is not None or self._mid_request or self._discarding or self._transport is None:
            return False
        return self._transport.get_write_buffer_size() == 0

    @property
    def peer(self) -> str:
        """IP address of the other end."""
        return self._peer

    def close_idle(self) -> None:
        """Close at once: others need the room more, and nobody counts it any longer."""
        self._close()
        self.deadline = self._server.clock.now() + LINGER_S

    def close_idle_soon(self) -> None:
        """Close in a moment if no request comes; a client may be writing one just now."""
        if self._exchange is None and not self._mid_request:
            self.deadline = min(self.deadline, self._server.clock.now() + DRAIN_IDLE_S)


def _all_taken(transport: asyncio.Transport) -> bool:
    """Whether all that was written has reached the client. Only the kernel knows: with TLS there are more buffers."""
    sock = transport.get_extra_info("socket")
    try:
        unsent = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:
        return False
    return int.from_bytes(unsent, sys.byteorder) == 0


class HTTPServer:
    """Listens, and keeps what connections share.

    Args:
        on_request: called with each whole request.
        on_fault: called for a request that could not be read.
        server_limits: see there.
        clock, tasks: of the process.
    """

    def __init__(
        self,
        on_request: OnRequest,
        on_fault: OnFault,
        server_limits: ServerLimits,
        *,
        clock: Clock,
        tasks: TaskSet,
    ) -> None:
        self.on_request = on_request
        self.on_fault = on_fault
        self.limits = server_limits
        self.clock = clock
        self.draining = False
        self.date_line = b""
        self.bodies_bytes = 0
        self._connections: set[ServerConnection] = set()
        self._leaving: set[ServerConnection] = set()  # made room: with TLS they wait for their clients' goodbye
        self._next_room_at = -math.inf
        self._tasks = tasks
        self._server: asyncio.Server | None = None
        self._arrivals = self._new_arrivals(None)

    async def start(self, host: str, port: int, tls: TLSContext | None = None) -> int:
        """Bind and serve, over TLS if there is some; returns the port.

        Raises:
            OSError: it cannot be bound.
        """
        if tls is not None:
            self._arrivals = self._new_arrivals(tls)
            bound = await self._arrivals.listen(host, port)
        else:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(
                lambda: ServerConnection(self), host, port, backlog=BACKLOG, reuse_address=True
            )
            bound = int(self._server.sockets[0].getsockname()[1])
        self._tasks.spawn(self._sweep(), name="http_sweep")
        return bound

    def _new_arrivals(self, tls: TLSContext | None) -> Arrivals:
        return Arrivals(
            lambda: ServerConnection(self),
            self._full,
            tls,
            connections_max=self.limits.connections_max,
            closing_s=CLOSE_TIMEOUT_S,
            clock=self.clock,
            tasks=self._tasks,
        )

    async def _sweep(self) -> None:
        while True:
            self.date_line = f"date: {formatdate(self.clock.wall_ms() / 1000, usegmt=True)}\r\n".encode()
            now = self.clock.now()
            here = itertools.chain(self._connections, self._leaving)
            for connection in [connection for connection in here if connection.deadline <= now]:
                connection.time_out()
            await self.clock.sleep(SWEEP_INTERVAL_S)

    def admit(self, connection: ServerConnection) -> bool:
        """Note a new connection; False if there are too many, and none that is idle can go for it."""
        if len(self._connections) >= self.limits.connections_max:
            self._make_room()
        self._connections.add(connection)
        return len(self._connections) <= self.limits.connections_max

    def _full(self) -> bool:
        """Return whether one more that arrives would be too many, after room was made if it can be."""
        if len(self) >= self.limits.connections_max:
            self._make_room()
        return len(self) >= self.limits.connections_max

    def _make_room(self) -> None:
        """Close idle connections, first those of whoever has most of them, the longest idle first."""
        now = self.clock.now()
        if now < self._next_room_at:
            return
        self._next_room_at = now + SWEEP_INTERVAL_S
        idle = [(block_of(connection.peer), connection) for connection in self._connections if connection.idle]
        held = Counter(block for block, _ in idle)
        idle.sort(key=lambda item: (-held[item[0]], item[1].deadline))
        leaving = idle[: max(self.limits.connections_max // ROOM_SHARE, 1)]
        for _, connection in leaving:
            self._connections.discard(connection)
            self._leaving.add(connection)
            connection.close_idle()
        log.warning("connections_full", connections=len(self._connections), closed=len(leaving))

    def forget(self, connection: ServerConnection) -> None:
        """Note a lost connection."""
        self._connections.discard(connection)
        self._leaving.discard(connection)

    def __len__(self) -> int:
        return len(self._connections) + len(self._arrivals)

    def drain(self) -> None:
        """Accept no new connection; the others close after their next answer, or soon if they stay idle."""
        self.draining = True
        # The kernel has connected clients that we have not seen yet; closing the port would reset them.
        if self._server is not None:
            listeners = [socket.socket(fileno=os.dup(bound.fileno())) for bound in self._server.sockets]
            self._server.close()
            self._arrivals.take_over(listeners)
        self._arrivals.close()
        for connection in list(self._connections):
            connection.close_idle_soon()
