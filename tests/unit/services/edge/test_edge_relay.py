"""What a client's socket gets of an answer, and the signs of life between its events."""

import pytest

from services.edge.client_job import ClientJob
from services.edge.relay import Relay
from tests.support.kept_wire import KeptWire
from trunkline.bus.messages import Head
from trunkline.core.errors import ErrorType, Fault
from trunkline.core.ids import JobIDMint
from trunkline.protocol import registry
from trunkline.protocol.dialect import ClientRequest
from trunkline.protocol.names import ANTHROPIC, CONVERSATIONAL, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES
from trunkline.runtime.http_exchange import Exchange, Request

HEAD = Head(200, "text/event-stream", 0, 1, "channel", "dispatcher-1", fidelity="dropped=seed")
EVENT = b'data: {"x":1}\n\n'


def relay_for(dialect: str, *, array: bool = False, stream: bool = True) -> tuple[Relay, KeptWire, list[int]]:
    wire = KeptWire()
    # HTTP/1.0: what is written needs no framing.
    exchange = Exchange(wire, Request("POST", "/", "", {}, b"", ""), keep_alive=False, chunked=False)
    drained: list[int] = []
    exchange.on_drained = drained.append
    client = ClientJob(exchange, JobIDMint(1).mint(0), 0.0)
    client.dialect = registry.CLIENTS[dialect]
    client.asked = ClientRequest("m", stream=True, array=array)
    return Relay(client, stream=stream), wire, drained


@pytest.mark.parametrize("dialect", CONVERSATIONAL)
def test_a_silent_stream_gets_its_dialects_sign_of_life_and_never_inside_an_event(dialect: str) -> None:
    relay, wire, drained = relay_for(dialect)
    relay.start(HEAD)
    relay.keep_alive()
    relay.keep_alive()
    assert wire.sent == [], "a head that has left could not become an error any more"
    relay.write(EVENT)
    relay.keep_alive()
    assert wire.sent[1:] == [], "something was written since the last look"
    relay.keep_alive()
    sign = registry.CLIENTS[dialect].keepalive
    assert wire.sent[1:] == ([sign] if sign else [])
    assert sign == b"" or sign.endswith(b"\n\n")
    assert drained == [len(EVENT)], "a sign of life is none of the dispatcher's bytes"
    relay.write(b'data: {"half')
    relay.keep_alive()
    relay.keep_alive()
    assert wire.sent[-1] == b'data: {"half'


def test_gemini_bears_none() -> None:
    assert registry.CLIENTS[GEMINI].keepalive == b""
    assert registry.CLIENTS[ANTHROPIC].keepalive.startswith(b"event: ping\n")


def test_a_slow_client_and_a_plain_answer_get_none() -> None:
    relay, wire, _ = relay_for(OPENAI_CHAT)
    wire.slow = True
    relay.start(HEAD)
    relay.write(EVENT)
    relay.keep_alive()
    relay.keep_alive()
    assert len(wire.sent) == 1
    relay, wire, _ = relay_for(OPENAI_CHAT, stream=False)
    relay.start(HEAD)
    relay.write(EVENT)
    relay.keep_alive()
    relay.keep_alive()
    assert len(wire.sent) == 1


@pytest.mark.parametrize("dialect", CONVERSATIONAL)
def test_headers_carry_the_dialects_request_id_and_what_was_lost(dialect: str) -> None:
    relay, wire, _ = relay_for(dialect)
    relay.start(HEAD)
    relay.write(EVENT)
    head = wire.sent[0].decode()
    name = "request-id" if dialect == ANTHROPIC else "x-request-id"
    assert f"\r\n{name}: 00000000-" in head
    assert "\r\nx-trunkline-fidelity: dropped=seed\r\n" in head


@pytest.mark.parametrize("border", [b"\n\n", b"\r\n\r\n"])
def test_an_error_behind_a_whole_event_needs_no_gap(border: bytes) -> None:
    relay, wire, _ = relay_for(ANTHROPIC)
    relay.start(HEAD)
    relay.write(b"data: {}" + border)
    relay.fail(Fault(ErrorType.UPSTREAM_CUT, "Cut."))
    assert wire.sent[-1].startswith(b"event: error\n")
    relay, wire, _ = relay_for(ANTHROPIC)
    relay.start(HEAD)
    relay.write(b"data: {")
    relay.fail(Fault(ErrorType.UPSTREAM_CUT, "Cut."))
    assert wire.sent[-1].startswith(b"\n\nevent: error\n")


def test_an_error_in_an_array_is_a_piece_of_it() -> None:
    relay, wire, _ = relay_for(GEMINI, array=True)
    relay.start(HEAD)
    relay.write(b'[{"candidates":[]}')
    relay.fail(Fault(ErrorType.UPSTREAM_CUT, "Cut."))
    assert wire.sent[-1].startswith(b',{"error":')


LAST = (
    (OPENAI_CHAT, b"data: [DONE]\n\n"),
    (OPENAI_CHAT, b"data:[DONE]\r\n\r\n"),
    (OPENAI_RESPONSES, b'event: response.completed\ndata: {"type":"response.completed","response":{}}\n\n'),
    (OPENAI_RESPONSES, b'event: response.incomplete\ndata: {"type":"response.incomplete","response":{}}\n\n'),
    (OPENAI_RESPONSES, b'event: response.failed\ndata: {"type":"response.failed","response":{}}\n\n'),
    (OPENAI_RESPONSES, b'data: {"type":"response.completed","response":{}}\n\n'),
    (OPENAI_RESPONSES, b"data: [DONE]\n\n"),
    (ANTHROPIC, b'event: message_stop\ndata: {"type":"message_stop"}\n\n'),
)
CUT = Fault(ErrorType.UPSTREAM_CUT, "Cut.")


@pytest.mark.parametrize(("dialect", "last"), LAST)
@pytest.mark.parametrize("before", [b"", EVENT, b"data: " + b"x" * 5000 + b"\n\n"])
def test_behind_the_last_event_no_error_follows(dialect: str, last: bytes, before: bytes) -> None:
    relay, wire, _ = relay_for(dialect)
    relay.start(HEAD)
    relay.write(EVENT)
    relay.write(before + last)
    assert relay.fail(CUT)
    assert b"".join(wire.sent[1:]) == before + last
    assert wire.ended == 1


@pytest.mark.parametrize(("dialect", "last"), LAST)
@pytest.mark.parametrize(
    "behind",
    [EVENT, b"data: " + b"x" * 5000 + b"\n\n", b'data: {"half', b"data: [DONE]", b"data: [DONE]".rjust(5000)],
)
def test_what_follows_the_last_event_is_followed_by_the_error(dialect: str, last: bytes, behind: bytes) -> None:
    relay, wire, _ = relay_for(dialect)
    relay.start(HEAD)
    relay.write(last)
    relay.write(behind)
    assert not relay.fail(CUT)
    assert b"error" in wire.sent[-1]
    assert wire.ended == 1


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_that_has_not_begun_has_not_ended(stream: bool) -> None:
    relay, wire, _ = relay_for(OPENAI_CHAT, stream=stream)
    relay.start(HEAD)
    assert not relay.fail(CUT)
    assert wire.sent[-1].startswith(b"HTTP/1.1 502")
    assert wire.ended == 1
