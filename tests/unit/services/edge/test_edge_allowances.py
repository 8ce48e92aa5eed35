"""Leases of an edge on the bus of fast tests: jobs that wait, draws, recalls, the grace, and how leases come and go."""

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest
from prometheus_client import CollectorRegistry

from services.edge import account_leases, allowances
from services.edge.account_leases import POLL_S, HoldRefusedError
from services.edge.allowances import Allowances, Grace
from services.edge.metrics import EdgeMetrics
from tests.support.allowance_world import need
from tests.support.manual_clock import ManualClock
from tests.support.memory_metering import MemoryAccount, MemoryMetering
from trunkline.bus.allowance import WALLET, Meter, MeterKind, Period
from trunkline.core import limits
from trunkline.core.errors import ErrorType
from trunkline.policy.lease import Hold, JobNeed
from trunkline.runtime.memory_bus import MemoryBroker
from trunkline.runtime.tasks import TaskSet

ACCOUNT = 7
GRACE = Grace(60.0, 1_000)
CONCURRENCY = Meter("tier:concurrency", MeterKind.CONCURRENCY, Period.NONE, 4)


class Rig:
    """Edges and metering on one bus, with a clock that stands still."""

    def __init__(self) -> None:
        self.failures: list[BaseException] = []
        self.tasks = TaskSet(self.failures.append)
        self.clock = ManualClock()
        self.broker = MemoryBroker()
        self.metering = MemoryMetering(self.broker, self.clock)
        self.registry = CollectorRegistry()
        self._metrics = EdgeMetrics(self.registry)
        self._edges = 0

    async def edge(self) -> Allowances:
        self._edges += 1
        name = f"edge-{self._edges}"
        bus = self.broker.connect(name)
        edge = Allowances(bus, name, self._edges, GRACE, clock=self.clock, tasks=self.tasks, metrics=self._metrics)
        await edge.start()
        return edge

    def account(self, balance: int = 10**12, *meters: Meter) -> MemoryAccount:
        account = self.metering.accounts[ACCOUNT] = MemoryAccount(balance, meters)
        return account

    async def turn(self, count: int) -> None:
        """Let the event loop turn a few times."""
        loop = asyncio.get_running_loop()
        for _ in range(count):
            turned: asyncio.Future[None] = loop.create_future()
            loop.call_soon(turned.set_result, None)
            await turned

    async def turns(self) -> None:
        """Let everything happen that takes no time."""
        for _ in range(4):
            await self.clock.advance(0)

    async def pass_time(self, seconds: float, *edges: Allowances) -> None:
        """Let time pass in steps, and edges do what they do twice a second."""
        while seconds > 0:
            step = min(seconds, 0.5)
            await self.clock.advance(step)
            for edge in edges:
                edge.sweep()
            await self.turns()
            seconds -= step

    async def begin(self, edge: Allowances, wanted: JobNeed, account: int = ACCOUNT) -> "Job":
        job = Job(self, edge, wanted, account)
        await self.turns()
        return job

    def leases(self) -> dict[int, dict[str, int]]:
        """Return what metering takes the open leases to have drawn."""
        leases = self.metering.accounts[ACCOUNT].state.leases
        return {number: dict(lease.drawn) for number, lease in leases.items() if not lease.closing}

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"trunkline_edge_{name}_total", labels) or 0.0


class Job:
    """A job as the path of a request begins it: at once where that can be, else in a task of its own."""

    def __init__(self, rig: Rig, edge: Allowances, wanted: JobNeed, account: int) -> None:
        self._rig = rig
        self._edge = edge
        self._account = account
        self.held: Hold | None = None
        self.refused: HoldRefusedError | None = None
        self.waited = False
        try:
            self.held = edge.hold(account, wanted)
        except HoldRefusedError as error:
            self.refused = error
        else:
            if self.held is None:
                self.waited = True
                self._rig.tasks.spawn(self._wait(edge.wait(account, wanted)), name="job")

    async def _wait(self, waiting: Awaitable[Hold]) -> None:
        try:
            self.held = await waiting
        except HoldRefusedError as error:
            self.refused = error

    @property
    def hold(self) -> Hold:
        assert self.held is not None
        return self.held

    @property
    def why(self) -> str:
        """The code or type of its refusal; empty for none."""
        return "" if self.refused is None else self.refused.fault.code or self.refused.fault.type.value

    def end(self, nano: int = 0, *, charge: bool = True) -> None:
        if charge:
            self._rig.metering.accounts[self._account].charge(self.hold, nano)
        self._edge.settle(self._account, self.hold, nano, 0, 0)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    await rig.metering.open()
    yield rig
    await rig.tasks.cancel()
    assert rig.failures == []


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
    assert jobs[2].refused is not None
    assert rig.counted("allowance_grace") > 0
    await rig.pass_time(GRACE.seconds)
    assert (await rig.begin(edge, need(1))).why == ErrorType.GATEWAY_NOT_READY
    await rig.metering.open()
    job = await rig.begin(edge, need(500))
    assert job.held
    # Of a wish, one more at most.
    assert account.state.leases[job.hold.lease].drawn[WALLET] - (100 + 1_500) in {0, 1}


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


# --- leases that come and go ---------------------------------------------------------------------------------


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
