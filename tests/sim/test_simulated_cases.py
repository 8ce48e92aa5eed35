"""Single mishaps on the simulated gateway, each with the one end that it must come to."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest
from structlog.testing import capture_logs

from services.dispatcher import job_runner
from tests.sim.sim_books import Ledger
from tests.sim.sim_checkpoints import CheckpointStream
from tests.sim.sim_clients import Client, Outcome, Plan
from tests.sim.sim_loop import LoopClock, SimulatedLoop
from tests.sim.sim_metering import start_metering
from tests.sim.sim_processes import (
    ADMISSION_WAIT_S,
    DEADLINE_S,
    DISPATCHER_JOBS_MAX,
    SECRET,
    SimulatedDispatcher,
    SimulatedEdge,
    fill_buckets,
)
from tests.sim.sim_upstream import Behaviour, Call, Provider
from trunkline.bus import frames
from trunkline.bus.frames import FrameError, Kind
from trunkline.bus.messages import UsageEvent
from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault
from trunkline.core.usage import UsageSource
from trunkline.runtime.memory_bus import Delivery, MemoryBroker

LATENCY_S = 0.001


class Stage:
    """One edge, some dispatchers, providers that follow a script, and a bus that loses what it is told to."""

    def __init__(self, loop: SimulatedLoop, dispatchers: int, script: Sequence[Behaviour]) -> None:
        self.clock = LoopClock(loop, 0)
        self.broker = MemoryBroker()
        fill_buckets(self.broker)
        self.broker.faults = self._fate
        self.provider = Provider(1)
        self.provider.reliable = True
        self.provider.script = list(script)
        self.edge = SimulatedEdge(self.broker, "edge-0", self.clock, 7)
        self.dispatchers = [
            SimulatedDispatcher(self.broker, f"dispatcher-{number}", self.clock, number, self.provider)
            for number in range(dispatchers)
        ]
        self.latency_s = LATENCY_S
        """Of each message from now on."""
        self.offers = 0
        """That were delivered."""
        self._lose: list[Kind] = []
        self.lose_room = False
        """Lose the next word of room."""

    def lose(self, *kinds: Kind) -> None:
        """Lose the next frame of each of these kinds."""
        self._lose += kinds

    def _fate(self, delivery: Delivery) -> Sequence[float]:
        if self.lose_room and delivery.subject.startswith("tl.room."):
            self.lose_room = False
            return ()
        with contextlib.suppress(FrameError):
            kind = frames.decode(delivery.data).kind
            self.offers += kind is Kind.OPEN
            if delivery.subject.startswith(("tl.edge.", "tl.disp.", "tl.job.")) and kind in self._lose:
                self._lose.remove(kind)
                return ()
        return (self.latency_s,)

    def send(self, *, stream: bool = True, padding: int = 0, bytes_per_s: int | None = None) -> Client:
        plan = Plan(f"client-{len(self.edge.clients)}", self.clock.now(), stream, False, padding, bytes_per_s, None)
        client = Client(plan, SECRET)
        self.edge.begin(client)
        return client

    async def until(self, condition: Callable[[], bool], within_s: float) -> None:
        deadline = self.clock.now() + within_s
        while not condition():
            assert self.clock.now() < deadline
            await self.clock.sleep(0.01)

    async def answered(self, client: Client, within_s: float) -> Call:
        """Return the call that a client's full answer came from; it alone is charged."""
        await self.until(lambda: client.done, within_s)
        assert client.outcome() is Outcome.FULL
        await self.clock.sleep(2)
        call = next(call for call in self.provider.calls if call.text == client.answer)
        ledger = Ledger(self.broker.stored)
        assert not ledger.charged_twice
        assert ledger.charges[client.job].units.input == call.number
        return call

    def jobs(self) -> int:
        return len(self.edge.board) + sum(len(each.table) for each in self.dispatchers if not each.dead)


@contextlib.asynccontextmanager
async def _opened(stage: Stage) -> AsyncIterator[Stage]:
    await start_metering(stage.broker, stage.clock)
    await stage.edge.start()
    for dispatcher in stage.dispatchers:
        await dispatcher.start()
    await stage.clock.sleep(0.5)
    yield stage
    await stage.edge.tasks.cancel()
    for dispatcher in stage.dispatchers:
        await dispatcher.tasks.cancel()


def play(course: Callable[[Stage], Awaitable[None]], *, dispatchers: int = 2, script: Sequence[Behaviour] = ()) -> None:
    """Run a course of events on a fresh stage, at whose end no job may be left."""

    async def main() -> None:
        async with _opened(Stage(loop, dispatchers, script)) as stage:
            await course(stage)
            await stage.until(lambda: stage.jobs() == 0, within_s=1)

    loop = SimulatedLoop()
    with capture_logs():
        try:
            loop.run_until_complete(main())
        finally:
            loop.close()


def test_an_offer_that_the_edge_gave_up_is_not_charged() -> None:
    async def course(stage: Stage) -> None:
        stage.lose(Kind.HEAD)
        call = await stage.answered(stage.send(), within_s=20)
        first = stage.provider.calls[0]
        assert call is not first
        assert first.closed

    play(course, script=[Behaviour.SLOW, Behaviour.GOOD])


def test_a_lost_acceptance_costs_a_second_and_nothing_else() -> None:
    async def course(stage: Stage) -> None:
        stage.lose(Kind.ACCEPTED)
        await stage.answered(stage.send(), within_s=20)
        assert stage.provider.calls[0].closed

    play(course, script=[Behaviour.SILENT, Behaviour.GOOD])


@pytest.mark.parametrize("upstream", [Behaviour.GOOD, Behaviour.SILENT])
@pytest.mark.parametrize(("latency_s", "offers"), [(0.4, 1), (0.6, 2)])
def test_a_network_that_becomes_slow_costs_a_second_offer_at_most(
    latency_s: float, offers: int, upstream: Behaviour
) -> None:
    async def course(stage: Stage) -> None:
        await stage.answered(stage.send(), within_s=5)  # the edge knows the key and has money, and delays are measured
        stage.latency_s = latency_s
        stage.offers = 0
        client = stage.send()
        await stage.until(lambda: len(stage.provider.calls) == 2, within_s=4)
        await stage.clock.sleep(3)
        assert stage.offers == offers
        assert client.outcome() is (Outcome.FULL if upstream is Behaviour.GOOD else Outcome.HANGS)
        assert len(stage.provider.calls) == 2
        client.leave()
        stage.latency_s = LATENCY_S

    play(course, script=[Behaviour.GOOD, upstream])


def test_a_lost_part_of_the_body_is_made_good() -> None:
    async def course(stage: Stage) -> None:
        stage.lose(Kind.BODY)
        client = stage.send(padding=limits.OPEN_BODY_BYTES_MAX)
        await stage.answered(client, within_s=limits.SYNC_AFTER_QUIET_S + 3)
        assert len(stage.provider.calls) == 1

    play(course, script=[Behaviour.GOOD])


def test_a_lost_credit_is_made_good() -> None:
    async def course(stage: Stage) -> None:
        stage.lose(Kind.CREDIT)
        await stage.answered(stage.send(bytes_per_s=200_000), within_s=12)

    play(course, script=[Behaviour.LARGE])


def test_a_lost_end_ends_the_job_all_the_same() -> None:
    async def course(stage: Stage) -> None:
        stage.lose(Kind.WHOLE)
        client = stage.send(stream=False)
        await stage.until(lambda: client.done, within_s=limits.SYNC_AFTER_QUIET_S + 3)
        assert client.outcome() in {Outcome.ERROR, Outcome.FULL}

    play(course, script=[Behaviour.GOOD, Behaviour.GOOD])


def test_a_lost_cancel_of_a_job_that_waits_for_its_reader_is_swept() -> None:
    async def course(stage: Stage) -> None:
        client = stage.send(stream=False, bytes_per_s=1)
        await stage.until(lambda: bool(stage.provider.calls) and stage.provider.calls[0].reported, within_s=3)
        stage.lose(Kind.CANCEL)
        client.leave()
        await stage.clock.sleep(3)
        assert stage.jobs() == 1
        await stage.clock.sleep(DEADLINE_S)

    play(course, dispatchers=1, script=[Behaviour.LARGE])


def test_a_client_that_leaves_takes_its_upstream_call_along() -> None:
    async def course(stage: Stage) -> None:
        for stream in (True, False):
            client = stage.send(stream=stream)
            count = len(stage.provider.calls) + 1
            await stage.until(lambda count=count: len(stage.provider.calls) == count, within_s=1)  # type: ignore[misc]
            client.leave()
            await stage.until(lambda: stage.provider.calls[-1].closed, within_s=1)
            assert client.outcome() is Outcome.LEFT

    play(course, script=[Behaviour.SILENT, Behaviour.SILENT])


async def _leave(stage: Stage, client: Client, *, closed: bool) -> UsageEvent | None:
    """Let a client leave; returns what the edge is told within a second, which is what is charged."""
    client.leave()
    await stage.until(lambda: bool(stage.edge.settled), within_s=1)
    assert stage.provider.calls[-1].closed is closed
    await stage.clock.sleep(2)
    [[settled]] = stage.edge.settled.values()
    assert not settled.lost
    assert Ledger(stage.broker.stored).charges.get(client.job) == settled.usage
    return settled.usage


def test_a_client_that_leaves_a_stream_pays_for_what_came() -> None:
    async def course(stage: Stage) -> None:
        client = stage.send()
        await stage.until(lambda: client.wire.count(b"content") > 1, within_s=9)
        usage = await _leave(stage, client, closed=True)
        assert usage is not None
        assert (usage.outcome, usage.source) == ("client_gone", UsageSource.COUNTED)
        assert usage.units.output > 0

    play(course, script=[Behaviour.SLOW])


def test_a_client_that_leaves_before_anything_was_made_pays_nothing() -> None:
    async def course(stage: Stage) -> None:
        client = stage.send()
        await stage.until(lambda: bool(stage.provider.calls), within_s=1)
        assert await _leave(stage, client, closed=True) is None

    play(course, script=[Behaviour.SILENT])


def test_a_client_that_leaves_before_its_job_was_taken_pays_nothing() -> None:
    async def course(stage: Stage) -> None:
        await stage.answered(stage.send(), within_s=3)
        stage.edge.settled.clear()
        client = stage.send()
        while not len(stage.edge.board):
            await stage.clock.sleep(LATENCY_S / 10)  # published now, and not yet with the dispatcher
        client.leave()
        await stage.until(lambda: bool(stage.edge.settled), within_s=0.1)
        [[settled]] = stage.edge.settled.values()
        assert settled == (None, False)
        assert len(stage.provider.calls) == 1

    play(course, script=[Behaviour.GOOD])


def test_a_plain_answer_on_its_way_to_a_client_that_left_is_paid_as_reported() -> None:
    async def course(stage: Stage) -> None:
        client = stage.send(stream=False)
        await stage.until(lambda: bool(stage.provider.calls), within_s=1)
        usage = await _leave(stage, client, closed=False)
        assert usage is not None
        assert (usage.outcome, usage.source) == ("", UsageSource.REPORTED)
        assert usage.units.input == stage.provider.calls[0].number

    play(course, script=[Behaviour.GOOD])


def test_a_plain_answer_that_does_not_come_in_time_is_paid_as_far_as_it_came() -> None:
    async def course(stage: Stage) -> None:
        client = stage.send(stream=False)
        await stage.until(lambda: bool(stage.provider.calls), within_s=1)
        usage = await _leave(stage, client, closed=True)
        assert usage is not None
        assert (usage.outcome, usage.source) == ("client_gone", UsageSource.COUNTED)
        assert usage.units.output > stage.provider.calls[0].output_tokens

    play(course, script=[Behaviour.LARGE])


def test_a_whole_answer_that_waited_for_its_reader_is_paid_when_he_leaves() -> None:
    async def course(stage: Stage) -> None:
        client = stage.send(stream=False, bytes_per_s=1)
        await stage.until(lambda: bool(stage.provider.calls) and stage.provider.calls[0].whole, within_s=3)
        usage = await _leave(stage, client, closed=False)
        assert usage is not None
        assert usage.source is UsageSource.REPORTED

    play(course, script=[Behaviour.LARGE])


def test_what_a_client_that_left_used_is_lost_with_its_dispatcher() -> None:
    async def course(stage: Stage) -> None:
        client = stage.send()
        await stage.until(lambda: bool(client.wire), within_s=9)
        await stage.dispatchers[0].die()
        client.leave()
        await stage.until(lambda: bool(stage.edge.settled), within_s=5)
        [[settled]] = stage.edge.settled.values()
        assert settled == (None, True)

    play(course, dispatchers=1, script=[Behaviour.SLOW])


@pytest.mark.parametrize("edge_dies", [False, True])
def test_a_stream_whose_dispatcher_dies_is_paid_by_its_last_checkpoint(edge_dies: bool) -> None:
    async def course(stage: Stage) -> None:
        stream = CheckpointStream()
        await stream.start(stage.broker)
        client = stage.send()
        await stage.until(lambda: client.wire.count(b"content") > 3, within_s=15)
        got = client.wire.count(b"content")
        await stage.clock.sleep(limits.CHECKPOINT_INTERVAL_S + 0.1)
        await stage.dispatchers[0].die()
        if edge_dies:
            await stage.edge.die()
            stage.edge.board._entries.clear()
        await stage.until(lambda: client.done, within_s=5)
        await stage.clock.sleep(2)
        ledger = Ledger(stage.broker.stored)
        assert client.job not in ledger.charges
        assert stream.events({"dispatcher-1"}) == []
        ledger.settle_orphans(stream.events({"dispatcher-0"}))
        charge = ledger.charges[client.job]
        assert (charge.outcome, charge.source) == ("gateway_dispatcher_lost", UsageSource.COUNTED)
        assert got <= charge.units.output

    play(course, dispatchers=1, script=[Behaviour.SLOW])


def test_an_answer_that_has_ended_is_in_no_checkpoint() -> None:
    async def course(stage: Stage) -> None:
        stream = CheckpointStream()
        await stream.start(stage.broker)
        client = stage.send()
        await stage.until(lambda: bool(stream.events({"dispatcher-0"})), within_s=15)
        await stage.answered(client, within_s=30)
        await stage.clock.sleep(limits.CHECKPOINT_INTERVAL_S + 0.1)
        assert stream.events({"dispatcher-0"}) == []

    play(course, dispatchers=1, script=[Behaviour.SLOW])


_STOPPING = Fault(ErrorType.GATEWAY_SHUTTING_DOWN, "The worker of this request is restarting. Please retry.")


def _stop_calls(stage: Stage) -> None:
    """What a stopping dispatcher does with the jobs that its grace time did not suffice for."""
    for dispatcher in stage.dispatchers:
        if len(dispatcher.table):
            dispatcher.table.draining = True
            for entry in dispatcher.table.entries():
                entry.give_back(_STOPPING)


def test_a_dispatcher_that_stops_gives_back_what_has_not_begun() -> None:
    async def course(stage: Stage) -> None:
        client = stage.send()
        await stage.until(lambda: bool(stage.provider.calls), within_s=1)
        _stop_calls(stage)
        assert await stage.answered(client, within_s=1) is stage.provider.calls[1]
        assert stage.provider.calls[0].closed

    play(course, script=[Behaviour.SILENT, Behaviour.GOOD])


def test_a_dispatcher_that_stops_tells_what_was_used_of_what_has_begun() -> None:
    async def course(stage: Stage) -> None:
        client = stage.send()
        await stage.until(lambda: client.wire.count(b"content") > 1, within_s=9)
        _stop_calls(stage)
        await stage.until(lambda: client.done, within_s=1)
        assert client.outcome() is Outcome.IN_BAND
        assert b"is restarting" in client.wire
        [[settled]] = stage.edge.settled.values()
        await stage.clock.sleep(1)
        assert settled.usage == Ledger(stage.broker.stored).charges[client.job]

    play(course, script=[Behaviour.SLOW])


def test_a_last_word_that_is_lost_is_not_waited_for_forever() -> None:
    async def course(stage: Stage) -> None:
        client = stage.send()
        await stage.until(lambda: bool(client.wire), within_s=9)
        stage.lose(Kind.FAIL)
        client.leave()
        await stage.until(lambda: bool(stage.edge.settled), within_s=limits.SETTLE_WAIT_S + 1)
        [[settled]] = stage.edge.settled.values()
        assert settled == (None, True)
        assert client.job in Ledger(stage.broker.stored).charges

    play(course, dispatchers=1, script=[Behaviour.SLOW])


def test_a_dispatcher_that_dies_before_the_first_byte_is_replaced() -> None:
    async def course(stage: Stage) -> None:
        client = stage.send()
        await stage.until(lambda: len(stage.provider.calls) == 1, within_s=1)
        await stage.clock.sleep(1)
        holder = next(each for each in stage.dispatchers if len(each.table))
        await holder.die()
        await stage.answered(client, within_s=5)

    play(course, script=[Behaviour.SILENT, Behaviour.GOOD])


async def filled(stage: Stage) -> list[Client]:
    """Fill all dispatchers: one that is full sends jobs on."""
    held = [stage.send() for _ in range(2 * DISPATCHER_JOBS_MAX)]
    await stage.clock.sleep(1)
    assert [len(dispatcher.table) for dispatcher in stage.dispatchers] == [DISPATCHER_JOBS_MAX] * 2
    return held


def test_with_all_dispatchers_full_a_job_waits_and_then_its_client_is_told() -> None:
    async def course(stage: Stage) -> None:
        held = await filled(stage)
        refused = stage.send()
        await stage.clock.sleep(ADMISSION_WAIT_S - 0.05)
        assert (refused.done, stage.edge.board.lanes_waiting) == (False, ("default",))
        await stage.until(lambda: refused.done, within_s=0.2)
        assert refused.outcome() is Outcome.ERROR
        assert b"HTTP/1.1 429" in refused.wire
        assert b"retry-after: 2" in refused.wire
        assert stage.edge.board.lanes_waiting == ()
        for client in held:
            client.leave()
        await stage.clock.sleep(1)
        stage.provider.script = [Behaviour.GOOD]
        await stage.answered(stage.send(), within_s=3)

    play(course, script=[Behaviour.SILENT] * (2 * DISPATCHER_JOBS_MAX))


def test_a_job_that_waits_gets_the_room_that_another_one_leaves() -> None:
    async def course(stage: Stage) -> None:
        held = await filled(stage)
        stage.provider.script = [Behaviour.GOOD] * 3
        waiting = [stage.send() for _ in range(3)]
        await stage.clock.sleep(0.5)
        assert not any(client.done for client in waiting)
        waiting[1].leave()
        held[0].leave()
        await stage.answered(waiting[0], within_s=0.5)
        await stage.answered(waiting[2], within_s=0.5)
        for client in held:
            client.leave()
        await stage.clock.sleep(1)

    play(course, script=[Behaviour.SILENT] * (2 * DISPATCHER_JOBS_MAX))


def test_jobs_that_wait_outlive_their_dispatcher_and_find_the_next_one() -> None:
    async def course(stage: Stage) -> None:
        held = [stage.send() for _ in range(DISPATCHER_JOBS_MAX)]
        await stage.clock.sleep(1)
        stage.provider.script = [Behaviour.GOOD] * 2
        waiting = [stage.send(), stage.send()]
        await stage.clock.sleep(0.1)
        await stage.dispatchers[0].die()
        for client in held:
            client.leave()
        successor = SimulatedDispatcher(stage.broker, "successor", stage.clock, 9, stage.provider)
        stage.dispatchers.append(successor)
        await successor.start()
        for client in waiting:
            await stage.answered(client, within_s=1.2)  # a beat of the edge

    play(course, dispatchers=1, script=[Behaviour.SILENT] * DISPATCHER_JOBS_MAX)


def test_a_word_of_room_that_is_lost_is_said_again() -> None:
    async def course(stage: Stage) -> None:
        held = await filled(stage)
        stage.provider.script = [Behaviour.GOOD]
        waiting = stage.send()
        await stage.clock.sleep(0.1)
        stage.lose_room = True
        held[0].leave()
        await stage.clock.sleep(0.5)
        assert not stage.lose_room
        await stage.answered(waiting, within_s=1.0)
        for client in held:
            client.leave()
        await stage.clock.sleep(1)

    play(course, script=[Behaviour.SILENT] * (2 * DISPATCHER_JOBS_MAX))


def test_without_dispatchers_the_client_is_told_at_once() -> None:
    async def course(stage: Stage) -> None:
        client = stage.send()
        await stage.until(lambda: client.done, within_s=0.5)
        assert client.outcome() is Outcome.ERROR
        assert b"HTTP/1.1 503" in client.wire

    play(course, dispatchers=0)


def test_an_edge_that_dies_takes_its_upstream_calls_along() -> None:
    async def course(stage: Stage) -> None:
        stage.send()
        await stage.until(lambda: len(stage.provider.calls) == 1, within_s=1)
        await stage.edge.die()
        await stage.until(lambda: stage.provider.calls[0].closed, within_s=5)
        stage.edge.board._entries.clear()

    play(course, script=[Behaviour.SILENT])


def test_a_dead_dispatcher_that_still_counts_as_living_is_asked_once() -> None:
    """The one that the job comes to is full, and of the others the dead one seems to have the most room."""

    async def course(stage: Stage) -> None:
        await stage.clock.sleep(1)
        full, _, dead = stage.dispatchers
        full.table.draining = True
        await dead.die()
        assert dead.name in stage.edge.fleet
        await stage.answered(stage.send(), within_s=0.5)

    play(course, dispatchers=3, script=[Behaviour.GOOD])


def test_a_defect_while_a_call_is_made_ready_leaves_no_seat_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_leg: object) -> None:
        raise RuntimeError("a defect")

    async def course(stage: Stage) -> None:
        client = stage.send()
        await stage.until(lambda: client.done, within_s=20)
        assert client.outcome() is Outcome.ERROR
        assert stage.dispatchers[0].left_over()["seats"] == 0

    monkeypatch.setattr(job_runner, "open_passage", broken)
    play(course, dispatchers=1)
