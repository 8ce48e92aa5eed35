"""Exact usage of attempts that a checkpoint was settled for: booked in its place, once, and so is all that follows."""

import asyncio
import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from tests.support import usage_events
from tests.support.usage_events import STARTED_MS, usage_event
from trunkline.bus.allowance import WALLET
from trunkline.bus.messages import UsageEvent
from trunkline.core.ids import JobID
from trunkline.core.usage import Units, UsageSource
from trunkline.store import ledger, ledger_checks
from trunkline.store.configuration import NotFoundError
from trunkline.store.corrections import refund_charge
from trunkline.store.database import Connection, Database
from trunkline.store.exact_usage import forget_checkpoints
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import BudgetPeriod, SettledBatch, settle
from trunkline.store.usage_sums import DIMENSIONS, SUMS, days_to_sum, sum_days

DAY = dt.datetime.fromtimestamp(STARTED_MS / 1000, dt.UTC).date()
MONTH = DAY.replace(day=1)
LEASE = 7
LOST = "gateway_dispatcher_lost"
_BY = ", ".join(DIMENSIONS)


def by_day(_: UsageEvent) -> Sequence[BudgetPeriod]:
    return [BudgetPeriod("account:daily", DAY)]


def exact_event(output: int = 50, **fields: Any) -> UsageEvent:
    return usage_event(units=Units(input=100, output=output), lease=LEASE, **fields)


def so_far(event: UsageEvent, output: int) -> UsageEvent:
    """What a checkpoint has said of an attempt: 100 tokens of input and so much of output."""
    return msgspec.structs.replace(
        event,
        units=Units(input=100, output=output),
        source=UsageSource.COUNTED,
        outcome=LOST,
        charged=True,
        duration_ms=500,
    )


async def settle_all(connection: Connection, *events: UsageEvent, checkpoints: bool = False) -> SettledBatch:
    book = await load_price_book(connection, await read_mark(connection))
    return await settle(connection, events, book, by_day, checkpoints=checkpoints)


async def charges(connection: Connection) -> list[tuple[int, str, bool, int, int, int]]:
    rows = await connection.fetch(
        "select attempt, outcome, counted, output, charge_nano, cost_nano from usage order by job, attempt"
    )
    return [tuple(row) for row in rows]


async def corrections(connection: Connection) -> list[tuple[int, str, int]]:
    """Return attempt, kind and amount; negative for what was given back."""
    rows = await connection.fetch(
        "select attempt, kind::text, case when debit & 7 in (1, 3) then amount_nano else -amount_nano end"
        " from transfers where kind in ('charge_correction', 'cost_correction') order by job, attempt, kind::text"
    )
    return [tuple(row) for row in rows]


async def assert_books(connection: Connection, charged_nano: int, cost_nano: int) -> None:
    """Whatever is projected from what is booked is right."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        assert {name: found async for name, found in ledger_checks.check(connection) if found} == {}
    assert await ledger_checks.look(connection) == []
    assert await ledger.balance(connection, 1) == -charged_nano
    costs = "select -sum(balance_nano) from balances where kind = 'cost_of_sales'"
    assert await connection.fetchval(costs) == cost_nano
    hours = f"select date_bin('1 hour', started_at, 'epoch') as hour, {_BY}, {', '.join(SUMS.values())} from usage"  # noqa: S608
    assert [
        tuple(row)
        for row in await connection.fetch(
            f"select hour, {_BY}, {', '.join(SUMS)} from usage_hours order by hour, {_BY}"  # noqa: S608 - constants
        )
    ] == [tuple(row) for row in await connection.fetch(f"{hours} group by 1, {_BY} order by 1, {_BY}")]
    month = "select sum(spent_nano) from monthly_spending where month = $1"
    assert await connection.fetchval(month, MONTH) == charged_nano
    assert await connection.fetchval("select spent_nano from budget_spending") == charged_nano
    settled = await connection.fetch("select meter, settled_nano from lease_settlements where lease = $1", LEASE)
    assert {row["meter"]: row["settled_nano"] for row in settled} == {
        WALLET: charged_nano,
        "account:daily": charged_nano,
    }


@pytest.fixture
async def prepared(database: Database) -> Database:
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        await connection.execute("insert into budget_spending values (1, 'account:daily', $1, 0)", DAY)
    return database


async def test_what_was_used_beyond_the_checkpoint_is_booked_once(prepared: Database) -> None:
    event = exact_event()
    async with prepared.connection() as connection:
        assert (await settle_all(connection, so_far(event, 20), checkpoints=True)).charge_nano == 140
        await assert_books(connection, 140, 60)
        assert await settle_all(connection, event) == SettledBatch(0, 1, 0, 0, 0, corrected=1)
        for _ in range(2):
            assert await settle_all(connection, event, event) == SettledBatch(0, 2, 0, 0, 0)
        assert await corrections(connection) == [(1, "charge_correction", 60), (1, "cost_correction", 15)]
        assert await charges(connection) == [(1, "", False, 50, 200, 75)]
        await assert_books(connection, 200, 75)
        assert await connection.fetchval("select duration_ms from usage") == event.duration_ms
        # A checkpoint never takes the place of what is exact.
        assert await settle_all(connection, so_far(event, 40), checkpoints=True) == SettledBatch(0, 1, 0, 0, 0)
        assert await charges(connection) == [(1, "", False, 50, 200, 75)]


async def test_what_the_checkpoint_had_too_much_is_given_back(prepared: Database) -> None:
    event = exact_event(output=5, outcome="upstream_cut")
    async with prepared.connection() as connection:
        await settle_all(connection, so_far(event, 20), checkpoints=True)
        assert (await settle_all(connection, event)).corrected == 1
        assert await corrections(connection) == [(1, "charge_correction", -30), (1, "cost_correction", -8)]
        assert await charges(connection) == [(1, "upstream_cut", False, 5, 110, 52)]
        await assert_books(connection, 110, 52)


async def test_an_attempt_that_its_client_does_not_pay_after_all_is_given_back_whole(prepared: Database) -> None:
    event = exact_event(charged=False)
    async with prepared.connection() as connection:
        await settle_all(connection, so_far(event, 20), checkpoints=True)
        await settle_all(connection, event)
        assert await charges(connection) == [(1, "", False, 50, 0, 75)]
        await assert_books(connection, 0, 75)
        with pytest.raises(NotFoundError):
            await refund_charge(connection, 1, JobID(event.job), reference="of nothing")


async def test_exact_usage_that_agrees_corrects_nothing_but_the_row(prepared: Database) -> None:
    event = exact_event(output=20)
    async with prepared.connection() as connection:
        await settle_all(connection, so_far(event, 20), checkpoints=True)
        assert (await settle_all(connection, event)).corrected == 1
        assert await corrections(connection) == []
        assert await charges(connection) == [(1, "", False, 20, 140, 60)]
        await assert_books(connection, 140, 60)


async def test_a_checkpoint_that_came_to_nothing_is_put_right(prepared: Database) -> None:
    event = exact_event()
    nothing = msgspec.structs.replace(so_far(event, 0), units=Units())
    async with prepared.connection() as connection:
        await settle_all(connection, nothing, checkpoints=True)
        assert await settle_all(connection, event) == SettledBatch(0, 1, 0, 200, 75, corrected=1)
        assert await charges(connection) == [(1, "", False, 50, 200, 75)]
        await assert_books(connection, 200, 75)


@pytest.mark.parametrize("order", ["checkpoint first", "answer first"])
@pytest.mark.parametrize("void_last", [True, False])
async def test_the_answer_of_another_offer_is_charged_in_the_place_of_a_checkpoint(
    prepared: Database, order: str, void_last: bool
) -> None:
    void = exact_event(output=30, charged=False, outcome="client_gone")
    answer = exact_event(job=void.job, attempt=17)
    async with prepared.connection() as connection:
        if order == "checkpoint first":
            await settle_all(connection, so_far(void, 20), checkpoints=True)
            await assert_books(connection, 140, 60)
        late = [answer, void] if void_last else [void, answer]
        await settle_all(connection, late[0])
        if order != "checkpoint first":
            await settle_all(connection, so_far(void, 20), checkpoints=True)
        await settle_all(connection, late[1])
        await settle_all(connection, *late)
        assert await charges(connection) == [(1, "client_gone", False, 30, 0, 65), (17, "", False, 50, 200, 75)]
        await assert_books(connection, 200, 140)
        refund = await refund_charge(connection, 1, JobID(void.job), reference="all of it")
        assert refund.amount_nano == 200
        assert await ledger.balance(connection, 1) == 0


async def test_a_job_that_a_person_has_refunded_is_charged_no_more(prepared: Database) -> None:
    event = exact_event()
    async with prepared.connection() as connection:
        await settle_all(connection, so_far(event, 20), checkpoints=True)
        await refund_charge(connection, 1, JobID(event.job), reference="sorry")
        assert (await settle_all(connection, event)).corrected == 1
        assert await corrections(connection) == [(1, "cost_correction", 15)]
        assert await charges(connection) == [(1, "", False, 50, 140, 75)]
        assert await ledger.balance(connection, 1) == 0
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            assert {name: found async for name, found in ledger_checks.check(connection) if found} == {}


async def test_no_more_is_refunded_than_is_left_of_a_charge(prepared: Database) -> None:
    event = exact_event(output=5)
    async with prepared.connection() as connection:
        await settle_all(connection, so_far(event, 20), checkpoints=True)
        await settle_all(connection, event)
        refund = await refund_charge(connection, 1, JobID(event.job), reference="all of it")
        assert (refund.amount_nano, await ledger.balance(connection, 1)) == (110, 0)


async def test_replicas_that_settle_copies_at_once_correct_once(prepared: Database) -> None:
    events = [exact_event(output) for output in range(40, 60)]
    before = [so_far(event, 45) for event in events]

    async def one(*parts: UsageEvent, checkpoints: bool = False) -> SettledBatch:
        async with prepared.connection() as connection:
            return await settle_all(connection, *parts, checkpoints=checkpoints)

    batches = await asyncio.gather(
        one(*before, checkpoints=True), *(one(*events) for _ in range(3)), one(*before[::-1], checkpoints=True)
    )
    batches += [await one(*events)]
    assert sum(batch.events for batch in batches) == len(events)
    async with prepared.connection() as connection:
        assert [row[3] for row in await charges(connection)] == list(range(40, 60))
        await assert_books(
            connection,
            sum(100 + 2 * output for output in range(40, 60)),
            await connection.fetchval("select sum(cost_nano) from usage"),
        )
        assert await connection.fetchval("select count(*) from settled_checkpoints") == 0


async def test_sums_of_a_day_that_is_over_are_made_anew(prepared: Database) -> None:
    event = exact_event()
    over = DAY + dt.timedelta(days=1)
    async with prepared.connection() as connection:
        await settle_all(connection, so_far(event, 20), checkpoints=True)
        assert [day async for day in sum_days(connection, over)] == [DAY]
        await settle_all(connection, event)
        assert await days_to_sum(connection, over) == [DAY]
        assert [day async for day in sum_days(connection, over)] == [DAY]
        rows = await connection.fetch("select account_id, outcome, output, charge_nano from usage_days order by 1")
        assert [tuple(row) for row in rows] == [(0, "", 50, 200), (1, "", 50, 200)]


async def test_projections_made_anew_know_corrections(prepared: Database) -> None:
    event = exact_event(output=5)
    async with prepared.connection() as connection:
        await settle_all(connection, so_far(event, 20), checkpoints=True)
        await settle_all(connection, event)
        await connection.execute("update monthly_spending set spent_nano = 1")
        await connection.execute("update balances set balance_nano = 1")
        await ledger_checks.rebuild(connection)
        await assert_books(connection, 110, 52)


async def test_what_nothing_puts_right_any_more_is_forgotten(prepared: Database) -> None:
    event, other = exact_event(), exact_event(started_ms=STARTED_MS + 24 * 3_600_000)
    async with prepared.connection() as connection:
        await settle_all(connection, so_far(event, 20), so_far(other, 20), checkpoints=True)
        await forget_checkpoints(connection, dt.datetime(DAY.year, DAY.month, DAY.day + 1, tzinfo=dt.UTC))
        assert (await settle_all(connection, event, other)).corrected == 1
        assert [row[3:5] for row in await charges(connection)] == [(20, 140), (50, 200)]


async def test_usage_of_another_account_puts_nothing_right(prepared: Database) -> None:
    event = exact_event()
    async with prepared.connection() as connection:
        await settle_all(connection, so_far(event, 20), checkpoints=True)
        assert (await settle_all(connection, msgspec.structs.replace(event, account=2))).corrected == 0
        assert (await settle_all(connection, msgspec.structs.replace(event, channel=9))).corrected == 0
        await assert_books(connection, 140, 60)
        assert (await settle_all(connection, event)).corrected == 1
        await assert_books(connection, 200, 75)
