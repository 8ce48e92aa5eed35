"""`trunkline dev`: reads the command line, runs the stack until it is told to stop, returns an exit code.

Called by the CLI and by ``python -m trunkline.dev``.
"""

import asyncio
import contextlib
import json
import signal
import sys

from trunkline.dev import options
from trunkline.dev.prepare import FaultsError, Plan, prepare
from trunkline.dev.processes import PartFailedError
from trunkline.dev.stack import Stack, StartError
from trunkline.runtime import logging
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.config import EXIT_USAGE
from trunkline.runtime.tasks import TaskSet

EXIT_FAILURE = 1


def main(args: list[str]) -> int:
    """Run a development stack; returns its exit code: 0, 1, or `EXIT_USAGE` for what the caller has to put right."""
    if "--help" in args or "-h" in args:
        sys.stdout.write(options.help_text())
        return 0
    logging.configure(role="dev", process="dev", level="warning", human=sys.stderr.isatty())
    return asyncio.run(_main(args))


async def _main(args: list[str]) -> int:
    clock = SystemClock()
    began = clock.now()
    stop, hurry = asyncio.Event(), asyncio.Event()

    def told_to_stop() -> None:
        # The second time is from someone who does not want to wait.
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, told_to_stop)
    try:
        plan = await prepare(args, clock)
    except FaultsError as error:
        _complain(*error.faults)
        return EXIT_USAGE
    tasks = TaskSet(on_failure=lambda _error: stop.set())
    stack = Stack(plan, clock=clock, tasks=tasks)
    try:
        code = await _start(stack, stop, tasks)
        if code is None:
            sys.stdout.write(welcome(stack, plan, clock.now() - began))
            sys.stdout.flush()
            await stop.wait()
            code = 0
    finally:
        await stack.stop(hurry)
        await tasks.cancel()
    return code


async def _start(stack: Stack, stop: asyncio.Event, tasks: TaskSet) -> int | None:
    """Start the stack unless told to stop meanwhile; returns an exit code if it does not run."""
    starting = asyncio.gather(stack.start(), return_exceptions=True)
    stopping = tasks.spawn(_wait(stop), name="stop")
    await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.wait([starting])
        with contextlib.suppress(asyncio.CancelledError):
            starting.exception()  # looked at, so that asyncio does not print it
        return 0
    error = starting.result()[0]
    match error:
        case None:
            return None
        case PartFailedError():
            _complain(str(error))
            return error.code
        case StartError():
            _complain(str(error))
            return EXIT_FAILURE
        case _:
            raise error


async def _wait(stop: asyncio.Event) -> None:
    await stop.wait()


def _complain(*faults: str) -> None:
    for fault in faults:
        sys.stderr.write(f"trunkline dev: {fault}\n")


def welcome(stack: Stack, plan: Plan, seconds: float) -> str:
    """Return what is printed once all is ready."""
    key = plan.wanted.api_key
    body = json.dumps({"model": plan.wanted.model, "messages": [{"role": "user", "content": "Hello!"}]})
    rows = [
        *(("gateway", f"{url}/v1") for url in stack.base_urls),
        ("key", key),
        ("console", stack.console_url),
        *((("sign in", stack.console_login),) if stack.console_login else ()),
        ("admin key", plan.secrets.admin_key),
        ("logs", str(plan.data_dir / "logs")),
    ]
    table = "".join(f"  {name:<10}{value}\n" for name, value in rows)
    return (
        f"\nTrunkline runs (ready in {seconds:.1f} s).\n\n{table}\n"
        f"  curl {stack.base_urls[0]}/v1/chat/completions -H 'Authorization: Bearer {key}' "
        f"-H 'Content-Type: application/json' -d '{body}'\n\nCtrl-C stops it; its data stays.\n\n"
    )
