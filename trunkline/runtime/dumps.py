"""Crash dumps: none, and nothing in those that are made all the same. Called by `runtime.process`."""

import contextlib
import resource
from pathlib import Path

_FILTER = Path("/proc/self/coredump_filter")
"""Which kinds of memory go into a dump (core(5)); of Linux alone."""


def forbid() -> None:
    """Keep this process's memory out of crash dumps: keys, prompts and answers are in it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A kernel that hands dumps to a program does not ask for the limit.
    with contextlib.suppress(OSError):
        _FILTER.write_text("0")
