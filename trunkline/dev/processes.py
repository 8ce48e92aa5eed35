"""One part of the stack as an operating-system process: started, watched, started again when it dies, stopped.

Used by `dev.stack`. A child lives in a session of its own, so that Ctrl-C reaches only us and the order of stopping
is ours; and it is on a leash: should we be killed outright, the kernel ends it.
"""

import asyncio
import contextlib
import ctypes
import dataclasses
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import structlog

from trunkline.core.clock import Clock
from trunkline.dev.identity import OURSELVES, Identity
from trunkline.runtime.config import EXIT_USAGE
from trunkline.runtime.tasks import TaskSet

log = structlog.get_logger()

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h: the signal that the kernel sends to a process when its parent is gone."""

READY_POLL_S = 0.025
RESTART_WAIT_MIN_S = 0.1
RESTART_WAIT_MAX_S = 5.0
STEADY_S = 10.0
"""A process that lived so long has not failed to start: the next wait is the shortest again."""

LOG_TAIL_BYTES = 2000

_libc = ctypes.CDLL(None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """How one process is run.

    Attributes:
        role, number: its name in the ready file and in logs.
        command: its command line.
        environment: all of it.
        log: file that takes its output.
        ready: returns whether it can be used.
        identity: the user it runs as.
        stop: signals that ask it to end, each with the seconds it is given; then it is killed.
        orphan_signal: what the kernel sends it if we are gone.
        keep_fds: file descriptors that it inherits.
    """

    role: str
    number: int
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    ready: Callable[[], Awaitable[bool]]
    identity: Identity = OURSELVES
    stop: tuple[tuple[signal.Signals, float], ...]
    orphan_signal: signal.Signals = signal.SIGKILL
    keep_fds: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Role and number, for people."""
        return f"{self.role}-{self.number}"


class PartFailedError(Exception):
    """A part cannot be started; restarting it will not help."""

    def __init__(self, part: Part, code: int) -> None:
        super().__init__(f"{part.name} ended with code {code}; the end of {part.log}:\n{log_tail(part.log)}")
        self.code = code


class Supervisor:
    """Keeps one part running.

    Args:
        part: what to run.
        on_ready: called each time that it has become ready.
        clock, tasks: of our process.
    """

    def __init__(self, part: Part, on_ready: Callable[[], None], *, clock: Clock, tasks: TaskSet) -> None:
        self.part = part
        self._on_ready = on_ready
        self._clock = clock
        self._tasks = tasks
        self._process: asyncio.subprocess.Process | None = None
        self._pid = 0
        self._ready = asyncio.Event()
        self._stopping = False
        self._was_ready = False
        self._failed: PartFailedError | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether it can be used now."""
        return self._ready.is_set()

    @property
    def pid(self) -> int:
        """Of the process that is ready, or was last: not of one that is still starting. 0 before the first."""
        return self._pid

    def start(self) -> None:
        """Start it, and keep it running until `stop`."""
        self._watch = self._tasks.spawn(self._keep_running(), name=f"watch_{self.part.name}")

    async def wait_ready(self) -> None:
        """Return once it can be used.

        Raises:
            PartFailedError: its settings are wrong, it says, and it has never been ready.
        """
        await self._ready.wait()
        if self._failed is not None:
            raise self._failed

    async def _keep_running(self) -> None:
        wait_s = RESTART_WAIT_MIN_S
        while not self._stopping:
            began = self._clock.now()
            self._process = process = await self._spawn()
            code = await self._live(process)
            if self._stopping:
                return
            sweep_group(process.pid)
            self._ready.clear()
            log.warning("part_died", part=self.part.name, pid=process.pid, code=code, log=str(self.part.log))
            if code == EXIT_USAGE and not self._was_ready:
                self._failed = PartFailedError(self.part, code)
                self._ready.set()
                return
            wait_s = RESTART_WAIT_MIN_S if self._clock.now() - began > STEADY_S else wait_s
            await self._clock.sleep(wait_s)
            wait_s = min(wait_s * 2, RESTART_WAIT_MAX_S)

    async def _live(self, process: asyncio.subprocess.Process) -> int:
        """Watch one life: tell when it is ready, return its exit code."""
        watch = self._tasks.spawn(self._announce(process.pid), name=f"announce_{self.part.name}")
        try:
            return await process.wait()
        finally:
            watch.cancel()

    async def _announce(self, pid: int) -> None:
        while not await self.part.ready():
            await self._clock.sleep(READY_POLL_S)
        self._pid = pid
        self._was_ready = True
        self._ready.set()
        self._on_ready()

    async def _spawn(self) -> asyncio.subprocess.Process:
        part = self.part
        parent = os.getpid()

        def leash() -> None:
            # Runs in the child before exec, after it has changed its user (which would undo the order).
            _libc.prctl(PR_SET_PDEATHSIG, int(part.orphan_signal), 0, 0, 0)
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGKILL)

        with part.log.open("ab") as output:
            return await asyncio.create_subprocess_exec(
                *part.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(part.environment),
                cwd="/",
                start_new_session=True,
                pass_fds=part.keep_fds,
                preexec_fn=leash,
                **part.identity.popen_arguments(),
            )

    async def stop(self, hurry: asyncio.Event) -> None:
        """End it and whatever it has started; ask first, then insist. ``hurry`` ends all waiting."""
        self._stopping = True
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        process = self._process
        if process is not None and process.returncode is None:
            for number, seconds in self.part.stop:
                if hurry.is_set() or process.returncode is not None:
                    break
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(number)
                    # A stopped process would not see the signal before it is continued.
                    process.send_signal(signal.SIGCONT)
                await _first_of(process.wait(), hurry.wait(), timeout_s=seconds, tasks=self._tasks)
            if process.returncode is None:
                log.warning("part_killed", part=self.part.name, pid=process.pid)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process is not None:
            sweep_group(process.pid)


async def _first_of(*works: Awaitable[object], timeout_s: float, tasks: TaskSet) -> None:
    async def run(work: Awaitable[object]) -> None:
        await work

    running = [tasks.spawn(run(work), name="stop_wait") for work in works]
    await asyncio.wait(running, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for task in running:
        task.cancel()


def sweep_group(pid: int) -> None:
    """Kill what is left of a process's session; it led one."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def log_tail(path: Path) -> str:
    """Return the last lines of a log."""
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - LOG_TAIL_BYTES, 0))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return "(no log)"
