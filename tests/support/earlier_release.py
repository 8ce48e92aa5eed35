"""Services of an earlier commit, taken from the repository's history and run with this environment's packages."""

# ruff: noqa: S603, S607 - git, and our own programs

import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from tests.support.servers import free_port
from trunkline.cli import http
from trunkline.cli.failure import CLIError

ROOT = Path(__file__).parents[2]
STOP_TIMEOUT_S = 20.0


def unpack(commit: str, folder: Path) -> bool:
    """Write a commit's files to a folder; returns whether the history holds it."""
    archive = subprocess.run(["git", "-C", ROOT, "archive", commit], check=False, capture_output=True)
    if archive.returncode:
        return False
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return True


class EarlierService:
    """One process.

    Args:
        code: folder of `unpack`.
        role: which service.
        settings: of it.
        log: file for its output.

    Attributes:
        ops_url: of its ops port.
    """

    def __init__(self, code: Path, role: str, settings: Mapping[str, str], log: Path) -> None:
        port = free_port()
        self.ops_url = f"http://127.0.0.1:{port}"
        self.log = log
        environment = {
            "PATH": os.defpath,
            "PYTHONPATH": str(code),
            "TRUNKLINE_OPS_HOST": "127.0.0.1",
            "TRUNKLINE_OPS_PORT": str(port),
            **settings,
        }
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"services.{role}"], cwd=code, env=environment, stdout=output, stderr=output
            )

    async def ready(self) -> bool:
        """Whether it says that it can work."""
        assert self._process.poll() is None, self.log.read_text()[-2000:]
        try:
            return http.call("GET", f"{self.ops_url}/readyz").status == 200
        except CLIError:
            return False

    def metric(self, prefix: str) -> float:
        """Return the sum of all samples whose names begin so."""
        text = http.call("GET", f"{self.ops_url}/metrics").body.decode()
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(prefix))

    def stop(self) -> int:
        """Ask it to stop; returns its exit code."""
        self._process.terminate()
        try:
            return self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise


@contextmanager
def earlier_services(code: Path, wanted: Mapping[str, Mapping[str, str]]) -> Iterator[dict[str, EarlierService]]:
    """Run services for the length of the block; all must end well.

    Args:
        code: folder of `unpack`.
        wanted: settings by role.
    """
    running = {role: EarlierService(code, role, own, code / f"{role}.log") for role, own in wanted.items()}
    try:
        yield running
    finally:
        codes = {role: service.stop() for role, service in running.items()}
    assert codes == dict.fromkeys(wanted, 0)
