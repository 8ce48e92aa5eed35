"""Configuration files through the console: read as text, and written of what there is."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import yaml

from tests.support.console import ADMIN_KEY, AdminClient, running_console
from trunkline.policy.keys import mint
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Database

UPSTREAM_SECRET = "planted-upstream-secret"
KEY_SECRET = mint(bytes(range(64)))

EVERYTHING: dict[str, Any] = {
    "groups": [{"name": "vip", "multiplier": 1.234567, "limits": {"rpm": 100}, "strategy": "cost"}],
    "tiers": [{"name": "basic", "rpm": 50, "families": [{"models": ["gpt-*"], "rpm": 9}], "priority": 3}],
    "models": [
        {"name": "homemade", "price": {"input": 0.0375, "output": "123456789.123456789", "images@high": 4}},
        {"name": "gift", "free": True},
        {"name": "gpt-4o", "override": {"output": 11}, "fallbacks": ["gpt-4o-mini"], "lane": "slow", "hedge": True},
        {"name": "gpt-4o-mini"},
    ],
    "channels": [
        {
            "name": "main",
            "dialect": "openai",
            "base_url": "http://upstream.example/v1",
            "credentials": [UPSTREAM_SECRET, {"secret": "another-secret", "weight": 3, "rpm": 7}],
            "models": {name: name for name in ("homemade", "gift", "gpt-4o", "gpt-4o-mini")},
            "groups": ["default", "vip"],
            "priority": 2,
            "weight": 5,
            "enabled": False,
            "drained": True,
            "timeouts": {"connect_s": 1, "first_token_s": 2.5, "idle_s": 3, "total_s": 4},
            "params": {
                "drop": ["seed"],
                "set": {"top_k": {"b": 1, "aa": [1, 2.5, None, "x"]}},
                "default": {"temperature": 0.5},
                "clamp": {"top_p": {"max": 0.99}},
                "rename": {"max_tokens": "max_output"},
            },
            "stream_usage": False,
            "costs": {"homemade": {"input": 0.1, "output": 0.000000001}},
            "credential_order": "weighted",
            "limits": {"rpm": 10},
            "overrides": [{"models": ["gpt-*"], "timeouts": {"idle_s": 9}, "params": {"drop": ["stop"]}}],
            "headers": {"set": {"x-region": "eu"}, "drop": ["x-app"]},
            "status_map": {"418": 429},
        }
    ],
    "accounts": [
        {
            "name": "acme",
            "tier": "basic",
            "time_zone": "Asia/Shanghai",
            "credit": 10,
            "limits": {"rpd": 500},
            "budgets": {
                "daily": 5.5,
                "models": [{"models": ["gpt-4*"], "monthly": 1}],
                "cheaper": {"gpt-4o": "gpt-4o-mini"},
            },
            "alerts": {"budget_percent": [50, 90], "balance_below": 0.1, "email": ["ann@example.org"]},
            "users": [{"name": "kim", "limits": {"rpm": 5}, "budgets": {"daily": 1}}],
            "keys": [{"name": "ci", "secret": KEY_SECRET, "user": "kim"}],
        },
        {"name": 'the name: of "another"'},
    ],
    "discounts": [
        {"monthly": 100, "percent": 2.5},
        {"monthly": 1000.5, "percent": 7.1234},
        {"monthly": 0, "percent": 1, "tier": "basic"},
    ],
    "trial": {"amount": 0.5, "days": 14},
    "alerts": {"email": ["ops@example.org"]},
}


@pytest.fixture
async def client(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[AdminClient]:
    async with running_console(bus, tasks, database_dsn) as running:
        yield running.client


async def export(client: AdminClient, *, accounts: bool) -> str:
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    url = f"{client.url}/admin/v1/configuration?accounts={str(accounts).lower()}"
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as response:
        assert (response.status, response.content_type) == (200, "application/yaml")
        assert response.headers["content-disposition"] == 'attachment; filename="trunkline.yaml"'
        return await response.text()


async def test_what_is_exported_changes_nothing_where_it_comes_from(client: AdminClient) -> None:
    applied = await client.call("POST", "/apply", EVERYTHING)
    assert applied.status == 200, applied.body
    for accounts in (True, False):
        text = await export(client, accounts=accounts)
        for secret in (UPSTREAM_SECRET, "another-secret", KEY_SECRET):
            assert secret not in text
        read = await client.call("POST", "/configuration/read", {"text": text})
        again = await client.call("POST", "/apply", read.body["configuration"])
        assert again.body == {"dry_run": False, "changes": []}
    assert "accounts" not in yaml.safe_load(text)


async def test_what_is_exported_makes_the_same_where_there_is_nothing(client: AdminClient, database: Database) -> None:
    assert (await client.call("POST", "/apply", EVERYTHING)).status == 200
    text = await export(client, accounts=True)
    async with database.connection() as connection:
        await connection.execute(
            "truncate channels, models, groups, tiers, accounts, settings, console_settings cascade"
        )
    read = await client.call("POST", "/configuration/read", {"text": text})
    applied = await client.call("POST", "/apply", read.body["configuration"])
    assert applied.status == 200, applied.body
    assert await export(client, accounts=True) == text


async def test_an_empty_system_is_exported(client: AdminClient) -> None:
    assert yaml.safe_load(await export(client, accounts=True)) == {"groups": [{"name": "default"}]}


async def test_prices_of_an_operator_stay_its_own(client: AdminClient) -> None:
    await client.call("POST", "/apply", EVERYTHING)
    assert (await client.call("PUT", "/models/homemade/prices", {"price": {"input": 9}})).status < 300
    text = await export(client, accounts=False)
    exported = {model["name"]: model for model in yaml.safe_load(text)["models"]}
    assert exported["homemade"] == {"name": "homemade"}
    read = await client.call("POST", "/configuration/read", {"text": text})
    assert (await client.call("POST", "/apply", read.body["configuration"])).body["changes"] == []


async def test_a_file_is_read_with_its_lines_and_changes_nothing(client: AdminClient) -> None:
    text = "channels:\n- name: main\n  credentials: [env:OPENAI_API_KEY]\ngroups: [{name: vip}]\n"
    read = await client.call("POST", "/configuration/read", {"text": text})
    assert read.status == 200
    assert read.body["configuration"] == {
        "channels": [{"name": "main", "credentials": ["env:OPENAI_API_KEY"]}],
        "groups": [{"name": "vip"}],
    }
    assert read.body["variables"] == ["OPENAI_API_KEY"]
    assert read.body["lines"]["channels[0].credentials[0]"] == 3
    assert [group["name"] for group in (await client.call("GET", "/groups")).body] == ["default"]
    wrong = await client.call("POST", "/configuration/read", {"text": "a: [\nb"})
    assert (wrong.status, wrong.body["error"]["faults"]) == (400, ["is not valid YAML in line 2"])


async def test_what_the_site_offers_is_shown(client: AdminClient) -> None:
    assert (await client.call("GET", "/offers")).body == {"trial": {"amount_nano": 0, "days": 0}, "discounts": []}
    await client.call("POST", "/apply", EVERYTHING)
    offers = (await client.call("GET", "/offers")).body
    assert offers["trial"] == {"amount_nano": 500_000_000, "days": 14}
    assert offers["discounts"] == [
        {"monthly_nano": 100_000_000_000, "discount_ppm": 25_000},
        {"monthly_nano": 1_000_500_000_000, "discount_ppm": 71_234},
        {"monthly_nano": 0, "discount_ppm": 10_000, "tier": "basic"},
    ]
    await client.call("POST", "/apply", {"discounts": [], "trial": {"amount": 0, "days": 1}})
    assert (await client.call("GET", "/offers")).body == {"trial": {"amount_nano": 0, "days": 1}, "discounts": []}
