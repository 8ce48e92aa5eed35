"""Usage that is not yet safe elsewhere, in memory that outlives its process.

A file mapped into memory belongs to the kernel: what was written to it before a ``kill -9`` is there after it, without
a system call and without waiting for a disk. It does not outlive its machine, nor need it: edges have copies.

The file is in two halves, filled in turn. A half is written anew once all that it holds is safe; until then what comes
is not in it, and is no worse off than without a journal. Its blocks are reserved when it is made, since a write to
memory has no way to say that the disk is full.
"""

import contextlib
import mmap
import os
from pathlib import Path

from trunkline.bus import journal_record

HALF_BYTES = 1024 * 1024
"""Some four thousand events: as many as a busy dispatcher ends in the second after which usage goes to the spool."""


class UsageJournal:
    """The journal of this process.

    Args:
        path: where it is made.
        half_bytes: of each half.

    Raises:
        OSError: there is no room for it, or it is there already.
    """

    def __init__(self, path: Path, half_bytes: int = HALF_BYTES) -> None:
        self._path = path
        self._half_bytes = half_bytes
        size_bytes = journal_record.file_bytes(half_bytes)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size_bytes)
            self._memory = mmap.mmap(descriptor, size_bytes)
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(descriptor)
        self._half = 0
        self._used = 0
        self._safe = 0
        self._last = [0, 0]  # the highest number in each half

    def write(self, number: int, payload: bytes) -> None:
        """Note what is not safe yet.

        Args:
            number: higher than those before it.
            payload: as it would stand in the spool.
        """
        record = journal_record.encode(number, payload)
        if self._used + len(record) > self._half_bytes:
            other = 1 - self._half
            if self._last[other] > self._safe or len(record) > self._half_bytes:
                return
            self._half, self._used = other, 0
        start = journal_record.half_start(self._half, self._half_bytes) + self._used
        self._memory[start : start + len(record)] = record
        self._used += len(record)
        self._last[self._half] = number

    def safe(self, number: int) -> None:
        """Everything up to ``number`` is in JetStream, or in the spool."""
        self._safe = number
        self._memory[: journal_record.HEADER_BYTES] = journal_record.encode_header(number)

    def close(self) -> None:
        """Let go of it. What holds something that is not safe is left to whoever comes next."""
        self._memory.close()
        if max(self._last) <= self._safe:
            with contextlib.suppress(OSError):  # then it is left, too
                self._path.unlink(missing_ok=True)
