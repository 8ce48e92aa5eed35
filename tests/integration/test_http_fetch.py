"""Fetching what a stranger names, on the loopback, from servers that do everything there is to do wrong."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from tests.support.both_loops import on_both_loops
from tests.support.http_certificate import certified
from tests.support.http_serving import until
from tests.support.http_upstream import REQUEST, Receiver, upstream
from tests.support.manual_clock import ManualClock
from tests.support.picture_server import JPEG, PDF, PictureServer, picture_server, png
from tests.support.stream_server import stream_server
from trunkline.core import limits
from trunkline.policy.fetching import Fetched, FetchError, FetchResult, FetchRules
from trunkline.protocol.links import DOCUMENTS, PICTURES
from trunkline.runtime.http_client import Endpoint, HTTPClientPool
from trunkline.runtime.http_fetch import HTTPFetcher, SystemResolver
from trunkline.runtime.tasks import TaskSet

LOOPBACK = IPv4Network("127.0.0.0/8")
PICTURE = png(b"the one that is wanted")
PATIENCE_S = 60.0
"""For what is no matter of time: some servers take a second to make their answer, and the machine may be busy."""

HEADERS = {"host", "user-agent", "accept", "accept-encoding", "connection"}


class Fetching:
    """A fetcher and what it is given.

    Attributes:
        addresses: of names; what is not there has no address.
        lookups: names that were looked up.
        taken: bytes that came.
    """

    def __init__(self, ports: set[int], *, allowed: bool, timeout_s: float, pool: HTTPClientPool) -> None:
        rules = FetchRules((LOOPBACK,) if allowed else (), frozenset(ports))
        self.pool = pool
        self.fetcher = HTTPFetcher(pool, rules, self._resolve, agent="gateway", timeout_s=timeout_s)
        self.addresses = {"127.0.0.1": ["127.0.0.1"]}
        self.lookups: list[str] = []
        self.taken = 0

    async def _resolve(self, host: str, _port: int) -> list[str]:
        self.lookups.append(host)
        if host not in self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return self.addresses[host]

    def _take(self, size: int) -> None:
        self.taken += size

    async def get(self, url: str, accepts: frozenset[str] = PICTURES) -> Fetched:
        return await self.fetcher.fetch(url, accepts, self._take)

    async def fails(self, url: str, accepts: frozenset[str] = PICTURES) -> FetchResult:
        with pytest.raises(FetchError) as raised:
            await self.get(url, accepts)
        return raised.value.result


@contextlib.asynccontextmanager
async def fetching(
    *servers: PictureServer, allowed: bool = True, timeout_s: float = PATIENCE_S, trust: ssl.SSLContext | None = None
) -> AsyncIterator[Fetching]:
    """Give a fetcher for the length of the block; afterwards it must have closed all connections."""
    tasks = TaskSet()
    pool = HTTPClientPool(clock=ManualClock(), tasks=tasks, tls=trust)
    running = Fetching({server.port for server in servers}, allowed=allowed, timeout_s=timeout_s, pool=pool)
    try:
        yield running
        await until(lambda: pool.connections == 0, "all connections are closed")
        assert all(pool.take_idle(Endpoint("127.0.0.1", server.port, tls=False)) is None for server in servers)
    finally:
        await tasks.cancel()


# --- what is fetched -----------------------------------------------------------------------------------------------


@on_both_loops
async def test_pictures_and_documents_by_their_bytes() -> None:
    with picture_server(PICTURE) as server:
        async with fetching(server) as run:
            assert await run.get(server.url("/picture.png?a=b")) == ("image/png", PICTURE)
            assert await run.get(server.url("/photo.png")) == ("image/jpeg", JPEG)
            assert await run.get(server.url("/document.pdf"), DOCUMENTS) == ("application/pdf", PDF)
            assert run.taken == len(PICTURE) + len(JPEG) + len(PDF)
            assert server.paths == ["/picture.png?a=b", "/photo.png", "/document.pdf"]


@on_both_loops
async def test_nothing_of_anybody_goes_along_not_even_a_cookie_of_the_server() -> None:
    with picture_server(PICTURE) as server:
        async with fetching(server) as run:
            await run.get(server.url("/again/2"))
            assert server.paths == ["/again/2", "/again/1", "/picture.png"]
            for asked in server.asked:
                assert set(asked.headers) == HEADERS
                assert asked.headers["host"] == f"127.0.0.1:{server.port}"
                assert (asked.headers["user-agent"], asked.headers["accept-encoding"]) == ("gateway", "identity")


@on_both_loops
async def test_the_address_that_was_judged_is_the_one_that_is_called() -> None:
    """The name is looked up once: a second look-up could give another address (DNS rebinding)."""
    with picture_server(PICTURE) as server:
        async with fetching(server) as run:
            run.addresses["pictures.test"] = ["127.0.0.1"]
            assert (await run.get(server.url("/picture.png", "pictures.test"))).data == PICTURE
            assert run.lookups == ["pictures.test"]
            assert server.asked[0].headers["host"] == f"pictures.test:{server.port}"


@on_both_loops
async def test_tls_is_checked_against_the_name_not_the_address(tmp_path: Path) -> None:
    served, trusted = certified(tmp_path)
    with picture_server(PICTURE, tls=served) as server:
        async with fetching(server, trust=trusted) as run:
            run.addresses |= {"localhost": ["127.0.0.1"], "other.test": ["127.0.0.1"]}
            url = server.url("/picture.png", "localhost").replace("http:", "https:")
            assert (await run.get(url)).data == PICTURE
            assert await run.fails(url.replace("localhost", "other.test")) is FetchResult.UNREACHABLE
            assert len(server.asked) == 1


@on_both_loops
async def test_a_dead_address_leaves_the_turn_to_the_next() -> None:
    with picture_server(PICTURE) as server:
        async with fetching(server) as run:
            run.addresses["two.test"] = ["127.0.0.2", "127.0.0.1"]
            assert (await run.get(server.url("/picture.png", "two.test"))).data == PICTURE
            run.addresses["many.test"] = ["127.0.0.2"] * limits.FETCH_ADDRESSES_MAX + ["127.0.0.1"]
            assert await run.fails(server.url("/picture.png", "many.test")) is FetchResult.UNREACHABLE


@on_both_loops
async def test_the_system_looks_names_up() -> None:
    resolve = SystemResolver()
    try:
        assert await resolve("127.0.0.1", 80) == ["127.0.0.1"]
        assert await resolve("::1", 80) == ["::1"]
        # Other ways to write the loopback, which the system understands and a pattern would not.
        for written in ("127.1", "0x7f000001", "2130706433"):
            assert await resolve(written, 80) == ["127.0.0.1"]
        with pytest.raises(UnicodeError):
            await resolve("a" * 64, 80)
    finally:
        resolve.close()


@on_both_loops
async def test_a_connection_to_an_address_of_ones_own_choice_is_never_kept() -> None:
    async with upstream() as up:
        connection = await up.pool.connect(up.endpoint, 5.0, address="127.0.0.1")
        await until(lambda: len(up.peers) == 1, "the connection")
        receiver = Receiver()
        connection.send(REQUEST, receiver)
        up.peers[0].send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        await receiver.ended("end")
        assert up.pool.take_idle(up.endpoint) is None
        assert await up.peers[0].exactly(len(REQUEST)) == REQUEST
        assert await up.peers[0].closed()


# --- what is not ---------------------------------------------------------------------------------------------------


@on_both_loops
async def test_an_address_that_is_not_public_is_not_even_connected_to() -> None:
    with picture_server(PICTURE) as server:
        async with fetching(server, allowed=False) as run:
            run.addresses |= {
                "inside.test": ["127.0.0.1"],
                "both.test": ["93.184.216.34", "127.0.0.1"],
                "mapped.test": ["::ffff:127.0.0.1"],
                "zone.test": ["fe80::1%lo"],
            }
            for host in ("127.0.0.1", "inside.test", "both.test", "mapped.test", "zone.test"):
                assert await run.fails(server.url("/picture.png", host)) is FetchResult.FORBIDDEN_ADDRESS
            assert await run.fails(server.url("/picture.png", "nowhere.test")) is FetchResult.UNRESOLVED
            assert server.asked == []


@on_both_loops
async def test_a_redirect_is_judged_like_the_url_itself() -> None:
    with picture_server(PICTURE) as server, picture_server() as other:
        async with fetching(server) as run:
            run.addresses |= {"inside.test": ["10.0.0.1"], "both.test": ["127.0.0.1", "169.254.169.254"]}
            for url, result in (
                (server.url("/picture.png", "inside.test"), FetchResult.FORBIDDEN_ADDRESS),
                (server.url("/picture.png", "both.test"), FetchResult.FORBIDDEN_ADDRESS),
                (server.url("/picture.png", "nowhere.test"), FetchResult.UNRESOLVED),
                (other.url("/picture.png"), FetchResult.BAD_URL),  # its port is not among those that are allowed
                ("file:///etc/passwd", FetchResult.BAD_URL),
                ("http://user@127.0.0.1/", FetchResult.BAD_URL),
            ):
                assert await run.fails(server.url(f"/to?url={url}")) is result
            assert other.asked == []
            assert len(server.asked) == 6


@on_both_loops
async def test_redirects_come_to_an_end() -> None:
    with picture_server(PICTURE) as server:
        async with fetching(server) as run:
            assert (await run.get(server.url(f"/again/{limits.FETCH_REDIRECTS_MAX}"))).data == PICTURE
            before = len(server.asked)
            assert await run.fails(server.url(f"/again/{limits.FETCH_REDIRECTS_MAX + 1}")) is FetchResult.REDIRECTS
            assert len(server.asked) - before == limits.FETCH_REDIRECTS_MAX + 1


BAD = {
    "/lies.png": FetchResult.WRONG_TYPE,
    "/document.pdf": FetchResult.WRONG_TYPE,
    "/gzip.png": FetchResult.ENCODED,
    "/huge.png": FetchResult.TOO_LARGE,
    "/trickle.png": FetchResult.TOO_LARGE,
    "/cut.png": FetchResult.UNREACHABLE,
    "/nothing.png": FetchResult.BAD_STATUS,
}


@pytest.mark.parametrize(("path", "result"), BAD.items(), ids=BAD)
@on_both_loops
async def test_bad_answers(path: str, result: FetchResult) -> None:
    with picture_server(PICTURE) as server:
        async with fetching(server) as run:
            assert await run.fails(server.url(path)) is result
            assert run.taken <= limits.FETCH_BYTES_MAX


@on_both_loops
async def test_an_endless_answer_is_left_at_its_bound() -> None:
    with picture_server(PICTURE) as server:
        async with fetching(server) as run:
            assert await run.fails(server.url("/endless.png")) is FetchResult.TOO_LARGE
            assert limits.FETCH_BYTES_MAX < run.taken < limits.FETCH_BYTES_MAX + (1 << 20)
            await until(server.gone.is_set, "the server notices that nobody listens")


@on_both_loops
async def test_a_silent_server_and_a_silent_name_server_are_left_in_time() -> None:
    with picture_server(PICTURE) as server:
        async with fetching(server, timeout_s=0.1) as run:
            assert await run.fails(server.url("/silent.png")) is FetchResult.TIMEOUT
            waiting: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()

            async def resolve(_host: str, _port: int) -> list[str]:
                return await waiting

            run.fetcher._resolve = resolve
            assert await run.fails(server.url("/picture.png")) is FetchResult.TIMEOUT
            assert waiting.cancelled()


@on_both_loops
async def test_whoever_gives_up_leaves_no_connection() -> None:
    with picture_server(PICTURE) as server:
        async with fetching(server) as run:
            tasks = TaskSet()
            task = tasks.spawn(run.get(server.url("/silent.png")), name="fetch")
            await until(lambda: len(server.asked) == 1, "it is asked")
            assert run.pool.connections == 1
            await tasks.end(task)


@on_both_loops
async def test_what_is_no_http_is_no_picture() -> None:
    async def shout(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.test ESMTP\r\n")

    known = PictureServer(b"")
    async with stream_server(shout) as known.port, fetching(known) as run:
        assert await run.fails(known.url("/")) is FetchResult.UNREACHABLE
