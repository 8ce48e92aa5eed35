"""Clients that are slow, impatient, or gone: bounded in time, answered in order, and never in the way of others."""

import contextlib
import socket
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from urllib.parse import urlsplit

import pytest

from tests.support.raw_http import RawClient, Response, exchange, request
from tests.support.surface import READ_TIMEOUT_S, Surface, read_error
from trunkline.runtime.clock import SystemClock

BODY = b'{"model":"demo","messages":[{"role":"user","content":"hi"}],"max_tokens":%d}'
STREAM = b'{"model":"demo","messages":[{"role":"user","content":"hi"}],"stream":true,"trunkline_demo":{"chunks":%d}}'
LATE_S = 3.0
"""After its deadline a connection is looked at within half a second; a busy machine gets more."""

DRIP_S = 0.05
_pause = Event()
"""Never set: waiting for it is how a slow client passes its time."""


@pytest.fixture(autouse=True)
def still_serves(surface: Surface) -> Iterator[None]:
    """After each of these tests the same edge process answers a good request, and holds no job."""
    pid = surface.ready.processes["edge"][0].pid
    yield
    assert exchange(surface.ready.base_url, chat(surface, 3)).status == 200
    assert surface.ready.processes["edge"][0].pid == pid
    surface.wait_until_idle()


def chat(surface: Surface, max_tokens: int, *headers: tuple[str, str]) -> bytes:
    """Return a good request whose answer has so many words."""
    key = ("authorization", f"Bearer {surface.ready.api_key}")
    return request("POST", "/v1/chat/completions", headers=[key, *headers], body=BODY % max_tokens)


# --- slow ---------------------------------------------------------------------------------------------------------


def _drip(surface: Surface, first: bytes, drops: Sequence[bytes]) -> tuple[Response, float]:
    """Send something, and then a little now and then until there is an answer; return it and how long it took."""
    clock = SystemClock()
    began = clock.now()
    with RawClient(surface.ready.base_url, timeout_s=READ_TIMEOUT_S + LATE_S) as client:
        client.send(first)
        for drop in drops:
            _pause.wait(DRIP_S)
            client.send(drop)
            if clock.now() - began > READ_TIMEOUT_S + 1:
                break
        return client.receive(), clock.now() - began


def test_slow_loris(surface: Surface) -> None:
    whole = chat(surface, 3)
    head, _, _ = whole.partition(b"\r\n\r\n")
    chunked = head.replace(b"content-length: ", b"x-was: ") + b"\r\ntransfer-encoding: chunked\r\n\r\n"
    clients = {
        "half a request line": (whole[:10], []),
        "half a head": (head, []),
        "half a body": (whole[:-5], []),
        "head, a byte at a time": (b"", [head[number : number + 1] for number in range(len(head))]),
        "header fields without end": (b"GET / HTTP/1.1\r\n", [b"x-%d: a\r\n" % number for number in range(90)]),
        "body, a byte at a time": (head + b"\r\n\r\n", [b"{"] * 60),
        "chunks of one byte": (chunked, [b"1\r\n{\r\n"] * 90),
        "chunk extension": (chunked, [b"1;a", *[b"a"] * 90]),
    }
    with ThreadPoolExecutor(len(clients)) as threads:
        results = list(threads.map(lambda client: _drip(surface, *client), clients.values()))
    for name, (response, took_s) in zip(clients, results, strict=True):
        assert response.status == 408, name
        assert READ_TIMEOUT_S - 0.1 <= took_s <= READ_TIMEOUT_S + LATE_S, name
        assert read_error(response).code == "request_timeout", name


@pytest.mark.parametrize("wire", [b"", b"\r\n\r\n"], ids=["nothing", "empty_lines"])
def test_silent_connection_is_closed(surface: Surface, wire: bytes) -> None:
    with RawClient(surface.ready.base_url, timeout_s=READ_TIMEOUT_S + LATE_S) as client:
        client.send(wire)
        assert client.read_to_end() == b""


def test_slow_clients_do_not_hold_up_others(surface: Surface) -> None:
    with contextlib.ExitStack() as open_clients:
        for _ in range(200):
            client = open_clients.enter_context(RawClient(surface.ready.base_url))
            client.send(chat(surface, 3)[:40])
        clock = SystemClock()
        began = clock.now()
        assert exchange(surface.ready.base_url, chat(surface, 3)).status == 200
        assert clock.now() - began < READ_TIMEOUT_S


# --- pipelined ----------------------------------------------------------------------------------------------------


def test_pipelined_requests_are_answered_in_order(surface: Surface) -> None:
    with RawClient(surface.ready.base_url) as client:
        key = ("authorization", f"Bearer {surface.ready.api_key}")
        streamed = request("POST", "/v1/chat/completions", headers=[key], body=STREAM % 7)
        client.send(chat(surface, 1) + streamed + b"".join(chat(surface, number) for number in range(2, 20)))
        answers = [client.receive() for _ in range(20)]
    assert [answer.status for answer in answers] == [200] * 20
    assert answers.pop(1).body.endswith(b"data: [DONE]\n\n")
    for number, answer in enumerate(answers, start=1):
        assert b'"completion_tokens":%d,' % number in answer.body
    assert len({answer.headers["x-request-id"] for answer in answers}) == 19


def test_good_requests_before_a_bad_one_are_answered(surface: Surface) -> None:
    with RawClient(surface.ready.base_url) as client:
        client.send(chat(surface, 1))
        assert client.receive().status == 200
        client.send(chat(surface, 2) + b"GARBAGE\r\n\r\n" + chat(surface, 3))
        assert b'"completion_tokens":2,' in client.receive().body
        assert b"HTTP/1.1 200" not in client.read_to_end()


def test_connection_is_kept_after_refusals_that_leave_it_whole(surface: Surface) -> None:
    with RawClient(surface.ready.base_url) as client:
        for _ in range(3):
            client.send(request("POST", "/v1/chat/completions", body=b"{"))
            assert client.receive().status == 401
            client.send(request("GET", "/nothing", body=b"x" * 1000))
            assert client.receive().status == 404
            client.send(chat(surface, 1))
            assert client.receive().status == 200


def test_connection_close_is_obeyed(surface: Surface) -> None:
    with RawClient(surface.ready.base_url) as client:
        client.send(chat(surface, 1, ("connection", "close")) + chat(surface, 2))
        answer = client.receive()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert client.read_to_end() == b""


def test_http_1_0_gets_no_chunks(surface: Surface) -> None:
    key = ("authorization", f"Bearer {surface.ready.api_key}")
    wire = request("POST", "/v1/chat/completions", headers=[key], body=STREAM % 3)
    with RawClient(surface.ready.base_url) as client:
        client.send(wire.replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        head, _, body = client.read_to_end().partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert body.startswith(b"data: {")
    assert body.endswith(b"data: [DONE]\n\n")


# --- gone ---------------------------------------------------------------------------------------------------------


def _reset(surface: Surface, wire: bytes) -> None:
    """Send bytes and reset the connection at once."""
    parts = urlsplit(surface.ready.base_url)
    with socket.create_connection((parts.hostname, parts.port), 5) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(wire)


def test_clients_that_vanish_leave_nothing_behind(surface: Surface) -> None:
    key = ("authorization", f"Bearer {surface.ready.api_key}")
    stream = request("POST", "/v1/chat/completions", headers=[key], body=STREAM % 1_000_000)
    for _ in range(10):
        for wire in (b"", b"G", chat(surface, 3)[:60], chat(surface, 3), stream, b"\x00"):
            _reset(surface, wire)
