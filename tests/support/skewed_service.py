"""Runs a service whose wall clock can be set wrong: ``python -m tests.support.skewed_service services.edge OFFSET``.

OFFSET is a file with eight bytes: nanoseconds, little-endian and signed, that the service's wall time is ahead. Its
monotonic time is not touched, as on a machine whose clock is set.
"""

import mmap
import runpy
import sys
import time
from pathlib import Path

OFFSET_BYTES = 8


def write_offset(path: Path, seconds: float) -> None:
    """Have the clock of whoever runs on this file be ahead by ``seconds`` from now on."""
    with path.open("r+b" if path.exists() else "w+b", buffering=0) as file:
        file.write(int(seconds * 1e9).to_bytes(OFFSET_BYTES, "little", signed=True))


def main() -> None:
    """Run the module that the command line names, and never return."""
    module, path = sys.argv[1:]
    with Path(path).open("rb") as file:
        offset = mmap.mmap(file.fileno(), OFFSET_BYTES, access=mmap.ACCESS_READ)
    true_ns = time.time_ns

    def time_ns() -> int:
        return true_ns() + int.from_bytes(offset[:], "little", signed=True)

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9  # noqa: TID251 - the clock's other half
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
