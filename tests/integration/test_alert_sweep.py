"""Who is told when budgets and balances run low: once per period and threshold, whoever looks and however often."""

import asyncio
import datetime as dt
from typing import Any

import msgspec
import pytest

from tests.support import usage_events
from tests.support.usage_events import usage_event
from trunkline.core.usage import Units
from trunkline.policy.alerts import AlertTerms
from trunkline.policy.meters import (
    NO_BUDGETS,
    AccountTerms,
    Budgets,
    HolderTerms,
    ModelBudget,
    budget_meters,
    meters_of,
)
from trunkline.store import alert_sweep, ledger
from trunkline.store.alert_sweep import sweep
from trunkline.store.alerts import forget_alerts, put_account_terms
from trunkline.store.allowances import RefusingBudget, mark_refusing
from trunkline.store.configuration import json_text
from trunkline.store.corrections import adjust_wallet
from trunkline.store.database import Connection, Database
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import BudgetPeriod, settle

HOOK = "https://hook.example/"


def now_ms() -> int:
    return round(dt.datetime.now(dt.UTC).timestamp() * 1000)


async def look(connection: Connection) -> int:
    raised, _ = await sweep(connection, 0, now_ms())
    return raised


async def add_account(
    connection: Connection, terms: AlertTerms, *, name: str = "acme", budgets: Budgets = NO_BUDGETS, zone: str = "UTC"
) -> int:
    account = await usage_events.add_account(connection, name)
    await put_account_terms(connection, name, terms)
    await connection.execute(
        "update accounts set budgets = $2, time_zone = $3 where id = $1", account, json_text(budgets), zone
    )
    return account


async def payloads(connection: Connection) -> list[dict[str, Any]]:
    rows = await connection.fetch("select payload from alerts order by id")
    return [msgspec.json.decode(row["payload"]) for row in rows]


async def test_a_balance_is_told_of_once_until_it_has_risen(database: Database) -> None:
    async with database.connection() as connection:
        account = await add_account(connection, AlertTerms(balance_below_nano=500, webhook=HOOK, email=("ops@x.y",)))
        await ledger.grant_credit(connection, account, 500, "first")
        assert await look(connection) == 0
        await adjust_wallet(connection, account, -1, "one less")
        assert await look(connection) == 1
        assert await look(connection) == 0
        await adjust_wallet(connection, account, -400, "much less")
        assert await look(connection) == 0
        await ledger.grant_credit(connection, account, 1000, "second")
        assert await look(connection) == 0
        await adjust_wallet(connection, account, -1000, "gone")
        assert await look(connection) == 1
        assert await payloads(connection) == [
            {"account": "acme", "balance_usd": "0.000000499", "below_usd": "0.0000005"},
            {"account": "acme", "balance_usd": "0.000000099", "below_usd": "0.0000005"},
        ]
        ways = await connection.fetch("select channel, target from alert_deliveries order by id limit 2")
        assert [tuple(way) for way in ways] == [("email", "ops@x.y"), ("webhook", HOOK)]


async def test_another_threshold_is_another_occasion(database: Database) -> None:
    async with database.connection() as connection:
        await add_account(connection, AlertTerms(balance_below_nano=5, webhook=HOOK))
        assert await look(connection) == 1
        await put_account_terms(connection, "acme", AlertTerms(balance_below_nano=9, webhook=HOOK))
        assert await look(connection) == 1
        await put_account_terms(connection, "acme", AlertTerms(budget_percent=(50,), webhook=HOOK))
        assert await look(connection) == 0
        await put_account_terms(connection, "acme", AlertTerms(balance_below_nano=9, webhook=HOOK))
        assert await look(connection) == 1


BUDGETS = Budgets(daily_nano=1000, models=(ModelBudget(("sm*",), monthly_nano=2000),))


async def spend(connection: Connection, account: int, nano: int) -> None:
    """Charge an account so much now, for both of its budgets."""
    if not await connection.fetchval("select count(*) from model_prices"):
        await usage_events.add_prices(connection)
    book = await load_price_book(connection, await read_mark(connection))
    today = dt.datetime.now(dt.UTC).date()
    periods = [BudgetPeriod("account:daily", today), BudgetPeriod("account:monthly:sm*", today.replace(day=1))]
    for meter, start in periods:
        await connection.execute(
            "insert into budget_spending values ($1, $2, $3, 0) on conflict do nothing", account, meter, start
        )
    event = usage_event(account=account, units=Units(input=nano), started_ms=now_ms())
    await settle(connection, [event], book, lambda _: periods)


async def test_budgets_are_told_of_once_per_period_and_threshold(database: Database) -> None:
    terms = AlertTerms(budget_percent=(50, 80, 100), webhook=HOOK)
    async with database.connection() as connection:
        account = await add_account(connection, terms, budgets=BUDGETS)
        await spend(connection, account, 499)
        assert await look(connection) == 0
        await spend(connection, account, 1)
        assert await look(connection) == 1
        assert await look(connection) == 0
        await spend(connection, account, 500)
        assert await look(connection) == 3  # 80 and 100 of the day, 50 of the month
        await spend(connection, account, 5000)
        assert await look(connection) == 2
        assert await look(connection) == 0
        told = [(words["budget"], words["percent"], words["models"]) for words in await payloads(connection)]
        assert told == [
            ("daily", 50, []),
            ("daily", 80, []),
            ("daily", 100, []),
            ("monthly", 50, ["sm*"]),
            ("monthly", 80, ["sm*"]),
            ("monthly", 100, ["sm*"]),
        ]
        first = (await payloads(connection))[0]
        assert first == {
            "account": "acme",
            "holder": "account",
            "name": "",
            "budget": "daily",
            "models": [],
            "percent": 50,
            "spent_usd": "0.0000005",
            "limit_usd": "0.000001",
            "period_start": dt.datetime.now(dt.UTC).date().isoformat(),
            "time_zone": "UTC",
        }


async def test_a_budget_that_refuses_is_told_of_as_used_up_once(database: Database) -> None:
    terms = AlertTerms(budget_percent=(50, 80, 100), webhook=HOOK)
    today = dt.datetime.now(dt.UTC).date()
    async with database.connection() as connection:
        account = await add_account(connection, terms, budgets=BUDGETS)
        await spend(connection, account, 600)
        refusing = RefusingBudget(account, "account:daily", today, 1000)
        await mark_refusing(connection, [refusing, refusing._replace(meter="account:monthly", start=today)])
        assert await look(connection) == 2
        assert await look(connection) == 0
        assert [(words["percent"], words["spent_usd"]) for words in await payloads(connection)] == [
            (50, "0.0000006"),
            (100, "0.0000006"),
        ]


async def test_a_budget_that_was_raised_is_no_longer_used_up(database: Database) -> None:
    today = dt.datetime.now(dt.UTC).date()
    async with database.connection() as connection:
        account = await add_account(connection, AlertTerms(budget_percent=(100,), webhook=HOOK), budgets=BUDGETS)
        await spend(connection, account, 600)
        await mark_refusing(connection, [RefusingBudget(account, "account:daily", today, 900)])
        assert await look(connection) == 0
        await mark_refusing(connection, [RefusingBudget(account, "account:daily", today, 1000)])
        assert await look(connection) == 1


async def test_a_new_period_begins_anew_and_one_that_is_over_is_left_alone(database: Database) -> None:
    terms = AlertTerms(budget_percent=(50,), webhook=HOOK)
    async with database.connection() as connection:
        account = await add_account(connection, terms, budgets=BUDGETS)
        today = dt.datetime.now(dt.UTC).date()
        for days in (2, 1):
            day = today - dt.timedelta(days=days)
            await connection.execute("insert into budget_spending values ($1, 'account:daily', $2, 900)", account, day)
        assert await look(connection) == 0
        await connection.execute("insert into budget_spending values ($1, 'account:daily', $2, 900)", account, today)
        assert await look(connection) == 1
        tomorrow_ms = now_ms() + 86_400_000
        await connection.execute(
            "insert into budget_spending values ($1, 'account:daily', $2, 500)", account, today + dt.timedelta(days=1)
        )
        raised, _ = await sweep(connection, 0, tomorrow_ms)
        assert raised == 1


async def test_budgets_of_users_and_keys_are_told_of_by_name(database: Database) -> None:
    terms = AlertTerms(budget_percent=(80,), webhook=HOOK)
    async with database.connection() as connection:
        account = await add_account(connection, terms, zone="Asia/Shanghai")
        budgets = json_text(Budgets(monthly_nano=1000))
        user = await connection.fetchval(
            "insert into users (account_id, name, budgets) values ($1, 'ann', $2) returning id", account, budgets
        )
        key = await connection.fetchval(
            "insert into keys (account_id, name, groups, models, budgets, user_id)"
            " values ($1, 'ci', '{default}', '{*}', $2, $3) returning id",
            account,
            budgets,
            user,
        )
        month = dt.datetime.now(dt.timezone(dt.timedelta(hours=8))).date().replace(day=1)
        for meter in (f"user:{user}:monthly", f"key:{key}:monthly", "key:999:monthly", f"key:{key}:daily"):
            await connection.execute("insert into budget_spending values ($1, $2, $3, 850)", account, meter, month)
        assert await look(connection) == 2
        told = {(words["holder"], words["name"], words["spent_usd"]) for words in await payloads(connection)}
        assert told == {("user", "ann", "0.00000085"), ("key", "ci", "0.00000085")}


async def test_many_that_look_at_once_tell_once(database: Database) -> None:
    terms = AlertTerms(budget_percent=(50,), balance_below_nano=1, webhook=HOOK)
    async with database.connection() as connection:
        account = await add_account(connection, terms, budgets=BUDGETS)
        await spend(connection, account, 600)

    async def look_once() -> int:
        async with database.connection() as connection:
            return await look(connection)

    assert sum(await asyncio.gather(*(look_once() for _ in range(20)))) == 2


async def test_accounts_that_spend_are_looked_at_at_once_and_others_in_turn(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_sweep, "SLICE_MAX", 2)
    terms = AlertTerms(balance_below_nano=5, webhook=HOOK)
    async with database.connection() as connection:
        ids = [await add_account(connection, terms, name=f"account-{number}") for number in range(5)]
        await usage_events.add_account(connection, "wants nothing")
        await connection.execute(
            "insert into allowances (account_id, version, edges, closing, state) values ($1, 1, '{edge-1}', false, '')",
            ids[4],
        )
        after, told = 0, []
        for _ in range(4):
            raised, after = await sweep(connection, after, now_ms())
            told.append((raised, after))
        assert told == [(3, ids[1]), (2, ids[3]), (0, 0), (0, ids[1])]


async def test_old_alerts_go_with_their_deliveries(database: Database) -> None:
    async with database.connection() as connection:
        await add_account(connection, AlertTerms(balance_below_nano=5, webhook=HOOK))
        assert await look(connection) == 1
        await forget_alerts(connection)
        assert await connection.fetchval("select count(*) from alert_deliveries") == 1
        await connection.execute("update alerts set created_at = now() - interval '91 days'")
        await forget_alerts(connection)
        assert await connection.fetchval("select count(*) from alerts") == 0
        assert await connection.fetchval("select count(*) from alert_deliveries") == 0


def test_the_meters_of_a_holder_are_those_that_metering_counts_by() -> None:
    """Their ids are what spending is kept by."""
    holder = HolderTerms(budgets=BUDGETS, user=7)
    terms = AccountTerms(account=1, budgets=BUDGETS, keys={3: holder}, users={7: holder})
    budgets = [*budget_meters(BUDGETS), *budget_meters(BUDGETS, key=3), *budget_meters(BUDGETS, user=7)]
    assert [meter for meter in meters_of(terms) if meter.id != "wallet"] == budgets
