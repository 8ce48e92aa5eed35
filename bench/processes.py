"""What processes cost: CPU time and memory of each role's processes, from the kernel's own accounting.

CPU time of a living process is read from its CPU clock (nanoseconds; clock_getcpuclockid(3)), of ended children from
``/proc/<pid>/stat`` (ticks). A role's processes are those the ready file names and all their descendants, which is
how Postgres's backends are counted. Linux only.
"""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_CPU_CLOCK_OF_PROCESS = 2
"""CPUCLOCK_SCHED of the kernel's posix-timers.h: all threads of a process, those that have ended too."""


class ProcessGoneError(Exception):
    """A process that was to be watched has ended."""


class Stat(NamedTuple):
    """What is used of ``/proc/<pid>/stat`` (proc(5)); times in seconds.

    Attributes:
        parent: its process id.
        user_s, system_s: of the process.
        reaped_s: of its ended children and theirs.
    """

    parent: int
    user_s: float
    system_s: float
    reaped_s: float


class Cost(NamedTuple):
    """CPU time of a role's processes up to a moment.

    Attributes:
        cpu_s: all of it.
        user_s, system_s: of the living processes, in ticks: for their share only.
    """

    cpu_s: float
    user_s: float
    system_s: float


class Memory(NamedTuple):
    """Memory of a role's processes in bytes: resident, and with shared pages divided among those who share them."""

    rss: int
    pss: int


class Reading(NamedTuple):
    """All roles at one moment.

    Attributes:
        at: monotonic seconds.
        roles: cost of each.
        machine_s: CPU time that all processes of the machine have used.
        own_s: of it, the benchmark itself and its children that have ended.
    """

    at: float
    roles: dict[str, Cost]
    machine_s: float
    own_s: float


def parse_stat(text: str) -> Stat:
    """Read the text of ``/proc/<pid>/stat``; the name in it may hold spaces and brackets."""
    fields = text[text.rindex(")") + 2 :].split()
    user, system, child_user, child_system = (int(field) / TICKS_PER_S for field in fields[11:15])
    return Stat(int(fields[1]), user, system, child_user + child_system)


def parse_machine(text: str) -> float:
    """Return the seconds of use in the first line of ``/proc/stat``: user, nice, system, irq, softirq; not guest."""
    user, nice, system, _idle, _iowait, irq, softirq = (int(field) for field in text.split()[1:8])
    return (user + nice + system + irq + softirq) / TICKS_PER_S


def parse_rollup(text: str) -> Memory:
    """Read the text of ``/proc/<pid>/smaps_rollup``."""
    found = {"Rss": 0, "Pss": 0}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name in found:
            found[name] = int(rest.split()[0]) * 1024
    return Memory(found["Rss"], found["Pss"])


def descendants(parents: Mapping[int, int], roots: Sequence[int]) -> set[int]:
    """Return the roots and all below them.

    Args:
        parents: of each process id, its parent's.
        roots: where to begin.
    """
    children: dict[int, list[int]] = {}
    for process, parent in parents.items():
        children.setdefault(parent, []).append(process)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        process = waiting.pop()
        if process not in found:
            found.add(process)
            waiting.extend(children.get(process, ()))
    return found


def read_stat(process: int) -> Stat:
    """Read a process.

    Raises:
        ProcessGoneError: it has ended.
    """
    try:
        return parse_stat(Path(f"/proc/{process}/stat").read_text())
    except OSError as error:
        raise ProcessGoneError(f"process {process} has ended") from error


def cpu_s(process: int) -> float:
    """Return the CPU seconds that a living process has used.

    Raises:
        ProcessGoneError: it has ended.
    """
    try:
        return time.clock_gettime_ns((~process << 3) | _CPU_CLOCK_OF_PROCESS) / 1e9
    except OSError as error:
        raise ProcessGoneError(f"process {process} has ended") from error


def all_parents() -> dict[int, int]:
    """Return the parent of each process of the machine."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = read_stat(int(entry.name)).parent
            except ProcessGoneError:
                continue
    return parents


def spent(before: Reading, after: Reading) -> dict[str, float]:
    """Return the CPU seconds of each role between two readings."""
    return {role: after.roles[role].cpu_s - before.roles[role].cpu_s for role in before.roles}


def others_share(before: Reading, after: Reading) -> float:
    """Return the CPU seconds per second that neither the roles nor the benchmark used between two readings."""
    known_s = sum(spent(before, after).values()) + after.own_s - before.own_s
    return max(0.0, after.machine_s - before.machine_s - known_s) / (after.at - before.at)


class Watch:
    """Reads the processes of some roles.

    Args:
        roles: process ids by role.
    """

    def __init__(self, roles: Mapping[str, Sequence[int]]) -> None:
        self._roles = {role: list(processes) for role, processes in roles.items()}

    def read(self) -> Reading:
        """Read the CPU time of all roles.

        Raises:
            ProcessGoneError: one of the processes that were named has ended; its figures would be wrong.
        """
        parents = all_parents()
        roles = {role: self._cost(parents, processes) for role, processes in self._roles.items()}
        own = os.times()
        own_s = own.user + own.system + own.children_user + own.children_system
        return Reading(time.monotonic(), roles, parse_machine(Path("/proc/stat").read_text()), own_s)

    def _cost(self, parents: Mapping[int, int], processes: Sequence[int]) -> Cost:
        total = user = system = 0.0
        for process in descendants(parents, processes):
            try:
                stat = read_stat(process)
                total += cpu_s(process) + stat.reaped_s
                user += stat.user_s
                system += stat.system_s
            except ProcessGoneError:
                if process in processes:
                    raise
        return Cost(total, user, system)

    def memory(self) -> dict[str, Memory]:
        """Return the memory of each role.

        Raises:
            ProcessGoneError: one of the processes that were named has ended.
        """
        parents = all_parents()
        found = {}
        for role, processes in self._roles.items():
            rss = pss = 0
            for process in descendants(parents, processes):
                try:
                    memory = parse_rollup(Path(f"/proc/{process}/smaps_rollup").read_text())
                except OSError as error:
                    if process in processes:
                        raise ProcessGoneError(f"process {process} has ended") from error
                    continue
                rss += memory.rss
                pss += memory.pss
            found[role] = Memory(rss, pss)
        return found
