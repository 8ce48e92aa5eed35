"""Runs a test on both event loops: services live on uvloop, simulations on asyncio's own."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def on_both_loops(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Turn an async test into one that runs once on each loop; put it next to the function."""

    def run(loop_name: str, **arguments: Any) -> None:
        async def main() -> None:
            await test(**arguments)

        with asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner:
            runner.run(main())

    signature = inspect.signature(test)
    first = inspect.Parameter("loop_name", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=str)
    run.__signature__ = signature.replace(parameters=[first, *signature.parameters.values()])  # type: ignore[attr-defined]
    run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
    marked: Callable[..., None] = pytest.mark.parametrize("loop_name", LOOPS)(run)
    return marked
