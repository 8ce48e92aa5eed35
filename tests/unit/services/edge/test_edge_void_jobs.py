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
from tests.support.manual_clock import ManualClock
from tests.support.usage_events import usage_event
from trunkline.bus import frames, messages
from trunkline.bus.fleet import Fleet
from trunkline.bus.frames import Kind
from trunkline.bus.messages import Accepted, Fail, UsageEvent, VoidJob
from trunkline.bus.port import Message
from trunkline.bus.snapshots import KeyPolicy
from trunkline.core.errors import ErrorType, Fault
from trunkline.core.ids import JobIDMint
from trunkline.policy.keys import CompiledKey
from trunkline.protocol.dialect import ClientRequest
from trunkline.runtime.http_exchange import Exchange, Request, Wire
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
            on_end=lambda _client: None,
            on_priced=lambda _client, _usage: None,
            on_settled=lambda _client, _usage, lost: None,
        )
        self._mint = JobIDMint(1)

    def job(self) -> ClientJob:
        """A job that a dispatcher has taken."""
        request = Request("POST", "/v1/chat/completions", "", {}, BODY, "127.0.0.1")
        exchange = Exchange(cast("Wire", None), request, keep_alive=True, chunked=True)
        client = ClientJob(exchange, self._mint.mint(0), self.clock.now())
        client.asked = ClientRequest("small", True)
        client.key = CompiledKey(KeyPolicy(key=1, key_name="k", account=ACCOUNT, account_name="a"))
        offered = msgspec.structs.replace(envelope(body_bytes=len(BODY)), reply=self.board.next_reply())
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
    client.exchange.ended = True  # what it is told is not looked at here
    rig.board.dispatcher_lost("d1")
    assert rig.outbox == [VoidJob(client.job, ACCOUNT, 0)]
    assert rig.registry.get_sample_value("trunkline_edge_jobs_void_total") == 1


async def test_a_job_that_its_dispatcher_has_failed_needs_no_such_word(rig: Rig) -> None:
    first, second = rig.job(), rig.job()
    first.exchange.ended = second.exchange.ended = True
    rig.receive(first, Kind.FAIL, 1, messages.encode(Fail(CUT, dispatcher="d1")))
    rig.receive(second, Kind.FAIL, 1, messages.encode(Fail(CUT, usage=usage_event(), usage_no=1, dispatcher="d1")))
    assert rig.outbox == []


async def test_one_who_leaves_pays_for_what_was_made_until_then(rig: Rig) -> None:
    rig.job().exchange.gone()
    rig.board.dispatcher_lost("d1")
    assert rig.outbox == []
