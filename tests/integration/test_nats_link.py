"""The link to a real broker: what is more than the bus's contract. Reconnects, servers in turn, signing in."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import NATSServer, Server, free_port, nats_binary, running_nats
from tests.support.waiting import eventually
from trunkline.bus.port import BusError, Message
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_link import NATSLink, open_link
from trunkline.runtime.nats_servers import parse_servers
from trunkline.runtime.tasks import TaskSet

WITHIN_S = 10.0


@contextlib.contextmanager
def _port_of_nobody() -> Iterator[int]:
    """A port on which nobody listens, and which nobody else gets meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


async def _open(url: str, tasks: TaskSet, name: str = "test") -> NATSLink:
    return await open_link(url, name=name, clock=SystemClock(), tasks=tasks)


async def test_subscriptions_and_messages_survive_a_restart_of_the_broker(tasks: TaskSet) -> None:
    with running_nats() as server:
        link = await _open(server.url, tasks)
        states: list[bool] = []
        link.on_connection(states.append)
        received: asyncio.Queue[Message] = asyncio.Queue()
        await link.subscribe("a.*", received.put_nowait)
        server.stop()
        await eventually(_is(link, connected=False), within_s=WITHIN_S, what="the loss")
        link.publish("a.b", b"kept while away")
        server.start()
        message = await asyncio.wait_for(received.get(), WITHIN_S)
        assert message.data == b"kept while away"
        assert states == [False, True]
        await link.close()


async def test_the_next_server_is_tried(nats_url: str, tasks: TaskSet) -> None:
    with _port_of_nobody() as port:
        link = await _open(f"nats://127.0.0.1:{port},{nats_url}", tasks)
    await link.flush()
    assert link.connected
    await link.close()


async def test_no_server_is_a_clear_error(tasks: TaskSet) -> None:
    with _port_of_nobody() as port, pytest.raises(BusError, match=f"not reachable at 127.0.0.1:{port}"):
        await _open(f"nats://127.0.0.1:{port}", tasks)


async def test_a_password_is_asked_for_and_given(tmp_path: Path, tasks: TaskSet) -> None:
    port = free_port()
    config = tmp_path / "nats.conf"
    config.write_text(f'listen: "127.0.0.1:{port}"\nauthorization {{ user: edge, password: "p w" }}\n')
    server = Server([nats_binary(), "-c", str(config)], port, tmp_path / "log", None)
    server.start()
    try:
        with pytest.raises(BusError):
            await _open(f"nats://127.0.0.1:{port}", tasks)
        link = await _open(f"nats://edge:p%20w@127.0.0.1:{port}", tasks)
        await link.flush()
        await link.close()
    finally:
        server.stop()


async def test_large_messages_arrive_whole_and_in_order(nats_server: NATSServer, tasks: TaskSet) -> None:
    first, second = await _open(nats_server.url, tasks, "first"), await _open(nats_server.url, tasks, "second")
    received: asyncio.Queue[Message] = asyncio.Queue()
    await second.subscribe("large", received.put_nowait)
    sent = [bytes([number]) * (number * 30_000) for number in range(1, 30)]
    for payload in sent:
        first.publish("large", payload)
    got = [(await asyncio.wait_for(received.get(), WITHIN_S)).data for _ in sent]
    assert got == sent
    await first.close()
    await second.close()


@pytest.mark.parametrize("url", ["http://x", "nats://", "127.0.0.1:4222", ""])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="nats://host:port"):
        parse_servers(url)


def _is(link: NATSLink, *, connected: bool):  # type: ignore[no-untyped-def]  # the waiting helper's shape
    async def look() -> bool | None:
        return True if link.connected is connected else None

    return look
