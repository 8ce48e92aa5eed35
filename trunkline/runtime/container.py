"""Runs a module as the first process of a container: ``python -m trunkline.runtime.container services.edge``.

The kernel gives that process no signal which it has no handler for (pid_namespaces(7)), and a service imports for a
second before it has its own: SIGTERM would be lost, and the container stand until it is killed at the end of its grace.
"""

import os
import runpy
import signal
import sys
from types import FrameType
from typing import Final

EXIT_TERMINATED: Final = 128 + signal.SIGTERM
"""As shells tell of a process that the signal has ended."""


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(EXIT_TERMINATED)


def main() -> None:
    """Run the module that the first argument names; it gets the others, and ends at SIGTERM until it knows better."""
    signal.signal(signal.SIGTERM, _end)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
