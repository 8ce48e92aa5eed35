"""`trunkline` as a process, as an operator types it: arguments in, what it prints and its exit code out."""

# ruff: noqa: S603 - our own program

import os
import pty
import select
import subprocess
import sys
from collections.abc import Mapping
from typing import NamedTuple, Self

from tests.support.surface import Surface
from trunkline.runtime.clock import SystemClock

TIMEOUT_S = 60.0
COMMAND = (sys.executable, "-m", "trunkline.cli")


class Result(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        """The words of each line of a table, headings first."""
        return [line.split() for line in self.out.splitlines()]


class CLI:
    """Runs commands.

    Args:
        variables: all of the environment, but for the path.
    """

    def __init__(self, **variables: str) -> None:
        self.environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "COLUMNS": "200", **variables}

    @classmethod
    def of(cls, surface: Surface) -> Self:
        """Return a CLI that finds everything of a stack."""
        ready = surface.ready
        return cls(
            TRUNKLINE_CONSOLE_URL=ready.console_url,
            TRUNKLINE_ADMIN_KEY=ready.admin_key,
            TRUNKLINE_BASE_URL=ready.base_url,
            TRUNKLINE_API_KEY=ready.api_key,
        )

    def without(self, *names: str) -> "CLI":
        """Return a CLI without some variables."""
        return CLI(**{name: value for name, value in self.environment.items() if name not in names})

    def having(self, **variables: str) -> "CLI":
        """Return a CLI with other variables."""
        return CLI(**{**self.environment, **variables})

    def run(self, *arguments: str, code: int = 0, said: str = "") -> Result:
        """Run a command; it must end with ``code`` and never with a traceback.

        Args:
            arguments: its command line.
            code: expected.
            said: standard input.
        """
        finished = subprocess.run(
            [*COMMAND, *arguments],
            check=False,
            capture_output=True,
            text=True,
            input=said,
            timeout=TIMEOUT_S,
            env=self.environment,
        )
        result = Result(finished.returncode, finished.stdout, finished.stderr)
        assert "Traceback" not in result.err, result.err
        assert result.code == code, result
        return result

    def ends(self, *arguments: str) -> int:
        """Run a command and return its exit code, whatever that is."""
        command = [*COMMAND, *arguments]
        return subprocess.run(
            command, check=False, capture_output=True, timeout=TIMEOUT_S, env=self.environment
        ).returncode

    def fails(self, *arguments: str, code: int = 1) -> str:
        """Run a command that cannot be done; returns what it says of it, on standard error alone."""
        result = self.run(*arguments, code=code)
        assert result.err.strip()
        return result.err


class Terminal:
    """A command that runs in a terminal of its own.

    Args:
        environment: of the process.
        arguments: the command line.

    Attributes:
        pieces: what it has written so far, as it came.
    """

    def __init__(self, environment: Mapping[str, str], *arguments: str) -> None:
        self._master, slave = pty.openpty()
        self._clock = SystemClock()
        self.pieces: list[str] = []
        try:
            self.process = subprocess.Popen(
                [*COMMAND, *arguments],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env={**environment, "TERM": "xterm"},
                start_new_session=True,
            )
        finally:
            os.close(slave)

    @property
    def text(self) -> str:
        """All that it has written, with plain line ends."""
        return "".join(self.pieces).replace("\r\n", "\n")

    def type(self, text: str) -> None:
        """Type on its keyboard."""
        os.write(self._master, text.encode())

    def wait_for(self, text: str) -> None:
        """Return once it has written a text.

        Raises:
            AssertionError: it has not in time.
        """
        deadline = self._clock.now() + TIMEOUT_S
        while text not in self.text:
            assert self._clock.now() < deadline, f"{text!r} did not come: {self.text!r}"
            assert self._read(1.0) or self.process.poll() is None, f"it ended without {text!r}: {self.text!r}"

    def wait_end(self) -> int:
        """Return its exit code."""
        while self._read(TIMEOUT_S):
            pass
        return self.process.wait(TIMEOUT_S)

    def _read(self, timeout_s: float) -> bool:
        readable, _, _ = select.select([self._master], [], [], timeout_s)
        try:
            data = os.read(self._master, 65536) if readable else b""
        except OSError:  # how Linux says that the other side of a terminal is closed
            return False
        self.pieces.append(data.decode(errors="replace"))
        return bool(data)

    def close(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)
