"""Usage events on their way to JetStream: small batches, sent until stored. Dispatchers have one, and edges.

Events are numbered; `stored` says up to which number all of them are in JetStream, and travels in a dispatcher's beats,
so that edges know when to let their copies go. While JetStream takes nothing they go to disk (`runtime.spool`), from
where they are sent first when it is back. Until they are in either, they are in a journal, which outlives a process
that is killed (`runtime.usage_journal`).
"""

import asyncio
import dataclasses
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter

from trunkline.bus import subjects, usage_batches
from trunkline.bus.messages import UsageEvent, VoidJob
from trunkline.bus.port import Bus, BusError
from trunkline.core import limits
from trunkline.core.clock import Clock
from trunkline.runtime import config
from trunkline.runtime.metrics import ReadGauge
from trunkline.runtime.process import Process, ProcessSettings
from trunkline.runtime.spool import Spool, SpooledFile, SpoolError, open_spool
from trunkline.runtime.tasks import TaskSet

log = structlog.get_logger()

STORE_TIMEOUT_S = 5.0
RETRY_S = 0.5

SPOOL_AFTER_S = 1.0
"""How long JetStream may take to store a batch before it goes to disk, and all that comes behind it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpoolSettings(ProcessSettings):
    """Settings of the processes that publish usage."""

    spool_dir: str = config.setting(
        "TRUNKLINE_SPOOL_DIR",
        "",
        help="Folder for usage that JetStream cannot take, on a disk that outlives the process; may be shared by all "
        "processes of one machine. Empty: memory only.",
    )
    spool_bytes_max: int = config.setting(
        "TRUNKLINE_SPOOL_BYTES_MAX",
        limits.SPOOL_BYTES_MAX,
        help="Usage of one process on disk, in bytes; past it no new jobs are taken.",
        check=config.at_least(1024 * 1024),
    )


class UsageMetrics:
    """Metrics of an outbox.

    Args:
        registry: of the process.
        role: of the process.
    """

    def __init__(self, registry: CollectorRegistry, role: str) -> None:
        self._registry = registry
        self._role = role
        self.store_failures = Counter(
            f"trunkline_{role}_usage_store_failures",
            "Usage batches that JetStream did not take at the first try; they are kept and sent again.",
            registry=registry,
        )
        self.spooled = Counter(
            f"trunkline_{role}_usage_spooled",
            "Usage events written to disk because JetStream took none.",
            registry=registry,
        )
        self.torn_bytes = Counter(
            f"trunkline_{role}_usage_torn_bytes",
            "Bytes at the ends of dead processes' spool files that could not be read.",
            registry=registry,
        )

    def watch(self, spool: Spool) -> None:
        """Show how much is on disk, and how much may be."""
        name, text = f"trunkline_{self._role}_spool_bytes", "Usage on disk that is not yet in JetStream."
        self._registry.register(ReadGauge(name, text, lambda: spool.size_bytes))
        bound = "How much usage may be on disk; past it no new jobs are taken."
        self._registry.register(ReadGauge(f"{name}_max", bound, lambda: spool.bytes_max))


async def open_outbox(process: Process, settings: SpoolSettings) -> "UsageOutbox":
    """Return the outbox of a process; ends the process if its spool cannot be used."""
    return UsageOutbox(
        process.bus,
        process.role,
        process.id,
        clock=process.clock,
        tasks=process.tasks,
        metrics=UsageMetrics(process.registry, process.role),
        spool=await _open_spool(process, settings),
    )


async def _open_spool(process: Process, settings: SpoolSettings) -> Spool | None:
    if not settings.spool_dir:
        log.warning("usage_spool_off", reason="TRUNKLINE_SPOOL_DIR is empty: usage waits for JetStream in memory only")
        return None
    try:
        return await asyncio.to_thread(
            open_spool, Path(settings.spool_dir), process.id, bytes_max=settings.spool_bytes_max
        )
    except OSError as error:
        config.exit_with_faults([f"TRUNKLINE_SPOOL_DIR: {settings.spool_dir} cannot be used: {error.strerror}"])


class UsageOutbox:
    """Sends usage events.

    Args:
        bus, role, process, clock, tasks: of the process.
        metrics: see there.
        spool: takes what JetStream does not; None: it waits in memory.

    Attributes:
        stored: every event up to this number is in JetStream.
    """

    def __init__(
        self,
        bus: Bus,
        role: str,
        process: str,
        *,
        clock: Clock,
        tasks: TaskSet,
        metrics: UsageMetrics,
        spool: Spool | None,
    ) -> None:
        self._bus = bus
        self._subject = subjects.usage(role, process)
        self._process = process
        self._clock = clock
        self._tasks = tasks
        self._metrics = metrics
        self._spool = spool
        self._journal = None if spool is None else spool.journal
        self._sent_of_oldest = 0
        self._events: list[UsageEvent | VoidJob] = []
        self._added = 0
        self._wake = asyncio.Event()
        self._safe = asyncio.Event()
        self._safe.set()
        self.stored = 0
        if spool is not None:
            metrics.watch(spool)
            if len(spool):
                self._wake.set()
        self._task = tasks.spawn(self._send(), name="usage_outbox")

    def __len__(self) -> int:
        return self._added - self.stored

    @property
    def full(self) -> bool:
        """Whether so much waits that no new work should be begun."""
        return len(self._events) >= limits.USAGE_PENDING_MAX or (self._spool is not None and self._spool.full)

    def add(self, event: UsageEvent | VoidJob) -> int:
        """Queue an event, or what an edge says of a job; returns its number."""
        self._events.append(event)
        self._added += 1
        if self._journal is not None:
            self._journal.write(self._added, usage_batches.encoded((event,)))
        self._safe.clear()
        self._wake.set()
        return self._added

    async def flushed(self) -> None:
        """Return when everything is stored or, while JetStream takes nothing, on disk."""
        await self._safe.wait()

    async def close(self) -> None:
        """Stop sending; what waits in memory goes to disk. To be called when nothing is added any more."""
        await self._tasks.end(self._task)
        if self._spool is not None:
            await self._spill(self._spool)
            self._journal = None
            await asyncio.to_thread(self._spool.close)
        if self._events:
            log.error("usage_left_behind", events=len(self._events))

    # --- sending -----------------------------------------------------------------------------------------------

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            await self._clock.sleep(limits.USAGE_BATCH_INTERVAL_S)
            self._wake.clear()
            while not await self._send_all():
                if self._spool is not None:
                    await self._spill(self._spool)
                await self._clock.sleep(RETRY_S)

    async def _send_all(self) -> bool:
        """Send what is on disk, then what is in memory; returns whether JetStream has taken it all."""
        if self._spool is not None:
            while len(self._spool):
                if not await self._send_oldest(self._spool):
                    return False
        while self._events:
            batch = self._events[: limits.USAGE_BATCH_MAX]
            if not await self._store(usage_batches.encoded(batch), self._number(len(batch))):
                return False
            self._take(len(batch))
        return True

    async def _send_oldest(self, spool: Spool) -> bool:
        file = await self._read_oldest(spool)
        for index, payload in enumerate(file.payloads[self._sent_of_oldest :], self._sent_of_oldest):
            events = usage_batches.count(payload) if file.own else 0
            message_id = self._number(events) if file.own else f"{file.name}-{index}"
            if not await self._store(payload, message_id):
                return False
            self._sent_of_oldest += 1
            self.stored += events
        await spool.drop_oldest()
        self._sent_of_oldest = 0
        return True

    async def _read_oldest(self, spool: Spool) -> SpooledFile:
        """Return the oldest file. An error ends the process: its successor reads what is left, edges have copies."""
        file = await spool.oldest()
        if file.torn_bytes and not self._sent_of_oldest:
            log.error("usage_torn", file=file.name, bytes=file.torn_bytes)
            self._metrics.torn_bytes.inc(file.torn_bytes)
        return file

    def _number(self, events: int) -> str:
        """Return the message id of the next so many events. The same each time: JetStream drops what it has already."""
        return f"{self._process}-{self.stored}-{events}"

    async def _store(self, payload: bytes, message_id: str) -> bool:
        # While it is on disk already there is time; what is not shall be there soon.
        timeout_s = STORE_TIMEOUT_S if self._spool is None or len(self._spool) else SPOOL_AFTER_S
        try:
            await self._bus.store(self._subject, payload, message_id=message_id, timeout_s=timeout_s)
        except BusError as error:
            self._metrics.store_failures.inc()
            log.warning("usage_not_stored", waiting=len(self), error=str(error))
            return False
        return True

    def _take(self, count: int) -> None:
        """The first events are in JetStream."""
        self.stored += count
        self._let_go(count)

    def _let_go(self, count: int) -> None:
        """The first events need not be in memory any more."""
        del self._events[:count]
        if self._journal is not None:
            self._journal.safe(self._added - len(self._events))
        if not self._events:
            self._safe.set()

    async def _spill(self, spool: Spool) -> None:
        """Move what is in memory to disk, as far as there is room; what stays is tried again."""
        if not self._events or spool.full:
            return
        events = tuple(self._events)
        try:
            await spool.append(list(usage_batches.payloads(events)))
        except SpoolError as error:
            log.exception("usage_not_spooled", waiting=len(self), error=str(error))
            return
        self._metrics.spooled.inc(len(events))
        self._let_go(len(events))
