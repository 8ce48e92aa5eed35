"""Savings from real usage, through the admin API and the command line."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator

import pytest

from tests.support.cli import CLI
from tests.support.console import ADMIN_KEY, AdminClient, running_console
from tests.support.usage_events import usage_event
from trunkline.core.usage import Units
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.comparison import month_usage
from trunkline.store.database import Database
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import settle

CONFIGURATION = {
    "channels": [
        {
            "name": "main",
            "dialect": "openai",
            "base_url": "https://upstream.example",
            "models": {"gpt-large": "l", "gpt-small": "s", "claude-x": "c"},
        }
    ],
    "models": [
        {"name": "gpt-large", "price": {"input": 10, "output": 20, "cached_input": 1}},
        {"name": "gpt-small", "price": {"input": 1, "output": 2}},
        {"name": "claude-x", "price": {"input": 0.1, "output": 0.1}},
    ],
    "accounts": [{"name": "acme", "credit": 10}, {"name": "idle"}],
}


@pytest.fixture
async def client(bus: NATSBus, tasks: TaskSet, database_dsn: str, database: Database) -> AsyncIterator[AdminClient]:
    async with running_console(bus, tasks, database_dsn) as running:
        assert (await running.client.call("POST", "/apply", CONFIGURATION)).status == 200
        async with database.connection() as connection:
            account = await connection.fetchval("select id from accounts where name = 'acme'")
            channel = await connection.fetchval("select id from channels")
            book = await load_price_book(connection, await read_mark(connection))
            units = Units(input=3000, output=100)
            events = [usage_event(account=account, channel=channel, model="gpt-large", units=units) for _ in range(20)]
            await settle(connection, events, book)
        yield running.client


async def test_hints_come_from_what_was_used(client: AdminClient) -> None:
    found = (await client.call("GET", "/accounts/acme/savings?month=2026-09")).body
    assert (found["account"], found["month"]) == ("acme", "2026-09")
    assert found["cheaper"] == [
        {
            "model": "gpt-large",
            "instead": "gpt-small",
            "requests": 20,
            "paid_nano": 640_000_000,
            "cost_nano": 64_000_000,
            "note": "20 requests to gpt-large would have cost 90 % less on gpt-small.",
        }
    ]
    assert found["caching"] == [
        {
            "model": "gpt-large",
            "requests": 20,
            "input_tokens": 60_000,
            "cache_read_tokens": 0,
            "saved_at_most_nano": 540_000_000,
            "note": "20 requests to gpt-large had 3000 input tokens on average, and 0 % of them came from the"
            " provider's cache.",
        }
    ]
    idle = (await client.call("GET", "/accounts/idle/savings?month=2026-09")).body
    assert (idle["cheaper"], idle["caching"]) == ([], [])
    assert (await client.call("GET", "/accounts/none/savings")).status == 404
    assert (await client.call("GET", "/accounts/acme/savings?month=2026")).status == 400


async def test_the_command(client: AdminClient) -> None:
    cli = CLI(TRUNKLINE_CONSOLE_URL=client.url, TRUNKLINE_ADMIN_KEY=ADMIN_KEY)
    shown = await asyncio.to_thread(cli.run, "accounts", "savings", "acme", "--month", "2026-09")
    assert ["gpt-large", "20", "0.64", "0.064", "gpt-small"] in shown.rows
    assert ["gpt-large", "20", "60000", "0", "0.54"] in shown.rows
    nothing = await asyncio.to_thread(cli.run, "accounts", "savings", "idle", "--month", "2026-09")
    assert nothing.out == "Nothing to save was found in what idle used in 2026-09.\n"


async def test_an_account_compares_its_usage_with_what_it_can_call(client: AdminClient) -> None:
    found = (await client.call("GET", "/accounts/acme/prices/compare?month=2026-09")).body
    assert found["paid_nano"] == 640_000_000
    assert [(used["model"], used["requests"], used["paid_nano"]) for used in found["used"]] == [
        ("gpt-large", 20, 640_000_000)
    ]
    assert [(cost["model"], cost["cost_nano"]) for cost in found["models"]] == [
        ("claude-x", 6_200_000),
        ("gpt-small", 64_000_000),
        ("gpt-large", 640_000_000),
    ]
    hidden = {
        "name": "vip-only",
        "dialect": "openai",
        "base_url": "https://vip.example",
        "models": {"gpt-vip": "v"},
        "groups": ["vip"],
    }
    models = [{"name": "gpt-vip", "price": {"input": 1, "output": 1}}]
    assert (
        await client.call("POST", "/apply", {"groups": [{"name": "vip"}], "channels": [hidden], "models": models})
    ).status == 200
    chosen = (
        await client.call("GET", "/accounts/acme/prices/compare?month=2026-09&models=gpt-vip,gpt-small,nothing")
    ).body
    assert [cost["model"] for cost in chosen["models"]] == ["gpt-small"]
    # Whether there is such a model, for others, is not told.
    assert chosen["left_out"] == ["gpt-vip", "nothing"]


async def test_a_member_compares_what_it_used_itself(client: AdminClient, database: Database) -> None:
    async with database.connection() as connection:
        account = await connection.fetchval("select id from accounts where name = 'acme'")
        await connection.execute("insert into users (account_id, name) values ($1, 'ann')", account)
        month = dt.date(2026, 9, 1)
        assert await month_usage(connection, account, month, "ann") == []
        await connection.execute(
            "update usage set user_id = (select id from users where name = 'ann') where attempt = 1"
        )
        assert [part.units.requests for part in await month_usage(connection, account, month, "ann")] == [20]
        assert await month_usage(connection, account, month, "gone") == []
