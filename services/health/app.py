"""Wires health: bus to judge, judge to publisher, clock to all. No decision is made here."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import structlog

from services.health import metrics
from services.health.config import HealthSettings
from services.health.judge import Judge
from services.health.peers import Peers
from services.health.prober import PROBES_AT_ONCE_MAX, REACHABLE, Prober, ProbeResult
from services.health.publisher import History, WeightPublisher, read_published
from trunkline.bus import messages, snapshots, subjects
from trunkline.bus.messages import Beat
from trunkline.bus.port import BusError, Message, Unsubscribe
from trunkline.bus.snapshots import ChannelSnapshot, ChannelState
from trunkline.policy.vault import Vault, parse_masters
from trunkline.protocol import registry
from trunkline.runtime.kv_view import KVView
from trunkline.runtime.process import Process

log = structlog.get_logger()

TICK_S = 0.25
"""How often breakers, the probes' schedule and the publisher look at the clock."""

READ_RETRY_S = 0.5


class HealthService:
    """One running health process (`runtime.process.Service`).

    Args:
        process: what the skeleton gives.
        settings: see there.
        session: for probes.
        published: states in the bucket at the start.
    """

    def __init__(
        self,
        process: Process,
        settings: HealthSettings,
        session: aiohttp.ClientSession,
        published: dict[int, ChannelState],
    ) -> None:
        self._process = process
        self._clock = process.clock
        self._peers = Peers(process.id)
        self._judge = Judge(published, self._verdict_changed)
        self._publisher = WeightPublisher(process.bus, self._judge, self._peers, process.clock)
        self._history = History(process.bus, self._judge, self._peers, process.clock)
        self._prober = Prober(
            session,
            Vault(parse_masters(settings.master_keys)),
            clock=process.clock,
            tasks=process.tasks,
            interval_s=settings.probe_interval_s,
            timeout_s=settings.probe_timeout_s,
            draw=random.Random(process.entropy).random,  # noqa: S311 - jitter, nothing secret
            on_result=self._probed,
        )
        self._view = KVView(
            process.bus, subjects.KV_CHANNELS, self._channel_changed, clock=process.clock, tasks=process.tasks
        )
        self._probes = metrics.probe_counter(process.registry)
        metrics.register(process.registry, self._judge, self._publisher, self._history)
        self._subscriptions: list[Unsubscribe] = []
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Subscribe, load the channels and begin."""
        bus, tasks = self._process.bus, self._process.tasks
        self._subscriptions.append(await bus.subscribe(subjects.OUTCOME, self._outcomes))
        self._subscriptions.append(await bus.subscribe(subjects.alive_of(self._process.role), self._peer_beat))
        await self._view.start()
        self._loops.append(tasks.spawn(self._publisher.run(), name="weights"))
        self._loops.append(tasks.spawn(self._history.run(), name="history"))
        self._loops.append(tasks.spawn(self._tick(), name="health_tick"))

    async def stop(self) -> None:
        """End everything that `start` began."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        self._prober.stop()
        await self._view.stop()
        for unsubscribe in self._subscriptions:
            await unsubscribe()

    def not_ready(self) -> list[str]:
        """See `runtime.process.Service`. The channels were loaded before the service began."""
        return []

    def beat(self, beat: Beat) -> Beat:
        """See `runtime.process.Service`."""
        return beat

    async def drain(self) -> None:
        """See `runtime.process.Service`: the next one takes over as soon as it hears that this one drains."""
        self._peers.resign()

    async def _tick(self) -> None:
        while True:
            self._judge.tick(self._clock.now())
            self._prober.start_due(self._judge.channels(), self._judge.suspect)
            self._publisher.tick()
            await self._clock.sleep(TICK_S)

    def _verdict_changed(self, channel: int) -> None:
        self._publisher.changed(channel)

    def _channel_changed(self, token: str, value: bytes | None) -> None:
        channel = None if value is None else snapshots.decode_channel(value)
        # One of a dialect that only a newer version knows is left alone, as dispatchers do.
        if channel is None or channel.dialect not in registry.UPSTREAMS:
            self._judge.remove(int(token))
        else:
            self._judge.put(channel, self._clock.now())

    def _outcomes(self, message: Message) -> None:
        self._judge.receive_outcomes(messages.decode_outcome_batch(message.data), self._clock.now())

    def _peer_beat(self, message: Message) -> None:
        self._peers.receive_beat(messages.decode_beat(message.data), self._clock.now())

    def _probed(self, channel: ChannelSnapshot, result: ProbeResult) -> None:
        self._probes.labels(result.value).inc()
        if result is not ProbeResult.UNUSABLE:
            self._judge.receive_probe(channel.id, passed=result in REACHABLE, now=self._clock.now())


async def _published_states(process: Process) -> dict[int, ChannelState]:
    while True:
        try:
            published = await read_published(process.bus)
        except BusError as error:
            log.warning("weights_unreadable", error=str(error))
            await process.clock.sleep(READ_RETRY_S)
        else:
            return {channel: weight.state for channel, weight in published.items()}


@asynccontextmanager
async def open_service(process: Process, settings: HealthSettings) -> AsyncIterator[HealthService]:
    """Run health for the length of the block."""
    published = await _published_states(process)
    connector = aiohttp.TCPConnector(limit=PROBES_AT_ONCE_MAX)
    async with aiohttp.ClientSession(
        connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        service = HealthService(process, settings, session, published)
        try:
            await service.start()
            yield service
        finally:
            await service.stop()
