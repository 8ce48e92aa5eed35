"""Answers the edges' draws for allowances (``tl.allow``): ADR 6.

All draws that wait are decided together: one read of their accounts, one write of the states that changed. Where
another replica has written first, those accounts are read and decided again. A replica that cannot reach Postgres does
not listen: the broker tells the edge at once that nobody does (or another replica answers), and no edge is told a
wrong figure.
"""

import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import NamedTuple

import asyncpg
import msgspec
import structlog

from services.metering.metrics import MeteringMetrics
from services.metering.postgres_clock import PostgresClock
from services.metering.terms import TermsBook
from trunkline.bus import messages, subjects
from trunkline.bus.allowance import (
    WALLET,
    AllowanceDraw,
    AllowanceGrants,
    LeaseDraw,
    LeaseGrant,
    Meter,
    MeterKind,
    Period,
    Recall,
    decode_allowance_draw,
)
from trunkline.bus.port import Bus, BusError, Message, Unsubscribe
from trunkline.policy.discounts import Discounts, month_of
from trunkline.policy.grants import AccountView, Bearing, Decision, decide
from trunkline.policy.meters import AccountTerms, meters_of
from trunkline.policy.periods import span_at
from trunkline.runtime.tasks import TaskSet
from trunkline.store.allowances import (
    OpenedBudget,
    RefusingBudget,
    StoredAccount,
    WrittenAccount,
    forget_leases,
    mark_refusing,
    open_budgets,
    read_accounts,
    write_states,
)
from trunkline.store.database import Connection, Database, StoreError
from trunkline.store.discounts import account_discounts

log = structlog.get_logger()

WAITING_MAX = 10_000
"""Draws that may wait for the decision under way. An edge has one message on its way at a time, so this many edges."""

CONFLICTS_MAX = 8
"""How often an account is decided again because another replica was first. Each time somebody has got on."""

UNKNOWN_LEASE_MS = 1000
"""How long an edge may believe that an account does not exist."""


ReadDiscounts = Callable[[Connection], Awaitable[Discounts]]
"""Returns the schedules of volume discounts in force."""


class _Waiting(NamedTuple):
    reply: str
    draw: AllowanceDraw


class _Pending(NamedTuple):
    """One lease's draw, and the message that brought it."""

    waiting: int
    edge: str
    draw: LeaseDraw


class AllowanceDesk:
    """Listens while it is open.

    Args:
        bus: where draws come from.
        database: where the accounts are.
        terms: what bounds them.
        discounts: see `ReadDiscounts`.
        postgres_clock: by which minutes and days go.
        tasks, metrics: of the process.
    """

    def __init__(
        self,
        bus: Bus,
        database: Database,
        terms: TermsBook,
        discounts: ReadDiscounts,
        *,
        postgres_clock: PostgresClock,
        tasks: TaskSet,
        metrics: MeteringMetrics,
    ) -> None:
        self._bus = bus
        self._database = database
        self._terms = terms
        self._discounts = discounts
        self._postgres_clock = postgres_clock
        self._tasks = tasks
        self._metrics = metrics
        self._waiting: list[_Waiting] = []
        self._answering = False
        self._unsubscribe: Unsubscribe | None = None

    async def open(self) -> None:
        """Listen for draws; harmless while open."""
        if self._unsubscribe is None:
            self._unsubscribe = await self._bus.subscribe(subjects.ALLOW, self._drawn, queue=subjects.ALLOW_QUEUE)

    async def close(self) -> None:
        """Stop listening; harmless while closed."""
        if self._unsubscribe is not None:
            unsubscribe, self._unsubscribe = self._unsubscribe, None
            await unsubscribe()

    def _drawn(self, message: Message) -> None:
        try:
            draw: AllowanceDraw = decode_allowance_draw(message.data)
        except msgspec.MsgspecError:
            self._metrics.draws.labels("refused").inc()
            return
        if not message.reply or len(self._waiting) >= WAITING_MAX:
            self._metrics.draws.labels("dropped").inc()
            return
        self._waiting.append(_Waiting(message.reply, draw))
        if not self._answering:
            self._answering = True
            self._tasks.spawn(self._answer_waiting(), name="allowances")

    async def _answer_waiting(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                try:
                    async with self._database.connection() as connection:
                        discounts = await self._discounts(connection)
                        round_ = _Round(connection, self._terms, discounts, self._postgres_clock, self._metrics)
                        decisions = await round_.decide(waiting)
                except (StoreError, asyncpg.PostgresError) as error:
                    log.warning("allowances_unanswered", draws=len(waiting), error=type(error).__name__)
                    self._metrics.postgres_failures.labels("allowances").inc()
                    self._metrics.draws.labels("dropped").inc(len(waiting))
                    await self.close()
                else:
                    self._answer(waiting, decisions)
        finally:
            self._answering = False

    def _answer(self, waiting: list[_Waiting], decided: "_Decided") -> None:
        for number, (reply, _) in enumerate(waiting):
            self._publish(reply, messages.encode(AllowanceGrants(tuple(decided.grants.get(number, ())))))
            self._metrics.draws.labels("answered").inc()
        for edge, accounts in decided.recalls.items():
            self._publish(subjects.recall(edge), messages.encode(Recall(tuple(accounts))))

    def _publish(self, subject: str, payload: bytes) -> None:
        # A full bus means that the broker does not read; the edge has its grace.
        with contextlib.suppress(BusError):
            self._bus.publish(subject, payload)


class _Decided(NamedTuple):
    """What is to be sent: grants by the number of the message, accounts to be recalled by edge."""

    grants: dict[int, list[LeaseGrant]]
    recalls: dict[str, set[int]]


class _Round:
    """The draws that waited together."""

    def __init__(
        self,
        connection: Connection,
        terms: TermsBook,
        discounts: Discounts,
        postgres_clock: PostgresClock,
        metrics: MeteringMetrics,
    ) -> None:
        self._connection = connection
        self._terms = terms
        self._discounts = discounts
        self._postgres_clock = postgres_clock
        self._metrics = metrics
        self._leapt_ms = 0
        self._decided = _Decided({}, {})
        self._version = 0
        self._refusing: set[RefusingBudget] = set()

    async def decide(self, waiting: list[_Waiting]) -> _Decided:
        """Decide all draws; those of accounts that others keep writing are left out."""
        pending = [
            _Pending(number, draw.edge, lease_draw)
            for number, (_, draw) in enumerate(waiting)
            for lease_draw in draw.draws
        ]
        wanted: dict[int, set[int]] = {}
        for entry in pending:
            wanted.setdefault(entry.draw.account, set()).update(entry.draw.keys)
        terms = await self._terms.load(self._connection, wanted)
        # At once: the book may learn of a change while this round goes on with what it has.
        self._version = self._terms.version
        for _ in range(CONFLICTS_MAX):
            pending = await self._decide_once(pending, terms)
            if not pending:
                break
            self._metrics.draw_conflicts.inc(len(pending))
        await mark_refusing(self._connection, self._refusing)
        return self._decided

    async def _decide_once(self, pending: list[_Pending], terms: Mapping[int, AccountTerms]) -> list[_Pending]:
        """Decide draws and return those that must be decided again."""
        stored = await self._read({entry.draw.account for entry in pending})
        stored = await self._with_budgets(stored, terms)
        discounts = await self._read_discounts(stored)
        leases = {account: _open_leases(found) for account, found in stored.items()}
        changed: set[int] = set()
        made: list[tuple[_Pending, LeaseGrant, frozenset[str]]] = []
        for entry in pending:
            account = entry.draw.account
            if account not in stored or account not in terms:
                self._grant(entry, _unknown(entry.draw))
                continue
            view = _view(stored[account], terms[account], entry.draw, discounts.get(account, 0))
            now_ms = stored[account].now_ms
            decision = decide(stored[account].state, view, entry.edge, entry.draw, now_ms, leapt_ms=self._leapt_ms)
            if decision is None:
                continue
            if decision.changed:
                changed.add(account)
            self._refusing.update(_newly_refusing(account, stored[account], decision, terms[account].time_zone))
            grant = msgspec.structs.replace(decision.grant, terms=self._version)
            made.append((entry, grant, decision.recall))
        written = await self._write(changed, stored, leases)
        again = []
        for entry, grant, recall in made:
            account = entry.draw.account
            if account in changed and account not in written:
                again.append(entry)
                continue
            self._grant(entry, grant)
            for edge in recall:
                self._decided.recalls.setdefault(edge, set()).add(account)
        return again

    async def _read(self, accounts: Collection[int]) -> dict[int, StoredAccount]:
        asked_s = self._postgres_clock.asked()
        stored = await read_accounts(self._connection, accounts)
        if stored:
            self._leapt_ms = self._postgres_clock.leapt_ms(next(iter(stored.values())).now_ms, asked_s)
        return stored

    def _grant(self, entry: _Pending, grant: LeaseGrant) -> None:
        self._decided.grants.setdefault(entry.waiting, []).append(grant)

    async def _write(
        self, changed: set[int], stored: Mapping[int, StoredAccount], leases: Mapping[int, frozenset[int]]
    ) -> set[int]:
        """Write the states that changed; ``leases`` says which were open before. Returns whose were written."""
        if not changed:
            return set()
        states = [
            WrittenAccount(
                account,
                stored[account].version,
                stored[account].state,
                durable=_open_leases(stored[account]) != leases[account],
            )
            for account in sorted(changed)
        ]
        written = await write_states(self._connection, states)
        # Leases that are no more: a lease is on disk before its first job, so none of these is still to come.
        booked = {
            account: {lease for of_meter in stored[account].settled.values() for lease in of_meter}
            for account in written
        }
        await forget_leases(
            self._connection, {account: booked[account] - stored[account].state.leases.keys() for account in written}
        )
        return written

    async def _with_budgets(
        self, stored: dict[int, StoredAccount], terms: Mapping[int, AccountTerms]
    ) -> dict[int, StoredAccount]:
        """Begin to count periods of budgets that have just begun, and read those accounts again."""
        missing = [
            OpenedBudget(account, meter, start, terms[account].time_zone)
            for account in sorted(stored.keys() & terms.keys())
            for meter, start in _budget_periods(meters_of(terms[account]), terms[account], stored[account].now_ms)
            if (meter.id, start) not in stored[account].spent
        ]
        if not missing:
            return stored
        await open_budgets(self._connection, missing)
        return {**stored, **await self._read({budget.account for budget in missing})}

    async def _read_discounts(self, stored: Mapping[int, StoredAccount]) -> dict[int, int]:
        """Return the volume discounts of accounts, as edges need them to price holds."""
        if not self._discounts:
            return {}
        places = {(account, month_of(stored[account].now_ms)) for account in stored}
        found = await account_discounts(self._connection, self._discounts, places)
        return {account: discount_ppm for (account, _), discount_ppm in found.items()}


def _open_leases(stored: StoredAccount) -> frozenset[int]:
    return frozenset(number for number, lease in stored.state.leases.items() if not lease.closing)


def _budget_periods(meters: Iterable[Meter], terms: AccountTerms, now_ms: int) -> list[tuple[Meter, dt.date]]:
    return [
        (meter, span_at(meter.period, terms.time_zone, now_ms).start)
        for meter in meters
        if meter.kind is MeterKind.MONEY and meter.period is not Period.NONE
    ]


def _newly_refusing(account: int, stored: StoredAccount, decision: Decision, time_zone: str) -> list[RefusingBudget]:
    return [
        RefusingBudget(account, meter.id, start, meter.limit)
        for meter in decision.refusing
        if stored.refused.get((meter.id, start := span_at(meter.period, time_zone, stored.now_ms).start), -1)
        < meter.limit
    ]


def _view(stored: StoredAccount, terms: AccountTerms, draw: LeaseDraw, discount_ppm: int) -> AccountView:
    own = {key: terms.keys[key] for key in draw.keys if key in terms.keys}
    meters = meters_of(terms if len(own) == len(terms.keys) else msgspec.structs.replace(terms, keys=own))
    money = {WALLET: Bearing(stored.balance_nano, stored.settled.get(WALLET, {}))}
    for meter, start in _budget_periods(meters, terms, stored.now_ms):
        spent = stored.spent.get((meter.id, start), 0)
        money[meter.id] = Bearing(meter.limit - spent, stored.settled.get(meter.id, {}))
    return AccountView(meters, money, terms.time_zone, discount_ppm)


def _unknown(draw: LeaseDraw) -> LeaseGrant:
    return LeaseGrant(draw.account, draw.lease, draw.number, known=False, lease_ms=UNKNOWN_LEASE_MS, keys=draw.keys)
