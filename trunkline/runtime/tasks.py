"""Background tasks that cannot vanish: each is referenced, named, and its failure is logged and counted."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

log = structlog.get_logger()

CANCEL_AGAIN_S = 0.5
"""How long a cancelled task may take over its clean-up before it is cancelled anew."""


class TaskSet:
    """The background tasks of one owner.

    Args:
        on_failure: called with the exception of a task that failed; the process skeleton uses it to stop a
            process whose essential loop has died, rather than to let it limp.
    """

    def __init__(self, on_failure: Callable[[BaseException], None] | None = None) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._on_failure = on_failure

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Start ``work`` in the background."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            log.error("task_failed", task=task.get_name(), error=type(error).__name__, exc_info=error)
            if self._on_failure is not None:
                self._on_failure(error)

    async def cancel(self) -> None:
        """Cancel all tasks and wait until they are gone."""
        await self.end(*self._tasks)

    async def end(self, *tasks: asyncio.Task[Any]) -> None:
        """Cancel these tasks and wait until they are gone."""
        pending = set(tasks)
        while pending:
            for task in pending:
                task.cancel()
            # Again and again: nats-py swallows a cancellation that comes while it flushes, asyncpg puts an error in
            # its place where a connection cannot be given back, and before Python 3.12 asyncio.wait_for swallows one
            # when its result comes at the same time.
            _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)

    def __len__(self) -> int:
        return len(self._tasks)
