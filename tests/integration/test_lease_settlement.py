"""What settlement books of leases and budgets: once per charge, whatever comes twice, late or not at all."""

import datetime as dt
from collections.abc import Sequence

import pytest

from tests.support import usage_events
from tests.support.usage_events import STARTED_MS, usage_event
from trunkline.bus.allowance import WALLET
from trunkline.bus.messages import UsageEvent
from trunkline.core.usage import Units
from trunkline.policy.grants import AccountState, LeaseState
from trunkline.store.allowances import WrittenAccount, read_accounts, write_states
from trunkline.store.database import Connection, Database
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import BudgetPeriod, Budgets, RefusedContentError, settle

DAY = dt.datetime.fromtimestamp(STARTED_MS / 1000, dt.UTC).date()
TOMORROW = DAY + dt.timedelta(days=1)
TOMORROW_MS = STARTED_MS + 24 * 3_600_000
LEASE = 7


def by_day(event: UsageEvent) -> Sequence[BudgetPeriod]:
    """Two budgets of every event, the second one of key 1 only."""
    start = dt.datetime.fromtimestamp(event.started_ms / 1000, dt.UTC).date()
    return [BudgetPeriod("account:daily", start), *([BudgetPeriod("key:1:daily", start)] if event.key == 1 else [])]


async def settle_all(connection: Connection, *events: UsageEvent, budgets: Budgets = by_day) -> None:
    book = await load_price_book(connection, await read_mark(connection))
    await settle(connection, events, book, budgets)


async def settled(connection: Connection) -> dict[tuple[int, int, str], int]:
    rows = await connection.fetch("select account_id, lease, meter, settled_nano from lease_settlements")
    return {(row["account_id"], row["lease"], row["meter"]): row["settled_nano"] for row in rows}


async def spent(connection: Connection) -> dict[tuple[str, dt.date], int]:
    rows = await connection.fetch("select meter, period_start, spent_nano from budget_spending")
    return {(row["meter"], row["period_start"]): row["spent_nano"] for row in rows}


@pytest.fixture
async def prepared(database: Database) -> Database:
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        await connection.executemany(
            "insert into budget_spending values (1, $1, $2, 0)",
            [(meter, day) for meter in ("account:daily", "key:1:daily") for day in (DAY, TOMORROW)],
        )
    return database


async def test_each_charge_is_added_to_its_lease_and_its_budgets(prepared: Database) -> None:
    async with prepared.connection() as connection:
        await settle_all(
            connection,
            usage_event(lease=LEASE),
            usage_event(lease=LEASE, key=2),
            usage_event(lease=8, units=Units(output=1)),
            usage_event(lease=LEASE, started_ms=TOMORROW_MS),
        )
        assert await settled(connection) == {
            (1, LEASE, WALLET): 600,
            (1, LEASE, "account:daily"): 600,
            (1, LEASE, "key:1:daily"): 400,
            (1, 8, WALLET): 2,
            (1, 8, "account:daily"): 2,
            (1, 8, "key:1:daily"): 2,
        }
        assert await spent(connection) == {
            ("account:daily", DAY): 402,
            ("account:daily", TOMORROW): 200,
            ("key:1:daily", DAY): 202,
            ("key:1:daily", TOMORROW): 200,
        }


async def test_copies_change_nothing_in_one_batch_or_in_several(prepared: Database) -> None:
    event, other = usage_event(lease=LEASE), usage_event(lease=LEASE)
    async with prepared.connection() as connection:
        await settle_all(connection, event, event, event)
        await settle_all(connection, event, other, event)
        await settle_all(connection, other)
        assert (await settled(connection))[1, LEASE, WALLET] == 400
        assert (await spent(connection))["account:daily", DAY] == 400


async def test_a_job_is_charged_and_counted_once_whatever_its_attempts_say(prepared: Database) -> None:
    first = usage_event(lease=LEASE)
    async with prepared.connection() as connection:
        await settle_all(connection, first, usage_event(job=first.job, attempt=2, lease=LEASE))
        await settle_all(connection, usage_event(job=first.job, attempt=3, lease=LEASE))
        assert (await settled(connection))[1, LEASE, WALLET] == 200
        assert (await spent(connection))["account:daily", DAY] == 200


@pytest.mark.parametrize("fields", [{"charged": False}, {"units": Units()}], ids=["not charged", "nothing used"])
async def test_what_costs_nothing_is_booked_of_no_lease(prepared: Database, fields: dict[str, object]) -> None:
    async with prepared.connection() as connection:
        await settle_all(connection, usage_event(lease=LEASE, **fields))  # type: ignore[arg-type]  # a test's
        assert await settled(connection) == {}
        assert set((await spent(connection)).values()) == {0}


async def test_a_job_of_no_lease_counts_for_budgets_all_the_same(prepared: Database) -> None:
    async with prepared.connection() as connection:
        await settle_all(connection, usage_event())
        assert await settled(connection) == {}
        assert (await spent(connection))["account:daily", DAY] == 200


async def test_without_a_row_for_its_period_a_budget_gets_none(prepared: Database) -> None:
    async with prepared.connection() as connection:
        before = await spent(connection)
        await settle_all(connection, usage_event(started_ms=TOMORROW_MS + 24 * 3_600_000))
        assert await spent(connection) == before


async def test_a_batch_that_is_refused_leaves_nothing(prepared: Database) -> None:
    good = usage_event(lease=LEASE)
    async with prepared.connection() as connection:
        with pytest.raises(RefusedContentError):
            await settle_all(connection, good, usage_event(lease=LEASE, model="nul\x00"))
        assert await settled(connection) == {}
        await settle_all(connection, good)
        assert (await settled(connection))[1, LEASE, WALLET] == 200
        assert (await spent(connection))["account:daily", DAY] == 200


async def test_a_transaction_that_is_undone_leaves_nothing(prepared: Database) -> None:
    event = usage_event(lease=LEASE)
    async with prepared.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await settle_all(connection, event)
        await transaction.rollback()
        assert await settled(connection) == {}
        await settle_all(connection, event)
        assert (await settled(connection))[1, LEASE, WALLET] == 200


async def test_what_the_balance_loses_the_lease_has_settled_in_any_one_look(prepared: Database) -> None:
    async with prepared.connection() as connection:
        account = await usage_events.add_account(connection)
        assert account == 1
        await settle_all(connection, usage_event(lease=LEASE))
        stored = (await read_accounts(connection, (1,)))[1]
        assert stored.balance_nano + stored.settled[WALLET][LEASE] == 0


async def test_a_charge_that_comes_after_its_lease_has_ended_is_charged_and_stands_in_nobodys_way(
    prepared: Database,
) -> None:
    async with prepared.connection() as connection:
        await usage_events.add_account(connection)
        state = AccountState({8: LeaseState("edge-1", drawn={WALLET: 500})})
        await write_states(connection, [WrittenAccount(1, 0, state, durable=True)])
        await settle_all(connection, usage_event(lease=LEASE))
        stored = (await read_accounts(connection, (1,)))[1]
        assert (stored.balance_nano, stored.state.leases.keys()) == (-200, {8})
        assert stored.settled == {meter: {LEASE: 200} for meter in (WALLET, "account:daily", "key:1:daily")}
