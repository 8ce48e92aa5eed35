"""Jobs and the leases of their edges, on the bus of fast tests: waits, refusals, draws, recalls and the grace."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.edge import account_leases, allowances
from services.edge.account_leases import POLL_S
from tests.support.allowance_world import need
from tests.support.edge_leases import ACCOUNT, CONCURRENCY, GRACE, Job, Rig, running_rig
from trunkline.bus.allowance import WALLET, Meter, MeterKind, Period
from trunkline.core import limits
from trunkline.core.errors import ErrorType


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running_rig() as rig:
        yield rig


# --- jobs ----------------------------------------------------------------------------------------------------


async def test_the_first_job_waits_for_a_draw_and_the_next_ones_do_not(rig: Rig) -> None:
    rig.account()
    edge = await rig.edge()
    first = await rig.begin(edge, need(100))
    assert (first.waited, first.hold.need.amounts[0], len(rig.metering.draws)) == (True, 100, 1)
    first.end(60)
    second = await rig.begin(edge, need(40))
    assert (second.waited, second.hold.lease, edge.holds) == (False, first.hold.lease, 1)
    second.end()
    assert edge.holds == 0


async def test_a_busy_lease_is_renewed_before_a_job_would_have_to_wait(rig: Rig) -> None:
    rig.account()
    edge = await rig.edge()
    (await rig.begin(edge, need(10))).end(10)
    for _ in range(100):
        await rig.clock.advance(0.1)
        job = await rig.begin(edge, need(10))
        job.end(10)
    assert not job.waited
    assert len(rig.metering.draws) < 40


async def test_jobs_are_served_in_their_order(rig: Rig) -> None:
    account = rig.account(250)
    edge = await rig.edge()
    running = [await rig.begin(edge, need(100)) for _ in range(2)]
    waiting = [await rig.begin(edge, need(100)) for _ in range(3)]
    assert [job.held for job in waiting] == [None] * 3
    running[0].end(100)
    await rig.turns()
    assert [job.held for job in waiting] == [None] * 3, "what is left would not be enough"
    running[1].end(0)
    await rig.turns()
    assert [job.held is not None for job in waiting] == [True, False, False]
    assert account.balance == 150


async def test_nobody_overtakes_those_who_wait(rig: Rig) -> None:
    rig.account(150)
    edge = await rig.edge()
    running = await rig.begin(edge, need(100))
    waiting = await rig.begin(edge, need(100))
    later = await rig.begin(edge, need(1))
    assert (waiting.held, later.waited) == (None, True)
    await rig.clock.advance(POLL_S * 2)  # fifty are left, and the smaller one goes when it has been asked for
    await rig.turns()
    assert (waiting.held is None, later.held is not None) == (True, True)
    running.end(0)
    await rig.turns()
    assert waiting.held is not None


async def test_who_waits_for_what_jobs_hold_is_refused_in_the_end(rig: Rig) -> None:
    rig.account(100)
    edge = await rig.edge()
    await rig.begin(edge, need(100))
    job = await rig.begin(edge, need(50))
    await rig.pass_time(limits.HOLD_WAIT_S - 0.1)
    assert (job.held, job.why) == (None, "")
    await rig.pass_time(0.5)
    assert job.why == "credit_held"
    assert job.refused is not None
    assert job.refused.meter == Meter(WALLET, MeterKind.MONEY, Period.NONE, 0)


async def test_who_waits_does_not_ask_without_end(rig: Rig) -> None:
    rig.account(1_000)
    first, second = await rig.edge(), await rig.edge()
    await rig.begin(first, need(1_000))
    jobs = [await rig.begin(second, need(50)) for _ in range(200)]
    rig.metering.draws.clear()
    await rig.pass_time(limits.HOLD_WAIT_S + 0.5)
    assert {job.why for job in jobs} == {"credit_held"}
    # One edge polls, and the other one is recalled four times a second; not each for each poll.
    assert len(rig.metering.draws) < limits.HOLD_WAIT_S * (1 / POLL_S + 1000 / limits.RECALL_AGE_MS) + 10


async def test_where_there_is_nothing_one_is_refused_at_once_and_metering_is_not_asked_each_time(rig: Rig) -> None:
    rig.account(10)
    edge = await rig.edge()
    assert (await rig.begin(edge, need(100))).why == ErrorType.POLICY_NO_CREDIT
    for _ in range(50):
        job = await rig.begin(edge, need(100))
        assert (job.waited, job.why) == (False, ErrorType.POLICY_NO_CREDIT)
    assert len(rig.metering.draws) == 1
    assert (await rig.begin(edge, need(10))).held, "that much is left"


async def test_credit_that_was_added_is_found_within_a_second(rig: Rig) -> None:
    account = rig.account(0)
    edge = await rig.edge()
    assert (await rig.begin(edge, need(100))).why == ErrorType.POLICY_NO_CREDIT
    account.balance = 1_000
    await rig.clock.advance(limits.LEASE_MS / 1000)
    assert (await rig.begin(edge, need(100))).held


async def test_one_who_came_while_others_were_refused_is_asked_for(rig: Rig) -> None:
    rig.account(100)
    edge = await rig.edge()
    large = Job(rig, edge, need(1_000), ACCOUNT)
    await rig.turn(2)
    small = Job(rig, edge, need(60), ACCOUNT)
    await rig.turns()
    await rig.clock.advance(POLL_S)
    await rig.turns()
    assert (large.why, small.held is not None) == (ErrorType.POLICY_NO_CREDIT, True)


async def test_too_many_do_not_wait(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HOLDS_WAITING_MAX", 3)
    rig.account(100)
    edge = await rig.edge()
    await rig.begin(edge, need(100))
    jobs = [await rig.begin(edge, need(50)) for _ in range(5)]
    assert [job.why for job in jobs] == ["", "", "", "rate_limit", "rate_limit"]


async def test_small_jobs_behind_many_large_ones_are_looked_at_up_to_a_bound(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_leases, "MISSES_MAX", 2)
    rig.account(140)
    edge = await rig.edge()
    running = await rig.begin(edge, need(100))
    large = [await rig.begin(edge, need(120)) for _ in range(2)]
    small = await rig.begin(edge, need(30))
    await rig.clock.advance(POLL_S * 2)
    await rig.turns()
    assert small.held is None
    running.end(90)
    await rig.clock.advance(limits.HOLD_WAIT_S)
    await rig.turns()
    # Once those before it were refused, it is its turn.
    assert ([job.why for job in large], small.held is not None) == ([ErrorType.POLICY_NO_CREDIT] * 2, True)


async def test_a_request_that_was_cancelled_holds_nothing(rig: Rig) -> None:
    rig.account(100)
    edge = await rig.edge()
    running = await rig.begin(edge, need(100))
    cancelled = rig.tasks.spawn(edge.wait(ACCOUNT, need(100)), name="job")
    await rig.turns()
    cancelled.cancel()
    await rig.turns()
    running.end(0)
    await rig.turns()
    assert edge.holds == 0
    assert (await rig.begin(edge, need(100))).held


async def test_an_account_that_metering_does_not_know_is_refused_each_time(rig: Rig) -> None:
    edge = await rig.edge()
    for wanted in (need(100), need(100), need(0), need(0)):
        assert (await rig.begin(edge, wanted)).why == ErrorType.POLICY_NO_CREDIT
    assert len(rig.metering.draws) == 1
    rig.account()
    await rig.clock.advance(1.0)
    assert (await rig.begin(edge, need(100))).held


async def test_the_first_job_of_another_key_is_named_in_the_draw_of_those_who_wait(rig: Rig) -> None:
    rig.account(100, Meter("key:2:daily", MeterKind.MONEY, Period.DAY, 30, key=2))
    edge = await rig.edge()
    await rig.begin(edge, need(60))
    await rig.begin(edge, need(60))
    job = await rig.begin(edge, need(40, key=2))
    await rig.clock.advance(POLL_S)
    await rig.turns()
    assert rig.metering.draws[-1].keys == (2,)
    assert job.why == ErrorType.POLICY_BUDGET_SPENT


# --- several edges -------------------------------------------------------------------------------------------


async def test_what_one_edge_has_idle_goes_to_another_one_that_needs_it(rig: Rig) -> None:
    rig.account(1_000, CONCURRENCY)
    first, second = await rig.edge(), await rig.edge()
    jobs = [await rig.begin(first, need(200)) for _ in range(4)]
    for job in jobs[:3]:
        job.end(100)
    job = await rig.begin(second, need(500))
    await rig.clock.advance(POLL_S)
    await rig.turns()
    assert job.held
    assert sum(drawn["tier:concurrency"] for drawn in rig.leases().values()) <= 4


async def test_a_recall_that_comes_during_a_draw_is_answered_after_it(rig: Rig) -> None:
    rig.account()
    edge = await rig.edge()
    (await rig.begin(edge, need(100))).end(0)
    await rig.clock.advance(0.6)
    rig.metering.draws.clear()
    (await rig.begin(edge, need(10))).end(0)
    assert rig.metering.draws[-1].slices[0].idle > 0
    await rig.clock.advance(0.6)
    (job := Job(rig, edge, need(10), ACCOUNT)).end(0)
    rig.metering.recall("edge-1", ACCOUNT)
    await rig.turns()
    assert not job.waited
    assert [draw.slices for draw in rig.metering.draws[-1:]] == [()], "it has spent nothing and keeps nothing"


async def test_while_money_is_scarce_it_is_returned_as_soon_as_a_job_ends(rig: Rig) -> None:
    rig.account(1_000)
    first, second = await rig.edge(), await rig.edge()
    running = await rig.begin(first, need(600))
    waiting = await rig.begin(second, need(900))
    await rig.clock.advance(POLL_S)
    await rig.turns()
    running.end(50)
    await rig.clock.advance(2 * POLL_S)
    await rig.turns()
    assert waiting.held


# --- metering away -------------------------------------------------------------------------------------------


async def test_an_edge_goes_on_within_the_grace_and_no_further(rig: Rig) -> None:
    account = rig.account(10**6)
    edge = await rig.edge()
    (await rig.begin(edge, need(100))).end(100)
    await rig.metering.close()
    await rig.clock.advance(2.0)
    jobs = [await rig.begin(edge, need(500)) for _ in range(3)]
    assert [job.held is not None for job in jobs] == [True, True, False]
    await rig.pass_time(limits.HOLD_WAIT_S + 0.5)
    assert jobs[2].why == ErrorType.GATEWAY_NOT_READY, "the account has it; only metering could grant it"
    assert rig.counted("allowance_grace") > 0
    await rig.pass_time(GRACE.seconds)
    assert (await rig.begin(edge, need(1))).why == ErrorType.GATEWAY_NOT_READY
    await rig.metering.open()
    job = await rig.begin(edge, need(500))
    assert job.held
    # Of a wish, one more at most.
    assert account.state.leases[job.hold.lease].drawn[WALLET] - (100 + 1_500) in {0, 1}


async def test_an_account_that_has_too_little_left_is_told_so_without_metering_too(rig: Rig) -> None:
    rig.account(1_000)
    edge = await rig.edge()
    (await rig.begin(edge, need(100))).end(100)
    await rig.metering.close()
    await rig.clock.advance(2.0)
    job = await rig.begin(edge, need(5_000))
    await rig.pass_time(limits.HOLD_WAIT_S + 0.5)
    assert job.why == ErrorType.POLICY_NO_CREDIT


async def test_what_a_grace_brought_and_nobody_spent_is_there_again(rig: Rig) -> None:
    rig.account(10**6)
    edge = await rig.edge()
    (await rig.begin(edge, need(100))).end(100)
    await rig.metering.close()
    for _ in range(15):
        # A pause, in which the account gives back what it has idle.
        await rig.pass_time(limits.LEASE_REST_S + 1.0, edge)
        job = await rig.begin(edge, need(500))
        assert job.held
        job.end(30, charge=False)
    await rig.pass_time(limits.LEASE_REST_S + 1.0, edge)
    jobs = [await rig.begin(edge, need(500)) for _ in range(2)]
    # Of the thousand, 450 were spent.
    assert [job.held is not None for job in jobs] == [True, False]


async def test_an_edge_that_never_heard_metering_serves_within_the_grace(rig: Rig) -> None:
    await rig.metering.close()
    edge = await rig.edge()
    assert (await rig.begin(edge, need(900))).held
    assert not (await rig.begin(edge, need(900))).held


async def test_an_account_that_metering_leaves_out_waits_and_gets_no_grace(rig: Rig) -> None:
    rig.account()
    rig.metering.leaves_out.add(ACCOUNT)
    edge = await rig.edge()
    job, other = await rig.begin(edge, need(100)), await rig.begin(edge, need(100))
    await rig.clock.advance(POLL_S)
    assert (job.held, other.held) == (None, None)
    rig.metering.leaves_out.clear()
    await rig.clock.advance(2 * POLL_S)
    await rig.turns()
    assert job.held
    assert other.held
    assert rig.counted("allowance_grace") == 0


async def test_nobody_waits_for_ever_for_an_account_that_is_left_out(rig: Rig) -> None:
    rig.metering.leaves_out.add(ACCOUNT)
    edge = await rig.edge()
    job = await rig.begin(edge, need(100))
    await rig.pass_time(limits.HOLD_WAIT_S + 0.5)
    assert job.why == ErrorType.GATEWAY_NOT_READY


async def test_an_answer_that_cannot_be_read_is_none(rig: Rig) -> None:
    rig.account()
    rig.metering.garbles = True
    edge = await rig.edge()
    assert (await rig.begin(edge, need(100))).held, "within the grace"
    assert rig.counted("allowance_draws", result="unanswered") == 1
    rig.metering.garbles = False
    await rig.clock.advance(3.0)
    assert (await rig.begin(edge, need(100_000))).held


async def test_an_answer_that_is_lost_is_made_good(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowances, "DRAW_TIMEOUT_S", 0.01)
    account = rig.account(10_000)
    edge = await rig.edge()
    (await rig.begin(edge, need(100))).end(0)
    rig.broker.faults = lambda delivery: () if delivery.sender == "metering-1" else (0.0,)
    await rig.clock.advance(2.0)
    waiting = Job(rig, edge, need(2_000), ACCOUNT)
    async with asyncio.timeout(5):
        while not rig.counted("allowance_draws", result="unanswered"):
            await rig.turns()
    rig.broker.faults = None
    await rig.clock.advance(POLL_S)
    await rig.turns()
    assert waiting.held
    assert account.state.leases[waiting.hold.lease].drawn == {WALLET: 2_000}
