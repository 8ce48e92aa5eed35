"""Files of other gateways through the console: what they would be, and that applying it does just that."""

from collections.abc import AsyncIterator

import pytest

from tests.support.console import AdminClient, Answer, running_console
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Database

LITELLM = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: planted-secret}
  - model_name: claude-sonnet-4-5
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: os.environ/ANTHROPIC_API_KEY}
"""
NEW_API = """
{"channels": [{"id": 1, "type": 1, "key": "planted-secret", "name": "main", "models": "gpt-4o", "status": 1}],
 "options": {"GroupRatio": "{\\"default\\": 1}"},
 "users": [{"id": 7, "username": "ada", "quota": 500000, "status": 1}],
 "tokens": [{"id": 1, "user_id": 7, "key": "x", "status": 1, "name": "ci", "expired_time": -1}]}
"""


@pytest.fixture
async def client(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[AdminClient]:
    async with running_console(bus, tasks, database_dsn) as running:
        yield running.client


async def preview(client: AdminClient, format_: str, text: str, **fields: object) -> Answer:
    return await client.call("POST", f"/import/{format_}/preview", {"text": text, **fields})


async def test_a_preview_changes_nothing_and_what_it_says_can_be_applied(
    client: AdminClient, database: Database
) -> None:
    shown = await preview(client, "litellm", LITELLM)
    assert shown.status == 200
    assert (shown.body["variables"], shown.body["faults"]) == (["ANTHROPIC_API_KEY"], [])
    changes = [(one["action"], one["kind"], one["name"]) for one in shown.body["changes"]]
    assert ("create", "channel", "openai") in changes
    assert ("create", "channel", "anthropic") in changes
    assert "planted-secret" not in str(shown.body["changes"]) + str(shown.body["remarks"])
    assert (await client.call("GET", "/channels")).body == []
    configuration = shown.body["configuration"]
    configuration["channels"][1]["credentials"] = ["the-real-one"]
    applied = await client.call("POST", "/apply", configuration)
    assert [(one["action"], one["kind"], one["name"]) for one in applied.body["changes"]] == changes
    async with database.connection() as connection:
        assert await connection.fetchval("select count(*) from audit where operation = 'preview_import'") == 0


async def test_accounts_of_new_api(client: AdminClient) -> None:
    without = (await preview(client, "new-api", NEW_API)).body
    assert {one["kind"] for one in without["changes"]} == {"channel", "model"}
    shown = (await preview(client, "new-api", NEW_API, include=["channels", "accounts"])).body
    assert {"account", "user", "key"} <= {one["kind"] for one in shown["changes"]}
    assert (await client.call("POST", "/apply", shown["configuration"])).status == 200
    [account] = (await client.call("GET", "/accounts")).body
    assert (account["name"], account["balance_nano"]) == ("ada", 1_000_000_000)


async def test_what_is_missing_is_among_the_faults(client: AdminClient) -> None:
    text = "model_list: [{model_name: own, litellm_params: {model: openai/own, api_key: k}}]"
    shown = await preview(client, "litellm", text)
    assert (shown.status, shown.body["changes"]) == (200, [])
    [fault] = shown.body["faults"]
    assert fault.startswith("channels[0].models.own: no list price is known")


async def test_what_is_no_such_file_is_refused(client: AdminClient) -> None:
    assert (await preview(client, "litellm", "a: [")).body["error"]["faults"] == ["is not valid YAML in line 1"]
    assert (await preview(client, "new-api", "[]")).status == 400
    assert (await preview(client, "other", "{}")).status == 404
    assert (await client.call("POST", "/import/litellm/preview", {})).status == 400
