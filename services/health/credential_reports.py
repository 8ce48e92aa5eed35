"""Tells the stream ``HEALTH`` which credentials are refused and which serve again, while this process leads."""

import asyncio
from collections.abc import Iterable
from typing import Protocol

import msgspec
import structlog

from services.health.history import STORE_TIMEOUT_S, Stream
from services.health.peers import Peers
from trunkline.bus import messages, subjects
from trunkline.bus.messages import CredentialEvent, OutcomeBatch
from trunkline.bus.port import BusError
from trunkline.bus.snapshots import ChannelSnapshot
from trunkline.core.clock import Clock
from trunkline.policy.credential_watch import CredentialWatch

log = structlog.get_logger()

RETRY_S = 1.0
"""Between two tries to store an event."""

HANDOVER_MS = 10_000
"""How long a process that does not lead keeps what it saw. That a leader is dead is known after three beats, and it may
have had something of its last seconds still to store."""


class Log(Protocol):
    """What is needed of a bus to read a stream (`runtime.nats_bus.NATSBus`)."""

    async def subjects_of(self, stream: str, pattern: str) -> list[str]:
        """Return the subjects of its messages; raises `BusError`."""

    async def last_message(self, stream: str, subject: str) -> bytes | None:
        """Return the last message on a subject; raises `BusError`."""


async def read_last_events(stream: Log) -> list[CredentialEvent]:
    """Return the last event of each credential of which the stream holds one.

    Raises:
        BusError: the stream cannot be read now.
    """
    events: list[CredentialEvent] = []
    for subject in await stream.subjects_of(subjects.HEALTH_STREAM, subjects.CREDENTIAL_SUBJECTS):
        message = await stream.last_message(subjects.HEALTH_STREAM, subject)
        if message is not None:
            try:
                events.append(messages.decode_credential_event(message))
            except msgspec.DecodeError:
                log.warning("credential_event_unreadable", subject=subject)
    return events


class CredentialReports:
    """Watches credentials and stores their events.

    A process that does not lead watches, too. It stores nothing, but keeps what it saw for `HANDOVER_MS`, in case it
    comes to lead: what two leaders tell counts once (`store.credential_states`). Of each credential the last event
    alone waits to be stored: what it was in between is not worth keeping.

    Args:
        stream: where to.
        peers: who leads.
        clock: of the process.
        last: see `read_last_events`.
    """

    def __init__(self, stream: Stream, peers: Peers, clock: Clock, last: Iterable[CredentialEvent]) -> None:
        self._stream = stream
        self._peers = peers
        self._clock = clock
        self._watch = CredentialWatch(last)
        self._channels: dict[int, ChannelSnapshot] = {}
        self._waiting: dict[tuple[int, int], CredentialEvent] = {}
        self._wake = asyncio.Event()

    def put(self, channel: ChannelSnapshot) -> None:
        """Take a new or changed channel."""
        self._channels[channel.id] = channel
        self._queue(self._watch.put(channel, self._clock.wall_ms()))

    def remove(self, channel: int) -> None:
        """Take that a channel is gone."""
        self._channels.pop(channel, None)
        self._queue(self._watch.remove(channel, self._clock.wall_ms()))

    def loaded(self) -> None:
        """All channels that there are have been put: the rest went while nobody watched."""
        for channel in self._watch.channels() - self._channels.keys():
            self.remove(channel)

    def receive_outcomes(self, batch: OutcomeBatch) -> None:
        """Take what dispatchers saw."""
        at_ms = self._clock.wall_ms()
        for outcome in batch.outcomes:
            channel = self._channels.get(outcome.channel)
            event = None if channel is None else self._watch.receive(channel, outcome, at_ms)
            if event is not None:
                self._queue([event])

    def refused(self) -> list[tuple[str, int]]:
        """Return the name of each channel and how many of its credentials are refused, for metrics."""
        return [(channel.name, self._watch.refused(channel.id)) for channel in self._channels.values()]

    def _queue(self, events: list[CredentialEvent]) -> None:
        for event in events:
            log.info(
                "credential_changed",
                channel=event.channel,
                credential=event.credential,
                refused=event.refused,
                status=event.status,
            )
            self._waiting[event.channel, event.credential] = event
            self._wake.set()

    async def run(self) -> None:
        """Store events until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not await self.store_waiting():
                await self._clock.sleep(RETRY_S)
                self._wake.set()

    async def store_waiting(self) -> bool:
        """Store what waits, or let it go where another process leads; returns whether nothing waits any more."""
        if not self._peers.leads(self._clock.now()):
            kept_from_ms = self._clock.wall_ms() - HANDOVER_MS
            self._waiting = {key: event for key, event in self._waiting.items() if event.at_ms > kept_from_ms}
            return not self._waiting
        for key, event in list(self._waiting.items()):
            try:
                await self._stream.store(
                    subjects.credential(event.channel, event.credential),
                    messages.encode(event),
                    message_id=f"{event.channel}-{event.credential}-{event.at_ms}-{event.refused}",
                    timeout_s=STORE_TIMEOUT_S,
                )
            except BusError as error:
                log.warning("credential_event_not_stored", error=str(error))
                return False
            if self._waiting.get(key) is event:
                del self._waiting[key]
        return not self._waiting
