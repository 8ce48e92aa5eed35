"""Core NATS for the data path: one connection, synchronous delivery, coalesced writes (docs/adr/0003).

nats-py carries JetStream and KV (`runtime.nats_bus`). For the messages of jobs it would put a stream reader, a queue
and a task between the socket and the handler; here a message is handed over in the turn of the loop in which its bytes
came, and all that was published in one turn leaves in one write at its end.

A server that is about to stop is left for another one before it closes the connection: the new connection hears
before the old one falls silent (`runtime.nats_handover`), so that no frame is lost and no answer ends.
"""

import asyncio
import contextlib
import math
import ssl
from collections.abc import Callable, Iterator
from typing import NamedTuple

import structlog

from trunkline.bus import nats_wire
from trunkline.bus.nats_wire import Delivery
from trunkline.bus.port import BusError, BusFullError, Handler, Message, NoRespondersError, Unsubscribe
from trunkline.core.clock import Clock
from trunkline.runtime.nats_connection import Deliver, NATSConnection, open_connection
from trunkline.runtime.nats_handover import Handover
from trunkline.runtime.nats_servers import Server, ServerRound, parse_servers, signing_in
from trunkline.runtime.tasks import TaskSet

log = structlog.get_logger()

OUTBOUND_BYTES_MAX = 256 * 1024 * 1024
"""What may wait to be sent. Credit bounds each job; this bounds their sum when the broker stops reading."""

AWAY_BYTES_MAX = 8 * 1024 * 1024
"""What is kept while the broker is away. At most once is the contract: more than a moment's worth would be stale."""

COMPANY_S = 0.002
"""A chunk of a stream leaves so much later where others have just left: a write, and all that follows from one at the
broker and the edge, then is for several. Where chunks are rare each leaves at once."""

HANDSHAKE_TIMEOUT_S = 2.0
RECONNECT_WAIT_S = 0.25
PING_INTERVAL_S = 2.0
PINGS_UNANSWERED_MAX = 2
"""A way that is cut tells nobody. It is found after 4 to 6 s, and another broker is taken, where there is one."""

KNOWN_S = 0.25
"""After which all servers know what a new connection has subscribed: many times the way between the nodes of a
cluster."""

SETTLE_S = 0.5
"""For which both connections hear: as long again, so that of what only the old one has brought nothing comes twice. A
server that stops leaves its clients ten seconds and more."""

LAG_S = 2.0
"""By which the new connection may be behind the old one: none that stands lags longer."""

PASS_S = 0.05
"""After which what the old connection has taken has reached its receivers, so that nothing overtakes it on the new."""

MOVE_RETRY_S = 1.0
"""Between two attempts to leave a server that is about to stop."""

PERMISSION_REFUSED = "permissions violation"
"""How NATS's complaint begins when a user publishes or subscribes where it may not, in whatever case; the connection
stays."""


class _Subscription(NamedTuple):
    subject: str
    queue: str
    handler: Handler


class NATSLink:
    """A connection that is kept up, and what was subscribed on it. Make it with `open_link`.

    Args:
        servers: tried in an order that is drawn from ``name``; see `runtime.nats_servers.ServerRound`.
        name: of this client, for the broker's monitoring.
        clock, tasks: of the process.
        inbox: what the subject for answers begins with; see `bus.subjects.inbox`.
        tls: returns the context for a new connection, and demands TLS. None: the system's trust store, for ``tls://``
            and for servers that demand it.

    Attributes:
        dropped: messages that were not sent because the broker was away for too long.
        refused: times that the broker has refused a permission.
        moves: times that a server was left before its connection was lost.
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
        self._servers = ServerRound(servers, name)
        self._name = name
        self._clock = clock
        self._tasks = tasks
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._connection: NATSConnection | None = None
        self._spare: NATSConnection | None = None  # hears already, and will be the next
        self._server: Server | None = None
        self._leaving: asyncio.Future[None] = self._loop.create_future()
        self._sending = asyncio.Event()
        self._sending.set()
        self._outbound: list[bytes] = []
        self._outbound_bytes = 0
        self._flush_due = False
        self._late: asyncio.TimerHandle | None = None
        self._flushed_at = -math.inf
        self._subscriptions: dict[int, _Subscription] = {}
        self._sids = 0
        self._answers: dict[str, asyncio.Future[bytes]] = {}
        self._inbox = f"{inbox}.{name}"
        self._hears_answers = False
        self._asked = 0
        self._listeners: list[Callable[[bool], None]] = []
        self._closing = False
        self._payload_bytes_max = 0
        self.dropped = 0
        self.refused = 0
        self.moves = 0

    @property
    def connected(self) -> bool:
        """Whether the broker is reachable at this moment."""
        return self._connection is not None

    @property
    def server(self) -> Server | None:
        """Where it is connected, or was last."""
        return self._server

    def on_connection(self, callback: Callable[[bool], None]) -> None:
        """Call ``callback(connected)`` whenever the connection is lost or comes back."""
        self._listeners.append(callback)

    # --- sending -----------------------------------------------------------------------------------------------

    def publish(self, subject: str, payload: bytes, reply: str = "", *, may_wait: bool = False) -> None:
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
        self._queue(nats_wire.publish(subject, payload, reply), may_wait=may_wait)

    def _queue(self, wire: bytes, *, may_wait: bool = False) -> None:
        self._outbound.append(wire)
        if self._flush_due or (may_wait and self._waits_for_company()):
            return
        self._flush_due = True
        self._loop.call_soon(self._flush)

    def _waits_for_company(self) -> bool:
        """Return whether what is queued leaves a little later: others have just left, so more are likely to come."""
        if self._late is None:
            wait_s = self._flushed_at + COMPANY_S - self._loop.time()
            if wait_s > 0:
                self._late = self._loop.call_later(wait_s, self._flush)
        return self._late is not None

    def _flush(self) -> None:
        self._flush_due = False
        if self._late is not None:
            self._late.cancel()
            self._late = None
        self._flushed_at = self._loop.time()
        transport = None if self._connection is None else self._connection.transport
        if transport is None or not self._sending.is_set():
            return  # kept until the connection is back, or the next one is in use
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
        """Called by a connection: hand a message to its subscriber."""
        subscription = self._subscriptions.get(delivery.sid)
        if subscription is not None:
            try:
                subscription.handler(delivery.message)
            except Exception as error:
                log.exception("bus_handler_failed", subject=subscription.subject, error=type(error).__name__)

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
            self._tell(nats_wire.subscribe(subject, queue, sid))
            with contextlib.suppress(BusError):
                await self.flush()  # not taken: subscribed again on reconnect

        async def unsubscribe() -> None:
            if self._subscriptions.get(sid) is not None and self.connected:
                self._tell(nats_wire.unsubscribe(sid))
                # What the broker has sent by then is still handed over: of a queue group nobody else gets it.
                with contextlib.suppress(BusError):
                    await self.flush()
            self._subscriptions.pop(sid, None)

        return unsubscribe

    def _tell(self, wire: bytes) -> None:
        """Say something about a subscription, on the connection that is to be the next as well."""
        self._queue(wire)
        if self._spare is not None:
            self._spare.write(wire)

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
        try:
            async with asyncio.timeout(timeout_s):
                await self._sending.wait()
                if self._connection is None:
                    raise BusError("not connected")
                answered = self._connection.pong_expected()
                self._queue(nats_wire.PING)
                await answered
        except (TimeoutError, ConnectionError) as error:
            raise BusError("the bus does not take what is queued") from error

    # --- connecting --------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Connect to one of the servers.

        Raises:
            BusError: none is reachable now.
        """
        failure = "no server is configured"
        for server in self._servers.order(self._server):
            try:
                connection = await self._open(server, self.deliver)
            except (OSError, TimeoutError) as error:
                failure = f"{server.place}: {type(error).__name__}"
            else:
                self._use(connection)
                return
        raise BusError(f"NATS is not reachable at {failure}")

    async def _open(self, server: Server, deliver: Deliver) -> NATSConnection:
        """Return a connection on which all is subscribed.

        Raises:
            OSError, TimeoutError: the server is not reachable now.
        """
        told: dict[int, _Subscription] = {}

        def wire() -> Iterator[bytes]:
            told.update(self._subscriptions)
            return iter([nats_wire.connect(signing_in(self._name, server)), *_subscribed(told)])

        async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
            connection = await open_connection(
                server, deliver=deliver, complain=self.complained, inform=self._informed, tls=self._tls, wire=wire
            )
        # What has come and gone while the server was answering.
        came = {sid: each for sid, each in self._subscriptions.items() if sid not in told}
        gone = told.keys() - self._subscriptions.keys()
        connection.write(b"".join([*_subscribed(came), *map(nats_wire.unsubscribe, gone)]))
        return connection

    def _use(self, connection: NATSConnection) -> None:
        self._servers.learn(connection.info, connection.server)
        self._server = connection.server
        self._payload_bytes_max = connection.info.max_payload
        self._connection = connection
        if self._outbound:
            self._flush()

    def _informed(self, connection: NATSConnection) -> None:
        """A server has something new to say of itself: who else there is, or that it is about to stop."""
        self._servers.learn(connection.info, connection.server)
        if connection.info.lame_duck:
            log.info("bus_server_stops", server=connection.server.place)
            self._leave_lame(connection)

    def _leave_lame(self, connection: NATSConnection) -> None:
        if connection is self._connection:
            self.leave()

    # --- keeping connected -------------------------------------------------------------------------------------

    def keep_up(self) -> None:
        """Watch over the connection from now on: notice its loss, and reconnect for ever."""
        self._tasks.spawn(self._watch(), name="nats_link_watch")
        self._tasks.spawn(self._ping(), name="nats_link_ping")

    def leave(self) -> None:
        """Go to another server, if one is reachable, before the connection to this one is given up."""
        if self.connected and not self._leaving.done():
            self._leaving.set_result(None)

    async def _watch(self) -> None:
        while not self._closing:
            connection = self._connection
            if connection is None:
                await self._reconnect()
                continue
            await asyncio.wait({connection.lost, self._leaving}, return_when=asyncio.FIRST_COMPLETED)
            if connection.lost.done():
                self._forget_connection()
            elif not self._closing:
                self._leaving = self._loop.create_future()
                moved = await self._move(connection)
                if not moved and connection.info.lame_duck:
                    self._loop.call_later(MOVE_RETRY_S, self._leave_lame, connection)

    async def _reconnect(self) -> None:
        try:
            await self.connect()
        except BusError:
            await self._clock.sleep(RECONNECT_WAIT_S)
        else:
            self._announce(connected=True)

    async def _move(self, old: NATSConnection) -> bool:
        """Connect to another server and let it take over; returns whether it did."""
        handover = Handover(old, self.deliver, self._is_queued)
        new = self._spare = await self._open_elsewhere(old, handover.take_new)
        if new is None:
            handover.give_up()
            return False
        try:
            await _either(old, new, KNOWN_S)
            handover.known()
            await _either(old, new, SETTLE_S - KNOWN_S)
            if handover.overflown or new.lost.done():
                handover.give_up()
                return False
            await self._silence(old, new)
            if handover.overflown or new.lost.done():
                old.abort()  # it hears nothing any more
                return False
            self._use(new)
            handover.complete(new)
            self._loop.call_later(LAG_S, handover.forget)
        finally:
            self._spare = None
            self._sending.set()
            if self._connection is not new:
                new.abort()
        self._flush()
        old.close()
        self.moves += 1
        log.info("bus_moved", server=new.server.place)
        return True

    async def _open_elsewhere(self, old: NATSConnection, deliver: Deliver) -> NATSConnection | None:
        for server in self._servers.order(old.server):
            if old.lost.done():
                break
            with contextlib.suppress(OSError, TimeoutError):
                new = await self._open(server, deliver)
                if new.info.server_id != old.info.server_id:
                    return new
                new.close()  # another name of the same server
        return None

    async def _silence(self, old: NATSConnection, new: NATSConnection) -> None:
        """Return when the old connection brings no more, and all that was published on it has arrived."""
        self._flush()
        self._sending.clear()
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
                await old.handled(nats_wire.unsubscribe(sid) for sid in self._subscriptions)
        await _either(new, new, PASS_S)

    def _is_queued(self, sid: int) -> bool:
        subscription = self._subscriptions.get(sid)
        return subscription is not None and bool(subscription.queue)

    def _forget_connection(self) -> None:
        self._connection = None
        self._leaving = self._loop.create_future()
        if not self._closing:
            self._announce(connected=False)

    async def _ping(self) -> None:
        """Find a connection that is dead without saying so."""
        while not self._closing:
            await self._clock.sleep(PING_INTERVAL_S)
            if self._connection is None:
                continue
            if self._connection.unanswered >= PINGS_UNANSWERED_MAX:
                self._connection.abort()
                continue
            self._connection.ping()

    def _announce(self, *, connected: bool) -> None:
        place = "" if self._server is None else self._server.place
        log.info("bus_connected" if connected else "bus_disconnected", server=place)
        for listener in self._listeners:
            listener(connected)

    async def close(self) -> None:
        """Flush what can be flushed, and disconnect."""
        if self.connected:
            with contextlib.suppress(BusError):
                await self.flush()
        self._closing = True
        for connection in (self._connection, self._spare):
            if connection is not None:
                connection.abort()


def _subscribed(subscriptions: dict[int, _Subscription]) -> Iterator[bytes]:
    return (nats_wire.subscribe(each.subject, each.queue, sid) for sid, each in subscriptions.items())


async def _either(one: NATSConnection, other: NATSConnection, timeout_s: float) -> None:
    """Return when one of two connections is lost, or after the time."""
    await asyncio.wait({one.lost, other.lost}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)


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
