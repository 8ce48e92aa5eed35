"""Core NATS for the data path: one connection, synchronous delivery, coalesced writes (docs/adr/0003).

nats-py carries JetStream and KV (`runtime.nats_bus`). For the messages of jobs it would put a stream reader, a queue
and a task between the socket and the handler; here a message is handed over in the turn of the loop in which its bytes
came, and all that was published in one turn leaves in one write at its end.
"""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable
from ipaddress import ip_address
from typing import NamedTuple, cast
from urllib.parse import unquote, urlsplit

import structlog

from trunkline.bus import nats_wire
from trunkline.bus.nats_wire import (
    ConnectOptions,
    Delivery,
    NATSProtocolError,
    NATSReader,
    Ping,
    Pong,
    ServerError,
    ServerInfo,
)
from trunkline.bus.port import BusError, BusFullError, Handler, Message, NoRespondersError, Unsubscribe
from trunkline.core.clock import Clock
from trunkline.runtime.tasks import TaskSet

log = structlog.get_logger()

OUTBOUND_BYTES_MAX = 256 * 1024 * 1024
"""What may wait to be sent. Credit bounds each job; this bounds their sum when the broker stops reading."""

AWAY_BYTES_MAX = 8 * 1024 * 1024
"""What is kept while the broker is away. At most once is the contract: more than a moment's worth would be stale."""

HANDSHAKE_TIMEOUT_S = 2.0
RECONNECT_WAIT_S = 0.25
PING_INTERVAL_S = 2.0
PINGS_UNANSWERED_MAX = 2
"""A way that is cut tells nobody. It is found after 4 to 6 s, and another broker is taken, where there is one."""

DEFAULT_PORT = 4222

PERMISSION_REFUSED = "permissions violation"
"""How NATS's complaint begins when a user publishes or subscribes where it may not, in whatever case; the connection
stays."""


class Server(NamedTuple):
    """Where a server is and how to sign in there.

    Attributes:
        certified_as: name in its certificate, where it is known by its address only; empty for ``host``.
    """

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None
    certified_as: str = ""


def parse_servers(urls: str) -> list[Server]:
    """Read one or more ``nats://user:password@host:port``, separated by commas; ``tls://`` demands TLS.

    Raises:
        ValueError: not such a URL.
    """
    servers = []
    for url in urls.split(","):
        parts = urlsplit(url.strip())
        if parts.scheme not in {"nats", "tls"} or not parts.hostname:
            raise ValueError("NATS is given as nats://host:port")
        user = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        servers.append(Server(parts.hostname, parts.port or DEFAULT_PORT, parts.scheme == "tls", user, password))
    return servers


class _Subscription(NamedTuple):
    subject: str
    queue: str
    handler: Handler


class _Connection(asyncio.Protocol):
    """One TCP connection to a server."""

    def __init__(self, link: "NATSLink") -> None:
        loop = asyncio.get_running_loop()
        self._link = link
        self._reader = NATSReader()
        self.transport: asyncio.Transport | None = None
        self.info: asyncio.Future[ServerInfo] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop; again after the upgrade to TLS."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's do not derive from it

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        try:
            events = self._reader.receive(data)
        except NATSProtocolError as error:
            log.exception("bus_protocol_broken", error=str(error))
            self.abort()
            return
        for event in events:
            if isinstance(event, Delivery):  # nearly always, and a chunk of an answer each
                self._link.deliver(event)
            elif isinstance(event, ServerInfo):
                if not self.info.done():
                    self.info.set_result(event)
            else:
                self._link.take(event)

    def connection_lost(self, _error: Exception | None) -> None:
        """Called by the event loop."""
        self.transport = None
        if not self.lost.done():
            self.lost.set_result(None)
        if not self.info.done():
            self.info.set_exception(ConnectionError("closed before INFO"))
            self.info.exception()  # it may be that nobody waits for it any more

    def abort(self) -> None:
        """Drop the connection."""
        if self.transport is not None:
            self.transport.abort()


class NATSLink:
    """A connection that is kept up, and what was subscribed on it. Make it with `open_link`.

    Args:
        servers: tried in turn.
        name: of this client, for the broker's monitoring.
        clock, tasks: of the process.
        inbox: what the subject for answers begins with; see `bus.subjects.inbox`.
        tls: returns the context for a new connection, and demands TLS. None: the system's trust store, for ``tls://``
            and for servers that demand it.

    Attributes:
        dropped: messages that were not sent because the broker was away for too long.
        refused: times that the broker has refused a permission.
    """

    def __init__(
        self,
        servers: list[Server],
        name: str,
        *,
        clock: Clock,
        tasks: TaskSet,
        inbox: str = "_INBOX",
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._servers = deque(servers)
        self._name = name
        self._clock = clock
        self._tasks = tasks
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._connection: _Connection | None = None
        self._outbound: list[bytes] = []
        self._outbound_bytes = 0
        self._flush_due = False
        self._subscriptions: dict[int, _Subscription] = {}
        self._sids = 0
        self._pongs: deque[asyncio.Future[None]] = deque()
        self._unanswered = 0
        self._answers: dict[str, asyncio.Future[bytes]] = {}
        self._inbox = f"{inbox}.{name}"
        self._hears_answers = False
        self._asked = 0
        self._listeners: list[Callable[[bool], None]] = []
        self._closing = False
        self._payload_bytes_max = 0
        self.dropped = 0
        self.refused = 0

    @property
    def connected(self) -> bool:
        """Whether the broker is reachable at this moment."""
        return self._connection is not None

    def on_connection(self, callback: Callable[[bool], None]) -> None:
        """Call ``callback(connected)`` whenever the connection is lost or comes back."""
        self._listeners.append(callback)

    # --- sending -----------------------------------------------------------------------------------------------

    def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        """See `bus.port.Bus.publish`."""
        size = len(payload)
        if self._outbound_bytes + size > OUTBOUND_BYTES_MAX:
            raise BusFullError("too much waits to be sent")
        if size > self._payload_bytes_max:
            raise BusFullError("larger than the broker takes")  # it would close the connection
        if self._connection is None and self._outbound_bytes + size > AWAY_BYTES_MAX:
            self.dropped += 1  # the receiver sees a gap in the sequence
            return
        self._outbound_bytes += size
        self._queue(nats_wire.publish(subject, payload, reply))

    def _queue(self, wire: bytes) -> None:
        self._outbound.append(wire)
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        transport = None if self._connection is None else self._connection.transport
        if transport is None:
            return  # kept until the connection is back
        waiting = transport.get_write_buffer_size()
        if waiting > OUTBOUND_BYTES_MAX // 2:
            # The broker does not read: keep the rest here, where it is counted, and look again soon.
            self._flush_due = True
            self._loop.call_later(RECONNECT_WAIT_S, self._flush)
            return
        outbound, self._outbound, self._outbound_bytes = self._outbound, [], 0
        transport.write(outbound[0] if len(outbound) == 1 else b"".join(outbound))

    # --- receiving ---------------------------------------------------------------------------------------------

    def deliver(self, delivery: Delivery) -> None:
        """Called by the connection: hand a message to its subscriber."""
        subscription = self._subscriptions.get(delivery.sid)
        if subscription is not None:
            try:
                subscription.handler(delivery.message)
            except Exception as error:
                log.exception("bus_handler_failed", subject=subscription.subject, error=type(error).__name__)

    def take(self, event: Ping | Pong | ServerError) -> None:
        """Called by the connection: the server speaks for itself."""
        match event:
            case Ping():
                self._queue(nats_wire.PONG)
            case Pong():
                self._unanswered = 0
                if self._pongs:
                    waiting = self._pongs.popleft()
                    if not waiting.done():
                        waiting.set_result(None)
            case ServerError(text):
                self.complained(text)

    def complained(self, text: str) -> None:
        """Note what the broker complains of. A refused permission is a mistake of ours, or somebody in our place."""
        if PERMISSION_REFUSED in text.lower():
            self.refused += 1
            log.error("bus_permission_refused", error=text)
        else:
            log.warning("bus_server_error", error=text)

    async def subscribe(self, subject: str, handler: Handler, *, queue: str = "") -> Unsubscribe:
        """See `bus.port.Bus.subscribe`. Returns once the broker has taken it, if it is reachable."""
        self._sids += 1
        sid = self._sids
        self._subscriptions[sid] = _Subscription(subject, queue, handler)
        if self.connected:
            self._queue(nats_wire.subscribe(subject, queue, sid))
            with contextlib.suppress(BusError):
                await self.flush()  # not taken: subscribed again on reconnect

        async def unsubscribe() -> None:
            if self._subscriptions.get(sid) is not None and self.connected:
                self._queue(nats_wire.unsubscribe(sid))
                # What the broker has sent by then is still handed over: of a queue group nobody else gets it.
                with contextlib.suppress(BusError):
                    await self.flush()
            self._subscriptions.pop(sid, None)

        return unsubscribe

    async def request(self, subject: str, payload: bytes, *, timeout_s: float) -> bytes:
        """See `bus.port.Bus.request`."""
        if not self._hears_answers:
            self._hears_answers = True
            await self.subscribe(f"{self._inbox}.*", self._on_answer)
        if not self.connected:
            raise BusError("not connected")
        self._asked += 1
        token = f"{self._asked:x}"
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self._answers[token] = answer
        try:
            self.publish(subject, payload, f"{self._inbox}.{token}")
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError as error:
            raise BusError(f"no answer on {subject} in time") from error
        finally:
            del self._answers[token]

    def _on_answer(self, message: Message) -> None:
        answer = self._answers.get(message.subject.rpartition(".")[2])
        if answer is None or answer.done():
            return
        if message.no_responders:
            answer.set_exception(NoRespondersError("nobody listens"))
        else:
            answer.set_result(message.data)

    async def flush(self, timeout_s: float = 5.0) -> None:
        """Return once the broker has handled everything queued so far.

        Raises:
            BusError: it has not, in time.
        """
        if not self.connected:
            raise BusError("not connected")
        waiting: asyncio.Future[None] = self._loop.create_future()
        self._pongs.append(waiting)
        self._queue(nats_wire.PING)
        try:
            async with asyncio.timeout(timeout_s):
                await waiting
        except (TimeoutError, ConnectionError) as error:
            raise BusError("the bus does not take what is queued") from error

    # --- connecting --------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Connect to one of the servers.

        Raises:
            BusError: none is reachable now.
        """
        failure = "no server is configured"
        for _ in range(len(self._servers)):
            server = self._servers[0]
            self._servers.rotate(-1)
            try:
                async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
                    await self._shake_hands(server)
            except (OSError, TimeoutError) as error:
                failure = f"{server.host}:{server.port}: {type(error).__name__}"
            else:
                return
        raise BusError(f"NATS is not reachable at {failure}")

    async def _shake_hands(self, server: Server) -> None:
        _, connection = await self._loop.create_connection(lambda: _Connection(self), server.host, server.port)
        try:
            info = await connection.info
            if server.tls or info.tls_required or self._tls is not None:
                await self._upgrade(connection, server)
            wire = [nats_wire.connect(_options(self._name, server))]
            wire += [nats_wire.subscribe(each.subject, each.queue, sid) for sid, each in self._subscriptions.items()]
            ready: asyncio.Future[None] = self._loop.create_future()
            self._pongs.append(ready)
            if connection.transport is None:
                raise ConnectionError("closed during the handshake")
            connection.transport.write(b"".join([*wire, nats_wire.PING]))
            await asyncio.wait({ready, connection.lost}, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                raise ConnectionError("refused")
        except BaseException:
            connection.abort()
            self._pongs.clear()
            raise
        self._learn_servers(info, server)
        self._payload_bytes_max = info.max_payload
        self._unanswered = 0
        self._connection = connection
        if self._outbound:
            self._flush()

    async def _upgrade(self, connection: _Connection, server: Server) -> None:
        if connection.transport is None:
            raise ConnectionError("closed before TLS")
        context = ssl.create_default_context() if self._tls is None else self._tls()
        upgraded = await self._loop.start_tls(
            connection.transport, connection, context, server_hostname=server.certified_as or server.host
        )
        if upgraded is None:
            raise ConnectionError("closed during TLS")
        connection.transport = upgraded

    def _learn_servers(self, info: ServerInfo, known: Server) -> None:
        """Take the other servers of the cluster into the round, with the same way to sign in."""
        places = {(server.host, server.port) for server in self._servers}
        certified_as = known.certified_as or known.host
        for url in info.connect_urls:
            host, _, port = url.rpartition(":")
            host = host.strip("[]")
            if port.isdigit() and (host, int(port)) not in places:
                name = certified_as if _is_address(host) else ""
                self._servers.append(known._replace(host=host, port=int(port), certified_as=name))

    def keep_up(self) -> None:
        """Watch over the connection from now on: notice its loss, and reconnect for ever."""
        self._tasks.spawn(self._watch(), name="nats_link_watch")
        self._tasks.spawn(self._ping(), name="nats_link_ping")

    async def _watch(self) -> None:
        while not self._closing:
            if self._connection is not None:
                await asyncio.shield(self._connection.lost)
                self._forget_connection()
            if self._closing:
                return
            try:
                await self.connect()
            except BusError:
                await self._clock.sleep(RECONNECT_WAIT_S)
            else:
                self._announce(connected=True)

    def _forget_connection(self) -> None:
        self._connection = None
        while self._pongs:
            waiting = self._pongs.popleft()
            if not waiting.done():
                waiting.set_exception(ConnectionError("connection lost"))
                waiting.exception()  # it may be that nobody waits for it any more
        if not self._closing:
            self._announce(connected=False)

    async def _ping(self) -> None:
        """Find a connection that is dead without saying so."""
        while not self._closing:
            await self._clock.sleep(PING_INTERVAL_S)
            if self._connection is None:
                continue
            if self._unanswered >= PINGS_UNANSWERED_MAX:
                self._connection.abort()
                continue
            self._unanswered += 1
            self._queue(nats_wire.PING)
            self._pongs.append(self._loop.create_future())

    def _announce(self, *, connected: bool) -> None:
        log.info("bus_connected" if connected else "bus_disconnected")
        for listener in self._listeners:
            listener(connected)

    async def close(self) -> None:
        """Flush what can be flushed, and disconnect."""
        if self.connected:
            with contextlib.suppress(BusError):
                await self.flush()
        self._closing = True
        if self._connection is not None:
            self._connection.abort()


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _options(name: str, server: Server) -> ConnectOptions:
    if server.user is None:
        return ConnectOptions(name)
    if server.password is None:
        return ConnectOptions(name, auth_token=server.user)
    return ConnectOptions(name, user=server.user, password=server.password)


async def open_link(
    urls: str,
    *,
    name: str,
    clock: Clock,
    tasks: TaskSet,
    inbox: str = "_INBOX",
    tls: Callable[[], ssl.SSLContext] | None = None,
) -> NATSLink:
    """Return a link that is connected and will be kept up; arguments as of `NATSLink`.

    Raises:
        BusError: no server is reachable now.
        ValueError: ``urls`` cannot be read.
    """
    link = NATSLink(parse_servers(urls), name, clock=clock, tasks=tasks, inbox=inbox, tls=tls)
    await link.connect()
    link.keep_up()
    return link
