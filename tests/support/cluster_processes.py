"""The dev overlay of deploy/k8s, run here: each container's command with its own variables and secrets, nothing else.

Names of the cluster lead to ports of this machine, and files to a folder.
"""

import subprocess
import sys
from pathlib import Path

from tests.support.cluster_nats import NodePorts, node_environment, write_node
from tests.support.cluster_secrets import made_secrets
from tests.support.manifests import Container, container, environment, named, secret_files
from tests.support.servers import ENVIRONMENT, Server, free_port, nats_binary

OVERLAY = "dev"
SERVICES = ("edge", "dispatcher", "metering", "health", "console")
RUN_TIMEOUT_S = 60.0

_PORT_SETTINGS = {"edge": "TRUNKLINE_EDGE_PORT", "console": "TRUNKLINE_CONSOLE_PORT"}
"""Their ports may be taken here; in the cluster each pod has its own."""

_ENTRY = (sys.executable, "-P", "-m", "trunkline.runtime.container")
"""As the image has it."""


class ClusterHere:
    """What runs of it.

    Args:
        folder: for files.
        postgres_port: where one runs that takes every password.

    Attributes:
        ops: the ops ports of the services.
        edge_url: for clients.
        api_key: of the demo account.
    """

    def __init__(self, folder: Path, postgres_port: int) -> None:
        self.ops = {role: free_port() for role in SERVICES}
        self.api_key = made_secrets(OVERLAY)["trunkline-demo"]["TRUNKLINE_API_KEY"]
        self._folder = folder
        self._nats = NodePorts(free_port(), free_port(), free_port())
        self._public = {"edge": free_port(), "console": free_port(), "upstream": free_port()}
        self.edge_url = f"http://127.0.0.1:{self._public['edge']}"
        self._moved = {
            "nats:4222": f"127.0.0.1:{self._nats.nats}",
            "postgres:5432": f"127.0.0.1:{postgres_port}",
            "edge:8080": f"127.0.0.1:{self._public['edge']}",
            "console:8081": f"127.0.0.1:{self._public['console']}",
            "upstream:9200": f"127.0.0.1:{self._public['upstream']}",
            "/var/lib/trunkline": str(folder / "spool"),
            "/etc/trunkline": str(folder),
            # The demo upstream's network.
            "10.0.0.0/8": "127.0.0.0/8",
        }
        self._servers: list[Server] = []

    def start(self) -> None:
        """Start NATS, the upstream and all services."""
        command = [nats_binary(), "-c", str(write_node(self._folder, OVERLAY, 0, [self._nats], self._folder))]
        nats = Server(command, self._nats.nats, self._folder / "nats.log", None)
        nats.environment |= node_environment(OVERLAY, 0)
        self._servers.append(nats.start())
        arguments = [*container(OVERLAY, "upstream").spec["args"][:-1], str(self._public["upstream"])]
        self._start("upstream", arguments, {}, self._public["upstream"])
        for role, port in self.ops.items():
            each = container(OVERLAY, role)
            variables = self._variables(each) | {"TRUNKLINE_OPS_PORT": str(port)}
            if role in _PORT_SETTINGS:
                variables[_PORT_SETTINGS[role]] = str(self._public[role])
            self._start(role, each.spec["args"], variables, port)

    def _start(self, role: str, arguments: list[str], variables: dict[str, str], port: int) -> None:
        server = Server([*_ENTRY, *arguments], port, self._folder / f"{role}.log", None)
        server.environment |= variables
        self._servers.append(server.start())

    def run(self, job: str) -> str:
        """Run a Job to its end and return what it says."""
        each = container(OVERLAY, job)
        for volume in each.pod["volumes"]:
            if "configMap" in volume:
                for name, text in named(OVERLAY, "ConfigMap", volume["configMap"]["name"])["data"].items():
                    (self._folder / name).write_text(self._here(text))
        command = [*_ENTRY, *map(self._here, each.spec["args"])]
        done = subprocess.run(  # noqa: S603 - our own manifest's
            command,
            env=ENVIRONMENT | self._variables(each),
            cwd="/",
            capture_output=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def _variables(self, each: Container) -> dict[str, str]:
        """Return a container's variables, with its secrets in files of this machine."""
        made, files, found = made_secrets(OVERLAY), secret_files(each), {}
        folder = self._folder / each.role
        folder.mkdir()
        for path, (secret, key) in files.items():
            (folder / Path(path).name).write_text(self._here(made[secret][key]))
        for name, value in environment(OVERLAY, each).items():
            if value is None:
                found[name] = self.api_key
            elif name.endswith("_FILE"):
                found[name] = str(folder / Path(value).name)
            else:
                found[name] = self._here(value)
        return found

    def _here(self, text: str) -> str:
        for there, here in self._moved.items():
            text = text.replace(there, here)
        return text

    def stop(self) -> None:
        """Stop all, the last first."""
        for server in reversed(self._servers):
            server.stop()
