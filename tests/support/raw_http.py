"""HTTP/1.1 by hand, for what no well-behaved client sends: bytes out, and a strict reader of what comes back."""

import contextlib
import socket
from collections.abc import Iterable
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import urlsplit

TIMEOUT_S = 10.0
"""For one answer: long for a busy machine, short for a server that hangs."""

_READ_BYTES = 65536


class NoAnswerError(Exception):
    """The connection ended before a whole answer; carries what came."""


class Response(NamedTuple):
    """One whole answer; names of header fields in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def request(
    method: str,
    path: str,
    *,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
) -> bytes:
    """Return a request's bytes; ``host`` and, where there is a body, ``content-length`` are added."""
    lines = [f"{method} {path} HTTP/1.1", "host: gateway", *(f"{name}: {value}" for name, value in headers)]
    if body is not None:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


class RawClient:
    """One connection.

    Args:
        base_url: of a server; only host and port count.
        timeout_s: for each read.
    """

    def __init__(self, base_url: str, timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(base_url)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout_s)
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, wire: bytes) -> None:
        """Send bytes; a server that has refused already may not take them all."""
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(wire)

    def be_patient_for(self, timeout_s: float) -> None:
        """Change how long each read may take."""
        self._socket.settimeout(timeout_s)

    def receive(self) -> Response:
        """Read one answer, whose framing must be right.

        Raises:
            NoAnswerError: see there.
            TimeoutError: nothing came in time.
        """
        status, lines = self._head()
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(": ")
            assert colon, line
            assert name.lower() not in headers, f"{name} is repeated"
            headers[name.lower()] = value
        return Response(status, headers, self._body(headers))

    def receive_interim(self) -> int:
        """Read an answer that is a head alone, such as 100 Continue, and return its status."""
        return self._head()[0]

    def _head(self) -> tuple[int, list[str]]:
        while b"\r\n\r\n" not in self._received:
            self._read()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        version, status, _phrase = status_line.split(" ", 2)
        assert version == "HTTP/1.1", status_line
        return int(status), lines

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            assert "content-length" not in headers
            return b"".join(iter(self._chunk, b""))
        if "content-length" in headers:
            return self._take(int(headers["content-length"]))
        assert headers["connection"] == "close", "an answer without end"
        return self.read_to_end()

    def _chunk(self) -> bytes:
        while b"\r\n" not in self._received:
            self._read()
        size, _, self._received = self._received.partition(b"\r\n")
        data = self._take(int(size, 16))
        assert self._take(2) == b"\r\n"
        return data

    def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            self._read()
        data, self._received = self._received[:size], self._received[size:]
        return data

    def _read(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except ConnectionError as error:
            raise NoAnswerError(self._received) from error
        if not data:
            raise NoAnswerError(self._received)
        self._received += data

    def read_to_end(self) -> bytes:
        """Return everything up to the end of the connection, however it ends.

        Raises:
            TimeoutError: it does not end in time.
        """
        with contextlib.suppress(NoAnswerError):
            while True:
                self._read()
        data, self._received = self._received, b""
        return data


def exchange(base_url: str, *wire: bytes, timeout_s: float = TIMEOUT_S) -> Response:
    """Send bytes over a connection of their own and return the first answer.

    Raises:
        NoAnswerError, TimeoutError: as for `RawClient.receive`.
    """
    with RawClient(base_url, timeout_s) as client:
        for part in wire:
            client.send(part)
        return client.receive()
