"""The edge's HTTP server on the loopback: good clients, slow ones and those that leave, and how connections live."""

import asyncio
import functools
import socket
from collections.abc import Callable

import pytest

from tests.support.both_loops import on_both_loops
from tests.support.http_serving import Client, CutError, echo, hold, post, serving, until
from trunkline.core import limits
from trunkline.core.errors import ErrorType
from trunkline.runtime.http_exchange import Exchange
from trunkline.runtime.http_request_reader import ServerLimits
from trunkline.runtime.http_server import (
    CLOSE_TIMEOUT_S,
    DRAIN_IDLE_S,
    PIPELINED_BYTES_MAX,
    SWEEP_INTERVAL_S,
    WRITE_HIGH_WATER_BYTES,
)

GET = b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n"
WINDOW = limits.CREDIT_WINDOW_BYTES


# --- requests and answers --------------------------------------------------------------------------------------


@on_both_loops
async def test_a_request_and_its_answer() -> None:
    async with serving() as server:
        client = await server.connect()
        client.send(b"POST /v1/x%20y?q=1&r HTTP/1.1\r\nHost: X\r\nX-Two: a\r\nx-two: b\r\nContent-Length: 2\r\n\r\nhi")
        answer = await client.answer()
        assert (answer.status, answer.body) == (200, b"POST /v1/x%20y hi")
        assert answer.headers["x-test"] == "1"
        assert answer.headers["date"].endswith(" GMT")
        request = server.exchanges[0].request
        assert (request.method, request.path, request.query, request.body) == ("POST", "/v1/x%20y", "q=1&r", b"hi")
        assert request.headers == {"host": "X", "x-two": "a, b", "content-length": "2"}
        assert request.peer == "127.0.0.1"


@on_both_loops
async def test_a_status_that_no_registry_knows_is_answered() -> None:
    async with serving() as server:
        client = await server.connect()
        for status in (529, 499, 799):
            server.handle = functools.partial(Exchange.respond, status=status, headers=b"", body=b"full")
            client.send(GET)
            answer = await client.answer()
            assert (answer.status, answer.body) == (status, b"full")


@on_both_loops
async def test_a_connection_carries_many_requests_in_pieces_of_any_size() -> None:
    async with serving() as server:
        client = await server.connect()
        for number in range(3):
            for byte in post(f"/{number}", b"body"):
                client.send(bytes([byte]))
                await client.sent()
            assert (await client.answer()).body == b"POST /%d body" % number
        assert len(server.server) == 1


@on_both_loops
async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving() as server:
        server.handle = hold
        client = await server.connect()
        client.send(b"".join(post(f"/{number}", b"x" * number) for number in range(5)))
        for number in range(5):
            exchange = await server.asked(number + 1)
            assert len(server.exchanges) == number + 1
            echo(exchange)
            assert (await client.answer()).body == b"POST /%d " % number + b"x" * number


@on_both_loops
async def test_pipelined_requests_that_are_answered_at_once() -> None:
    async with serving() as server:
        client = await server.connect()
        client.send(GET * 500)
        for _ in range(500):
            assert (await client.answer()).status == 200


@on_both_loops
async def test_what_is_sent_too_far_ahead_is_not_read() -> None:
    async with serving() as server:
        server.handle = hold
        client = await server.connect()
        client.send(GET)
        exchange = await server.asked()
        for _ in range(200):
            client.send(post("/flood", bytes(32 * 1024)))
        await until(lambda: client.writer.transport.get_write_buffer_size() > 0, "the socket is full")
        connection = next(iter(server.server._connections))
        assert connection._ahead_bytes <= PIPELINED_BYTES_MAX + 256 * 1024
        server.handle = echo
        echo(exchange)
        for _ in range(201):
            assert (await client.answer()).status == 200


@pytest.mark.parametrize(("line", "kept"), [("connection: close", False), ("connection: keep-alive", True)])
@on_both_loops
async def test_the_client_says_whether_the_connection_is_kept(line: str, kept: bool) -> None:
    async with serving() as server:
        client = await server.connect()
        client.send(post("/", b"", line))
        assert (await client.answer()).headers.get("connection") == (None if kept else "close")
        if kept:
            client.send(post())
            assert (await client.answer()).status == 200
        else:
            assert await client.closed()


@on_both_loops
async def test_http_1_0_is_answered_and_closed() -> None:
    async with serving() as server:
        client = await server.connect()
        client.send(b"GET /old HTTP/1.0\r\n\r\n")
        answer = await client.answer()
        assert answer.body == b"GET /old "
        assert answer.headers["connection"] == "close"
        assert await client.closed()


@on_both_loops
async def test_head_has_a_length_and_no_body() -> None:
    async with serving() as server:
        client = await server.connect()
        client.send(b"HEAD /a HTTP/1.1\r\nhost: x\r\n\r\n" + GET)
        assert (await client.answer(head_only=True)).headers["content-length"] == str(len(b"HEAD /a "))
        assert (await client.answer()).body == b"GET /a "


@on_both_loops
async def test_a_chunked_upload_whose_trailer_is_no_header() -> None:
    async with serving() as server:
        client = await server.connect()
        client.send(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        client.send(b"3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nauthorization: Bearer x\r\nhost: y\r\n\r\n" + GET)
        assert (await client.answer()).body == b"POST / abcde"
        assert (await client.answer()).body == b"GET /a "
        assert server.exchanges[0].request.headers == {"host": "x", "transfer-encoding": "chunked"}


@on_both_loops
async def test_a_client_that_asks_before_it_sends_is_told_to_go_on() -> None:
    async with serving() as server:
        client = await server.connect()
        wire = post("/", b"body", "expect: 100-continue")
        client.send(wire[:-4])
        assert await client.exactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(wire[-4:])
        assert (await client.answer()).body == b"POST / body"


@on_both_loops
async def test_nobody_is_told_to_go_on_inside_an_answer_or_by_http_1_0() -> None:
    async with serving() as server:
        server.handle = hold
        client = await server.connect()
        client.send(GET)
        exchange = await server.asked()
        exchange.start(200, b"", b"first ")
        client.send(post("/", b"body", "expect: 100-continue"))
        old = await server.connect()
        old.send(b"POST / HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\nx")
        await server.asked(2)
        exchange.finish(b"second")
        assert (await client.answer()).body == b"first second"
        echo(await server.asked(3))
        echo(server.exchanges[1])
        assert (await client.answer()).body == b"POST / body"
        assert (await old.answer()).body == b"POST / x"


@on_both_loops
async def test_a_streamed_answer_is_chunked_or_ends_with_the_connection() -> None:
    def stream(exchange: Exchange) -> None:
        exchange.start(200, b"content-type: text/event-stream\r\n")
        exchange.write(b"one ")
        exchange.write(b"")
        exchange.write(b"two ")
        exchange.finish(b"three")
        exchange.write(b"too late")
        exchange.finish()

    async with serving() as server:
        server.handle = stream
        client = await server.connect()
        client.send(GET + GET)
        for _ in range(2):
            answer = await client.answer()
            assert (answer.body, answer.headers["transfer-encoding"]) == (b"one two three", "chunked")
        old = await server.connect()
        old.send(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        answer = await old.answer()
        assert (answer.body, answer.headers["connection"]) == (b"one two three", "close")
        assert "transfer-encoding" not in answer.headers


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@on_both_loops
async def test_a_cut_answer_does_not_look_whole(version: bytes) -> None:
    async with serving() as server:
        server.handle = hold
        client = await server.connect()
        client.send(b"GET / HTTP/%b\r\nhost: x\r\n\r\n" % version)
        exchange = await server.asked()
        exchange.start(200, b"", b"half")
        if version == b"1.1":
            exchange.abort()
            with pytest.raises(CutError, match="cut after 4 bytes"):
                await client.answer()
        else:
            assert (await client.head())[0] == 200
            assert await client.exactly(4) == b"half"
            exchange.abort()
            with pytest.raises(ConnectionResetError):
                await client.rest()


@on_both_loops
async def test_a_handler_that_fails_is_answered_for() -> None:
    def fail(_exchange: Exchange) -> None:
        raise RuntimeError("on purpose")

    async with serving() as server:
        server.handle = fail
        client = await server.connect()
        client.send(GET)
        assert (await client.answer()).body == b"gateway_internal"
        assert [fault.type for fault in server.faults] == [ErrorType.GATEWAY_INTERNAL]


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
        assert [client.reader.at_eof() for client in hoard].count(True) == 1


@on_both_loops
async def test_the_date_goes_with_the_clock() -> None:
    async with serving() as server:
        client = await server.connect()
        client.send(GET)
        before = (await client.answer()).headers["date"]
        await server.clock.advance(10)
        client.send(GET)
        assert (await client.answer()).headers["date"] != before


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
