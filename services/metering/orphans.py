"""Settles what dispatchers had under way when they died, by their last checkpoints. Called by `upkeep`.

What is known exactly goes before: usage that the dispatcher had published, and that its edges publish when they have
lost it. So the dispatcher must have been silent for `limits.ORPHANS_AFTER_S`, and the stream USAGE been settled up to
where it was then; the ledger's unique keys leave out of the checkpoint whatever has been booked. What comes later
still, because the dispatcher lives or has left a spool behind, corrects what was booked (`store.exact_usage`).
"""

import msgspec
import structlog

from services.metering.metrics import MeteringMetrics
from services.metering.settler import Settler
from trunkline.bus import messages, subjects
from trunkline.bus.messages import UsageEvent
from trunkline.bus.port import BusError, Message
from trunkline.core import limits
from trunkline.core.clock import Clock
from trunkline.runtime.nats_bus import NATSBus

log = structlog.get_logger()

EVENTS_MAX = 1000
"""Events of a checkpoint that are settled in one transaction: a tenth of a second."""


class Orphans:
    """Knows which dispatchers live, and settles the checkpoints of those that do not.

    Args:
        bus: beats and checkpoints come from there.
        settler: books what they say.
        clock, metrics: of the process.
    """

    def __init__(self, bus: NATSBus, settler: Settler, *, clock: Clock, metrics: MeteringMetrics) -> None:
        self._bus = bus
        self._settler = settler
        self._clock = clock
        self._metrics = metrics
        self._heard: dict[str, float] = {}
        self._read_up_to: dict[str, int] = {}

    async def start(self) -> None:
        """Listen for beats of dispatchers."""
        await self._bus.subscribe(subjects.alive_of("dispatcher"), self._on_beat)
        self._bus.on_connection(self._connection_changed)

    def _on_beat(self, message: Message) -> None:
        process = messages.decode_beat(message.data).process
        self._heard[process] = self._clock.now()
        self._read_up_to.pop(process, None)

    def _connection_changed(self, connected: bool) -> None:
        if connected:
            # Nobody was heard meanwhile: all get their time again.
            self._heard = dict.fromkeys(self._heard, self._clock.now())

    async def sweep(self) -> None:
        """Settle what can be settled. To be called about once a second while Postgres is there.

        Raises:
            StoreError, asyncpg.PostgresError: Postgres cannot do it now; it will be tried again.
        """
        try:
            await self._sweep()
        except BusError as error:
            log.warning("checkpoints_unreadable", error=str(error))

    async def _sweep(self) -> None:
        now = self._clock.now()
        parts: dict[str, list[str]] = {}
        for subject in await self._bus.subjects_of(subjects.CHECKPOINT_STREAM, subjects.CHECKPOINT_SUBJECTS):
            parts.setdefault(subjects.checkpointed(subject), []).append(subject)
        for dispatcher in parts:
            # One that died before this process began is silent from now on.
            self._heard.setdefault(dispatcher, now)
        for dispatcher, heard in list(self._heard.items()):
            if now - heard < limits.ORPHANS_AFTER_S:
                continue
            if dispatcher not in parts or await self._is_read(dispatcher):
                await self._settle(dispatcher, parts.get(dispatcher, []))

    async def _is_read(self, dispatcher: str) -> bool:
        """Whether all usage that was in the stream when the dispatcher had been silent for long enough is settled."""
        span = await self._bus.unconfirmed(subjects.USAGE_STREAM, subjects.USAGE_CONSUMER)
        return span.first > self._read_up_to.setdefault(dispatcher, span.last)

    async def _settle(self, dispatcher: str, parts: list[str]) -> None:
        events: list[UsageEvent] = []
        for subject in parts:
            payload = await self._bus.last_message(subjects.CHECKPOINT_STREAM, subject)
            try:
                events += messages.decode_checkpoint(payload).events if payload else ()
            except msgspec.MsgspecError:
                await self._settler.set_message_aside(subject, payload or b"", "not a checkpoint")
        for start in range(0, len(events), EVENTS_MAX):
            settled = await self._settler.settle(events[start : start + EVENTS_MAX], checkpoints=True)
            self._metrics.orphans.inc(settled)
            log.warning("orphans_settled", dispatcher=dispatcher, settled=settled)
        for subject in parts:
            await self._bus.purge(subjects.CHECKPOINT_STREAM, subject)
        self._heard.pop(dispatcher, None)
        self._read_up_to.pop(dispatcher, None)
