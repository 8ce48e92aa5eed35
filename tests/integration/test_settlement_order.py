"""Two that settle at the same time meet in one order, so that one waits for the other instead of both."""

import datetime as dt
import random

import pytest

from tests.support import usage_events
from tests.support.usage_events import STARTED_MS, usage_event
from tests.support.waiting import eventually
from trunkline.core.usage import Units
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
        # Some have no price, and so no transfers.
        events = [usage_event(model=draw.choice(["small", "unknown"]), units=Units(input=1000)) for _ in range(size)]
        draw.shuffle(events)
        await settle(connection, events, await load_price_book(connection, await read_mark(connection)))
        for table, statement in _WRITTEN.items():
            written = [tuple(row) for row in await connection.fetch(statement)]
            assert written == sorted(written), table
        assert len(written) in range(size // 2, 2 * size + 1)
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


async def _lock(connection: Connection, meters: list[str]) -> None:
    """Lock rows, or raise if another transaction holds one of them."""
    statement = "select from budget_spending where account_id = 1 and meter = any($1) for update nowait"
    await connection.execute(statement, meters)
