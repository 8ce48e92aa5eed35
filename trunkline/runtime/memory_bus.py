"""The bus of fast tests: `bus.port.Bus` in one process's memory, with faults on demand.

One `MemoryBroker` stands for the NATS cluster; each simulated process has its own `MemoryBus` from
`MemoryBroker.connect`. Messages go through the event loop, never straight from publisher to handler, and a test may
set `MemoryBroker.faults` to lose, delay, repeat or reorder them, or to cut processes off from each other.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from trunkline.bus import subjects
from trunkline.bus.port import BusError, BusFullError, Handler, Message, NoRespondersError, Unsubscribe

BROKER = "broker"
"""The receiver of what is stored in a stream, and the sender of its acknowledgement."""

OUTBOUND_BYTES_MAX = 64 * 1024 * 1024
"""What may wait in one bus, as `runtime.nats_bus.OUTBOUND_BYTES_MAX`."""

STREAM_SUBJECTS = (subjects.USAGE_SUBJECTS, subjects.HEALTH_SUBJECTS)


class Delivery(NamedTuple):
    """One message on its way to one receiver.

    Attributes:
        sender, receiver: names of processes, or `BROKER`.
        subject: where it was published.
        data: its bytes.
    """

    sender: str
    receiver: str
    subject: str
    data: bytes


Faults = Callable[[Delivery], Sequence[float]]
"""Returns the delays in seconds after which copies of a message arrive: ``(0,)`` is as it should be, ``()`` loses it.
Messages with different delays overtake each other."""


class StoredMessage(NamedTuple):
    """One message of a stream."""

    subject: str
    data: bytes
    message_id: str


class _Subscription:
    """One subscriber. A queue group's members take turns."""

    __slots__ = ("bus", "handler", "pattern", "queue", "subject", "wild")

    def __init__(self, bus: "MemoryBus", subject: str, handler: Handler, queue: str) -> None:
        self.bus = bus
        self.subject = subject
        self.pattern = subject.split(".")
        self.wild = "*" in self.pattern or ">" in self.pattern
        self.handler = handler
        self.queue = queue


class MemoryBroker:
    """What the buses of one test have in common.

    Attributes:
        faults: what becomes of messages; None delivers all of them.
        stored: what the streams hold, in order; the same message id twice is there once.
        buckets: the snapshots; change them with `put`.
    """

    def __init__(self) -> None:
        self.faults: Faults | None = None
        self.stored: list[StoredMessage] = []
        self.buckets: dict[str, dict[str, bytes]] = {name: {} for name in subjects.KV_BUCKETS}
        self._message_ids: set[str] = set()
        self._by_subject: dict[str, list[_Subscription]] = {}
        self._wildcards: list[_Subscription] = []
        self._turns: dict[tuple[str, str], int] = {}
        self._inboxes = 0

    def connect(self, name: str) -> "MemoryBus":
        """Return the bus of a process."""
        return MemoryBus(self, name)

    def put(self, bucket: str, token: str, value: bytes | None) -> None:
        """Write a snapshot entry, or delete it with None, and announce that."""
        if value is None:
            self.buckets[bucket].pop(token, None)
        else:
            self.buckets[bucket][token] = value
        self.route(BROKER, Message(f"$KV.{bucket}.{token}", "", value or b""))

    def next_inbox(self) -> str:
        """Return a fresh subject for an answer."""
        self._inboxes += 1
        return f"_INBOX.{self._inboxes}"

    def add(self, subscription: _Subscription) -> None:
        """Begin to deliver."""
        if subscription.wild:
            self._wildcards.append(subscription)
        else:
            self._by_subject.setdefault(subscription.subject, []).append(subscription)

    def remove(self, subscription: _Subscription) -> None:
        """Deliver no more; harmless if that was so already."""
        listed = self._wildcards if subscription.wild else self._by_subject.get(subscription.subject, [])
        if subscription in listed:
            listed.remove(subscription)
            if not listed and not subscription.wild:
                del self._by_subject[subscription.subject]

    def _subscribers(self, subject: str) -> list[_Subscription]:
        """Return who gets a message: all without a queue group, and one of each group."""
        tokens = subject.split(".")
        matching = [
            *self._by_subject.get(subject, ()),
            *(wild for wild in self._wildcards if _matches(wild.pattern, tokens)),
        ]
        chosen = [subscription for subscription in matching if not subscription.queue]
        for queue in dict.fromkeys(subscription.queue for subscription in matching if subscription.queue):
            members = [subscription for subscription in matching if subscription.queue == queue]
            turn = self._turns.get((subject, queue), 0)
            self._turns[subject, queue] = turn + 1
            chosen.append(members[turn % len(members)])
        return chosen

    def route(self, sender: str, message: Message) -> bool:
        """Send a message on its way; returns whether anybody listens."""
        subscribers = self._subscribers(message.subject)
        for subscription in subscribers:
            self.deliver(sender, subscription, message)
        return bool(subscribers)

    def deliver(self, sender: str, subscription: _Subscription, message: Message) -> None:
        """Let a message arrive, once for each copy that the faults leave of it."""
        loop = asyncio.get_running_loop()
        for delay_s in self.fate(Delivery(sender, subscription.bus.name, message.subject, message.data)):
            if delay_s > 0:
                loop.call_later(delay_s, subscription.bus.arrive, subscription, message)
            else:
                loop.call_soon(subscription.bus.arrive, subscription, message)

    def fate(self, delivery: Delivery) -> Sequence[float]:
        """Return the delays of the copies that arrive."""
        return (0.0,) if self.faults is None else self.faults(delivery)

    def store(self, message: StoredMessage) -> None:
        """Keep a message unless it is there already.

        Raises:
            BusError: no stream takes its subject.
        """
        tokens = message.subject.split(".")
        if not any(_matches(pattern.split("."), tokens) for pattern in STREAM_SUBJECTS):
            raise BusError(f"no stream takes {message.subject}")
        if message.message_id not in self._message_ids:
            self._message_ids.add(message.message_id)
            self.stored.append(message)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _matches(pattern: list[str], tokens: list[str]) -> bool:
    for position, part in enumerate(pattern):
        if part == ">":
            return len(tokens) > position
        if position >= len(tokens) or part not in {"*", tokens[position]}:
            return False
    return len(pattern) == len(tokens)


class MemoryBus:
    """One process's connection. Made by `MemoryBroker.connect`.

    Args:
        broker: what it is connected to.
        name: of the process, for the faults.
    """

    def __init__(self, broker: MemoryBroker, name: str) -> None:
        self._broker = broker
        self.name = name
        self._connected = True
        self._outbound: list[tuple[str, bytes, str]] = []
        self._outbound_bytes = 0
        self._subscriptions: list[_Subscription] = []
        self._listeners: list[Callable[[bool], None]] = []

    @property
    def connected(self) -> bool:
        """See `bus.port.Bus.connected`."""
        return self._connected

    def publish(self, subject: str, payload: bytes, reply: str = "", *, may_wait: bool = False) -> None:
        """See `bus.port.Bus.publish`."""
        if self._outbound_bytes + len(payload) > OUTBOUND_BYTES_MAX:
            raise BusFullError("too much waits to be sent")
        if not self._outbound:
            asyncio.get_running_loop().call_soon(self._send_queued)
        self._outbound.append((subject, payload, reply))
        self._outbound_bytes += len(payload)

    def _send_queued(self) -> None:
        if not self._connected:
            return  # sent when the connection is back
        queued, self._outbound, self._outbound_bytes = self._outbound, [], 0
        for subject, payload, reply in queued:
            if not self._broker.route(self.name, Message(subject, reply, payload)) and reply:
                self._tell_no_responders(reply)

    def _tell_no_responders(self, reply: str) -> None:
        """As NATS does: only the publisher hears of it, on its own subscriptions."""
        tokens = reply.split(".")
        for subscription in self._subscriptions:
            if _matches(subscription.pattern, tokens):
                self._broker.deliver(BROKER, subscription, Message(reply, "", b"", no_responders=True))

    def arrive(self, subscription: _Subscription, message: Message) -> None:
        """Called by the broker. What arrives while the connection is away is lost."""
        if self._connected and subscription in self._subscriptions:
            subscription.handler(message)

    async def subscribe(self, subject: str, handler: Handler, *, queue: str = "") -> Unsubscribe:
        """See `bus.port.Bus.subscribe`."""
        subscription = self._add(subject, handler, queue)

        async def unsubscribe() -> None:
            self._broker.remove(subscription)
            # What is on its way without delay still arrives.
            arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(_resolve, arrived)
            await arrived
            self._remove(subscription)

        return unsubscribe

    def _add(self, subject: str, handler: Handler, queue: str = "") -> _Subscription:
        subscription = _Subscription(self, subject, handler, queue)
        self._subscriptions.append(subscription)
        if self._connected:
            self._broker.add(subscription)
        return subscription

    def _remove(self, subscription: _Subscription) -> None:
        self._broker.remove(subscription)
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    async def request(self, subject: str, payload: bytes, *, timeout_s: float) -> bytes:
        """See `bus.port.Bus.request`."""
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

        def take(message: Message) -> None:
            if not answer.done():
                answer.set_result(message)

        inbox = self._broker.next_inbox()
        subscription = self._add(inbox, take)
        try:
            self.publish(subject, payload, inbox)
            async with asyncio.timeout(timeout_s):
                message = await answer
        except TimeoutError as error:
            raise BusError(f"no answer on {subject}") from error
        finally:
            self._remove(subscription)
        if message.no_responders:
            raise NoRespondersError(f"nobody listens on {subject}")
        return message.data

    async def store(self, subject: str, payload: bytes, *, message_id: str, timeout_s: float) -> None:
        """See `bus.port.Bus.store`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._cross(Delivery(self.name, BROKER, subject, payload))
                self._broker.store(StoredMessage(subject, payload, message_id))
                await self._cross(Delivery(BROKER, self.name, subject, b""))
        except TimeoutError as error:
            raise BusError(f"not stored on {subject}") from error

    async def _cross(self, delivery: Delivery) -> None:
        """Return when the first copy has arrived; never, if there is none."""
        loop = asyncio.get_running_loop()
        crossed: asyncio.Future[None] = loop.create_future()
        delays = self._broker.fate(delivery) if self._connected else ()
        if delays:
            loop.call_later(min(delays), _resolve, crossed)
        await crossed

    async def kv_get(self, bucket: str, token: str) -> bytes | None:
        """See `bus.port.Bus.kv_get`."""
        if not self._connected or bucket not in self._broker.buckets:
            raise BusError(f"bucket {bucket} cannot be read")
        return self._broker.buckets[bucket].get(token)

    def on_connection(self, callback: Callable[[bool], None]) -> None:
        """See `bus.port.Bus.on_connection`."""
        self._listeners.append(callback)

    def disconnect(self) -> None:
        """Lose the connection; the broker notices at once."""
        self._connected = False
        for subscription in self._subscriptions:
            self._broker.remove(subscription)
        self._announce()

    def reconnect(self) -> None:
        """Have the connection back; what was published meanwhile is sent."""
        self._connected = True
        for subscription in self._subscriptions:
            self._broker.add(subscription)
        self._send_queued()
        self._announce()

    def _announce(self) -> None:
        for listener in self._listeners:
            listener(self._connected)

    def kill(self) -> None:
        """The process dies: nothing leaves it and nothing reaches it any more, and nobody is told."""
        self._connected = False
        for subscription in self._subscriptions:
            self._broker.remove(subscription)
        self._subscriptions = []
