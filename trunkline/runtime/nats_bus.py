"""The real bus: nats-py behind `bus.port.Bus`, plus what streams and buckets need.

Publishing is synchronous for callers and coalesced: whatever was queued in one turn of the event loop is handed
to nats-py together by one task, and leaves in one write.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import nats
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError as NatsNoRespondersError
from nats.js.api import KeyValueConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BucketNotFoundError, KeyNotFoundError, NotFoundError

from trunkline.bus import subjects
from trunkline.bus.port import BusError, BusFullError, Handler, Message, NoRespondersError, Unsubscribe
from trunkline.runtime.tasks import TaskSet

log = structlog.get_logger()

OUTBOUND_BYTES_MAX = 256 * 1024 * 1024
"""What may wait to be sent. Credit bounds each job; this bounds their sum when the broker stops reading."""

PENDING_BYTES = 8 * 1024 * 1024
"""nats-py's own buffer, also what it keeps while it reconnects."""

SUBSCRIPTION_BYTES_MAX = 512 * 1024 * 1024
"""What one subscription may hold unread: the sum of all jobs' windows at a busy edge, far above what it reads in
a turn of the loop. Past it nats-py drops messages, which the sequence numbers turn into FAILs."""

RECONNECT_WAIT_S = 0.25
USAGE_DUPLICATE_WINDOW_S = 600.0


class NatsBus:
    """One connection to NATS. Make it with `connect`."""

    def __init__(self, client: Client, tasks: TaskSet) -> None:
        self._client = client
        self._jetstream = client.jetstream()
        self._outbound: list[tuple[str, bytes, str]] = []
        self._outbound_bytes = 0
        self._wake = asyncio.Event()
        self._listeners: list[Callable[[bool], None]] = []
        self._buckets: dict[str, Any] = {}
        self.dropped = 0
        self._publisher = tasks.spawn(self._publish_queued(), name="bus_publisher")

    @property
    def connected(self) -> bool:
        """Whether the broker is reachable at this moment."""
        return bool(self._client.is_connected)

    @property
    def client(self) -> Client:
        """The nats-py client, for what only one service does (consuming a stream, managing buckets)."""
        return self._client

    @property
    def jetstream(self) -> Any:
        """The nats-py JetStream context."""
        return self._jetstream

    def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        """See `bus.port.Bus.publish`."""
        size = len(payload)
        if self._outbound_bytes + size > OUTBOUND_BYTES_MAX:
            raise BusFullError("too much waits to be sent")
        self._outbound.append((subject, payload, reply))
        self._outbound_bytes += size
        self._wake.set()

    async def _publish_queued(self) -> None:
        publish = self._client.publish
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._outbound = self._outbound, []
            for subject, payload, reply in batch:
                self._outbound_bytes -= len(payload)
                try:
                    await publish(subject, payload, reply)
                except NatsError:
                    # Not connected and nats-py's buffer is full, or closed. At most once is the contract here:
                    # the receiver sees a gap in the sequence.
                    self.dropped += 1

    async def subscribe(self, subject: str, handler: Handler, *, queue: str = "") -> Unsubscribe:
        """See `bus.port.Bus.subscribe`."""

        async def deliver(message: Msg) -> None:
            try:
                handler(
                    Message(
                        message.subject,
                        message.reply,
                        message.data,
                        message.headers is not None and message.headers.get("Status") == "503",
                    )
                )
            except Exception as error:
                log.exception("bus_handler_failed", subject=subject, error=type(error).__name__)

        subscription = await self._client.subscribe(
            subject,
            queue=queue,
            cb=deliver,
            pending_msgs_limit=0,  # bytes are the bound that matters
            pending_bytes_limit=SUBSCRIPTION_BYTES_MAX,
        )

        async def unsubscribe() -> None:
            # The connection may be gone already; then so is the subscription.
            if not self._client.is_closed:
                await subscription.unsubscribe()

        return unsubscribe

    async def request(self, subject: str, payload: bytes, *, timeout_s: float) -> bytes:
        """See `bus.port.Bus.request`."""
        try:
            answer = await self._client.request(subject, payload, timeout=timeout_s)
        except NatsNoRespondersError as error:
            raise NoRespondersError(f"nobody listens on {subject}") from error
        except (NatsError, TimeoutError) as error:
            raise BusError(f"no answer on {subject}: {type(error).__name__}") from error
        return bytes(answer.data)

    async def store(self, subject: str, payload: bytes, *, message_id: str, timeout_s: float) -> None:
        """See `bus.port.Bus.store`."""
        try:
            await self._jetstream.publish(subject, payload, timeout=timeout_s, headers={"Nats-Msg-Id": message_id})
        except (NatsError, TimeoutError) as error:
            raise BusError(f"not stored on {subject}: {type(error).__name__}") from error

    async def _bucket(self, name: str) -> Any:
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = await self._jetstream.key_value(name)
        return bucket

    async def kv_get(self, bucket: str, token: str) -> bytes | None:
        """See `bus.port.Bus.kv_get`."""
        try:
            entry = await (await self._bucket(bucket)).get(token)
        except KeyNotFoundError:
            return None
        except (NatsError, TimeoutError) as error:
            raise BusError(f"bucket {bucket} cannot be read: {type(error).__name__}") from error
        return bytes(entry.value or b"")

    async def kv_put(self, bucket: str, token: str, value: bytes) -> None:
        """Write a snapshot entry.

        Raises:
            BusError: not acknowledged; it may or may not be written.
        """
        try:
            await (await self._bucket(bucket)).put(token, value)
        except (NatsError, TimeoutError) as error:
            raise BusError(f"bucket {bucket} cannot be written: {type(error).__name__}") from error

    async def kv_delete(self, bucket: str, token: str) -> None:
        """Delete a snapshot entry; one that is not there is fine.

        Raises:
            BusError: not acknowledged.
        """
        try:
            await (await self._bucket(bucket)).delete(token)
        except KeyNotFoundError:
            return
        except (NatsError, TimeoutError) as error:
            raise BusError(f"bucket {bucket} cannot be written: {type(error).__name__}") from error

    async def kv_all(self, bucket: str) -> dict[str, bytes]:
        """Return a whole bucket. For the small ones only; never ``keys``.

        Raises:
            BusError: the bucket cannot be read now.
        """
        entries: dict[str, bytes] = {}
        try:
            watcher = await (await self._bucket(bucket)).watchall(ignore_deletes=True)
            try:
                while (entry := await watcher.updates(timeout=5)) is not None:
                    entries[entry.key] = bytes(entry.value or b"")
            finally:
                await watcher.stop()
        except (NatsError, TimeoutError) as error:
            raise BusError(f"bucket {bucket} cannot be read: {type(error).__name__}") from error
        return entries

    def on_connection(self, callback: Callable[[bool], None]) -> None:
        """See `bus.port.Bus.on_connection`."""
        self._listeners.append(callback)

    def _announce(self, connected: bool) -> None:
        log.info("bus_connected" if connected else "bus_disconnected")
        for listener in self._listeners:
            listener(connected)

    async def ensure_streams(self) -> None:
        """Create the streams and buckets that are missing. Idempotent; any service may do it.

        Raises:
            BusError: JetStream is not there.
        """
        try:
            await self._ensure_stream(
                StreamConfig(
                    name=subjects.USAGE_STREAM,
                    subjects=[subjects.USAGE_SUBJECTS],
                    retention=RetentionPolicy.WORK_QUEUE,
                    storage=StorageType.FILE,
                    duplicate_window=USAGE_DUPLICATE_WINDOW_S,
                )
            )
            await self._ensure_stream(
                StreamConfig(
                    name=subjects.HEALTH_STREAM,
                    subjects=[subjects.HEALTH_SUBJECTS],
                    storage=StorageType.FILE,
                    max_age=7 * 24 * 3600,
                )
            )
            for bucket in subjects.KV_BUCKETS:
                try:
                    await self._jetstream.key_value(bucket)
                except BucketNotFoundError:
                    await self._jetstream.create_key_value(
                        KeyValueConfig(bucket=bucket, history=1, storage=StorageType.FILE)
                    )
        except (NatsError, TimeoutError) as error:
            raise BusError(f"streams cannot be created: {error}") from error

    async def _ensure_stream(self, config: StreamConfig) -> None:
        try:
            await self._jetstream.stream_info(str(config.name))
        except NotFoundError:
            await self._jetstream.add_stream(config)

    async def flush(self) -> None:
        """Return once everything queued so far has reached the broker.

        Raises:
            BusError: it has not, within a few seconds.
        """
        try:
            while self._outbound:
                await asyncio.wait_for(self._drained(), timeout=5)
            await self._client.flush(timeout=5)
        except (NatsError, TimeoutError) as error:
            raise BusError("the bus does not take what is queued") from error

    async def _drained(self) -> None:
        # The publisher runs in the next turns of the loop; yield to it until it has taken all.
        loop = asyncio.get_running_loop()
        while self._outbound:
            turn: asyncio.Future[None] = loop.create_future()
            loop.call_soon(turn.set_result, None)
            await turn

    async def close(self) -> None:
        """Flush what can be flushed and disconnect."""
        try:
            if self._client.is_connected:
                await self.flush()
        except BusError:
            log.warning("bus_flush_failed")
        self._publisher.cancel()
        await self._client.close()


async def connect(url: str, *, name: str, tasks: TaskSet) -> NatsBus:
    """Return a bus connected to ``url``; reconnects for ever by itself.

    Raises:
        BusError: NATS is not reachable now.
    """
    holder: list[NatsBus] = []

    def announcer(connected: bool) -> Callable[[], Awaitable[None]]:
        async def announce() -> None:
            for bus in holder:
                bus._announce(connected)  # noqa: SLF001 - the connection's callbacks are this module's own

        return announce

    async def ignore(_error: Exception) -> None:
        """Errors of single operations reach their callers; connection changes have callbacks of their own."""

    try:
        client = await nats.connect(
            url,
            name=name,
            error_cb=ignore,
            disconnected_cb=announcer(False),
            reconnected_cb=announcer(True),
            connect_timeout=2,
            reconnect_time_wait=RECONNECT_WAIT_S,
            max_reconnect_attempts=-1,
            ping_interval=10,
            max_outstanding_pings=2,
            pending_size=PENDING_BYTES,
        )
    except (NatsError, OSError, TimeoutError) as error:
        raise BusError(f"NATS is not reachable at {url}: {type(error).__name__}") from error
    bus = NatsBus(client, tasks)
    holder.append(bus)
    return bus
