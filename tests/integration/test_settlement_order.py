"""Two that settle at the same time meet in one order, so that one waits for the other instead of both."""

import datetime as dt
import random

import msgspec
import pytest

from tests.support import usage_events
from tests.support.usage_events import STARTED_MS, usage_event
from tests.support.waiting import eventually
from trunkline.bus.messages import UsageEvent
from trunkline.core.usage import Units, UsageSource
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Connection, Database
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import BudgetPeriod, settle

DAY = dt.datetime.fromtimestamp(STARTED_MS / 1000, dt.UTC).date()
METERS = [f"key:{number}:daily" for number in range(1, 7)]
WAITS_WITHIN_S = 10.0

# As files have rows: in the order in which they were written, as long as none has gone.
_WRITTEN = {
    "usage": "select job, attempt from usage order by tableoid, ctid",
    "transfers": "select job, attempt from transfers order by tableoid, ctid",
}


@pytest.mark.parametrize("plans", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("off", ["", "enable_nestloop", "enable_hashjoin", "enable_mergejoin"])
@pytest.mark.parametrize("size", [1, 30, 400])
async def test_attempts_are_written_by_job_whatever_the_plan(
    database: Database, plans: str, off: str, size: int
) -> None:
    draw = random.Random(size)
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        await connection.execute(f"set plan_cache_mode = {plans}")
        if off:
            await connection.execute(f"set {off} = off")
        # Some have no price, and so no transfers; the others a charge and a cost.
        events = [usage_event(model=draw.choice(["small", "unknown"]), units=Units(input=1000)) for _ in range(size)]
        draw.shuffle(events)
        await settle(connection, events, await load_price_book(connection, await read_mark(connection)))
        priced = sum(event.model == "small" for event in events)
        for table, statement in _WRITTEN.items():
            written = [tuple(row) for row in await connection.fetch(statement)]
            assert written == sorted(written), table
            assert len(written) == {"usage": size, "transfers": 2 * priced}[table]
        await connection.execute("reset all")


async def test_budgets_are_locked_in_one_order(database: Database, tasks: TaskSet) -> None:
    """Who waits for the first of them holds none of the others."""
    async with database.connection() as connection, database.connection() as other:
        await usage_events.add_prices(connection)
        shuffled = random.Random(3).sample(METERS, len(METERS))
        await connection.executemany(
            "insert into budget_spending values (1, $1, $2, 0)", [(meter, DAY) for meter in shuffled]
        )
        book = await load_price_book(connection, await read_mark(connection))
        counted = [BudgetPeriod(meter, DAY) for meter in shuffled]
        for first in range(len(METERS)):
            events = [usage_event(units=Units(input=1000)) for _ in range(3)]
            async with other.transaction():
                await _lock(other, [METERS[first]])
                settling = tasks.spawn(settle(connection, events, book, lambda _: counted), name="settling")

                async def waits() -> bool:
                    return await other.fetchval("select count(*) > 0 from pg_locks where not granted")

                await eventually(waits, within_s=WAITS_WITHIN_S, what="settlement waits")
                await _lock(other, METERS[first + 1 :])
            await settling
        spent = await connection.fetch("select distinct spent_nano from budget_spending")
        assert len(spent) == 1
        assert spent[0][0] > 0


async def test_settlement_and_corrections_do_not_wait_for_each_other(database: Database, tasks: TaskSet) -> None:
    """Of an account whose dispatcher was taken for dead, and that goes on."""
    async with database.connection() as connection, database.connection() as other:
        await usage_events.add_prices(connection)
        book = await load_price_book(connection, await read_mark(connection))
        counted = [BudgetPeriod(METERS[0], DAY)]
        await connection.execute("insert into budget_spending values (1, $1, $2, 0)", METERS[0], DAY)
        exact = [_used(output=50) for _ in range(200)]
        guessed = [
            msgspec.structs.replace(event, units=Units(input=100, output=3), source=UsageSource.COUNTED)
            for event in exact
        ]
        await settle(connection, guessed, book, lambda _: counted, checkpoints=True)
        corrected = settled = 0

        async def correct() -> None:
            nonlocal corrected
            for start in range(0, len(exact), 10):
                batch = await settle(connection, exact[start : start + 10], book, lambda _: counted)
                corrected += batch.corrected

        correcting = tasks.spawn(correct(), name="correcting")
        while not correcting.done():
            settled += (await settle(other, [_used() for _ in range(20)], book, lambda _: counted)).events
        await correcting
        assert corrected == len(exact)
        assert settled >= 20
        spent = await connection.fetchval("select spent_nano from budget_spending")
        assert spent == await connection.fetchval("select sum(charge_nano) from usage") > 0


def _used(output: int = 50) -> UsageEvent:
    return usage_event(units=Units(input=100, output=output), lease=7)


async def _lock(connection: Connection, meters: list[str]) -> None:
    """Lock rows, or raise if another transaction holds one of them."""
    statement = "select from budget_spending where account_id = 1 and meter = any($1) for update nowait"
    await connection.execute(statement, meters)
