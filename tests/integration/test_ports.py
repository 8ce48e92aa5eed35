"""Ports of development stacks: no two pickers, of whatever processes, give the same, and servers may listen there."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

import pytest

from trunkline.dev import ports
from trunkline.dev.ports import LOOPBACK, NoFreePortError, PortPicker

FEW = 16
"""Ports, so few that pickers which did not heed each other would meet."""


def given() -> Iterator[int]:
    """Yield a port by a picker of its own until none is left."""
    with suppress(NoFreePortError):
        while True:
            yield PortPicker().pick()


def test_no_two_pickers_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    first = PortPicker().pick()  # elsewhere each time: what another run of this has picked it holds until it ends
    monkeypatch.setattr(ports, "RANGE", range(first, first + FEW))
    picked = list(islice(given(), 2 * FEW))
    assert 1 < len(picked) == len(set(picked))


async def test_a_server_listens_on_the_port_that_was_given() -> None:
    port = PortPicker().pick()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(LOOPBACK, port)
    for _ in range(2):  # the second while connections of the first may still be in TIME_WAIT
        async with await asyncio.start_server(lambda _, writer: writer.close(), LOOPBACK, port):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()


def test_a_port_that_somebody_listens_on_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports, "RANGE", range(port, port + 1))
        with pytest.raises(NoFreePortError):
            PortPicker().pick()
        monkeypatch.undo()
        assert PortPicker().pick(port) != port
