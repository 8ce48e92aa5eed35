"""Background tasks end when they are told to, even if a library swallows the first cancellation."""

import asyncio
import contextlib

from trunkline.runtime.tasks import TaskSet

DEADLINE_S = 5.0


async def test_a_task_that_swallows_a_cancellation_is_ended_all_the_same() -> None:
    tasks = TaskSet()
    swallowed = 0
    started = asyncio.Event()

    async def stubborn() -> None:
        nonlocal swallowed
        started.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        swallowed += 1
        await asyncio.Event().wait()

    task = tasks.spawn(stubborn(), name="stubborn")
    await started.wait()
    async with asyncio.timeout(DEADLINE_S):
        await tasks.cancel()
    assert (task.cancelled(), swallowed, len(tasks)) == (True, 1, 0)


async def test_one_task_is_ended_and_the_others_go_on() -> None:
    tasks = TaskSet()
    first = tasks.spawn(asyncio.Event().wait(), name="first")
    second = tasks.spawn(asyncio.Event().wait(), name="second")
    async with asyncio.timeout(DEADLINE_S):
        await tasks.end(first)
    assert first.cancelled()
    assert not second.done()
    await tasks.cancel()


async def test_nothing_to_cancel_is_fine() -> None:
    await TaskSet().cancel()
