"""The edge's HTTP server over TLS: what is kept of HTTP/1.1 where a connection can neither half close nor just end."""

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.support.authority import Authority
from tests.support.both_loops import on_both_loops
from tests.support.http_serving import GET, HOST, Client, Serving, echo, hold, post, serving, until
from trunkline.runtime import arrivals
from trunkline.runtime.http_request_reader import ServerLimits
from trunkline.runtime.http_server import CLOSE_TIMEOUT_S, LINGER_S, _all_taken
from trunkline.runtime.tls import server_tls

LARGE_BYTES = 16 * 1024 * 1024


@contextlib.asynccontextmanager
async def serving_tls(directory: Path, server_limits: ServerLimits | None = None) -> AsyncIterator[Serving]:
    authority = Authority(directory)
    issued = authority.issue("edge")
    tls = server_tls("edge", str(issued.certificate), str(issued.key))
    trust = ssl.create_default_context(cafile=str(authority.path))
    async with serving(server_limits, tls=tls, trust=trust) as server:
        yield server


@on_both_loops
async def test_a_connection_carries_requests_and_a_stream(tmp_path: Path) -> None:
    async with serving_tls(tmp_path) as server:
        client = await server.connect()
        for number in range(3):
            client.send(post(f"/{number}", b"body"))
            assert (await client.answer()).body == b"POST /%d body" % number
        server.handle = hold
        client.send(GET)
        exchange = await server.asked(4)
        exchange.start(200, b"", b"first")
        assert (await client.head())[1]["transfer-encoding"] == "chunked"
        assert (await client.line(), await client.exactly(7)) == (b"5\r\n", b"first\r\n")
        exchange.write(b"second")
        assert (await client.line(), await client.exactly(8)) == (b"6\r\n", b"second\r\n")
        exchange.finish()
        assert (await client.line(), await client.line()) == (b"0\r\n", b"\r\n")
        assert len(server.server) == 1


@pytest.mark.parametrize("leave", [Client.close, Client.reset])
@pytest.mark.parametrize("begun", [False, True])
@on_both_loops
async def test_a_client_that_leaves_is_noticed(tmp_path: Path, leave: Callable[[Client], None], begun: bool) -> None:
    async with serving_tls(tmp_path) as server:
        server.handle = hold
        client = await server.connect()
        client.send(GET)
        exchange = await server.asked()
        gone: list[str] = []
        exchange.on_gone = lambda: gone.append("gone")
        if begun:
            exchange.start(200, b"", b"first")
            await client.head()
        leave(client)
        await until(lambda: gone == ["gone"], "gone")


@on_both_loops
async def test_an_answer_that_is_not_whole_is_no_good_end(tmp_path: Path) -> None:
    async with serving_tls(tmp_path) as server:
        server.handle = hold
        client = await server.connect()
        client.send(b"GET /old HTTP/1.0\r\n\r\n")
        exchange = await server.asked()
        exchange.start(200, b"", b"first")
        await client.head()
        exchange.abort()
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            assert await client.exactly(LARGE_BYTES)


@on_both_loops
async def test_a_refused_request_has_its_answer_before_the_connection_ends(tmp_path: Path) -> None:
    async with serving_tls(tmp_path) as server:
        client = await server.connect()
        client.send(b"nonsense\r\n\r\n" + bytes(300_000))
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        await server.clock.advance(LINGER_S + 1)
        await until(lambda: len(server.server) == 0, "the connection is closed")


@on_both_loops
async def test_a_slow_client_gets_the_whole_of_a_last_answer(tmp_path: Path) -> None:
    async with serving_tls(tmp_path) as server:
        server.handle = hold
        client = await server.connect()
        client.send(post("/", b"", "connection: close"))
        exchange = await server.asked()
        exchange.respond(200, b"", bytes(LARGE_BYTES))
        await server.clock.advance(CLOSE_TIMEOUT_S - 1)
        assert len((await client.answer()).body) == LARGE_BYTES
        client.close()
        await until(lambda: len(server.server) == 0, "the connection is closed")


@on_both_loops
async def test_an_idle_client_that_never_says_goodbye_is_cut_soon(tmp_path: Path) -> None:
    async with serving_tls(tmp_path) as server:
        client = await server.connect()
        client.send(GET)
        assert (await client.answer()).status == 200
        client.writer.transport.pause_reading()
        transport = next(iter(server.server._connections))._transport
        assert transport is not None
        await until(lambda: _all_taken(transport), "the client's kernel has said that it has it all")
        await server.clock.advance(server.server.limits.keep_alive_s + 1)
        assert len(server.server) == 1
        await server.clock.advance(LINGER_S + 1)
        await until(lambda: len(server.server) == 0, "the connection is cut")


@on_both_loops
async def test_what_is_no_tls_is_not_answered(tmp_path: Path) -> None:
    async with serving_tls(tmp_path) as server:
        reader, writer = await asyncio.open_connection(HOST, server.port)
        writer.write(GET)
        assert not (await reader.read()).startswith(b"HTTP/")
        writer.close()
        assert server.exchanges == []


@on_both_loops
async def test_a_client_that_leaves_while_it_is_let_in_at_the_end_does_no_harm(tmp_path: Path) -> None:
    async with serving_tls(tmp_path) as server:
        # Connected for the kernel, and not yet accepted: the loop does not turn between this and the drain.
        _, writer = await asyncio.open_connection(HOST, server.port)
        client = await server.connect()
        server.server.drain()
        writer.transport.abort()
        client.send(GET)
        server.handle = echo
        assert (await client.answer()).headers["connection"] == "close"
        await until(lambda: len(server.server) == 0, "all are gone")


@on_both_loops
async def test_an_idle_client_that_is_to_make_room_does_so_without_a_goodbye(tmp_path: Path) -> None:
    async with serving_tls(tmp_path, ServerLimits(connections_max=1)) as server:
        idle = await server.connect()
        idle.send(GET)
        assert (await idle.answer()).status == 200
        idle.writer.transport.pause_reading()
        connection = next(iter(server.server._connections))
        newcomer = await server.connect()
        newcomer.send(GET)
        assert (await newcomer.answer()).status == 200
        assert len(server.server) == 1
        assert connection._transport is not None, "it waits for a goodbye"
        await server.clock.advance(LINGER_S + 1)
        await until(lambda: connection._transport is None, "the connection is cut")
        newcomer.send(GET)
        assert (await newcomer.answer()).status == 200


# --- handshakes that are not ended -----------------------------------------------------------------------------------


async def begin(server: Serving, source: str = HOST) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect, and say nothing; returns once the server has it."""
    there = len(server.server._arrivals)
    streams = await asyncio.open_connection(HOST, server.port, local_addr=(source, 0))
    await until(lambda: len(server.server._arrivals) != there, "the connection is accepted")
    return streams


async def ended(reader: asyncio.StreamReader) -> None:
    """Return once the server has ended a connection.

    Raises:
        TimeoutError: it has not.
    """
    async with asyncio.timeout(5), contextlib.AsyncExitStack():
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""


@on_both_loops
async def test_handshakes_are_connections_of_the_server(tmp_path: Path) -> None:
    async with serving_tls(tmp_path, ServerLimits(connections_max=8)) as server:
        server.handle = hold
        quiet = [await begin(server) for _ in range(2)]
        assert len(server.server) == 2
        # The first makes room for the handshake of a client, the other one at last for its connection.
        for number in range(8):
            (await server.connect()).send(GET)
            await server.asked(number + 1)
        for reader, writer in quiet:
            await ended(reader)
            writer.close()
        await until(lambda: len(server.server) == 8, "all is full")
        reader, writer = await asyncio.open_connection(HOST, server.port)
        await ended(reader)
        writer.close()
        assert len(server.server) == 8


@on_both_loops
async def test_handshakes_without_end_keep_nobody_else_out(tmp_path: Path) -> None:
    async with serving_tls(tmp_path, ServerLimits(connections_max=16)) as server:
        lone, lone_writer = await begin(server, "127.0.0.3")
        many = [await begin(server, "127.0.0.2") for _ in range(3)]
        assert len(server.server) == 4  # a quarter: as many as may be under way
        client = await server.connect()
        client.send(GET)
        assert (await client.answer()).status == 200
        # The oldest one of whoever has most is gone, and no other.
        await ended(many[0][0])
        assert len(server.server._arrivals) == 3
        assert not any(reader.at_eof() for reader, _ in [*many[1:], (lone, lone_writer)])
        for _, writer in [*many, (lone, lone_writer)]:
            writer.close()
        await until(lambda: len(server.server) == 1, "what is left is the client's")


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01"])
@on_both_loops
async def test_a_handshake_has_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(arrivals, "HANDSHAKE_TIMEOUT_S", 0.2)
    async with serving_tls(tmp_path) as server:
        # Not by `begin`: on a busy machine the time is over before anybody looks whether the server has it.
        reader, writer = await asyncio.open_connection(HOST, server.port)
        writer.write(said)
        await ended(reader)
        await until(lambda: len(server.server) == 0, "it counts no more")
        writer.close()


@on_both_loops
async def test_clients_wait_while_none_can_be_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def fail(_listener: socket.socket) -> None:
        tried.append(1)
        raise OSError(errno.EMFILE, "Too many open files")

    async with serving_tls(tmp_path) as server:
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "accept", fail)
            connecting = server.tasks.spawn(server.connect(), name="connecting")
            await until(lambda: len(tried) == 1, "it was tried")
        client = None
        while client is None:
            await server.clock.advance(arrivals.RETRY_S)
            done, _ = await asyncio.wait([connecting], timeout=0.01)
            client = connecting.result() if done else None
        client.send(GET)
        assert (await client.answer()).status == 200
        assert len(tried) == 1, "nobody turns in circles meanwhile"
