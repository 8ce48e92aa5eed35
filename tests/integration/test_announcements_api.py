"""Announcements through the admin API: operators write them, everybody reads those that are current."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from services.console import remembered
from tests.support.console import AdminClient, running_console
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Database

TEXTS = {"en": "**New** model", "zh": "新模型"}


@pytest.fixture
async def client(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[AdminClient]:
    async with running_console(bus, tasks, database_dsn) as running:
        yield running.client


async def read_as_anybody(client: AdminClient, query: str = "", **headers: str) -> list[dict[str, Any]]:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{client.url}/admin/v1/announcements/current{query}", headers=headers) as response,
    ):
        assert response.status == 200
        found: list[dict[str, Any]] = await response.json()
        return found


async def test_an_announcement_is_made_changed_and_deleted(client: AdminClient) -> None:
    made = await client.call("POST", "/announcements", {"texts": TEXTS, "level": "warning"})
    assert made.status == 201
    number = made.body["id"]
    assert (made.body["audience"], made.body["until"]) == ("everyone", None)
    [shown] = await read_as_anybody(client, **{"accept-language": "zh-CN"})
    assert shown == {
        "id": number,
        "level": "warning",
        "language": "zh",
        "text": "新模型",
        "since": made.body["since"],
        "until": None,
    }
    assert [one["text"] for one in await read_as_anybody(client, "?language=en")] == ["**New** model"]
    changed = await client.call("PATCH", f"/announcements/{number}", {"audience": "signed_in", "texts": {"en": "x"}})
    assert changed.status == 200
    assert changed.body == {**made.body, "audience": "signed_in", "texts": {"en": "x"}}
    assert await read_as_anybody(client) == []
    assert [one["text"] for one in (await client.call("GET", "/announcements/current")).body] == ["x"]
    assert (await client.call("GET", f"/announcements/{number}")).body == changed.body
    assert (await client.call("GET", "/announcements")).body == [changed.body]
    assert (await client.call("DELETE", f"/announcements/{number}")).status == 204
    for method, body in (("GET", None), ("PATCH", {"level": "info"}), ("DELETE", None)):
        assert (await client.call(method, f"/announcements/{number}", body)).status == 404
    assert (await client.call("GET", "/announcements/current")).body == []


async def test_what_is_to_come_and_what_is_over_is_for_operators_alone(client: AdminClient) -> None:
    await client.call("POST", "/announcements", {"texts": TEXTS, "since": "2900-01-01T00:00:00Z"})
    over = {"texts": TEXTS, "since": "2020-01-01T00:00:00Z", "until": "2020-01-02T00:00:00Z"}
    assert (await client.call("POST", "/announcements", over)).status == 201
    assert await read_as_anybody(client) == []
    assert len((await client.call("GET", "/announcements")).body) == 2


async def test_what_cannot_be_is_refused(client: AdminClient) -> None:
    refused = await client.call("POST", "/announcements", {"texts": {"fr": "x"}, "level": "loud"})
    assert (refused.status, refused.body["error"]["faults"]) == (400, ["level: must be one of info, warning, critical"])
    backwards = {"texts": TEXTS, "since": "2030-01-02T00:00:00Z", "until": "2030-01-01T00:00:00Z"}
    assert (await client.call("POST", "/announcements", backwards)).status == 400
    made = await client.call("POST", "/announcements", {"texts": TEXTS})
    change = await client.call("PATCH", f"/announcements/{made.body['id']}", {"until": "2020-01-01T00:00:00Z"})
    assert change.body["error"]["faults"] == ["until: must be later than since"]
    assert (await client.call("GET", "/announcements/current?language=fr")).status == 400
    assert (await client.call("GET", "/announcements/99999999999999999999")).status == 404


async def test_a_crowd_reads_postgres_once_in_a_while(
    client: AdminClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "FRESH_S", 3600.0)  # or the answer grows old on a busy machine
    await client.call("POST", "/announcements", {"texts": TEXTS})
    assert len(await read_as_anybody(client)) == 1
    async with database.connection() as connection:
        await connection.execute("delete from announcements")
    # What was not changed here is seen when the answer is some seconds old.
    assert len(await read_as_anybody(client)) == 1
