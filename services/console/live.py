"""The live picture of the site: what is heard on the bus, brought together once a second for all who watch.

Whoever watches waits for the next second and writes what was encoded once for all. One who is slow misses seconds:
there is no queue.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator

import asyncpg
import msgspec
import structlog

from services.console.http import RequestError
from trunkline.bus import messages, snapshots, subjects
from trunkline.bus.port import BusError, Message, Unsubscribe
from trunkline.bus.snapshots import ChannelSnapshot, ChannelWeight
from trunkline.core.clock import Clock
from trunkline.core.errors import ErrorType
from trunkline.policy.admin_live import LiveHistory, LiveNow
from trunkline.policy.live import LiveBoard
from trunkline.runtime.kv_view import KVView
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.credential_states import list_states
from trunkline.store.database import Database, StoreError

log = structlog.get_logger()

TICK_S = 1.0

ASK_S = 2.0
"""Between two questions to JetStream about its queue: it is one number, and the broker has to do for it."""

CREDENTIALS_S = 10.0
"""How old the states of credentials may be that are shown, while somebody watches."""

WATCHERS_MAX = 50
"""Who may watch at a time: each gets up to 40 KB a second. A wall, and a window of every operator."""

BUSY_RETRY_S = 30

_encode = msgspec.json.Encoder().encode


class Live:
    """Keeps the picture.

    Args:
        bus, database, clock, tasks: of the process.

    Attributes:
        channels: as the processes know them, by id.
        weights: what health says of them.
    """

    def __init__(self, bus: NATSBus, database: Database, *, clock: Clock, tasks: TaskSet) -> None:
        self._bus = bus
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._board = LiveBoard(clock.now())
        self.channels: dict[int, ChannelSnapshot] = {}
        self.weights: dict[int, ChannelWeight] = {}
        self._views = [
            KVView(bus, subjects.KV_CHANNELS, self._channel_changed, clock=clock, tasks=tasks),
            KVView(bus, subjects.KV_WEIGHTS, self._weight_changed, clock=clock, tasks=tasks),
        ]
        self._subscriptions: list[Unsubscribe] = []
        self._loops: list[asyncio.Task[None]] = []
        self._queued: int | None = None
        self._refused: dict[int, int] | None = None
        self._refused_at: float | None = None
        self._watchers = 0
        self._next: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._closed = False

    async def start(self) -> None:
        """Listen."""
        self._bus.on_connection(self._connection_changed)
        self._subscriptions.append(await self._bus.subscribe(subjects.alive_of("*"), self._beat))
        self._subscriptions.append(await self._bus.subscribe(subjects.OUTCOME, self._outcomes))
        self._loops = [
            self._tasks.spawn(self._read_snapshots(), name="live_snapshots"),
            self._tasks.spawn(self._tick(), name="live_tick"),
            self._tasks.spawn(self._ask(), name="live_ask"),
        ]

    def close(self) -> None:
        """Send everybody who watches away: the process is about to end."""
        self._closed = True
        self._tell(None)

    async def stop(self) -> None:
        """Listen no more."""
        self.close()
        await self._tasks.end(*self._loops)
        for view in self._views:
            await view.stop()
        for unsubscribe in self._subscriptions:
            await unsubscribe()

    # --- what is heard -----------------------------------------------------------------------------------------

    def _connection_changed(self, connected: bool) -> None:
        if connected:
            self._board.forgive(self._clock.now())

    def _beat(self, message: Message) -> None:
        # What only a newer version can read is left out of the picture.
        with contextlib.suppress(msgspec.MsgspecError):
            beat = messages.decode_beat(message.data)
            if beat.role == subjects.beating_role(message.subject):
                self._board.receive_beat(beat, self._clock.now(), self._clock.wall_ms())

    def _outcomes(self, message: Message) -> None:
        with contextlib.suppress(msgspec.MsgspecError):
            self._board.receive_outcomes(messages.decode_outcome_batch(message.data), self._clock.now())

    def _channel_changed(self, token: str, value: bytes | None) -> None:
        if value is None:
            self.channels.pop(int(token), None)
        else:
            self.channels[int(token)] = snapshots.decode_channel(value)

    def _weight_changed(self, token: str, value: bytes | None) -> None:
        if value is None:
            self.weights.pop(int(token), None)
        else:
            self.weights[int(token)] = snapshots.decode_weight(value)

    async def _read_snapshots(self) -> None:
        # Not while the console starts: the admin API needs none of them.
        for view in self._views:
            await view.start()

    # --- the clock ---------------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(TICK_S)
            if not self._bus.connected:
                # Nobody is heard, and nobody is to be taken for lost because of it.
                self._board.forgive(self._clock.now())
            self._board.tick(self._clock.now(), self._clock.wall_ms(), self._queued)
            if self._watchers and (now := self.now()) is not None:
                self._tell(_event("now", now))

    async def _ask(self) -> None:
        while True:
            try:
                self._queued = (await self._bus.unconfirmed(subjects.USAGE_STREAM, subjects.USAGE_CONSUMER)).length
            except BusError:
                self._queued = None
            if self._watchers:
                await self.refresh()
            await self._clock.sleep(ASK_S)

    async def refresh(self) -> None:
        """Read the states of credentials again, if those that are known are old."""
        now = self._clock.now()
        if self._refused_at is not None and now - self._refused_at < CREDENTIALS_S:
            return
        self._refused_at = now
        try:
            async with self._database.connection() as connection:
                states = await list_states(connection, refused=True)
        except (StoreError, asyncpg.PostgresError):
            self._refused = None
            return
        ids = {channel.name: channel.id for channel in self.channels.values()}
        self._refused = dict(Counter(ids[state.channel] for state in states if state.channel in ids))

    # --- who watches -------------------------------------------------------------------------------------------

    def now(self) -> LiveNow | None:
        """Return the picture; None in the first second."""
        return self._board.picture(self._clock.now(), self.channels, self.weights, self._refused)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Take a watcher's place for the length of the block.

        Raises:
            RequestError: there is none.
        """
        if self._watchers >= WATCHERS_MAX:
            message = f"{WATCHERS_MAX} people watch already. Try again when one of them is gone."
            raise RequestError(503, ErrorType.GATEWAY_BUSY, message, retry_after_s=BUSY_RETRY_S)
        self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1

    def history(self) -> bytes:
        """Return the event that tells of the seconds before."""
        return _event("history", self._board.history())

    async def next(self) -> bytes | None:
        """Wait for the event of the next second; None when the process is about to end."""
        return None if self._closed else await asyncio.shield(self._next)

    def _tell(self, event: bytes | None) -> None:
        told, self._next = self._next, asyncio.get_running_loop().create_future()
        told.set_result(event)


def _event(name: str, body: LiveNow | LiveHistory) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode(body))
