"""Clients that leave the simulated gateway: what becomes of their calls, and what they pay."""

from tests.sim.sim_books import Ledger
from tests.sim.sim_clients import Client, Outcome
from tests.sim.sim_processes import DEADLINE_S
from tests.sim.sim_stage import LATENCY_S, Stage, play
from tests.sim.sim_upstream import Behaviour
from trunkline.bus.frames import Kind
from trunkline.bus.messages import UsageEvent
from trunkline.core import limits
from trunkline.core.usage import UsageSource


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
