"""The NATS client protocol, as much of it as core messaging needs: bytes in, events out. Pure.

`runtime.nats_link` runs it against a socket. Source: https://docs.nats.io/reference/reference-protocols/nats-protocol
"""

from typing import NamedTuple

import msgspec

from trunkline.bus.port import Message

CONTROL_LINE_BYTES_MAX = 64 * 1024
"""The longest line a server sends is INFO, a few KB with the addresses of a large cluster."""

PING = b"PING\r\n"
PONG = b"PONG\r\n"
_NO_RESPONDERS = b"NATS/1.0 503"


class NATSProtocolError(Exception):
    """What came is not the NATS protocol."""


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """A message for a subscription."""

    sid: int
    message: Message


class ServerInfo(msgspec.Struct, frozen=True):
    """What a server says of itself in INFO.

    Attributes:
        max_payload: largest message it takes, in bytes.
        tls_required: the connection must be upgraded before CONNECT.
        connect_urls: other servers of its cluster, as ``host:port``.
        server_id: its own; a new one with each start.
        lame_duck: it is about to stop, and closes its connections one by one.
    """

    max_payload: int = 1024 * 1024
    tls_required: bool = False
    connect_urls: tuple[str, ...] = ()
    server_id: str = ""
    lame_duck: bool = msgspec.field(name="ldm", default=False)


class Ping(NamedTuple):
    """The server wants a PONG."""


class Pong(NamedTuple):
    """The server has handled everything sent before our PING."""


class ServerError(NamedTuple):
    """The server complains; after most complaints it closes the connection."""

    text: str


Event = Delivery | ServerInfo | Ping | Pong | ServerError

_decode_info = msgspec.json.Decoder(ServerInfo).decode
_KEEPALIVES: dict[bytes, Event | None] = {b"PING": Ping(), b"PONG": Pong(), b"+OK": None}


class NATSReader:
    """Splits what a server sends into events, however it is cut into pieces."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def receive(self, data: bytes) -> list[Event]:
        """Return the events that are whole now.

        Raises:
            NATSProtocolError: see there.
        """
        if self._rest:
            data = self._rest + data
        events: list[Event] = []
        position = 0
        while (line_end := data.find(b"\r\n", position)) >= 0:
            if data.startswith((b"MSG ", b"HMSG "), position):
                end = self._message(data, position, line_end, events)
                if end < 0:
                    break
                position = end
            else:
                event = _control(data[position:line_end])
                if event is not None:
                    events.append(event)
                position = line_end + 2
        else:
            if len(data) - position > CONTROL_LINE_BYTES_MAX:
                raise NATSProtocolError("a line without an end")
        self._rest = data[position:]
        return events

    def _message(self, data: bytes, position: int, line_end: int, events: list[Event]) -> int:
        """Read the message whose line begins at ``position``; returns where it ends, or -1 if it is not whole yet."""
        fields = data[position:line_end].split(b" ")
        with_headers = fields[0] == b"HMSG"
        try:
            size = int(fields[-1])
            header_size = int(fields[-2]) if with_headers else 0
            sid = int(fields[2])
            reply = fields[3] if len(fields) == (6 if with_headers else 5) else b""
        except (ValueError, IndexError) as error:
            raise NATSProtocolError("a message line that cannot be read") from error
        start = line_end + 2
        end = start + size
        if len(data) < end + 2:
            return -1
        if data[end : end + 2] != b"\r\n":
            raise NATSProtocolError("a message that is longer than it says")
        body = start + header_size
        no_responders = with_headers and data.startswith(_NO_RESPONDERS, start)
        message = Message(fields[1].decode(), reply.decode(), data[body:end], no_responders)
        events.append(Delivery(sid, message))
        return end + 2


def _control(line: bytes) -> Event | None:
    if line in _KEEPALIVES:
        return _KEEPALIVES[line]
    if line.startswith(b"INFO "):
        try:
            return _decode_info(line[5:])
        except msgspec.DecodeError as error:
            raise NATSProtocolError("an INFO that cannot be read") from error
    if line.startswith(b"-ERR"):
        return ServerError(line[4:].decode(errors="replace").strip(" '"))
    raise NATSProtocolError("an unknown operation")


class ConnectOptions(msgspec.Struct, frozen=True):
    """What a client says of itself in CONNECT. What is unset is left out."""

    name: str
    user: str | msgspec.UnsetType = msgspec.UNSET
    password: str | msgspec.UnsetType = msgspec.field(name="pass", default=msgspec.UNSET)
    auth_token: str | msgspec.UnsetType = msgspec.UNSET
    lang: str = "python-trunkline"
    version: str = "1"
    protocol: int = 1
    verbose: bool = False
    pedantic: bool = False
    headers: bool = True
    no_responders: bool = True


_encode_options = msgspec.json.Encoder().encode


def connect(options: ConnectOptions) -> bytes:
    """Return the CONNECT line."""
    return b"CONNECT %b\r\n" % _encode_options(options)


def subscribe(subject: str, queue: str, sid: int) -> bytes:
    """Return the SUB line; an empty queue means no queue group."""
    return f"SUB {subject} {queue} {sid}\r\n".encode() if queue else f"SUB {subject} {sid}\r\n".encode()


def unsubscribe(sid: int) -> bytes:
    """Return the UNSUB line."""
    return b"UNSUB %d\r\n" % sid


def publish(subject: str, payload: bytes, reply: str) -> bytes:
    """Return a PUB with its payload. Subjects are made by `bus.subjects`, never from what a client sent."""
    if reply:
        return b"PUB %b %b %d\r\n%b\r\n" % (subject.encode(), reply.encode(), len(payload), payload)
    return b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(payload), payload)
