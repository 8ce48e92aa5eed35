"""What was spent of an account's budgets, and what its owners were told, as its people read it."""

import datetime as dt
from collections.abc import AsyncIterator

import pytest

from tests.support.console import AdminClient, running_console
from trunkline.bus.allowance import Period
from trunkline.policy.periods import span_at
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Database

ZONE = "Asia/Shanghai"


@pytest.fixture
async def client(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[AdminClient]:
    async with running_console(bus, tasks, database_dsn) as running:
        for path, body in (
            ("/accounts", {"name": "acme", "time_zone": ZONE, "budgets": {"daily": "2", "models": [family()]}}),
            ("/accounts/acme/keys", {"name": "ci", "budgets": {"monthly": "7"}}),
            ("/accounts/acme/keys", {"name": "idle", "budgets": {"monthly": "8"}}),
            ("/accounts", {"name": "other", "budgets": {"daily": "1"}}),
        ):
            assert (await running.client.call("POST", path, body)).status == 201
        yield running.client


def family() -> dict[str, object]:
    return {"models": ["gpt-*"], "monthly": "5"}


def until(period: Period) -> str:
    end_ms = span_at(period, ZONE, SystemClock().wall_ms()).until_ms
    return dt.datetime.fromtimestamp(end_ms / 1000, dt.UTC).isoformat().replace("+00:00", "Z")


async def test_budgets_come_with_what_was_spent_in_the_period_that_runs(
    client: AdminClient, database: Database
) -> None:
    today = span_at(Period.DAY, ZONE, SystemClock().wall_ms()).start
    month = today.replace(day=1)
    async with database.connection() as connection:
        account = await connection.fetchval("select id from accounts where name = 'acme'")
        key = await connection.fetchval("select id from keys where name = 'ci'")
        await connection.executemany(
            "insert into budget_spending (account_id, meter, period_start, spent_nano) values ($1, $2, $3, $4)",
            [
                (account, "account:daily", today, 500),
                (account, "account:daily", today - dt.timedelta(days=1), 900),
                (account, "account:daily:gone-*", today, 1),
                (account, f"key:{key}:monthly", month, 30),
            ],
        )
    found = await client.call("GET", "/accounts/acme/spending")
    assert found.status == 200
    assert found.body == [
        {
            "holder": "account",
            "name": "",
            "period": "daily",
            "models": [],
            "limit_nano": 2_000_000_000,
            "spent_nano": 500,
            "refuses": False,
            "until": until(Period.DAY),
        },
        {
            "holder": "account",
            "name": "",
            "period": "monthly",
            "models": ["gpt-*"],
            "limit_nano": 5_000_000_000,
            "spent_nano": 0,
            "refuses": False,
            "until": until(Period.MONTH),
        },
        {
            "holder": "key",
            "name": "ci",
            "period": "monthly",
            "models": [],
            "limit_nano": 7_000_000_000,
            "spent_nano": 30,
            "refuses": False,
            "until": until(Period.MONTH),
        },
    ]
    assert (await client.call("GET", "/accounts/none/spending")).status == 404


async def test_an_account_is_shown_what_its_owners_were_told_and_nothing_of_others(client: AdminClient) -> None:
    for account in ("acme", "other"):
        terms = {"email": [f"{account}@example.com"]}
        assert (await client.call("PUT", f"/accounts/{account}/alerts", terms)).status == 200
        assert (await client.call("POST", f"/accounts/{account}/alerts/test")).status == 202
    [told] = (await client.call("GET", "/accounts/acme/alerts/history")).body
    assert (told["kind"], told["account"]) == ("test", "acme")
    assert [way["target"] for way in told["deliveries"]] == ["acme@example.com"]
    assert (await client.call("GET", "/accounts/none/alerts/history")).status == 404
