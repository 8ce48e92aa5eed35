"""When messages leave a process: at once, or with others where they may wait for company."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.waiting import eventually
from trunkline.runtime import nats_link
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_link import NATSLink, open_link
from trunkline.runtime.tasks import TaskSet

WITHIN_S = 10.0

INFO = b'INFO {"server_id":"S","version":"2.15.0","max_payload":1048576,"headers":true}\r\n'


class Broker(asyncio.Protocol):
    """As much of a broker as a client needs to connect and to publish.

    Attributes:
        pieces: what was published, as it was written.
    """

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(INFO)

    def data_received(self, data: bytes) -> None:
        if b"PING\r\n" in data:
            self._transport.write(b"PONG\r\n")
        if b"PUB " in data:
            self.pieces.append(data)

    async def published(self, word: bytes) -> bytes:
        """Return all that was published, once this was."""

        async def look() -> bool:
            return word in b"".join(self.pieces)

        await eventually(look, within_s=WITHIN_S, what="it has left")
        return b"".join(self.pieces)


async def turns() -> None:
    """Let the loop do what is due."""
    for _ in range(3):
        await SystemClock().sleep(0)


@pytest.fixture
async def broker() -> Broker:
    return Broker()


@pytest.fixture
async def link(broker: Broker, tasks: TaskSet) -> AsyncIterator[NATSLink]:
    server = await asyncio.get_running_loop().create_server(lambda: broker, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    link = await open_link(f"nats://127.0.0.1:{port}", name="test", clock=SystemClock(), tasks=tasks)
    yield link
    await link.close()
    server.close()


async def test_what_may_wait_leaves_in_one_piece_and_in_order(
    broker: Broker, link: NATSLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_link, "COMPANY_S", 0.5)  # longer than this process may be held up in between
    link.publish("first", b"")
    await turns()
    for number in range(3):
        link.publish(f"chunk{number}", b"", may_wait=True)
        await turns()
    await broker.published(b"chunk2")
    [company] = [piece for piece in broker.pieces if b"chunk" in piece]
    assert company.index(b"chunk0") < company.index(b"chunk1") < company.index(b"chunk2")


async def test_what_may_not_wait_leaves_in_pieces(broker: Broker, link: NATSLink) -> None:
    for number in range(3):
        link.publish(f"chunk{number}", b"")
        await broker.published(b"chunk%d" % number)
    assert len(broker.pieces) == 3


async def test_what_may_not_wait_takes_along_what_waits(broker: Broker, link: NATSLink) -> None:
    link.publish("first", b"")
    await turns()
    link.publish("chunk", b"", may_wait=True)
    link.publish("end", b"")
    published = await broker.published(b"end")
    assert published.index(b"chunk") < published.index(b"end")
