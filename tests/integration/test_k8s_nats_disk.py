"""A node of NATS whose disk is full turns JetStream off for good; the probes of deploy/k8s have it started anew."""

from collections.abc import Iterator
from pathlib import Path

import nats
import pytest
from nats.errors import Error as NATSError

from tests.support.manifests import container
from tests.support.nats_nodes import Node, running_nodes, store_of
from tests.support.network import why_unavailable
from tests.support.network_servers import Disk
from tests.support.waiting import eventually
from trunkline.cli import http
from trunkline.cli.failure import CLIError

pytestmark = pytest.mark.skipif(bool(why_unavailable()), reason=why_unavailable())

DISK_MEBIBYTES = 16
WITHIN_S = 30.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """The disk of node 0."""
    disk = Disk(store_of(tmp_path, 0), mebibytes=DISK_MEBIBYTES)
    yield disk
    disk.remove()


def _passes(node: Node, probe: str) -> bool:
    """Return whether a probe of a node's pod succeeds."""
    path = container("production", "nats").spec[probe]["httpGet"]["path"]
    try:
        return http.call("GET", f"{node.monitor_url}{path}").status == 200
    except CLIError:
        return False


async def _stores(node: Node) -> bool:
    """Return whether a large message is taken into a stream that is on all nodes."""
    client = await nats.connect(node.url)
    jetstream = client.jetstream(timeout=2)
    try:
        await jetstream.add_stream(name="S", subjects=["s"], num_replicas=3)
        await jetstream.publish("s", bytes(256 * 1024))
    except (NATSError, TimeoutError):
        return False
    finally:
        await client.close()
    return True


async def test_a_full_disk_fails_the_liveness_probe_until_the_node_is_started_anew(disk: Disk, tmp_path: Path) -> None:
    with running_nodes(tmp_path) as (full, other, _):

        async def stores() -> bool:
            return await _stores(other)

        async def off() -> bool:
            await _stores(other)
            return not _passes(full, "livenessProbe")

        async def well() -> bool:
            return _passes(full, "livenessProbe") and _passes(full, "startupProbe")

        await eventually(stores, within_s=WITHIN_S, what="the nodes store")
        await eventually(well, within_s=WITHIN_S, what="the node is well")
        disk.fill()
        await eventually(off, within_s=WITHIN_S, what="JetStream is off, and the probe says so")
        assert _passes(full, "readinessProbe"), "it carries messages, and the others answer for JetStream"
        disk.clear()
        await eventually(stores, within_s=WITHIN_S, what="the others store")
        assert not _passes(full, "livenessProbe"), "room alone is not enough"
        full.stop()
        full.start()
        await eventually(well, within_s=WITHIN_S, what="the node is well again, with what it has missed")
