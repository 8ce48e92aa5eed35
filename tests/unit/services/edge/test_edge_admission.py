"""Jobs at an edge whose dispatchers are full: they wait, are offered where there is room, and leave in good form."""

import json
from collections.abc import Callable
from typing import cast

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from services.edge.admission import LOOK_S, UNTOLD_JOBS_MAX, UNTOLD_S
from services.edge.client_job import ClientJob
from services.edge.job_board import JobBoard
from services.edge.metrics import EdgeMetrics
from services.edge.usage_keeper import UsageKeeper
from tests.support.job_scripts import HEAD, end_payload, envelope
from tests.support.manual_clock import ManualClock
from trunkline.bus import frames, messages, subjects
from trunkline.bus.fleet import Fleet
from trunkline.bus.frames import Kind
from trunkline.bus.messages import Accepted, Beat, Envelope, Fail, Room, UsageEvent
from trunkline.bus.port import Message
from trunkline.bus.snapshots import KeyPolicy
from trunkline.core.errors import ErrorType, Fault
from trunkline.core.ids import JobIDMint
from trunkline.policy.keys import CompiledKey
from trunkline.policy.leaving import LEAVE_AFTER_S, LEFT_LATELY_S, SCOUT_EVERY_S
from trunkline.protocol.dialect import ClientRequest
from trunkline.runtime.http_exchange import Exchange, Request, Wire
from trunkline.runtime.memory_bus import MemoryBroker
from trunkline.runtime.usage_outbox import UsageOutbox

WAIT_S = 10.0
LANE = "default"


class FakeWire:
    """A connection that takes everything."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, wire: bytes) -> bool:
        self.written += wire
        return False

    def date_line(self) -> bytes:
        return b""

    @property
    def draining(self) -> bool:
        return False

    def answer_begun(self) -> None: ...

    def exchange_ended(self, *, keep_alive: bool) -> None: ...

    def cut(self) -> None: ...


class Rig:
    """A board with two dispatchers that only the test speaks for.

    Args:
        edge: its region.
        regions: of both dispatchers, by name.
    """

    def __init__(self, edge: str = "", **regions: str) -> None:
        self._regions = regions
        self.clock = ManualClock()
        self.registry = CollectorRegistry()
        self.ended: list[ClientJob] = []
        self.settled: list[ClientJob] = []
        self.offers: list[tuple[str, ClientJob, int]] = []
        self.fleet = Fleet(edge)
        self._broker = MemoryBroker()
        self._jobs: dict[bytes, tuple[ClientJob, int]] = {}
        metrics = EdgeMetrics(self.registry)
        self.board = JobBoard(
            self._broker.connect("edge-1"),
            "edge-1",
            clock=self.clock,
            metrics=metrics,
            fleet=self.fleet,
            keeper=UsageKeeper(cast("UsageOutbox", []), metrics=metrics),
            wait_s=WAIT_S,
            on_end=self.ended.append,
            on_priced=lambda _client, _usage: None,
            on_settled=self._settled,
        )
        self._mint = JobIDMint(1)

    def _settled(self, client: ClientJob, usage: UsageEvent | None, *, lost: bool) -> None:
        assert not lost
        assert usage is None or not client.outcome
        self.settled.append(client)

    async def start(self) -> None:
        await self.board.start()
        for name in ("d1", "d2"):
            await self._broker.connect(name).subscribe(subjects.dispatcher_inbox(name), self._hears(name))
            self.beat(name)
        await self._broker.connect("lane").subscribe(subjects.job(LANE), self._hears(LANE))

    def beat(self, dispatcher: str, room: int = 0, *lanes: str) -> None:
        region = self._regions.get(dispatcher, "")
        beat = Beat("dispatcher", dispatcher, 0, room=room, lanes=lanes or (LANE,), region=region)
        self.fleet.receive(beat, self.clock.now())

    def _hears(self, name: str) -> Callable[[Message], None]:
        def hear(message: Message) -> None:
            frame = frames.decode(message.data)
            if frame.kind is Kind.OPEN:
                told = msgspec.msgpack.decode(frames.split_parts(frame.payload)[0], type=Envelope)
                client, _ = self._jobs[frame.job]
                self._jobs[frame.job] = (client, frame.offer)
                self.offers.append((name, client, told.waiting))

        return hear

    def open(self, account: int = 1, priority: int = 0) -> ClientJob:
        """A request has come."""
        body = json.dumps({"model": "small"}).encode()
        request = Request("POST", "/v1/chat/completions", "", {}, body, "127.0.0.1")
        exchange = Exchange(cast("Wire", FakeWire()), request, keep_alive=True, chunked=True)
        client = ClientJob(exchange, self._mint.mint(0), self.clock.now())
        client.asked = ClientRequest("small", False)
        client.key = CompiledKey(KeyPolicy(1, "k", account, "a", priority=priority))
        self._jobs[client.job] = (client, 0)
        offered = msgspec.structs.replace(envelope(body_bytes=len(body)), reply=self.board.next_reply(), stream=False)
        self.board.open(client, offered, body, LANE)
        return client

    def answer(self, client: ClientJob, kind: Kind, payload: bytes, seq: int = 0) -> None:
        frame = frames.encode(1, kind, self._jobs[client.job][1], client.job, seq, payload)
        self.board._on_message(Message("tl.edge.edge-1.1", "", frame))

    def full(self, client: ClientJob, dispatcher: str) -> None:
        fault = Fault(ErrorType.GATEWAY_BUSY, "")
        self.answer(client, Kind.FAIL, messages.encode(Fail(fault, elsewhere=True, dispatcher=dispatcher)))

    def accept(self, client: ClientJob, dispatcher: str) -> None:
        self.answer(client, Kind.ACCEPTED, messages.encode(Accepted(dispatcher, 0)))

    def finish(self, client: ClientJob, seq: int) -> None:
        self.answer(client, Kind.WHOLE, frames.join_parts(messages.encode(HEAD), end_payload(b"{}", 7)), seq)

    def room(self, dispatcher: str, jobs: int) -> None:
        told = messages.encode(Room(dispatcher, jobs, (LANE,)))
        self.board._on_room(Message(subjects.room("edge-1"), "", told))

    async def take_offers(self) -> list[tuple[str, ClientJob, int]]:
        await self.clock.advance(0.0)
        offers, self.offers = self.offers, []
        return offers

    async def waiting(self, account: int = 1, priority: int = 0) -> ClientJob:
        """A job that waits: found no room, or came behind one that did."""
        client = self.open(account, priority)
        if not await self.take_offers():
            return client
        self.full(client, "d1")
        assert await self.take_offers() == [("d2", client, 0)]
        self.full(client, "d2")
        assert await self.take_offers() == []
        return client

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    def written(self, client: ClientJob) -> bytes:
        return cast("FakeWire", client.exchange._connection).written

    def at_rest(self) -> bool:
        return len(self.board) == 0 and self.metric("trunkline_edge_waiting", lane=LANE) == 0.0


@pytest.fixture
async def rig() -> Rig:
    rig = Rig()
    await rig.start()
    return rig


async def test_with_room_nothing_waits(rig: Rig) -> None:
    client = rig.open()
    assert await rig.take_offers() == [(LANE, client, 0)]
    rig.accept(client, "d1")
    rig.finish(client, 1)
    assert (rig.ended, rig.at_rest(), rig.board.lanes_waiting) == ([client], True, ())
    assert rig.metric("trunkline_edge_wait_seconds_count") == 0


async def test_a_job_that_all_refuse_waits_and_later_ones_behind_it(rig: Rig) -> None:
    first = await rig.waiting()
    second, third = rig.open(), rig.open()
    assert await rig.take_offers() == []
    assert rig.board.lanes_waiting == (LANE,)
    assert rig.metric("trunkline_edge_waiting", lane=LANE) == 3
    await rig.clock.advance(2.0)
    rig.room("d2", 2)
    assert await rig.take_offers() == [("d2", first, 0), ("d2", second, 1)]
    rig.accept(first, "d2")
    rig.finish(second, 0)
    assert rig.metric("trunkline_edge_waiting", lane=LANE) == 1
    assert rig.metric("trunkline_edge_wait_seconds_count") == 2
    assert rig.metric("trunkline_edge_wait_seconds_sum") == 4.0
    rig.room("d1", 5)
    assert await rig.take_offers() == [("d1", third, 0)]
    rig.finish(third, 0)
    rig.finish(first, 1)
    assert rig.at_rest()
    assert rig.ended == rig.settled == [second, third, first]
    fourth = rig.open()
    assert await rig.take_offers() == [(LANE, fourth, 0)]


async def test_a_room_that_was_taken_meanwhile_costs_no_turn(rig: Rig) -> None:
    first, second = await rig.waiting(), await rig.waiting()
    rig.room("d1", 1)
    assert await rig.take_offers() == [("d1", first, 1)]
    rig.full(first, "d1")
    assert await rig.take_offers() == []  # no other one is asked: all are full
    rig.room("d2", 1)
    assert await rig.take_offers() == [("d2", first, 1)]
    rig.accept(first, "d2")
    assert rig.board.lanes_waiting == (LANE,)
    second.exchange.gone()
    assert not rig.board.lanes_waiting


async def test_accounts_and_priorities_have_their_turns(rig: Rig) -> None:
    burst = [await rig.waiting(account=1) for _ in range(3)]
    other, high = await rig.waiting(account=2), await rig.waiting(account=3, priority=9)
    rig.room("d1", 4)
    offers = await rig.take_offers()
    assert [client for _, client, _ in offers] == [high, burst[0], other, burst[1]]
    assert [waiting for _, _, waiting in offers] == [0, 0, 0, 1]


async def test_a_client_that_leaves_frees_its_place_at_once(rig: Rig) -> None:
    first, second = await rig.waiting(), await rig.waiting()
    first.exchange.gone()
    assert (rig.ended, rig.settled, first.outcome) == ([first], [first], "client_gone")
    rig.room("d1", 9)
    assert await rig.take_offers() == [("d1", second, 0)]
    second.exchange.gone()  # while it is offered: a dispatcher may have it
    assert (rig.ended, rig.board.settling) == ([first, second], 1)
    assert rig.at_rest()
    rig.room("d1", 9)
    assert await rig.take_offers() == []


async def test_a_job_that_waited_too_long_is_refused_with_a_time(rig: Rig) -> None:
    client = await rig.waiting()
    await rig.clock.advance(WAIT_S - 0.1)
    rig.beat("d1")
    assert rig.ended == []
    await rig.clock.advance(0.2)
    assert (rig.ended, rig.settled, client.outcome) == ([client], [client], "gateway_overloaded")
    head = rig.written(client)
    assert head.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
    assert b"\r\nretry-after: 10\r\n" in head
    assert rig.metric("trunkline_edge_admission_refused_total", why="late") == 1
    assert rig.at_rest()


async def test_one_that_comes_back_from_an_offer_too_late_is_refused(rig: Rig) -> None:
    client = await rig.waiting()
    await rig.clock.advance(WAIT_S - 0.1)
    rig.room("d1", 1)
    assert await rig.take_offers() == [("d1", client, 0)]
    await rig.clock.advance(0.2)
    assert rig.ended == []
    rig.full(client, "d1")
    assert (rig.ended, client.status) == ([client], 429)
    assert rig.at_rest()


async def test_with_no_dispatcher_left_that_is_what_is_said(rig: Rig) -> None:
    client = await rig.waiting()
    await rig.clock.advance(9.0)
    assert sorted(rig.fleet.take_lost(rig.clock.now())) == ["d1", "d2"]
    await rig.clock.advance(1.1)
    assert (client.status, client.outcome) == (503, "gateway_no_dispatcher")
    assert rig.metric("trunkline_edge_admission_refused_total", why="gateway_no_dispatcher") == 1
    assert rig.at_rest()


async def test_an_edge_that_must_stop_gives_up_what_waits(rig: Rig) -> None:
    clients = [await rig.waiting() for _ in range(3)]
    rig.board.give_up_all()
    assert rig.ended == clients
    assert {client.outcome for client in clients} == {"gateway_shutting_down"}
    assert rig.at_rest()
    await rig.clock.advance(1.0)  # the look for late ones ends by itself


async def test_one_that_is_silent_is_given_to_another_one_and_then_waits_again(rig: Rig) -> None:
    client = await rig.waiting()
    rig.room("d1", 1)
    assert await rig.take_offers() == [("d1", client, 0)]
    await rig.clock.advance(1.0)
    rig.board.tick()
    assert await rig.take_offers() == [("d2", client, 0)]
    rig.full(client, "d2")
    rig.room("d2", 1)
    assert await rig.take_offers() == [("d2", client, 0)]
    rig.finish(client, 0)
    assert rig.at_rest()
    assert client.outcome == "ok"
    assert client.offers == 5


async def test_of_a_dispatcher_that_does_not_tell_of_its_room_its_beats_do(rig: Rig) -> None:
    first = await rig.waiting()
    others = [await rig.waiting() for _ in range(UNTOLD_JOBS_MAX + 1)]
    shown = Beat("dispatcher", "d1", 0, room=1000, lanes=(LANE, "other"))
    await rig.clock.advance(UNTOLD_S - 0.1)
    rig.board.beat_heard(shown)
    assert await rig.take_offers() == []
    await rig.clock.advance(0.1)
    rig.board.beat_heard(msgspec.structs.replace(shown, room=0))
    rig.board.beat_heard(msgspec.structs.replace(shown, draining=True))
    assert await rig.take_offers() == []
    rig.board.beat_heard(shown)
    offered = await rig.take_offers()
    assert [client for _, client, _ in offered] == [first, *others[: UNTOLD_JOBS_MAX - 1]]
    assert [(name, left) for name, _, left in offered] == [("d1", 0)] * (UNTOLD_JOBS_MAX - 1) + [("d1", 2)]
    rig.full(others[0], "d1")
    assert await rig.take_offers() == []
    rig.accept(first, "d1")
    assert await rig.take_offers() == [("d1", others[0], 2)]
    rig.room("d2", 1)
    assert await rig.take_offers() == [("d2", others[UNTOLD_JOBS_MAX - 1], 1)]
    rig.accept(others[0], "d1")
    rig.board.beat_heard(shown)
    assert await rig.take_offers() == []


async def test_what_is_no_word_of_room_is_counted(rig: Rig) -> None:
    rig.board._on_room(Message(subjects.room("edge-1"), "", b"\xc1"))
    assert rig.metric("trunkline_edge_frames_refused_total") == 1


# --- regions -----------------------------------------------------------------------------------------------------


@pytest.fixture
async def far() -> Rig:
    """One of whose dispatchers the second is in another region."""
    rig = Rig("home", d1="home", d2="abroad")
    await rig.start()
    return rig


async def refused_at_home(far: Rig) -> ClientJob:
    client = far.open()
    assert await far.take_offers() == [(LANE, client, 0)]
    far.full(client, "d1")
    return client


async def test_a_job_waits_for_room_at_home_before_it_leaves(far: Rig) -> None:
    far.beat("d2", 50)
    first = await refused_at_home(far)
    second, third = far.open(), far.open()
    far.room("d2", 3)  # by a beat of ours that said that jobs wait
    await far.clock.advance(LEAVE_AFTER_S - 0.01)
    assert await far.take_offers() == []
    far.room("d1", 1)
    assert await far.take_offers() == [("d1", first, 2)]
    far.accept(first, "d1")
    await far.clock.advance(2 * LOOK_S)
    assert await far.take_offers() == [("d2", second, 1)]
    far.accept(second, "d2")
    far.room("d2", 40)
    assert await far.take_offers() == [("d2", third, 0)]


async def test_who_finds_home_full_after_others_have_left_does_not_wait(far: Rig) -> None:
    far.beat("d2", 50)
    first = await refused_at_home(far)
    await far.clock.advance(LEAVE_AFTER_S + LOOK_S)
    assert await far.take_offers() == [("d2", first, 0)]
    far.accept(first, "d2")
    await far.clock.advance(LEFT_LATELY_S - 0.01)
    second = await refused_at_home(far)
    assert await far.take_offers() == [("d2", second, 0)]
    await far.clock.advance(LEFT_LATELY_S - 0.01)
    third = await refused_at_home(far)
    assert await far.take_offers() == [("d2", third, 0)]
    await far.clock.advance(LEFT_LATELY_S + 0.01)
    await refused_at_home(far)
    assert await far.take_offers() == []


async def test_nothing_leaves_for_a_region_that_shows_no_room(far: Rig) -> None:
    client = await refused_at_home(far)
    await far.clock.advance(5.0)
    assert await far.take_offers() == []
    far.beat("d2", 9, "other")
    await far.clock.advance(1.0)
    assert await far.take_offers() == []
    far.beat("d2", 1)
    await far.clock.advance(0.1)
    assert await far.take_offers() == [("d2", client, 0)]


async def test_one_that_is_refused_abroad_is_as_before_and_few_are_sent_on_the_word_of_beats(far: Rig) -> None:
    far.beat("d1")
    far.beat("d2", 50)
    first = await refused_at_home(far)
    others = [far.open() for _ in range(9)]
    await far.clock.advance(LEAVE_AFTER_S + LOOK_S)
    assert await far.take_offers() == [("d2", first, 9)]
    far.full(first, "d2")
    await far.clock.advance(SCOUT_EVERY_S + LOOK_S)
    assert await far.take_offers() == [("d2", first, 9)]
    far.full(first, "d2")
    await far.clock.advance(1.0)
    scouts = await far.take_offers()
    assert {name for name, _, _ in scouts} == {"d2"}
    assert len(others) // 2 < len(scouts) <= 1.0 / SCOUT_EVERY_S


async def test_where_nobody_serves_a_lane_at_home_jobs_leave_at_once(far: Rig) -> None:
    far.beat("d1", 9, "other")
    far.beat("d2", 50)
    client = far.open()
    assert await far.take_offers() == [(LANE, client, 0)]  # the broker gives it to d2
    far.full(client, "d2")
    far.beat("d2", 0)
    far.room("d2", 1)
    assert await far.take_offers() == [("d2", client, 0)]


async def test_one_that_is_silent_at_home_is_offered_abroad_at_once(far: Rig) -> None:
    far.beat("d2", 50)
    client = far.open()
    assert await far.take_offers() == [(LANE, client, 0)]
    await far.clock.advance(1.0)
    far.board.tick()
    assert await far.take_offers() == [("d1", client, 0)]
    await far.clock.advance(2.0)
    far.board.tick()
    assert await far.take_offers() == [("d2", client, 0)]


async def test_beats_from_abroad_are_no_reason_to_offer_what_waits(far: Rig) -> None:
    await refused_at_home(far)
    await far.clock.advance(UNTOLD_S)
    far.board.beat_heard(Beat("dispatcher", "d2", 0, room=100, lanes=(LANE,), region="abroad"))
    assert await far.take_offers() == []
