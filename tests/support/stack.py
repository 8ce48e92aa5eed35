"""`trunkline dev` as a process: started in a folder of its own, waited for, stopped, and looked for leftovers.

For tests of the stack itself; `support.live_stack` has what tests of the gateway need.
"""

# ruff: noqa: S603, TID251 - real processes, started and waited for from synchronous fixtures

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from trunkline.dev.ready import ReadyFile

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 40.0
GONE_TIMEOUT_S = 10.0
POLL_S = 0.02

T = TypeVar("T")


class DevStack:
    """One run of `trunkline dev`.

    Args:
        directory: holds its data folder (with a space in its name), its ready file and its output.
        args: further command line.
        environment: further environment; None takes a variable away.
    """

    def __init__(
        self, directory: Path, *args: str, environment: Mapping[str, str | None] | None = None, port: int = 0
    ) -> None:
        self.data_dir = directory / "data folder"
        self.output = directory / "dev.log"
        self._ready_path = directory / "ready.json"
        self._ready_path.unlink(missing_ok=True)  # a stack that was killed has left it
        command = [sys.executable, "-m", "trunkline.dev", "--port", str(port), "--data-dir", str(self.data_dir)]
        command += ["--ready-file", str(self._ready_path), *args]
        merged = {**os.environ, **(environment or {})}
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={name: value for name, value in merged.items() if value is not None},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Of `trunkline dev` itself."""
        return self._process.pid

    @property
    def said(self) -> str:
        """What it has printed so far."""
        return self.output.read_text()

    @property
    def ready_path(self) -> Path:
        """Its ready file."""
        return self._ready_path

    @property
    def ready(self) -> ReadyFile:
        """The ready file as it is now."""
        return msgspec.json.decode(self._ready_path.read_bytes(), type=ReadyFile)

    def wait_ready(self) -> ReadyFile:
        """Return the ready file once it is there."""

        def look() -> ReadyFile | None:
            assert self._process.poll() is None, f"it ended with code {self._process.returncode}:\n{self.said}"
            return self.ready if self._ready_path.exists() else None

        return until(look, START_TIMEOUT_S, "the stack is ready")

    def wait_end(self) -> int:
        """Return its exit code once it has ended by itself."""
        return self._process.wait(STOP_TIMEOUT_S)

    def kill(self) -> None:
        """End it without warning."""
        self._process.kill()
        self._process.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop, and return its exit code once it and all that it had started are gone."""
        family = descendants(self.pid)
        self._process.send_signal(number)
        code = self._process.wait(STOP_TIMEOUT_S)
        assert not [pid for pid in family if alive(pid)], "processes were left behind"
        return code

    def abandon(self) -> None:
        """Clean up after a test, whatever happened in it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()


@contextmanager
def running_stack(
    directory: Path, *args: str, environment: Mapping[str, str | None] | None = None, port: int = 0
) -> Iterator[DevStack]:
    """Run a stack for the length of the block; the arguments are those of `DevStack`.

    Raises:
        AssertionError: a service did what `bus.permissions` does not let its role do.
    """
    stack = DevStack(directory, *args, environment=environment, port=port)
    try:
        yield stack
    finally:
        stack.abandon()
    assert not permission_refusals(stack.data_dir / "logs")


def permission_refusals(logs: Path) -> list[str]:
    """Return what services have logged of subjects that NATS refused them; see `bus.permissions`."""
    lines = [line for log in logs.glob("*.log") for line in log.read_text().splitlines()]
    return [line for line in lines if "bus_permission_refused" in line]


def until(look: Callable[[], T | None], within_s: float, what: str) -> T:
    """Return the first true value of ``look()``.

    Raises:
        AssertionError: there was none in time.
    """
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(POLL_S)
    return found


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have started."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, waiting = [], [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended and waits to be collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}
