"""The real bus behind `bus.port.Bus`: core messaging by `runtime.nats_link`, streams and buckets by nats-py."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import nats
import structlog
from nats.aio.client import Client
from nats.errors import Error as NATSError
from nats.js.api import DiscardPolicy, KeyValueConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, BucketNotFoundError, KeyNotFoundError, NotFoundError

from trunkline.bus import subjects
from trunkline.bus.port import BusError, Handler, Unsubscribe
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_link import RECONNECT_WAIT_S, NATSLink, open_link
from trunkline.runtime.tasks import TaskSet

log = structlog.get_logger()

USAGE_DUPLICATE_WINDOW_S = 600.0
HEALTH_AGE_S = 7 * 24 * 3600.0
"""A console may be away over a long weekend and still make the whole history of it; and a health process that starts
finds who was refused last, unless it was that long ago."""

HEALTH_BYTES_MAX = 1024 * 1024 * 1024
"""A tenth of what our broker has (deploy/nats): history must not take the room of usage. The week of a fleet that sends
100 samples an instant, of 160 bytes each; nine hours at the most that health sends, 2,000."""

STREAM_BYTES_MIN = 16 * 1024 * 1024
"""A stream's limit is halved down to this where its broker has less room to reserve: minutes of the largest fleet."""

_NO_ROOM = 10047
"""JetStream's code for a stream whose ``max_bytes`` are more than it can reserve."""

API_TIMEOUT_S = 5.0
READS_AT_ONCE_MAX = 64


class _SubjectsQuery(msgspec.Struct, frozen=True):
    """What JetStream's API is asked for a stream's subjects, a page at a time."""

    subjects_filter: str
    offset: int


class _StreamState(msgspec.Struct, frozen=True):
    subjects: dict[str, int] = {}


class _APIError(msgspec.Struct, frozen=True):
    description: str = ""


class _StreamInfo(msgspec.Struct, frozen=True):
    """What is read of its answer; ``total`` counts the subjects over all pages."""

    state: _StreamState = _StreamState()
    total: int = 0
    error: _APIError | None = None


_encode_query = msgspec.json.Encoder().encode
_decode_stream_info = msgspec.json.Decoder(_StreamInfo).decode


class StreamSpan(NamedTuple):
    """Numbers of a stream's messages.

    Attributes:
        first: of the oldest that is still there; one more than ``last`` when there is none.
        last: of the newest, whether it is still there or not.
    """

    first: int
    last: int


class NATSBus:
    """Two connections to NATS, one for each purpose. Make it with `connect`."""

    def __init__(self, link: NATSLink, client: Client) -> None:
        self._link = link
        self._client = client
        self._jetstream = client.jetstream()
        self._buckets: dict[str, Any] = {}

    @property
    def connected(self) -> bool:
        """Whether the broker is reachable at this moment."""
        return self._link.connected

    @property
    def jetstream(self) -> Any:
        """The nats-py JetStream context."""
        return self._jetstream

    @property
    def dropped(self) -> int:
        """Messages that were not sent because the broker was away for too long."""
        return self._link.dropped

    def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        """See `bus.port.Bus.publish`."""
        self._link.publish(subject, payload, reply)

    async def subscribe(self, subject: str, handler: Handler, *, queue: str = "") -> Unsubscribe:
        """See `bus.port.Bus.subscribe`."""
        return await self._link.subscribe(subject, handler, queue=queue)

    async def request(self, subject: str, payload: bytes, *, timeout_s: float) -> bytes:
        """See `bus.port.Bus.request`."""
        return await self._link.request(subject, payload, timeout_s=timeout_s)

    async def store(self, subject: str, payload: bytes, *, message_id: str, timeout_s: float) -> None:
        """See `bus.port.Bus.store`."""
        try:
            await self._jetstream.publish(subject, payload, timeout=timeout_s, headers={"Nats-Msg-Id": message_id})
        except (NATSError, TimeoutError) as error:
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
        except (NATSError, TimeoutError) as error:
            raise BusError(f"bucket {bucket} cannot be read: {type(error).__name__}") from error
        return bytes(entry.value or b"")

    async def kv_put(self, bucket: str, token: str, value: bytes) -> None:
        """Write a snapshot entry.

        Raises:
            BusError: not acknowledged; it may or may not be written.
        """
        try:
            await (await self._bucket(bucket)).put(token, value)
        except (NATSError, TimeoutError) as error:
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
        except (NATSError, TimeoutError) as error:
            raise BusError(f"bucket {bucket} cannot be written: {type(error).__name__}") from error

    async def kv_all(self, bucket: str) -> dict[str, bytes]:
        """Return a whole bucket. For the small ones only; never ``keys``.

        The names come from the stream's own state. nats-py's watcher is quicker, but takes a full bucket for an empty
        one when the answer about its consumer overtakes the entries, and leaves that consumer behind.

        Raises:
            BusError: the bucket cannot be read now.
        """
        tokens = await self._kv_tokens(bucket)
        entries: dict[str, bytes] = {}
        for start in range(0, len(tokens), READS_AT_ONCE_MAX):
            batch = tokens[start : start + READS_AT_ONCE_MAX]
            values = await asyncio.gather(*(self.kv_get(bucket, token) for token in batch))
            entries |= {token: value for token, value in zip(batch, values, strict=True) if value is not None}
        return entries

    async def _kv_tokens(self, bucket: str) -> list[str]:
        """Return the names of a bucket's entries, deleted ones among them."""
        prefix = f"$KV.{bucket}."
        return [subject.removeprefix(prefix) for subject in await self.subjects_of(f"KV_{bucket}", f"{prefix}>")]

    async def subjects_of(self, stream: str, pattern: str) -> list[str]:
        """Return the subjects of the messages that a stream holds.

        Raises:
            BusError: the stream cannot be asked now.
        """
        found: list[str] = []
        while True:
            query = _encode_query(_SubjectsQuery(pattern, len(found)))
            answer = await self.request(f"$JS.API.STREAM.INFO.{stream}", query, timeout_s=API_TIMEOUT_S)
            try:
                info = _decode_stream_info(answer)
            except msgspec.DecodeError as error:
                raise BusError(f"stream {stream} cannot be listed") from error
            if info.error is not None:
                raise BusError(f"stream {stream} cannot be listed: {info.error.description}")
            found += info.state.subjects
            if not info.state.subjects or len(found) >= info.total:
                return found

    async def last_message(self, stream: str, subject: str) -> bytes | None:
        """Return the last message on a subject, None if the stream holds none.

        Raises:
            BusError: the stream cannot be read now.
        """
        try:
            message = await self._jetstream.get_last_msg(stream, subject)
        except NotFoundError:
            return None
        except (NATSError, TimeoutError) as error:
            raise BusError(f"stream {stream} cannot be read: {type(error).__name__}") from error
        return bytes(message.data or b"")

    async def purge(self, stream: str, subject: str) -> None:
        """Remove the messages on a subject.

        Raises:
            BusError: not acknowledged.
        """
        try:
            await self._jetstream.purge_stream(stream, subject=subject)
        except (NATSError, TimeoutError) as error:
            raise BusError(f"stream {stream} cannot be purged: {type(error).__name__}") from error

    async def stream_span(self, stream: str) -> StreamSpan:
        """Return which numbers the messages have that a stream holds.

        Raises:
            BusError: the stream cannot be asked now.
        """
        try:
            state = (await self._jetstream.stream_info(stream)).state
        except (NATSError, TimeoutError) as error:
            raise BusError(f"stream {stream} cannot be asked: {type(error).__name__}") from error
        # Of a stream that never held any message, the broker says that the first has number 0.
        return StreamSpan(state.first_seq if state.messages else state.last_seq + 1, state.last_seq)

    async def stream_length(self, stream: str) -> int:
        """Return how many messages a stream holds: of a queue, those that nobody has done yet.

        Raises:
            BusError: the stream cannot be asked now.
        """
        try:
            messages: int = (await self._jetstream.stream_info(stream)).state.messages
        except (NATSError, TimeoutError) as error:
            raise BusError(f"stream {stream} cannot be asked: {type(error).__name__}") from error
        return messages

    def on_connection(self, callback: Callable[[bool], None]) -> None:
        """See `bus.port.Bus.on_connection`."""
        self._link.on_connection(callback)

    async def ensure_streams(self) -> None:
        """Create the streams and buckets that are missing, and set the limits of the others. Any service may do it.

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
                    name=subjects.CHECKPOINT_STREAM,
                    subjects=[subjects.CHECKPOINT_SUBJECTS],
                    storage=StorageType.FILE,
                    max_msgs_per_subject=1,
                )
            )
            await self._ensure_stream(
                StreamConfig(
                    name=subjects.HEALTH_STREAM,
                    subjects=[subjects.HEALTH_SUBJECTS],
                    storage=StorageType.FILE,
                    discard=DiscardPolicy.OLD,
                    max_age=HEALTH_AGE_S,
                    max_bytes=HEALTH_BYTES_MAX,
                )
            )
            for bucket in subjects.KV_BUCKETS:
                try:
                    await self._jetstream.key_value(bucket)
                except BucketNotFoundError:
                    await self._jetstream.create_key_value(
                        KeyValueConfig(bucket=bucket, history=1, storage=StorageType.FILE)
                    )
        except (NATSError, TimeoutError) as error:
            raise BusError(f"streams cannot be created: {error}") from error

    async def _ensure_stream(self, config: StreamConfig) -> None:
        try:
            found = (await self._jetstream.stream_info(str(config.name))).config
        except NotFoundError:
            await self._add_stream(config)
            return
        if config.max_bytes is None or (found.max_age, found.max_bytes) == (config.max_age, config.max_bytes):
            return
        try:
            # The rest of it, such as its replicas, is as its broker's operator wants it.
            await self._jetstream.update_stream(found, max_age=config.max_age, max_bytes=config.max_bytes)
        except APIError as error:
            # It works as it is; a broker without so much room is no reason not to start.
            log.warning("stream_limits_not_set", stream=config.name, error=error.description)

    async def _add_stream(self, config: StreamConfig) -> None:
        try:
            await self._jetstream.add_stream(config)
        except APIError as error:
            if error.err_code != _NO_ROOM or not config.max_bytes or config.max_bytes // 2 < STREAM_BYTES_MIN:
                raise
            await self._add_stream(config.evolve(max_bytes=config.max_bytes // 2))

    async def flush(self) -> None:
        """Return once everything queued so far has reached the broker.

        Raises:
            BusError: it has not, within a few seconds.
        """
        await self._link.flush()

    async def close(self) -> None:
        """Flush what can be flushed and disconnect."""
        await self._link.close()
        await self._client.close()


async def connect(url: str, *, name: str, tasks: TaskSet) -> NATSBus:
    """Return a bus connected to ``url`` (several are separated by commas); it reconnects for ever by itself.

    Raises:
        BusError: NATS is not reachable now.
    """

    async def ignore(_error: Exception) -> None:
        """Errors of single operations reach their callers; the link reports changes of the connection."""

    link = await open_link(url, name=name, clock=SystemClock(), tasks=tasks)
    try:
        client = await nats.connect(
            url.split(","),
            name=f"{name}-jetstream",
            error_cb=ignore,
            connect_timeout=2,
            reconnect_time_wait=RECONNECT_WAIT_S,
            max_reconnect_attempts=-1,
            ping_interval=10,
            max_outstanding_pings=2,
        )
    except (NATSError, OSError, TimeoutError) as error:
        await link.close()
        raise BusError(f"NATS is not reachable: {type(error).__name__}") from error
    return NATSBus(link, client)
