"""Jobs whose clients have left: kept until they are settled, for a while, and never too many."""

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
from trunkline.bus.fleet import LOST_AFTER_S, Fleet
from trunkline.bus.frames import Kind
from trunkline.bus.messages import Accepted, Fail, UsageEvent
from trunkline.bus.port import Message
from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault
from trunkline.core.ids import JobIDMint
from trunkline.protocol.dialect import ClientRequest
from trunkline.runtime.http_exchange import Exchange, Request, Wire
from trunkline.runtime.memory_bus import MemoryBroker, MemoryBus
from trunkline.runtime.usage_outbox import UsageOutbox

BODY = json.dumps({"model": "small", "padding": "x" * 1000}).encode()
GONE = Fault(ErrorType.CLIENT_GONE, "")


class Rig:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.fleet = Fleet()
        self.bus: MemoryBus = MemoryBroker().connect("edge-1")
        self.ended: list[ClientJob] = []
        self.settled: list[tuple[ClientJob, UsageEvent | None, bool]] = []
        metrics = EdgeMetrics(CollectorRegistry())
        self.keeper = UsageKeeper(cast("UsageOutbox", []), metrics=metrics)
        self.board = JobBoard(
            self.bus,
            "edge-1",
            clock=self.clock,
            metrics=metrics,
            fleet=self.fleet,
            keeper=self.keeper,
            wait_s=10.0,
            on_end=self.ended.append,
            on_priced=lambda _client, _usage: None,
            on_settled=lambda client, usage, lost: self.settled.append((client, usage, lost)),
        )
        self._mint = JobIDMint(1)

    def job(self) -> ClientJob:
        """A job that a dispatcher has taken."""
        request = Request("POST", "/v1/chat/completions", "", {}, BODY, "127.0.0.1")
        exchange = Exchange(cast("Wire", None), request, keep_alive=True, chunked=True)
        client = ClientJob(exchange, self._mint.mint(0), self.clock.now())
        client.asked = ClientRequest("small", True)
        offered = msgspec.structs.replace(envelope(body_bytes=len(BODY)), reply=self.board.next_reply())
        self.board.open(client, offered, BODY, "default")
        self.receive(client, Kind.ACCEPTED, 0, messages.encode(Accepted("d1", 1 << 20)))
        return client

    def receive(self, client: ClientJob, kind: Kind, seq: int, payload: bytes) -> None:
        self.board._on_message(Message("tl.edge.e1.1", "", frames.encode(1, kind, 0, client.job, seq, payload)))

    def fail(self, client: ClientJob, usage: UsageEvent | None) -> None:
        fail = Fail(GONE, usage=usage, usage_no=3, dispatcher="d1")
        self.receive(client, Kind.FAIL, 1, messages.encode(fail))


@pytest.fixture
async def rig() -> Rig:
    return Rig()


async def test_a_job_whose_client_left_is_settled_by_its_dispatcher(rig: Rig) -> None:
    client = rig.job()
    client.exchange.gone()
    assert (rig.ended, rig.settled, len(rig.board), rig.board.settling) == ([client], [], 0, 1)
    assert client.exchange.request.body == b""  # nobody needs it, and it may be large
    usage = usage_event(job=client.job)
    rig.fail(client, usage)
    rig.fail(client, usage)
    assert (rig.settled, rig.board.settling, len(rig.keeper)) == ([(client, usage, False)], 0, 1)


async def test_use_that_is_not_charged_is_kept_and_settles_nothing(rig: Rig) -> None:
    client = rig.job()
    client.exchange.gone()
    rig.fail(client, usage_event(job=client.job, charged=False))
    assert (rig.settled, len(rig.keeper)) == ([(client, None, False)], 1)


async def test_a_last_word_is_waited_for_as_long_as_is_said(rig: Rig) -> None:
    first, second = rig.job(), rig.job()
    first.exchange.gone()
    await rig.clock.advance(1.0)
    second.exchange.gone()
    await rig.clock.advance(limits.SETTLE_WAIT_S - 1.0)
    rig.board.tick()
    assert rig.settled == [(first, None, True)]
    await rig.clock.advance(1.0)
    rig.board.tick()
    assert rig.settled[1:] == [(second, None, True)]
    rig.fail(first, usage_event(job=first.job))
    assert len(rig.settled) == 2


async def test_of_too_many_the_oldest_is_lost(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SETTLING_MAX", 2)
    jobs = [rig.job() for _ in range(3)]
    for client in jobs:
        client.exchange.gone()
    assert (rig.settled, rig.board.settling) == ([(jobs[0], None, True)], 2)
    rig.board.give_up_all()
    assert [client for client, _, _ in rig.settled] == jobs
    assert rig.board.settling == 0


async def test_with_its_dispatcher_a_last_word_is_lost(rig: Rig) -> None:
    client = rig.job()
    client.exchange.gone()
    rig.board.dispatcher_lost("d2")
    assert rig.settled == []
    rig.board.dispatcher_lost("d1")
    assert rig.settled == [(client, None, True)]


async def test_a_dispatcher_that_took_a_job_and_was_never_heard_of_is_missed(rig: Rig) -> None:
    rig.job()
    rig.board.tick()
    await rig.clock.advance(LOST_AFTER_S + 0.1)
    assert rig.fleet.take_lost(rig.clock.now()) == ["d1"]
