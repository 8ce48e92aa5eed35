"""What uses groups and tiers, their end, and all models' prices at once, through the admin API on real Postgres."""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.console import AdminClient, running_console
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet

USD = 10**9
CONFIGURATION: dict[str, Any] = {
    "channels": [
        {
            "name": name,
            "dialect": "openai",
            "base_url": f"http://{name}.example/v1",
            "models": {"lab": "gpt-4o-mini", "own": "own"},
            "groups": ["vip"],
        }
        for name in ("a", "b", "c", "d")
    ],
    "models": [{"name": "lab", "price": {"input": 1}}, {"name": "own", "price": {"input": 2}}],
    "groups": [{"name": "vip"}, {"name": "spare"}],
    "tiers": [{"name": "gold", "rpm": 5}, {"name": "spare"}],
    "accounts": [{"name": "acme", "tier": "gold"}],
    "discounts": [{"monthly": 100, "percent": 5, "tier": "gold"}],
}


@pytest.fixture
async def client(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[AdminClient]:
    async with running_console(bus, tasks, database_dsn) as running:
        applied = await running.client.call("POST", "/apply", CONFIGURATION)
        assert applied.status == 200, applied.body
        yield running.client


async def names(client: AdminClient, path: str) -> list[str]:
    return [entry["name"] for entry in (await client.call("GET", path)).body]


async def test_what_uses_a_group_is_told_and_keeps_it(client: AdminClient) -> None:
    for key in ("one", "two"):
        await client.call("POST", "/accounts/acme/keys", {"name": key, "groups": ["vip"]})
    uses = {entry.pop("name"): entry for entry in (await client.call("GET", "/group-uses")).body}
    assert uses == {
        "default": {"channels": [], "accounts": ["acme"], "keys": 0, "newcomers": True},
        "spare": {"channels": [], "accounts": [], "keys": 0, "newcomers": False},
        "vip": {"channels": ["a", "b", "c", "d"], "accounts": [], "keys": 2, "newcomers": False},
    }
    refused = await client.call("DELETE", "/groups/vip")
    assert refused.status == 409
    assert refused.body["error"]["message"] == (
        "Group 'vip' is used by channels a, b, c and 1 more; 2 keys; take it from there first."
    )
    assert await names(client, "/groups") == ["default", "spare", "vip"]


async def test_a_group_that_nothing_uses_is_deleted(client: AdminClient) -> None:
    assert (await client.call("DELETE", "/groups/spare")).status == 204
    assert (await client.call("DELETE", "/groups/spare")).status == 404
    assert await names(client, "/groups") == ["default", "vip"]


async def test_the_group_that_is_always_there_stays(client: AdminClient) -> None:
    await client.call("PATCH", "/accounts/acme", {"groups": ["vip"]})
    refused = await client.call("DELETE", "/groups/default")
    assert refused.status == 409
    assert "always there" in refused.body["error"]["message"]


async def test_what_uses_a_tier_is_told_and_keeps_it(client: AdminClient) -> None:
    uses = (await client.call("GET", "/tier-uses")).body
    assert uses == [
        {"name": "gold", "accounts": ["acme"], "discounts": 1, "newcomers": False},
        {"name": "spare", "accounts": [], "discounts": 0, "newcomers": False},
    ]
    refused = await client.call("DELETE", "/tiers/gold")
    assert refused.status == 409
    assert refused.body["error"]["message"] == (
        "Tier 'gold' is used by accounts acme; volume discounts; take it from there first."
    )


async def test_a_tier_that_nothing_uses_is_deleted(client: AdminClient) -> None:
    assert (await client.call("DELETE", "/tiers/spare")).status == 204
    assert (await client.call("DELETE", "/tiers/spare")).status == 404
    assert await names(client, "/tiers") == ["gold"]


async def test_newcomers_keep_their_tier_and_groups(client: AdminClient) -> None:
    settings = (await client.call("GET", "/registration")).body
    put = await client.call("PUT", "/registration", {**settings, "tier": "spare", "groups": ["spare"]})
    assert put.status == 200, put.body
    for path in ("/groups/spare", "/tiers/spare"):
        refused = await client.call("DELETE", path)
        assert (refused.status, "used by registration" in refused.body["error"]["message"]) == (409, True)


async def test_pricing_tells_list_prices_and_what_is_to_come(client: AdminClient) -> None:
    tomorrow = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    for days, usd in ((1, "4"), (0, "3")):
        moment = (tomorrow + dt.timedelta(days=days)).isoformat()
        await client.call("PUT", "/models/lab/prices", {"price": {"input": usd}, "effective_from": moment})
    lab, own = (await client.call("GET", "/pricing")).body
    assert (lab["name"], own["name"]) == ("lab", "own")
    assert [version["prices"] for version in lab["to_come"]] == [{"input": 3 * USD}, {"input": 4 * USD}]
    assert {version["state"] for version in lab["to_come"]} == {"to come"}
    # The channel serves the public name with a model that the list knows.
    assert {"input", "output"} <= lab["listed"].keys()
    assert (own["listed"], own["to_come"]) == (None, [])
