"""The skeleton of every service: settings, logs, ops port, NATS, beats, signals, drain, exit.

A service's ``__main__`` calls `main` with its settings and an ``open_service`` function; what is left for the
service is its own work. Start-up order: all settings errors at once (exit 64), then the ops port, then NATS, then
the service. On SIGTERM: not ready, drain within the grace time, close, flush, exit 0.
"""

import asyncio
import contextlib
import dataclasses
import gc
import importlib.metadata
import os
import re
import secrets
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

import structlog
import uvloop
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from trunkline.bus import frames, messages, subjects
from trunkline.bus.messages import Beat
from trunkline.bus.permissions import watched_stream
from trunkline.bus.port import BusError
from trunkline.core import limits
from trunkline.core.clock import Clock
from trunkline.core.ids import process_id
from trunkline.runtime import config, dumps, logging, nats_bus
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.cluster_watch import ClusterWatch
from trunkline.runtime.metrics import ReadCounter, ReadGauge
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.nats_servers import parse_servers
from trunkline.runtime.ops import OpsServer
from trunkline.runtime.role_streams import RoleStreams
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.tls import TLSContext, TLSWatch, pair_faults, server_tls
from trunkline.runtime.tls_settings import NATSTLSSettings

log = structlog.get_logger()

NATS_RETRY_S = 0.5

OPS_CERTIFICATE = "TRUNKLINE_OPS_CERTIFICATE_PATH"
OPS_KEY = "TRUNKLINE_OPS_KEY_PATH"

RELEASE = importlib.metadata.version("trunkline")
"""As beats tell it: which versions stand side by side."""

_REGION = re.compile("[A-Za-z0-9_-]{1,32}")

GC_ALLOCATIONS = 50_000
"""New containers between two passes of the cycle collector. Requests leave hardly any cycles, so Python's 700 would
only cost time (2 to 3 % of a busy process)."""


def _check_nats_url(urls: str) -> str | None:
    try:
        parse_servers(urls)
    except ValueError:
        return "must be nats://USER:PASSWORD@HOST:PORT, or several of them separated by commas"
    return None


def _check_region(region: str) -> str | None:
    return None if not region or _REGION.fullmatch(region) else "must be letters, digits, - and _, 32 at the most"


@dataclasses.dataclass(frozen=True)
class ProcessSettings(NATSTLSSettings):
    """Settings that every service has."""

    nats_url: str = config.setting(
        "NATS_URL",
        "nats://127.0.0.1:4222",
        help="Where NATS is, with the role's user and password; several servers are separated by commas.",
        secret=True,
        check=_check_nats_url,
    )
    nats_replicas: int = config.setting(
        "TRUNKLINE_NATS_REPLICAS",
        1,
        help="Nodes of NATS that hold each stream and bucket which this process makes; those that are there already "
        "stay as they are.",
        check=config.at_least(1),
    )
    region: str = config.setting(
        "TRUNKLINE_REGION",
        "",
        help="Region in which the process runs, the same for all that share a NATS cluster; empty where there is only "
        "one.",
        check=_check_region,
    )
    ops_host: str = config.setting("TRUNKLINE_OPS_HOST", "0.0.0.0", help="Address of the ops port.")  # noqa: S104 - a scraper comes from elsewhere; the ops port is not public
    ops_port: int = config.setting("TRUNKLINE_OPS_PORT", 0, help="Ops port; 0 takes the service's usual one.")
    ops_certificate_path: str = config.setting(
        OPS_CERTIFICATE, "", help="Certificate (PEM) of the ops port, with its chain; empty: plain HTTP."
    )
    ops_key_path: str = config.setting(OPS_KEY, "", help="Its key (PEM, without a password).")
    log_level: str = config.setting(
        "TRUNKLINE_LOG_LEVEL",
        "info",
        help="debug, info, warning or error.",
        check=lambda level: (
            None if level in {"debug", "info", "warning", "error"} else "must be debug, info, warning or error"
        ),
    )
    grace_s: float = config.setting(
        "TRUNKLINE_GRACE_S",
        30.0,
        help="Seconds that a stopping process gives its jobs to finish.",
        check=config.at_least(0),
    )

    def faults(self) -> list[str]:
        """See `config.load`."""
        return [
            *super().faults(),
            *pair_faults(OPS_CERTIFICATE, self.ops_certificate_path, OPS_KEY, self.ops_key_path),
        ]

    def ops_tls(self) -> TLSContext | None:
        """Return what the ops port presents; None: plain HTTP."""
        return server_tls("ops", self.ops_certificate_path, self.ops_key_path)

    def public_tls(self) -> TLSContext | None:
        """Return what the service's public port presents; None: plain HTTP, or no such port."""
        return None


class Service(Protocol):
    """What the skeleton needs of a running service."""

    def not_ready(self) -> list[str]:
        """Return what it waits for; empty means that it can work."""

    def beat(self, beat: Beat) -> Beat:
        """Return the beat with this service's own figures filled in."""

    async def drain(self) -> None:
        """Take no new work; return when what is held has ended. The skeleton bounds the time."""


@dataclasses.dataclass(frozen=True)
class Process:
    """What the skeleton gives to a service.

    Attributes:
        tls: of `ProcessSettings.public_tls`.
    """

    role: str
    id: str
    entropy: int
    clock: Clock
    tasks: TaskSet
    bus: NATSBus
    registry: CollectorRegistry
    region: str = ""
    tls: TLSContext | None = None


P = TypeVar("P", bound=ProcessSettings)
OpenService = Callable[[Process, P], AbstractAsyncContextManager[Service]]


def main(role: str, settings_type: type[P], open_service: OpenService[P], *, ops_port: int) -> None:
    """Run a service until it is told to stop; does not return.

    Args:
        role: its name on the bus.
        settings_type: its settings.
        open_service: an async context manager around the running service.
        ops_port: the usual port, used when the setting is 0.
    """
    dumps.forbid()
    settings = config.load_or_exit(settings_type)
    uvloop.install()
    sys.exit(asyncio.run(_Skeleton(role, settings, open_service, ops_port).run()))


class _Skeleton:
    def __init__(self, role: str, settings: P, open_service: OpenService[P], ops_port: int) -> None:
        self._role = role
        self._settings = settings
        self._open_service = open_service
        self._ops_port = settings.ops_port or ops_port
        self._entropy = secrets.randbits(64)
        self._id = process_id(role, self._entropy)
        self._stop = asyncio.Event()
        self._opening: asyncio.Timeout | None = None
        self._failed = False
        self._draining = False
        self._service: Service | None = None
        self._bus: NATSBus | None = None
        self._tasks = TaskSet(on_failure=self._task_failed)
        self._registry = CollectorRegistry()
        self._nats_tls = settings.nats_tls()
        self._ops_tls = settings.ops_tls()
        self._public_tls = settings.public_tls()

    def _task_failed(self, _error: BaseException) -> None:
        # A dead background loop means a process that lies about being well: stop and be started anew.
        self._failed = True
        self._end()

    def _end(self) -> None:
        """Stop in good order; at once while the service is being opened, which may wait for a bus that has gone."""
        self._stop.set()
        if self._opening is not None and not self._opening.expired():
            self._opening.reschedule(asyncio.get_running_loop().time())

    def _not_ready(self) -> list[str]:
        missing = []
        if self._bus is None or not self._bus.connected:
            missing.append("nats")
        if self._draining:
            missing.append("draining")
        if self._service is None:
            missing.append("service")
        else:
            missing.extend(self._service.not_ready())
        return missing

    async def run(self) -> int:
        logging.configure(role=self._role, process=self._id, level=self._settings.log_level)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._registry.register(
            ReadGauge(
                "trunkline_ready",
                "1 while /readyz says that the process can work, else 0.",
                lambda: not self._not_ready(),
            )
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        clock = SystemClock()
        ops = OpsServer(self._registry, self._not_ready, clock=clock, tasks=self._tasks)
        try:
            await ops.start(self._settings.ops_host, self._ops_port, self._ops_tls)
        except OSError as error:
            config.exit_with_faults([f"the ops port {self._ops_port} cannot be bound: {error.strerror}"])
        log.info("process_started", pid=os.getpid(), ops_port=ops.port)
        try:
            await self._serve(clock)
        finally:
            await self._tasks.cancel()
            await ops.stop()
            log.info("process_stopped", failed=self._failed)
        return 1 if self._failed else 0

    async def _serve(self, clock: Clock) -> None:
        watch = TLSWatch(self._registry, clock)
        for tls in (self._nats_tls, self._ops_tls, self._public_tls):
            watch.add(tls)
        self._tasks.spawn(watch.run(), name="tls_watch")
        self._bus = await self._connect(clock)
        if self._bus is None:
            return
        bus = self._bus
        self._show(bus)
        for watched in bus.watched(watched_stream(self._role)):
            self._tasks.spawn(ClusterWatch(watched, clock).run(), name=f"{watched.name}_watch")
        process = Process(
            self._role,
            self._id,
            self._entropy,
            clock,
            self._tasks,
            self._bus,
            self._registry,
            self._settings.region,
            self._public_tls,
        )
        try:
            if not await RoleStreams(bus, self._role, clock=clock, tasks=self._tasks).prepare(self._stop):
                return
            async with contextlib.AsyncExitStack() as opened:
                service = await self._open(opened, process)
                if service is None:
                    return
                self._service = service
                self._tasks.spawn(self._beat(clock), name="beat")
                # What start-up has made lives as long as the process: keep the collector from walking it each time.
                gc.collect()
                gc.freeze()
                gc.set_threshold(GC_ALLOCATIONS, 50, 100)
                log.info("service_ready")
                await self._stop.wait()
                self._draining = True
                self._send_beat(clock)
                await self._drain(service)
            self._send_beat(clock)
        finally:
            await self._bus.close()

    async def _open(self, opened: contextlib.AsyncExitStack, process: Process) -> Service | None:
        """Return the service, which ``opened`` closes; None if the process is told to stop before it runs."""
        opening = self._opening = asyncio.timeout(0 if self._stop.is_set() else None)
        try:
            async with opening:
                return await opened.enter_async_context(self._open_service(process, self._settings))
        except TimeoutError:
            if not opening.expired():
                raise
            log.info("start_given_up")
            return None
        finally:
            self._opening = None

    def _show(self, bus: NATSBus) -> None:
        """Have what a bus counts among the metrics."""
        for name, text, read in (
            (
                "trunkline_bus_dropped",
                "Messages that could not be handed to NATS; their receivers see a gap.",
                lambda: bus.dropped,
            ),
            (
                "trunkline_bus_permissions_refused",
                "Subjects that NATS refused this process: its user or NATS's permissions are not what they should be.",
                lambda: bus.refused,
            ),
            (
                "trunkline_bus_moves",
                "Times that the process has left a NATS node that was about to stop, or had lost the others.",
                lambda: bus.moves,
            ),
        ):
            self._registry.register(ReadCounter(name, text, read))

    async def _connect(self, clock: Clock) -> NATSBus | None:
        while not self._stop.is_set():
            try:
                return await nats_bus.connect(
                    self._settings.nats_url,
                    name=self._id,
                    tasks=self._tasks,
                    inbox=subjects.inbox(self._role),
                    replicas=self._settings.nats_replicas,
                    tls=self._nats_tls,
                )
            except BusError as error:
                log.warning("bus_unreachable", error=str(error))
                await clock.sleep(NATS_RETRY_S)
        return None

    async def _drain(self, service: Service) -> None:
        log.info("draining", grace_s=self._settings.grace_s)
        try:
            async with asyncio.timeout(self._settings.grace_s):
                await service.drain()
        except TimeoutError:
            log.warning("drain_cut_short", grace_s=self._settings.grace_s)

    async def _beat(self, clock: Clock) -> None:
        while True:
            self._send_beat(clock)
            await clock.sleep(limits.BEAT_INTERVAL_S)

    def _send_beat(self, clock: Clock) -> None:
        if self._bus is None or self._service is None:
            return
        beat = Beat(
            self._role,
            self._id,
            clock.wall_ms(),
            draining=self._draining,
            clock_ms=round(clock.now() * 1000),
            frames=frames.NEWEST_READ,
            release=RELEASE,
            region=self._settings.region,
        )
        # Full means that the broker is not reading: then nobody hears us anyway.
        with contextlib.suppress(BusError):
            self._bus.publish(subjects.alive(self._role, self._id), messages.encode(self._service.beat(beat)))
