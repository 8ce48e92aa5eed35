"""Nodes of NATS are stopped in good order, one after the other, under streams: no request fails, and no stream ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.books import REDELIVERY_TIMEOUT_S, assert_books_agree
from tests.support.chat_client import ChatClient, Ending, Outcome, assert_proper, load, session
from tests.support.live_stack import LiveStack, StackPlan
from tests.support.nats_nodes import Node, running_nodes
from tests.support.servers import server_directory
from tests.support.waiting import eventually

pytestmark = pytest.mark.patient

MODEL = "demo"
PLAIN = {"first_delay_ms": 10}
STREAM = {"chunks": 60, "delay_ms": 50}
"""Three seconds: some are under way whenever a process leaves a node."""

ROLES = ("edge", "dispatcher", "metering", "health", "console")
EDGES, DISPATCHERS = 2, 3
PROCESSES = EDGES + DISPATCHERS + 3
WITHIN_S = 30.0


def _is_link(name: str) -> bool:
    """Whether a connection of this name carries the messages of jobs; JetStream's find another node by themselves."""
    return name.startswith(ROLES) and not name.endswith("-jetstream")


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Node]]:
    with running_nodes(tmp_path) as nodes:
        yield nodes


@pytest.fixture
def stack_and_key(nodes: list[Node]) -> Iterator[tuple[LiveStack, str]]:
    plan = StackPlan(edges=EDGES, dispatchers=DISPATCHERS)
    plan.environment = {"NATS_URL": ",".join(node.url for node in nodes), "TRUNKLINE_NATS_REPLICAS": "3"}
    plan.channel("only", MODEL)
    key = plan.account("acme")
    with server_directory("lame-duck") as directory:
        stack = plan._start(directory)
        try:
            yield stack, key
        finally:
            stack.stop()


async def test_streams_outlive_every_node(stack_and_key: tuple[LiveStack, str], nodes: list[Node]) -> None:
    stack, key = stack_and_key
    async with session() as http:
        client = ChatClient(http, key, MODEL)

        async def request(number: int) -> Outcome:
            stream = number % 4 != 0
            return await client.chat(stack.edges[number % 2], STREAM if stream else PLAIN, stream=stream)

        async with load(request, workers=40) as running:
            await running.progress(40)
            for node in nodes:
                node.make_lame()

                async def left(node: Node = node) -> bool:
                    return not any(_is_link(name) for name in node.clients())

                await eventually(left, within_s=WITHIN_S, what="all processes leave the node")
                await running.progress(40)
                node.kill()
                await running.progress(40)
                node.start()

                async def well(node: Node = node) -> bool:
                    return node.is_well()

                await eventually(well, within_s=WITHIN_S, what="the node is back, with all that it has missed")
        moved = sum([await stack.metric_sum(http, role, "trunkline_bus_moves_total") for role in ROLES])
        assert moved >= PROCESSES, "each was at one of the nodes"
        assert_proper(running.outcomes, {Ending.WHOLE})
        assert {outcome.chunks for outcome in running.outcomes} == {0, STREAM["chunks"]}
        # What metering had in its hands when its node went comes to it again.
        await assert_books_agree(stack, http, within_s=REDELIVERY_TIMEOUT_S)
