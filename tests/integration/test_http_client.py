"""The dispatcher's HTTP client on the loopback, against an upstream that does everything there is to do wrong."""

import asyncio
from pathlib import Path

import pytest

from tests.support.both_loops import on_both_loops
from tests.support.http_certificate import certified
from tests.support.http_serving import until
from tests.support.http_upstream import REQUEST, Receiver, upstream
from trunkline.runtime.http_client import (
    HEAD_BYTES_MAX,
    IDLE_CONNECTION_S,
    Endpoint,
    HTTPClientError,
    HTTPClientPool,
    Target,
    parse_target,
)
from trunkline.runtime.tasks import TaskSet

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

# --- good answers ----------------------------------------------------------------------------------------------

GOOD = {
    "with a length": (OK, b"{}", True),
    "without a body": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    "in chunks": (CHUNKED + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\ntrailer: 1\r\n\r\n", b"abcde", True),
    "closing": (OK.replace(b"content-type", b"connection: close\r\nx"), b"{}", False),
    "in HTTP/1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx", b"x", False),
    "after interim ones": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK,
        b"{}",
        True,
    ),
}


@pytest.mark.parametrize(("wire", "body", "kept"), GOOD.values(), ids=GOOD)
@pytest.mark.parametrize("in_pieces", [False, True])
@on_both_loops
async def test_good_answers(wire: bytes, body: bytes, kept: bool, in_pieces: bool) -> None:
    async with upstream() as up:
        connection, peer, receiver = await up.ask()
        for part in [wire] if not in_pieces else [wire[n : n + 1] for n in range(len(wire))]:
            peer.send(part)
            await peer.sent()
            await up.clock.advance(0)
        await receiver.ended("end")
        assert receiver.status in {200, 204}
        assert receiver.body == body
        assert "link" not in receiver.headers
        assert up.pool.take_idle(up.endpoint) is (connection if kept else None)
        if not kept:
            assert await peer.closed()


@on_both_loops
async def test_an_answer_that_ends_with_the_connection() -> None:
    async with upstream() as up:
        _, peer, receiver = await up.ask()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nall of ")
        await peer.sent()
        await until(lambda: receiver.body == b"all of ", "the first part")
        assert receiver.ends == []
        peer.send(b"it")
        peer.close()
        await receiver.ended("end")
        assert receiver.body == b"all of it"
        assert up.pool.take_idle(up.endpoint) is None


@on_both_loops
async def test_a_connection_carries_many_exchanges_and_the_last_used_comes_first() -> None:
    async with upstream() as up:
        first, peer, receiver = await up.ask()
        second, other, other_receiver = await up.ask()
        for at, by in ((other, other_receiver), (peer, receiver)):
            at.send(OK)
            await by.ended("end")
        assert up.pool.take_idle(up.endpoint) is first
        again = Receiver()
        first.send(REQUEST, again)
        assert await peer.exactly(len(REQUEST)) == REQUEST
        peer.send(OK)
        await again.ended("end")
        assert [up.pool.take_idle(up.endpoint) for _ in range(3)] == [first, second, None]
        assert up.pool.take_idle(Endpoint("127.0.0.2", up.endpoint.port, tls=False)) is None


# --- connections that die --------------------------------------------------------------------------------------


@on_both_loops
async def test_a_kept_connection_that_the_server_has_closed_is_not_offered() -> None:
    async with upstream() as up:
        _, peer, receiver = await up.ask()
        peer.send(OK)
        await receiver.ended("end")
        peer.close()
        await until(lambda: up.pool.connections == 0, "the close is seen")
        assert up.pool.take_idle(up.endpoint) is None


@on_both_loops
async def test_a_kept_connection_that_closes_as_we_write_is_unused() -> None:
    async with upstream() as up:
        connection, peer, receiver = await up.ask()
        peer.send(OK)
        await receiver.ended("end")
        again = Receiver()
        peer.close()
        assert up.pool.take_idle(up.endpoint) is connection
        connection.send(REQUEST, again)
        await again.ended("error")
        assert again.unused is True
        late = Receiver()
        connection.send(REQUEST, late)
        assert late.ends == ["error"]
        assert late.unused is True


CUT = {
    "in the head": b"HTTP/1.1 200 OK\r\ncontent-le",
    "before the body": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
    "in the body": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc",
    "in a chunk": CHUNKED + b"5\r\nabc",
    "between chunks": CHUNKED + b"3\r\nabc\r\n",
    "before the last line": CHUNKED + b"3\r\nabc\r\n0\r\n",
    "after an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n",
}


@pytest.mark.parametrize("wire", CUT.values(), ids=CUT)
@on_both_loops
async def test_a_cut_answer_is_an_error_and_not_to_be_tried_again(wire: bytes) -> None:
    async with upstream() as up:
        _, peer, receiver = await up.ask()
        peer.send(wire)
        peer.close()
        await receiver.ended("error")
        assert receiver.unused is False
        assert receiver.body in {b"", b"abc"}


@on_both_loops
async def test_no_answer_at_all_is_an_unused_connection() -> None:
    async with upstream() as up:
        _, peer, receiver = await up.ask()
        peer.reset()
        await receiver.ended("error")
        assert receiver.unused is True


# --- answers that are none -------------------------------------------------------------------------------------

GARBAGE = {
    "nonsense": b"220 mail.example ESMTP\r\n",
    "a bad status": b"HTTP/1.1 abc OK\r\n\r\n",
    "a bad chunk": CHUNKED + b"xyz\r\n",
    "length and chunks": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a NUL in a value": b"HTTP/1.1 200 OK\r\nx: \0\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    "an endless head": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 5 * HEAD_BYTES_MAX,
    "endless trailer fields": CHUNKED
    + b"1\r\nx\r\n0\r\n"
    + b"".join(b"x%d: y\r\n" % number for number in range(HEAD_BYTES_MAX)),
    "an endless chunk extension": CHUNKED + b"1;" + b"y" * 5 * HEAD_BYTES_MAX,
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46",
}


@pytest.mark.parametrize("wire", GARBAGE.values(), ids=GARBAGE)
@on_both_loops
async def test_what_is_no_answer_is_an_error_and_closes_the_connection(wire: bytes) -> None:
    async with upstream() as up:
        _, peer, receiver = await up.ask()
        peer.send(wire)
        await receiver.ended("error")
        assert receiver.unused is False
        await until(lambda: up.pool.connections == 0, "it is closed")
        assert up.pool.take_idle(up.endpoint) is None


@pytest.mark.parametrize("surplus", [OK, b"HTTP/1.1 200", b"garbage\r\n\r\n"])
@on_both_loops
async def test_what_nobody_asked_for_is_not_taken_for_the_next_answer(surplus: bytes) -> None:
    async with upstream() as up:
        _, peer, receiver = await up.ask()
        peer.send(OK + surplus)
        await receiver.ended("end")
        assert up.pool.take_idle(up.endpoint) is None
        _, peer, receiver = await up.ask()
        peer.send(OK)
        await receiver.ended("end")
        peer.send(surplus)
        await until(lambda: up.pool.connections == 0, "both are closed")
        assert receiver.body == b"{}"
        assert up.pool.take_idle(up.endpoint) is None


@on_both_loops
async def test_a_receiver_that_fails_hears_of_an_error_and_harms_nobody_else() -> None:
    class Failing(Receiver):
        def on_body(self, _data: bytes) -> None:
            raise RuntimeError("on purpose")

    async with upstream() as up:
        connection, peer = await up.connect()
        failing = Failing()
        connection.send(REQUEST, failing)
        _, other, receiver = await up.ask()
        peer.send(OK)
        await failing.ended("error")
        other.send(OK)
        await receiver.ended("end")
        await until(lambda: up.pool.connections == 1, "its connection is closed")


# --- pause, cancel, idle ---------------------------------------------------------------------------------------


@on_both_loops
async def test_pausing_stops_the_sender() -> None:
    total, piece = 32 * 1024 * 1024, 256 * 1024
    async with upstream() as up:
        connection, peer, receiver = await up.ask()
        received = 0

        def count(data: bytes) -> None:
            nonlocal received
            received += len(data)

        receiver.on_body = count  # type: ignore[method-assign]
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        await until(lambda: receiver.status == 200, "the head")
        connection.pause()
        connection.pause()
        sending = up.tasks.spawn(_send(peer.writer, total, piece), name="sending")
        buffered = peer.writer.transport.get_write_buffer_size
        await until(lambda: buffered() > 0, "the socket is full")
        await up.clock.advance(0)
        assert received == 0
        assert not sending.done()
        connection.resume()
        await until(lambda: received > 0, "more of it")
        connection.pause()
        stopped_at = received
        await until(lambda: buffered() > 0, "the socket is full again")
        assert received <= stopped_at
        connection.resume()
        await receiver.ended("end")
        assert received == total
        assert up.pool.take_idle(up.endpoint) is connection


async def _send(writer: asyncio.StreamWriter, total: int, piece: int) -> None:
    for _ in range(total // piece):
        writer.write(bytes(piece))
        await writer.drain()


@on_both_loops
async def test_an_answer_that_ended_while_paused_leaves_a_connection_that_reads() -> None:
    async with upstream() as up:
        connection, peer, receiver = await up.ask()

        def pause_on_head(status: int, headers: dict[str, str]) -> None:
            connection.pause()
            Receiver.on_head(receiver, status, headers)

        receiver.on_head = pause_on_head  # type: ignore[method-assign]
        peer.send(OK)
        await receiver.ended("end")
        assert up.pool.take_idle(up.endpoint) is connection
        again = Receiver()
        connection.send(REQUEST, again)
        peer.send(OK)
        await again.ended("end")


@pytest.mark.parametrize("begun", [b"", CHUNKED + b"3\r\nabc\r\n"])
@pytest.mark.parametrize("paused", [False, True])
@on_both_loops
async def test_cancelling_closes_at_once_and_says_nothing(begun: bytes, paused: bool) -> None:
    async with upstream() as up:
        connection, peer, receiver = await up.ask()
        peer.send(begun)
        await until(lambda: receiver.body == (b"abc" if begun else b""), "the beginning")
        if paused:
            connection.pause()
        connection.cancel()
        connection.cancel()
        assert await peer.closed()
        await until(lambda: up.pool.connections == 0, "it is forgotten")
        connection.pause()
        connection.resume()
        assert receiver.ends == []
        assert up.pool.take_idle(up.endpoint) is None


@on_both_loops
async def test_idle_connections_are_closed_after_a_while() -> None:
    async with upstream() as up:
        _, peer, receiver = await up.ask()
        peer.send(OK)
        await receiver.ended("end")
        await up.clock.advance(IDLE_CONNECTION_S - 1)
        assert up.pool.connections == 1
        await up.clock.advance(3)
        assert await peer.closed()
        await until(lambda: up.pool.connections == 0, "it is forgotten")


# --- connecting ------------------------------------------------------------------------------------------------


@on_both_loops
async def test_connections_that_cannot_be_made() -> None:
    async with upstream() as up:
        port = up.endpoint.port
        refused = Endpoint("127.0.0.1", 1, tls=False)
        for endpoint in (refused, Endpoint("no..such", port, tls=False), Endpoint("x" * 300, port, tls=False)):
            with pytest.raises(HTTPClientError) as caught:
                await up.pool.connect(endpoint, timeout_s=5.0)
            assert caught.value.unused
        with pytest.raises(HTTPClientError, match="not made in time"):
            # A server that takes the connection and never begins its side of TLS.
            await up.pool.connect(Endpoint("127.0.0.1", port, tls=True), timeout_s=0.05)
        assert up.pool.connections == 0


@on_both_loops
async def test_tls_is_verified(tmp_path: Path) -> None:
    context, trusting = certified(tmp_path)
    async with upstream(context) as up:
        with pytest.raises(HTTPClientError, match="SSLCertVerificationError"):
            await up.pool.connect(up.endpoint, timeout_s=5.0)
        assert up.pool.connections == 0
        tasks = TaskSet()
        up.pool = HTTPClientPool(clock=up.clock, tasks=tasks, tls=trusting)
        with pytest.raises(HTTPClientError, match="SSLCertVerificationError"):
            await up.pool.connect(Endpoint("127.0.0.1", up.endpoint.port, tls=True), timeout_s=5.0)
        up.peers.clear()
        connection, peer, receiver = await up.ask()
        peer.send(OK)
        await receiver.ended("end")
        assert receiver.body == b"{}"
        connection.close()
        await until(lambda: up.pool.connections == 0, "it is closed")
        await tasks.cancel()


# --- URLs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://api.x.com/v1/chat", Target(Endpoint("api.x.com", 443, tls=True), "api.x.com", "/v1/chat")),
        ("http://user:pw@x:8000?a=b", Target(Endpoint("x", 8000, tls=False), "x:8000", "/?a=b")),
        ("http://[::1]:80/", Target(Endpoint("::1", 80, tls=False), "[::1]:80", "/")),
    ],
)
def test_targets(url: str, target: Target) -> None:
    assert parse_target(url) == target


@pytest.mark.parametrize("url", ["", "x", "ftp://x/", "https://", "http://x:99999/", "http://x:y/"])
def test_what_is_no_target(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_target(url)


class FailingReceiver(Receiver):
    """Fails on a whole answer."""

    def on_end(self) -> None:
        raise ValueError("words of the answer")


async def test_a_receiver_that_fails_at_the_end_hears_of_an_error() -> None:
    async with upstream() as up:
        connection, peer, _ = await up.ask()
        peer.send(OK)
        receiver = FailingReceiver()
        connection._receiver = receiver
        await receiver.ended("error")
        assert receiver.unused is False
