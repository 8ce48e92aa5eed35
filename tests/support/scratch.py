"""Where tests keep the data of their servers: in memory, where there is room for it.

To make a database and to drop it are some 600 files each. On a disk that takes half a second of the kernel's time, for
each of some thousand tests; in memory a tenth of that.
"""

import functools
import os
import shutil
import tempfile
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - what is made there has a name of its own

MEMORY = Path("/proc/meminfo")

ROOM_BYTES = 8 * 1024**3
"""Ten times what the whole run has there at its height: it is the memory that everything else needs as well."""


@functools.cache
def scratch_folder() -> str:
    """Return the folder under which servers' folders are made.

    Programs must be allowed to run there: where Postgres may not be root, its own are copied beside its data.
    """
    try:
        room_bytes = min(shutil.disk_usage(SHARED_MEMORY).free, _memory_available_bytes())
        closed = os.statvfs(SHARED_MEMORY).f_flag & os.ST_NOEXEC
    except OSError:
        return tempfile.gettempdir()
    usable = room_bytes >= ROOM_BYTES and not closed and os.access(SHARED_MEMORY, os.W_OK)
    return str(SHARED_MEMORY) if usable else tempfile.gettempdir()


def _memory_available_bytes() -> int:
    """Return what could be had without taking any from a process. What the folder has room for may be more."""
    line = next(line for line in MEMORY.read_text().splitlines() if line.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024
