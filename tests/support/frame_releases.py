"""Releases of the program as far as frames tell them apart: what each reads, and what it writes at the most."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from trunkline.bus import frames


class Release(NamedTuple):
    """The constants of `bus.frames` in one release."""

    oldest_read: int
    newest_read: int
    newest_written: int

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Let what happens in the block be done by a process of this release."""
        others = Release(frames.OLDEST_READ, frames.NEWEST_READ, frames.NEWEST_WRITTEN)
        self._set()
        try:
            yield
        finally:
            others._set()

    def _set(self) -> None:
        frames.OLDEST_READ, frames.NEWEST_READ, frames.NEWEST_WRITTEN = self


OLD = Release(1, 1, 1)
"""Knows version 1 alone, as today's does."""

READS_NEW = Release(1, 2, 1)
WRITES_NEW = Release(1, 2, 2)
FORGOT_OLD = Release(2, 2, 2)
"""The three releases in which a version comes; see docs/bus-protocol.md, Changes."""

NOBODY = Release(0, 0, 0)
"""In place of the constants while no process acts: who uses them then is found out, since nobody reads version 0."""
