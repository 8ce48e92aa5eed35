"""Wires a dispatcher together."""

import contextlib
from collections.abc import AsyncIterator

import msgspec

from services.dispatcher.catalog import Catalog
from services.dispatcher.config import DispatcherSettings
from services.dispatcher.intake import Intake
from services.dispatcher.job_entry import JobEntry
from services.dispatcher.job_runner import JobRunner
from services.dispatcher.metrics import DispatcherMetrics
from services.dispatcher.outcome_outbox import OutcomeOutbox
from services.dispatcher.settlement import Settlement
from services.dispatcher.usage_outbox import UsageOutbox
from trunkline.bus import subjects
from trunkline.bus.fleet import Fleet
from trunkline.bus.job_table import JobTable
from trunkline.bus.messages import Beat
from trunkline.policy.vault import Vault, parse_masters
from trunkline.protocol.tokens import tokenizer
from trunkline.runtime.http_client import HTTPClientPool
from trunkline.runtime.kv_view import KVView
from trunkline.runtime.metrics import ReadGauge
from trunkline.runtime.process import Process

TICK_S = 0.25
"""Resolution of an attempt's timeouts, which are seconds long, and what ACCEPTED may wait for a fast answer."""

DRAIN_POLL_S = 0.05


class Dispatcher:
    """A running dispatcher; see `runtime.process.Service`.

    Args:
        process: from the skeleton.
        settings: of the dispatcher.
    """

    def __init__(self, process: Process, settings: DispatcherSettings) -> None:
        self._process = process
        self._lanes = settings.lanes
        clock, tasks, bus = process.clock, process.tasks, process.bus
        metrics = DispatcherMetrics(process.registry)
        vault = Vault(parse_masters(settings.master_keys))
        self._edges = Fleet()
        self._table: JobTable[JobEntry] = JobTable(jobs_max=settings.jobs_max, body_bytes_max=settings.bodies_bytes_max)
        self._catalog = Catalog(vault, process.entropy, clock=clock, metrics=metrics)
        self._usage = UsageOutbox(bus, process.id, clock=clock, tasks=tasks, metrics=metrics)
        self._pool = HTTPClientPool(clock=clock, tasks=tasks)
        settlement = Settlement(
            self._usage, OutcomeOutbox(bus, process.id, clock=clock, tasks=tasks), clock=clock, metrics=metrics
        )
        self._runner = JobRunner(self._catalog, self._pool, settlement, clock=clock)
        self._intake = Intake(
            bus,
            process.id,
            table=self._table,
            runner=self._runner,
            usage=self._usage,
            edges=self._edges,
            clock=clock,
            tasks=tasks,
            metrics=metrics,
        )
        for name, text, read in (
            ("trunkline_dispatcher_jobs", "Jobs in flight.", lambda: len(self._table)),
            ("trunkline_dispatcher_usage_pending", "Usage events not yet in JetStream.", lambda: len(self._usage)),
            ("trunkline_dispatcher_connections", "Connections to upstreams.", lambda: self._pool.connections),
            ("trunkline_dispatcher_channels", "Channels known.", lambda: len(self._catalog)),
        ):
            process.registry.register(ReadGauge(name, text, read))

    async def start(self) -> None:
        """Read the snapshots, then listen for jobs."""
        process = self._process
        tokenizer()  # now, so that the first answer to be counted does not hold up all the others
        for bucket, changed in (
            (subjects.KV_CHANNELS, self._catalog.channel_changed),
            (subjects.KV_WEIGHTS, self._catalog.weight_changed),
        ):
            await KVView(process.bus, bucket, changed, clock=process.clock, tasks=process.tasks).start()
        process.bus.on_connection(self._connection_changed)
        await self._intake.start(self._lanes)
        process.tasks.spawn(self._tick(), name="dispatcher_tick")

    def _connection_changed(self, connected: bool) -> None:
        if connected:
            self._edges.forgive(self._process.clock.now())

    async def _tick(self) -> None:
        while True:
            await self._process.clock.sleep(TICK_S)
            self._intake.announce()
            self._runner.tick()
            self._catalog.tick()
            if self._process.bus.connected:
                self._intake.tick()

    def not_ready(self) -> list[str]:
        """See `runtime.process.Service`."""
        return ["room for usage events"] if self._usage.full else []

    def beat(self, beat: Beat) -> Beat:
        """See `runtime.process.Service`."""
        return msgspec.structs.replace(
            beat, in_flight=len(self._table), room=self._table.room, stored=self._usage.stored, lanes=self._lanes
        )

    async def drain(self) -> None:
        """See `runtime.process.Service`."""
        self._table.draining = True
        while len(self._table):
            await self._process.clock.sleep(DRAIN_POLL_S)
        await self._usage.flushed()

    def stop(self) -> None:
        """Close the calls that the grace time did not suffice for."""
        for entry in self._table.entries():
            entry.cancel()
        self._pool.close()


@contextlib.asynccontextmanager
async def open_dispatcher(process: Process, settings: DispatcherSettings) -> AsyncIterator[Dispatcher]:
    """Start a dispatcher; see `runtime.process.main`."""
    dispatcher = Dispatcher(process, settings)
    await dispatcher.start()
    try:
        yield dispatcher
    finally:
        dispatcher.stop()
