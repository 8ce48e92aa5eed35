"""Wires a dispatcher together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec

from services.dispatcher.attempt_trace import AttemptTraces
from services.dispatcher.catalog import USER_AGENT, Catalog
from services.dispatcher.checkpoints import Checkpoints
from services.dispatcher.config import DispatcherSettings
from services.dispatcher.fetching import MediaFetcher
from services.dispatcher.intake import Intake
from services.dispatcher.job_entry import JobEntry
from services.dispatcher.job_runner import JobRunner
from services.dispatcher.metrics import DispatcherMetrics
from services.dispatcher.outcome_outbox import OutcomeOutbox
from services.dispatcher.settlement import Settlement
from trunkline.bus import messages, subjects
from trunkline.bus.fleet import Fleet
from trunkline.bus.job_table import JobTable
from trunkline.bus.messages import Beat
from trunkline.bus.port import Message
from trunkline.core.errors import ErrorType, Fault
from trunkline.policy.fetching import FetchRules, parse_networks
from trunkline.policy.vault import Vault, parse_masters
from trunkline.protocol.tokens import tokenizer
from trunkline.runtime.http_client import HTTPClientPool
from trunkline.runtime.http_fetch import HTTPFetcher, SystemResolver
from trunkline.runtime.kv_view import KVView
from trunkline.runtime.metrics import ReadGauge
from trunkline.runtime.process import Process
from trunkline.runtime.tracer import Tracer
from trunkline.runtime.tracing import open_tracer
from trunkline.runtime.upstream_guard import UpstreamGuard
from trunkline.runtime.usage_outbox import UsageOutbox, open_outbox

TICK_S = 0.25
"""Resolution of an attempt's timeouts, which are seconds long, and what ACCEPTED may wait for a fast answer."""

DRAIN_POLL_S = 0.05

STOP_WAIT_S = 1.0
"""For the calls of a stopping dispatcher to be closed and booked, and again for that to be stored."""

_STOPPING = Fault(ErrorType.GATEWAY_SHUTTING_DOWN, "The worker of this request is restarting. Please retry.")


class Dispatcher:
    """A running dispatcher; see `runtime.process.Service`.

    Args:
        process: from the skeleton.
        settings: of the dispatcher.
        usage: publishes what was used.
        tracer: of the process.
    """

    def __init__(self, process: Process, settings: DispatcherSettings, usage: UsageOutbox, tracer: Tracer) -> None:
        self._process = process
        self._lanes = settings.lanes
        clock, tasks, bus = process.clock, process.tasks, process.bus
        metrics = DispatcherMetrics(process.registry)
        vault = Vault(parse_masters(settings.master_keys))
        self._masters = vault.versions
        self._edges = Fleet(process.region)
        self._dispatchers = Fleet()
        self._table: JobTable[JobEntry] = JobTable(jobs_max=settings.jobs_max, body_bytes_max=settings.bodies_bytes_max)
        self._catalog = Catalog(vault, process.entropy, clock=clock, metrics=metrics)
        self._usage = usage
        guard = UpstreamGuard(settings.upstream_allow, clock=clock)
        self._pool = HTTPClientPool(clock=clock, tasks=tasks, guard=guard)
        settlement = Settlement(
            self._usage, OutcomeOutbox(bus, process.id, clock=clock, tasks=tasks), clock=clock, metrics=metrics
        )
        self._resolver = SystemResolver()
        rules = FetchRules(parse_networks(settings.fetch_allow), frozenset(map(int, settings.fetch_ports)))
        fetcher = HTTPFetcher(self._pool, rules, self._resolver, agent=USER_AGENT)
        media = MediaFetcher(fetcher, metrics=metrics)
        traces = AttemptTraces(tracer, upstream=settings.trace_upstream)
        self._runner = JobRunner(self._catalog, self._pool, media, settlement, clock=clock, traces=traces)
        self._checkpoints = Checkpoints(bus, process.id, self._runner.attempts, settlement, clock=clock, tasks=tasks)
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
            ("trunkline_dispatcher_edges", "Edges heard of.", lambda: len(self._edges)),
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
        await process.bus.subscribe(subjects.alive_of("dispatcher"), self._on_beat)
        await self._intake.start(self._lanes)
        process.tasks.spawn(self._tick(), name="dispatcher_tick")

    def _connection_changed(self, connected: bool) -> None:
        if connected:
            self._edges.forgive(self._process.clock.now())
            self._dispatchers.forgive(self._process.clock.now())

    def _on_beat(self, message: Message) -> None:
        self._dispatchers.receive(messages.decode_beat(message.data), self._process.clock.now())
        self._share_credentials()

    def _share_credentials(self) -> None:
        """Limits of credentials are shared among as many dispatchers as there are."""
        self._dispatchers.take_lost(self._process.clock.now())
        self._catalog.credentials.dispatchers = max(len(self._dispatchers), 1)

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
            beat,
            in_flight=len(self._table),
            room=self._table.room,
            stored=self._usage.stored,
            lanes=self._lanes,
            unstored=len(self._usage),
            masters=self._masters,
        )

    async def drain(self) -> None:
        """See `runtime.process.Service`."""
        self._table.draining = True
        while len(self._table):
            await self._process.clock.sleep(DRAIN_POLL_S)
        await self._usage.flushed()

    async def stop(self) -> None:
        """Close the calls that the grace time did not suffice for; what they used is stored then, or on disk."""
        clock = self._process.clock
        for entry in self._table.entries():
            entry.give_back(_STOPPING)
        deadline = clock.now() + STOP_WAIT_S
        while len(self._table) and clock.now() < deadline:
            await clock.sleep(DRAIN_POLL_S)
        self._pool.close()
        self._resolver.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_WAIT_S):
                await self._usage.flushed()
        if not len(self._table):
            await self._checkpoints.close()
        await self._usage.close()


@contextlib.asynccontextmanager
async def open_dispatcher(process: Process, settings: DispatcherSettings) -> AsyncIterator[Dispatcher]:
    """Start a dispatcher; see `runtime.process.main`."""
    async with open_tracer(process, settings) as tracer:
        usage = await open_outbox(process, settings)
        dispatcher = Dispatcher(process, settings, usage, tracer)
        await dispatcher.start()
        try:
            yield dispatcher
        finally:
            await dispatcher.stop()
