"""Jobs that came to nothing, as their edges say: they are charged nothing, whether that is heard before or after."""

import asyncio
import datetime as dt
from collections.abc import Sequence

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from services.metering.metrics import MeteringMetrics
from services.metering.settler import VOID_AGE_MAX_MS, Settler
from services.metering.terms import TermsBook
from tests.support import usage_events
from tests.support.usage_events import usage_event
from trunkline.bus.allowance import WALLET
from trunkline.bus.messages import UsageEvent, VoidJob
from trunkline.core.ids import JobID, JobIDMint, job_text
from trunkline.core.usage import Units, UsageSource
from trunkline.runtime.clock import SystemClock
from trunkline.store import ledger, ledger_checks
from trunkline.store.corrections import refund_charge
from trunkline.store.database import Connection, Database
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import BudgetPeriod, SettledBatch, settle
from trunkline.store.statements import read_statement
from trunkline.store.void_jobs import forget_void_jobs, take_back

NOW = dt.datetime.now(dt.UTC)
LEASE = (1 << 63) - 7
"""They are drawn from nearly all numbers that there are."""

DAILY = "account:daily"


def by_day(_: UsageEvent) -> Sequence[BudgetPeriod]:
    return [BudgetPeriod(DAILY, NOW.date())]


async def settle_all(connection: Connection, *events: UsageEvent, checkpoints: bool = False) -> SettledBatch:
    book = await load_price_book(connection, await read_mark(connection))
    return await settle(connection, events, book, by_day, checkpoints=checkpoints)


async def assert_paid(connection: Connection, account: int, nano: int) -> None:
    """The account has paid so much in the end, and all that is projected says the same."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        assert {name: found async for name, found in ledger_checks.check(connection) if found} == {}
    assert await ledger.balance(connection, account) == -nano
    assert await connection.fetchval("select spent_nano from budget_spending") == nano
    settled = await connection.fetch("select meter, settled_nano from lease_settlements where lease = $1", LEASE)
    assert {row["meter"]: row["settled_nano"] for row in settled if row["settled_nano"]} == (
        {WALLET: nano, DAILY: nano} if nano else {}
    )


class World:
    def __init__(self, database: Database, account: int) -> None:
        self.database = database
        self.account = account

    def event(self, job: bytes | None = None, attempt: int = 0, output: int = 50) -> UsageEvent:
        units = Units(input=100, output=output)
        return usage_event(
            job=job,
            attempt=attempt,
            account=self.account,
            units=units,
            lease=LEASE,
            started_ms=round(NOW.timestamp() * 1000),
        )

    def void(self, event: UsageEvent) -> VoidJob:
        return VoidJob(event.job, self.account, LEASE)


@pytest.fixture
async def world(database: Database) -> World:
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        account: int = await connection.fetchval(
            """insert into accounts (name, budgets) values ('acme', '{"daily_nano": 5}') returning id"""
        )
        await connection.execute("insert into budget_spending values ($1, $2, $3, 0)", account, DAILY, NOW.date())
    return World(database, account)


async def test_what_was_charged_is_refunded_once(world: World) -> None:
    event, other = world.event(), world.event(output=1)
    async with world.database.connection() as connection:
        await settle_all(connection, event, other)
        assert await take_back(connection, [world.void(event), world.void(event)]) == 1
        assert await take_back(connection, [world.void(event)]) == 0
        await settle_all(connection, event)
        await assert_paid(connection, world.account, 102)
        [line] = await read_statement(connection, world.account)
        job = job_text(JobID(event.job))
        assert (line.kind, line.amount_nano, line.reference, line.corrects) == ("refund", 200, f"void {job}", job)


async def test_what_is_settled_later_is_not_charged_and_costs_all_the_same(world: World) -> None:
    event = world.event()
    async with world.database.connection() as connection:
        assert await take_back(connection, [world.void(event)]) == 0
        for _ in range(2):
            booked = await settle_all(connection, event, event)
        assert booked == SettledBatch(0, 2, 0, 0, 0)
        await settle_all(connection, world.event(event.job, attempt=16))
        rows = await connection.fetch("select attempt, charged, charge_nano, cost_nano from usage order by attempt")
        assert [tuple(row) for row in rows] == [(0, False, 0, 75), (16, False, 0, 75)]
        assert await connection.fetchval("select sum(answers)::integer from usage_hours") == 0
        await assert_paid(connection, world.account, 0)


@pytest.mark.parametrize("heard", range(3))
async def test_checkpoints_and_exact_usage_of_a_void_job_come_to_nothing_in_any_order(world: World, heard: int) -> None:
    exact = world.event()
    so_far = msgspec.structs.replace(exact, units=Units(input=100, output=20), source=UsageSource.COUNTED)
    async with world.database.connection() as connection:
        for step in range(3):
            if step == heard:
                await take_back(connection, [world.void(exact)])
            if step < 2:
                await settle_all(connection, exact if step else so_far, checkpoints=step == 0)
        await settle_all(connection, exact)
        row = await connection.fetchrow("select output, counted, cost_nano from usage")
        assert tuple(row) == (50, False, 75)
        await assert_paid(connection, world.account, 0)


async def test_an_edge_voids_nothing_of_another_account_and_nothing_that_a_person_has_refunded(world: World) -> None:
    event, refunded = world.event(), world.event()
    async with world.database.connection() as connection:
        await settle_all(connection, event, refunded)
        await refund_charge(connection, world.account, JobID(refunded.job), amount_nano=50, reference="sorry")
        assert await take_back(connection, [VoidJob(event.job, world.account + 1), world.void(refunded)]) == 0
        assert await ledger.balance(connection, world.account) == -350
        later = world.event()
        await take_back(connection, [VoidJob(later.job, world.account + 1)])
        assert (await settle_all(connection, later)).charge_nano == 200


async def test_settlement_and_the_word_at_once_leave_nothing_charged(world: World) -> None:
    events = [world.event() for _ in range(40)]

    async def settled(part: list[UsageEvent]) -> None:
        async with world.database.connection() as connection:
            await settle_all(connection, *part)

    async def voided(part: list[UsageEvent]) -> None:
        async with world.database.connection() as connection:
            await take_back(connection, [world.void(event) for event in part])

    parts = [events[start : start + 4] for start in range(0, len(events), 4)]
    await asyncio.gather(*(each(part) for part in parts for each in (settled, voided, settled)))
    async with world.database.connection() as connection:
        assert await connection.fetchval("select count(*) from usage") == len(events)
        await assert_paid(connection, world.account, 0)


async def test_what_is_noted_is_forgotten_in_its_time(world: World) -> None:
    event = world.event()
    now = dt.datetime.now(dt.UTC)
    async with world.database.connection() as connection:
        await take_back(connection, [world.void(event)])
        await forget_void_jobs(connection, now - dt.timedelta(minutes=1))
        assert await connection.fetchval("select count(*) from void_jobs") == 1
        await forget_void_jobs(connection, now + dt.timedelta(minutes=1))
        assert await connection.fetchval("select count(*) from void_jobs") == 0


async def test_of_old_jobs_no_edge_is_believed(world: World) -> None:
    clock, registry = SystemClock(), CollectorRegistry()
    metrics = MeteringMetrics(registry)
    settler = Settler(world.database, TermsBook(clock), clock=clock, metrics=metrics)
    mint, now_ms = JobIDMint(3), clock.wall_ms()
    ages_ms = [0, VOID_AGE_MAX_MS - 60_000, VOID_AGE_MAX_MS + 60_000]
    events = [world.event(mint.mint(now_ms - age_ms)) for age_ms in ages_ms]
    await settler.settle(events[:1] + events[2:])
    job, account = events[0].job, world.account
    unsound = [(b"no job", account, 0), (job, 1 << 60, 0), (job, account, -1), (job, account, 1 << 63)]
    await settler.take_back([*(world.void(event) for event in events), *(VoidJob(*each) for each in unsound)])
    await settler.settle(events)
    async with world.database.connection() as connection:
        assert await ledger.balance(connection, world.account) == -200
    assert {
        result: registry.get_sample_value("trunkline_metering_void_jobs_total", {"result": result})
        for result in ("noted", "refunded", "refused")
    } == {"noted": 1, "refunded": 1, "refused": 5}
