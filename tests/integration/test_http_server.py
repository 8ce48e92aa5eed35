"""The edge's HTTP server on the loopback: requests, and answers that are whole, streamed or cut."""

import functools

import pytest

from tests.support.both_loops import on_both_loops
from tests.support.http_serving import GET, CutError, echo, hold, post, serving, until
from trunkline.core.errors import ErrorType
from trunkline.runtime.http_exchange import Exchange
from trunkline.runtime.http_server import PIPELINED_BYTES_MAX


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
        client.send(GET + post("/", b"body", "expect: 100-continue"))  # at once: it is there before the answer ends
        exchange = await server.asked()
        exchange.start(200, b"", b"first ")
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


@on_both_loops
async def test_the_date_goes_with_the_clock() -> None:
    async with serving() as server:
        client = await server.connect()
        client.send(GET)
        before = (await client.answer()).headers["date"]
        await server.clock.advance(10)
        client.send(GET)
        assert (await client.answer()).headers["date"] != before
