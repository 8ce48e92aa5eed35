"""A rolling restart of every service under load, by SIGTERM: no request fails."""

import re
import signal
from collections.abc import Iterator

import pytest

from tests.support.books import assert_books_agree
from tests.support.chat_client import ChatClient, Ending, Outcome, assert_proper, load, session
from tests.support.live_stack import LiveStack, StackPlan

pytestmark = pytest.mark.patient

MODEL = "demo"
GRACE_S = 15
ROLES = ("dispatcher", "edge", "metering", "health", "console")
PLAIN = {"first_delay_ms": 30}
STREAM = {"chunks": 40, "delay_ms": 50}
"""Two seconds, so that some of them live through each restart."""


@pytest.fixture(scope="module")
def stack_and_key() -> Iterator[tuple[LiveStack, str]]:
    plan = StackPlan(edges=2, dispatchers=2, meterings=2)
    plan.environment = {"TRUNKLINE_GRACE_S": str(GRACE_S)}
    plan.channel("only", MODEL)
    key = plan.account("acme")
    with plan.running() as stack:
        yield stack, key


async def test_rolling_restart_loses_no_request(stack_and_key: tuple[LiveStack, str]) -> None:
    stack, key = stack_and_key
    edges = stack.edges
    async with session() as fresh, session(reuse=True) as kept:
        clients = (ChatClient(fresh, key, MODEL), ChatClient(kept, key, MODEL))

        async def request(number: int) -> Outcome:
            reuses = number % 2 == 1
            stream = number % 3 == 0
            script = STREAM if stream else PLAIN
            return await clients[reuses].chat_anywhere(edges, number // 2, script, stream=stream, reuses=reuses)

        stopped = []
        async with load(request, workers=24) as running:
            await running.progress(50)
            for role in ROLES:
                for index in range(len(stack.ready.processes[role])):
                    pid = stack.signal(role, index, number=signal.SIGTERM)
                    await stack.restarted(role, index, pid)
                    stopped.append(pid)
                    await running.progress(20)
        assert_proper(running.outcomes, {Ending.WHOLE})
        assert all(outcome.chunks in {0, STREAM["chunks"]} for outcome in running.outcomes)
        log = (stack.logs / "dev.log").read_text()
        codes = {int(pid): int(code) for pid, code in re.findall(r'"pid":\s*(\d+),\s*"code":\s*(-?\d+)', log)}
        assert codes == dict.fromkeys(stopped, 0), log
        await assert_books_agree(stack, fresh)
