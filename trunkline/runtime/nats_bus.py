"""The real bus behind `bus.port.Bus`: core messaging by `runtime.nats_link`, streams and buckets by nats-py."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import msgspec
import structlog
from nats.aio.client import Client
from nats.errors import Error as NATSError
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from trunkline.bus import subjects
from trunkline.bus.port import BusError, Handler, Unsubscribe
from trunkline.core.clock import Clock
from trunkline.runtime import stream_span
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.cluster_watch import Watched
from trunkline.runtime.jetstream_client import close_client, open_client
from trunkline.runtime.nats_link import RECONNECT_WAIT_S, NATSLink, open_link
from trunkline.runtime.nats_streams import ALL_STREAMS, ensure_streams
from trunkline.runtime.stream_span import StreamSpan
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.tls import TLSContext

log = structlog.get_logger()

API_TIMEOUT_S = 5.0

READS_AT_ONCE_MAX = 64

_NO_MESSAGE = 10037
"""JetStream's code for a subject of which a stream holds no message; a stream that is missing has another one."""

_UNAVAILABLE = 503
"""JetStream's code where the cluster, or a stream, has no leader."""

LEAVE_TRIES_MAX = 12
"""By which nats-py has surely found another server than the one that it is to leave: it draws one at random, and knows
some by two addresses."""

_OPERATION = "KV-Operation"
_DELETION = "DEL"
"""An entry with this header is deleted or purged; see NATS's ADR-8, "JetStream based Key-Value Stores"."""


class _SubjectsQuery(msgspec.Struct, frozen=True):
    """What JetStream's API is asked for a stream's subjects, a page at a time."""

    subjects_filter: str
    offset: int


class _StreamState(msgspec.Struct, frozen=True):
    subjects: dict[str, int] = {}


class _APIError(msgspec.Struct, frozen=True):
    code: int = 0
    description: str = ""


class _StreamCluster(msgspec.Struct, frozen=True):
    """Who holds a stream; a server that has lost the others tells of it all the same, without a leader."""

    leader: str = ""


class _StreamInfo(msgspec.Struct, frozen=True):
    """What is read of its answer; ``total`` counts the subjects over all pages."""

    state: _StreamState = _StreamState()
    total: int = 0
    error: _APIError | None = None
    cluster: _StreamCluster | None = None


_encode_query = msgspec.json.Encoder().encode
_decode_stream_info = msgspec.json.Decoder(_StreamInfo).decode


class NATSBus:
    """Two connections to NATS, one for each purpose. Make it with `connect`."""

    def __init__(self, link: NATSLink, client: Client, replicas: int, clock: Clock) -> None:
        self._link = link
        self._client = client
        self._replicas = replicas
        self._clock = clock
        self._jetstream = client.jetstream()

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

    @property
    def moves(self) -> int:
        """Times that a server was left which still stood."""
        return self._link.moves

    @property
    def refused(self) -> int:
        """Times that the broker has refused a permission, on either connection."""
        return self._link.refused

    def publish(self, subject: str, payload: bytes, reply: str = "", *, may_wait: bool = False) -> None:
        """See `bus.port.Bus.publish`."""
        self._link.publish(subject, payload, reply, may_wait=may_wait)

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

    async def kv_get(self, bucket: str, token: str) -> bytes | None:
        """See `bus.port.Bus.kv_get`."""
        entry = await self._last(subjects.kv_stream(bucket), subjects.kv_entry(bucket, token))
        if entry is None or (entry.headers and _OPERATION in entry.headers):
            return None
        return bytes(entry.data or b"")

    async def kv_put(self, bucket: str, token: str, value: bytes) -> None:
        """Write a snapshot entry.

        Raises:
            BusError: not acknowledged; it may or may not be written.
        """
        await self._kv_write(bucket, token, value)

    async def kv_delete(self, bucket: str, token: str) -> None:
        """Delete a snapshot entry; one that is not there is fine.

        Raises:
            BusError: not acknowledged.
        """
        await self._kv_write(bucket, token, b"", {_OPERATION: _DELETION})

    async def _kv_write(self, bucket: str, token: str, value: bytes, headers: dict[str, str] | None = None) -> None:
        try:
            await self._jetstream.publish(subjects.kv_entry(bucket, token), value, headers=headers)
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
        found = await self.subjects_of(subjects.kv_stream(bucket), subjects.kv_entry(bucket, ">"))
        prefix = subjects.kv_entry(bucket, "")
        return [subject.removeprefix(prefix) for subject in found]

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
        message = await self._last(stream, subject)
        return None if message is None else bytes(message.data or b"")

    async def _last(self, stream: str, subject: str) -> RawStreamMsg | None:
        try:
            return await self._jetstream.get_last_msg(stream, subject)
        except (NATSError, TimeoutError) as error:
            if isinstance(error, NotFoundError) and error.err_code == _NO_MESSAGE:
                return None
            raise BusError(f"stream {stream} cannot be read: {type(error).__name__}") from error

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
        """See `stream_span.held`.

        Raises:
            BusError: the stream cannot be asked now.
        """
        return await self._span(stream, stream_span.held(self._jetstream, stream))

    async def unconfirmed(self, stream: str, consumer: str) -> StreamSpan:
        """See `stream_span.unconfirmed`.

        Raises:
            BusError: the stream cannot be asked now.
        """
        return await self._span(stream, stream_span.unconfirmed(self._jetstream, stream, consumer))

    @staticmethod
    async def _span(stream: str, asked: Awaitable[StreamSpan]) -> StreamSpan:
        try:
            return await asked
        except (NATSError, TimeoutError) as error:
            raise BusError(f"stream {stream} cannot be asked: {type(error).__name__}") from error

    def watched(self, stream: str) -> tuple[Watched, Watched]:
        """Return both connections as `runtime.cluster_watch` sees them.

        Args:
            stream: of which this process may ask.
        """

        async def link_answers(timeout_s: float) -> bool:
            try:
                answer = await self.request(f"$JS.API.STREAM.INFO.{stream}", b"", timeout_s=timeout_s)
                info = _decode_stream_info(answer)
            except (BusError, msgspec.DecodeError):
                return False
            if info.error is not None:
                return info.error.code != _UNAVAILABLE
            return info.cluster is None or bool(info.cluster.leader)

        async def link_leaves() -> None:
            self._link.leave()

        async def client_answers(timeout_s: float) -> bool:
            try:
                async with asyncio.timeout(timeout_s):
                    info = await self._jetstream.stream_info(stream)
            except NotFoundError:
                return True
            except (NATSError, OSError):
                return False
            return info.cluster is None or bool(info.cluster.leader)

        return (
            Watched("link", lambda: self.connected, link_answers, link_leaves),
            Watched("jetstream", lambda: self._client.is_connected, client_answers, self._client_leaves),
        )

    async def _client_leaves(self) -> None:
        """Have nats-py connect anew until it has drawn another server."""
        left, tries = self._server_id, LEAVE_TRIES_MAX if len(self._client.servers) > 1 else 0
        for _ in range(tries):
            await self._client.force_reconnect()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(API_TIMEOUT_S):
                    while not self._client.is_connected:
                        await self._clock.sleep(RECONNECT_WAIT_S)
            if self._server_id != left or not self._client.is_connected:
                return

    @property
    def _server_id(self) -> object:
        return self._client._server_info.get("server_id")  # noqa: SLF001 - one server has several addresses there

    def on_connection(self, callback: Callable[[bool], None]) -> None:
        """See `bus.port.Bus.on_connection`."""
        self._link.on_connection(callback)

    async def ensure_streams(self, names: Collection[str] = ALL_STREAMS) -> None:
        """Make those of these streams and buckets that are missing, and set the limits of the others.

        Args:
            names: of streams; a service names its own (`bus.permissions.STREAMS`).

        Raises:
            BusError: JetStream is not there.
        """
        try:
            await ensure_streams(self._jetstream, names, self._replicas)
        except (NATSError, TimeoutError) as error:
            raise BusError(f"streams cannot be created: {error}") from error

    async def missing_buckets(self, names: Collection[str]) -> list[str]:
        """Return those of these buckets that are not there.

        Raises:
            BusError: JetStream cannot be asked now.
        """
        missing = []
        for name in names:
            try:
                await self._jetstream.stream_info(subjects.kv_stream(name))
            except NotFoundError:
                missing.append(name)
            except (NATSError, TimeoutError) as error:
                raise BusError(f"bucket {name} cannot be asked: {type(error).__name__}") from error
        return missing

    async def flush(self) -> None:
        """Return once everything queued so far has reached the broker.

        Raises:
            BusError: it has not, within a few seconds.
        """
        await self._link.flush()

    async def close(self) -> None:
        """Flush what can be flushed and disconnect."""
        await self._link.close()
        await close_client(self._client)


async def connect(
    url: str,
    *,
    name: str,
    tasks: TaskSet,
    inbox: str = "_INBOX",
    replicas: int = 1,
    tls: TLSContext | None = None,
) -> NATSBus:
    """Return a bus connected to ``url`` (several are separated by commas); it reconnects for ever by itself.

    Args:
        url: with user and password, if the broker asks for them.
        name: of this client, for the broker's monitoring.
        tasks: of the process.
        inbox: what subjects for answers begin with; see `bus.subjects.inbox`.
        replicas: nodes of the broker that hold a stream which is made by this bus.
        tls: demands TLS; None leaves it to the broker.

    Raises:
        BusError: NATS is not reachable now.
    """
    context = None if tls is None else lambda: tls.current
    clock = SystemClock()
    link = await open_link(url, name=name, clock=clock, tasks=tasks, inbox=inbox, tls=context)
    try:
        client = await open_client(url, f"{name}-jetstream", inbox, tls, link.complained)
    except (NATSError, OSError, TimeoutError) as error:
        await link.close()
        raise BusError(f"NATS is not reachable: {type(error).__name__}") from error
    return NATSBus(link, client, replicas, clock)
