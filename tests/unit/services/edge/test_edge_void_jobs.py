"""An edge says of a job whose client got an error that it came to nothing, where an offer may have been answered."""

import json
from typing import cast

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from services.edge.client_job import ClientJob
from services.edge.job_board import JobBoard
from services.edge.metrics import EdgeMetrics
from services.edge.usage_keeper import UsageKeeper
from tests.support.job_scripts import envelope
from tests.support.kept_wire import KeptWire
from tests.support.manual_clock import ManualClock
from tests.support.usage_events import usage_event
from trunkline.bus import frames, messages
from trunkline.bus.fleet import Fleet
from trunkline.bus.frames import Kind
from trunkline.bus.messages import Accepted, Fail, Head, UsageEvent, VoidJob
from trunkline.bus.port import Message
from trunkline.bus.snapshots import KeyPolicy
from trunkline.core.errors import ErrorType, Fault
from trunkline.core.ids import JobIDMint
from trunkline.policy.keys import CompiledKey
from trunkline.protocol.dialect import ClientRequest
from trunkline.runtime.http_exchange import Exchange, Request
from trunkline.runtime.memory_bus import MemoryBroker
from trunkline.runtime.usage_outbox import UsageOutbox

BODY = json.dumps({"model": "small"}).encode()
ACCOUNT = 7
CUT = Fault(ErrorType.UPSTREAM_CUT, "broken off")


class Outbox(list[UsageEvent | VoidJob]):
    add = list.append


class Rig:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.outbox = Outbox()
        self.ended: list[ClientJob] = []
        self.registry = CollectorRegistry()
        metrics = EdgeMetrics(self.registry)
        self.board = JobBoard(
            MemoryBroker().connect("edge-1"),
            "edge-1",
            clock=self.clock,
            metrics=metrics,
            fleet=Fleet(),
            keeper=UsageKeeper(cast("UsageOutbox", self.outbox), metrics=metrics),
            wait_s=10.0,
            on_end=self.ended.append,
            on_priced=lambda _client, _usage: None,
            on_settled=lambda _client, _usage, lost: None,
        )
        self._mint = JobIDMint(1)

    def job(self, *, stream: bool = True) -> ClientJob:
        """A job that a dispatcher has taken."""
        request = Request("POST", "/v1/chat/completions", "", {}, BODY, "127.0.0.1")
        exchange = Exchange(KeptWire(), request, keep_alive=True, chunked=True)
        client = ClientJob(exchange, self._mint.mint(0), self.clock.now())
        client.asked = ClientRequest("small", stream)
        client.key = CompiledKey(KeyPolicy(key=1, key_name="k", account=ACCOUNT, account_name="a"))
        told = envelope(body_bytes=len(BODY))
        offered = msgspec.structs.replace(told, reply=self.board.next_reply(), stream=stream)
        self.board.open(client, offered, BODY, "default")
        self.receive(client, Kind.ACCEPTED, 0, messages.encode(Accepted("d1", 1 << 20)))
        return client

    def receive(self, client: ClientJob, kind: Kind, seq: int, payload: bytes) -> None:
        self.board._on_message(Message("tl.edge.e1.1", "", frames.encode(1, kind, 0, client.job, seq, payload)))


@pytest.fixture
async def rig() -> Rig:
    return Rig()


async def test_a_job_whose_dispatcher_is_lost_before_its_answer_came_to_nothing(rig: Rig) -> None:
    client = rig.job()
    rig.board.dispatcher_lost("d1")
    assert rig.outbox == [VoidJob(client.job, ACCOUNT, 0)]
    assert rig.registry.get_sample_value("trunkline_edge_jobs_void_total") == 1


async def test_a_job_that_its_dispatcher_has_failed_needs_no_such_word(rig: Rig) -> None:
    first, second = rig.job(), rig.job()
    rig.receive(first, Kind.FAIL, 1, messages.encode(Fail(CUT, dispatcher="d1")))
    rig.receive(second, Kind.FAIL, 1, messages.encode(Fail(CUT, usage=usage_event(), usage_no=1, dispatcher="d1")))
    assert rig.outbox == []


async def test_one_who_leaves_pays_for_what_was_made_until_then(rig: Rig) -> None:
    rig.job().exchange.gone()
    rig.board.dispatcher_lost("d1")
    assert rig.outbox == []


async def test_half_of_a_plain_answer_came_to_nothing_and_half_of_a_stream_did_not(rig: Rig) -> None:
    plain, stream = rig.job(stream=False), rig.job()
    for client in (plain, stream):
        head = Head(200, "application/json", 1, 1, "main", "d1")
        rig.receive(client, Kind.HEAD, 1, frames.join_parts(messages.encode(head), b"data: {}\n\n"))
    rig.board.dispatcher_lost("d1")
    assert rig.outbox == [VoidJob(plain.job, ACCOUNT, 0)]
    assert [client.outcome for client in rig.ended] == ["gateway_dispatcher_lost"] * 2


async def test_a_stream_whose_last_event_has_left_has_ended_well(rig: Rig) -> None:
    client = rig.job()
    head = Head(200, "text/event-stream", 1, 1, "main", "d1")
    rig.receive(client, Kind.HEAD, 1, frames.join_parts(messages.encode(head), b"data: {}\n\n"))
    rig.receive(client, Kind.DATA, 2, b"data: [DONE]\n\n")
    rig.board.dispatcher_lost("d1")
    assert [ended.outcome for ended in rig.ended] == ["ok"]
    assert rig.outbox == []
