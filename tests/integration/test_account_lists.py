"""Lists of all accounts and all keys: searched, and read page by page."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.console import AdminClient, running_console
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Database

PAST = "2020-01-01T00:00:00Z"


@pytest.fixture
async def client(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[AdminClient]:
    async with running_console(bus, tasks, database_dsn) as running:
        client = running.client
        calls: list[tuple[str, str, dict[str, Any]]] = [
            ("PUT", "/tiers/gold", {"rpm": 5}),
            ("PUT", "/groups/extra", {}),
            ("POST", "/accounts", {"name": "acme", "tier": "gold"}),
            ("POST", "/accounts", {"name": "Acme two"}),
            ("POST", "/accounts", {"name": "workshop"}),
            ("PATCH", "/accounts/workshop", {"groups": ["default", "extra"]}),
            ("POST", "/accounts/acme/users", {"name": "robin"}),
            ("POST", "/accounts/acme/keys", {"name": "build", "user": "robin", "models": ["gpt-*"]}),
            ("POST", "/accounts/acme/keys", {"name": "old", "expires": PAST}),
            ("POST", "/accounts/workshop/keys", {"name": "build", "groups": ["extra"]}),
            ("POST", "/accounts/workshop/keys", {"name": "100%_wild"}),
            ("POST", "/accounts/workshop/keys/build/block", {}),
        ]
        for method, path, body in calls:
            found = await client.call(method, path, body)
            assert found.status in {200, 201}, (path, found.body)
        yield client


async def keys(client: AdminClient, query: str = "") -> list[str]:
    found = await client.call("GET", f"/keys{query}")
    assert found.status == 200, found.body
    return [f"{key['account']}/{key['name']}" for key in found.body]


async def accounts(client: AdminClient, query: str = "") -> list[str]:
    found = await client.call("GET", f"/accounts{query}")
    assert found.status == 200, found.body
    return [account["name"] for account in found.body]


async def test_keys_are_found_by_what_people_know_of_them(client: AdminClient) -> None:
    """Each word is longer than what of a secret is drawn and shown, four letters, which is searched as well."""
    everything = ["acme/build", "acme/old", "workshop/100%_wild", "workshop/build"]
    assert await keys(client) == everything
    assert await keys(client, "?search=BUILD") == ["acme/build", "workshop/build"]
    assert await keys(client, "?search=robin") == ["acme/build"]
    assert await keys(client, "?search=gpt-") == ["acme/build"]
    assert await keys(client, "?search=extra") == ["workshop/build"]
    assert await keys(client, "?search=WORKSHOP") == ["workshop/100%_wild", "workshop/build"]
    assert await keys(client, "?search=%25_") == ["workshop/100%_wild"]
    prefix = (await client.call("GET", "/accounts/acme/keys/old")).body["prefix"]
    assert await keys(client, f"?search={prefix}") == ["acme/old"]
    assert await keys(client, "?state=blocked") == ["workshop/build"]
    assert await keys(client, "?state=expired") == ["acme/old"]
    assert await keys(client, "?state=valid") == ["acme/build", "workshop/100%_wild"]
    assert await keys(client, "?state=valid&search=build") == ["acme/build"]


async def test_keys_are_read_page_by_page(client: AdminClient) -> None:
    assert await keys(client, "?limit=2") == ["acme/build", "acme/old"]
    assert await keys(client, "?limit=2&after=acme/old") == ["workshop/100%_wild", "workshop/build"]
    assert await keys(client, "?after=workshop/build") == []
    assert await keys(client, "?after=acme/zz") == ["workshop/100%_wild", "workshop/build"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("limit=0", "limit must be between 1 and 10000."),
        ("limit=10001", "limit must be between 1 and 10000."),
        ("limit=x", "limit must be between 1 and 10000."),
        ("after=acme", "after must name a key as account/key."),
        ("state=gone", "state must be one of valid, blocked, expired."),
    ],
)
async def test_what_cannot_be_asked_for_is_refused(client: AdminClient, query: str, says: str) -> None:
    found = await client.call("GET", f"/keys?{query}")
    assert (found.status, found.body["error"]["message"]) == (400, says)


async def test_accounts_are_found_and_read_page_by_page(client: AdminClient) -> None:
    everything = await accounts(client)
    assert sorted(everything) == ["Acme two", "acme", "workshop"]
    assert sorted(await accounts(client, "?search=ACME")) == ["Acme two", "acme"]
    assert await accounts(client, "?search=gold") == ["acme"]
    assert await accounts(client, "?search=extra") == ["workshop"]
    assert await accounts(client, "?search=extra%25") == []
    assert await accounts(client, "?limit=2") == everything[:2]
    assert await accounts(client, f"?limit=2&after={everything[1]}") == everything[2:]
    assert (await client.call("GET", "/accounts?limit=-1")).status == 400


async def test_accounts_say_what_they_spent_in_this_month(client: AdminClient, database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute(
            "insert into monthly_spending (account_id, month, spent_nano)"
            " select id, date_trunc('month', now() at time zone 'UTC')::date - back, amount"
            " from accounts, (values (0, 5), (40, 7)) as spent (back, amount) where name = 'acme'"
        )
    found = {one["name"]: one["spent_nano"] for one in (await client.call("GET", "/accounts")).body}
    assert found == {"acme": 5, "Acme two": 0, "workshop": 0}
