"""Allowances in a real Postgres: states that are written by whoever read them last, and budgets begun in mid-period."""

import asyncio
import datetime as dt
from collections.abc import Collection, Iterator

import pytest

from tests.support import usage_events
from tests.support.servers import PostgresServer, ServerError, running_postgres
from tests.support.usage_events import STARTED_MS, usage_event
from tests.support.waiting import eventually
from trunkline.bus.allowance import WALLET, Meter, MeterKind, Period
from trunkline.core.usage import Units
from trunkline.policy.grants import AccountState, LeaseState
from trunkline.policy.periods import span_at
from trunkline.store import allowances, ledger
from trunkline.store import database as store_database
from trunkline.store.allowances import (
    OpenedBudget,
    StoredAccount,
    WrittenAccount,
    accounts_of_edges,
    budget_spent,
    closing_accounts,
    forget_accounts,
    forget_leases,
    known_edges,
    open_budgets,
    read_accounts,
    write_states,
)
from trunkline.store.database import Connection, Database, StoreError
from trunkline.store.migrate import migrate
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import BudgetPeriod, settle

TODAY = span_at(Period.DAY, "UTC", STARTED_MS).start
DAILY = Meter("account:daily", MeterKind.MONEY, Period.DAY, 10**9)
DEADLINE_S = 20.0


def leases(*edges: str, closing: Collection[str] = ()) -> AccountState:
    return AccountState({at: LeaseState(edge, closing=edge in closing) for at, edge in enumerate(edges, 1)})


async def read(connection: Connection, account: int) -> StoredAccount:
    return (await read_accounts(connection, (account,)))[account]


async def write(
    connection: Connection, account: int, version: int, state: AccountState, *, durable: bool = False
) -> bool:
    return await write_states(connection, [WrittenAccount(account, version, state, durable)]) == {account}


async def spending(connection: Connection) -> dict[tuple[int, str, dt.date], int]:
    rows = await connection.fetch("select account_id, meter, period_start, spent_nano from budget_spending")
    return {(row["account_id"], row["meter"], row["period_start"]): row["spent_nano"] for row in rows}


# --- states --------------------------------------------------------------------------------------------------


async def test_an_account_that_nobody_has_drawn_on_is_empty_and_one_that_is_not_there_is_left_out(
    database: Database,
) -> None:
    async with database.connection() as connection:
        account = await usage_events.add_account(connection)
        await ledger.grant_credit(connection, account, 500, "start")
        found = await read_accounts(connection, (account, 10**6))
        assert set(found) == {account}
        assert found[account]._replace(version=0, now_ms=0) == StoredAccount(0, AccountState(), 500, {}, {}, 0, {})
        now_ms = await connection.fetchval("select (extract(epoch from clock_timestamp()) * 1000)::bigint")
        assert 0 <= now_ms - found[account].now_ms < 5_000


async def test_many_accounts_are_read_each_with_its_own(database: Database) -> None:
    async with database.connection() as connection:
        accounts = [await usage_events.add_account(connection, f"account-{number}") for number in range(100)]
        for number, account in enumerate(accounts):
            await ledger.grant_credit(connection, account, 1_000 + number, "start")
        states = [WrittenAccount(each, 0, AccountState({}, {"rpm": {5: each}}), durable=False) for each in accounts]
        assert await write_states(connection, states) == set(accounts)
        await connection.executemany(
            "insert into lease_settlements values ($1, $2, $3, $4)",
            [
                (account, lease, meter, lease * 10)
                for account in accounts
                for lease in (1, 2)
                for meter in (WALLET, "b")
            ],
        )
        await connection.executemany(
            "insert into budget_spending values ($1, $2, $3, $4)",
            [
                (account, "b", dt.datetime.now(dt.UTC).date() - dt.timedelta(days=age), age)
                for account in accounts
                for age in (0, 40)
            ],
        )
        found = await read_accounts(connection, accounts)
    today = dt.datetime.now(dt.UTC).date()
    assert len(found) == 100
    for number, account in enumerate(accounts):
        stored = found[account]
        assert (stored.version, stored.state.windows, stored.balance_nano) == (1, {"rpm": {5: account}}, 1_000 + number)
        assert stored.settled == {WALLET: {1: 10, 2: 20}, "b": {1: 10, 2: 20}}
        assert stored.spent == {("b", today): 0}, "what is long over is not read"


async def test_only_one_of_two_who_have_read_the_same_writes(database: Database) -> None:
    async with database.connection() as connection:
        account = await usage_events.add_account(connection)
        assert await write(connection, account, 0, leases("a"))
        assert not await write(connection, account, 0, leases("b")), "both have found nothing"
        assert await write(connection, account, 1, leases("a", "b"))
        assert not await write(connection, account, 1, leases("c"))
        assert not await write(connection, account, 7, leases("c"))
        stored = await read(connection, account)
        assert (stored.version, stored.state) == (2, leases("a", "b"))


async def test_a_state_that_was_deleted_and_made_anew_is_not_taken_for_the_one_before(database: Database) -> None:
    async with database.connection() as connection:
        account = await usage_events.add_account(connection)
        assert await write(connection, account, (await read(connection, account)).version, leases("a"))
        before = await read(connection, account)
        await forget_accounts(connection, [account])
        anew = await read(connection, account)
        assert await write(connection, account, anew.version, leases("b"))
        for _ in range(3):
            assert not await write(connection, account, before.version, leases("a"))
            stored = await read(connection, account)
            assert await write(connection, account, stored.version, stored.state)


async def test_of_several_states_those_are_written_that_nobody_has_changed(database: Database) -> None:
    async with database.connection() as connection:
        first, second, third = [await usage_events.add_account(connection, name) for name in "abc"]
        assert await write(connection, second, 0, leases("x"))
        states = [WrittenAccount(account, 0, leases("y"), durable=False) for account in (third, second, first)]
        assert await write_states(connection, states) == {first, third}
        assert (await read(connection, second)).state == leases("x")
        assert await write_states(connection, []) == set()


async def test_no_change_of_concurrent_writers_is_lost(database: Database) -> None:
    async with database.connection() as connection:
        accounts = [await usage_events.add_account(connection, f"account-{number}") for number in range(3)]

    begun: dict[int, int] = {}

    async def count(times: int) -> None:
        for _ in range(times):
            async with database.connection() as connection:
                waiting = set(accounts)
                while waiting:
                    found = await read_accounts(connection, waiting)
                    for stored in found.values():
                        window = stored.state.windows.setdefault("rpm", {})
                        window[0] = window.get(0, 0) + 1
                    states = [
                        WrittenAccount(each, found[each].version, found[each].state, durable=False) for each in found
                    ]
                    written = await write_states(connection, states)
                    for each in written - begun.keys():
                        begun[each] = found[each].version
                    waiting -= written

    await asyncio.gather(*(count(20) for _ in range(5)))
    async with database.connection() as connection:
        found = await read_accounts(connection, accounts)
    assert [stored.state.windows for stored in found.values()] == [{"rpm": {0: 100}}] * 3
    writes = {account: found[account].version - first for account, first in begun.items()}
    assert writes == dict.fromkeys(accounts, 100)


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


async def test_leases_that_come_or_go_outlive_a_crash(own_postgres: PostgresServer) -> None:
    await migrate(own_postgres.admin_dsn)
    database = await store_database.connect(own_postgres.admin_dsn)
    async with database.connection() as connection:
        account = await usage_events.add_account(connection)
        # On disk with all that came before, since Postgres writes its log in order.
        assert await write(connection, account, 0, leases("a"))
        assert await write(connection, account, 1, leases("a", "b"), durable=True)
    await asyncio.to_thread(own_postgres.kill)

    async def started() -> bool:
        try:
            await asyncio.to_thread(own_postgres.start)
        except ServerError:
            return False  # it refuses to begin while processes of the dead one are still there
        return True

    await eventually(started, within_s=DEADLINE_S, what="Postgres is started")

    async def back() -> StoredAccount | None:
        try:
            async with database.connection() as connection:
                return await read(connection, account)
        except StoreError:
            return None

    stored = await eventually(back, within_s=DEADLINE_S, what="Postgres is back")
    assert (stored.version, stored.state) == (2, leases("a", "b"))
    await database.close()


async def test_accounts_are_found_by_the_edges_that_hold_leases_and_by_leases_that_were_given_up(
    database: Database,
) -> None:
    async with database.connection() as connection:
        first, second, third = [await usage_events.add_account(connection, name) for name in "abc"]
        await write(connection, first, 0, leases("edge-1", "edge-2", "edge-1"))
        await write(connection, second, 0, leases("edge-2", "edge-3", closing=("edge-3",)))
        await write(connection, third, 0, leases())
        assert await known_edges(connection) == {"edge-1", "edge-2", "edge-3"}
        assert await accounts_of_edges(connection, ("edge-1",), 10) == [first]
        assert sorted(await accounts_of_edges(connection, {"edge-2", "edge-9"}, 10)) == [first, second]
        assert len(await accounts_of_edges(connection, {"edge-2"}, 1)) == 1
        assert await closing_accounts(connection, 10) == [second]
        await write(connection, second, 1, leases("edge-2"))
        assert await closing_accounts(connection, 10) == []
        assert await known_edges(connection) == {"edge-1", "edge-2"}
        await forget_accounts(connection, [first])
        assert await known_edges(connection) == {"edge-2"}


async def test_what_was_booked_of_leases_is_forgotten_with_them(database: Database) -> None:
    async with database.connection() as connection:
        rows = [(account, lease, meter, 1) for account in (1, 2, 3) for lease in (1, 2) for meter in ("a", "b")]
        await connection.executemany("insert into lease_settlements values ($1, $2, $3, $4)", rows)
        await forget_leases(connection, {1: [1], 2: (2, 9), 3: []})
        left = await connection.fetch("select distinct account_id, lease from lease_settlements order by 1, 2")
        assert [tuple(row) for row in left] == [(1, 2), (2, 1), (3, 1), (3, 2)]
        await forget_leases(connection, {})
        await forget_accounts(connection, [3])
        assert await connection.fetchval("select count(*) from lease_settlements") == 4


# --- budgets -------------------------------------------------------------------------------------------------


async def settle_all(connection: Connection, *events: dict[str, object], budgets: tuple[str, ...] = ()) -> None:
    book = await load_price_book(connection, await read_mark(connection))
    made = [usage_event(**event) for event in events]  # type: ignore[arg-type]  # a test's
    await settle(connection, made, book, lambda _: [BudgetPeriod(meter, TODAY) for meter in budgets])


@pytest.mark.parametrize(
    ("meter", "nano"),
    [
        (DAILY, 5 * 200),
        (Meter("key:2:daily", MeterKind.MONEY, Period.DAY, 1, key=2), 200),
        (Meter("user:9:daily", MeterKind.MONEY, Period.DAY, 1, user=9), 200),
        (Meter("account:daily:sm*", MeterKind.MONEY, Period.DAY, 1, models=("sm*",)), 4 * 200),
        (Meter("account:daily:x", MeterKind.MONEY, Period.DAY, 1, models=("x", "large")), 200),
    ],
    ids=["all", "key", "user", "models", "other models"],
)
async def test_a_budget_begins_with_what_its_period_has_spent_of_what_it_counts(
    database: Database, meter: Meter, nano: int
) -> None:
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        await usage_events.add_price(connection, model="large", input_price=usage_events.INPUT_PRICE)
        yesterday_ms = STARTED_MS - 24 * 3_600_000
        await settle_all(
            connection,
            {},
            {"key": 2},
            {"user": 9},
            {"model": "large"},
            {},
            {"account": 2},
            {"started_ms": yesterday_ms},
            {"charged": False},
        )
        await open_budgets(connection, [OpenedBudget(1, meter, TODAY, "UTC")])
        assert await spending(connection) == {(1, meter.id, TODAY): nano}
        assert await budget_spent(connection, 1, meter, TODAY, "UTC") == nano


async def test_a_period_begins_at_midnight_of_the_accounts_zone(database: Database) -> None:
    start = dt.date(2026, 10, 25)  # the clocks go back in Berlin
    moments = [dt.datetime(2026, 10, 24, 21, 59, 59, tzinfo=dt.UTC), dt.datetime(2026, 10, 24, 22, tzinfo=dt.UTC)]
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        await settle_all(connection, *({"started_ms": round(at.timestamp() * 1000)} for at in moments))
        assert await budget_spent(connection, 1, DAILY, start, "Europe/Berlin") == 200
        assert await budget_spent(connection, 1, DAILY, start, "UTC") == 0
        assert await budget_spent(connection, 1, DAILY, dt.date(2026, 10, 24), "UTC") == 400
        assert await budget_spent(connection, 1, DAILY, dt.date(2026, 10, 24), "No/Such_Zone") == 400


async def test_a_budget_is_begun_once_and_then_kept_by_settlement(database: Database) -> None:
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        await settle_all(connection, {}, budgets=(DAILY.id,))
        assert await spending(connection) == {}
        budgets = [OpenedBudget(account, DAILY, TODAY, "UTC") for account in (1, 2)]
        await open_budgets(connection, budgets)
        await settle_all(connection, {}, {}, {"account": 2}, budgets=(DAILY.id,))
        await open_budgets(connection, budgets)
        assert await spending(connection) == {(1, DAILY.id, TODAY): 600, (2, DAILY.id, TODAY): 200}


async def test_a_budget_begun_while_settlement_runs_counts_every_charge_once(database: Database) -> None:
    """Whatever was booked before stands in the usage, and whatever is booked after is added to the row."""
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        accounts = [await usage_events.add_account(connection, f"account-{number}") for number in range(24)]

    async def settle_some(worker: int) -> None:
        for turn in range(20):
            events = [
                {"account": account, "units": Units(input=1 + turn)}
                for account in accounts[worker % 2 :: 2] + accounts[:1]
            ]
            async with database.connection() as connection:
                await settle_all(connection, *events, budgets=(DAILY.id,))

    async def open_some() -> None:
        for at in range(0, len(accounts), 3):
            async with database.connection() as connection:
                await open_budgets(
                    connection, [OpenedBudget(each, DAILY, TODAY, "UTC") for each in accounts[at : at + 3]]
                )

    await asyncio.gather(*(settle_some(worker) for worker in range(4)), open_some())
    async with database.connection() as connection:
        rows = await connection.fetch("select account_id, sum(charge_nano)::bigint as nano from usage group by 1")
        spent = {account: nano for (account, _, _), nano in (await spending(connection)).items()}
    assert spent == {row["account_id"]: row["nano"] for row in rows}
    assert spent[accounts[1]] == 2 * sum(range(1, 21))


async def test_a_budget_whose_usage_cannot_be_added_up_in_time_holds_up_nobody(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowances, "COUNT_TIMEOUT_MS", 50)
    async with database.connection() as connection, database.connection() as other:
        async with other.transaction():
            await other.execute("lock table usage in access exclusive mode")
            await open_budgets(connection, [OpenedBudget(1, DAILY, TODAY, "UTC")])
        assert await spending(connection) == {(1, DAILY.id, TODAY): 0}
