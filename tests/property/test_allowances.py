"""Both sides of an account's allowances as one machine, with a line between them that loses messages.

A few edges hold, settle, report, stand still and die in any order; metering decides, settles what jobs came to (late,
and once) and ends the leases of the dead and those that were given up. What must hold after every step is in the
invariants.
"""

import dataclasses
from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.examples import examples
from trunkline.bus.allowance import WALLET, Meter, MeterKind, Period
from trunkline.core.limits import LEASE_IDLE_S
from trunkline.policy.grants import AccountState, AccountView, Bearing, Decision, decide, drop_lease
from trunkline.policy.lease import Hold, JobNeed, Lease

START_MS = 1_800_000_000_000
DAY_MS = 86_400_000
EDGES = ("edge-1", "edge-2", "edge-3")
RPM, TPM, RPD, CONCURRENCY, DAILY = 40, 4_000, 60, 6, 20_000


def meters() -> tuple[Meter, ...]:
    return (
        Meter(WALLET, MeterKind.MONEY, Period.NONE, 0),
        Meter("account:daily", MeterKind.MONEY, Period.DAY, DAILY),
        Meter("key:2:daily", MeterKind.MONEY, Period.DAY, DAILY // 4, key=2),
        Meter("tier:rpm", MeterKind.REQUESTS, Period.MINUTE, RPM),
        Meter("tier:tpm", MeterKind.TOKENS, Period.MINUTE, TPM),
        Meter("tier:rpd", MeterKind.REQUESTS, Period.DAY, RPD),
        Meter("tier:concurrency", MeterKind.CONCURRENCY, Period.NONE, CONCURRENCY),
        Meter("tier:rpm:gpt-*", MeterKind.REQUESTS, Period.MINUTE, RPM // 2, models=("gpt-*",)),
    )


@dataclasses.dataclass(eq=False)
class Job:
    """A job, from its hold on; ``nano`` and ``tokens`` are what it may come to and, once it has ended, what it did."""

    edge: str
    hold: Hold
    begun_ms: int
    nano: int
    tokens: int
    booked: bool = False

    @property
    def day(self) -> int:
        return self.begun_ms // DAY_MS

    def is_counted_by(self, meter: Meter) -> bool:
        need = self.hold.need
        return meter.key in {0, need.key} and (not meter.models or need.model.startswith("gpt-"))


LOSE = st.sampled_from(["", "", "", "question", "answer"])


class Allowances(RuleBasedStateMachine):
    """See the module."""

    @initialize(balance=st.integers(0, 40_000), bounds=st.sets(st.sampled_from(range(1, len(meters())))))
    def begin(self, balance: int, bounds: set[int]) -> None:
        self.now_ms = START_MS
        self.balance = balance
        self.spent: defaultdict[tuple[str, int], int] = defaultdict(int)
        self.settled: dict[str, dict[int, int]] = defaultdict(dict)
        self.state = AccountState()
        self.leases: dict[str, Lease] = {}
        self.retired: list[tuple[str, Lease]] = []
        self.numbers = 0
        self.jobs: list[Job] = []
        self.unsettled: list[Job] = []
        self.begun: list[Job] = []
        # Some bounds at a time: with all of them, the tightest would hide the others.
        self.meters = {meters()[index].id: meters()[index] for index in sorted({0, *bounds})}

    @property
    def now(self) -> float:
        return (self.now_ms - START_MS) / 1000

    def lease(self, edge: str) -> Lease:
        if edge not in self.leases:
            self.numbers += 1
            self.leases[edge] = Lease(7, self.numbers, self.now)
        return self.leases[edge]

    def view(self, keys: tuple[int, ...]) -> AccountView:
        named = [meter for meter in self.meters.values() if meter.key in {0, *keys}]
        money = {
            meter.id: Bearing(
                self.balance if meter.id == WALLET else meter.limit - self.spent[meter.id, self.now_ms // DAY_MS],
                self.settled[meter.id],
            )
            for meter in named
            if meter.kind is MeterKind.MONEY
        }
        return AccountView(named, money, "UTC", 0)

    # --- the edges ---------------------------------------------------------------------------------------------

    @rule(
        edge=st.sampled_from(EDGES),
        key=st.sampled_from([1, 2]),
        model=st.sampled_from(["gpt-4o", "claude"]),
        nano=st.integers(0, 600),
        tokens=st.integers(1, 300),
        jobs=st.integers(1, 4),
        bounded=st.booleans(),
        lose=LOSE,
    )
    def ask(
        self, edge: str, *, key: int, model: str, nano: int, tokens: int, jobs: int, bounded: bool, lose: str
    ) -> None:
        """Jobs come; those that cannot be held wait for a draw, and some of them go then."""
        amounts = (nano, 1, tokens, 0)
        least = amounts if bounded else (nano // 3, 1, tokens // 3, 0)
        waiting = [JobNeed(amounts, least, key, 0, model, "default") for _ in range(jobs)]
        waiting = [need for need in waiting if not self._go(edge, need, least=False)]
        if waiting:
            self._draw(edge, self.lease(edge), lose, waiting)
            for need in waiting:
                self._go(edge, need, least=True)

    def _go(self, edge: str, need: JobNeed, *, least: bool) -> bool:
        hold = self.lease(edge).hold(need, self.now, least=least)
        if not isinstance(hold, Hold):
            return False
        job = Job(edge, hold, self.now_ms, hold.need.amounts[0], hold.need.amounts[2])
        self.jobs.append(job)
        self.begun.append(job)
        return True

    def _draw(
        self,
        edge: str,
        lease: Lease,
        lose: str = "",
        waiting: list[JobNeed] | None = None,
        *,
        recalled: bool = False,
        closing: bool = False,
    ) -> bool:
        """Let a lease draw; returns whether it heard the answer."""
        draw = lease.report(waiting or (), self.now, recalled=recalled, closing=closing)
        if lose == "question":
            lease.lost()
            return False
        decision = decide(self.state, self.view(draw.keys), edge, draw, self.now_ms)
        assert isinstance(decision, Decision)
        for settled in self.settled.values():  # what is booked of leases that are no more is dropped
            for number in settled.keys() - self.state.leases.keys():
                del settled[number]
        if lose == "answer":
            lease.lost()
            return False
        assert lease.apply(decision.grant, self.now)
        if lease.over and self.leases.get(edge) is lease:
            del self.leases[edge]
        return True

    @rule(edge=st.sampled_from(EDGES), recalled=st.booleans(), lose=LOSE)
    def renew(self, edge: str, lose: str, *, recalled: bool) -> None:
        self._draw(edge, self.lease(edge), lose, recalled=recalled)

    @rule(edge=st.sampled_from(EDGES), lose=LOSE)
    def retire(self, edge: str, lose: str) -> None:
        """A lease has become old: further jobs go to another one."""
        if edge in self.leases:
            lease = self.leases.pop(edge)
            self.retired.append((edge, lease))
            self._draw(edge, lease, lose, recalled=True, closing=not lease.jobs)

    @precondition(lambda self: self.retired)
    @rule(data=st.data(), lose=LOSE)
    def report_retired(self, data: st.DataObject, lose: str) -> None:
        index = data.draw(st.integers(0, len(self.retired) - 1))
        edge, lease = self.retired[index]
        closing = not lease.jobs
        if self._draw(edge, lease, lose, recalled=True, closing=closing) and (closing or lease.over):
            del self.retired[index]

    @rule(edge=st.sampled_from(EDGES), lose=st.sampled_from(["", "answer"]))
    def close(self, edge: str, lose: str) -> None:
        """An edge without jobs of the account gives its lease back, and opens another later."""
        lease = self.leases.get(edge)
        if lease is not None and not lease.jobs and self._draw(edge, lease, lose, closing=True):
            self.leases.pop(edge, None)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), count=st.integers(1, 4), share=st.floats(0.5, 1), charged=st.booleans())
    def finish(self, data: st.DataObject, count: int, share: float, *, charged: bool) -> None:
        """Jobs end, having used at most what was held for them."""
        for _ in range(min(count, len(self.jobs))):
            job = self.jobs.pop(data.draw(st.integers(0, len(self.jobs) - 1)))
            self._end(job, share if charged else 0.0, share)

    @rule(settled=st.booleans())
    def finish_all(self, *, settled: bool) -> None:
        while self.jobs:
            self._end(self.jobs.pop(), 0.8, 0.8)
        while self.unsettled and settled:
            self._book(self.unsettled.pop())

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), share=st.floats(0, 1))
    def lose_job(self, data: st.DataObject, share: float) -> None:
        """A job ends of which its edge hears nothing: all that was held counts as spent there."""
        job = self.jobs.pop(data.draw(st.integers(0, len(self.jobs) - 1)))
        lease = self.leases.get(job.edge)
        if lease is not None and lease.number == job.hold.lease:
            self.retired.append((job.edge, self.leases.pop(job.edge)))
        self._end(job, share, share, lost=True)

    def _end(self, job: Job, share: float, tokens_share: float, *, lost: bool = False) -> None:
        held_nano, _, held_tokens, _ = job.hold.need.amounts
        job.nano, job.tokens = int(held_nano * share), int(held_tokens * tokens_share)
        for _, lease in [*self.leases.items(), *self.retired]:
            if lease.number == job.hold.lease:
                told = (held_nano, held_tokens) if lost else (job.nano, job.tokens)
                lease.settle(job.hold, *told, 0, self.now)
        self.unsettled.append(job)

    @rule(edge=st.sampled_from(EDGES))
    def die(self, edge: str) -> None:
        """An edge dies; its jobs are closed and settled at once, and then its leases are ended."""
        self._end_leases_of(edge)
        self.leases.pop(edge, None)
        self.retired = [(owner, lease) for owner, lease in self.retired if owner != edge]

    @rule(edge=st.sampled_from(EDGES))
    def stand_still(self, edge: str) -> None:
        """An edge is taken for dead, and comes back with all that it had."""
        self._end_leases_of(edge)
        self.now_ms += 20_000

    def _end_leases_of(self, edge: str) -> None:
        for job in [job for job in self.jobs if job.edge == edge]:
            self.jobs.remove(job)
            self._end(job, 0.5, 1.0)
        for job in [job for job in self.unsettled if job.edge == edge]:
            self.unsettled.remove(job)
            self._book(job)
        for number in [number for number, lease in self.state.leases.items() if lease.edge == edge]:
            drop_lease(self.state, number)

    # --- metering ----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.unsettled)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """Metering books what a job came to."""
        self._book(self.unsettled.pop(data.draw(st.integers(0, len(self.unsettled) - 1))))

    def _book(self, job: Job) -> None:
        job.booked = True
        self.balance -= job.nano
        for meter in self.meters.values():
            if meter.kind is MeterKind.MONEY and job.is_counted_by(meter):
                of_meter = self.settled[meter.id]
                of_meter[job.hold.lease] = of_meter.get(job.hold.lease, 0) + job.nano
                self.spent[meter.id, job.day] += job.nano

    @rule()
    def end_closed(self) -> None:
        """Leases that were given up end when nothing of them can be booked any more."""
        unbooked = {job.hold.lease for job in self.unsettled}
        for number in [number for number, lease in self.state.leases.items() if lease.closing]:
            if number not in unbooked:
                drop_lease(self.state, number)

    @rule(ms=st.sampled_from([20, 250, 600, 900, 5_000, int(LEASE_IDLE_S * 1000) + 500, 59_200, 61_500, DAY_MS // 2]))
    def wait(self, ms: int) -> None:
        self.now_ms += ms

    @rule()
    def come_to_rest(self) -> None:
        """When all jobs have ended and are booked, all money is there again."""
        self.finish_all(settled=True)
        for edge, lease in [*self.retired, *self.leases.items()]:
            retired = (edge, lease) in self.retired
            for _ in range(2):  # the first one hears of what was booked
                self._draw(edge, lease, recalled=True, closing=retired)
        self.retired.clear()
        self.end_closed()
        settled = self.settled[WALLET]
        held = {number: lease.drawn.get(WALLET, 0) for number, lease in self.state.leases.items()}
        assert held == {number: settled.get(number, 0) for number in held}

    # --- what must hold ----------------------------------------------------------------------------------------

    def _unbooked(self, meter: Meter, day: int | None = None) -> int:
        return sum(
            job.nano
            for job in (*self.jobs, *self.unsettled)
            if job.is_counted_by(meter) and (day is None or job.day == day)
        )

    @invariant()
    def never_spends_more_than_it_has(self) -> None:
        assert self.balance >= self._unbooked(self.meters[WALLET])

    @invariant()
    def what_leases_may_spend_is_there(self) -> None:
        settled = self.settled[WALLET]
        promised = sum(
            max(lease.drawn.get(WALLET, 0) - settled.get(number, 0), 0) for number, lease in self.state.leases.items()
        )
        assert promised <= self.balance

    @invariant()
    def budgets_hold_on_each_day(self) -> None:
        today = self.now_ms // DAY_MS
        for meter in self.meters.values():
            if meter.kind is MeterKind.MONEY and meter.period is Period.DAY:
                for day in (today - 1, today):
                    assert self.spent[meter.id, day] + self._unbooked(meter, day) <= meter.limit

    @invariant()
    def no_more_jobs_at_a_time_than_permitted(self) -> None:
        assert "tier:concurrency" not in self.meters or len(self.jobs) <= CONCURRENCY

    @invariant()
    def no_minute_and_no_day_holds_more_than_the_limit(self) -> None:
        recent = [job for job in self.begun if job.begun_ms > self.now_ms - 60_000]
        today = [job for job in self.begun if job.day == self.now_ms // DAY_MS]
        used = {
            "tier:rpm": len(recent),
            "tier:rpm:gpt-*": sum(job.hold.need.model.startswith("gpt-") for job in recent),
            "tier:tpm": sum(job.tokens for job in recent),
            "tier:rpd": len(today),
        }
        assert {
            name: units for name, units in used.items() if name in self.meters and units > self.meters[name].limit
        } == {}


Allowances.TestCase.settings = settings(max_examples=examples(1.5), stateful_step_count=60, deadline=None)
TestAllowances = Allowances.TestCase
