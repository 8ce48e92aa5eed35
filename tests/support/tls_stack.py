"""Every service as its own process, and TLS wherever one talks to another or to a client."""

# ruff: noqa: S603, TID251 - real processes of ours, started and waited for from synchronous fixtures

import asyncio
import contextlib
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from tests.support.authority import Authority
from tests.support.cli import CLI
from tests.support.guarded_nats import GuardedNATS, over_tls
from tests.support.live_stack import new_key
from tests.support.postgres_tls import postgres_tls
from tests.support.servers import PostgresServer, server_directory
from tests.support.stack import until
from trunkline.bus.permissions import ROLES
from trunkline.dev import secrets
from trunkline.dev.ports import PortPicker
from trunkline.store.migrate import migrate

READY_WITHIN_S = 60.0
STOP_WITHIN_S = 30.0
"""NATS and Postgres answer, so that it takes a second; this is for a busy machine."""

LOG_SHOWN_CHARS = 20_000
"""Of what a process that has not ended had written, from its end."""

HOST = "localhost"


class TLSStack:
    """Services that run.

    Args:
        directory: for everything.

    Attributes:
        authority: of all certificates.
        trust: what a client trusts.
        base_url, console_url: of the edge and the console.
        upstream_url: of the demo upstream, without ``/v1``; the one place without TLS.
        postgres: takes connections to the database.
        dsn: of the database, for services.
        pids: of services, by role.
        drawn: the secrets.
        api_key: of the account.
    """

    def __init__(self, directory: Path) -> None:
        certificates = directory / "certificates"
        certificates.mkdir(mode=0o711)
        self._directory = directory
        self.authority = Authority(certificates)
        self.trust = ssl.create_default_context(cafile=str(self.authority.path))
        self.drawn = secrets.draw()
        self.api_key = new_key()
        picker = PortPicker()
        self._ops_ports = {role: picker.pick() for role in ROLES}
        self._edge_port, self._console_port, upstream_port = (picker.pick() for _ in range(3))
        self.base_url = f"https://{HOST}:{self._edge_port}"
        self.console_url = f"https://{HOST}:{self._console_port}"
        self.upstream_url = f"http://127.0.0.1:{upstream_port}"
        self._upstream_port = upstream_port
        self.dsn = ""
        self.pids: dict[str, int] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def directory(self) -> Path:
        """Where everything is."""
        return self._directory

    @property
    def edge_port(self) -> int:
        """Where the edge listens."""
        return self._edge_port

    def cli(self) -> CLI:
        """Return a command line that finds the console."""
        return CLI(
            TRUNKLINE_CONSOLE_URL=self.console_url,
            TRUNKLINE_CONSOLE_CA_PATH=str(self.authority.path),
            TRUNKLINE_ADMIN_KEY=self.drawn.admin_key,
        )

    def ops(self, role: str, path: str) -> str:
        """Return what the ops port of a role answers; empty while it is not ready or not there."""
        url = f"https://{HOST}:{self._ops_ports[role]}{path}"
        try:
            with urllib.request.urlopen(url, timeout=5, context=self.trust) as answer:
                body: str = answer.read().decode()
                return body
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return ""

    def log(self, name: str) -> str:
        """Return what a process has written."""
        return (self._directory / f"{name}.log").read_text()

    def start(self, servers: ExitStack) -> None:
        """Start everything, and return once it serves; ``servers`` are stopped by the caller."""
        for name, start in (("nats", self._start_nats), ("postgres", self._start_postgres)):
            folder = self._directory / name
            folder.mkdir(mode=0o711)
            start(servers, folder)
        self._run("upstream", "trunkline.dev.demo.upstream", {}, "--port", str(self._upstream_port))
        for role in ROLES:
            self.pids[role] = self._run(role, f"services.{role}", self._environment(role))
        until(lambda: self.ops("console", "/readyz"), READY_WITHIN_S, "the console is ready")
        configuration = self._directory / "config.yaml"
        configuration.write_text(yaml.safe_dump(self._configuration()))
        self.cli().run("apply", "--file", str(configuration))
        for role in ROLES:
            until(lambda role=role: self.ops(role, "/readyz"), READY_WITHIN_S, f"{role} is ready: {self.log(role)}")  # type: ignore[misc] # mypy cannot infer a lambda with a default

    def _start_nats(self, servers: ExitStack, folder: Path) -> None:
        self._nats = GuardedNATS(folder, over_tls(folder, self.authority), host=HOST)
        self._nats.start()
        servers.callback(self._nats.stop)

    def _start_postgres(self, servers: ExitStack, folder: Path) -> None:
        postgres = PostgresServer(folder)
        postgres.start()
        servers.callback(postgres.stop)
        self.postgres = servers.enter_context(postgres_tls(self.authority.issue("postgres"), postgres.port))
        self.dsn = f"postgresql://postgres@{HOST}:{self.postgres.port}/postgres"
        self.dsn += f"?sslmode=verify-full&sslrootcert={self.authority.path}"
        asyncio.run(migrate(self.dsn))

    def _environment(self, role: str) -> dict[str, str]:
        client, ops = self.authority.issue(f"{role}-client"), self.authority.issue(f"{role}-ops")
        environment = {
            "NATS_URL": self._nats.url_of(role),
            "TRUNKLINE_NATS_CA_PATH": str(self.authority.path),
            "TRUNKLINE_NATS_CERTIFICATE_PATH": str(client.certificate),
            "TRUNKLINE_NATS_KEY_PATH": str(client.key),
            "TRUNKLINE_OPS_HOST": "127.0.0.1",
            "TRUNKLINE_OPS_PORT": str(self._ops_ports[role]),
            "TRUNKLINE_OPS_CERTIFICATE_PATH": str(ops.certificate),
            "TRUNKLINE_OPS_KEY_PATH": str(ops.key),
            "TRUNKLINE_GRACE_S": "2",
            "TRUNKLINE_UPSTREAM_ALLOW": "127.0.0.0/8",
            "TRUNKLINE_SPOOL_DIR": str(self._directory / "spool"),
            "DATABASE_URL": self.dsn,
            "TRUNKLINE_ADMIN_KEY": self.drawn.admin_key,
            "TRUNKLINE_KEY_PEPPER": self.drawn.key_pepper,
            "TRUNKLINE_MASTER_KEYS": self.drawn.master_keys,
        }
        ports = {"edge": self._edge_port, "console": self._console_port}
        if role in ports:
            own, prefix = self.authority.issue(role), f"TRUNKLINE_{role.upper()}"
            environment |= {
                f"{prefix}_HOST": "127.0.0.1",
                f"{prefix}_PORT": str(ports[role]),
                f"{prefix}_CERTIFICATE_PATH": str(own.certificate),
                f"{prefix}_KEY_PATH": str(own.key),
            }
        return environment

    def _configuration(self) -> dict[str, object]:
        channel = {
            "name": "demo",
            "dialect": "openai",
            "base_url": f"{self.upstream_url}/v1",
            "credentials": ["sk-demo"],
            "models": {"demo": "demo"},
        }
        account = {"name": "acme", "credit": 100, "keys": [{"name": "ci", "secret": self.api_key}]}
        model = {"name": "demo", "price": {"input": 0.1, "output": 0.4}}
        return {"channels": [channel], "models": [model], "accounts": [account]}

    def _run(self, name: str, module: str, environment: dict[str, str], *arguments: str) -> int:
        with (self._directory / f"{name}.log").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={"PATH": os.defpath, **environment},
            )
        self._processes[name] = process
        return process.pid

    def stop(self) -> list[int]:
        """Ask every process to end, and return their exit codes.

        Raises:
            AssertionError: some have not ended in time; with what these have written last.
        """
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_WITHIN_S
        for process in self._processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(deadline - time.monotonic(), 0))
        left = [name for name, process in self._processes.items() if process.poll() is None]
        said = "\n".join(f"--- {name}:\n{self.log(name)[-LOG_SHOWN_CHARS:]}" for name in left)
        assert not left, f"not ended within {STOP_WITHIN_S} s: {', '.join(left)}\n{said}"
        return [process.wait() for process in self._processes.values()]

    def abandon(self) -> None:
        """End what is left."""
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()


@contextmanager
def tls_stack() -> Iterator[TLSStack]:
    """Run one for the length of the block; all its processes end in good order."""
    with server_directory("tls") as directory, ExitStack() as servers:
        stack = TLSStack(directory)
        servers.callback(stack.abandon)
        stack.start(servers)
        yield stack
        assert set(stack.stop()) == {0}
        for role in ROLES:
            assert "bus_permission_refused" not in stack.log(role)
