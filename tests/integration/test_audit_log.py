"""Every change leaves a row of who, what, before and after, written before it is made, and without secrets."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.console import shell
from tests.support.console import AdminClient, RunningConsole, running_console
from tests.support.people import PASSWORD, browser, first_operator
from trunkline.policy.audit import MASKED
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.configuration import lock_configuration
from trunkline.store.database import Database


@pytest.fixture
async def running(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[RunningConsole]:
    async with running_console(bus, tasks, database_dsn) as running:
        yield running


@pytest.fixture
def client(running: RunningConsole) -> AdminClient:
    return running.client


async def entries(client: AdminClient, query: str = "") -> list[dict[str, Any]]:
    answer = await client.call("GET", f"/audit{query}")
    assert answer.status == 200
    listed: list[dict[str, Any]] = answer.body["entries"]
    return listed


async def test_a_change_is_kept_with_what_was_before_and_what_is_after(client: AdminClient) -> None:
    await client.call("POST", "/accounts", {"name": "acme"})
    created = await client.call("POST", "/accounts/acme/keys", {"name": "ci"})
    await client.call("PATCH", "/accounts/acme/keys/ci", {"models": ["gpt-*"]})
    await client.call("DELETE", "/accounts/acme/keys/ci")
    deleted, changed, made, _ = await entries(client)
    assert (made["operation"], made["status"], made["before"]) == ("create_key", 201, None)
    assert (made["actor"], made["account"], made["subject"]) == (
        "admin key",
        "acme",
        "/admin/v1/accounts/acme/keys",
    )
    assert made["after"]["secret"] == MASKED
    assert made["after"]["key"]["name"] == "ci"
    assert (changed["before"]["models"], changed["after"]["models"]) == (["*"], ["gpt-*"])
    assert (deleted["operation"], deleted["status"], deleted["after"]) == ("delete_key", 204, None)
    assert deleted["before"]["models"] == ["gpt-*"]
    assert created.body["secret"] not in str(await entries(client))


async def test_what_was_refused_is_kept_with_its_status(client: AdminClient) -> None:
    await client.call("POST", "/accounts", {"name": "acme"})
    assert (await client.call("PATCH", "/accounts/acme/keys/none", {"models": ["*"]})).status == 404
    assert (await client.call("POST", "/accounts/acme/keys", {"name": ""})).status == 400
    bad, missing, _ = await entries(client)
    assert (missing["operation"], missing["before"], missing["status"]) == ("change_key", None, 404)
    assert (bad["operation"], bad["status"]) == ("create_key", 400)
    assert bad["after"]["error"]["type"] == "client_bad_request"


async def test_a_change_that_cannot_be_noted_is_not_made(client: AdminClient, database: Database) -> None:
    await client.call("POST", "/accounts", {"name": "acme"})
    async with database.connection() as connection:
        await connection.execute("alter table audit add constraint none_more check (id < 0) not valid")
    assert (await client.call("POST", "/accounts/acme/keys", {"name": "ci"})).status == 500
    assert (await client.call("GET", "/accounts/acme/keys")).body == []


async def test_reading_leaves_no_row(client: AdminClient) -> None:
    await client.call("POST", "/accounts", {"name": "acme"})
    before = await entries(client)
    for path in ("/accounts", "/accounts/acme", "/audit", "/keys"):
        assert (await client.call("GET", path)).status == 200
    assert await entries(client) == before


async def test_pages_and_filters(client: AdminClient) -> None:
    for number in range(55):
        await client.call("POST", "/accounts", {"name": f"a{number}"})
    await client.call("POST", "/accounts/a1/keys", {"name": "ci"})
    first = (await client.call("GET", "/audit")).body
    second = (await client.call("GET", f"/audit?before={first['next']}")).body
    ids = [entry["id"] for entry in first["entries"] + second["entries"]]
    assert (len(first["entries"]), len(ids), second["next"]) == (50, 56, None)
    assert ids == sorted(set(ids), reverse=True)
    assert [entry["operation"] for entry in await entries(client, "?operation=create_key")] == ["create_key"]
    assert [entry["account"] for entry in await entries(client, "?account=a1")] == ["a1"]
    assert [entry["id"] for entry in await entries(client, "?actor=Admin&operation=create_k")] == [ids[0]]
    assert await entries(client, "?actor=somebody") == []
    assert await entries(client, "?since=2100-01-01") == []
    assert (await client.call("GET", "/accounts/a1/audit")).body["entries"] == await entries(client, "?account=a1")
    assert (await client.call("GET", "/audit?before=x")).status == 400


async def test_what_strangers_try_in_vain_leaves_no_row(client: AdminClient) -> None:
    async with browser(client.url) as stranger:
        tries = [
            ("/registrations", {"name": "kim", "password": PASSWORD}, 403),
            ("/registrations", {"name": 7}, 400),
            ("/password-resets/finish", {"token": "x" * 43, "password": PASSWORD}, 404),
            ("/first-operator", {"token": "x" * 43, "name": "root", "password": PASSWORD}, 404),
        ]
        for path, body, status in tries:
            assert (await stranger.call("POST", path, body)).status == status
        assert await entries(client) == []
        await first_operator(client, stranger)
    made, _ = await entries(client)
    assert (made["operation"], made["actor"], made["status"]) == ("first_operator", "nobody", 201)


async def test_a_change_that_took_too_long_is_kept_with_its_status(
    client: AdminClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database.transaction() as connection:
        await lock_configuration(connection)
        with monkeypatch.context() as patch:
            patch.setattr(shell, "REQUEST_TIMEOUT_S", 0.3)
            assert (await client.call("POST", "/accounts", {"name": "acme"})).status == 503
    (entry,) = await entries(client)
    assert (entry["operation"], entry["status"]) == ("create_account", 503)
