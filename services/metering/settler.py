"""Settles events with current prices, and keeps a bad one from holding up the good ones. Called by `consumer`."""

from collections.abc import Mapping, Sequence

import structlog

from services.metering.metrics import MeteringMetrics
from services.metering.settle_trace import trace_settled
from services.metering.terms import TermsBook
from trunkline.bus import messages
from trunkline.bus.allowance import MeterKind, Period
from trunkline.bus.messages import UsageBatch, UsageEvent, VoidJob
from trunkline.core.clock import Clock
from trunkline.core.ids import JOB_BYTES, JobID, minted_ms
from trunkline.policy.discounts import Discounts
from trunkline.policy.meters import AccountTerms, counts, has_budgets, meters_of
from trunkline.policy.periods import span_at
from trunkline.policy.pricing import PriceBook
from trunkline.runtime.tracer import NO_TRACER, Tracer
from trunkline.store.database import Connection, Database
from trunkline.store.prices import PriceMark, load_price_book, read_mark
from trunkline.store.settlement import BudgetPeriod, RefusedContentError, settle
from trunkline.store.usage import set_aside
from trunkline.store.void_jobs import take_back

log = structlog.get_logger()

BIGINT_MAX = (1 << 63) - 1
"""Of numbers that Postgres keeps; what is beyond it is no account and no lease."""

VOID_AGE_MAX_MS = 3_600_000
"""How old a job may be whose edge says that it came to nothing: longer than any job takes and any short cut, so that an
edge that is taken over cannot void what was served long ago."""

PRICES_AGE_MAX_S = 1.0
"""How long a new price may take to apply."""


class Settler:
    """Settles events.

    Args:
        database: to settle in.
        terms: which budgets count an event.
        clock, metrics, tracer: of the process.
    """

    def __init__(
        self,
        database: Database,
        terms: TermsBook,
        *,
        clock: Clock,
        metrics: MeteringMetrics,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self._database = database
        self._terms = terms
        self._clock = clock
        self._metrics = metrics
        self._tracer = tracer
        self._book = PriceBook({}, {}, {})
        self._mark: PriceMark | None = None
        self._checked = 0.0

    async def settle(self, events: Sequence[UsageEvent], *, checkpoints: bool = False) -> int:
        """Book all events, in one transaction unless the content of one of them forbids it.

        Then the batch is halved until the bad event stands alone; it is set aside, and the others are settled.

        Args:
            events: exact usage, or
            checkpoints: what lost dispatchers had said of attempts under way.

        Returns:
            How many had not been booked before.

        Raises:
            StoreError: Postgres is not available. Part of the events may be settled; all may be given again.
            asyncpg.PostgresError: Postgres is there and cannot do it (not migrated, read-only); as above.
        """
        book = await self._current_prices(events)
        booked = 0
        waiting = [events]
        while waiting:
            part = waiting.pop()
            try:
                booked += await self._settle(part, book, checkpoints=checkpoints)
            except RefusedContentError as error:
                if len(part) == 1:
                    await self._set_event_aside(part[0], error.reason)
                else:
                    middle = len(part) // 2
                    waiting += [part[middle:], part[:middle]]
        return booked

    async def _settle(self, events: Sequence[UsageEvent], book: PriceBook, *, checkpoints: bool) -> int:
        began = self._clock.now()
        async with self._database.connection() as connection:
            keys: dict[int, set[int]] = {}
            for event in events:
                keys.setdefault(event.account, set()).add(event.key)
            terms = await self._terms.load(connection, keys)
            batch = await settle(
                connection, events, book, lambda event: _budgets(event, terms), checkpoints=checkpoints
            )
        took_s = self._clock.now() - began
        self._metrics.settled(batch, took_s)
        if batch.corrected:
            log.info("orphans_corrected", attempts=batch.corrected)
        if self._tracer.on:
            trace_settled(self._tracer, events, batch, took_s)
        return batch.events

    async def take_back(self, jobs: Sequence[VoidJob]) -> None:
        """Let clients pay nothing for jobs that came to nothing, as long as these are not too old to be believed.

        Raises:
            StoreError, asyncpg.PostgresError: as for `settle`.
        """
        oldest_ms = self._clock.wall_ms() - VOID_AGE_MAX_MS
        believed = [void for void in jobs if _is_sound(void) and minted_ms(JobID(void.job)) >= oldest_ms]
        refunded = 0
        if believed:
            async with self._database.connection() as connection:
                refunded = await take_back(connection, believed)
        self._metrics.void_jobs.labels("noted").inc(len(believed) - refunded)
        self._metrics.void_jobs.labels("refunded").inc(refunded)
        self._metrics.void_jobs.labels("refused").inc(len(jobs) - len(believed))
        if len(believed) < len(jobs):
            log.warning("void_jobs_refused", jobs=len(jobs) - len(believed))

    async def _current_prices(self, events: Sequence[UsageEvent]) -> PriceBook:
        """Return prices no older than `PRICES_AGE_MAX_S`; and the newest, when a model seems to have none."""
        now = self._clock.now()
        known = all(self._book.knows(model) for model in {event.model for event in events})
        if not known or self._is_old(now):
            async with self._database.connection() as connection:
                await self._read_prices(connection, now)
        return self._book

    async def discounts(self, connection: Connection) -> Discounts:
        """Return the schedules of volume discounts, no older than `PRICES_AGE_MAX_S`: also where nothing is settled.

        Raises:
            asyncpg.PostgresError: as for `settle`.
        """
        now = self._clock.now()
        if self._is_old(now):
            await self._read_prices(connection, now)
        return self._book.discounts

    def _is_old(self, now: float) -> bool:
        return self._mark is None or now - self._checked >= PRICES_AGE_MAX_S

    async def _read_prices(self, connection: Connection, now: float) -> None:
        mark = await read_mark(connection)
        if mark != self._mark:
            self._book = await load_price_book(connection, mark)
            self._mark = mark
        self._checked = now

    async def _set_event_aside(self, event: UsageEvent, reason: str) -> None:
        async with self._database.connection() as connection:
            await set_aside(connection, subject=None, payload=messages.encode(UsageBatch((event,))), reason=reason)
        self._metrics.events.labels("refused").inc()
        log.error("usage_event_refused", job=event.job.hex(), attempt=event.attempt, reason=reason)

    async def set_message_aside(self, subject: str, payload: bytes, reason: str) -> None:
        """Keep a message that is no usage batch.

        Raises:
            StoreError, asyncpg.PostgresError: as for `settle`.
        """
        async with self._database.connection() as connection:
            await set_aside(connection, subject=subject, payload=payload, reason=reason)
        self._metrics.messages_refused.inc()
        log.error("usage_message_refused", subject=subject, size_bytes=len(payload), reason=reason)


def _is_sound(void: VoidJob) -> bool:
    return len(void.job) == JOB_BYTES and 0 <= void.account <= BIGINT_MAX >> 3 and 0 <= void.lease <= BIGINT_MAX


def _budgets(event: UsageEvent, terms: Mapping[int, AccountTerms]) -> list[BudgetPeriod]:
    """Return the budgets that count an event. Of a deleted account none."""
    account = terms.get(event.account)
    if account is None or not has_budgets(account):
        return []
    return [
        BudgetPeriod(meter.id, span_at(meter.period, account.time_zone, event.started_ms).start)
        for meter in meters_of(account)
        if meter.kind is MeterKind.MONEY
        and meter.period is not Period.NONE
        and counts(meter, key=event.key, user=event.user, model=event.model, group=event.group)
    ]
