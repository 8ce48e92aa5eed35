"""A node of NATS that has lost the others is left by the processes that are connected to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.network import Host, Network, Trouble, running_network, why_unavailable
from tests.support.network_servers import nats_program
from tests.support.waiting import eventually
from trunkline.bus import permissions, subjects
from trunkline.bus.port import BusError
from trunkline.bus.seclusion import SECLUDED_AFTER_S
from trunkline.dev.secrets import draw_nats_passwords, nats_environment
from trunkline.runtime import nats_bus
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.cluster_watch import ASK_INTERVAL_S, ClusterWatch
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet

pytestmark = [
    pytest.mark.skipif(bool(why_unavailable()), reason=why_unavailable()),
    pytest.mark.patient,
]

NODES = ("nats1", "nats2", "nats3")
START_WITHIN_S = 30.0
LOST_QUORUM_S = 10.0
"""For so long a leader that has lost the others goes on as one."""

LEFT_WITHIN_S = LOST_QUORUM_S + SECLUDED_AFTER_S + 3 * ASK_INTERVAL_S + 5


@pytest.fixture
def passwords() -> dict[str, str]:
    return draw_nats_passwords()


@pytest.fixture
def network(tmp_path: Path, passwords: dict[str, str]) -> Iterator[Network]:
    with running_network(["client", *NODES]) as network:
        hosts = [network.host(node) for node in NODES]
        for host in hosts:
            program = nats_program(host, hosts, tmp_path, tmp_path / f"{host.name}-data")
            host.run(program.command, nats_environment(passwords), log=tmp_path / host.name)
        with network.host("client").entered():
            yield network


class Processes:
    """Buses of processes that watch their node, as `runtime.process` has them do."""

    def __init__(self, network: Network, passwords: dict[str, str], tasks: TaskSet) -> None:
        self._network = network
        self._passwords = passwords
        self._tasks = tasks
        self._clock = SystemClock()
        self.changes: list[bool] = []

    async def open(self, role: str, name: str, nodes: tuple[str, ...] = NODES) -> NATSBus:
        places = [f"nats://{role}:{self._passwords[role]}@{self._network.host(node).address}:4222" for node in nodes]
        bus: list[NATSBus] = []

        async def opened() -> bool:
            try:
                bus.append(
                    await nats_bus.connect(
                        ",".join(places), name=name, tasks=self._tasks, inbox=subjects.inbox(role), replicas=3
                    )
                )
            except BusError:
                return False
            return True

        await eventually(opened, within_s=START_WITHIN_S, what="the nodes take connections")
        bus[0].on_connection(self.changes.append)
        for watched in bus[0].watched(permissions.watched_stream(role)):
            self._tasks.spawn(ClusterWatch(watched, self._clock).run(), name="watch")
        return bus[0]


def _at(bus: NATSBus) -> tuple[str, str]:
    """Return the addresses of both connections."""
    server, url = bus._link.server, bus._client.connected_url
    return "" if server is None else server.host, "" if url is None else url.hostname or ""


async def _made(console: NATSBus) -> None:
    async def attempt() -> bool:
        try:
            await console.ensure_streams(permissions.STREAMS["console"])
            await console.kv_put(subjects.KV_MODELS, "m", b"{}")
        except BusError:
            return False
        return True

    await eventually(attempt, within_s=START_WITHIN_S, what="the buckets are made")


def _cut_off(network: Network, node: str) -> None:
    network.set([node], [other for other in NODES if other != node], Trouble(cut=True), both_ways=True)


async def test_processes_leave_a_node_that_has_lost_the_others(network: Network, passwords: dict[str, str]) -> None:
    tasks = TaskSet()
    processes = Processes(network, passwords, tasks)
    alone: Host = network.host("nats1")
    console = await processes.open("console", "console", ("nats2",))
    await _made(console)
    edges = [await processes.open("edge", f"edge-{number}", ("nats1",)) for number in range(3)]
    assert [_at(edge) for edge in edges] == [(alone.address, alone.address)] * 3
    assert [await edge.kv_get(subjects.KV_MODELS, "m") for edge in edges] == [b"{}"] * 3
    _cut_off(network, "nats1")

    async def left() -> bool:
        return all(alone.address not in _at(edge) and "" not in _at(edge) for edge in edges)

    await eventually(left, within_s=LEFT_WITHIN_S, what="all have left the node, with both connections")
    assert [await edge.kv_get(subjects.KV_MODELS, "m") for edge in edges] == [b"{}"] * 3
    assert [edge.moves for edge in edges] == [1] * 3
    assert processes.changes == [], "none was without a connection meanwhile"
    for bus in (console, *edges):
        await bus.close()
    await tasks.cancel()


async def test_where_no_node_has_the_others_nobody_moves_about(network: Network, passwords: dict[str, str]) -> None:
    """All nodes are alone, and only one attempt is made in the time."""
    tasks = TaskSet()
    processes = Processes(network, passwords, tasks)
    console = await processes.open("console", "console")
    await _made(console)
    edge = await processes.open("edge", "edge-1")
    for node in NODES:
        _cut_off(network, node)
    clock = SystemClock()
    await clock.sleep(LOST_QUORUM_S + 2 * SECLUDED_AFTER_S)
    assert edge.moves <= 1
    assert edge.connected
    await edge.flush()
    network.heal()

    async def answers() -> bool:
        try:
            return await edge.kv_get(subjects.KV_MODELS, "m") == b"{}"
        except BusError:
            return False

    await eventually(answers, within_s=START_WITHIN_S, what="JetStream is back")
    assert processes.changes == []
    for bus in (console, edge):
        await bus.close()
    await tasks.cancel()
