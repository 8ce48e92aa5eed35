"""Three nodes of NATS as deploy/k8s/overlays/production describes them: streams outlive any one of them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.cluster_nats import NodePorts, node_environment, write_node
from tests.support.cluster_secrets import made_secrets
from tests.support.http_certificate import certified
from tests.support.servers import Server, free_port, nats_binary
from tests.support.waiting import eventually
from trunkline.bus import permissions, subjects
from trunkline.bus.port import BusError
from trunkline.runtime import nats_bus
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.tls import client_tls

OVERLAY = "production"
DEADLINE_S = 30.0
REPLICAS = 3


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Server]]:
    certified(tmp_path)
    ports = [NodePorts(free_port(), free_port(), free_port()) for _ in range(REPLICAS)]
    started: list[Server] = []
    try:
        for number, own in enumerate(ports):
            folder = tmp_path / f"nats-{number}"
            folder.mkdir()
            command = [nats_binary(), "-c", str(write_node(folder, OVERLAY, number, ports, tmp_path))]
            server = Server(command, own.nats, folder / "nats.log", None)
            server.environment |= node_environment(OVERLAY, number)
            started.append(server.start())
        yield started
    finally:
        for server in started:
            server.kill()


@asynccontextmanager
async def connected(nodes: list[Server], user: str, tasks: TaskSet, folder: Path) -> AsyncIterator[NATSBus]:
    password = made_secrets(OVERLAY)["nats-passwords"][permissions.password_variable(user)]
    urls = ",".join(f"tls://{user}:{password}@localhost:{node.port}" for node in nodes)
    certificate, key = (str(folder / name) for name in ("certificate.pem", "key.pem"))
    tls = client_tls("nats", certificate, certificate, key)
    bus = await nats_bus.connect(urls, name=user, tasks=tasks, inbox=subjects.inbox(user), replicas=REPLICAS, tls=tls)
    yield bus
    await bus.close()


async def until_done(work: Callable[[], Awaitable[None]], what: str) -> None:
    """Try again until it is done, as services do while the nodes choose who leads."""

    async def attempt() -> bool:
        try:
            await work()
        except BusError:
            return False
        return True

    await eventually(attempt, within_s=DEADLINE_S, what=what)


async def make_streams(nodes: list[Server], role: str, tasks: TaskSet, folder: Path) -> None:
    async with connected(nodes, role, tasks, folder) as bus:
        await until_done(lambda: bus.ensure_streams(permissions.STREAMS[role]), f"streams of {role}")


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
        await until_done(lambda: bus.store(subject, b"used", message_id="1", timeout_s=2.0), "usage stored")
