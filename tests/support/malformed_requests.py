"""Requests that two servers in a row could read differently, or that are none: each must end its connection.

The shapes are those of the literature on request smuggling, by RFC 9112: sections 3.2 (hosts), 5.1 and 5.2 (names and
folded lines), 6.1 to 6.3 (lengths and codings) and 7.1 (chunks).
"""

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"

MALFORMED = {
    "no request at all": b"hello\r\n\r\n",
    "length and chunks": HEAD + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": HEAD + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
    "a negative length": HEAD + b"content-length: -1\r\n\r\n",
    "a length with a sign": HEAD + b"content-length: +3\r\n\r\nabc",
    "a length beyond 64 bits": HEAD + b"content-length: 99999999999999999999999\r\n\r\n",
    "chunks inside chunks": HEAD + b"transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunks not last": HEAD + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a bad chunk size": CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": CHUNKED + b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"3\r\nabcdef\r\n0\r\n\r\n",
    "a NUL in the target": b"GET /\0 HTTP/1.1\r\nhost: x\r\n\r\n",
    "a NUL in a value": b"GET / HTTP/1.1\r\nhost: x\0\r\n\r\n",
    "a space in a name": b"GET / HTTP/1.1\r\nho st: x\r\n\r\n",
    "a space before a colon": b"GET / HTTP/1.1\r\nhost : x\r\n\r\n",
    "a folded value": b"GET / HTTP/1.1\r\nhost: x\r\n y\r\n\r\n",
    "bare line feeds": b"GET / HTTP/1.1\nhost: x\n\n",
    "no version": b"GET /\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
    "the same host twice": b"GET / HTTP/1.1\r\nhost: x\r\nHost: x\r\n\r\n",
    "two codings": HEAD + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding in other words": HEAD + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding behind a vertical tab": HEAD + b"transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a coding in a name with a space": HEAD + b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded coding": HEAD + b"transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "the same length twice": HEAD + b"content-length: 3\r\ncontent-length: 3\r\n\r\nabc",
    "a list of lengths": HEAD + b"content-length: 3, 3\r\n\r\nabc",
    "a carriage return in a value": b"GET / HTTP/1.1\r\nhost: x\rx: y\r\n\r\n",
    "a line feed after a chunk size": CHUNKED + b"3\nabc\r\n0\r\n\r\n",
    "a line feed in a chunk extension": CHUNKED + b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "a chunk size with a sign": CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n",
    "a chunk size in C": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "an empty chunk size": CHUNKED + b"\r\nabc\r\n0\r\n\r\n",
    "another version": b"GET / HTTP/3.0\r\nhost: x\r\n\r\n",
    "HTTP/2 without asking": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a tunnel": b"CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50),
}
