"""How connections of the edge's HTTP server live: clients that leave, slow readers, full servers and stopping ones."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from tests.support.both_loops import on_both_loops
from tests.support.http_serving import GET, Client, echo, hold, post, serving, until
from trunkline.core import limits
from trunkline.runtime.http_exchange import Exchange
from trunkline.runtime.http_request_reader import ServerLimits
from trunkline.runtime.http_server import (
    CLOSE_TIMEOUT_S,
    DRAIN_IDLE_S,
    PIPELINED_BYTES_MAX,
    SWEEP_INTERVAL_S,
    WRITE_HIGH_WATER_BYTES,
)

WINDOW = limits.CREDIT_WINDOW_BYTES


# --- clients that leave ----------------------------------------------------------------------------------------


def watched(exchange: Exchange) -> list[str]:
    """Return a list that says how often the client was found gone."""
    calls: list[str] = []
    exchange.on_gone = lambda: calls.append("gone")
    return calls


@pytest.mark.parametrize("leave", [Client.close, Client.reset])
@pytest.mark.parametrize("body_bytes", [0, 3 * PIPELINED_BYTES_MAX])
@on_both_loops
async def test_a_client_that_leaves_before_the_first_byte(leave: Callable[[Client], None], body_bytes: int) -> None:
    async with serving() as server:
        server.handle = hold
        client = await server.connect()
        client.send(post("/", bytes(body_bytes)))
        exchange = await server.asked()
        calls = watched(exchange)
        leave(client)
        await until(lambda: bool(calls), "gone")
        exchange.start(200, b"", b"x")
        exchange.write(b"x")
        exchange.finish()
        exchange.abort()
        exchange.respond(200, b"", b"")
        await until(lambda: len(server.server) == 0, "the connection is forgotten")
        assert calls == ["gone"]


@on_both_loops
async def test_a_client_that_leaves_mid_stream() -> None:
    async with serving() as server:
        server.handle = hold
        client = await server.connect()
        client.send(GET)
        exchange = await server.asked()
        calls = watched(exchange)
        exchange.start(200, b"", b"first")
        await client.head()
        client.reset()
        await until(lambda: bool(calls), "gone")
        exchange.write(b"more")
        assert calls == ["gone"]


@on_both_loops
async def test_a_client_that_leaves_after_its_answer_is_not_gone() -> None:
    async with serving() as server:
        server.handle = hold
        client = await server.connect()
        client.send(GET)
        exchange = await server.asked()
        calls = watched(exchange)
        echo(exchange)
        await client.answer()
        client.close()
        await until(lambda: len(server.server) == 0, "the connection is forgotten")
        assert calls == []


# --- slow readers ----------------------------------------------------------------------------------------------


@on_both_loops
async def test_what_a_slow_reader_has_not_taken_is_counted_and_bounded() -> None:
    total, piece = 8 * 1024 * 1024, 64 * 1024
    drained: list[int] = []
    async with serving() as server:
        server.handle = hold
        client = await server.connect()
        client.send(GET)
        exchange = await server.asked()
        written = 0

        def write_within_the_window() -> None:
            nonlocal written
            while written < total and written - sum(drained) + piece <= WINDOW:
                written += piece
                exchange.write(bytes(piece))

        exchange.on_drained = drained.append
        exchange.start(200, b"")
        write_within_the_window()
        transport = next(iter(server.server._connections))._transport
        assert transport is not None
        while drained and written - sum(drained) < WINDOW and written < total:
            write_within_the_window()
        assert written < total  # the client reads nothing: it has stopped
        assert transport.get_write_buffer_size() <= WINDOW + WRITE_HIGH_WATER_BYTES
        _, headers = await client.head()
        assert headers["transfer-encoding"] == "chunked"
        received = 0
        while received < total:
            received += int(await client.line(), 16)
            await client.exactly(piece + 2)
            write_within_the_window()
            assert transport.get_write_buffer_size() <= WINDOW + WRITE_HIGH_WATER_BYTES
        exchange.finish()
        assert (await client.line(), await client.line()) == (b"0\r\n", b"\r\n")
        await until(lambda: sum(drained) == total, "all of it has left")


@on_both_loops
async def test_a_client_that_never_takes_the_end_of_its_answer_is_cut_at_last() -> None:
    async with serving() as server:
        server.handle = hold
        client = await server.connect()
        client.send(post("/", b"", "connection: close"))
        exchange = await server.asked()
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        exchange.respond(200, b"", bytes(16 * 1024 * 1024))
        await server.clock.advance(CLOSE_TIMEOUT_S - 1)
        assert len(server.server) == 1
        await server.clock.advance(2)
        await until(lambda: len(server.server) == 0, "the connection is cut")


# --- the server's own life -------------------------------------------------------------------------------------


@on_both_loops
async def test_draining_closes_idle_connections_and_lets_the_others_finish() -> None:
    async with serving() as server:
        idle, used, sending, waiting = [await server.connect() for _ in range(4)]
        for client in (idle, used):
            client.send(GET)
            await client.answer()
        # One that is used again in time is told to close; one that is not is closed after a moment.
        server.server.draining = True
        used.send(GET)
        assert (await used.answer()).headers["connection"] == "close"
        assert await used.closed()
        server.server.draining = False
        server.handle = hold
        waiting.send(GET)
        exchange = await server.asked(4)
        sending.send(post("/late", b"body")[:-2])
        await until(lambda: sum(c._mid_request for c in server.server._connections) == 1, "half a request")
        server.server.drain()
        await server.clock.advance(DRAIN_IDLE_S + SWEEP_INTERVAL_S)
        assert await idle.closed()
        sending.send(b"dy")
        late = await server.asked(5)
        for client, held in ((waiting, exchange), (sending, late)):
            echo(held)
            assert (await client.answer()).status == 200
            assert await client.closed()
        with pytest.raises(OSError, match="Connect"):
            await server.connect()


@on_both_loops
async def test_too_many_connections_are_turned_away() -> None:
    async with serving(ServerLimits(connections_max=2)) as server:
        server.handle = hold
        first, second = await server.connect(), await server.connect()
        for client in (first, second):
            client.send(GET)
        await server.asked(2)
        third = await server.connect()
        assert await third.closed()
        await until(lambda: len(server.server) == 2, "it is forgotten")
        first.close()
        await until(lambda: len(server.server) == 1, "it is forgotten")
        server.handle = echo
        fourth = await server.connect()
        fourth.send(GET)
        assert (await fourth.answer()).status == 200


@on_both_loops
async def test_where_it_is_full_the_longest_idle_connection_makes_room() -> None:
    async with serving(ServerLimits(connections_max=3)) as server:
        silent, idle, busy = await server.connect(), await server.connect(), await server.connect()
        idle.send(GET)
        assert (await idle.answer()).status == 200
        server.handle = hold
        busy.send(GET)
        await server.asked(2)
        await server.clock.advance(1.0)

        fourth = await server.connect()
        assert await silent.closed()  # it has the shorter time
        assert len(server.server) == 3
        fifth = await server.connect()
        assert await fifth.closed()  # room is made only so often, however many come
        server.handle = echo
        fourth.send(GET)
        assert (await fourth.answer()).status == 200
        await server.clock.advance(SWEEP_INTERVAL_S)
        sixth = await server.connect()
        assert await idle.closed()
        for client in (fourth, sixth):
            client.send(GET)
            assert (await client.answer()).status == 200
        server.exchanges[1].respond(200, b"", b"done")
        assert (await busy.answer()).body == b"done"


@on_both_loops
async def test_room_is_made_by_whoever_holds_most() -> None:
    async with serving(ServerLimits(connections_max=5)) as server:
        alone = await server.connect("127.0.0.2")
        hoard = [await server.connect("127.0.0.3") for _ in range(4)]
        newcomer = await server.connect("127.0.0.2")
        newcomer.send(GET)
        assert (await newcomer.answer()).status == 200
        alone.send(GET)
        assert (await alone.answer()).status == 200
        await until(lambda: len(server.server) == 5, "one has gone")
        await until(lambda: any(client.reader.at_eof() for client in hoard), "its client knows")
        assert [client.reader.at_eof() for client in hoard].count(True) == 1


@on_both_loops
async def test_draining_takes_the_connections_that_wait_to_be_accepted() -> None:
    async with serving() as server:
        # Blocking sockets: the kernel finishes their handshakes while the server's loop does not run.
        waiting = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
        server.server.drain()
        for connection in waiting:
            connection.sendall(GET)
        await server.asked(5)
        for connection in waiting:
            connection.setblocking(False)
            head = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(connection, 4096), 5)
            assert head.startswith(b"HTTP/1.1 200")
            assert b"connection: close" in head
            connection.close()


# --- memory ------------------------------------------------------------------------------------------------------


async def test_bodies_are_bounded_over_all_connections_and_their_room_comes_back() -> None:
    async with serving(ServerLimits(bodies_bytes_max=10_000)) as server:
        server.handle = hold
        one, other = await server.connect(), await server.connect()
        one.send(post("/one", b"x" * 8_000))
        exchange = await server.asked()
        assert server.server.bodies_bytes == 8_000
        other.send(post("/other", b"x" * 8_000))
        refused = await other.answer()
        assert (refused.status, refused.body) == (400, b"gateway_busy")
        exchange.start(200, b"", b"begun")
        assert server.server.bodies_bytes == 8_000, "the refused one is being read to its end"
        other.reset()
        await until(lambda: server.server.bodies_bytes == 0, "all room is free again")
        exchange.finish()
        third = await server.connect()
        server.handle = echo
        third.send(post("/third", b"x" * 9_000))
        assert (await third.answer()).status == 200
        await until(lambda: server.server.bodies_bytes == 0, "all room is free again")
