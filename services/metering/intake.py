"""Where usage batches come from: a durable consumer on the stream USAGE, shared by all replicas."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from nats.aio.msg import Msg
from nats.errors import Error as NATSError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from trunkline.bus import permissions, subjects
from trunkline.bus.port import BusError
from trunkline.runtime.nats_bus import NATSBus

ACK_WAIT_S = 30.0
"""A batch that is not acknowledged by then goes to another replica: longer than a settlement takes, and short enough
that the usage of a killed replica is booked soon."""

FETCH_WAIT_S = 0.5
"""How long to wait for a first message before looking whether to stop."""

GATHER_S = 0.1
"""How long to wait for company of a first message: one transaction for many events. A balance is this much older. At
20 ms metering and Postgres take half again as much for a request. Nobody can overspend meanwhile, since what a lease
was granted is off the balance already."""


class Queue(NamedTuple):
    """Where the stream stands.

    Attributes:
        messages: that are not settled yet.
        settled: number in the stream up to which all are.
        published: number of the newest, at least.
    """

    messages: int
    settled: int
    published: int


class Delivery(Protocol):
    """One message of the stream, ours until it is answered or `ACK_WAIT_S` is over."""

    @property
    def subject(self) -> str:
        """Where it was published."""

    @property
    def data(self) -> bytes:
        """Its bytes."""

    async def ack(self) -> None:
        """It is settled: the stream may forget it. May raise `BusError`: then it comes again, which is harmless."""

    async def terminate(self) -> None:
        """It is set aside: never deliver it again. Errors as for `ack`."""

    async def give_back(self) -> None:
        """Another replica shall have it. Errors as for `ack`."""


class Intake(Protocol):
    """What the consumer needs of the stream. `NATSIntake` is the real one."""

    async def fetch(self) -> Sequence[Delivery]:
        """Return what is there, or nothing after a short wait.

        Raises:
            BusError: the stream cannot be read now.
        """

    async def queue(self) -> Queue:
        """Return what is not settled yet, over all replicas.

        Raises:
            BusError: the stream cannot be asked now.
        """


class _NatsDelivery:
    def __init__(self, message: Msg) -> None:
        self._message = message
        self.subject: str = message.subject
        self.data: bytes = message.data

    async def ack(self) -> None:
        """See `Delivery.ack`."""
        try:
            await self._message.ack()
        except NATSError as error:
            raise BusError(f"not acknowledged: {type(error).__name__}") from error

    async def terminate(self) -> None:
        """See `Delivery.terminate`."""
        try:
            await self._message.term()
        except NATSError as error:
            raise BusError(f"not terminated: {type(error).__name__}") from error

    async def give_back(self) -> None:
        """See `Delivery.give_back`."""
        try:
            await self._message.nak()
        except NATSError as error:
            raise BusError(f"not given back: {type(error).__name__}") from error


class NATSIntake:
    """Pulls from the stream.

    Args:
        bus: the connection.
        messages_max: how many messages one `fetch` returns at most.
        ack_wait_s: see `ACK_WAIT_S`.
    """

    def __init__(self, bus: NATSBus, messages_max: int, *, ack_wait_s: float = ACK_WAIT_S) -> None:
        self._bus = bus
        self._messages_max = messages_max
        self._ack_wait_s = ack_wait_s
        self._subscription: JetStreamContext.PullSubscription | None = None

    async def fetch(self) -> Sequence[Delivery]:
        """See `Intake.fetch`."""
        if self._subscription is None:
            self._subscription = await self._subscribe()
        try:
            found = await self._subscription.fetch(1, timeout=FETCH_WAIT_S)
        except TimeoutError:
            return ()
        except NATSError as error:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                # On a closed connection nats-py turns a cancellation into an error of its own.
                raise asyncio.CancelledError from error
            await self._unsubscribe()
            raise BusError(f"the usage stream cannot be read: {type(error).__name__}") from error
        found += await self._gather(self._subscription)
        return [_NatsDelivery(message) for message in found]

    async def _gather(self, subscription: JetStreamContext.PullSubscription) -> list[Msg]:
        if self._messages_max == 1:
            return []
        try:
            return await subscription.fetch(self._messages_max - 1, timeout=GATHER_S)
        except (NATSError, TimeoutError):
            # Nothing more, or the connection is gone: the first message is in hand all the same, and the next
            # fetch finds out which it was.
            return []

    async def _subscribe(self) -> JetStreamContext.PullSubscription:
        # The broker may be a new one without our stream.
        await self._bus.ensure_streams(permissions.STREAMS["metering"])
        try:
            subscription: JetStreamContext.PullSubscription = await self._bus.jetstream.pull_subscribe(
                subjects.USAGE_SUBJECTS,
                durable=subjects.USAGE_CONSUMER,
                stream=subjects.USAGE_STREAM,
                config=ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, ack_wait=self._ack_wait_s),
            )
        except (NATSError, TimeoutError) as error:
            raise BusError(f"the usage stream cannot be consumed: {type(error).__name__}") from error
        return subscription

    async def _unsubscribe(self) -> None:
        if self._subscription is None:
            return
        subscription, self._subscription = self._subscription, None
        try:
            await subscription.unsubscribe()
        except NATSError:
            return  # the connection is gone, and the subscription with it

    async def queue(self) -> Queue:
        """See `Intake.queue`."""
        try:
            info = await self._bus.jetstream.consumer_info(subjects.USAGE_STREAM, subjects.USAGE_CONSUMER)
        except (NATSError, TimeoutError) as error:
            raise BusError(f"the usage stream cannot be asked: {type(error).__name__}") from error
        pending, delivered, settled = info.num_pending or 0, info.delivered, info.ack_floor
        return Queue(
            messages=pending + (info.num_ack_pending or 0),
            settled=settled.stream_seq if settled is not None else 0,
            published=(delivered.stream_seq if delivered is not None else 0) + pending,
        )
