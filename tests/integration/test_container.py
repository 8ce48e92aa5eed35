"""Process 1 of a container: it hears SIGTERM from the start, and runs what it is told to."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stack import until
from trunkline.runtime import config
from trunkline.runtime.container import EXIT_TERMINATED

CONTAINER = (sys.executable, "-P", "-m", "trunkline.runtime.container")
FIRST_PROCESS = ("unshare", "--pid", "--fork", "--kill-child")
WITHIN_S = 20.0

EDGE = {
    "NATS_URL": "nats://edge:drawn@127.0.0.1:1",
    "TRUNKLINE_KEY_PEPPER": "for-tests-only-0123456789",
    "TRUNKLINE_OPS_HOST": "127.0.0.1",
}


def may_unshare() -> bool:
    """Return whether a process can be the first one of a namespace here."""
    try:
        return subprocess.run([*FIRST_PROCESS, "true"], capture_output=True, check=False).returncode == 0  # noqa: S603 - util-linux
    except FileNotFoundError:
        return False


needs_namespaces = pytest.mark.skipif(not may_unshare(), reason="needs unshare (util-linux) and the right to use it")


@contextlib.contextmanager
def as_first_process(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Yield ``unshare``, which ends as its child does, and the child's id out here."""
    process = subprocess.Popen([*FIRST_PROCESS, *CONTAINER, *arguments], env=config.environment() | environment)  # noqa: S603 - ours
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    try:
        until(lambda: children.read_text() != "", WITHIN_S, "the process is there")
        yield process, int(children.read_text())
    finally:
        process.kill()
        process.wait()


def hears_sigterm(pid: int) -> bool:
    """Return whether a process has a handler (proc_pid_status(5))."""
    (mask,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt:"))
    return bool(int(mask.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


@needs_namespaces
def test_a_service_that_has_not_begun_ends_at_once(tmp_path: Path) -> None:
    # It does not begin, however late the signal comes: one of its modules takes a minute.
    (tmp_path / "structlog.py").write_text("import time\ntime.sleep(60)\n")
    environment = EDGE | {"TRUNKLINE_SPOOL_DIR": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    with as_first_process("services.edge", **environment) as (process, pid):
        until(lambda: hears_sigterm(pid), WITHIN_S, "it hears")
        os.kill(pid, signal.SIGTERM)
        # Once it has begun it ends with 0.
        assert process.wait(WITHIN_S) == EXIT_TERMINATED


@needs_namespaces
def test_a_command_that_knows_no_signals_ends_at_once() -> None:
    with as_first_process("http.server", "--bind", "127.0.0.1", "0") as (process, pid):
        until(lambda: hears_sigterm(pid), WITHIN_S, "it hears")
        os.kill(pid, signal.SIGTERM)
        assert process.wait(WITHIN_S) == EXIT_TERMINATED


def test_a_module_gets_its_arguments_and_gives_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text(
        "import sys\nif __name__ == '__main__':\n    sys.exit(sys.argv[1:] != ['--a', 'b'])\n"
    )
    run = [*CONTAINER, "told", "--a"]
    environment = config.environment() | {"PYTHONPATH": str(tmp_path)}
    assert subprocess.run([*run, "b"], env=environment, check=False).returncode == 0  # noqa: S603 - ours
    assert subprocess.run([*run, "c"], env=environment, check=False).returncode == 1  # noqa: S603 - ours
