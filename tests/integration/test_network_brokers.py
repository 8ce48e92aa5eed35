"""A process whose way to its broker is cut, without a word, finds out and takes another one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.network import Host, Network, Trouble, running_network, why_unavailable
from tests.support.network_servers import nats_program
from tests.support.servers import nats_binary
from tests.support.waiting import eventually
from trunkline.dev.secrets import draw_nats_passwords, nats_environment
from trunkline.dev.stack import nats_answers
from trunkline.runtime import nats_bus
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_link import PING_INTERVAL_S, PINGS_UNANSWERED_MAX, NATSLink, open_link
from trunkline.runtime.tasks import TaskSet

pytestmark = pytest.mark.skipif(bool(why_unavailable()), reason=why_unavailable())

NODES = ("nats1", "nats2")
FOUND_WITHIN_S = PING_INTERVAL_S * (PINGS_UNANSWERED_MAX + 1) + 1


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with running_network(["client", *NODES]) as network:
        for node in NODES:
            host = network.host(node)
            host.run([nats_binary(), "-a", host.address], log=tmp_path / node)
        with network.host("client").entered():
            yield network


def _url(host: Host) -> str:
    return f"nats://{host.address}:4222"


async def _open(network: Network, tasks: TaskSet) -> NATSLink:
    urls = [_url(network.host(node)) for node in NODES]

    async def answer() -> bool:
        return all([await nats_answers(url) for url in urls])

    await eventually(answer, within_s=20, what="both brokers answer")
    return await open_link(",".join(urls), name="test", clock=SystemClock(), tasks=tasks)


def _node(network: Network, link: NATSLink) -> str:
    """Return the node to which a link leads."""
    assert link.server is not None
    (node,) = (node for node in NODES if network.host(node).address == link.server.host)
    return node


@pytest.mark.parametrize("both_ways", [True, False])
async def test_a_silent_broker_is_left_for_another(network: Network, *, both_ways: bool) -> None:
    tasks = TaskSet()
    link = await _open(network, tasks)
    changes: list[bool] = []
    link.on_connection(changes.append)
    network.set([_node(network, link)], ["client"], Trouble(cut=True), both_ways=both_ways)

    async def back() -> bool:
        return changes == [False, True]

    await eventually(back, within_s=FOUND_WITHIN_S, what="another broker is connected to")
    await link.flush()
    await link.close()
    await tasks.cancel()


async def test_a_slow_broker_is_kept(network: Network) -> None:
    tasks = TaskSet()
    link = await _open(network, tasks)
    changes: list[bool] = []
    link.on_connection(changes.append)
    network.set(["client"], NODES, Trouble(delay_s=0.2, loss=0.05), both_ways=True)
    await SystemClock().sleep(FOUND_WITHIN_S)
    await link.flush()
    assert changes == []
    await link.close()
    await tasks.cancel()


async def test_who_knows_one_node_of_a_cluster_signs_in_at_the_others(tmp_path: Path) -> None:
    passwords, tasks = draw_nats_passwords(), TaskSet()
    with running_network(["client", *NODES]) as network, network.host("client").entered():
        hosts = [network.host(node) for node in NODES]
        running = {
            host.name: host.run(
                nats_program(host, hosts, tmp_path, tmp_path / f"{host.name}-data").command,
                nats_environment(passwords),
                log=tmp_path / host.name,
            )
            for host in hosts
        }
        first = hosts[0].address

        async def together() -> bool:
            return all([await nats_answers(_url(host)) for host in hosts]) and (
                "Route connection created" in running["nats1"].log_tail()
            )

        await eventually(together, within_s=20, what="the nodes know each other")
        url = f"nats://operator:{passwords['operator']}@{first}:4222"
        bus = await nats_bus.connect(url, name="test", tasks=tasks)

        async def told() -> bool:
            return any(server.hostname == hosts[1].address for server in bus._client.servers)

        await eventually(told, within_s=20, what="the node has told of the other one")
        running["nats1"].kill()

        async def elsewhere() -> bool:
            client = bus._client
            return client.is_connected and client.connected_url is not None and client.connected_url.hostname != first

        await eventually(elsewhere, within_s=20, what="JetStream is reached through the other node")
        assert "authentication error" not in running["nats2"].log_tail()
        await bus.close()
        await tasks.cancel()
