"""The ledger as a state machine on a real Postgres: whatever is delivered, in any order and number, is booked once.

Checkpoints of attempts come before or after their exact usage, and in the end all is as if there had been none.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, ClassVar, NamedTuple, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support import usage_events
from tests.support.servers import running_postgres
from trunkline.bus.messages import UsageEvent
from trunkline.core.ids import job_text
from trunkline.core.usage import Units, UsageSource
from trunkline.policy.codes import code_hash
from trunkline.policy.entities import FreeTrial
from trunkline.policy.payments import Payment
from trunkline.policy.pricing import PriceBook
from trunkline.store import ledger, ledger_checks
from trunkline.store.codes import create_batch, redeem
from trunkline.store.configuration import ConflictError
from trunkline.store.corrections import Refund, adjust_wallet, refund_charge
from trunkline.store.database import Database, connect
from trunkline.store.migrate import migrate
from trunkline.store.payments import Receipt, receive_payment
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import SettledBatch, settle
from trunkline.store.trials import end_trial, grant_trial

T = TypeVar("T")

CHANNEL = 1
CODE_NANO = 777
LOST = "gateway_dispatcher_lost"
COUNTS = st.integers(0, 1000)


class AttemptEnd(NamedTuple):
    """One attempt that ended: of a new job, or again of the job of an earlier event (``job_of``, if there is one)."""

    input: int
    output: int
    charged: bool
    job_of: int


class LedgerMachine(RuleBasedStateMachine):
    """Events are made, and delivered alone, in batches, again, shuffled, late, and to two replicas at once.

    Attributes:
        settled: what the row of each attempt says.
        guesses: attempts of which that is only a checkpoint.
        costed: attempts that have cost anything when they were first booked.
        charged: what attempts are charged now, by job.
    """

    runner: ClassVar[asyncio.Runner]
    database: ClassVar[Database]
    book: ClassVar[PriceBook]

    def __init__(self) -> None:
        super().__init__()
        self.account = 0
        self.events: list[UsageEvent] = []
        self.settled: dict[tuple[bytes, int], UsageEvent] = {}
        self.guesses: set[tuple[bytes, int]] = set()
        self.costed: set[tuple[bytes, int]] = set()
        self.charged: dict[bytes, dict[int, int]] = {}
        self.grants: dict[str, int] = {}
        self.refunds: dict[bytes, int] = {}
        self.adjustments: dict[str, int] = {}
        self.payments: dict[str, int] = {}
        self.redeemed: set[bytes] = set()
        self.trial_nano = 0
        self.expired_nano: int | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @initialize()
    def new_account(self) -> None:
        async def add() -> int:
            async with self.database.connection() as connection:
                account = await usage_events.add_account(connection, job_text(usage_events.new_job()))
                await connection.execute("update accounts set name = $2 where id = $1", account, f"account {account}")
                hashes = [code_hash(f"{account}/{number}", b"pepper") for number in range(1, 4)]
                await create_batch(connection, hashes, amount_nano=CODE_NANO, note="", expires_at=None)
                return account

        self.account = self.run(add())

    @rule(
        ends=st.lists(st.builds(AttemptEnd, COUNTS, COUNTS, st.booleans(), st.integers(-1, 5)), min_size=1, max_size=5)
    )
    def attempts_end(self, ends: list[AttemptEnd]) -> None:
        for end in ends:
            self.events.append(self._event(end))

    def _event(self, end: AttemptEnd) -> UsageEvent:
        job: bytes = usage_events.new_job()
        attempt = 1
        if 0 <= end.job_of < len(self.events):
            job = self.events[end.job_of].job
            attempt = 1 + max(event.attempt for event in self.events if event.job == job)
        return usage_events.usage_event(
            job=job,
            attempt=attempt,
            account=self.account,
            channel=CHANNEL,
            units=Units(input=end.input, output=end.output),
            charged=end.charged,
        )

    @precondition(lambda self: bool(self.events))
    @rule(data=st.data())
    def batch_is_delivered(self, data: st.DataObject) -> None:
        batch = self._draw_batch(data)
        expected = self._book(batch)
        assert self.run(self._settle(batch)) == expected

    @precondition(lambda self: bool(self.events))
    @rule(data=st.data())
    def batch_is_delivered_to_two_replicas_at_once(self, data: st.DataObject) -> None:
        batch = self._draw_batch(data)
        other = data.draw(st.permutations(batch))
        expected = self._book(batch)

        async def both() -> tuple[SettledBatch, SettledBatch]:
            return await asyncio.gather(self._settle(batch), self._settle(other))

        first, second = self.run(both())
        assert first.events + second.events == expected.events
        assert first.charge_nano + second.charge_nano == expected.charge_nano
        assert first.cost_nano + second.cost_nano == expected.cost_nano
        assert first.corrected + second.corrected == expected.corrected

    @precondition(lambda self: bool(self.events))
    @rule(data=st.data(), share=st.sampled_from([0.0, 0.5, 1.0, 1.5]), charged=st.booleans())
    def checkpoint_is_settled(self, data: st.DataObject, share: float, charged: bool) -> None:
        events = [_so_far(event, share, charged=charged) for event in self._draw_batch(data)]
        expected = self._book_checkpoint(events)
        assert self.run(self._settle(events, checkpoints=True)) == expected

    @rule(reference=st.sampled_from(["spring", "summer", "autumn"]), amount_nano=st.integers(1, 10**15))
    def credit_is_granted(self, reference: str, amount_nano: int) -> None:
        async def grant() -> bool:
            async with self.database.connection() as connection:
                return await ledger.grant_credit(connection, self.account, amount_nano, reference)

        assert self.run(grant()) is (reference not in self.grants)
        self.grants.setdefault(reference, amount_nano)

    @property
    def charges(self) -> dict[bytes, int]:
        """What jobs are charged."""
        sums = {job: sum(attempts.values()) for job, attempts in self.charged.items()}
        return {job: nano for job, nano in sums.items() if nano}

    @precondition(lambda self: bool(self.charges))
    @rule(data=st.data(), part=st.sampled_from([None, 1, 10**9]))
    def job_is_refunded(self, data: st.DataObject, part: int | None) -> None:
        job: Any = data.draw(st.sampled_from(sorted(self.charges)))
        wanted = self.charges[job] if part is None else part

        async def refund() -> Refund | None:
            async with self.database.connection() as connection:
                try:
                    return await refund_charge(connection, self.account, job, amount_nano=part, reference=job.hex())
                except ConflictError:
                    return None

        done = self.run(refund())
        if wanted > self.charges[job] or self.refunds.get(job, wanted) != wanted:
            assert done is None
        else:
            assert done == Refund(job not in self.refunds, wanted, job.hex())
            self.refunds[job] = wanted

    @rule(reference=st.sampled_from(["one", "two"]), amount_nano=st.integers(-(10**9), 10**9).filter(bool))
    def wallet_is_adjusted(self, reference: str, amount_nano: int) -> None:
        async def adjust() -> bool | None:
            async with self.database.connection() as connection:
                try:
                    return await adjust_wallet(connection, self.account, amount_nano, reference)
                except ConflictError:
                    return None

        there = self.adjustments.get(reference)
        assert self.run(adjust()) is (True if there is None else False if there == amount_nano else None)
        self.adjustments.setdefault(reference, amount_nano)

    @rule(number=st.integers(1, 3), cents=st.integers(1, 10**6))
    def payment_is_announced_twice_at_once(self, number: int, cents: int) -> None:
        payment = Payment(f"cs_{self.account}_{number}", f"account {self.account}", cents, "usd")

        async def receive() -> Receipt:
            async with self.database.transaction() as connection:
                return await receive_payment(connection, "stripe", payment)

        async def both() -> list[Receipt]:
            return sorted(await asyncio.gather(receive(), receive()), key=lambda receipt: receipt.value)

        known = payment.reference in self.payments
        assert self.run(both()) == [Receipt.KNOWN if known else Receipt.BOOKED, Receipt.KNOWN]
        self.payments.setdefault(payment.reference, cents * 10_000_000)

    @rule(number=st.integers(1, 3))
    def code_is_redeemed(self, number: int) -> None:
        hash_ = code_hash(f"{self.account}/{number}", b"pepper")

        async def redeem_it() -> bool:
            async with self.database.transaction() as connection:
                return (await redeem(connection, self.account, hash_)).redeemed

        assert self.run(redeem_it()) is (hash_ not in self.redeemed)
        self.redeemed.add(hash_)

    @precondition(lambda self: not self.events and not self.trial_nano)
    @rule(amount_nano=st.integers(1, 10**5))
    def trial_is_given(self, amount_nano: int) -> None:
        async def give() -> bool:
            async with self.database.transaction() as connection:
                return await grant_trial(connection, self.account, FreeTrial(amount_nano, 30))

        assert self.run(give())
        assert not self.run(give())
        self.trial_nano = amount_nano

    @precondition(lambda self: self.trial_nano > 0)
    @rule()
    def trial_ends(self) -> None:
        async def end() -> int | None:
            async with self.database.transaction() as connection:
                await connection.execute("update trials set ends_at = now() where account_id = $1", self.account)
                return await end_trial(connection, self.account)

        used = max(sum(self.charges.values()) - sum(self.refunds.values()), 0)
        left = min(max(self.trial_nano - used, 0), max(self._wallet(), 0))
        assert self.run(end()) == (left if self.expired_nano is None else None)
        self.expired_nano = left if self.expired_nano is None else self.expired_nano

    @rule()
    def projections_are_rebuilt(self) -> None:
        async def rebuild() -> None:
            async with self.database.connection() as connection:
                await ledger_checks.rebuild(connection)

        self.run(rebuild())

    @invariant()
    def the_books_are_right(self) -> None:
        self.run(self._check_books())

    def _draw_batch(self, data: st.DataObject) -> list[UsageEvent]:
        return data.draw(st.lists(st.sampled_from(self.events), min_size=1, max_size=20))

    def _book(self, batch: list[UsageEvent]) -> SettledBatch:
        """Do in plain Python what the ledger is to do."""
        in_order = sorted(batch, key=lambda event: (event.job, event.attempt))
        booked = self._book_new(in_order)
        corrected = 0
        for event in in_order:
            if (event.job, event.attempt) in self.guesses:
                self.guesses.remove((event.job, event.attempt))
                self.settled[event.job, event.attempt] = event
                corrected += 1
                if event.job not in self.refunds:
                    self.charged.get(event.job, {})[event.attempt] = 0
            self._charge_late(event)
        return booked._replace(corrected=corrected)

    def _book_checkpoint(self, events: list[UsageEvent]) -> SettledBatch:
        new = [event for event in events if (event.job, event.attempt) not in self.settled]
        booked = self._book_new(sorted(new, key=lambda event: (event.job, event.attempt)))
        self.guesses |= {(event.job, event.attempt) for event in new}
        return booked._replace(duplicates=len(events) - booked.events)

    def _book_new(self, in_order: list[UsageEvent]) -> SettledBatch:
        """Book what is new: of each attempt, and the first charge of each job."""
        events = charge_nano = cost_nano = 0
        for event in in_order:
            name = event.job, event.attempt
            quote = self._quote(event)
            if name not in self.settled:
                self.settled[name] = event
                events += 1
            if quote.cost_nano and name not in self.costed:
                self.costed.add(name)
                cost_nano += quote.cost_nano
            if quote.charge_nano and event.job not in self.charged:
                self.charged[event.job] = {event.attempt: quote.charge_nano}
                charge_nano += quote.charge_nano
        return SettledBatch(events, len(in_order) - events, 0, charge_nano, cost_nano)

    def _charge_late(self, event: UsageEvent) -> None:
        """Charge an attempt by exact usage in the place of checkpoints, unless its job is paid for exactly."""
        nano = self._quote(event).charge_nano
        charged = self.charged.get(event.job, {})
        exact = {each for each, paid in charged.items() if paid and (event.job, each) not in self.guesses}
        if nano and charged and not exact and event.job not in self.refunds:
            charged.update(dict.fromkeys(charged, 0))
            charged[event.attempt] = nano

    def _quote(self, event: UsageEvent) -> Any:
        return self.book.quote(
            event.units, charged=event.charged, model=event.model, group=event.group, channel=CHANNEL, at_ms=0
        )

    async def _settle(self, batch: list[UsageEvent], *, checkpoints: bool = False) -> SettledBatch:
        async with self.database.connection() as connection:
            return await settle(connection, batch, self.book, checkpoints=checkpoints)

    def _wallet(self) -> int:
        """What the wallet is to hold."""
        came = (self.grants, self.refunds, self.adjustments, self.payments)
        credit = sum(sum(amounts.values()) for amounts in came) + len(self.redeemed) * CODE_NANO + self.trial_nano
        return credit - sum(self.charges.values()) - (self.expired_nano or 0)

    async def _check_books(self) -> None:
        async with self.database.connection() as connection:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                assert {name: found async for name, found in ledger_checks.check(connection) if found} == {}
            assert await ledger.balance(connection, self.account) == self._wallet()
            row = await connection.fetchrow(
                "select count(*), coalesce(sum(charge_nano), 0), coalesce(sum(cost_nano), 0)"
                " from usage where account_id = $1",
                self.account,
            )
            costs = sum(self._quote(event).cost_nano for event in self.settled.values())
            assert tuple(row) == (len(self.settled), sum(self.charges.values()), costs)

    def teardown(self) -> None:
        """In the end all that was used is known exactly, and booked as if there had been no checkpoint."""
        if not self.events:
            return
        self._book(self.events)
        self.run(self._settle(self.events))
        self.run(self._check_books())
        assert not self.guesses
        assert {event.job: event for event in self.settled.values()}.keys() == {event.job for event in self.events}
        for event in self.events:
            assert self.settled[event.job, event.attempt] == event
        wanted: dict[bytes, set[int]] = {}
        for event in self.events:
            if nano := self._quote(event).charge_nano:
                wanted.setdefault(event.job, set()).add(nano)
        for job in {event.job for event in self.events} - self.refunds.keys():
            assert self.charges.get(job, 0) in wanted.get(job, {0})


def _so_far(event: UsageEvent, share: float, *, charged: bool) -> UsageEvent:
    """What a checkpoint says of an attempt; more than it came to where the provider's count was lower than ours."""
    units = Units(input=round(event.units.input * share), output=round(event.units.output * share))
    return msgspec.structs.replace(event, units=units, source=UsageSource.COUNTED, outcome=LOST, charged=charged)


@pytest.fixture
def machine() -> Iterator[type[LedgerMachine]]:
    async def prepare(dsn: str) -> None:
        await migrate(dsn)
        LedgerMachine.database = await connect(dsn)
        async with LedgerMachine.database.connection() as connection:
            assert await usage_events.add_prices(connection) == CHANNEL
            LedgerMachine.book = await load_price_book(connection, await read_mark(connection))

    with running_postgres() as server, asyncio.Runner() as runner:
        LedgerMachine.runner = runner
        runner.run(prepare(server.admin_dsn))
        yield LedgerMachine
        runner.run(LedgerMachine.database.close())


def test_nothing_is_booked_twice_and_nothing_is_lost(machine: type[LedgerMachine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
            database=None,
            report_multiple_bugs=False,
        ),
    )
