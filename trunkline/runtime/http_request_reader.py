"""What a client sends becomes requests: the callbacks of llhttp's parser (httptools). Base of the server's connection.

Everything that a client may send too much of is bounded here, by `ServerLimits`; what it may send too slowly, by the
connection.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple, NoReturn

import httptools

from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault
from trunkline.runtime.http_exchange import Request

HEAD_BYTES_MAX = 64 * 1024
"""All header lines of one request together."""

_VERSIONS = frozenset({"1.0", "1.1"})

_USUAL = (
    *("accept", "accept-encoding", "accept-language", "connection", "content-length", "content-type", "host"),
    *("user-agent", "authorization", "x-api-key", "x-goog-api-key", "x-goog-api-client", "api-key"),
    *("anthropic-version", "anthropic-beta", "openai-organization", "openai-project", "idempotency-key"),
    *("x-forwarded-for", "x-forwarded-proto", "x-request-id", "traceparent", "tracestate", "sec-fetch-mode"),
    *(f"x-stainless-{rest}" for rest in ("arch", "async", "lang", "os", "package-version", "read-timeout")),
    *(f"x-stainless-{rest}" for rest in ("retry-count", "runtime", "runtime-version", "timeout")),
)
"""Names of header fields that SDKs and proxies send with every request."""

_NAMES = {spelled.encode(): name for name in _USUAL for spelled in (name, name.title())} | {
    b"X-Stainless-OS": "x-stainless-os"
}
"""Lower case by spelling, since making it costs as much as the rest of reading a field."""

_HOST = Fault(ErrorType.CLIENT_BAD_REQUEST, "A request of HTTP/1.1 has exactly one Host header.")
"""RFC 9112 section 3.2. Two are taken for different ones by servers in a row."""


class ServerLimits(NamedTuple):
    """Bounds on what a client may do."""

    body_bytes_max: int = limits.BODY_BYTES_MAX
    bodies_bytes_max: int = limits.BODIES_BYTES_MAX
    headers_max: int = limits.HEADERS_MAX
    header_line_bytes_max: int = limits.HEADER_LINE_BYTES_MAX
    request_read_timeout_s: float = limits.REQUEST_READ_TIMEOUT_S
    keep_alive_s: float = 75.0
    connections_max: int = limits.CONNECTIONS_PER_EDGE_MAX


class RefusedError(Exception):
    """Leaves the parser from inside a callback; never seen by callers."""


class RequestReader(ABC):
    """Puts one request after the other together. httptools calls the ``on_*`` methods while the parser is fed.

    The connection is one of these, instead of having one: so nothing stands between the parser and what it calls.

    Args:
        server_limits: see there.
    """

    def __init__(self, server_limits: ServerLimits) -> None:
        self._limits = server_limits
        self._parser = httptools.HttpRequestParser(self)
        self._peer = ""
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._header_count = 0
        self._header_bytes = 0
        self._head_bytes = 0  # of the head; later, of what has come since the last part of the body
        self._headers_done = False
        self._version = ""
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._fault: Fault | None = None

    @abstractmethod
    def on_message_begin(self) -> None:
        """A request begins; must call `_begin`."""

    def on_url(self, part: bytes) -> None:
        """Part of the request target."""
        self._target += part
        if len(self._target) > self._limits.header_line_bytes_max:
            self._raise(headers_too_large())

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header field."""
        size, bounds = len(name) + len(value), self._limits
        self._header_count += 1
        self._header_bytes += size
        if (
            size > bounds.header_line_bytes_max
            or self._header_bytes > HEAD_BYTES_MAX
            or self._header_count > bounds.headers_max
        ):
            self._raise(headers_too_large())
        if self._headers_done:
            return  # a trailer field: must not pass for a header field (RFC 9110 section 6.5.1)
        key = _NAMES.get(name) or name.decode("latin-1").lower()
        text = value.decode("latin-1")
        known = self._headers.get(key)
        if known is None:
            self._headers[key] = text
        elif key == "host":
            self._raise(_HOST)
        else:
            self._headers[key] = f"{known}, {text}"

    def on_headers_complete(self) -> None:
        """All header fields are here; refuse early what would be refused later."""
        self._headers_done = True
        self._head_bytes = 0
        self._version = self._parser.get_http_version()
        if self._version not in _VERSIONS:
            self._raise(Fault(ErrorType.CLIENT_BAD_REQUEST, "This version of HTTP is not spoken here; use HTTP/1.1."))
        if "host" not in self._headers and self._version == "1.1":
            self._raise(_HOST)
        length = self._headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._limits.body_bytes_max:
            self._raise(self._body_too_large())
        if "content-encoding" in self._headers and self._headers["content-encoding"].lower() != "identity":
            self._raise(Fault(ErrorType.CLIENT_UNSUPPORTED_MEDIA, "Send the request body without content-encoding."))
        if self._headers.get("expect", "").lower() == "100-continue":
            self._continue()

    @abstractmethod
    def _continue(self) -> None:
        """The client waits to be asked for the body."""

    def on_body(self, part: bytes) -> None:
        """Part of the body, without its transfer coding."""
        self._head_bytes = 0
        self._body_bytes += len(part)
        if self._body_bytes > self._limits.body_bytes_max:
            self._raise(self._body_too_large())
        self._hold(len(part))
        self._body.append(part)

    @abstractmethod
    def _hold(self, size: int) -> None:
        """So many more bytes of a body are in memory; may refuse them with `_raise`."""

    @abstractmethod
    def on_message_complete(self) -> None:
        """The request is whole."""

    def _request(self) -> Request:
        """Return what has been read, whole or not."""
        path, _, query = self._target.partition(b"?")
        return Request(
            self._parser.get_method().decode("ascii") if self._target else "",
            path.decode("latin-1"),
            query.decode("latin-1"),
            self._headers,
            self._body[0] if len(self._body) == 1 else b"".join(self._body),
            self._peer,
        )

    def _without_upgrade(self) -> bytes:
        """Return the head without its offer to go on in HTTP/2 (RFC 9110 section 7.8), for a new parser.

        Java's own client and curl make it. The parser takes what follows such a head for the other protocol, even a
        body, so the head is read again.
        """
        hidden = {"upgrade", "connection", "http2-settings", "expect"}
        fields = [f"{name}: {value}" for name, value in self._headers.items() if name not in hidden]
        start = f"{self._parser.get_method().decode('ascii')} {self._target.decode('latin-1')} HTTP/1.1"
        self._parser = httptools.HttpRequestParser(self)
        return "\r\n".join([start, *fields, "", ""]).encode("latin-1")

    def _raise(self, fault: Fault) -> NoReturn:
        """Stop the parser from inside a callback; whoever feeds it answers."""
        self._fault = fault
        raise RefusedError

    def _body_too_large(self) -> Fault:
        mebibytes = self._limits.body_bytes_max / (1024 * 1024)
        return Fault(ErrorType.CLIENT_BODY_TOO_LARGE, f"The request body is larger than {mebibytes:g} MiB.")


def headers_too_large() -> Fault:
    """Return the fault of a head that is over a bound."""
    return Fault(ErrorType.CLIENT_HEADERS_TOO_LARGE, "The request's headers are too large or too many.")
