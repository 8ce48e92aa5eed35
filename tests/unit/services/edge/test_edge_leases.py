"""How leases of an edge come and go, on the bus of fast tests: at rest, given up, lost, at the edge's end."""

from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from services.edge import allowances
from services.edge.allowances import Allowances
from services.edge.metrics import EdgeMetrics
from tests.support.allowance_world import need
from tests.support.edge_leases import ACCOUNT, CONCURRENCY, GRACE, Job, Rig, running_rig
from tests.support.memory_metering import MemoryAccount
from trunkline.bus.allowance import WALLET, Meter, MeterKind, Period
from trunkline.core import limits


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running_rig() as rig:
        yield rig


async def test_an_account_at_rest_returns_what_is_idle_and_then_its_lease(rig: Rig) -> None:
    account = rig.account(10**6, Meter("tier:rpm", MeterKind.REQUESTS, Period.MINUTE, 100), CONCURRENCY)
    edge = await rig.edge()
    for _ in range(20):
        (await rig.begin(edge, need(100))).end(10)
        await rig.clock.advance(0.05)
    await rig.pass_time(1.0, edge)
    (drawn,) = rig.leases().values()
    assert drawn[WALLET] > 200
    await rig.pass_time(limits.LEASE_REST_S, edge)
    assert [*rig.leases().values()] == [{WALLET: 200, CONCURRENCY.id: 0}]
    assert sum(account.state.windows["tier:rpm"].values()) == 20
    rig.metering.draws.clear()
    await rig.pass_time(limits.LEASE_IDLE_S, edge)
    assert (len(edge), rig.leases()) == (0, {})
    assert len(rig.metering.draws) <= 4


async def test_a_lease_with_a_job_stays_however_long_that_takes(rig: Rig) -> None:
    rig.account(1_000)
    edge = await rig.edge()
    job = await rig.begin(edge, need(600))
    rig.metering.draws.clear()
    await rig.pass_time(4 * limits.LEASE_IDLE_S, edge)
    assert [*rig.leases().values()] == [{WALLET: 600}]
    assert len(rig.metering.draws) <= 4 * 3 + 2
    job.end(500)
    await rig.pass_time(limits.LEASE_IDLE_S + 1, edge)
    assert (len(edge), rig.leases()) == (0, {})


async def test_a_job_that_comes_while_its_lease_is_given_back_gets_a_new_one(rig: Rig) -> None:
    """Also one that costs nothing, which a lease without money would cover."""
    rig.account(1_000)
    edge = await rig.edge()
    first = await rig.begin(edge, need(0))
    first.end(0)
    await rig.clock.advance(limits.LEASE_IDLE_S + 1)
    edge.sweep()
    await rig.turn(1)  # the draw is on its way
    job = Job(rig, edge, need(0), ACCOUNT)
    await rig.turns()
    assert rig.metering.draws[1].closing
    assert job.hold.lease != first.hold.lease
    assert list(rig.leases()) == [job.hold.lease]
    job.end(0)


async def test_an_old_lease_is_given_up_for_a_new_one_and_ends_with_its_last_job(rig: Rig) -> None:
    account = rig.account(10_000)
    edge = await rig.edge()
    long = await rig.begin(edge, need(3_000))
    while rig.clock.now() < 1_000 + limits.LEASE_AGE_MAX_S + 1:
        await rig.pass_time(5.0, edge)
        (await rig.begin(edge, need(100))).end(10)
    job = await rig.begin(edge, need(100))
    assert job.hold.lease != long.hold.lease
    assert account.state.leases[long.hold.lease].drawn[WALLET] >= 3_000
    long.end(2_500)
    job.end(10)
    await rig.pass_time(3.0, edge)
    assert rig.leases() == {job.hold.lease: {WALLET: 20}}
    assert (edge.holds, len(edge)) == (0, 1)


async def test_what_edge_and_ledger_disagree_on_is_free_again_with_the_next_lease(rig: Rig) -> None:
    rig.account(10_000)
    edge = await rig.edge()
    job = await rig.begin(edge, need(4_000))
    job.end(4_000, charge=False)  # its report could not be booked
    other = await rig.edge()
    assert not (await rig.begin(other, need(9_000))).held
    await rig.pass_time(limits.LEASE_AGE_MAX_S, edge, other)
    rig.metering.end_closed(ACCOUNT)
    assert (await rig.begin(other, need(9_000))).held


async def test_all_that_was_held_for_a_job_of_which_nothing_is_known_counts_as_spent_until_its_lease_ends(
    rig: Rig,
) -> None:
    account = rig.account(1_000)
    edge = await rig.edge()
    lost, other = await rig.begin(edge, need(400)), await rig.begin(edge, need(100))
    edge.settle_lost(ACCOUNT, lost.hold)
    job = await rig.begin(edge, need(500))
    assert job.hold.lease != lost.hold.lease
    account.charge(lost.hold, 150)
    other.end(60)
    await rig.pass_time(3.0, edge)
    assert account.state.leases[lost.hold.lease].closing
    assert account.state.leases[lost.hold.lease].drawn == {WALLET: 400 + 60}
    assert edge.holds == 1
    assert (await rig.begin(edge, need(40))).held, "of the other job that much is left"
    rig.metering.end_closed(ACCOUNT)
    await rig.clock.advance(1.0)
    assert (await rig.begin(edge, need(250))).held
    assert not (await rig.begin(edge, need(1))).held


async def test_many_lost_jobs_never_let_an_account_spend_more_than_it_has(rig: Rig) -> None:
    """What they came to is booked without the edge hearing of it, while known jobs are booked late."""
    account = rig.account(2_000)
    edge = await rig.edge()
    begun: list[Job] = []
    late: list[Job] = []
    ended = 0
    for _ in range(60):
        begun.append(await rig.begin(edge, need(100)))
        for job in [job for job in begun if job.held is not None]:
            begun.remove(job)
            ended += 1
            if ended % 3 == 0:
                edge.settle_lost(ACCOUNT, job.hold)
                account.charge(job.hold, 40)
            else:
                job.end(100, charge=False)
                late.append(job)
        if len(late) > 4:
            account.charge(late.pop(0).hold, 100)
        assert account.balance - 100 * len(late) >= 0
        await rig.pass_time(1.0, edge)
    for job in late:
        account.charge(job.hold, 100)
    rig.metering.end_closed(ACCOUNT)
    await rig.pass_time(limits.HOLD_WAIT_S + 1, edge)
    left = account.balance - sum(100 for job in begun if job.held is not None)
    assert left > 0
    assert (await rig.begin(edge, need(left))).held, "nothing stays locked"


async def test_an_edge_that_was_taken_for_dead_opens_a_new_lease(rig: Rig) -> None:
    account = rig.account(1_000)
    edge = await rig.edge()
    before = await rig.begin(edge, need(300))
    account.state.leases.clear()
    await rig.clock.advance(1.0)
    job = await rig.begin(edge, need(100))
    assert job.hold.lease != before.hold.lease
    assert rig.leases() == {job.hold.lease: {WALLET: 100}}
    before.end(300)
    job.end(50)
    assert edge.holds == 0
    account.state.leases.clear()
    await rig.pass_time(3.0, edge)
    assert len(edge) == 0, "nothing is held, and nobody waits"


async def test_a_stopping_edge_gives_back_what_no_job_holds(rig: Rig) -> None:
    account = rig.account(1_000)
    rig.metering.accounts[8] = MemoryAccount(1_000)
    edge = await rig.edge()
    (await rig.begin(edge, need(300))).end(120)
    await rig.begin(edge, need(300), account=8)
    closing = rig.tasks.spawn(edge.close(), name="close")
    await rig.clock.advance(0.1)
    assert closing.done()
    assert account.state.leases == {}
    assert [lease.closing for lease in rig.metering.accounts[8].state.leases.values()] == [False]
    assert len(edge) == 1


async def test_a_stopping_edge_does_not_wait_for_metering_without_end(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowances, "DRAWS_MAX", 1)
    monkeypatch.setattr(allowances, "DRAW_TIMEOUT_S", 3600)
    edge = await rig.edge()
    for number in range(3):
        rig.metering.accounts[number] = MemoryAccount()
        (await rig.begin(edge, need(1), account=number)).end(1)
    rig.broker.faults = lambda _: ()
    closing = rig.tasks.spawn(edge.close(), name="close")
    await rig.clock.advance(allowances.CLOSE_WAIT_S + 0.1)
    assert closing.done()


async def test_many_accounts_share_messages_up_to_a_bound(rig: Rig) -> None:
    edge = await rig.edge()
    for number in range(allowances.DRAWS_MAX + 20):
        rig.metering.accounts[number] = MemoryAccount()
    jobs = [Job(rig, edge, need(1), number) for number in range(allowances.DRAWS_MAX + 20)]
    await rig.turns()
    await rig.turns()
    assert all(job.held for job in jobs)
    assert rig.counted("allowance_draws", result="granted") <= 3


async def test_numbers_of_leases_fit_the_database_and_are_never_the_same(rig: Rig) -> None:
    numbers = set()
    for entropy in (0, 1, 2**64 - 1):
        bus = rig.broker.connect(f"edge-{entropy}")
        metrics = EdgeMetrics(CollectorRegistry())
        edge = Allowances(bus, "e", entropy, GRACE, clock=rig.clock, tasks=rig.tasks, metrics=metrics)
        rig.account()
        for account in (ACCOUNT, 8):
            rig.metering.accounts[account] = MemoryAccount()
            numbers.add((await rig.begin(edge, need(1), account=account)).hold.lease)
    assert len(numbers) == 6
    assert min(numbers) > 0
    assert max(numbers) < 2**63


async def test_after_a_change_of_terms_a_busy_key_is_asked_about_while_it_goes_on(rig: Rig) -> None:
    account, edge = rig.account(), await rig.edge()
    for key in (1, 2):
        (await rig.begin(edge, need(10, key=key))).end(10)
    account.meters = [Meter("key:2:concurrency", MeterKind.CONCURRENCY, Period.NONE, 0, key=2)]
    account.terms = 1
    await rig.pass_time(0.6)
    await rig.begin(edge, need(10))  # its lease is renewed, and told of other terms
    job = await rig.begin(edge, need(10, key=2))
    assert not job.waited
    assert job.held is not None
    assert rig.metering.draws[-1].keys == (2,)
    job.end(10)
    assert not (await rig.begin(edge, need(10, key=2))).held, "its limit is none at a time"
