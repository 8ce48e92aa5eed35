"""One request and its answer on the edge's HTTP server: what the request path holds in its hands."""

from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple, Protocol

OVERLOADED = 529
"""Anthropic's own status, which no registry knows."""

_PHRASES = {**{status.value: status.phrase for status in HTTPStatus}, OVERLOADED: "Overloaded"}
_STATUS_LINES = {status: f"HTTP/1.1 {status} {phrase}\r\n".encode() for status, phrase in _PHRASES.items()}


def _status_line(status: int) -> bytes:
    """Return the first line of an answer; an empty phrase is allowed (RFC 9112 section 4)."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


class Wire(Protocol):
    """What an exchange needs of its connection."""

    def write(self, wire: bytes) -> bool:
        """Write to the client; returns whether it is slow."""

    def date_line(self) -> bytes:
        """The Date header field."""

    @property
    def draining(self) -> bool:
        """Whether this answer should be the connection's last."""

    def answer_begun(self) -> None:
        """The answer's head is being sent: the request is not needed any more."""

    def exchange_ended(self, *, keep_alive: bool) -> None:
        """The answer is complete or cut."""

    def cut(self) -> None:
        """Reset the connection."""


class Request(NamedTuple):
    """One whole request.

    Attributes:
        method: upper case.
        path, query: of the target, as sent (percent-encoded).
        headers: lower-case names; values of a repeated field are joined by a comma (RFC 9110 section 5.3).
        body: whole.
        peer: IP address of the other end.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    peer: str


class Exchange:
    """One request and its answer.

    The handler answers with `respond`, or with `start`, `write` and `finish`; `abort` cuts an answer that cannot
    be completed. After the client has gone all of these do nothing.

    Attributes:
        further: header lines of the answer besides those that it is begun with.
        on_gone: called once if the client leaves before the answer is complete.
        on_drained: called with the number of bytes of `write` that have left for the client.
    """

    __slots__ = (
        "_chunked",
        "_connection",
        "_keep_alive",
        "_undrained",
        "ended",
        "further",
        "on_drained",
        "on_gone",
        "request",
        "started",
    )

    def __init__(self, connection: Wire, request: Request, *, keep_alive: bool, chunked: bool) -> None:
        self._connection = connection
        self._keep_alive = keep_alive
        self._chunked = chunked
        self._undrained = 0
        self.request = request
        self.further = b""
        self.started = False
        self.ended = False
        self.on_gone: Callable[[], None] | None = None
        self.on_drained: Callable[[int], None] | None = None

    @property
    def connection(self) -> Wire:
        """Where it came from; the same object for all exchanges of one connection."""
        return self._connection

    def respond(self, status: int, headers: bytes, body: bytes, *, close: bool = False) -> None:
        """Send a whole answer.

        Args:
            status: HTTP status.
            headers: finished header lines, each ending in CRLF; without length, date and connection.
            body: whole.
            close: close the connection afterwards.
        """
        if self.ended:
            return
        keep_alive = self._keep_alive and not close and not self._connection.draining
        head = b"%b%b%b%bcontent-length: %d\r\n%b\r\n" % (
            _status_line(status),
            headers,
            self.further,
            self._connection.date_line(),
            len(body),
            b"" if keep_alive else b"connection: close\r\n",
        )
        self._connection.write(head if self.request.method == "HEAD" else head + body)
        self._end(keep_alive)

    def start(self, status: int, headers: bytes, data: bytes = b"") -> None:
        """Send the head of an answer whose length is not known; arguments as for `respond`."""
        if self.ended:
            return
        self.started = True
        self._connection.answer_begun()
        self._keep_alive = self._keep_alive and not self._connection.draining
        framing = b"transfer-encoding: chunked\r\n" if self._chunked else b""
        if not self._keep_alive or not self._chunked:
            framing += b"connection: close\r\n"
        lines = (_status_line(status), headers, self.further, self._connection.date_line(), framing)
        head = b"%b%b%b%b%b\r\n" % lines
        if data:
            head += self._frame(data)
        self._send(head, len(data))

    def write(self, data: bytes) -> None:
        """Send a part of the body; `start` must have been called."""
        if not self.ended and data:
            self._send(self._frame(data), len(data))

    def write_aside(self, data: bytes) -> None:
        """Send bytes that are no part of what the handler was given to send: `on_drained` does not count them.

        To a slow client nothing is sent: what waits for it already keeps the connection alive.
        """
        if not self.ended and data and not self._undrained:
            self._connection.write(self._frame(data))

    def finish(self, data: bytes = b"") -> None:
        """Complete the answer, with its last bytes where there are any."""
        if self.ended:
            return
        last = self._frame(data) if data else b""
        self._connection.write(last + b"0\r\n\r\n" if self._chunked else last)
        self._end(self._keep_alive and self._chunked)

    def abort(self) -> None:
        """Cut the connection, so that the client cannot take what it got for a whole answer."""
        if self.ended:
            return
        self._over()
        if not self._chunked:
            self._connection.cut()
        self._connection.exchange_ended(keep_alive=False)

    def _frame(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data

    def _send(self, wire: bytes, size: int) -> None:
        paused = self._connection.write(wire)
        self._undrained += size
        if not paused:
            self.drained()

    def drained(self) -> None:
        """Called by the connection when what was written has left."""
        size, self._undrained = self._undrained, 0
        if size and self.on_drained is not None:
            self.on_drained(size)

    def _end(self, keep_alive: bool) -> None:
        self._over()
        self._connection.exchange_ended(keep_alive=keep_alive)

    def _over(self) -> None:
        """Nothing follows. Let go of the handlers: they hold who holds this, and only the collector would end that."""
        self.ended = True
        self.on_gone = self.on_drained = None

    def gone(self) -> None:
        """Called by the connection when the client has left."""
        if not self.ended:
            on_gone = self.on_gone
            self._over()
            if on_gone is not None:
                on_gone()
