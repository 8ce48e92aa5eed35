"""Sets the wall clock of running processes wrong: of Postgres with its children, and of NATS, a static binary.

Programs ask the kernel for the time through the vDSO, a piece of code that it maps into every process, see vdso(7).
Its pages are private to the process: a debugger can write to them. So the functions that tell the wall time are led
to others, in the unused end of the mapping, which ask the kernel itself and add a number of seconds that stands beside
them. Monotonic time is not touched, as on a machine whose clock is set. Children inherit it.

Needs root, and a processor of the kind that this code is written for.
"""

# ruff: noqa: TID251 - waits for a process to stand still, from synchronous code

import contextlib
import functools
import os
import platform
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

HALT_TIMEOUT_S = 5.0
"""For all threads of a process to stand still: some are inside a write to a disk."""

LOOK_S = 0.0005

JUMP = b"\xe9"
JUMP_BYTES = 5

_SECONDS = b"\x00SECONDS"
"""In a `_ROUTINES` entry: the place of the address of the seconds, relative to the next instruction."""

# For x86-64, by the System V ABI; numbers of system calls are from asm/unistd_64.h. Each calls the kernel, and adds to
# the seconds of the answer where it is the wall time that was asked for (CLOCK_REALTIME is 0).
_ROUTINES: Mapping[bytes, bytes] = {
    # mov eax, 228; syscall; test edi, edi; jne end; mov rcx, [seconds]; add [rsi], rcx; end: ret
    b"__vdso_clock_gettime": b"\xb8\xe4\0\0\0\x0f\x05\x85\xff\x75\x0a\x48\x8b\x0d" + _SECONDS + b"\x48\x01\x0e\xc3",
    # mov eax, 96; syscall; test rdi, rdi; je end; mov rcx, [seconds]; add [rdi], rcx; end: ret
    b"__vdso_gettimeofday": b"\xb8\x60\0\0\0\x0f\x05\x48\x85\xff\x74\x0a\x48\x8b\x0d" + _SECONDS + b"\x48\x01\x0f\xc3",
    # mov eax, 201; syscall; add rax, [seconds]; test rdi, rdi; je end; mov [rdi], rax; end: ret
    b"__vdso_time": b"\xb8\xc9\0\0\0\x0f\x05\x48\x03\x05" + _SECONDS + b"\x48\x85\xff\x74\x03\x48\x89\x07\xc3",
}

_DYNAMIC = 2
_STRINGS, _SYMBOLS = 5, 6
"""Of ELF: the program header of the dynamic section, and two of its tags; see elf(5)."""


class ClockError(Exception):
    """A clock cannot be set; the message says why."""


class _Plan(NamedTuple):
    """What is written where in the vDSO, which is the same in all processes.

    Attributes:
        at: offset of the routines.
        code: the seconds, eight bytes, and the routines.
        entries: offset of each function that is led to one of them, with the jump.
    """

    at: int
    code: bytes
    entries: Mapping[int, bytes]


@functools.cache
def why_unavailable() -> str:
    """Return why this machine's clocks cannot be set wrong, as a reason to leave it out; empty if they can."""
    if os.geteuid() != 0:
        return "setting the clock of a process needs root"
    if platform.machine() != "x86_64":
        return "setting the clock of a process needs x86-64"
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:  # noqa: S603 - our own interpreter
        try:
            set_ahead(child.pid, 1)
        except (ClockError, OSError) as error:
            return f"the clock of a process cannot be set here: {error}"
        finally:
            child.kill()
    return ""


def set_ahead(pid: int, seconds: int) -> None:
    """Have the wall clock of a process and of its children be ahead from now on; below 0: behind.

    Args:
        pid: of a process that makes its children itself.
        seconds: whole ones.

    Raises:
        ClockError: it cannot be done on this kernel.
        OSError: there is no such process, or it may not be written to.
    """
    _set(pid, seconds)
    # Whoever was born before has the old time, and is there by now; whoever is born now has the new one.
    for child in _children(pid):
        with contextlib.suppress(OSError):  # it has ended
            _set(child, seconds)


def _set(pid: int, seconds: int) -> None:
    plan = _plan()
    start, _ = _mapping(pid)
    with Path(f"/proc/{pid}/mem").open("r+b", buffering=0) as memory, _halted(pid):
        while _inside(pid, [start + entry for entry in plan.entries]):
            os.kill(pid, signal.SIGCONT)
            time.sleep(LOOK_S)
            _halt(pid)
        memory.seek(start + plan.at)
        memory.write(struct.pack("<q", seconds) + plan.code)
        for entry, jump in plan.entries.items():
            memory.seek(start + entry)
            memory.write(jump)


def _children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
    return found


# --- what is written -------------------------------------------------------------------------------------------------


@functools.cache
def _plan() -> _Plan:
    """Return what is to be written, made from the vDSO of this very process."""
    start, end = _mapping(os.getpid())
    with Path("/proc/self/mem").open("rb", buffering=0) as memory:
        memory.seek(start)
        image = memory.read(end - start)
    functions = _functions(image)
    at = (len(image.rstrip(b"\0")) + 15) // 16 * 16
    code, entries = b"", {}
    for name, routine in _ROUTINES.items():
        if name not in functions:
            raise ClockError(f"this kernel's vDSO has no {name.decode()}")
        begins = at + 8 + len(code)
        place = routine.index(_SECONDS)
        code += routine.replace(_SECONDS, struct.pack("<i", at - (begins + place + 4)))
        entries[functions[name]] = JUMP + struct.pack("<i", begins - (functions[name] + JUMP_BYTES))
    if at + 8 + len(code) > len(image):
        raise ClockError("this kernel's vDSO has no room")
    return _Plan(at, code, entries)


def _mapping(pid: int) -> tuple[int, int]:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        if line.endswith("[vdso]"):
            start, end = line.split()[0].split("-")
            return int(start, 16), int(end, 16)
    if not Path(f"/proc/{pid}/maps").read_bytes():
        raise ProcessLookupError(f"process {pid} has ended")
    raise ClockError(f"process {pid} has no vDSO")


def _functions(image: bytes) -> dict[bytes, int]:
    """Return the offset of each function of an ELF image, by its name."""
    (headers_at,) = struct.unpack_from("<Q", image, 32)
    (headers,) = struct.unpack_from("<H", image, 56)
    dynamic_at = 0
    for number in range(headers):
        kind, _, offset = struct.unpack_from("<IIQ", image, headers_at + 56 * number)
        if kind == _DYNAMIC:
            dynamic_at = offset
    tags = dict(struct.iter_unpack("<QQ", image[dynamic_at : dynamic_at + 16 * 64]))
    strings, symbols = tags[_STRINGS], tags[_SYMBOLS]
    found = {}
    # The table of names comes right behind that of symbols.
    for name, *_, value, _size in struct.iter_unpack(
        "<IBBHQQ", image[symbols : symbols + (strings - symbols) // 24 * 24]
    ):
        found[image[strings + name : image.index(b"\0", strings + name)]] = value
    return found


# --- meanwhile the process stands still ------------------------------------------------------------------------------


@contextlib.contextmanager
def _halted(pid: int) -> Iterator[None]:
    """Have a process stand still for the length of the block."""
    try:
        _halt(pid)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _halt(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + HALT_TIMEOUT_S
    while (states := _states(pid)) != {"T"}:
        if "Z" in states:
            raise ProcessLookupError(f"process {pid} has ended")
        if time.monotonic() > deadline:
            raise ClockError(f"process {pid} does not stand still")
        time.sleep(LOOK_S)


def _states(pid: int) -> set[str]:
    """Return the states of its threads; see proc(5)."""
    return {path.read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{pid}/task").glob("*/stat")}


def _inside(pid: int, entries: list[int]) -> bool:
    """Return whether a thread stands within the bytes that a jump is written over."""
    for path in Path(f"/proc/{pid}/task").glob("*/syscall"):
        counter = int(path.read_text().split()[-1], 16)
        if any(entry < counter < entry + JUMP_BYTES for entry in entries):
            return True
    return False
