"""All of Trunkline as on a cluster, each process on a host of its own: three brokers, and two or more of each service.

Processes are run with the settings that they would have on Kubernetes, and are started again when they die. The
caller is on the host `CLIENT`::

    with running_network(HOSTS, seed=7) as network, network.host(CLIENT).entered():
        asyncio.run(work(network))    # which uses `running_cluster`
"""

import asyncio
import contextlib
import dataclasses
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from tests.support import network_namespace
from tests.support.described_stack import DescribedStack
from tests.support.network import ROOT, SUBNET, Host, HostProcess, Network
from tests.support.network_servers import (
    MONITOR_PORT,
    NATS_PORT,
    Disk,
    Postgres,
    Program,
    nats_program,
    remove_abandoned_disks,
)
from tests.support.scratch import scratch_folder
from tests.support.skewed_service import write_offset
from tests.support.waiting import eventually
from trunkline.bus.permissions import OPERATOR
from trunkline.dev import propagation, secrets
from trunkline.dev.ready import ProcessEntry, ReadyFile
from trunkline.dev.roles import OPS_PORTS, SECRETS_BY_ROLE, answers_ok, python_module
from trunkline.dev.stack import nats_answers, postgres_answers
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.tasks import TaskSet
from trunkline.store.migrate import migrate

CLIENT = "client"
NATS = ("nats1", "nats2", "nats3")
EDGES = ("edge1", "edge2")
DISPATCHERS = ("dispatcher1", "dispatcher2", "dispatcher3")
METERINGS = ("metering1", "metering2")
SERVICES = (*EDGES, *DISPATCHERS, *METERINGS, "health", "console")
HOSTS = (*NATS, "postgres", "upstream", *SERVICES, CLIENT)

EDGE_PORT, CONSOLE_PORT, UPSTREAM_PORT = 8080, 8081, 9000
GRACE_S = 20.0

START_TIMEOUT_S = 90.0
RECOVERY_TIMEOUT_S = 45.0
"""From the end of all trouble to all processes being ready: a lost connection is found by two pings without an answer,
of ten seconds each, and TCP repeats ever more rarely while a way is cut."""

WATCH_S = 0.1
ALIVE_EVERY_S, ALIVE_FAILURES_MAX = 2.0, 3
"""As the liveness probe of NATS in deploy/k8s, but sooner."""

RESTART_WAIT_S = 0.5
"""Between the end of a process and its next start; shorter than Kubernetes takes."""


@dataclasses.dataclass(kw_only=True)
class Member:
    """A process that is kept running.

    Attributes:
        down: it stays down, once it is, until that is taken back.
        starts: so often it was started.
    """

    role: str
    host: Host
    program: Program
    environment: Mapping[str, str]
    log: Path
    process: HostProcess | None = None
    down: bool = False
    starts: int = 0

    @property
    def running(self) -> bool:
        """Whether there is a process now."""
        return self.process is not None and self.process.code is None

    def start(self) -> None:
        """Start it."""
        self.starts += 1
        self.process = self.host.run(self.program.command, self.environment, log=self.log, **self.program.popen)


class NetworkCluster(DescribedStack):
    """A running cluster. Make it with `running_cluster`.

    Attributes:
        disks: by host: of each broker, of Postgres, and of each edge and dispatcher for its spool.
        logs: folder of all processes' output.
        replicas: nodes of NATS that hold each stream.
    """

    replicas = len(NATS)

    def __init__(self, network: Network, folder: Path) -> None:
        self.network = network
        self.logs = folder / "logs"
        self.disks: dict[str, Disk] = {}
        self.members: dict[str, Member] = {}
        self._folder = folder
        self._secrets = secrets.draw()
        self._dsn = ""
        self._clock = SystemClock()

    # --- what it is ----------------------------------------------------------------------------------------------

    def _address(self, host: str) -> str:
        return self.network.host(host).address

    @property
    def upstream_url(self) -> str:
        """Base URL of the upstream, for channels."""
        return f"http://{self._address('upstream')}:{UPSTREAM_PORT}/v1"

    @property
    def _nats_url(self) -> str:
        return ",".join(f"nats://{self._address(node)}:{NATS_PORT}" for node in NATS)

    def _nats_url_of(self, user: str) -> str:
        password = self._secrets.nats_passwords[user]
        return self._nats_url.replace("nats://", f"nats://{user}:{password}@")

    def _nats_url_from(self, name: str, role: str) -> str:
        """Return the brokers for a service; each has another one first, as behind a balancer."""
        urls = self._nats_url_of(role).split(",")
        first = self.network.hosts.index(name) % len(urls)
        return ",".join(urls[first:] + urls[:first])

    @property
    def ready(self) -> ReadyFile:
        """What it is now."""
        processes: dict[str, list[ProcessEntry]] = {}
        for member in self.members.values():
            ops = OPS_PORTS.get(member.role)
            entry = ProcessEntry(
                member.process.pid if member.process is not None else 0,
                f"http://{member.host.address}:{ops}" if ops else "",
                f"http://{member.host.address}:{EDGE_PORT}" if member.role == "edge" else "",
            )
            processes.setdefault(member.role, []).append(entry)
        return ReadyFile(
            base_url=processes["edge"][0].base_url if "edge" in processes else "",
            console_url=f"http://{self._address('console')}:{CONSOLE_PORT}",
            api_key="",
            admin_key=self._secrets.admin_key,
            nats_url=self._nats_url_of(OPERATOR),
            postgres_dsn=self._dsn,
            upstream_url=self.upstream_url.removesuffix("/v1"),
            processes=processes,
        )

    # --- start ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Return once every process is ready."""
        self.logs.mkdir()
        await self._start_servers()
        for name in SERVICES:
            self._start(name, Program(self._command(name)), self._environment(name))
        await self.all_ready(within_s=START_TIMEOUT_S)

    def _start_brokers(self) -> None:
        nodes = [self.network.host(node) for node in NATS]
        for node in nodes:
            disk = self._disk(node.name)
            program = nats_program(node, nodes, self._folder, disk.folder / "jetstream")
            self._start(node.name, program, secrets.nats_environment(self._secrets.nats_passwords))

    async def _start_servers(self) -> None:
        self._start_brokers()
        disk = self._disk("postgres")
        postgres = await asyncio.to_thread(
            Postgres, self.network.host("postgres"), disk.folder, self._secrets.postgres_password
        )
        self._dsn = postgres.dsn
        self._start("postgres", postgres.program)
        upstream = python_module("trunkline.dev.demo.upstream")
        where = ("--host", self._address("upstream"), "--port", str(UPSTREAM_PORT))
        self._start("upstream", Program((*upstream, *where)))
        await eventually(self._servers_answer, within_s=START_TIMEOUT_S, what="NATS and Postgres answer")
        await migrate(self._dsn)

    async def _servers_answer(self) -> bool:
        return all([await self.is_ready(name) for name in self.members])

    def _disk(self, name: str) -> Disk:
        disk = self.disks[name] = Disk(self._folder / name)
        return disk

    def _start(self, name: str, program: Program, environment: Mapping[str, str] | None = None) -> None:
        member = Member(
            role=name.rstrip("0123456789"),
            host=self.network.host(name),
            program=program,
            environment={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC", **(environment or {})},
            log=self.logs / f"{name}.log",
        )
        self.members[name] = member
        member.start()

    def _command(self, name: str) -> tuple[str | Path, ...]:
        offset = self._offset(name)
        write_offset(offset, 0)
        launcher = python_module("tests.support.skewed_service")
        return (*launcher, f"services.{name.rstrip('0123456789')}", offset)

    def _environment(self, name: str) -> dict[str, str]:
        role = name.rstrip("0123456789")
        address = self._address(name)
        given = {
            "DATABASE_URL": self._dsn,
            "TRUNKLINE_ADMIN_KEY": self._secrets.admin_key,
            "TRUNKLINE_KEY_PEPPER": self._secrets.key_pepper,
            "TRUNKLINE_MASTER_KEYS": self._secrets.master_keys,
        }
        environment = {
            "PYTHONPATH": str(ROOT),
            "NATS_URL": self._nats_url_from(name, role),
            "TRUNKLINE_NATS_REPLICAS": str(self.replicas),
            "TRUNKLINE_OPS_HOST": address,
            "TRUNKLINE_GRACE_S": f"{GRACE_S:g}",
            **{secret: given[secret] for secret in SECRETS_BY_ROLE[role]},
        }
        if role in {"edge", "dispatcher"}:
            environment["TRUNKLINE_SPOOL_DIR"] = str(self._disk(name).folder)
        if role in {"dispatcher", "health", "console"}:
            environment["TRUNKLINE_UPSTREAM_ALLOW"] = str(SUBNET)
        if role == "edge":
            environment |= {"TRUNKLINE_EDGE_HOST": address, "TRUNKLINE_EDGE_PORT": str(EDGE_PORT)}
        if role == "console":
            environment |= {
                "TRUNKLINE_CONSOLE_HOST": address,
                "TRUNKLINE_CONSOLE_PORT": str(CONSOLE_PORT),
                "TRUNKLINE_BASE_URL": f"http://{self._address('edge1')}:{EDGE_PORT}",
            }
        return environment

    # --- run -----------------------------------------------------------------------------------------------------

    async def keep_brokers_alive(self) -> None:
        """Kill a broker that has turned JetStream off, as it does where its disk is full: Kubernetes would do so."""
        failed: dict[str, int] = {}
        while True:
            await self._clock.sleep(ALIVE_EVERY_S)
            for name, member in self.members.items():
                if member.role != "nats" or not member.running:
                    continue
                if await _has_jetstream(member):
                    failed[name] = 0
                elif name in failed:  # it has started
                    failed[name] += 1
                    if failed[name] == ALIVE_FAILURES_MAX:
                        self.kill(name)
                        del failed[name]

    async def keep_running(self) -> None:
        """Start again whatever has ended, as Kubernetes would."""
        while True:
            await self._clock.sleep(WATCH_S)
            ended = [member for member in self.members.values() if not member.running and not member.down]
            if ended:
                await self._clock.sleep(RESTART_WAIT_S)
            for member in ended:
                if not member.down:
                    member.start()

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to the process of a host."""
        process = self.members[name].process
        assert process is not None
        process.send_signal(number)

    def set_clock(self, name: str, ahead_s: float) -> None:
        """Have a service's wall clock be wrong from now on."""
        write_offset(self._offset(name), ahead_s)

    def _offset(self, name: str) -> Path:
        return self._folder / f"{name}.offset"

    def brokers_of(self, name: str) -> list[str]:
        """Return the brokers that a service is connected to: one for each of its two connections."""
        process = self.members[name].process
        assert process is not None
        addresses = process.connected_to(NATS_PORT)
        return [node for node in NATS if self._address(node) in addresses]

    async def all_ready(self, *, within_s: float = RECOVERY_TIMEOUT_S) -> None:
        """Return once every process says that it can work.

        Raises:
            AssertionError: one does not, in time; says which.
        """
        unready: list[str] = []

        async def look() -> bool:
            unready[:] = [name for name in self.members if not await self.is_ready(name)]
            return not unready

        try:
            await eventually(look, within_s=within_s, what="all processes are ready")
        except AssertionError as error:
            tails = "\n".join(f"--- {name}:\n{self.log_tail(name)}" for name in unready)
            raise AssertionError(f"not ready within {within_s:g} s: {', '.join(unready)}\n{tails}") from error

    async def is_ready(self, name: str) -> bool:
        """Return whether a process can work, as it says itself."""
        member = self.members[name]
        if not member.running:
            return False
        address = member.host.address
        if member.role == "nats":
            return await nats_answers(f"nats://{address}:{NATS_PORT}") and await _has_jetstream(member)
        if member.role == "postgres":
            return await postgres_answers(self._dsn)
        if member.role == "upstream":
            return await answers_ok(f"http://{address}:{UPSTREAM_PORT}/counts")
        return await answers_ok(f"http://{address}:{OPS_PORTS[member.role]}/readyz")

    async def configure(self, http: aiohttp.ClientSession, *keys: str, **sections: Any) -> None:
        """Apply a configuration, such as ``channels=[channel_entry(…)]``, and return once all who act on it know it.

        Args:
            http: to the console.
            keys: some of it, that every edge is to take.
            sections: of the configuration.
        """
        await self.apply(http, **sections)
        await propagation.wait_for_projection(self._dsn, self._clock)
        for edge in self.edges:
            for key in keys:
                await propagation.wait_for_key(edge, key, self._clock)

    def log_tail(self, name: str) -> str:
        """Return the end of what a process has said."""
        process = self.members[name].process
        return "" if process is None else process.log_tail()

    def remove(self) -> None:
        """Take away what the file system has of it; its processes are the network's to end."""
        for member in self.members.values():
            member.down = True
            member.host.stop()
        for disk in self.disks.values():
            disk.remove()
        shutil.rmtree(self._folder, ignore_errors=True)


C = TypeVar("C", bound=NetworkCluster)


async def _has_jetstream(broker: Member) -> bool:
    return await answers_ok(f"http://{broker.host.address}:{MONITOR_PORT}/healthz?js-enabled-only=true")


@contextlib.asynccontextmanager
async def running_cluster(network: Network, *, keep_logs: Path | None = None) -> AsyncIterator[NetworkCluster]:
    """Run a cluster on a network's hosts for the length of the block.

    Args:
        network: of `HOSTS`.
        keep_logs: folder that the processes' output is copied to in the end.
    """
    async with running(NetworkCluster(network, new_folder()), keep_logs=keep_logs) as cluster:
        yield cluster


@contextlib.asynccontextmanager
async def running(cluster: C, *, keep_logs: Path | None = None) -> AsyncIterator[C]:
    """Run a cluster of whichever kind; see `running_cluster`."""
    remove_abandoned_disks()
    tasks = TaskSet()
    try:
        await cluster.start()
        tasks.spawn(cluster.keep_running(), name="keep_running")
        tasks.spawn(cluster.keep_brokers_alive(), name="keep_brokers_alive")
        yield cluster
    finally:
        await tasks.cancel()
        if keep_logs is not None:
            shutil.copytree(cluster.logs, keep_logs, dirs_exist_ok=True)
        cluster.remove()


def new_folder() -> Path:
    """Make one that Postgres may pass through, which runs as another user."""
    folder = Path(tempfile.mkdtemp(prefix=network_namespace.new_prefix(), dir=scratch_folder()))
    folder.chmod(0o711)
    return folder
