"""The stream HEALTH, read in order from a position that its reader keeps.

No durable consumer: the position stands in Postgres, in the transaction of what was made of the messages, and that is
what makes each of them count once. The broker's consumer is thrown away whenever something is not as it should be.
"""

import asyncio
import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from nats.errors import Error as NATSError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from trunkline.bus import subjects
from trunkline.bus.messages import CredentialEvent, HealthSample, decode_credential_event, decode_health_sample
from trunkline.bus.port import BusError
from trunkline.runtime.nats_bus import NATSBus

FETCH_MAX = 2000
"""Messages of one fetch: what a thousand channels send at an instant, in one or two."""

FETCH_WAIT_S = 1.0
"""How long to wait for a first message, and then for company."""

UNREAD_S = 60.0
"""The broker forgets a consumer that was not asked for so long: this process is gone."""


class Entry(NamedTuple):
    """One message.

    Attributes:
        sequence: its number in the stream.
        body: what it says; None if that cannot be read.
    """

    sequence: int
    body: HealthSample | CredentialEvent | None


class HealthStream:
    """Reads the stream.

    Args:
        bus: the connection.
    """

    def __init__(self, bus: NATSBus) -> None:
        self._bus = bus
        self._subscription: JetStreamContext.PullSubscription | None = None
        self._delivered = 0

    async def open(self, created: dt.datetime | None, sequence: int) -> dt.datetime:
        """Begin behind a position, or at the start of a stream that is another one than it was.

        Args:
            created: when the stream was made that the position is of; None for none.
            sequence: of the last message that was read.

        Returns:
            When this stream was made.

        Raises:
            BusError: the stream cannot be read now.
        """
        await self.close()
        try:
            info = await self._bus.jetstream.stream_info(subjects.HEALTH_STREAM)
            # A broker that was set back to an older state has fewer messages than were read.
            begin = min(sequence, info.state.last_seq) + 1 if created == info.created else 1
            self._subscription = await self._bus.jetstream.pull_subscribe(
                subjects.HEALTH_SUBJECTS,
                stream=subjects.HEALTH_STREAM,
                config=ConsumerConfig(
                    deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                    opt_start_seq=begin,
                    ack_policy=AckPolicy.NONE,
                    inactive_threshold=UNREAD_S,
                    mem_storage=True,
                ),
            )
        except (NATSError, TimeoutError) as error:
            raise BusError(f"the health stream cannot be read: {type(error).__name__}") from error
        self._delivered = 0
        made: dt.datetime = info.created
        return made

    async def fetch(self) -> Sequence[Entry]:
        """Return the next messages, in order; none after a short wait.

        Raises:
            BusError: the stream cannot be read now, or something of it was lost on the way; open it anew.
        """
        if self._subscription is None:
            raise BusError("the health stream is not open")
        try:
            found = await self._subscription.fetch(FETCH_MAX, timeout=FETCH_WAIT_S)
        except TimeoutError:
            return ()
        except NATSError as error:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                # On a closed connection nats-py turns a cancellation into an error of its own.
                raise asyncio.CancelledError from error
            raise BusError(f"the health stream cannot be read: {type(error).__name__}") from error
        entries = []
        for message in found:
            numbers = message.metadata.sequence
            self._delivered += 1
            if numbers.consumer != self._delivered:
                raise BusError("messages of the health stream were lost on their way")
            entries.append(Entry(numbers.stream, _read(message.subject, message.data)))
        return entries

    async def close(self) -> None:
        """Stop reading."""
        if self._subscription is None:
            return
        subscription, self._subscription = self._subscription, None
        try:
            await subscription.unsubscribe()
        except NATSError:
            return  # the connection is gone, and the subscription with it


def _read(subject: str, data: bytes) -> HealthSample | CredentialEvent | None:
    try:
        return decode_credential_event(data) if subjects.of_credential(subject) else decode_health_sample(data)
    except msgspec.MsgspecError:
        return None
