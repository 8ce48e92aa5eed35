"""Three nodes of NATS as deploy/k8s/overlays/production describes them: streams outlive any one of them."""

import json
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.authority import Authority
from tests.support.cluster_nats import NodePorts, node_environment, write_node
from tests.support.cluster_secrets import made_secrets
from tests.support.servers import Server, free_ports, nats_binary
from tests.support.waiting import eventually, until_done
from trunkline.bus import permissions, subjects
from trunkline.runtime import nats_bus
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.tls import client_tls

OVERLAY = "production"
DEADLINE_S = 30.0
REPLICAS = 3


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def ports() -> list[NodePorts]:
    free = iter(free_ports(REPLICAS * len(NodePorts._fields)))
    return [NodePorts(next(free), next(free), next(free)) for _ in range(REPLICAS)]


def certificates(authority: Authority, folder: Path, name: str, *, for_server: bool = True) -> Path:
    """Return a folder with a certificate, its key, and whose word it is."""
    issued = authority.issue(name, for_server=for_server)
    own = folder / f"certificates-of-{name}"
    own.mkdir()
    (own / "certificate.pem").write_bytes(issued.certificate.read_bytes() + authority.path.read_bytes())
    (own / "key.pem").write_bytes(issued.key.read_bytes())
    return own


def started_node(folder: Path, number: int, ports: list[NodePorts], own: Path) -> Server:
    home = folder / f"nats-{number}"
    home.mkdir()
    command = [nats_binary(), "-c", str(write_node(home, OVERLAY, number, ports, own))]
    server = Server(command, ports[number].nats, home / "nats.log", None)
    server.environment |= node_environment(OVERLAY, number)
    return server.start()


@pytest.fixture
def nodes(tmp_path: Path, authority: Authority, ports: list[NodePorts]) -> Iterator[list[Server]]:
    own = certificates(authority, tmp_path, "nats")
    started: list[Server] = []
    try:
        started.extend(started_node(tmp_path, number, ports, own) for number in range(REPLICAS))
        yield started
    finally:
        for server in started:
            server.kill()


@asynccontextmanager
async def connected(nodes: list[Server], user: str, tasks: TaskSet, folder: Path) -> AsyncIterator[NATSBus]:
    password = made_secrets(OVERLAY)["nats-passwords"][permissions.password_variable(user)]
    urls = ",".join(f"tls://{user}:{password}@localhost:{node.port}" for node in nodes)
    certificate, key = (str(folder / "certificates-of-nats" / name) for name in ("certificate.pem", "key.pem"))
    tls = client_tls("nats", certificate, certificate, key)
    bus = await nats_bus.connect(urls, name=user, tasks=tasks, inbox=subjects.inbox(user), replicas=REPLICAS, tls=tls)
    yield bus
    await bus.close()


async def make_streams(nodes: list[Server], role: str, tasks: TaskSet, folder: Path) -> None:
    async with connected(nodes, role, tasks, folder) as bus:
        await until_done(
            lambda: bus.ensure_streams(permissions.STREAMS[role]), within_s=DEADLINE_S, what=f"streams of {role}"
        )


async def test_each_stream_is_on_three_nodes_and_takes_usage_without_one(
    nodes: list[Server], tasks: TaskSet, tmp_path: Path
) -> None:
    for role in permissions.ROLES:
        await make_streams(nodes, role, tasks, tmp_path)
    async with connected(nodes, permissions.OPERATOR, tasks, tmp_path) as operator:
        found = {stream.config.name: stream.config.num_replicas for stream in await operator.jetstream.streams_info()}
    assert found == {stream: REPLICAS for streams in permissions.STREAMS.values() for stream in streams}

    nodes[0].kill()
    async with connected(nodes[1:], "dispatcher", tasks, tmp_path) as bus:
        subject = subjects.usage("dispatcher", "dispatcher-1")
        await until_done(
            lambda: bus.store(subject, b"used", message_id="1", timeout_s=2.0), within_s=DEADLINE_S, what="usage stored"
        )


def routes_of(ports: NodePorts) -> set[str]:
    """Return the nodes that a node is connected to, by name."""
    with urllib.request.urlopen(f"http://localhost:{ports.monitor}/routez", timeout=5) as answer:
        return {route["remote_name"] for route in json.load(answer)["routes"]}


async def test_a_services_certificate_makes_no_node(
    nodes: list[Server], authority: Authority, ports: list[NodePorts], tmp_path: Path
) -> None:
    """It is of the same authority, and who is a node is bound by no permissions."""
    assert len(nodes) == REPLICAS
    edge = certificates(authority, tmp_path, "edge", for_server=False)
    intruder = started_node(tmp_path, REPLICAS, [*ports, NodePorts(*free_ports(3))], edge)
    try:

        async def refused() -> bool:
            return "Authorization Violation" in (tmp_path / f"nats-{REPLICAS}" / "nats.log").read_text()

        await eventually(refused, within_s=DEADLINE_S, what="the intruder is refused")
        for own in ports:
            assert routes_of(own) <= {f"nats-{number}" for number in range(REPLICAS)}
    finally:
        intruder.kill()
