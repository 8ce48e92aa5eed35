"""A snapshot bucket held in memory and kept current.

Changes are announced by plain messages on the bucket's own subjects (a KV write is a publish), and each is
answered by reading the entry from the broker, so that the order of announcements does not matter. An announcement
may come before the broker has stored what it announces, so an entry that is another than announced is read again
for a while. The whole bucket is read again after a reconnect and every `REREAD_S`, which bounds how long a lost
announcement can hurt.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import structlog

from trunkline.bus.port import BusError, Message, Unsubscribe
from trunkline.core.clock import Clock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet

log = structlog.get_logger()

REREAD_S = 60.0
RETRY_S = 0.5

STORE_WAIT_MIN_S = 0.005
STORE_WAIT_MAX_S = 2.0
"""An announced entry that is not there yet is looked for after these waits, each twice the one before. Storing takes
well under a millisecond, but for the first entry of a bucket, whose files have to be made."""


class Announcement(NamedTuple):
    """A write that was heard of.

    Attributes:
        data: what is written; empty for a deletion.
        wait_s: before it is looked for again, should it not be stored yet.
    """

    data: bytes
    wait_s: float


OnChange = Callable[[str, bytes | None], None]
"""Called with an entry's name and its new value, None if it was deleted."""


class KVView:
    """Watches one bucket.

    Args:
        bus: the connection.
        bucket: its name.
        on_change: called once per entry at the start and for each change after it.
        clock, tasks: of the process.
    """

    def __init__(self, bus: NATSBus, bucket: str, on_change: OnChange, *, clock: Clock, tasks: TaskSet) -> None:
        self._bus = bus
        self._bucket = bucket
        self._on_change = on_change
        self._clock = clock
        self._tasks = tasks
        self._entries: dict[str, bytes] = {}
        self._changed: dict[str, Announcement] = {}
        self._reread = True
        self._wake = asyncio.Event()
        self._loaded = asyncio.Event()
        self._unsubscribe: Unsubscribe | None = None

    async def start(self) -> None:
        """Subscribe, and return once the bucket has been read. Waits for NATS if it must."""
        self._unsubscribe = await self._bus.subscribe(f"$KV.{self._bucket}.>", self._announced)
        self._bus.on_connection(self._connection_changed)
        self._wake.set()
        self._tasks.spawn(self._follow(), name=f"kv_{self._bucket}")
        await self._loaded.wait()

    def _announced(self, message: Message) -> None:
        self._changed[message.subject.split(".", 2)[2]] = Announcement(message.data, STORE_WAIT_MIN_S)
        self._wake.set()

    def _look_again(self, token: str, announcement: Announcement) -> None:
        self._changed.setdefault(token, announcement)
        self._wake.set()

    def _connection_changed(self, connected: bool) -> None:
        if connected:
            self._reread = True
            self._wake.set()

    async def _follow(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._wake.wait(), timeout=REREAD_S)
            except TimeoutError:
                self._reread = True
            self._wake.clear()
            try:
                await self._catch_up()
            except BusError:
                log.warning("snapshot_unreadable", bucket=self._bucket)
                self._wake.set()
                await self._clock.sleep(RETRY_S)

    async def _catch_up(self) -> None:
        if self._reread:
            self._reread = False  # before the read: what changes during it is read again
            try:
                entries = await self._bus.kv_all(self._bucket)
            except BusError:
                self._reread = True
                raise
            for token in self._entries.keys() - entries.keys():
                self._apply(token, None)
            for token, entry in entries.items():
                self._apply(token, entry)
            self._loaded.set()
        while self._changed:
            token = next(iter(self._changed))  # the oldest: however many more are heard of, each has its turn
            announcement = self._changed.pop(token)
            try:
                value = await self._bus.kv_get(self._bucket, token)
            except BusError:
                self._changed.setdefault(token, announcement)
                raise
            self._apply(token, value)
            if (value or b"") != announcement.data and announcement.wait_s <= STORE_WAIT_MAX_S:
                later = announcement._replace(wait_s=announcement.wait_s * 2)
                self._clock.call_later(announcement.wait_s, partial(self._look_again, token, later))

    def _apply(self, token: str, value: bytes | None) -> None:
        if self._entries.get(token) == value:
            return
        if value is None:
            self._entries.pop(token, None)
        else:
            self._entries[token] = value
        try:
            self._on_change(token, value)
        except Exception as error:
            # A snapshot this version cannot read must not stop the others from being applied.
            log.exception("snapshot_refused", bucket=self._bucket, entry=token, error=type(error).__name__)

    async def stop(self) -> None:
        """Stop watching."""
        if self._unsubscribe is not None:
            await self._unsubscribe()
