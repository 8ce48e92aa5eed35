"""Runs the load generator (`bench.load`) and reads what it says."""

import subprocess
import sys
import threading
from collections.abc import Callable

import msgspec

from bench.orders import Order, Outcome, Progress

START_TIMEOUT_S = 30.0
"""For the interpreter to start and all connections to be made."""

_decode_line = msgspec.json.Decoder(Progress | Outcome).decode


class GeneratorError(Exception):
    """The generator ended without an outcome; carries the end of what it said."""


class Generator:
    """A generator under way.

    Args:
        order: what it is to do.
    """

    def __init__(self, order: Order) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._deadline = threading.Timer(order.seconds_max + order.grace_s + START_TIMEOUT_S, self._process.kill)
        self._deadline.daemon = True
        self._deadline.start()
        assert self._process.stdin is not None  # noqa: S101 - piped above; for the type checker
        self._process.stdin.write(msgspec.json.encode(order))
        self._process.stdin.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def outcome(self, on_progress: Callable[[Progress], None] | None = None) -> Outcome:
        """Return what came of the order, telling of its progress on the way.

        Raises:
            GeneratorError: see there.
        """
        assert self._process.stdout is not None  # noqa: S101 - as above
        assert self._process.stderr is not None  # noqa: S101 - as above
        try:
            for line in self._process.stdout:
                said = _decode_line(line)
                if isinstance(said, Outcome):
                    return said
                if on_progress is not None:
                    on_progress(said)
            raise GeneratorError(self._process.stderr.read().decode(errors="replace")[-2000:])
        finally:
            self._deadline.cancel()
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            self._process.stderr.close()


def run(order: Order) -> Outcome:
    """Carry an order out.

    Raises:
        GeneratorError: see there.
    """
    return Generator(order).outcome()
