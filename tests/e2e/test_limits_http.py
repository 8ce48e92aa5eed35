"""HTTP itself, as nobody should speak it: refused in OpenAI's shape and quickly, and the next client is served."""

import gzip
from collections.abc import Iterator

import pytest

from tests.support.raw_http import RawClient, exchange, request
from tests.support.surface import BODY_BYTES_MAX, READ_TIMEOUT_S, OpenAIError, Surface, read_error
from trunkline.runtime.clock import SystemClock

CHAT = "/v1/chat/completions"
BODY = b'{"model":"demo","messages":[{"role":"user","content":"hi"}]}'
QUICK_S = READ_TIMEOUT_S
"""As long as the edge waits for the rest of a request: whatever comes later was not refused, but timed out."""


@pytest.fixture(autouse=True)
def still_serves(surface: Surface) -> Iterator[None]:
    """After each of these tests the same edge process answers a good request."""
    pid = surface.ready.processes["edge"][0].pid
    yield
    assert exchange(surface.ready.base_url, chat(surface)).status == 200
    assert surface.ready.processes["edge"][0].pid == pid


def bearer(surface: Surface) -> tuple[str, str]:
    """Return the header field with a good key."""
    return "authorization", f"Bearer {surface.ready.api_key}"


def chat(surface: Surface, *headers: tuple[str, str]) -> bytes:
    """Return a good request, with more header fields."""
    return request("POST", CHAT, headers=[bearer(surface), *headers], body=BODY)


def head(surface: Surface, *lines: str) -> bytes:
    """Return the head of a chat request with further lines, whatever they are."""
    name, value = bearer(surface)
    return "\r\n".join([f"POST {CHAT} HTTP/1.1", "host: gateway", f"{name}: {value}", *lines, "", ""]).encode("latin-1")


def refused(surface: Surface, *wire: bytes, status: int) -> OpenAIError:
    """Return the error that bytes are refused with, quickly; the connection is then closed and says so."""
    clock = SystemClock()
    began = clock.now()
    with RawClient(surface.ready.base_url) as client:
        for part in wire:
            client.send(part)
        response = client.receive()
        assert clock.now() - began < QUICK_S
        assert response.status == status, response.body
        assert response.headers["connection"] == "close"
        assert client.read_to_end() == b""
    return read_error(response)


# --- heads --------------------------------------------------------------------------------------------------------


def test_huge_header(surface: Surface) -> None:
    for size in (9_000, 60_000, 2_000_000):
        error = refused(surface, chat(surface, ("x-filler", "a" * size)), status=431)
        assert error.code == "headers_too_large"


def test_huge_header_name(surface: Surface) -> None:
    refused(surface, chat(surface, ("x" * 9_000, "a")), status=431)


def test_too_many_headers(surface: Surface) -> None:
    many = [(f"x-{number}", "a") for number in range(200)]
    refused(surface, chat(surface, *many), status=431)
    assert exchange(surface.ready.base_url, chat(surface, *many[:90])).status == 200


def test_headers_that_are_large_together(surface: Surface) -> None:
    refused(surface, chat(surface, *[(f"x-{number}", "a" * 4000) for number in range(60)]), status=431)


def test_huge_request_line(surface: Surface) -> None:
    refused(surface, request("GET", "/v1/models/" + "a" * 100_000, headers=[bearer(surface)]), status=431)
    refused(surface, request("GET", "/v1/models?" + "a=b&" * 50_000, headers=[bearer(surface)]), status=431)


def test_head_without_end_takes_no_more_than_its_bound(surface: Surface) -> None:
    refused(surface, b"GET / HTTP/1.1\r\n", *[b"x: " + b"a" * 4000 + b"\r\n"] * 50, status=431)
    refused(surface, b"GET / HTTP/1.1\r\nx: ", *[b"a" * 64 * 1024] * 12, status=431)


# --- bodies -------------------------------------------------------------------------------------------------------


def test_announced_body_over_the_limit_is_refused_unsent(surface: Surface) -> None:
    error = refused(surface, head(surface, f"content-length: {BODY_BYTES_MAX + 1}"), status=413)
    assert "0.5 MiB" in error.message
    refused(surface, head(surface, "content-length: 99999999999999999"), status=413)


def test_chunked_body_over_the_limit(surface: Surface) -> None:
    chunk = b"%x\r\n%b\r\n" % (64 * 1024, b" " * 64 * 1024)
    error = refused(surface, head(surface, "transfer-encoding: chunked"), *[chunk] * 12, status=413)
    assert error.code == "request_too_large"


def test_body_of_exactly_the_limit_is_taken(surface: Surface) -> None:
    body = BODY + b" " * (BODY_BYTES_MAX - len(BODY))
    assert exchange(surface.ready.base_url, request("POST", CHAT, headers=[bearer(surface)], body=body)).status == 200


def test_chunked_body_is_taken(surface: Surface) -> None:
    chunks = b"".join(b"%X;x=y\r\n%c\r\n" % (1, byte) for byte in BODY)
    wire = head(surface, "transfer-encoding: chunked") + chunks + b"0\r\nx-trailer: a\r\n\r\n"
    assert exchange(surface.ready.base_url, wire).status == 200


def test_trailer_is_no_header(surface: Surface) -> None:
    name, value = bearer(surface)
    start = f"POST {CHAT} HTTP/1.1\r\nhost: gateway\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    body = b"%x\r\n%b\r\n0\r\n%b: %b\r\n\r\n" % (len(BODY), BODY, name.encode(), value.encode())
    assert exchange(surface.ready.base_url, start + body).status == 401


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "gzip, gzip", "GZIP", "x-unknown"])
def test_content_coding(surface: Surface, coding: str) -> None:
    wire = request("POST", CHAT, headers=[bearer(surface), ("content-encoding", coding)], body=gzip.compress(BODY))
    assert "content-encoding" in refused(surface, wire, status=415).message


def test_expect_continue(surface: Surface) -> None:
    with RawClient(surface.ready.base_url) as client:
        client.send(head(surface, f"content-length: {len(BODY)}", "expect: 100-continue"))
        assert client.receive_interim() == 100
        client.send(BODY)
        assert client.receive().status == 200
    wire = head(surface, f"content-length: {BODY_BYTES_MAX + 1}", "expect: 100-continue")
    refused(surface, wire, status=413)


CHUNK_ABUSE = {
    "size_not_hex": b"zz\r\nhi\r\n0\r\n\r\n",
    "size_negative": b"-5\r\nhello\r\n0\r\n\r\n",
    "size_with_plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "size_with_0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size_with_underscore": b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
    "size_empty": b"\r\nhello\r\n0\r\n\r\n",
    "size_of_70_bits": b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "data_longer_than_size": b"2\r\nhello\r\n0\r\n\r\n",
    "no_line_end_after_data": b"5\r\nhello0\r\n\r\n",
    "bare_lf": b"5\nhello\n0\n\n",
    "space_before_size": b" 5\r\nhello\r\n0\r\n\r\n",
    "nul_in_size": b"5\x00\r\nhello\r\n0\r\n\r\n",
    "control_in_extension": b"5;a=\x01\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("body", CHUNK_ABUSE.values(), ids=CHUNK_ABUSE)
def test_bad_chunks(surface: Surface, body: bytes) -> None:
    refused(surface, head(surface, "transfer-encoding: chunked") + body, status=400)


def test_endless_chunk_extensions(surface: Surface) -> None:
    refused(surface, head(surface, "transfer-encoding: chunked") + b"5;x=", *[b"a" * 64 * 1024] * 12, status=431)


def test_endless_trailers(surface: Surface) -> None:
    trailers = [b"x-%d: a\r\n" % number for number in range(5000)]
    refused(surface, head(surface, "transfer-encoding: chunked") + b"0\r\n", b"".join(trailers), status=431)


# --- requests that two servers would read differently ----------------------------------------------------------------

LENGTH = f"content-length: {len(BODY)}"
SMUGGLING = {
    "length_and_coding": [LENGTH, "transfer-encoding: chunked"],
    "coding_and_length": ["transfer-encoding: chunked", LENGTH],
    "two_lengths": [LENGTH, "content-length: 5"],
    "same_length_twice": [LENGTH, LENGTH],
    "length_list": [f"content-length: {len(BODY)}, {len(BODY)}"],
    "length_negative": ["content-length: -1"],
    "length_plus": [f"content-length: +{len(BODY)}"],
    "length_hex": ["content-length: 0x10"],
    "length_empty": ["content-length: "],
    "length_overflow": ["content-length: " + "9" * 40],
    "coding_unknown": ["transfer-encoding: xchunked"],
    "coding_chunked_first": ["transfer-encoding: chunked, identity"],
    "coding_gzip": ["transfer-encoding: gzip, chunked"],
    "coding_twice": ["transfer-encoding: chunked", "transfer-encoding: chunked"],
    "coding_identity_and_chunked": ["transfer-encoding: identity", "transfer-encoding: chunked"],
    "coding_after_tab": ["transfer-encoding:\x0bchunked"],
    "space_before_colon": [f"content-length : {len(BODY)}"],
    "coding_space_before_colon": ["transfer-encoding : chunked"],
    "folded": ["transfer-encoding:", " chunked"],
    "continued_value": ["x-a: b", "\tcontent-length: 5"],
    "no_name": [": value"],
    "no_colon": ["content-length"],
    "nul_in_name": ["x\x00y: a"],
    "nul_in_value": ["x-a: b\x00c"],
    "cr_in_value": ["x-a: b\rcontent-length: 5"],
    "lf_only": ["x-a: b\ncontent-length: 0"],
    "control_in_value": ["x-a: \x01"],
    "no_ascii_in_name": ["x-\xe9: a"],
    "quote_in_name": ['"x": a'],
}


@pytest.mark.parametrize("lines", SMUGGLING.values(), ids=SMUGGLING)
def test_smuggling_shapes(surface: Surface, lines: list[str]) -> None:
    hidden = request("GET", "/v1/models", headers=[bearer(surface)])
    if lines == ["x-a: b\ncontent-length: 0"]:
        _assert_not_read_twice(surface, head(surface, *lines) + hidden)
        return
    refused(surface, head(surface, *lines) + BODY + hidden, status=400)


def _assert_not_read_twice(surface: Surface, wire: bytes) -> None:
    """A lone LF may end a line (RFC 9112 section 2.2), so long as nothing else is made of it."""
    with RawClient(surface.ready.base_url) as client:
        client.send(wire)
        assert client.receive().status == 400
        assert client.read_to_end().count(b"HTTP/1.1 ") <= 1


NOT_HTTP = {
    "http_0_9": b"GET /v1/models\r\n\r\n",
    "http_0_9_with_garbage": b"GET /\r\n\x01\x02\r\n\r\n",
    "http_2_preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http_2_version": b"GET /v1/models HTTP/2.0\r\nhost: a\r\n\r\n",
    "http_3": b"GET / HTTP/3.0\r\n\r\n",
    "http_1_9": b"GET / HTTP/1.9\r\nhost: a\r\n\r\n",
    "http_lower": b"GET / http/1.1\r\nhost: a\r\n\r\n",
    "tls_hello": bytes.fromhex("16030100a5010000a10303") + bytes(range(150)),
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
    "smtp": b"EHLO example.org\r\n",
    "redis": b"*1\r\n$4\r\nPING\r\n",
    "proxy_protocol": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n",
    "nul": b"\x00" * 100,
    "high_bytes": b"\xff" * 100,
    "spaces_in_target": b"GET /v1 /models HTTP/1.1\r\nhost: a\r\n\r\n",
    "nul_in_target": b"GET /v1/\x00models HTTP/1.1\r\nhost: a\r\n\r\n",
    "cr_in_target": b"GET /v1/\rmodels HTTP/1.1\r\nhost: a\r\n\r\n",
    "method_unknown": b"FETCH / HTTP/1.1\r\nhost: a\r\n\r\n",
    "method_lower": b"get / HTTP/1.1\r\nhost: a\r\n\r\n",
    "method_empty": b" / HTTP/1.1\r\nhost: a\r\n\r\n",
    "space_before_header": b"GET / HTTP/1.1\r\n x: y\r\nhost: a\r\n\r\n",
    "answer": b"HTTP/1.1 200 OK\r\n\r\n",
}


@pytest.mark.parametrize("wire", NOT_HTTP.values(), ids=NOT_HTTP)
def test_what_is_no_http(surface: Surface, wire: bytes) -> None:
    assert "HTTP/1.1" in refused(surface, wire, status=400).message


def test_connect_and_upgrade_are_refused(surface: Surface) -> None:
    upgrade = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")]
    wire = request("GET", "/v1/models", headers=[bearer(surface), *upgrade])
    assert "upgrade" in refused(surface, wire + b"\x81\x05hello", status=426).message.lower()
    refused(surface, b"CONNECT example.org:443 HTTP/1.1\r\nhost: example.org\r\n\r\n\x16\x03\x01", status=400)


def test_offer_of_http_2_is_ignored(surface: Surface) -> None:
    """Java and curl offer it with their first request; a server may go on in HTTP/1.1 (RFC 9110 section 7.8)."""
    offer = [("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AAEAAEAAAAIAAAAB")]
    with RawClient(surface.ready.base_url) as client:
        client.send(chat(surface, *offer) + chat(surface))
        assert [client.receive().status, client.receive().status] == [200, 200]
        client.send(request("GET", "/v1/models", headers=[bearer(surface), *offer]))
        assert client.receive().status == 200
