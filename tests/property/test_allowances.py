"""Both sides of an account's allowances as one machine, with a line between them that loses messages.

A few edges hold, settle, report and die in any order; metering decides, settles what jobs came to (late, and once) and
forgets the leases of the dead. What must hold after every step is in the invariants.
"""

from collections import defaultdict
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trunkline.bus.allowance import WALLET, LeaseDraw, LeaseGrant, Meter, MeterKind, Period
from trunkline.policy.grants import AccountState, AccountView, Bearing, Decision, decide, drop_lease
from trunkline.policy.lease import Hold, JobNeed, Lease

START_MS = 1_800_000_000_000
EDGES = ("edge-1", "edge-2", "edge-3")
RPM, TPM, RPD, CONCURRENCY, DAILY = 40, 4_000, 200, 6, 20_000


def meters() -> tuple[Meter, ...]:
    return (
        Meter(WALLET, MeterKind.MONEY, Period.NONE, 0),
        Meter("account:daily", MeterKind.MONEY, Period.DAY, DAILY),
        Meter("key:2:daily", MeterKind.MONEY, Period.DAY, DAILY // 2, key=2),
        Meter("tier:rpm", MeterKind.REQUESTS, Period.MINUTE, RPM),
        Meter("tier:tpm", MeterKind.TOKENS, Period.MINUTE, TPM),
        Meter("tier:rpd", MeterKind.REQUESTS, Period.DAY, RPD),
        Meter("tier:concurrency", MeterKind.CONCURRENCY, Period.NONE, CONCURRENCY),
        Meter("tier:rpm:gpt-*", MeterKind.REQUESTS, Period.MINUTE, RPM // 2, models=("gpt-*",)),
    )


class Job(NamedTuple):
    """A job under way, or one whose usage is still to be settled.

    ``spent`` is what it comes to.
    """

    edge: str
    lease: int
    hold: Hold
    begun_ms: int
    spent: int = 0


class Allowances(RuleBasedStateMachine):
    """See the module."""

    @initialize(balance=st.integers(0, 40_000), bounds=st.sets(st.sampled_from(range(1, len(meters())))))
    def begin(self, balance: int, bounds: set[int]) -> None:
        self.now_ms = START_MS
        self.balance = self.credit = balance
        self.spent_budget: defaultdict[str, int] = defaultdict(int)
        self.settled: dict[str, dict[int, int]] = defaultdict(dict)
        self.state = AccountState()
        self.leases: dict[str, Lease] = {}
        self.numbers = 0
        self.jobs: list[Job] = []
        self.unsettled: list[Job] = []
        self.booked = 0
        self.under_way: dict[str, tuple[LeaseDraw, LeaseGrant | None]] = {}
        self.begun: list[tuple[int, int, str]] = []
        # Some bounds at a time: with all of them, the tightest would hide the others.
        self.meters = (meters()[0], *(meters()[index] for index in sorted(bounds)))
        self.known = {meter.id for meter in self.meters}

    @property
    def now(self) -> float:
        return (self.now_ms - START_MS) / 1000

    def lease(self, edge: str) -> Lease:
        if edge not in self.leases:
            self.numbers += 1
            self.leases[edge] = Lease(7, self.numbers, self.now)
        return self.leases[edge]

    def view(self) -> AccountView:
        money = {WALLET: Bearing(self.balance, self.settled[WALLET])}
        for meter in self.meters:
            if meter.kind is MeterKind.MONEY and meter.id != WALLET:
                money[meter.id] = Bearing(meter.limit - self.spent_budget[meter.id], self.settled[meter.id])
        return AccountView(self.meters, money, "UTC", 0)

    # --- the edges ---------------------------------------------------------------------------------------------

    @rule(
        edge=st.sampled_from(EDGES),
        key=st.sampled_from([1, 2]),
        model=st.sampled_from(["gpt-4o", "claude"]),
        nano=st.integers(0, 600),
        tokens=st.integers(1, 300),
        jobs=st.integers(1, 4),
        lose=st.sampled_from(["", "", "", "question", "answer"]),
    )
    def ask(self, edge: str, *, key: int, model: str, nano: int, tokens: int, jobs: int, lose: str) -> None:
        """Jobs come; those that cannot be held wait for a draw, and some of them go then."""
        lease = self.lease(edge)
        waiting = [JobNeed((nano, 1, tokens, 0), (nano, 1, tokens, 0), key, 0, model, "default") for _ in range(jobs)]
        waiting = [need for need in waiting if not self._go(edge, lease, need)]
        if waiting:
            self._draw(edge, lease, waiting, lose)
            for need in waiting:
                self._go(edge, lease, need)

    def _go(self, edge: str, lease: Lease, need: JobNeed) -> bool:
        hold = lease.hold(need, self.now)
        if not isinstance(hold, Hold):
            return False
        self.jobs.append(Job(edge, lease.number, hold, self.now_ms))
        self.begun.append((self.now_ms, need.amounts[2], need.model))
        return True

    def _draw(self, edge: str, lease: Lease, waiting: list[JobNeed], lose: str, *, closing: bool = False) -> None:
        draw = lease.report(waiting, self.now, closing=closing)
        if lose == "question":
            lease.lost()
            return
        decision = decide(self.state, self.view(), edge, draw, self.now_ms)
        assert isinstance(decision, Decision)
        if lose == "answer":
            lease.lost()
            return
        assert lease.apply(decision.grant, self.now)

    @rule(edge=st.sampled_from(EDGES), recalled=st.booleans(), lose=st.sampled_from(["", "", "question", "answer"]))
    def renew(self, edge: str, lose: str, *, recalled: bool) -> None:
        lease = self.lease(edge)
        draw = lease.report((), self.now, recalled=recalled)
        if lose == "question":
            lease.lost()
            return
        decision = decide(self.state, self.view(), edge, draw, self.now_ms)
        assert isinstance(decision, Decision)
        if lose == "answer":
            lease.lost()
        else:
            lease.apply(decision.grant, self.now)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), count=st.integers(1, 4), share=st.floats(0.5, 1), charged=st.booleans())
    def finish(self, data: st.DataObject, count: int, share: float, *, charged: bool) -> None:
        """Jobs end, having used at most what was held for them."""
        for _ in range(min(count, len(self.jobs))):
            self._finish(data, share, charged=charged)

    @rule(data=st.data(), settled=st.booleans())
    def finish_all(self, data: st.DataObject, *, settled: bool) -> None:
        while self.jobs:
            self._finish(data, 0.8, charged=True)
        while self.unsettled and settled:
            self._settle_last()

    def _finish(self, data: st.DataObject, share: float, *, charged: bool) -> None:
        job = self.jobs.pop(data.draw(st.integers(0, len(self.jobs) - 1)))
        nano, _, tokens, _ = job.hold.need.amounts
        spent = int(nano * share) if charged else 0
        lease = self.leases.get(job.edge)
        if lease is not None and lease.number == job.lease:
            lease.settle(job.hold, spent, int(tokens * share), 0, self.now)
        if spent:
            self.unsettled.append(job._replace(spent=spent))

    @precondition(lambda self: self.unsettled)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """Metering books what a job came to."""
        index = data.draw(st.integers(0, len(self.unsettled) - 1))
        self.unsettled.append(self.unsettled.pop(index))
        self._settle_last()

    @rule(edge=st.sampled_from(EDGES))
    def die(self, edge: str) -> None:
        """An edge dies; its jobs are closed and settled at once, and then its lease is forgotten."""
        lease = self.leases.pop(edge, None)
        if lease is None:
            return
        for job in [job for job in self.jobs if job.edge == edge]:
            self.jobs.remove(job)
            if nano := job.hold.need.amounts[0] // 2:
                self.unsettled.append(job._replace(spent=nano))
        while mine := [job for job in self.unsettled if job.edge == edge]:
            self.unsettled.remove(mine[0])
            self.unsettled.append(mine[0])
            self._settle_last()
        drop_lease(self.state, lease.number)

    def _settle_last(self) -> None:
        job = self.unsettled.pop()
        self.balance -= job.spent
        self.booked += job.spent
        for slice_ in job.hold.slices:
            if slice_.meter.kind is MeterKind.MONEY:
                of_meter = self.settled[slice_.meter.id]
                of_meter[job.lease] = of_meter.get(job.lease, 0) + job.spent
                self.spent_budget[slice_.meter.id] += job.spent

    @rule(edge=st.sampled_from(EDGES), lose=st.sampled_from(["", "answer"]))
    def close(self, edge: str, lose: str) -> None:
        """An edge without jobs of the account gives its lease back, and opens another later."""
        lease = self.leases.get(edge)
        if lease is None or lease.jobs:
            return
        self._draw(edge, lease, [], lose, closing=True)
        if not lose:
            del self.leases[edge]

    @rule(ms=st.sampled_from([20, 250, 600, 900, 5_000, 59_200, 61_500]))
    def wait(self, ms: int) -> None:
        self.now_ms += ms

    # --- what must hold ----------------------------------------------------------------------------------------

    @invariant()
    def never_spends_more_than_it_has(self) -> None:
        held = sum(job.hold.need.amounts[0] for job in self.jobs) + sum(job.spent for job in self.unsettled)
        assert self.balance - held >= 0

    @invariant()
    def budgets_hold(self) -> None:
        for meter in self.meters:
            if meter.kind is MeterKind.MONEY and meter.id != WALLET:
                held = sum(
                    job.hold.need.amounts[0] for job in self.jobs if not meter.key or job.hold.need.key == meter.key
                ) + sum(job.spent for job in self.unsettled if not meter.key or job.hold.need.key == meter.key)
                assert self.spent_budget[meter.id] + held <= meter.limit

    @invariant()
    def no_more_jobs_at_a_time_than_permitted(self) -> None:
        assert "tier:concurrency" not in self.known or len(self.jobs) <= CONCURRENCY

    @invariant()
    def no_minute_holds_more_than_the_limit(self) -> None:
        recent = [entry for entry in self.begun if entry[0] > self.now_ms - 60_000]
        assert "tier:rpm" not in self.known or len(recent) <= RPM
        family = [entry for entry in recent if entry[2].startswith("gpt-")]
        assert "tier:rpm:gpt-*" not in self.known or len(family) <= RPM // 2
        assert "tier:rpd" not in self.known or len([*self.begun]) <= RPD * (1 + (self.now_ms - START_MS) // 86_400_000)

    @invariant()
    def the_books_add_up(self) -> None:
        assert self.credit - self.booked == self.balance


Allowances.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestAllowances = Allowances.TestCase
