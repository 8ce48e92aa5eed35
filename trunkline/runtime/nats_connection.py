"""One TCP connection to a server of NATS, from its opening to its end. Made by `runtime.nats_link`."""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from typing import cast

import structlog

from trunkline.bus import nats_wire
from trunkline.bus.nats_wire import Delivery, NATSProtocolError, NATSReader, Ping, Pong, ServerError, ServerInfo
from trunkline.runtime.nats_servers import Server

log = structlog.get_logger()

Deliver = Callable[[Delivery], None]


class NATSConnection(asyncio.Protocol):
    """A connection. Make it with `open_connection`.

    Args:
        server: to which it leads.
        deliver: called with each message.
        complain: called with what the server complains of.
        inform: called with what the server says of itself later than in its first INFO.

    Attributes:
        deliver: may be exchanged.
        info: what the server says of itself; the last of it.
        lost: done when the connection has ended.
        unanswered: pings since the server's last PONG.
    """

    def __init__(
        self,
        server: Server,
        deliver: Deliver,
        complain: Callable[[str], None],
        inform: Callable[["NATSConnection"], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._reader = NATSReader()
        self._complain = complain
        self._inform = inform
        self._pongs: deque[asyncio.Future[None]] = deque()
        self._greeted: asyncio.Future[None] = loop.create_future()
        self.server = server
        self.deliver = deliver
        self.transport: asyncio.Transport | None = None
        self.info = ServerInfo()
        self.lost: asyncio.Future[None] = loop.create_future()
        self.unanswered = 0

    # --- called by the event loop ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called again after the upgrade to TLS."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's do not derive from it

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        try:
            events = self._reader.receive(data)
        except NATSProtocolError as error:
            log.exception("bus_protocol_broken", error=str(error))
            self.abort()
            return
        for event in events:
            if isinstance(event, Delivery):  # nearly always, and a chunk of an answer each
                self.deliver(event)
            else:
                self._take(event)

    def connection_lost(self, _error: Exception | None) -> None:
        """The end."""
        self.transport = None
        if not self.lost.done():
            self.lost.set_result(None)
        for waiting in (self._greeted, *self._pongs):
            if not waiting.done():
                waiting.set_exception(ConnectionError("connection lost"))
                waiting.exception()  # it may be that nobody waits for it any more

    def _take(self, event: ServerInfo | Ping | Pong | ServerError) -> None:
        match event:
            case Ping():
                self.write(nats_wire.PONG)
            case Pong():
                self.unanswered = 0
                if self._pongs:
                    waiting = self._pongs.popleft()
                    if not waiting.done():
                        waiting.set_result(None)
            case ServerInfo():
                self.info = event
                if self._greeted.done():
                    self._inform(self)
                else:
                    self._greeted.set_result(None)
            case ServerError(text):
                self._complain(text)

    # --- called by the link ------------------------------------------------------------------------------------

    async def greeted(self) -> None:
        """Return once the server has said what it is.

        Raises:
            ConnectionError: it has closed the connection.
        """
        await self._greeted

    async def secure(self, context: ssl.SSLContext) -> None:
        """Go on with TLS.

        Raises:
            OSError: see there.
        """
        if self.transport is None:
            raise ConnectionError("closed before TLS")
        name = self.server.certified_as or self.server.host
        upgraded = await self._loop.start_tls(self.transport, self, context, server_hostname=name)
        if upgraded is None:
            raise ConnectionError("closed during TLS")
        self.transport = upgraded

    def write(self, wire: bytes) -> None:
        """Send bytes at once, if the connection still stands."""
        if self.transport is not None:
            self.transport.write(wire)

    def ping(self) -> None:
        """Send a PING; `unanswered` counts it until the server's PONG."""
        self.unanswered += 1
        self.write(nats_wire.PING)
        self.pong_expected()

    def pong_expected(self) -> asyncio.Future[None]:
        """Return what is done with the server's PONG, of a PING that is sent now; it fails when the connection ends."""
        waiting: asyncio.Future[None] = self._loop.create_future()
        self._pongs.append(waiting)
        return waiting

    async def handled(self, wire: Iterable[bytes]) -> None:
        """Send bytes, and return once the server has handled them.

        Raises:
            ConnectionError: it has closed the connection.
        """
        if self.transport is None:
            raise ConnectionError("connection lost")
        answered = self.pong_expected()
        self.transport.write(b"".join([*wire, nats_wire.PING]))
        await answered

    def close(self) -> None:
        """Send what is still to be sent, and end the connection."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Drop the connection."""
        if self.transport is not None:
            self.transport.abort()


async def open_connection(
    server: Server,
    *,
    deliver: Deliver,
    complain: Callable[[str], None],
    inform: Callable[[NATSConnection], None],
    tls: Callable[[], ssl.SSLContext] | None,
    wire: Callable[[], Iterable[bytes]],
) -> NATSConnection:
    """Return a connection on which a server has taken CONNECT and all subscriptions.

    Args:
        server: of `NATSConnection`.
        deliver: the same.
        complain: the same.
        inform: the same.
        tls: as of `runtime.nats_link.NATSLink`.
        wire: returns what is to be said first.

    Raises:
        OSError: the server is not reachable, or does not let us in.
    """
    loop = asyncio.get_running_loop()
    made = NATSConnection(server, deliver, complain, inform)
    await loop.create_connection(lambda: made, server.host, server.port)
    try:
        await made.greeted()
        if server.tls or made.info.tls_required or tls is not None:
            await made.secure(ssl.create_default_context() if tls is None else tls())
        await made.handled(wire())
    except BaseException:
        made.abort()
        raise
    return made
