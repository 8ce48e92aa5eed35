"""Wires an edge together."""

import contextlib
from collections.abc import AsyncIterator

import msgspec

from services.edge.allowances import Allowances, Grace
from services.edge.client_job import ClientJob
from services.edge.config import EdgeSettings
from services.edge.identification import Identification
from services.edge.job_board import JobBoard
from services.edge.key_ring import KeyRing
from services.edge.metrics import EdgeMetrics
from services.edge.models import Models
from services.edge.payments import Payments
from services.edge.request_log import RequestLog
from services.edge.request_path import RequestPath
from services.edge.self_service import SelfService
from services.edge.usage_keeper import UsageKeeper
from trunkline.bus import messages, subjects
from trunkline.bus.fleet import Fleet
from trunkline.bus.messages import Beat, UsageEvent
from trunkline.bus.port import Message
from trunkline.core import limits
from trunkline.core.ids import JobIDMint
from trunkline.core.money import nano_from_usd
from trunkline.policy.addresses import TrustedProxies
from trunkline.runtime import config
from trunkline.runtime.http_request_reader import ServerLimits
from trunkline.runtime.http_server import HTTPServer
from trunkline.runtime.kv_view import KVView
from trunkline.runtime.logging import LineLog
from trunkline.runtime.metrics import ReadGauge
from trunkline.runtime.process import Process
from trunkline.runtime.tracer import Tracer
from trunkline.runtime.tracing import open_tracer
from trunkline.runtime.usage_outbox import UsageOutbox, open_outbox

DRAIN_POLL_S = 0.05
UNCONFIRMED_WAIT_S = 5.0
"""How long a stopping edge waits for dispatchers to tell what jobs used whose clients have left, and for the beats that
confirm the usage it keeps; the dispatchers hold it, too."""


class Edge:
    """A running edge; see `runtime.process.Service`.

    Args:
        process: from the skeleton.
        settings: of the edge.
        outbox: publishes the usage of lost dispatchers.
        tracer: of the process.
    """

    def __init__(self, process: Process, settings: EdgeSettings, outbox: UsageOutbox, tracer: Tracer) -> None:
        self._process = process
        self._keepalive_s = settings.keepalive_s
        clock, tasks, bus = process.clock, process.tasks, process.bus
        self._metrics = EdgeMetrics(process.registry)
        self._fleet = Fleet(process.region)
        self._models = Models()
        self._lines = LineLog(clock)
        self._keys = KeyRing(bus, settings.key_pepper.encode(), clock=clock, tasks=tasks, metrics=self._metrics)
        self._identification = Identification(
            self._keys, settings.failed_keys_per_minute, clock=clock, metrics=self._metrics
        )
        grace = Grace(settings.allowance_grace_s, nano_from_usd(settings.allowance_grace_usd))
        self._allowances = Allowances(
            bus, process.id, process.entropy, grace, clock=clock, tasks=tasks, metrics=self._metrics
        )
        self._payments = Payments(self._allowances, self._models)
        self._outbox = outbox
        self._keeper = UsageKeeper(outbox, metrics=self._metrics)
        self._board = JobBoard(
            bus,
            process.id,
            clock=clock,
            metrics=self._metrics,
            fleet=self._fleet,
            keeper=self._keeper,
            wait_s=min(settings.admission_wait_s, settings.job_deadline_s),
            on_end=self._ended,
            on_priced=self._payments.price,
            on_settled=self._settled,
        )
        self._path = self._new_path(settings, tracer)
        self._server = HTTPServer(
            self._path.begin, self._path.refuse_unreadable, _server_limits(settings), clock=clock, tasks=tasks
        )
        self._register_gauges()

    def _new_path(self, settings: EdgeSettings, tracer: Tracer) -> RequestPath:
        process = self._process
        return RequestPath(
            edge=process.id,
            jobs_max=settings.jobs_max,
            deadline_s=settings.job_deadline_s,
            mint=JobIDMint(process.entropy),
            identification=self._identification,
            models=self._models,
            payments=self._payments,
            board=self._board,
            self_service=SelfService(process.bus, metrics=self._metrics),
            clock=process.clock,
            tasks=process.tasks,
            metrics=self._metrics,
            request_log=RequestLog(self._lines, process.id, process.clock),
            proxies=TrustedProxies(settings.trusted_proxies) if settings.trusted_proxies else None,
            tracer=tracer,
        )

    def _register_gauges(self) -> None:
        """What is read when the metrics are asked for."""
        for name, text, read in (
            ("trunkline_edge_jobs", "Jobs in flight.", lambda: self._path.in_flight),
            ("trunkline_edge_jobs_settling", "Jobs whose use is still to be told.", lambda: self._board.settling),
            ("trunkline_edge_connections", "Client connections.", lambda: len(self._server)),
            (
                "trunkline_edge_failed_key_addresses",
                "Addresses that have lately tried a wrong key.",
                lambda: self._identification.addresses,
            ),
            ("trunkline_edge_usage_unconfirmed", "Usage events kept until stored.", lambda: len(self._keeper)),
            ("trunkline_edge_dispatchers", "Dispatchers heard of.", lambda: len(self._fleet)),
        ):
            self._process.registry.register(ReadGauge(name, text, read))

    def _ended(self, client: ClientJob) -> None:
        self._path.finish(client)

    def _settled(self, client: ClientJob, usage: UsageEvent | None, *, lost: bool) -> None:
        result = "lost" if lost else "nothing" if usage is None else "used"
        self._metrics.settled[result].inc()
        if usage is not None and client.first_byte and usage.attempt % limits.ATTEMPTS_PER_OFFER_MAX == 0:
            self._metrics.added(client.first_byte - client.begun, usage.first_token_ms)
        self._payments.settle(client, usage, lost=lost)

    async def start(self, host: str, port: int) -> None:
        """Read the snapshots, then listen on the bus, and only then on the public port."""
        process = self._process
        models = KVView(process.bus, subjects.KV_MODELS, self._models.changed, clock=process.clock, tasks=process.tasks)
        access = KVView(
            process.bus, subjects.KV_ACCESS, self._models.access_changed, clock=process.clock, tasks=process.tasks
        )
        await models.start()
        await access.start()
        await self._keys.start()
        await self._allowances.start()
        await process.bus.subscribe(subjects.alive_of("dispatcher"), self._on_beat)
        process.bus.on_connection(self._connection_changed)
        await self._board.start()
        process.tasks.spawn(self._tick(), name="edge_tick")
        process.tasks.spawn(self._keep_alive(), name="edge_keep_alive")
        try:
            await self._server.start(host, port, process.tls)
        except OSError as error:
            config.exit_with_faults([f"the public port {port} cannot be bound: {error.strerror}"])

    def _on_beat(self, message: Message) -> None:
        beat = messages.decode_beat(message.data)
        self._fleet.receive(beat, self._process.clock.now())
        self._keeper.confirmed(beat.process, beat.stored)
        self._board.beat_heard(beat)

    def _connection_changed(self, connected: bool) -> None:
        if connected:
            self._fleet.forgive(self._process.clock.now())

    async def _tick(self) -> None:
        clock = self._process.clock
        while True:
            await clock.sleep(limits.BEAT_INTERVAL_S / 2)
            if self._process.bus.connected:
                for dispatcher in self._fleet.take_lost(clock.now()):
                    self._metrics.dispatchers_lost.inc()
                    self._board.dispatcher_lost(dispatcher)
                self._keeper.sweep(self._fleet, clock.now())
            self._board.tick()
            self._allowances.sweep()

    async def _keep_alive(self) -> None:
        while True:
            await self._process.clock.sleep(self._keepalive_s)
            self._board.keep_alive()

    def not_ready(self) -> list[str]:
        """See `runtime.process.Service`."""
        return [] if len(self._fleet) else ["dispatcher"]

    def beat(self, beat: Beat) -> Beat:
        """See `runtime.process.Service`."""
        outcomes = self._metrics.finished()
        finished = outcomes.total()
        del outcomes["ok"]
        return msgspec.structs.replace(
            beat,
            in_flight=self._path.in_flight,
            lanes=self._board.lanes_waiting,
            finished=finished,
            failures=dict(outcomes),
            streams=self._board.streams,
            waiting=self._board.waiting,
        )

    async def drain(self) -> None:
        """See `runtime.process.Service`."""
        clock = self._process.clock
        self._server.drain()
        await clock.sleep(DRAIN_POLL_S)  # the connections that waited to be accepted are coming
        while self._path.in_flight or len(self._server):
            await clock.sleep(DRAIN_POLL_S)
        deadline = clock.now() + UNCONFIRMED_WAIT_S
        while (self._board.settling or len(self._keeper)) and clock.now() < deadline:
            await clock.sleep(DRAIN_POLL_S)
        await self._allowances.close()

    async def stop(self) -> None:
        """End what is left, write the last lines, and leave usage on disk that cannot be stored."""
        self._board.give_up_all()
        self._lines.flush()
        if not self._process.bus.connected:
            self._keeper.hand_over()
        await self._outbox.close()


def _server_limits(settings: EdgeSettings) -> ServerLimits:
    return ServerLimits(
        body_bytes_max=settings.body_bytes_max,
        bodies_bytes_max=settings.bodies_bytes_max,
        request_read_timeout_s=settings.request_read_timeout_s,
        connections_max=settings.connections_max,
    )


@contextlib.asynccontextmanager
async def open_edge(process: Process, settings: EdgeSettings) -> AsyncIterator[Edge]:
    """Start an edge; see `runtime.process.main`."""
    async with open_tracer(process, settings, ratio=settings.trace_ratio, trust=settings.trace_trust) as tracer:
        outbox = await open_outbox(process, settings)
        edge = Edge(process, settings, outbox, tracer)
        await edge.start(settings.host, settings.port)
        try:
            yield edge
        finally:
            await edge.stop()
