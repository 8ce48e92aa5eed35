"""Processes that stop answering while their connections stand, for the length of a block."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from tests.support.stack import until

WITHIN_S = 10.0


@contextlib.contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Hold processes, and let those go on that are still there at the end."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        for pid in pids:
            until(lambda pid=pid: _stands_still(pid), WITHIN_S, f"process {pid} stands still")  # type: ignore[misc] # mypy cannot infer a lambda with a default
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _stands_still(pid: int) -> bool:
    """Whether all threads do: each takes the signal for itself."""
    states = [stat.read_text().rpartition(")")[2].split()[0] for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
    return set(states) <= {"T"}
