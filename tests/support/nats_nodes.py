"""Some nodes of NATS that know each other, with JetStream, on this machine's loopback."""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.servers import Server, free_ports, nats_binary
from trunkline.cli import http
from trunkline.cli.failure import CLIError

LAME_DUCK_DURATION_S = 30
"""The shortest that NATS takes: over it, a node that is told to stop closes its connections."""

LAME_DUCK_GRACE_S = 3
"""For so long it closes none."""


class Node(Server):
    """One node.

    Attributes:
        url: for clients.
        monitor_url: of its monitoring port.
    """

    def __init__(self, configuration: Path, port: int, monitor: int, log: Path) -> None:
        super().__init__([nats_binary(), "-c", str(configuration)], port, log, None)
        self.url = f"nats://127.0.0.1:{port}"
        self.monitor_url = f"http://127.0.0.1:{monitor}"

    def clients(self) -> list[str]:
        """Return the names of the clients that are connected to it."""
        connections = json.loads(http.call("GET", f"{self.monitor_url}/connz?limit=1000").body)["connections"]
        return [connection.get("name", "") for connection in connections]

    def is_well(self) -> bool:
        """Whether it has found the others, and has all that they have."""
        try:
            return http.call("GET", f"{self.monitor_url}/healthz").status == 200
        except CLIError:
            return False

    def make_lame(self) -> None:
        """Tell it to stop, as ``nats-server --signal ldm`` does."""
        self.send_signal(signal.SIGUSR2)


@contextmanager
def running_nodes(folder: Path, count: int = 3) -> Iterator[list[Node]]:
    """Run nodes for the length of the block; each keeps its data in `store_of` in the folder."""
    free = free_ports(3 * count)
    ports, monitors, routes = free[:count], free[count : 2 * count], free[2 * count :]
    with ExitStack() as stack:
        nodes = []
        for number in range(count):
            node = _described(folder, number, ports[number], monitors[number], routes)
            stack.callback(node.kill)
            nodes.append(node.start())
        yield nodes


def store_of(folder: Path, number: int) -> Path:
    """Return where a node keeps its data."""
    return folder / f"store-{number}"


def _described(folder: Path, number: int, port: int, monitor: int, routes: list[int]) -> Node:
    configuration = folder / f"node-{number}.conf"
    others = ", ".join(f"nats://127.0.0.1:{route}" for route in routes if route != routes[number])
    configuration.write_text(f"""
        server_name: node-{number}
        listen: 127.0.0.1:{port}
        http: 127.0.0.1:{monitor}
        jetstream {{ store_dir: "{store_of(folder, number)}", max_file_store: 10GB }}
        cluster {{ name: test, listen: 127.0.0.1:{routes[number]}, routes: [{others}] }}
        lame_duck_duration: {LAME_DUCK_DURATION_S}s
        lame_duck_grace_period: {LAME_DUCK_GRACE_S}s
    """)
    return Node(configuration, port, monitor, folder / f"node-{number}.log")
