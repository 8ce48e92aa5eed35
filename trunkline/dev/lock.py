"""One stack per data folder: a lock that every process of the stack holds a share of.

The lock is on an open file that all children inherit, so it is free only when the last of them is gone, even if the
stack itself was killed outright. Whoever gets it may touch the data.
"""

import contextlib
import fcntl
import os
from pathlib import Path

from trunkline.core.clock import Clock

FILE = "lock"
ORPHANS_TIMEOUT_S = 15.0
"""How long the children of a stack that was killed may take to end: Postgres's immediate shutdown, mostly."""

POLL_S = 0.05


class LockedError(Exception):
    """The folder is in use; says by whom."""


async def acquire(data_dir: Path, clock: Clock) -> int:
    """Return the file descriptor of the lock, for children to inherit.

    Raises:
        LockedError: see there.
        OSError: the folder cannot be written to.
    """
    descriptor = os.open(data_dir / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = clock.now() + ORPHANS_TIMEOUT_S
    while not _try_lock(descriptor):
        owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        if _alive(owner):
            os.close(descriptor)
            raise LockedError(f"another `trunkline dev` (process {owner}) uses {data_dir}; stop it or give --data-dir")
        if clock.now() > deadline:
            os.close(descriptor)
            raise LockedError(f"processes of an earlier run still use {data_dir}; end them first")
        await clock.sleep(POLL_S)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def _try_lock(descriptor: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _alive(owner: str) -> bool:
    if not owner.isdecimal():
        return False
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
