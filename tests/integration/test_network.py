"""The network between namespaces does what its tests ask of it, and leaves nothing behind."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import network_namespace
from tests.support.network import ROOT, Network, Trouble, running_network, why_unavailable
from tests.support.network_namespace import FOLDER
from tests.support.stack import until
from trunkline.runtime.clock import SystemClock

pytestmark = pytest.mark.skipif(bool(why_unavailable()), reason=why_unavailable())

PORT = 7000
ARRIVES_WITHIN_S = 10.0
LOST_AFTER_S = 0.5
"""A packet that was let through is there long before."""

DELAY_S = 1.0
"""Longer than this machine holds a packet up that is not delayed."""

now = SystemClock().now


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with running_network(["a", "b"], seed=3) as network:
        yield network


@pytest.fixture(autouse=True)
def healed(network: Network) -> None:
    network.heal()


class Echo:
    """A UDP socket on either host; b's packets are sent back by the test."""

    def __init__(self, network: Network, names: tuple[str, str] = ("a", "b")) -> None:
        self.sockets = []
        for name in names:
            host = network.host(name)
            with host.entered():
                one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.bind((host.address, PORT))
            self.sockets.append(one)
        self.a, self.b = self.sockets
        self.addresses = [(network.host(name).address, PORT) for name in names]

    def arrives(self, *, back: bool = False, content: bytes = b"content", within_s: float = ARRIVES_WITHIN_S) -> bool:
        source, target, address = (self.b, self.a, self.addresses[0]) if back else (self.a, self.b, self.addresses[1])
        target.settimeout(within_s)
        source.sendto(content, address)
        try:
            return target.recv(65536) == content
        except TimeoutError:
            return False

    def close(self) -> None:
        for one in self.sockets:
            one.close()


@pytest.fixture
def echo(network: Network) -> Iterator[Echo]:
    with contextlib.closing(Echo(network)) as echo:
        yield echo


@contextlib.contextmanager
def connected(network: Network) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A TCP connection from a to b."""
    a, b = network.host("a"), network.host("b")
    with b.entered():
        listening = socket.create_server((b.address, PORT))
    with listening:
        with a.entered():
            client = socket.create_connection((b.address, PORT), timeout=10)
        with client:
            server, _ = listening.accept()
            with server:
                server.settimeout(10)
                yield client, server


def test_packets_of_any_size_arrive_both_ways(echo: Echo) -> None:
    for size in (1, 1_000, 8_000, 60_000):
        assert echo.arrives(content=bytes(size))
        assert echo.arrives(content=bytes(size), back=True)


def test_hosts_do_not_see_the_network_of_this_machine(network: Network) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours, network.host("a").entered():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(ours.getsockname(), timeout=1)
        with pytest.raises(OSError, match="unreachable"):
            socket.create_connection(("192.0.2.1", 80), timeout=1)


def test_a_connection_meets_the_delay_of_both_ways(network: Network) -> None:
    with connected(network) as (client, server):
        began = now()
        client.sendall(b"there")
        assert server.recv(10) == b"there"
        assert now() - began < DELAY_S
        network.set(["a"], ["b"], Trouble(delay_s=DELAY_S))
        began = now()
        client.sendall(b"there")
        assert server.recv(10) == b"there"
        assert DELAY_S <= now() - began < 2 * DELAY_S
        began = now()
        server.sendall(b"back")
        assert client.recv(10) == b"back"
        assert now() - began < DELAY_S


def test_a_cut_way_is_cut_and_the_other_is_not(network: Network, echo: Echo) -> None:
    network.set(["a"], ["b"], Trouble(cut=True))
    assert not echo.arrives(within_s=LOST_AFTER_S)
    assert echo.arrives(back=True)
    network.set(["a"], ["b"], Trouble(cut=True), both_ways=True)
    assert not echo.arrives(back=True, within_s=LOST_AFTER_S)
    network.heal()
    assert echo.arrives()
    assert echo.arrives(back=True)


def test_who_connects_across_a_cut_hears_nothing(network: Network) -> None:
    network.set(["b"], ["a"], Trouble(cut=True))
    a, b = network.host("a"), network.host("b")
    with b.entered():
        listening = socket.create_server((b.address, PORT))
    with listening, a.entered(), pytest.raises(TimeoutError):
        socket.create_connection((b.address, PORT), timeout=0.3)


def test_a_connection_survives_losses_and_everything_arrives(network: Network) -> None:
    content = os.urandom(2_000_000)
    network.set(["a"], ["b"], Trouble(loss=0.05), both_ways=True)
    before = sum(count.dropped for count in network.counts())
    with connected(network) as (client, server):
        client.setblocking(False)
        sent, received = 0, bytearray()
        while len(received) < len(content):
            readable, writable, _ = select.select([server], [client] if sent < len(content) else [], [], 10)
            assert readable or writable, "nothing moves"
            if writable:
                sent += client.send(content[sent : sent + 65536])
            if readable:
                received += server.recv(65536)
    assert bytes(received) == content
    assert sum(count.dropped for count in network.counts()) > before


def test_a_process_runs_on_its_host(network: Network, tmp_path: Path) -> None:
    host = network.host("b")
    process = host.run(["ip", "-4", "-o", "address"], log=tmp_path / "log")
    assert process.wait() == 0
    assert host.address in process.log_tail()
    assert network.host("a").address not in process.log_tail()


def test_nothing_is_left_when_a_network_ends(tmp_path: Path) -> None:
    with running_network(["only"]) as network:
        namespace = next(FOLDER.glob(f"{network_namespace.PREFIX}-{os.getpid()}-*only"))
        process = network.host("only").run(["sleep", "60"], log=tmp_path / "log")
    assert not namespace.exists()
    assert process.code == -signal.SIGKILL


def test_a_later_run_removes_what_a_killed_one_has_left(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import os, pathlib, signal
        from tests.support.network import running_network
        with running_network(["left"]) as network:
            process = network.host("left").run(["sleep", "60"], log=pathlib.Path({str(tmp_path / "log")!r}))
            print(process.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    killed = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = list(FOLDER.glob(f"{network_namespace.PREFIX}-*-left"))
    assert left
    until(lambda: not Path(f"/proc/{int(killed.stdout)}").exists(), 5, "the kernel has ended its process")
    network_namespace.remove_abandoned()
    assert not any(path.exists() for path in left)
