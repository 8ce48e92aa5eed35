"""The client's side of an answer: what `JobBoard` commands, written as HTTP.

A plain answer that arrives in one piece leaves in one write with its length; a stream is written event by event
as it comes. An error before the first byte is a response of its own; after it, the dialect's in-band error in
a stream, and a cut connection otherwise, so that nobody takes the answer for whole. A stream whose last event has left
is whole: whatever happens then, it gets no second end.
"""

from services.edge.client_job import ClientJob
from services.edge.routes import METHODS
from trunkline.bus.messages import Head
from trunkline.core.errors import ErrorType, Fault
from trunkline.core.money import usd_text

_BORDERS = (b"\n\n", b"\n\r\n")
"""Ends of a whole event."""

_LOOKED_AT_LATER_BYTES_MAX = 4096
"""What was written last is kept, to be read if the stream fails; longer ones are read at once, as they are rare."""

_STREAM_HEADERS = b"cache-control: no-cache\r\nx-accel-buffering: no\r\n"


class Relay:
    """Writes one answer.

    Args:
        client: the request it answers.
    """

    __slots__ = ("_at_border", "_client", "_head", "_last", "_stream", "_written")

    def __init__(self, client: ClientJob, *, stream: bool) -> None:
        self._client = client
        self._stream = stream
        self._head: Head | None = None
        self._at_border = True
        self._last = b""
        self._written = True

    @property
    def streaming(self) -> bool:
        """Whether a stream has begun."""
        return self._stream and self._client.exchange.started

    def start(self, head: Head) -> None:
        """The answer's head. Kept until its first bytes come, to leave with them."""
        self._head = head
        self._client.status = head.status
        self._client.channel = head.channel
        self._client.served = head.model

    def _head_lines(self, head: Head) -> bytes:
        lines = (
            f"content-type: {_clean(head.content_type)}\r\n"
            f"{self._client.dialect.request_id_header}: {self._client.request_id}\r\n"
            f"x-trunkline-attempts: {head.attempts}\r\n"
        )
        # A model's name is made of letters that a header may have, or it would not be configured.
        if head.model:
            lines += f"x-trunkline-model: {_clean(head.model)}\r\nx-trunkline-model-reason: fallback\r\n"
        elif self._client.moved_from:
            model, why = self._client.asked.model, self._client.moved_why
            lines += f"x-trunkline-model: {_clean(model)}\r\nx-trunkline-model-reason: {why}\r\n"
        if head.fidelity:
            lines += f"x-trunkline-fidelity: {_clean(head.fidelity)}\r\n"
        if head.upstream_id:
            lines += f"x-upstream-request-id: {_clean(head.upstream_id)}\r\n"
        if self._stream:
            return lines.encode("latin-1", "replace") + self._client.limit_lines + _STREAM_HEADERS
        if self._client.charge_nano is not None:
            lines += f"x-trunkline-cost-usd: {usd_text(self._client.charge_nano)}\r\n"
        return lines.encode("latin-1", "replace") + self._client.limit_lines

    def write(self, data: bytes) -> None:
        """Bytes of the answer."""
        exchange = self._client.exchange
        self._at_border = data.endswith(_BORDERS)
        self._last = data if len(data) <= _LOOKED_AT_LATER_BYTES_MAX else self._end_of(data)
        self._written = True
        if self._head is not None:
            head, self._head = self._head, None
            exchange.start(head.status, self._head_lines(head), data)
        else:
            exchange.write(data)

    def keep_alive(self) -> None:
        """Show that a stream lives if nothing was written since the last call. Called now and then.

        Never before its first event, since a head that has left cannot become an error any more, and only between two.
        """
        written, self._written = self._written, False
        client = self._client
        if not written and self._stream and self._at_border and client.exchange.started and not client.asked.array:
            client.exchange.write_aside(client.keepalive)

    def finish(self, data: bytes) -> None:
        """The answer is complete, with its last bytes."""
        exchange = self._client.exchange
        if self._head is None:
            exchange.finish(data)
        elif self._stream:
            self.write(data)
            exchange.finish()
        else:
            exchange.respond(self._head.status, self._head_lines(self._head), data)

    def _end_of(self, data: bytes) -> bytes:
        """Return what is to be kept of bytes that are too many to be kept."""
        return data if self._stream and self._at_border and self._client.dialect.ends_stream(data) else b""

    def fail(self, fault: Fault) -> bool:
        """The answer failed. Returns whether the client has had all of it by then, and so was told nothing."""
        exchange = self._client.exchange
        if exchange.started:
            if self._stream:
                if self._at_border and self._client.dialect.ends_stream(self._last):
                    exchange.finish()
                    return True
                # A frame may have ended inside an event: close that one, so that ours stands by itself.
                gap = b"" if self._at_border else b"\n\n"
                client = self._client
                end = client.dialect.render_stream_error(fault, client.request_id, array=client.asked.array)
                exchange.finish(end if client.asked.array else gap + end)
            else:
                exchange.abort()
        else:
            respond_with_fault(self._client, fault)
        return False


def respond_with_fault(client: ClientJob, fault: Fault, *, close: bool = False) -> None:
    """Answer with an error; the one place where a fault becomes a response of its own."""
    error = client.dialect.render_error(fault, client.request_id)
    client.status = error.status
    lines = "".join(f"{name}: {value}\r\n" for name, value in error.headers.items()).encode("latin-1", "replace")
    lines += client.limit_lines
    if fault.type is ErrorType.CLIENT_METHOD_NOT_ALLOWED and client.match is not None:
        lines += f"allow: {', '.join(METHODS[client.match.route])}\r\n".encode()  # RFC 9110 section 15.5.6 demands it
    if fault.type is ErrorType.CLIENT_UPGRADE_UNSUPPORTED:
        lines += b"upgrade: HTTP/1.1\r\n"  # section 15.5.22: which protocol it should be instead
    client.exchange.respond(error.status, lines, error.body, close=close)


def _clean(value: str) -> str:
    """An upstream's header value without what could end the line."""
    return value.replace("\r", " ").replace("\n", " ")
