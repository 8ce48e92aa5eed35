"""The NATS protocol as text: what is read, what is refused, what is written."""

import msgspec
import pytest

from trunkline.bus import nats_wire
from trunkline.bus.nats_wire import (
    ConnectOptions,
    Delivery,
    NATSProtocolError,
    NATSReader,
    Ping,
    Pong,
    ServerError,
    ServerInfo,
)
from trunkline.bus.port import Message


def test_a_message_without_reply() -> None:
    events = NATSReader().receive(b"MSG tl.job.default 7 5\r\nhello\r\n")
    assert events == [Delivery(7, Message("tl.job.default", "", b"hello"))]


def test_a_message_with_reply_and_line_ends_inside() -> None:
    events = NATSReader().receive(b"MSG a.b 1 tl.edge.x.1 6\r\n\r\nMSG\r\r\n")
    assert events == [Delivery(1, Message("a.b", "tl.edge.x.1", b"\r\nMSG\r"))]


def test_headers_are_left_out_of_the_data() -> None:
    headers = b"NATS/1.0\r\nNats-Msg-Id: 1\r\n\r\n"
    events = NATSReader().receive(b"HMSG a 1 %d %d\r\n%bdata\r\n" % (len(headers), len(headers) + 4, headers))
    assert events == [Delivery(1, Message("a", "", b"data"))]


def test_nobody_listens_is_told_from_a_message() -> None:
    headers = b"NATS/1.0 503\r\n\r\n"
    events = NATSReader().receive(b"HMSG _INBOX.x.1 2 %d %d\r\n%b\r\n" % (len(headers), len(headers), headers))
    assert events == [Delivery(2, Message("_INBOX.x.1", "", b"", no_responders=True))]


def test_control_lines() -> None:
    info = b'INFO {"server_id":"x","max_payload":5,"tls_required":true,"connect_urls":["a:1"]}\r\n'
    events = NATSReader().receive(info + b"PING\r\nPONG\r\n+OK\r\n-ERR 'Authorization Violation'\r\n")
    greeting = ServerInfo(5, tls_required=True, connect_urls=("a:1",), server_id="x")
    assert events == [greeting, Ping(), Pong(), ServerError("Authorization Violation")]


def test_a_server_says_that_it_is_about_to_stop() -> None:
    (info,) = NATSReader().receive(b'INFO {"server_id":"x","ldm":true}\r\n')
    assert info == ServerInfo(server_id="x", lame_duck=True)


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"MSG a 1 x\r\n",
        b"MSG a\r\n",
        b"MSG a 1 2\r\nabc\r\n",
        b"HMSG a 1 x 4\r\n",
        b"INFO {\r\n",
        b"x" * (nats_wire.CONTROL_LINE_BYTES_MAX + 1),
    ],
)
def test_what_is_not_the_protocol_is_refused(garbage: bytes) -> None:
    with pytest.raises(NATSProtocolError):
        NATSReader().receive(garbage)


def test_what_is_written() -> None:
    assert nats_wire.publish("a.b", b"xy", "") == b"PUB a.b 2\r\nxy\r\n"
    assert nats_wire.publish("a.b", b"", "r.1") == b"PUB a.b r.1 0\r\n\r\n"
    assert nats_wire.subscribe("a.*", "", 3) == b"SUB a.* 3\r\n"
    assert nats_wire.subscribe("a.*", "q", 3) == b"SUB a.* q 3\r\n"
    assert nats_wire.unsubscribe(3) == b"UNSUB 3\r\n"


def test_connect_says_only_what_is_set() -> None:
    line = nats_wire.connect(ConnectOptions("edge-1", user="u", password="p"))
    assert line.startswith(b"CONNECT {")
    options = msgspec.json.decode(line.removeprefix(b"CONNECT "))
    assert options["user"] == "u"
    assert options["pass"] == "p"
    assert options["no_responders"] is True
    assert options["verbose"] is False
    assert "auth_token" not in options
