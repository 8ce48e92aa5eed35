"""Starts `trunkline dev` as a user would, and ends it as a user would: with SIGTERM, and an exit code of 0."""

# ruff: noqa: S603 - real processes, started and waited for from synchronous fixtures

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from tests.support.servers import server_directory
from tests.support.surface import Surface
from trunkline.runtime import config
from trunkline.runtime.clock import SystemClock

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
POLL_S = 0.02

_pause = Event()
"""Never set: waiting for it is a pause between two looks."""


class StackError(Exception):
    """The stack did not start; carries what it said."""


class SurfaceStack(Surface):
    """A running stack that can be ended.

    Args:
        process: of `trunkline dev`.
        directory: holds its data, its log and its ready file.

    Attributes:
        data_dir: all that the stack writes, but for `output`.
        output: what `trunkline dev` itself printed.
        ready_file: as in its arguments.
    """

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        super().__init__(directory / "ready.json")
        self._process = process
        self.data_dir = directory / "data"
        self.output = directory / "dev.log"
        self.ready_file = directory / "ready.json"

    def tell_to_stop(self) -> None:
        """Send SIGTERM, and do not wait."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Return the exit code once it has ended by itself."""
        return self._process.wait(STOP_TIMEOUT_S)

    def end(self) -> None:
        """End it if it still runs; whatever happens, nothing of it is left running."""
        if self._process.poll() is None:
            self.tell_to_stop()
        try:
            code = self.wait()
        except subprocess.TimeoutExpired:
            self._process.kill()  # the kernel then ends its children
            self._process.wait()
            raise
        assert code == 0, self.output.read_text()[-2000:]


@contextmanager
def running_stack(*arguments: str, settings: Mapping[str, str] | None = None) -> Iterator[SurfaceStack]:
    """Run a stack on free ports, with the demo configuration unless ``arguments`` name another.

    Args:
        arguments: further ones of `trunkline dev`.
        settings: environment variables for its services.

    Raises:
        StackError: it did not start.
    """
    with server_directory("surface") as directory:
        output, ready_file = directory / "dev.log", directory / "ready.json"
        command = [sys.executable, "-m", "trunkline.dev", "--port", "0"]
        command += ["--ready-file", str(ready_file), "--data-dir", str(directory / "data"), *arguments]
        with output.open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**config.environment(), **(settings or {})},
                start_new_session=True,
            )
        stack = SurfaceStack(process, directory)
        try:
            clock = SystemClock()
            deadline = clock.now() + START_TIMEOUT_S
            while not ready_file.exists():
                if process.poll() is not None or clock.now() > deadline:
                    raise StackError(output.read_text()[-4000:])
                _pause.wait(POLL_S)
            yield stack
        finally:
            stack.end()
