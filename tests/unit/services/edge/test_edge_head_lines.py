"""What stands in the head of an answer of the client's limits and of its cost."""

import msgspec
import pytest

from services.edge.client_job import ClientJob
from services.edge.relay import Relay, respond_with_fault
from trunkline.bus.messages import Head
from trunkline.core.errors import ErrorType, Fault
from trunkline.core.ids import JobIDMint
from trunkline.protocol.dialect import ClientRequest
from trunkline.runtime.http_exchange import Exchange, Request

HEAD = Head(200, "application/json", 0, 1, "channel", "dispatcher-1")
LIMITS = b"x-ratelimit-limit-requests: 50\r\n"


class Wire:
    """A connection that keeps what was written."""

    draining = False

    def __init__(self) -> None:
        self.sent = b""

    def write(self, wire: bytes) -> bool:
        self.sent += wire
        return False

    def date_line(self) -> bytes:
        return b""

    def answer_begun(self) -> None: ...

    def exchange_ended(self, *, keep_alive: bool) -> None: ...

    def cut(self) -> None: ...


def client_on(wire: Wire) -> ClientJob:
    exchange = Exchange(wire, Request("POST", "/", "", {}, b"", ""), keep_alive=True, chunked=True)
    client = ClientJob(exchange, JobIDMint(1).mint(0), 0.0)
    client.asked = ClientRequest("m", stream=False)
    client.limit_lines = LIMITS
    return client


@pytest.mark.parametrize("stream", [True, False])
def test_limits_stand_in_every_head(*, stream: bool) -> None:
    wire = Wire()
    relay = Relay(client_on(wire), stream=stream)
    relay.start(HEAD)
    relay.finish(b"{}")
    assert wire.sent.count(LIMITS) == 1
    assert b"x-trunkline-cost-usd" not in wire.sent, "what it comes to is not known"


def test_the_cost_stands_in_the_head_of_a_whole_answer() -> None:
    wire = Wire()
    client = client_on(wire)
    relay = Relay(client, stream=False)
    relay.start(HEAD)
    client.charge_nano = 12_100
    relay.finish(b"{}")
    assert b"\r\nx-trunkline-cost-usd: 0.0000121\r\n" in wire.sent
    assert b"\r\n" + LIMITS in wire.sent


def test_a_free_answer_says_so_and_a_stream_says_nothing() -> None:
    for stream, said in ((False, True), (True, False)):
        wire = Wire()
        client = client_on(wire)
        client.charge_nano = 0
        relay = Relay(client, stream=stream)
        relay.start(HEAD)
        relay.finish(b"{}")
        assert (b"\r\nx-trunkline-cost-usd: 0.00\r\n" in wire.sent) is said


def test_errors_tell_of_limits_too() -> None:
    wire = Wire()
    respond_with_fault(client_on(wire), Fault(ErrorType.POLICY_RATE_LIMITED, "Limit reached.", retry_after_ms=1500))
    head = wire.sent.partition(b"\r\n\r\n")[0] + b"\r\n"
    assert head.startswith(b"HTTP/1.1 429 ")
    assert b"\r\nretry-after: 2\r\n" in head
    assert b"\r\n" + LIMITS in head


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("served", "moved_from", "said"),
    [
        ("", "", b""),
        ("spare", "", b"x-trunkline-model: spare\r\nx-trunkline-model-reason: fallback\r\n"),
        ("", "dear", b"x-trunkline-model: m\r\nx-trunkline-model-reason: budget\r\n"),
        ("spare", "dear", b"x-trunkline-model: spare\r\nx-trunkline-model-reason: fallback\r\n"),
    ],
)
def test_the_head_says_which_other_model_answers_and_why(
    served: str, moved_from: str, said: bytes, *, stream: bool
) -> None:
    wire = Wire()
    client = client_on(wire)
    client.moved_from, client.moved_why = moved_from, "budget"
    relay = Relay(client, stream=stream)
    relay.start(HEAD if not served else msgspec.structs.replace(HEAD, model=served))
    relay.finish(b"{}")
    head = wire.sent.partition(b"\r\n\r\n")[0] + b"\r\n"
    assert (said in head, head.count(b"x-trunkline-model")) == (True, 2 if said else 0)
    assert client.served == served
