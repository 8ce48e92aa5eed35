"""Answers what clients ask about their own key and account (``tl.ask``): see `bus.inquiry`.

Reads only, a few questions at a time, each within a bounded time, so that curiosity never slows down draws and
settlement. A replica that cannot reach Postgres does not listen, as for allowances.
"""

import contextlib
import datetime as dt
from collections import deque
from typing import NamedTuple

import asyncpg
import msgspec
import structlog

from services.metering.metrics import MeteringMetrics
from trunkline.bus import messages, subjects
from trunkline.bus.allowance import Meter, MeterKind, Period
from trunkline.bus.inquiry import (
    USAGE_DAYS_MAX,
    USAGE_ROWS_MAX,
    AttemptReport,
    GenerationInquiry,
    GenerationReport,
    Inquiry,
    InquiryRefusal,
    KeyInquiry,
    KeyReport,
    RefusalReason,
    Report,
    UsageInquiry,
    UsageReport,
    UsageSums,
    decode_inquiry,
)
from trunkline.bus.port import Bus, BusError, Message, Unsubscribe
from trunkline.core.clock import Clock
from trunkline.core.ids import JobID
from trunkline.core.usage import UsageSource
from trunkline.policy.meters import meters_of
from trunkline.policy.periods import span_at
from trunkline.policy.readings import read_meters
from trunkline.runtime.tasks import TaskSet
from trunkline.store.allowances import StoredAccount, budget_spent, read_accounts
from trunkline.store.database import Connection, Database, StoreError
from trunkline.store.self_service import DEFAULT_DAYS, own_account, reading, usage_rows
from trunkline.store.terms import load_terms
from trunkline.store.usage import AttemptUsage, find_request

log = structlog.get_logger()

PARALLEL_MAX = 2
"""Questions answered at a time. The pool has eight connections, and settlement, draws and upkeep take three."""

WAITING_MAX = 100
"""Questions that wait; further ones are refused. Most take a millisecond or two, and none waits longer than this many
times that."""

STATEMENT_TIMEOUT_MS = 1500
"""Of one statement: an account with a million answers in its span takes about a second."""

WAIT_MAX_S = 2.0
"""A question that has waited so long is not answered any more: its edge gives up after three seconds."""


class _Asked(NamedTuple):
    reply: str
    question: Inquiry
    at: float


class InquiryDesk:
    """Listens while it is open.

    Args:
        bus: where questions come from.
        database: where the answers are.
        clock, tasks, metrics: of the process.
    """

    def __init__(self, bus: Bus, database: Database, *, clock: Clock, tasks: TaskSet, metrics: MeteringMetrics) -> None:
        self._bus = bus
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._metrics = metrics
        self._waiting: deque[_Asked] = deque()
        self._answering = 0
        self._unsubscribe: Unsubscribe | None = None

    async def open(self) -> None:
        """Listen for questions; harmless while open."""
        if self._unsubscribe is None:
            self._unsubscribe = await self._bus.subscribe(subjects.ASK, self._asked, queue=subjects.ALLOW_QUEUE)

    async def close(self) -> None:
        """Stop listening; harmless while closed."""
        if self._unsubscribe is not None:
            unsubscribe, self._unsubscribe = self._unsubscribe, None
            await unsubscribe()

    def _asked(self, message: Message) -> None:
        try:
            question: Inquiry = decode_inquiry(message.data)
        except msgspec.MsgspecError:
            self._metrics.inquiries.labels("refused").inc()
            return
        if not message.reply:
            return
        if len(self._waiting) >= WAITING_MAX:
            self._metrics.inquiries.labels("busy").inc()
            self._reply(message.reply, InquiryRefusal(RefusalReason.BUSY))
            return
        self._waiting.append(_Asked(message.reply, question, self._clock.now()))
        if self._answering < PARALLEL_MAX:
            self._answering += 1
            self._tasks.spawn(self._answer_waiting(), name="inquiries")

    async def _answer_waiting(self) -> None:
        try:
            while self._waiting:
                asked = self._waiting.popleft()
                if self._clock.now() - asked.at < WAIT_MAX_S:
                    self._reply(asked.reply, await self._answer(asked.question))
                else:
                    self._metrics.inquiries.labels("late").inc()
        finally:
            self._answering -= 1

    def _reply(self, subject: str, report: Report) -> None:
        # A full bus means that the broker does not read; the edge has its deadline.
        with contextlib.suppress(BusError):
            self._bus.publish(subject, messages.encode(report))

    async def _answer(self, question: Inquiry) -> Report:
        try:
            async with self._database.connection() as connection:
                report = await _bounded_report(connection, question)
        except (StoreError, asyncpg.PostgresError) as error:
            log.warning("inquiry_unanswered", error=type(error).__name__)
            self._metrics.postgres_failures.labels("inquiries").inc()
            self._metrics.inquiries.labels("away").inc()
            await self.close()
            return InquiryRefusal(RefusalReason.AWAY)
        self._metrics.inquiries.labels("answered").inc()
        return report


async def _bounded_report(connection: Connection, question: Inquiry) -> Report:
    try:
        return await _report(connection, question)
    except asyncpg.QueryCanceledError:
        return InquiryRefusal(RefusalReason.TOO_MUCH)
    except (ValueError, OverflowError, asyncpg.DataError) as error:
        # No fault of the database, and none of the next question: days that no calendar has, a zone it does not know.
        log.warning("inquiry_unreadable", error=type(error).__name__)
        return InquiryRefusal(RefusalReason.UNREADABLE)


async def _report(connection: Connection, question: Inquiry) -> Report:
    match question:
        case KeyInquiry():
            async with reading(connection, STATEMENT_TIMEOUT_MS):
                report = await _key_report(connection, question)
            if isinstance(report, KeyReport) and question.usage:
                return await _with_sums(connection, question, report)
            return report
        case UsageInquiry():
            async with reading(connection, STATEMENT_TIMEOUT_MS):
                return await _usage_report(connection, question)
        case GenerationInquiry(account, job):
            async with reading(connection, STATEMENT_TIMEOUT_MS):
                attempts = await find_request(connection, JobID(job))
            # One that is not this account's is told apart from one that is not there by nothing.
            return GenerationReport(tuple(_attempt(attempt) for attempt in attempts if attempt.account == account))


async def _key_report(connection: Connection, question: KeyInquiry) -> Report:
    account, key = question.account, question.key
    own = await own_account(connection, account)
    stored = (await read_accounts(connection, (account,))).get(account)
    terms = (await load_terms(connection, {account: (key,)})).get(account)
    if own is None or stored is None or terms is None:
        return InquiryRefusal(RefusalReason.UNKNOWN)
    meters = meters_of(terms)
    spent = await _spent(connection, account, meters, stored, own.time_zone)
    return KeyReport(
        tier=own.tier,
        time_zone=own.time_zone,
        today=own.today.isoformat(),
        balance_nano=stored.balance_nano,
        charged_nano=own.charged_nano,
        readings=read_meters(meters, stored.state, spent, own.time_zone, stored.now_ms),
    )


async def _with_sums(connection: Connection, question: KeyInquiry, report: KeyReport) -> KeyReport:
    """Add what the key was charged for; of a very busy one only the periods that can be summed up in time."""
    today = dt.date.fromisoformat(report.today)
    whose = UsageInquiry(question.account, question.key)
    found: dict[str, UsageSums] = {}
    firsts = {"day": today, "week": today - dt.timedelta(days=today.weekday()), "month": today.replace(day=1)}
    try:
        for period, first in firsts.items():
            async with reading(connection, STATEMENT_TIMEOUT_MS):
                (row,) = await usage_rows(connection, whose, report.time_zone, first, today)
            found[period] = row.sums
    except asyncpg.QueryCanceledError:
        pass
    return msgspec.structs.replace(report, **found)


async def _spent(
    connection: Connection, account: int, meters: tuple[Meter, ...], stored: StoredAccount, time_zone: str
) -> dict[str, int]:
    """Return what is spent of each budget in its period, also of one by which nothing was decided yet."""
    spent = {}
    for meter in meters:
        if meter.kind is MeterKind.MONEY and meter.period is not Period.NONE:
            start = span_at(meter.period, time_zone, stored.now_ms).start
            known = stored.spent.get((meter.id, start))
            spent[meter.id] = (
                await budget_spent(connection, account, meter, start, time_zone) if known is None else known
            )
    return spent


async def _usage_report(connection: Connection, question: UsageInquiry) -> Report:
    own = await own_account(connection, question.account)
    if own is None:
        return InquiryRefusal(RefusalReason.UNKNOWN)
    last = dt.date.fromisoformat(question.last) if question.last else own.today
    first = dt.date.fromisoformat(question.first) if question.first else last - dt.timedelta(days=DEFAULT_DAYS - 1)
    if not 0 <= (last - first).days < USAGE_DAYS_MAX:
        return InquiryRefusal(RefusalReason.TOO_LONG)
    rows = await usage_rows(connection, question, own.time_zone, first, last)
    if len(rows) > USAGE_ROWS_MAX:
        return InquiryRefusal(RefusalReason.TOO_MUCH)
    return UsageReport(own.time_zone, first.isoformat(), last.isoformat(), tuple(rows))


def _attempt(attempt: AttemptUsage) -> AttemptReport:
    return AttemptReport(
        model=attempt.model,
        group=attempt.group,
        outcome=attempt.outcome,
        status=attempt.status,
        stream=attempt.stream,
        charged=attempt.charged,
        counted=attempt.usage.source is UsageSource.COUNTED,
        units=attempt.usage.units,
        charge_nano=attempt.charge_nano,
        started_ms=round(attempt.started_at.timestamp() * 1000),
        first_token_ms=attempt.first_token_ms,
        duration_ms=attempt.duration_ms,
        asked=attempt.asked,
        continues=attempt.continues,
        joined_output=attempt.joined_output,
    )
