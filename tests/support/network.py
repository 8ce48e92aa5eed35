"""Hosts on one machine, and a network between them that delays, loses and cuts: by pair of hosts, and by direction.

Each host is a network namespace with one address. Between them a process (`network_wire`) carries every packet, so no
`netem` is needed. A test uses it so::

    with running_network(["edge", "nats"], seed=7) as network:
        edge, nats = network.host("edge"), network.host("nats")
        server = nats.run(["nats-server", "-a", nats.address], log=folder / "nats.log")
        network.set(["edge"], ["nats"], Trouble(cut=True))    # what the edge sends is lost, answers still come
        network.set(["edge"], ["nats"], Trouble(delay_s=0.2), both_ways=True)
        network.heal()
        with edge.entered():    # sockets and processes made in here, by this thread, are the host's
            asyncio.run(...)

Where `why_unavailable` gives a reason, tests are skipped with it. Processes end with the network.
"""

# ruff: noqa: S603 - real processes, started and waited for from synchronous fixtures

import ctypes
import ipaddress
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tests.support import network_namespace
from tests.support.network_namespace import why_unavailable
from tests.support.network_switch import NONE, Trouble
from tests.support.network_wire import Answer, Plug, Setting, Setup

__all__ = ["NONE", "Host", "HostProcess", "Network", "Trouble", "WireCount", "running_network", "why_unavailable"]

SUBNET = ipaddress.ip_network("10.83.0.0/16")
STOP_TIMEOUT_S = 15.0
ROOT = Path(__file__).parents[2]

TCP_ESTABLISHED = "01"
"""In /proc/net/tcp, whose addresses are hexadecimal and in the order of bytes of this machine; see proc(5)."""

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h: the signal that the kernel sends to a process when its parent is gone."""

_libc = ctypes.CDLL(None)


class WireCount(NamedTuple):
    """Packets of one direction between two hosts."""

    source: str
    target: str
    carried: int
    dropped: int


class HostProcess:
    """A process on a host.

    Args:
        process: it.
        log: file that has its output.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self.log = log

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def connected_to(self, port: int) -> set[str]:
        """Return the addresses that connections of its host lead to, at a port."""
        found = set()
        for line in Path(f"/proc/{self.pid}/net/tcp").read_text().splitlines()[1:]:
            _, _, remote, state = line.split()[:4]
            address, _, remote_port = remote.partition(":")
            if state == TCP_ESTABLISHED and int(remote_port, 16) == port:
                found.add(str(ipaddress.ip_address(int(address, 16).to_bytes(4, sys.byteorder))))
        return found

    def send_signal(self, number: int) -> None:
        """Send a signal; nothing happens if it has ended."""
        self._process.send_signal(number)

    def wait(self, within_s: float = STOP_TIMEOUT_S) -> int:
        """Return how it ended.

        Raises:
            subprocess.TimeoutExpired: it has not, in time.
        """
        return self._process.wait(within_s)

    def kill(self) -> None:
        """End it without warning."""
        self._process.kill()
        self._process.wait()

    def stop(self, number: int = signal.SIGTERM, within_s: float = STOP_TIMEOUT_S) -> int:
        """Ask it to end, and insist after a while; returns how it ended."""
        self.send_signal(number)
        # One that was halted would not see the signal before it is continued.
        self.send_signal(signal.SIGCONT)
        try:
            return self.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.wait()

    def log_tail(self) -> str:
        """Return the end of its output."""
        return self.log.read_text(errors="replace")[-2000:]


class Host:
    """A machine of its own, as far as its network goes; files are shared.

    Attributes:
        name: in this network.
        address: IPv4, as text.
    """

    def __init__(self, name: str, namespace: str, address: str) -> None:
        self.name = name
        self.address = address
        self._namespace = namespace
        self._processes: list[HostProcess] = []

    def entered(self) -> AbstractContextManager[None]:
        """Have this thread on the host for the length of the block."""
        return network_namespace.entered(self._namespace)

    def run(
        self, command: Sequence[str | Path], environment: Mapping[str, str] | None = None, *, log: Path, **popen: Any
    ) -> HostProcess:
        """Start a process.

        Args:
            command: its command line.
            environment: all of it; None: ours.
            log: its output is appended there.
            popen: further arguments of `subprocess.Popen`, such as ``user``.
        """
        with self.entered(), log.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
                preexec_fn=_leash,  # noqa: PLW1509 - makes one system call
                **{"cwd": "/", **popen},
            )
        started = HostProcess(process, log)
        self._processes.append(started)
        return started

    def stop(self) -> None:
        """End what was started here."""
        for process in self._processes:
            if process.code is None:
                process.kill()


def _leash() -> None:
    # In the child, after it has changed its user, which would undo it: should this test be killed, the kernel ends it.
    _libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


class Network:
    """Hosts that are connected. Make it with `running_network`."""

    def __init__(self, hosts: Sequence[Host], wire: subprocess.Popen[bytes]) -> None:
        self._hosts = {host.name: host for host in hosts}
        self._indices = {host.name: index for index, host in enumerate(hosts)}
        self._wire = wire

    @property
    def hosts(self) -> list[str]:
        """Names."""
        return list(self._hosts)

    def host(self, name: str) -> Host:
        """Return a host."""
        return self._hosts[name]

    def set(
        self, sources: Collection[str], targets: Collection[str], trouble: Trouble, *, both_ways: bool = False
    ) -> None:
        """Have trouble between hosts from now on, instead of what was there; holds when this returns.

        Args:
            sources: names of hosts.
            targets: the same; the packets of each source to each of them meet it.
            trouble: see there; `NONE` takes it away.
            both_ways: on the way back, too.
        """
        pairs = {(source, target) for source in sources for target in targets if source != target}
        if both_ways:
            pairs |= {(target, source) for source, target in pairs}
        self._tell([Setting(self._indices[source], self._indices[target], trouble) for source, target in sorted(pairs)])

    def heal(self) -> None:
        """Take all trouble away."""
        self.set(self.hosts, self.hosts, NONE)

    def counts(self) -> list[WireCount]:
        """Return the packets of each direction that had any."""
        names = self.hosts
        return [
            WireCount(names[source], names[target], carried, dropped)
            for source, target, carried, dropped in self._tell([]).counts
        ]

    def _tell(self, message: object) -> Answer:
        assert self._wire.stdin is not None
        assert self._wire.stdout is not None
        self._wire.stdin.write(msgspec.json.encode(message) + b"\n")
        self._wire.stdin.flush()
        line = self._wire.stdout.readline()
        assert line, "the process that carries packets has ended"
        return msgspec.json.decode(line, type=Answer)


@contextmanager
def running_network(names: Sequence[str], *, seed: int = 0) -> Iterator[Network]:
    """Connect hosts for the length of the block; whatever runs on them ends with it.

    Args:
        names: of the hosts, as short as one likes.
        seed: of the losses.
    """
    network_namespace.remove_abandoned()
    prefix = network_namespace.new_prefix()
    addresses = [str(SUBNET[number]) for number in range(1, len(names) + 1)]
    hosts = [Host(name, prefix + name, address) for name, address in zip(names, addresses, strict=True)]
    with ExitStack() as stack:
        for name in names:
            stack.callback(network_namespace.remove, prefix + name)
        network_namespace.make([prefix + name for name in names])
        descriptors = []
        for host in hosts:
            with host.entered():
                descriptors.append(network_namespace.open_device(f"{host.address}/{SUBNET.prefixlen}"))
        plugs = [
            Plug(ipaddress.ip_address(address).packed, descriptor)
            for address, descriptor in zip(addresses, descriptors, strict=True)
        ]
        wire = stack.enter_context(_running_wire(descriptors))
        network = Network(hosts, wire)
        network._tell(Setup(plugs, seed))
        for host in hosts:
            stack.callback(host.stop)
        yield network


@contextmanager
def _running_wire(descriptors: Sequence[int]) -> Iterator[subprocess.Popen[bytes]]:
    """Run the process that carries packets; the devices are its own from here on."""
    try:
        wire = subprocess.Popen(
            [sys.executable, "-m", "tests.support.network_wire"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            pass_fds=descriptors,
            start_new_session=True,
        )
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    with wire:
        try:
            yield wire
        finally:
            assert wire.stdin is not None
            with suppress(BrokenPipeError):
                wire.stdin.close()
            wire.wait(STOP_TIMEOUT_S)
