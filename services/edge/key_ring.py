"""The keys an edge knows: a cache of policies in front of the ``keys`` bucket.

A change of a key is announced on the bucket's own subjects; the edge drops what it remembers of that key and
reads it again when it is next used, so that a revocation holds everywhere as soon as the announcement arrives.
The broker may announce a change before it has stored it: what is read in between is overruled and not remembered.
After a reconnect every key is read again when it is next used, since announcements may have been missed. Where it
cannot be read, since the bucket has no leader yet, what was known of it counts for a little longer. Announcements are
lost beyond our broker, too, on the way from another node or region, and nobody tells: so a key that is used is read
again now and then, beside the request that uses it.
"""

import asyncio
from collections import OrderedDict
from typing import NamedTuple

import structlog

from services.edge.metrics import EdgeMetrics
from trunkline.bus import snapshots, subjects
from trunkline.bus.port import Bus, BusError, Message
from trunkline.core import limits
from trunkline.core.clock import Clock
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.policy.keys import CompiledKey, key_hash
from trunkline.runtime.tasks import TaskSet

log = structlog.get_logger()

UNKNOWN_KEPT_S = 10.0
"""How long an unknown key is remembered as such; creating it is announced and ends this at once."""

STORED_WITHIN_S = 5.0
"""How long an announcement goes before what is read. The broker stores a change within a millisecond, a busy one
within some; a bucket's first change may take longer."""

DOUBTED_KEPT_S = 30.0
"""How long a key that was known before a reconnect is good where it cannot be read: the broker that was lost may have
led the bucket, and NATS takes 4 to 9 s to choose another. A key revoked meanwhile is good no longer than this."""

CHECKED_EVERY_S = 120.0
"""How long a key is used before it is read again, which bounds how long one whose revocation was not heard is good: as
long as a region's mirror may take to hear of it (docs/operating/regions.md). A read costs less than a request."""

CHECKED_AGAIN_S = 5.0
"""After a check that has come to nothing: as long as reading takes at the most. Until one comes to something, the key
is as good as the rest of the configuration that we have."""

DOUBTED_READ_S = 1.0
"""How long reading such a key may take before what was known of it is used."""

_UNKNOWN_KEY = Fault(ErrorType.CLIENT_UNAUTHENTICATED, "This API key does not exist or was revoked. Check the key.")
_UNREADABLE = Fault(
    ErrorType.GATEWAY_NOT_READY, "The key cannot be checked at the moment. Please retry.", retry_after_ms=1000
)


class _Announcement(NamedTuple):
    """A change that was heard of: the new value (empty for a deletion), and until when it goes before a read one."""

    data: bytes
    until: float


class _Known(NamedTuple):
    """A key, and when it is to be read again."""

    key: CompiledKey
    check_at: float


class _Doubted(NamedTuple):
    """A key as it was before a reconnect, and until when it is good."""

    key: CompiledKey
    until: float


class KeyRing:
    """Looks keys up.

    Args:
        bus: to read the bucket.
        pepper: what keys are hashed with.
        clock, tasks, metrics: of the process.
    """

    def __init__(self, bus: Bus, pepper: bytes, *, clock: Clock, tasks: TaskSet, metrics: EdgeMetrics) -> None:
        self._bus = bus
        self._pepper = pepper
        self._clock = clock
        self._tasks = tasks
        self._metrics = metrics
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._doubted: OrderedDict[str, _Doubted] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._reading: dict[str, asyncio.Task[CompiledKey | Fault | None]] = {}
        self._announced: OrderedDict[str, _Announcement] = OrderedDict()

    async def start(self) -> None:
        """Listen for changes."""
        await self._bus.subscribe(f"$KV.{subjects.KV_KEYS}.>", self._changed)
        self._bus.on_connection(self._connection_changed)

    def _changed(self, message: Message) -> None:
        name = message.subject.rpartition(".")[2]
        self._known.pop(name, None)
        self._doubted.pop(name, None)
        self._unknown.pop(name, None)
        # A look-up under way may have read the old value: let nobody else wait for it.
        self._reading.pop(name, None)
        now = self._clock.now()
        self._announced.pop(name, None)
        self._announced[name] = _Announcement(message.data, now + STORED_WITHIN_S)
        while self._announced:
            oldest = next(iter(self._announced.values()))
            if oldest.until > now and len(self._announced) <= limits.KEYS_CACHED_MAX:
                break
            self._announced.popitem(last=False)

    def _connection_changed(self, connected: bool) -> None:
        if connected:
            self._doubt_all()
            self._unknown.clear()
            self._reading.clear()
            self._announced.clear()

    def _doubt_all(self) -> None:
        now = self._clock.now()
        while self._doubted and next(iter(self._doubted.values())).until <= now:
            self._doubted.popitem(last=False)
        self._doubted |= {name: _Doubted(known.key, now + DOUBTED_KEPT_S) for name, known in self._known.items()}
        while len(self._doubted) > limits.KEYS_CACHED_MAX:
            self._doubted.popitem(last=False)
        self._known.clear()

    def known(self, secret: str) -> CompiledKey | None:
        """Return a key that is known here, whatever the form of what is asked for."""
        return self._use(key_hash(secret, self._pepper))

    def _use(self, name: str) -> CompiledKey | None:
        known = self._known.get(name)
        if known is None:
            return None
        self._known.move_to_end(name)
        now = self._clock.now()
        if now >= known.check_at and name not in self._reading:
            self._known[name] = known._replace(check_at=now + CHECKED_AGAIN_S)
            self._start_reading(name)
        return known.key

    def cached(self, secret: str) -> CompiledKey | None:
        """Return a key that is known here.

        Raises:
            FaultError: it is known not to exist.
        """
        name = key_hash(secret, self._pepper)
        key = self._use(name)
        if key is not None:
            return key
        until = self._unknown.get(name)
        if until is not None and until > self._clock.now():
            raise FaultError(_UNKNOWN_KEY)
        return None

    def has_seen(self, secret: str) -> bool:
        """Return whether a key was good here before, or was just announced: to look it up is no guess."""
        name = key_hash(secret, self._pepper)
        announced = self._announced.get(name)
        return name in self._seen or (announced is not None and bool(announced.data))

    async def find(self, secret: str) -> CompiledKey:
        """Return a key, from the bucket if need be; parallel look-ups of one key share one read.

        Raises:
            FaultError: it does not exist, or the bucket cannot be read.
        """
        name = key_hash(secret, self._pepper)
        reading = self._reading.get(name)
        if reading is None:
            reading = self._start_reading(name)
        key = await asyncio.shield(reading)
        if isinstance(key, Fault):
            raise FaultError(key)
        if key is None:
            raise FaultError(_UNKNOWN_KEY)
        return key

    def _start_reading(self, name: str) -> asyncio.Task[CompiledKey | Fault | None]:
        reading = self._reading[name] = self._tasks.spawn(self._read(name), name="key_lookup")
        return reading

    async def _read(self, name: str) -> CompiledKey | Fault | None:
        """Return a key, None for one that does not exist, or why it cannot be read.

        The bucket's absence is no failure of this process: a task that failed would stop it.
        """
        me = asyncio.current_task()
        try:
            async with asyncio.timeout(DOUBTED_READ_S if name in self._doubted else None):
                value = await self._bus.kv_get(subjects.KV_KEYS, name)
        except (BusError, TimeoutError):
            doubted = self._doubted.get(name)
            return doubted.key if doubted is not None and self._clock.now() < doubted.until else _UNREADABLE
        finally:
            # Still the current look-up: no change was announced meanwhile, so its result may be kept.
            current = self._reading.get(name) is me
            if current:
                del self._reading[name]
        self._doubted.pop(name, None)
        self._metrics.key_lookups.labels("unknown" if value is None else "found").inc()
        announced = self._announced.get(name)
        overruled = announced is not None and announced.data != (value or b"") and self._clock.now() < announced.until
        if announced is not None and overruled:
            value = announced.data or None
        try:
            key = None if value is None else CompiledKey(snapshots.decode_key_policy(value))
        except ValueError as error:  # msgspec's are; or a range that is none
            log.exception("key_unreadable", error=type(error).__name__)
            return _UNREADABLE
        if current and not overruled:
            self._remember(name, key)
        return key

    def _remember(self, name: str, key: CompiledKey | None) -> None:
        if key is None:
            self._known.pop(name, None)
            self._unknown[name] = self._clock.now() + UNKNOWN_KEPT_S
            if len(self._unknown) > limits.KEYS_CACHED_MAX:
                self._unknown.popitem(last=False)
        else:
            self._known[name] = _Known(key, self._clock.now() + CHECKED_EVERY_S)
            self._seen[name] = None
            self._seen.move_to_end(name)
            if len(self._seen) > limits.KEYS_CACHED_MAX:
                self._seen.popitem(last=False)
            if len(self._known) > limits.KEYS_CACHED_MAX:
                self._known.popitem(last=False)
