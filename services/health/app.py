"""Wires health: bus to judge, judge to publisher, clock to all. No decision is made here."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import msgspec
import structlog

from services.health import metrics
from services.health.access_publisher import AccessPublisher
from services.health.config import HealthSettings
from services.health.credential_reports import CredentialReports, read_last_events
from services.health.history import History
from services.health.judge import Judge
from services.health.peers import Peers
from services.health.prober import Prober, ProbeReport
from services.health.publisher import WeightPublisher, read_published
from trunkline.bus import messages, snapshots, subjects
from trunkline.bus.messages import Beat, CredentialEvent
from trunkline.bus.port import BusError, Message, Unsubscribe
from trunkline.bus.snapshots import ChannelSnapshot, ChannelWeight
from trunkline.policy.probing import PAID_KINDS, REACHABLE, SAYS_NOTHING, ProbeResult
from trunkline.policy.vault import Vault, parse_masters
from trunkline.protocol import registry
from trunkline.runtime.http_client import HTTPClientPool
from trunkline.runtime.kv_view import KVView
from trunkline.runtime.process import Process
from trunkline.runtime.upstream_guard import UpstreamGuard

log = structlog.get_logger()

TICK_S = 0.25
"""How often breakers, the probes' schedule and the publisher look at the clock."""

READ_RETRY_S = 0.5


class Found(NamedTuple):
    """What stands on the bus when a process starts.

    Attributes:
        weights: by channel.
        credentials: the last event of each that has one.
    """

    weights: dict[int, ChannelWeight]
    credentials: list[CredentialEvent]


class HealthService:
    """One running health process (`runtime.process.Service`).

    Args:
        process: what the skeleton gives.
        settings: see there.
        found: see there.
    """

    def __init__(
        self,
        process: Process,
        settings: HealthSettings,
        found: Found,
    ) -> None:
        self._process = process
        self._clock = process.clock
        self._peers = Peers(process.id)
        self._judge = Judge(found.weights, self._verdict_changed)
        self._publisher = WeightPublisher(process.bus, self._judge, self._peers, process.clock)
        self._access = AccessPublisher(process.bus, self._judge, self._peers, process.clock)
        self._credentials = CredentialReports(process.bus, self._peers, process.clock, found.credentials)
        self._history = History(process.bus, self._judge, self._peers, process.clock)
        vault = Vault(parse_masters(settings.master_keys))
        self._masters = vault.versions
        guard = UpstreamGuard(settings.upstream_allow, clock=process.clock)
        self._pool = HTTPClientPool(clock=process.clock, tasks=process.tasks, guard=guard)
        self._prober = Prober(
            self._pool,
            vault,
            clock=process.clock,
            tasks=process.tasks,
            interval_s=settings.probe_interval_s,
            timeout_s=settings.probe_timeout_s,
            draw=random.Random(process.entropy).random,  # noqa: S311 - jitter, nothing secret
            doubts=self._judge,
            pays=lambda: self._peers.leads(process.clock.now()),
            on_report=self._probed,
        )
        self._view = KVView(
            process.bus, subjects.KV_CHANNELS, self._channel_changed, clock=process.clock, tasks=process.tasks
        )
        self._probes = metrics.probe_counter(process.registry)
        metrics.register_channels(process.registry, self._judge, self._credentials)
        metrics.register_publishing(process.registry, self._publisher, self._access, self._history)
        metrics.register_input(process.registry, self._judge, self._prober)
        self._subscriptions: list[Unsubscribe] = []
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Subscribe, load the channels and begin."""
        bus, tasks = self._process.bus, self._process.tasks
        self._subscriptions.append(await bus.subscribe(subjects.OUTCOME, self._outcomes))
        self._subscriptions.append(await bus.subscribe(subjects.alive_of(self._process.role), self._peer_beat))
        await self._view.start()
        self._credentials.loaded()
        self._loops.append(tasks.spawn(self._publisher.run(), name="weights"))
        self._loops.append(tasks.spawn(self._access.run(), name="access"))
        self._loops.append(tasks.spawn(self._credentials.run(), name="credentials"))
        self._loops.append(tasks.spawn(self._history.run(), name="history"))
        self._loops.append(tasks.spawn(self._tick(), name="health_tick"))

    async def stop(self) -> None:
        """End everything that `start` began."""
        await self._process.tasks.end(*self._loops)
        self._prober.stop()
        self._pool.close()
        await self._view.stop()
        for unsubscribe in self._subscriptions:
            await unsubscribe()

    def not_ready(self) -> list[str]:
        """See `runtime.process.Service`. The channels were loaded before the service began."""
        return []

    def beat(self, beat: Beat) -> Beat:
        """See `runtime.process.Service`."""
        return msgspec.structs.replace(beat, masters=self._masters)

    async def drain(self) -> None:
        """See `runtime.process.Service`: the next one takes over as soon as it hears that this one drains."""
        self._peers.resign()

    async def _tick(self) -> None:
        while True:
            self._judge.tick(self._clock.now())
            self._prober.start_due(self._judge.channels())
            self._publisher.tick()
            self._access.tick()
            await self._clock.sleep(TICK_S)

    def _verdict_changed(self, channel: int) -> None:
        self._publisher.changed(channel)

    def _channel_changed(self, token: str, value: bytes | None) -> None:
        channel = None if value is None else snapshots.decode_channel(value)
        if channel is None:
            self._credentials.remove(int(token))
        else:
            self._credentials.put(channel)
        # One of a dialect that only a newer version knows is left alone, as dispatchers do.
        if channel is None or channel.dialect not in registry.UPSTREAMS:
            self._judge.remove(int(token))
        else:
            self._judge.put(channel, self._clock.now())

    def _outcomes(self, message: Message) -> None:
        batch = messages.decode_outcome_batch(message.data)
        self._judge.receive_outcomes(batch, self._clock.now())
        self._credentials.receive_outcomes(batch)

    def _peer_beat(self, message: Message) -> None:
        self._peers.receive_beat(messages.decode_beat(message.data), self._clock.now())

    def _probed(self, channel: ChannelSnapshot, report: ProbeReport) -> None:
        now, result = self._clock.now(), report.result
        self._probes.labels(result.value).inc()
        if result not in SAYS_NOTHING:
            self._judge.receive_probe(channel.id, passed=result in REACHABLE, now=now)
        if report.kind in PAID_KINDS and result in {ProbeResult.PASSED, ProbeResult.DENIED}:
            self._judge.receive_model(channel.id, report.model, allowed=result is ProbeResult.PASSED, now=now)


async def _find(process: Process) -> Found:
    while True:
        try:
            return Found(await read_published(process.bus), await read_last_events(process.bus))
        except BusError as error:
            log.warning("start_waits_for_bus", error=str(error))
            await process.clock.sleep(READ_RETRY_S)


@asynccontextmanager
async def open_service(process: Process, settings: HealthSettings) -> AsyncIterator[HealthService]:
    """Run health for the length of the block."""
    found = await _find(process)
    service = HealthService(process, settings, found)
    try:
        await service.start()
        yield service
    finally:
        await service.stop()
