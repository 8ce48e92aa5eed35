"""Usage on disk while JetStream takes none: files that outlive their process, and are adopted by one that comes later.

::

    <directory>/lock                        held while folders are made and adopted
    <directory>/<process>/lock              held as long as the process lives
    <directory>/<process>/00000001.usage    records (`bus.spool_record`), appended and synchronised
    <directory>/<process>/journal           what is in neither, while the process lives (`runtime.usage_journal`)

A folder whose lock can be had belongs to a dead process. The directory must be on a file system of one machine, whose
locks end with the process; containers there may share it. All work on files is done in threads.
"""

import asyncio
import contextlib
import dataclasses
import fcntl
import os
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from trunkline.bus import journal_record, usage_batches
from trunkline.bus.spool_record import encode_record, read_records
from trunkline.runtime.usage_journal import UsageJournal

log = structlog.get_logger()

FILE_BYTES_MAX = 4 * 1024 * 1024
"""A file that is larger is followed by another one: so much is read at once, and gone when it is stored."""

_LOCK = "lock"
_SUFFIX = ".usage"
_JOURNAL = "journal"
_FROM_JOURNAL = f"{_JOURNAL}{_SUFFIX}"
"""The last of a folder's files, as what is in it came last."""


class SpoolError(Exception):
    """The disk did not do what was asked."""


class SpooledFile(NamedTuple):
    """The oldest file of a spool.

    Attributes:
        payloads: of its records.
        name: of the file, with that of the process that wrote it; no other file ever has the same.
        own: whether this process wrote it.
        torn_bytes: of what could not be read, at the end of a dead process's file.
    """

    payloads: list[bytes]
    name: str
    own: bool
    torn_bytes: int


class _Folder:
    """A process's folder, locked by this one."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock
        self.files = 0

    @classmethod
    def take(cls, path: Path) -> "_Folder | None":
        """Lock a folder; None if its process lives, or another one has adopted it."""
        lock = _open_lock(path)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return cls(path, lock)

    def leave(self) -> None:
        """Give it up; an empty one is removed."""
        if not self.files:
            with contextlib.suppress(OSError):  # something of a stranger's is in it
                (self.path / _LOCK).unlink(missing_ok=True)
                self.path.rmdir()
        os.close(self._lock)


@dataclasses.dataclass
class _File:
    path: Path
    folder: _Folder
    size_bytes: int
    records: int = 0


class Spool:
    """What waits on disk, oldest first. Make it with `open_spool`; one task at a time may await its methods.

    Args:
        own: folder of this process.
        adopted: files of dead ones.
        bytes_max: past it the spool is full.
        journal: of this process.

    Attributes:
        bytes_max, journal: see there.
        size_bytes: of all files.
    """

    def __init__(
        self, own: _Folder, adopted: Sequence[_File], *, bytes_max: int, journal: UsageJournal | None = None
    ) -> None:
        self._own = own
        self._files = deque(adopted)
        self.bytes_max = bytes_max
        self.journal = journal
        self._numbers = 0
        self._descriptor: int | None = None
        self._guard = threading.Lock()
        self.size_bytes = sum(file.size_bytes for file in adopted)

    def __len__(self) -> int:
        return len(self._files)

    @property
    def full(self) -> bool:
        """Whether nothing more should be written."""
        return self.size_bytes >= self.bytes_max

    async def append(self, payloads: Sequence[bytes]) -> None:
        """Return when the payloads are on disk, in their order behind all others.

        Raises:
            SpoolError: they are not, or not all of them.
        """
        await asyncio.to_thread(self._append, b"".join(map(encode_record, payloads)), len(payloads))

    def _append(self, records: bytes, count: int) -> None:
        with self._guard:
            try:
                file, descriptor = self._current()
                _write_all(descriptor, records)
                os.fsync(descriptor)
            except OSError as error:
                self._close_current()  # what was written of them must not stand before what comes next
                raise SpoolError(f"usage cannot be written to {self._own.path}: {error.strerror}") from error
            file.size_bytes += len(records)
            file.records += count
            self.size_bytes += len(records)
            if file.size_bytes >= FILE_BYTES_MAX:
                self._close_current()

    def _current(self) -> tuple[_File, int]:
        if self._descriptor is None:
            self._numbers += 1
            path = self._own.path / f"{self._numbers:08}{_SUFFIX}"
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._own.files += 1
            self._files.append(_File(path, self._own, 0))
            _synchronise(self._own.path)
        return self._files[-1], self._descriptor

    def _close_current(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    async def oldest(self) -> SpooledFile:
        """Return the oldest file; nothing is appended to it any more. There must be one.

        Raises:
            SpoolError: it cannot be read, or lacks what this process wrote to it.
        """
        return await asyncio.to_thread(self._read_oldest)

    def _read_oldest(self) -> SpooledFile:
        with self._guard:
            file = self._files[0]
            own = file.folder is self._own
            if own and len(self._files) == 1:
                self._close_current()
            try:
                payloads, torn_bytes = read_records(self._read(file, own=own))
            except OSError as error:
                raise SpoolError(f"{file.path} cannot be read: {error.strerror}") from error
            if own and len(payloads) < file.records:
                raise SpoolError(f"{file.path} has {len(payloads)} of {file.records} records")
            name = f"{file.path.parent.name}-{file.path.stem}"
            return SpooledFile(payloads[: file.records] if own else payloads, name, own, torn_bytes)

    def _read(self, file: _File, *, own: bool) -> bytes:
        try:
            return file.path.read_bytes()
        except OSError as error:
            if own:
                raise
            # A broken file of the dead must not keep the living from working.
            log.exception("spool_file_unreadable", file=str(file.path), error=error.strerror)
            file.path.rename(file.path.with_suffix(".unreadable"))
            return b""

    async def drop_oldest(self) -> None:
        """Remove the oldest file: all of it is stored.

        Raises:
            SpoolError: it is still there.
        """
        await asyncio.to_thread(self._drop_oldest)

    def _drop_oldest(self) -> None:
        with self._guard:
            file = self._files[0]
            try:
                file.path.unlink(missing_ok=True)
                self._files.popleft()
                self.size_bytes -= file.size_bytes
                file.folder.files -= 1
                if not file.folder.files and file.folder is not self._own:
                    file.folder.leave()
            except OSError as error:
                raise SpoolError(f"{file.path} cannot be removed: {error.strerror}") from error

    def close(self) -> None:
        """Leave what waits to others."""
        with self._guard:
            self._close_current()
            if self.journal is not None:
                self.journal.close()
            for folder in {id(file.folder): file.folder for file in self._files}.values():
                if folder is not self._own:
                    folder.leave()
            self._own.leave()


def open_spool(directory: Path, process: str, *, bytes_max: int) -> Spool:
    """Return the spool of a process, with what dead ones left there. Blocks: call it in a thread.

    Args:
        directory: made if it is missing.
        process: its id.
        bytes_max: see `Spool`.

    Raises:
        OSError: the directory cannot be used.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    guard = _open_lock(directory)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)
        adopted = [file for path in sorted(directory.iterdir()) if path.is_dir() for file in _adopt(path)]
        path = directory / process
        path.mkdir(mode=0o700)
        own = _Folder.take(path)
        _synchronise(directory)
    finally:
        os.close(guard)
    if own is None:
        raise FileExistsError(f"{path} belongs to another process")
    if adopted:
        log.warning("usage_adopted", files=len(adopted), bytes=sum(file.size_bytes for file in adopted))
    return Spool(own, adopted, bytes_max=bytes_max, journal=_open_journal(path / _JOURNAL))


def _open_journal(path: Path) -> UsageJournal | None:
    try:
        return UsageJournal(path)
    except OSError as error:
        log.warning("usage_journal_off", file=str(path), error=error.strerror)
        return None


def _adopt(path: Path) -> list[_File]:
    try:
        folder = _Folder.take(path)
        if folder is None:
            return []
        _keep_journal(path)
        files = [_File(file, folder, file.stat().st_size) for file in sorted(path.glob(f"*{_SUFFIX}"))]
        folder.files = len(files)
        if not files:
            folder.leave()
    except FileNotFoundError:
        return []  # another process has just removed it
    return files


def _keep_journal(folder: Path) -> None:
    """Make a file like the others of what a dead process's journal holds: much smaller, and in larger batches."""
    journal = folder / _JOURNAL
    try:
        payloads = usage_batches.merged(journal_record.read(journal.read_bytes()))
        if payloads:
            written = folder / f"{_FROM_JOURNAL}.tmp"
            with open(written, "wb", opener=_open_private) as file:
                file.write(b"".join(map(encode_record, payloads)))
                file.flush()
                os.fsync(file.fileno())
            written.rename(folder / _FROM_JOURNAL)
            _synchronise(folder)
        journal.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        # Whoever starts next tries again.
        log.exception("usage_journal_not_kept", file=str(journal), error=error.strerror)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _open_lock(directory: Path) -> int:
    return os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _synchronise(directory: Path) -> None:
    """Have the names in a directory on disk, too."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
