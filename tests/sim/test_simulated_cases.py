"""Single mishaps on the simulated gateway, each with the one end that it must come to."""

import pytest

from services.dispatcher import job_runner
from tests.sim.sim_books import Ledger
from tests.sim.sim_checkpoints import CheckpointStream
from tests.sim.sim_clients import Client, Outcome
from tests.sim.sim_processes import ADMISSION_WAIT_S, DISPATCHER_JOBS_MAX, SimulatedDispatcher
from tests.sim.sim_stage import LATENCY_S, Stage, play
from tests.sim.sim_upstream import Behaviour
from trunkline.bus.frames import Kind
from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault
from trunkline.core.usage import UsageSource


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
