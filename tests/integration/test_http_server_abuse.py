"""The edge's HTTP server on the loopback: requests too large, too slow or malformed, and how they are refused."""

import asyncio

import pytest

from tests.support.both_loops import on_both_loops
from tests.support.http_serving import Client, Serving, hold, post, serving, until
from tests.support.malformed_requests import CHUNKED, HEAD, MALFORMED
from trunkline.core.errors import ErrorType
from trunkline.runtime.http_request_reader import HEAD_BYTES_MAX, ServerLimits
from trunkline.runtime.http_server import LINGER_S

SMALL = ServerLimits(
    body_bytes_max=1000, headers_max=20, header_line_bytes_max=200, request_read_timeout_s=10.0, keep_alive_s=30.0
)
KIB = 1024


async def refused(server: Serving, client: Client, kind: ErrorType) -> None:
    """One answer that names the fault, then the end, and nothing was handed over."""
    answer = await client.answer()
    assert answer.body.decode() == kind.value
    assert answer.headers["connection"] == "close"
    assert await client.closed()
    assert [fault.type for fault in server.faults] == [kind]
    assert server.exchanges == []


@pytest.mark.parametrize("wire", MALFORMED.values(), ids=MALFORMED)
@on_both_loops
async def test_malformed_requests(wire: bytes) -> None:
    async with serving(SMALL) as server:
        client = await server.connect()
        client.send(wire)
        await refused(server, client, ErrorType.CLIENT_BAD_REQUEST)


@on_both_loops
async def test_an_offered_web_socket_is_refused_as_such() -> None:
    async with serving(SMALL) as server:
        client = await server.connect()
        client.send(b"GET /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        await refused(server, client, ErrorType.CLIENT_UPGRADE_UNSUPPORTED)


TOO_LARGE = {
    "announced": (HEAD + b"content-length: 1001\r\n\r\n", ErrorType.CLIENT_BODY_TOO_LARGE),
    "in chunks": (CHUNKED + b"3e8\r\n" + bytes(1000) + b"\r\n1\r\nx\r\n", ErrorType.CLIENT_BODY_TOO_LARGE),
    "fields": (HEAD + b"".join(b"x%d: y\r\n" % n for n in range(21)), ErrorType.CLIENT_HEADERS_TOO_LARGE),
    "a value": (HEAD + b"x: " + b"y" * 200 + b"\r\nz", ErrorType.CLIENT_HEADERS_TOO_LARGE),
    "a target": (b"GET /" + b"a" * 200 + b" HTTP/1.1\r\n", ErrorType.CLIENT_HEADERS_TOO_LARGE),
    "trailer fields": (
        CHUNKED + b"0\r\n" + b"".join(b"x%d: y\r\n" % n for n in range(20)),
        ErrorType.CLIENT_HEADERS_TOO_LARGE,
    ),
    "a coded body": (
        HEAD + b"content-encoding: gzip\r\ncontent-length: 1\r\n\r\nx",
        ErrorType.CLIENT_UNSUPPORTED_MEDIA,
    ),
}


@pytest.mark.parametrize(("wire", "kind"), TOO_LARGE.values(), ids=TOO_LARGE)
@on_both_loops
async def test_what_is_too_large_is_refused_before_all_of_it_is_here(wire: bytes, kind: ErrorType) -> None:
    async with serving(SMALL) as server:
        client = await server.connect()
        client.send(wire)
        await refused(server, client, kind)


@on_both_loops
async def test_what_just_fits_is_taken() -> None:
    async with serving(SMALL) as server:
        client = await server.connect()
        client.send(post("/", bytes(1000), *(f"x{n}: {'y' * 190}" for n in range(18))))
        assert (await client.answer()).status == 200
        client.send(CHUNKED + b"3e8\r\n" + bytes(1000) + b"\r\n0\r\n\r\n")
        assert (await client.answer()).status == 200


ENDLESS = {
    "a head of one field": HEAD + b"x: ",
    "a trailer of one field": CHUNKED + b"0\r\nx: ",
    "a chunk extension": CHUNKED + b"1;",
}


@pytest.mark.parametrize("wire", ENDLESS.values(), ids=ENDLESS)
@on_both_loops
async def test_what_never_ends_is_refused_after_a_bounded_number_of_bytes(wire: bytes) -> None:
    async with serving() as server:
        client = await server.connect()
        client.send(wire)
        sent = 0
        while not server.faults and sent < 8 * HEAD_BYTES_MAX:
            client.send(b"y" * 16 * KIB)
            await client.sent()
            sent += 16 * KIB
            await server.clock.advance(0)
        await refused(server, client, ErrorType.CLIENT_HEADERS_TOO_LARGE)


# --- refusals that arrive --------------------------------------------------------------------------------------


@on_both_loops
async def test_a_refusal_reaches_a_client_that_is_still_sending() -> None:
    async with serving(SMALL) as server:
        client = await server.connect()
        client.send(HEAD + b"content-length: 20000000\r\n\r\n")
        for _ in range(300):
            client.send(bytes(64 * KIB))
            await client.sent()
        answer = await client.answer()
        assert answer.body.decode() == ErrorType.CLIENT_BODY_TOO_LARGE
        assert len(server.server) == 1
        await server.clock.advance(LINGER_S + 1)
        await until(lambda: len(server.server) == 0, "the connection is closed")


@on_both_loops
async def test_a_refused_client_that_closes_is_forgotten_at_once() -> None:
    async with serving(SMALL) as server:
        client = await server.connect()
        client.send(b"nonsense\r\n\r\n")
        await refused(server, client, ErrorType.CLIENT_BAD_REQUEST)
        client.close()
        await until(lambda: len(server.server) == 0, "the connection is closed")


@on_both_loops
async def test_nonsense_behind_a_request_does_not_spoil_its_answer() -> None:
    async with serving(SMALL) as server:
        server.handle = hold
        client = await server.connect()
        client.send(post("/", b"first") + b"nonsense\r\n\r\n" + post("/", b"never read"))
        exchange = await server.asked()
        exchange.start(200, b"", b"the ")
        exchange.finish(b"answer")
        assert (await client.answer()).body == b"the answer"
        assert await client.closed()
        assert server.faults == []
        assert len(server.exchanges) == 1


# --- too slow --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", [HEAD, HEAD + b"content-length: 5\r\n\r\nab", CHUNKED + b"5\r\nab"])
@on_both_loops
async def test_a_request_that_is_not_complete_in_time(half: bytes) -> None:
    async with serving(SMALL) as server:
        client = await server.connect()
        await until(lambda: len(server.server) == 1, "the connection")
        await server.clock.advance(5)
        for byte in half:  # a byte now and then does not buy time
            client.send(bytes([byte]))
            await client.sent()
        await until(lambda: all(c._mid_request for c in server.server._connections), "half a request")
        await server.clock.advance(9)
        assert server.faults == []
        await server.clock.advance(2)
        await refused(server, client, ErrorType.CLIENT_TOO_SLOW)


@on_both_loops
async def test_a_drop_of_bytes_does_not_buy_time() -> None:
    async with serving(SMALL) as server:
        client = await server.connect()
        client.send(HEAD)
        await until(lambda: all(c._mid_request for c in server.server._connections), "half a request")
        for second in range(9):
            client.send(b"x%d: y\r\n" % second)
            await client.sent()
            await server.clock.advance(1)
        assert server.faults == []
        await server.clock.advance(2)
        await refused(server, client, ErrorType.CLIENT_TOO_SLOW)


@on_both_loops
async def test_a_connection_without_a_request_is_closed_without_a_word() -> None:
    async with serving(SMALL) as server:
        client = await server.connect()
        await until(lambda: len(server.server) == 1, "the connection")
        await server.clock.advance(11)
        assert await client.closed()
        assert server.faults == []


@on_both_loops
async def test_an_idle_connection_is_kept_for_a_while() -> None:
    async with serving(SMALL) as server:
        client = await server.connect()
        for _ in range(3):
            client.send(post())
            assert (await client.answer()).status == 200
            await server.clock.advance(29)
        await server.clock.advance(2)
        assert await client.closed()
        assert server.faults == []


@on_both_loops
async def test_an_answer_may_take_its_time_and_the_next_request_gets_its_own() -> None:
    async with serving(SMALL) as server:
        server.handle = hold
        client = await server.connect()
        client.send(post("/", b"first") + HEAD)
        exchange = await server.asked()
        await server.clock.advance(100)
        exchange.respond(200, b"", b"late")
        assert (await client.answer()).body == b"late"
        await server.clock.advance(9)
        assert server.faults == []
        await server.clock.advance(2)
        assert (await client.answer()).body.decode() == ErrorType.CLIENT_TOO_SLOW


@on_both_loops
async def test_many_slow_clients_do_not_keep_others_from_being_served() -> None:
    async with serving(SMALL) as server:
        slow = [await server.connect() for _ in range(50)]
        for client in slow:
            client.send(HEAD)
        quick = await server.connect()
        quick.send(post())
        assert (await quick.answer()).status == 200
        await until(lambda: sum(c._mid_request for c in server.server._connections) == 50, "half requests")
        await server.clock.advance(11)
        answers = await asyncio.gather(*(client.answer() for client in slow))
        assert {answer.body.decode() for answer in answers} == {ErrorType.CLIENT_TOO_SLOW.value}


@on_both_loops
async def test_what_stands_behind_a_malformed_request_is_never_read() -> None:
    """It may be half a request of another, whom a proxy has put on the same connection."""
    hidden = b"GET /hidden HTTP/1.1\r\nhost: x\r\n\r\n"
    for wire in MALFORMED.values():
        async with serving(SMALL) as server:
            client = await server.connect()
            client.send(wire + hidden)
            assert (await client.rest()).count(b"HTTP/1.1 ") == 1
            client.send(hidden)
            assert server.exchanges == []


@on_both_loops
async def test_the_host_in_a_target_is_no_path_of_ours() -> None:
    """Nothing here goes by a host, so one that differs from the header changes nothing: it stays in the path."""
    async with serving(SMALL) as server:
        client = await server.connect()
        client.send(b"GET http://other/a HTTP/1.1\r\nhost: x\r\n\r\n")
        await client.answer()
        assert [exchange.request.path for exchange in server.exchanges] == ["http://other/a"]


@on_both_loops
async def test_http_1_0_needs_no_host() -> None:
    async with serving(SMALL) as server:
        client = await server.connect()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert (await client.answer()).status == 200


@on_both_loops
async def test_a_thousand_offers_of_http_2_at_once_are_as_many_requests() -> None:
    """Each is read anew without its offer: not within the reading of the one before, and without a copy of the rest."""
    offer = b"GET / HTTP/1.1\r\nhost: x\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"
    many = 3000
    async with serving(SMALL) as server:
        client = await server.connect()
        client.send(offer * many)
        for _ in range(many):
            assert (await client.answer()).status == 200
        assert server.faults == []
        assert len(server.exchanges) == many
