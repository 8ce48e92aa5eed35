"""Links to a cluster of NATS: spread over its nodes, and gone from one that stops before it closes them."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.nats_nodes import LAME_DUCK_GRACE_S, Node, running_nodes
from tests.support.waiting import eventually
from trunkline.bus.port import Message
from trunkline.runtime import nats_link
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_link import SETTLE_S, NATSLink, open_link
from trunkline.runtime.tasks import TaskSet

WITHIN_S = 20.0
LINKS = 24
STREAMS = 40
FRAMES = 1000
FRAME_INTERVAL_S = 0.004
STREAMED_WITHIN_S = 60.0
"""Forty thousand messages: ten times as long as it takes where nothing else is done."""


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Node]]:
    with running_nodes(tmp_path) as nodes:
        yield nodes


async def _open(nodes: list[Node], name: str, tasks: TaskSet) -> NATSLink:
    return await open_link(",".join(node.url for node in nodes), name=name, clock=SystemClock(), tasks=tasks)


def _port(link: NATSLink) -> int:
    assert link.server is not None
    return link.server.port


async def _settled(links: list[NATSLink], subject: str) -> None:
    """Return once each has heard each on a subject that is for this alone.

    Nodes tell each other of subscriptions in their order, so then they know of all that were made before.
    """
    heard: set[tuple[int, int]] = set()

    def take(receiver: int, message: Message) -> None:
        heard.add((int(message.data), receiver))

    for number, link in enumerate(links):
        await link.subscribe(subject, partial(take, number))

    async def all_hear() -> bool:
        for number, link in enumerate(links):
            link.publish(subject, b"%d" % number)
        return len(heard) == len(links) ** 2

    await eventually(all_hear, within_s=WITHIN_S, what="all nodes hear each other")


async def test_links_spread_over_the_nodes_and_after_a_loss_over_the_others(nodes: list[Node], tasks: TaskSet) -> None:
    links = [await _open(nodes, f"edge-{number}", tasks) for number in range(LINKS)]
    at = Counter(_port(link) for link in links)
    assert set(at) == {node.port for node in nodes}
    assert max(at.values()) < LINKS * 0.6
    orphans = [link for link in links if _port(link) == nodes[0].port]
    nodes[0].kill()

    async def elsewhere() -> bool:
        return all(link.connected and _port(link) != nodes[0].port for link in links)

    await eventually(elsewhere, within_s=WITHIN_S, what="all are connected to another node")
    assert {_port(link) for link in orphans} == {nodes[1].port, nodes[2].port}
    for link in links:
        await link.close()


class Receiver:
    """One end of a stream, and what it has heard: numbers in their order."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def take(self, message: Message) -> None:
        self.numbers.append(int(message.data))


async def _stream(links: list[NATSLink], subjects: list[str]) -> None:
    clock = SystemClock()
    for number in range(FRAMES):
        for link, subject in zip(links, subjects, strict=True):
            link.publish(subject, b"%d" % number)
        await clock.sleep(FRAME_INTERVAL_S)


async def test_a_node_that_is_to_stop_is_left_without_losing_a_message(nodes: list[Node], tasks: TaskSet) -> None:
    """Links to it send and hear streams while they move, all at the same time."""
    links = [await _open(nodes, f"process-{number}", tasks) for number in range(9)]
    await _settled(links, "hello")
    (leaving,) = (node for node in nodes if node.port == _port(links[0]))
    moving = [link for link in links if _port(link) == leaving.port]
    changes: list[bool] = []
    for link in links:
        link.on_connection(changes.append)
    receivers = [Receiver() for _ in range(STREAMS)]
    subjects = [f"stream.{number}" for number in range(STREAMS)]
    for number, (receiver, subject) in enumerate(zip(receivers, subjects, strict=True)):
        await links[number % len(links)].subscribe(subject, receiver.take)
    queued = Receiver()
    for link in links:
        await link.subscribe("queue", queued.take, queue="workers")
    await _settled(links, "hello.again")
    senders = [links[(number + number // len(links) + 1) % len(links)] for number in range(STREAMS)]
    streaming = tasks.spawn(_stream([*senders, links[0]], [*subjects, "queue"]), name="streams")

    async def under_way() -> bool:
        return all(len(receiver.numbers) > 50 for receiver in receivers)

    await eventually(under_way, within_s=WITHIN_S, what="all streams have begun")
    leaving.make_lame()

    async def moved() -> bool:
        return all(_port(link) != leaving.port for link in moving)

    await eventually(moved, within_s=SETTLE_S + LAME_DUCK_GRACE_S, what="all have left it before it closes anything")
    await asyncio.wait_for(streaming, STREAMED_WITHIN_S)
    for link in links:
        await link.flush()

    async def whole() -> bool:
        return all(len(receiver.numbers) >= FRAMES for receiver in [*receivers, queued])

    await eventually(whole, within_s=WITHIN_S, what="all has arrived")
    expected = list(range(FRAMES))
    assert [receiver.numbers == expected for receiver in receivers] == [True] * STREAMS
    assert sorted(queued.numbers) == expected
    assert changes == []
    for link in links:
        await link.close()


async def test_what_is_subscribed_and_asked_while_a_link_moves_works(
    nodes: list[Node], tasks: TaskSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_link, "SETTLE_S", 2.0)  # time for several questions, however long an answer takes
    mover, other = [await _open([node], name, tasks) for node, name in zip(nodes, ("mover", "other"), strict=False)]

    def answer(message: Message) -> None:
        other.publish(message.reply, message.data)

    await other.subscribe("question", answer)
    await _settled([mover, other], "hello")
    receiver = Receiver()
    mover.leave()
    asked = 0
    while _port(mover) == nodes[0].port:
        payload = b"%d" % asked
        assert await mover.request("question", payload, timeout_s=2.0) == payload
        if asked == 0:
            await mover.subscribe("late", receiver.take)
        asked += 1
    assert asked > 5
    sent = 0

    async def heard() -> bool:
        nonlocal sent
        sent += 1
        other.publish("late", b"%d" % sent)
        return bool(receiver.numbers)

    await eventually(heard, within_s=WITHIN_S, what="what was subscribed meanwhile is heard")

    async def all_heard() -> bool:
        return receiver.numbers[-1] == sent

    await eventually(all_heard, within_s=WITHIN_S, what="all of it is heard")
    assert receiver.numbers == list(range(receiver.numbers[0], sent + 1)), "each once"
    await mover.close()
    await other.close()


async def test_without_another_node_the_link_stays(nodes: list[Node], tasks: TaskSet) -> None:
    for node in nodes[1:]:
        node.kill()
    link = await _open(nodes[:1], "alone", tasks)
    changes: list[bool] = []
    link.on_connection(changes.append)
    link.leave()
    await SystemClock().sleep(2 * SETTLE_S)
    await link.flush()
    assert (changes, _port(link)) == ([], nodes[0].port)
    await link.close()
