"""The NATS of two regions, as deploy/k8s/overlays/regions describes them, find each other."""

from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.support.cluster_regions import ABROAD, HOME, POD_PORTS, write_region
from tests.support.http_certificate import certified
from tests.support.servers import Server, free_port, nats_binary
from tests.support.waiting import eventually

DEADLINE_S = 15.0
NATS, LEAFNODES, MONITOR = "4222", "7422", "8222"

Run = Callable[[str, str], dict[str, int]]
"""Starts a node of an overlay with a password for home; returns its ports by those of its pod."""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    certified(tmp_path)
    started: list[Server] = []
    home_port = free_port()

    def run_node(overlay: str, password: str) -> dict[str, int]:
        folder = tmp_path / f"node-{len(started)}"
        folder.mkdir()
        ports = {port: free_port() for port in POD_PORTS}
        if overlay == HOME:
            ports[LEAFNODES] = home_port
        url = f"tls://region:{password}@localhost:{home_port}"
        path, environment = write_region(folder, overlay, tmp_path, ports, url)
        server = Server([nats_binary(), "-c", str(path)], ports[NATS], folder / "nats.log", None)
        server.environment |= environment
        started.append(server.start())
        return ports

    yield run_node
    for server in started:
        server.kill()


async def leaves(ports: dict[str, int]) -> list[str]:
    """Return the names of the nodes that a node has a leaf-node connection with."""
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{ports[MONITOR]}/leafz") as response:
        return [leaf["name"] for leaf in (await response.json()).get("leafs") or ()]


async def test_regions_find_each_other(run: Run) -> None:
    home, abroad = run(HOME, "drawn1"), run(ABROAD, "drawn1")

    async def joined() -> bool:
        return bool(await leaves(home) and await leaves(abroad))

    await eventually(joined, within_s=DEADLINE_S, what="the regions are joined")
    assert len(await leaves(home)) == 1


async def test_another_password_is_refused(run: Run, tmp_path: Path) -> None:
    home = run(HOME, "drawn1")
    run(ABROAD, "wrong1")

    async def refused() -> bool:
        return "authentication error" in (tmp_path / "node-0" / "nats.log").read_text()

    await eventually(refused, within_s=DEADLINE_S, what="it is refused")
    assert await leaves(home) == []
