"""The model square through the admin API, on real Postgres and NATS."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.console import AdminClient, running_console
from tests.support.waiting import eventually
from trunkline.bus import snapshots, subjects
from trunkline.bus.snapshots import ChannelState, ChannelWeight, ModelFigures
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Database

BASE_URL = "https://llm.example.com"
PRICE = {"input": "1", "output": "2"}
CONFIGURATION: dict[str, Any] = {
    "groups": [{"name": "vip", "multiplier": "0.5"}],
    "channels": [
        {
            "name": "plain",
            "dialect": "openai",
            "base_url": "http://one.example/v1",
            "models": {
                "gpt-4o": "gpt-4o",
                "claude-sonnet-4-5": "claude-sonnet-4-5",
                "embedder": "text-embedding-3-small",
            },
            "params": {"clamp": {"top_p": {"min": 0.01, "max": 0.99}}, "drop": ["seed"]},
        },
        {
            "name": "anthropic",
            "dialect": "anthropic",
            "base_url": "http://two.example/v1",
            "models": {"claude-sonnet-4-5": "claude-sonnet-4-5", "claude-opus-5": "claude-opus-5"},
            "groups": ["vip"],
        },
        {
            "name": "off",
            "dialect": "openai",
            "base_url": "http://three.example/v1",
            "models": {"gpt-3.5-turbo": "gpt-3.5-turbo"},
            "enabled": False,
        },
    ],
    "models": [
        {"name": "gpt-4o", "price": PRICE},
        {"name": "claude-sonnet-4-5"},
        {"name": "claude-opus-5", "price": PRICE},
        {"name": "gpt-3.5-turbo", "price": PRICE},
        {"name": "embedder", "free": True},
    ],
    "accounts": [{"name": "acme"}],
}


@pytest.fixture
async def client(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[AdminClient]:
    async with running_console(bus, tasks, database_dsn, TRUNKLINE_BASE_URL=f"{BASE_URL}/") as running:
        assert (await running.client.call("POST", "/apply", CONFIGURATION)).status == 200
        yield running.client


async def square(client: AdminClient, path: str = "/accounts/acme/models") -> dict[str, Any]:
    found = await client.call("GET", path)
    assert found.status == 200, found.body
    body: dict[str, Any] = found.body
    return body


async def models(client: AdminClient, path: str = "/accounts/acme/models") -> dict[str, dict[str, Any]]:
    return {model["name"]: model for model in (await square(client, path))["models"]}


async def add_vip(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("update accounts set groups = '{default,vip}' where name = 'acme'")


async def test_it_has_what_the_accounts_groups_can_call(client: AdminClient, database: Database) -> None:
    assert sorted(await models(client)) == ["claude-sonnet-4-5", "embedder", "gpt-4o"]
    await add_vip(database)
    assert sorted(await models(client)) == ["claude-opus-5", "claude-sonnet-4-5", "embedder", "gpt-4o"]
    assert sorted(await models(client, "/accounts/acme/models?group=vip")) == ["claude-opus-5", "claude-sonnet-4-5"]
    assert await models(client, "/accounts/acme/models?group=others") == {}
    assert (await square(client))["base_url"] == BASE_URL


async def test_a_channel_that_takes_no_jobs_offers_nothing(client: AdminClient) -> None:
    assert (await client.call("POST", "/channels/plain/drain")).status == 200
    assert await models(client) == {}


async def test_a_model_that_its_provider_denies_is_not_listed(
    client: AdminClient, database: Database, bus: NATSBus
) -> None:
    async def tell(channel: str, *refused: str, version: int) -> None:
        async with database.connection() as connection:
            channel_id = await connection.fetchval("select id from channels where name = $1", channel)
        weight = ChannelWeight(channel_id, ChannelState.SERVING, 1.0, version, refused=refused)
        await bus.kv_put(subjects.KV_WEIGHTS, str(channel_id), snapshots.encode(weight))

    async def becomes(*names: str) -> None:
        async def look() -> bool:
            return sorted(await models(client)) == sorted(names)

        await eventually(look, within_s=5, what=f"the models are {names}")

    await add_vip(database)
    await tell("plain", "gpt-4o", "claude-sonnet-4-5", version=1)
    await becomes("claude-opus-5", "claude-sonnet-4-5", "embedder")
    # Through the other channel it can be called: in that one's group, at that one's price, in its dialect.
    left = (await models(client))["claude-sonnet-4-5"]
    assert [group["name"] for group in left["groups"]] == ["vip"]
    assert [use["name"] for use in left["dialects"] if use["native"]] == ["anthropic"]
    await tell("plain", version=2)
    await becomes("claude-opus-5", "claude-sonnet-4-5", "embedder", "gpt-4o")


async def test_a_price_by_group_and_the_list_beside_it(client: AdminClient, database: Database) -> None:
    await add_vip(database)
    found = await models(client)
    listed = found["claude-sonnet-4-5"]
    assert listed["list_prices"] is None
    default, vip = listed["groups"]
    assert (default["name"], default["multiplier_ppm"]) == ("default", 1_000_000)
    assert (vip["name"], vip["multiplier_ppm"]) == ("vip", 500_000)
    assert vip["prices"]["output"] * 2 == default["prices"]["output"] == 15_000_000_000
    by_hand = found["gpt-4o"]
    assert by_hand["groups"][0]["prices"] == {"input": 1_000_000_000, "output": 2_000_000_000}
    assert by_hand["list_prices"]["input"] == 2_500_000_000
    assert found["embedder"]["free"] is True


async def test_what_a_model_is_and_can(client: AdminClient, database: Database) -> None:
    await add_vip(database)
    found = await models(client)
    chat = found["gpt-4o"]
    assert (chat["kind"], chat["capabilities"], chat["context_tokens"]) == (
        "chat",
        ["tools", "vision", "schema"],
        128_000,
    )
    assert [(use["name"], use["native"]) for use in chat["dialects"]] == [
        ("openai-chat", True),
        ("openai-responses", False),
        ("anthropic", False),
        ("gemini", False),
    ]
    claude = found["claude-sonnet-4-5"]
    assert [use["name"] for use in claude["dialects"] if use["native"]] == ["openai-chat", "anthropic"]
    assert claude["output_tokens_max"] == 64_000
    embedder = found["embedder"]
    assert (embedder["kind"], embedder["dialects"]) == ("embeddings", [])
    assert embedder["endpoints"][0] == "embeddings"


async def test_parameters_that_a_model_refuses_are_told(client: AdminClient, database: Database) -> None:
    await add_vip(database)
    found = await models(client)

    def terms(model: str) -> dict[str, dict[str, Any]]:
        return {each.pop("name"): each for each in found[model]["parameters"]}

    plain = terms("gpt-4o")
    # The provider that answers an error to top_p: 1.0.
    assert plain["top_p"] == {"accepted": True, "everywhere": True, "min": 0.01, "max": 0.99}
    assert plain["seed"]["accepted"] is False
    assert plain["reasoning_effort"]["accepted"] is False
    assert "temperature" not in plain
    opus = terms("claude-opus-5")
    assert opus["temperature"]["accepted"] is opus["top_p"]["accepted"] is False
    assert opus["n"] == {"accepted": False, "everywhere": False, "refused": True}
    both = terms("claude-sonnet-4-5")
    assert both["frequency_penalty"] == {"accepted": True, "everywhere": False}
    assert both["temperature"] == {"accepted": True, "everywhere": True, "min": 0, "max": 1}
    assert both["seed"]["accepted"] is False


async def test_how_a_model_fares(client: AdminClient, database: Database, bus: NATSBus) -> None:
    async with database.connection() as connection:
        channel = await connection.fetchval("select id from channels where name = 'plain'")
        await connection.execute(
            "insert into health_history (channel_id, model, span_s, at, successes, failures, first_tokens,"
            " first_token_ms, serving_s, ejected_s, probing_s) values"
            " ($1, '', 3600, now() - interval '1 hour', 1, 0, 0, 0, 2700, 900, 0),"
            " ($1, '', 86400, now() - interval '1 hour', 1, 0, 0, 0, 2700, 900, 0),"
            " ($1, '', 86400, now() - interval '9 days', 1, 0, 0, 0, 86400, 0, 0),"
            " ($1, '', 86400, now() - interval '40 days', 1, 0, 0, 0, 0, 86400, 0),"
            " ($1, 'gpt-4o', 3600, now() - interval '1 hour', 4, 0, 4, 1000, 0, 0, 0),"
            " ($1, 'gpt-4o', 3600, now() - interval '30 hours', 4, 0, 4, 90000, 0, 0, 0)",
            channel,
        )
        await connection.execute(
            "insert into model_days (model, day, up_s, degraded_s, down_s, level, at)"
            " values ('embedder', current_date, 90, 0, 10, 'up', now())"
        )
    figures = {"gpt-4o": ModelFigures(first_token_ms=300, tokens_per_s=80)}
    weight = ChannelWeight(channel, ChannelState.SERVING, 1.0, 1, figures=figures)
    await bus.kv_put(subjects.KV_WEIGHTS, str(channel), snapshots.encode(weight))

    async def look() -> dict[str, Any] | None:
        live = (await models(client))["gpt-4o"]["live"]
        return live if live["tokens_per_s"] == 80 else None

    assert await eventually(look, within_s=5, what="the speed is known") == {
        "level": None,
        "day_uptime_ppm": 750_000,
        "month_uptime_ppm": 990_000,
        "first_token_ms": 250,
        "tokens_per_s": 80,
    }
    shown = (await models(client))["embedder"]["live"]
    assert (shown["level"], shown["month_uptime_ppm"]) == ("up", 900_000)


async def test_anybody_sees_the_models_of_the_status_page(client: AdminClient) -> None:
    found = await client.call("GET", "/public/models", headers={})
    assert found.status == 200
    assert [model["name"] for model in found.body["models"]] == ["claude-sonnet-4-5", "embedder", "gpt-4o"]
    assert "two.example" not in str(found.body)


async def test_without_public_groups_nobody_sees_any(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> None:
    async with running_console(bus, tasks, database_dsn, TRUNKLINE_STATUS_GROUPS="") as running:
        assert (await running.client.call("GET", "/public/models", headers={})).status == 404


async def test_an_account_that_is_not_there(client: AdminClient) -> None:
    assert (await client.call("GET", "/accounts/none/models")).status == 404
