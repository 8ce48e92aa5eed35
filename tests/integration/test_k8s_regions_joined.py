"""The NATS of two regions, as deploy/k8s/overlays/regions and gateways describe them, find each other."""

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.cluster_regions import (
    ABROAD,
    GATEWAY_ABROAD,
    GATEWAY_HOME,
    HOME,
    PASSWORD,
    REGIONS,
    Pod,
    write_region,
)
from tests.support.http_certificate import certified
from tests.support.manifests import container
from tests.support.servers import Server, nats_binary
from tests.support.waiting import eventually, until_done
from trunkline.bus import permissions, subjects
from trunkline.runtime import nats_bus
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.tls import client_tls

DEADLINE_S = 30.0
NATS, MONITOR = "4222", "8222"
POD_PORTS = (NATS, "6222", "7222", "7422", MONITOR)
WRONG = "wrong1"
HOME_NODES = 3
GATEWAY_PODS = (
    *(Pod(GATEWAY_HOME, number) for number in range(HOME_NODES)),
    Pod(GATEWAY_ABROAD),
    Pod(GATEWAY_ABROAD, 1),
)

Run = Callable[..., None]
"""Starts a node with a password for the other region."""


_ports: dict[tuple[Pod, str], int] = {}


@pytest.fixture(scope="module", autouse=True)
def ports() -> Iterator[None]:
    """A port of this machine for each of a pod: others are told of it before it is there.

    All are bound as long as these tests run, without a listener: a node may listen there, and the kernel gives them to
    nobody who asks for any free one.
    """
    doors = [(Pod(overlay, number), port) for overlay in REGIONS for number in range(3) for port in POD_PORTS]
    with ExitStack() as stack:
        for door in doors:
            keeper = stack.enter_context(socket.socket())
            keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            keeper.bind(("127.0.0.1", 0))
            _ports[door] = keeper.getsockname()[1]
        yield


def here(pod: Pod, port: str) -> int:
    return _ports[pod, port]


def log(folder: Path, pod: Pod) -> Path:
    return folder / pod.overlay / str(pod.number) / "nats.log"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    certified(tmp_path)
    started: list[Server] = []

    def run_node(pod: Pod, password: str = PASSWORD) -> None:
        folder = log(tmp_path, pod).parent
        folder.mkdir(parents=True)
        path, environment = write_region(folder, pod, tmp_path, here, password)
        server = Server([nats_binary(), "-c", str(path)], here(pod, NATS), folder / "nats.log", None)
        server.environment |= environment
        started.append(server.start())

    yield run_node
    for server in started:
        server.kill()


async def told(pod: Pod, path: str) -> dict[str, Any]:
    """Return what a node says of itself."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{here(pod, MONITOR)}{path}") as response,
    ):
        assert response.status == 200, path
        return dict(await response.json())


async def leaves(pod: Pod) -> list[str]:
    """Return the names of the nodes that a node has a leaf-node connection with."""
    return [leaf["name"] for leaf in (await told(pod, "/leafz")).get("leafs") or ()]


async def gateways(pod: Pod) -> tuple[set[str], set[str]]:
    """Return the clusters that a node has a gateway connection to, and those that it has one from."""
    found = await told(pod, "/gatewayz")
    return set(found.get("outbound_gateways") or ()), set(found.get("inbound_gateways") or ())


async def refused(folder: Path, pod: Pod) -> None:
    """Return once a node has refused another one."""

    async def said() -> bool:
        return 'authentication error - User "region"' in log(folder, pod).read_text()

    await eventually(said, within_s=DEADLINE_S, what="it is refused")


async def test_regions_find_each_other(run: Run) -> None:
    home, abroad = Pod(HOME), Pod(ABROAD)
    run(home)
    run(abroad)

    async def joined() -> bool:
        return bool(await leaves(home) and await leaves(abroad))

    await eventually(joined, within_s=DEADLINE_S, what="the regions are joined")
    assert len(await leaves(home)) == 1


async def test_another_password_is_refused(run: Run, tmp_path: Path) -> None:
    run(Pod(HOME))
    run(Pod(ABROAD), WRONG)
    await refused(tmp_path, Pod(HOME))
    assert await leaves(Pod(HOME)) == []


@asynccontextmanager
async def connected(pod: Pod, user: str, tasks: TaskSet, folder: Path) -> AsyncIterator[NATSBus]:
    certificate, key = str(folder / "certificate.pem"), str(folder / "key.pem")
    bus = await nats_bus.connect(
        f"tls://{user}:{PASSWORD}@localhost:{here(pod, NATS)}",
        name=user,
        tasks=tasks,
        inbox=subjects.inbox(user),
        replicas=HOME_NODES,
        tls=client_tls("nats", certificate, certificate, key),
    )
    try:
        yield bus
    finally:
        await bus.close()


async def test_gateways_are_there_both_ways_and_lead_to_homes_jetstream(
    run: Run, tasks: TaskSet, tmp_path: Path
) -> None:
    for pod in GATEWAY_PODS:
        run(pod)

    async def joined() -> bool:
        out = [(await gateways(pod))[0] for pod in GATEWAY_PODS]
        # The others' load balancer leads to the first of each, which sees it a moment after them.
        home, abroad = await gateways(Pod(GATEWAY_HOME)), await gateways(Pod(GATEWAY_ABROAD))
        both = (home, abroad) == (({"abroad"}, {"abroad"}), ({"trunkline"}, {"trunkline"}))
        return both and out == [{"abroad"}] * HOME_NODES + [{"trunkline"}] * 2

    await eventually(joined, within_s=DEADLINE_S, what="the regions are joined")

    async with connected(Pod(GATEWAY_HOME), "metering", tasks, tmp_path) as bus:
        await until_done(
            lambda: bus.ensure_streams(permissions.STREAMS["metering"]), within_s=DEADLINE_S, what="streams of metering"
        )
    async with connected(Pod(GATEWAY_ABROAD, 1), "dispatcher", tasks, tmp_path) as bus:
        subject = subjects.usage("dispatcher", "dispatcher-1")
        await until_done(
            lambda: bus.store(subject, b"used", message_id="1", timeout_s=2.0), within_s=DEADLINE_S, what="usage stored"
        )
    async with connected(Pod(GATEWAY_HOME, 1), permissions.OPERATOR, tasks, tmp_path) as bus:
        kept = await bus.jetstream.stream_info(subjects.USAGE_STREAM)
    assert (kept.state.messages, kept.config.num_replicas) == (1, HOME_NODES)


async def test_abroad_a_node_without_jetstream_passes_its_probes(run: Run) -> None:
    run(Pod(GATEWAY_ABROAD))
    assert (await told(Pod(GATEWAY_ABROAD), "/jsz"))["disabled"] is True
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        path = container(GATEWAY_ABROAD, "nats").spec[probe]["httpGet"]["path"]
        assert await told(Pod(GATEWAY_ABROAD), path) == {"status": "ok"}


async def test_another_password_is_refused_by_a_gateway_on_either_side(run: Run, tmp_path: Path) -> None:
    run(Pod(GATEWAY_HOME))
    run(Pod(GATEWAY_ABROAD), WRONG)
    for pod in (Pod(GATEWAY_HOME), Pod(GATEWAY_ABROAD)):
        await refused(tmp_path, pod)
        assert (await gateways(pod))[1] == set()
