"""What nothing reads any more of allowances is deleted, and what may still be read is not."""

import datetime as dt

import pytest
from prometheus_client import CollectorRegistry

from services.metering import retention as retention_module
from services.metering.metrics import MeteringMetrics
from services.metering.postgres_clock import PostgresClock
from services.metering.retention import Retention
from tests.support import usage_events
from trunkline.bus.allowance import WALLET
from trunkline.core import limits
from trunkline.policy.grants import AccountState, LeaseState
from trunkline.runtime.clock import SystemClock
from trunkline.store import stale_allowances
from trunkline.store.allowances import WrittenAccount, read_accounts, write_states
from trunkline.store.database import Connection, Database
from trunkline.store.stale_allowances import (
    PERIODS_KEPT_DAYS,
    Forgotten,
    forget_idle_accounts,
    forget_periods,
)

IDLE = AccountState()
LEASED = AccountState({1: LeaseState("edge-1")})


async def write(connection: Connection, account: int, state: AccountState) -> None:
    version = (await read_accounts(connection, [account]))[account].version
    await write_states(connection, [WrittenAccount(account, version, state, durable=False)])


def no_leap(_now_ms: int) -> int:
    return 0


async def accounts_with(connection: Connection, *states: AccountState) -> list[int]:
    accounts = [await usage_events.add_account(connection, f"account-{number}") for number in range(len(states))]
    for account, state in zip(accounts, states, strict=True):
        await write(connection, account, state)
    return accounts


async def kept(connection: Connection) -> list[int]:
    return [row[0] for row in await connection.fetch("select account_id from allowances order by 1")]


async def test_a_state_goes_when_it_has_no_lease_and_nothing_of_it_counts(database: Database) -> None:
    now = dt.datetime.now(dt.UTC)
    minute, day = round(now.timestamp() * 1000) // limits.BUCKET_MS, now.date().toordinal()
    async with database.connection() as connection:
        states = (
            IDLE,
            LEASED,
            AccountState({}, {"rpm": {minute: 1}}),
            AccountState({}, {"rpm": {minute - 1000: 1}}),
            AccountState({}, {"rpd": {day - 1: 1}}),
            AccountState({}, {"rpd": {day - 3: 1}}),
        )
        accounts = await accounts_with(connection, *states)
        assert await forget_idle_accounts(connection, 0, 100, no_leap) == Forgotten(3, 0)
        assert await kept(connection) == [accounts[1], accounts[2], accounts[4]]


async def test_units_of_before_a_leap_of_the_clock_keep_their_state(database: Database) -> None:
    heard = []

    def leapt(now_ms: int) -> int:
        heard.append(now_ms)
        return 7_200_000

    async with database.connection() as connection:
        now_ms = round(dt.datetime.now(dt.UTC).timestamp() * 1000)
        before, long_before = ((now_ms - 7_200_000 - age_ms) // limits.BUCKET_MS for age_ms in (50_000, 70_000))
        accounts = await accounts_with(
            connection, *[AccountState({}, {"rpm": {bucket: 1}}) for bucket in (before, long_before)]
        )
        assert await forget_idle_accounts(connection, 0, 100, leapt) == Forgotten(1, 0)
        assert await kept(connection) == accounts[:1]
    assert heard == [pytest.approx(now_ms, abs=10_000)]


async def test_a_state_that_changed_since_it_was_read_stays(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database.connection() as connection:
        (account,) = await accounts_with(connection, IDLE)
        # Somebody draws on it while it is looked at.
        rows = await connection.fetch(stale_allowances._STATES, 0, 100)
        await write(connection, account, LEASED)

        class Stale:
            async def fetch(self, statement: str, *values: object) -> object:
                return rows if statement is stale_allowances._STATES else await connection.fetch(statement, *values)

            execute = staticmethod(connection.execute)

        assert await forget_idle_accounts(Stale(), 0, 100, no_leap) == Forgotten(0, 0)
        assert (await read_accounts(connection, [account]))[account].state == LEASED


async def test_what_was_booked_of_leases_that_are_no_more_goes(database: Database) -> None:
    async with database.connection() as connection:
        idle, leased = await accounts_with(connection, IDLE, LEASED)
        rows = [(account, 1, WALLET, 5) for account in (idle, leased, leased + 1)]
        await connection.executemany("insert into lease_settlements values ($1, $2, $3, $4)", rows)
        await forget_idle_accounts(connection, 0, 100, no_leap)
        left = await connection.fetch("select account_id from lease_settlements")
        assert [row["account_id"] for row in left] == [leased]


async def test_periods_go_that_are_too_old_for_anybody_to_read(database: Database) -> None:
    async with database.connection() as connection:
        today = await connection.fetchval("select current_date")
        days = (0, PERIODS_KEPT_DAYS - 1, PERIODS_KEPT_DAYS, 400)
        await connection.executemany(
            "insert into budget_spending values (1, 'account:daily', $1, 5)",
            [(today - dt.timedelta(days=age),) for age in days],
        )
        assert await forget_periods(connection) == 2
        left = await connection.fetch("select period_start from budget_spending order by 1 desc")
        assert [(today - row["period_start"]).days for row in left] == [0, PERIODS_KEPT_DAYS - 1]


async def test_metering_looks_at_all_accounts_in_turn(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention_module, "ACCOUNTS_MAX", 2)
    clock, metrics = SystemClock(), MeteringMetrics(CollectorRegistry())
    retention = Retention(database, 90, PostgresClock(clock, metrics), clock=clock, metrics=metrics)
    async with database.connection() as connection:
        await accounts_with(connection, *[IDLE] * 5)
        left = []
        for _ in range(3):
            await retention.keep()
            left.append(len(await kept(connection)))
        assert left == [3, 1, 0]
        (first,) = await connection.fetch("select id from accounts order by id limit 1")
        await write(connection, first["id"], IDLE)
        await retention.keep()
        assert await kept(connection) == []
