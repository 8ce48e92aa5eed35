"""Probes over HTTP: what is sent, what is kept, and what comes of servers that do not answer as they should."""

import pytest

from tests.support.both_loops import on_both_loops
from tests.support.http_serving import until
from tests.support.http_upstream import Upstream, upstream
from trunkline.policy.probe_call import ProbeAnswer, ProbeCall
from trunkline.policy.probing import ProbeResult
from trunkline.runtime.http_client import HTTPClientPool
from trunkline.runtime.probe_http import ProbeFailedError, open_only, send_probe

ANSWER = b"HTTP/1.1 200 OK\r\nX-One: 1\r\ncontent-length: 2\r\n\r\n{}"


def url(up: Upstream, path: str = "/v1/models") -> str:
    return f"http://{up.endpoint.host}:{up.endpoint.port}{path}"


async def asked(up: Upstream, call: ProbeCall, answer: bytes, *, peer: int = 0, bytes_max: int = 100) -> ProbeAnswer:
    """Send a probe, and answer it over a connection of the server's, once all of it is there."""
    probe = up.tasks.spawn(send_probe(up.pool, call, timeout_s=5.0, bytes_max=bytes_max), name="probe")
    await until(lambda: len(up.peers) > peer, "the connection")
    assert await up.peers[peer].exactly(len(wire_of(up, call))) == wire_of(up, call)
    up.peers[peer].send(answer)
    return await probe


def wire_of(up: Upstream, call: ProbeCall) -> bytes:
    """Return a probe as it must be sent."""
    path = call.url.partition("//")[2].partition("/")[2]
    fields = {"host": f"{up.endpoint.host}:{up.endpoint.port}", **call.headers}
    if call.body is not None:
        fields["content-length"] = str(len(call.body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{call.method} /{path} HTTP/1.1\r\n{lines}\r\n".encode() + (call.body or b"")


async def failed(pool: HTTPClientPool, call: ProbeCall, *, timeout_s: float = 5.0) -> ProbeResult:
    with pytest.raises(ProbeFailedError) as raised:
        await send_probe(pool, call, timeout_s=timeout_s, bytes_max=100)
    return raised.value.result


@on_both_loops
async def test_a_request_and_its_answer_over_a_connection_that_is_kept() -> None:
    async with upstream() as up:
        call = ProbeCall("POST", url(up, "/v1/chat"), {"accept": "application/json"}, b'{"a":1}')
        for _ in range(2):
            answer = await asked(up, call, ANSWER)
            assert answer == ProbeAnswer(200, {"x-one": "1", "content-length": "2"}, b"{}", True)
        assert len(up.peers) == 1


@on_both_loops
async def test_a_kept_connection_that_was_closed_meanwhile_is_replaced() -> None:
    async with upstream() as up:
        call = ProbeCall("GET", url(up), {})
        await asked(up, call, ANSWER)
        up.peers[0].reset()
        assert (await asked(up, call, ANSWER, peer=1)).status == 200


@on_both_loops
async def test_what_is_too_long_is_cut_and_its_connection_closed() -> None:
    async with upstream() as up:
        answer = await asked(up, ProbeCall("GET", url(up), {}), b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 50, bytes_max=49)
        assert (answer.status, answer.whole, len(answer.body)) == (200, False, 50)
        assert await up.peers[0].closed()


@on_both_loops
async def test_redirects_are_answers() -> None:
    async with upstream() as up:
        wire = f"HTTP/1.1 302 Found\r\nlocation: {url(up, '/elsewhere')}\r\ncontent-length: 0\r\n\r\n".encode()
        assert (await asked(up, ProbeCall("GET", url(up), {}), wire)).status == 302
        assert len(up.peers) == 1


@on_both_loops
async def test_what_keeps_an_answer_from_coming() -> None:
    async with upstream() as up:
        assert await failed(up.pool, ProbeCall("GET", url(up), {}), timeout_s=0.05) is ProbeResult.TIMEOUT
        assert await failed(up.pool, ProbeCall("GET", "http://127.0.0.1:1/", {})) is ProbeResult.UNREACHABLE
        for call in (
            ProbeCall("GET", url(up), {"authorization": "Bearer a\r\nx-planted: 1"}),
            ProbeCall("GET", url(up), {"authorization": "Bearer \u00e9"}),
            ProbeCall("GET", "ftp://127.0.0.1/", {}),
        ):
            assert await failed(up.pool, call) is ProbeResult.UNUSABLE


@on_both_loops
async def test_a_mere_connection() -> None:
    async with upstream() as up:
        await open_only(up.pool, url(up), timeout_s=5.0)
        await until(lambda: len(up.peers) == 1, "the connection")
        assert await up.peers[0].closed()
        for wrong, result in (
            ("http://127.0.0.1:1/", ProbeResult.UNREACHABLE),
            ("ftp://127.0.0.1/", ProbeResult.UNUSABLE),
        ):
            with pytest.raises(ProbeFailedError) as raised:
                await open_only(up.pool, wrong, timeout_s=5.0)
            assert raised.value.result is result
