"""The admin API, route by route, on real Postgres and NATS."""

import io
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support import usage_events
from tests.support.console import ADMIN_KEY, AdminClient, RunningConsole, running_console
from tests.support.servers import PostgresServer
from tests.support.usage_events import usage_event
from tests.support.waiting import eventually
from trunkline.policy.keys import well_formed
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Database
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import settle

WITHIN_S = 20.0
CHANNEL: dict[str, Any] = {
    "dialect": "openai",
    "base_url": "https://API.openai.com/v1/",
    "credentials": ["upstream-secret-1"],
    "models": {"gpt-4o-mini": "gpt-4o-mini-2024"},
}


@pytest.fixture
async def running(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[RunningConsole]:
    async with running_console(bus, tasks, database_dsn) as running:
        yield running


@pytest.fixture
def client(running: RunningConsole) -> AdminClient:
    return running.client


WRONG_HEADERS: list[dict[str, str]] = [
    {},
    {"authorization": ""},
    {"authorization": "Bearer"},
    {"authorization": "Bearer wrong"},
    {"authorization": f"Basic {ADMIN_KEY}"},
    {"authorization": f"Bearer {ADMIN_KEY}x"},
    {"authorization": "Bearer \u00e9\u00e9"},
    {"x-api-key": ADMIN_KEY},
]


async def test_every_path_asks_for_the_admin_key(client: AdminClient) -> None:
    for headers in WRONG_HEADERS:
        for method, path in (("GET", "/accounts"), ("POST", "/apply"), ("GET", "/health"), ("GET", "/no/such/path")):
            answer = await client.call(method, path, headers=headers)
            assert answer.status == 401, headers
            assert answer.body["error"]["type"] == "client_unauthenticated"
            assert "Authorization: Bearer" in answer.body["error"]["message"]


async def test_accounts_are_made_once_listed_and_credited(client: AdminClient) -> None:
    created = await client.call("POST", "/accounts", {"name": "acme", "credit": 10, "budgets": {"daily": "5.5"}})
    assert created.status == 201
    assert created.body["balance_nano"] == 10_000_000_000
    assert created.body["budgets"] == {"daily_nano": 5_500_000_000}
    assert (await client.call("POST", "/accounts", {"name": "acme"})).status == 409
    first = await client.call("POST", "/accounts/acme/credit", {"usd": "2.50", "reference": "invoice-7"})
    again = await client.call("POST", "/accounts/acme/credit", {"usd": "2.50", "reference": "invoice-7"})
    assert first.body == {"granted": True, "balance_nano": 12_500_000_000}
    assert again.body == {"granted": False, "balance_nano": 12_500_000_000}
    shown = await client.call("GET", "/accounts/acme")
    assert shown.body["balance_nano"] == 12_500_000_000
    assert [account["name"] for account in (await client.call("GET", "/accounts")).body] == ["acme"]


async def test_a_key_is_shown_once_and_lives_until_it_is_deleted(client: AdminClient, database: Database) -> None:
    await client.call("POST", "/accounts", {"name": "acme"})
    created = await client.call("POST", "/accounts/acme/keys", {"name": "ci", "allow_ips": ["10.1.2.3/8"]})
    assert created.status == 201
    secret = created.body["secret"]
    assert well_formed(secret)
    assert created.body["key"]["allow_ips"] == ["10.0.0.0/8"]
    assert secret.startswith(created.body["key"]["prefix"])
    assert (await client.call("POST", "/accounts/acme/keys", {"name": "ci"})).status == 409
    shown = await client.call("GET", "/accounts/acme/keys/ci")
    assert "secret" not in shown.body
    assert (await client.call("GET", "/keys")).body == (await client.call("GET", "/accounts/acme/keys")).body
    assert (await client.call("POST", "/accounts/acme/keys/ci/block")).body["blocked"] is True
    assert (await client.call("POST", "/accounts/acme/keys/ci/unblock")).body["blocked"] is False
    async with database.connection() as connection:
        stored = await connection.fetchrow("select k::text || s::text as text from keys k, key_secrets s")
    assert secret not in stored["text"]
    assert (await client.call("DELETE", "/accounts/acme/keys/ci")).status == 204
    assert (await client.call("DELETE", "/accounts/acme/keys/ci")).status == 404


async def test_channels_and_their_credentials(client: AdminClient) -> None:
    made = await client.call("PUT", "/channels/main", CHANNEL)
    assert made.status == 200
    assert made.body["base_url"] == "https://api.openai.com/v1"
    assert len(made.body["credentials"]) == 1
    added = await client.call("POST", "/channels/main/credentials", {"secret": "upstream-secret-2"})
    again = await client.call("POST", "/channels/main/credentials", {"secret": "upstream-secret-2"})
    assert (added.status, again.status) == (201, 200)
    assert added.body == again.body
    listed = await client.call("GET", "/channels")
    assert "upstream-secret" not in str(listed.body)
    assert len(listed.body[0]["credentials"]) == 2
    assert (await client.call("DELETE", f"/channels/main/credentials/{added.body['id']}")).status == 204
    assert (await client.call("DELETE", f"/channels/main/credentials/{added.body['id']}")).status == 404
    assert (await client.call("DELETE", "/channels/main/credentials/99999999999999999999999")).status == 404
    assert (await client.call("POST", "/channels/main/disable")).body["enabled"] is False
    weighted = await client.call("PUT", "/channels/main", {**CHANNEL, "credentials": None, "weight": 7})
    assert (weighted.body["weight"], weighted.body["enabled"], len(weighted.body["credentials"])) == (7, False, 1)
    assert (await client.call("POST", "/channels/main/enable")).body["enabled"] is True
    assert (await client.call("DELETE", "/channels/main")).status == 204
    assert (await client.call("GET", "/channels/main")).status == 404


async def test_models_take_the_list_price_unless_told_otherwise(client: AdminClient) -> None:
    await client.call("PUT", "/channels/main", CHANNEL)
    listed = (await client.call("GET", "/models")).body
    assert [(model["name"], model["price_source"], model["channels"]) for model in listed] == [
        ("gpt-4o-mini", "genai-prices", ["main"])
    ]
    assert listed[0]["prices"]["input"] == 150_000_000
    priced = await client.call("PUT", "/models/gpt-4o-mini", {"price": {"input": "1", "cached_input": 0.5}})
    assert priced.body["prices"] == {"input": 1_000_000_000, "cache_read": 500_000_000}
    assert (await client.call("DELETE", "/models/gpt-4o-mini")).status == 409
    odd = await client.call("PUT", "/models/lab%2Fmodel:1", {"free": True})
    assert (odd.status, odd.body["name"], odd.body["free"]) == (200, "lab/model:1", True)
    assert (await client.call("DELETE", "/models/lab%2Fmodel:1")).status == 204


async def test_groups_and_tiers(client: AdminClient) -> None:
    groups = await client.call("PUT", "/groups/vip", {"multiplier": 1.2})
    assert {group["name"]: group["multiplier_ppm"] for group in groups.body} == {"default": 1_000_000, "vip": 1_200_000}
    tiers = await client.call("PUT", "/tiers/basic", {"rpm": 50, "concurrency": 10, "priority": 3})
    assert tiers.body == (await client.call("GET", "/tiers")).body
    assert tiers.body == [{"name": "basic", "limits": {"rpm": 50, "concurrency": 10}, "priority": 3}]
    assert (await client.call("GET", "/groups")).body == groups.body
    names = await client.call("GET", "/names")
    assert (sorted(names.body["groups"]), names.body["tiers"]) == (["default", "vip"], ["basic"])


async def test_usage_is_summed_by_name(client: AdminClient, database: Database) -> None:
    await client.call("POST", "/accounts", {"name": "acme"})
    await client.call("POST", "/accounts/acme/keys", {"name": "ci"})
    async with database.connection() as connection:
        channel = await usage_events.add_prices(connection)
        key = await connection.fetchrow("select id, account_id from keys")
        book = await load_price_book(connection, await read_mark(connection))
        events = [usage_event(account=key["account_id"], key=key["id"], channel=number) for number in (channel, 77)]
        await settle(connection, events, book)
    rows = (
        await client.call(
            "GET", "/usage?by=account,key,model,channel&account=acme&key=ci&since=2026-01-01&until=2027-01-01"
        )
    ).body
    assert [(row["account"], row["key"], row["model"], row["channel"]) for row in rows] == [
        ("acme", "acme/ci", "small", "channel of small"),
        ("acme", "acme/ci", "small", "#77"),
    ]
    assert (rows[0]["input_tokens"], rows[0]["charge_nano"], rows[0]["cost_nano"]) == (100, 200, 75)
    assert (await client.call("GET", "/usage?until=2001-01-01")).body == []


async def test_health_says_what_is_missing(client: AdminClient) -> None:
    report = (await client.call("GET", "/health")).body
    checks = {check["name"]: check for check in report["checks"]}
    assert checks["postgres"]["ok"]
    assert checks["nats"]["ok"]
    assert not checks["dispatcher"]["ok"]
    assert "no request is served" in checks["dispatcher"]["message"]


LONG = "9" * 5000
"""More digits than Python reads as a number."""

BAD_INPUT: list[tuple[str, str, object, int, str]] = [
    ("POST", "/apply", b"{", 400, "not valid JSON"),
    ("POST", "/apply", b"\xff\xfe", 400, "not valid JSON"),
    ("POST", "/apply", b"[" * 100_000, 400, "not valid JSON"),
    ("POST", "/apply", [1], 400, "must be a mapping"),
    ("POST", "/apply", {"chanels": []}, 400, "chanels: unknown section"),
    ("POST", "/apply?dry_run=maybe", {}, 400, "dry_run"),
    ("POST", "/apply", io.BytesIO(b"x" * (9 * 1024 * 1024)), 413, "over"),
    ("POST", "/accounts", {}, 400, "name"),
    ("POST", "/accounts", {"name": "a", "colour": 1}, 400, "colour"),
    ("POST", "/accounts", {"name": "a/b"}, 400, "slash"),
    ("POST", "/accounts", {"name": "nul\x00"}, 400, "control characters"),
    ("POST", "/accounts", {"name": "a", "tier": "none"}, 400, "unknown tier"),
    ("POST", "/accounts", {"name": "a", "credit": -1}, 400, "between 0"),
    ("POST", "/accounts", {"name": "a", "credit": "1e999999"}, 400, "credit"),
    ("POST", "/accounts/acme/keys", {"name": "k", "groups": ["no"], "models": []}, 400, "unknown group 'no'"),
    ("POST", "/accounts/acme/keys", {"name": "k", "allow_ips": ["300.1.1.1"]}, 400, "CIDR"),
    ("POST", "/accounts/acme/keys", {"name": "k", "expires": "soon"}, 400, "expires"),
    ("POST", "/accounts/nobody/keys", {"name": "k"}, 404, "no account 'nobody'"),
    ("POST", "/accounts/acme/credit", {"usd": 0, "reference": "x"}, 400, "more than 0"),
    ("POST", "/accounts/acme/credit", {"usd": 1, "reference": ""}, 400, "reference"),
    ("POST", "/accounts/acme/credit", {"usd": "0.0000000001", "reference": "x"}, 400, "nano-USD"),
    ("GET", "/accounts/%00", None, 400, "cannot be stored"),
    ("GET", "/accounts/acme/keys/none", None, 404, "no key acme/none"),
    ("PUT", "/channels/c", {"name": "other", "dialect": "openai"}, 400, "names do not change"),
    (
        "PUT",
        "/channels/c",
        {"dialect": "cobol", "base_url": "ftp://x", "models": {}},
        400,
        "dialect: must be one of",
    ),
    ("PUT", "/channels/c", {**CHANNEL, "credentials": ["env:HOME"]}, 400, "HOME is not set"),
    ("PUT", "/channels/c", {**CHANNEL, "models": {"homemade": "m"}}, 400, "no list price"),
    ("PUT", "/channels/c", {**CHANNEL, "params": {"set": {"a": "\x00"}}}, 400, "cannot be stored"),
    ("POST", "/channels/none/credentials", {"secret": "s"}, 404, "no channel 'none'"),
    ("POST", "/channels/none/credentials", {"secret": "a\r\nb"}, 400, "printable ASCII"),
    ("PUT", "/groups/g", {"multiplier": "0.0000001"}, 400, "six decimals"),
    ("PUT", "/tiers/t", {"rpm": 0}, 400, "between 1 and"),
    ("GET", "/usage?since=yesterday", None, 400, "since must be a day"),
    ("GET", "/usage?by=colour", None, 400, "colour"),
    ("GET", "/usage?by=day,day", None, 400, "at most once"),
    ("GET", "/usage?key=ci", None, 400, "together with its account"),
    ("GET", "/usage?account=nobody", None, 404, "no account"),
    ("GET", "/nothing", None, 404, "no such path"),
    ("GET", f"/audit?before={LONG}x", None, 400, "before must be"),
    ("GET", f"/logins?limit={LONG}", None, 400, "limit must be"),
    ("GET", f"/announcements/{LONG}", None, 404, "no announcement"),
    ("DELETE", f"/channels/none/credentials/{LONG}", None, 404, "no channel 'none'"),
    ("DELETE", f"/models/none/prices/{LONG}", None, 404, "none"),
    ("POST", f"/codes/{LONG}/withdraw", None, 404, "no batch"),
    ("PATCH", "/accounts", {}, 405, "method"),
]


async def test_bad_input_is_refused_with_words(client: AdminClient) -> None:
    await client.call("POST", "/accounts", {"name": "acme"})
    for method, path, body, status, says in BAD_INPUT:
        answer = await client.call(method, path, body)
        error = answer.body["error"]
        assert answer.status == status, (path, error)
        assert says in " ".join([error["message"], *error.get("faults", ())]), (path, error)
    assert len((await client.call("GET", "/accounts")).body) == 1
    assert (await client.call("GET", "/channels")).body == []


async def test_postgres_away_is_503_and_ends_by_itself(
    bus: NATSBus, tasks: TaskSet, database_dsn: str, postgres_server: PostgresServer
) -> None:
    postgres_server.stop()
    try:
        async with running_console(bus, tasks, database_dsn) as running:
            answer = await running.client.call("GET", "/accounts")
            assert (answer.status, answer.body["error"]["type"]) == (503, "gateway_not_ready")
            report = await running.client.call("GET", "/health")
            assert "Start it" in report.body["checks"][0]["message"]
            assert running.console.not_ready() == ["postgres"]
            postgres_server.start()

            async def ready() -> bool:
                return not running.console.not_ready()

            await eventually(ready, within_s=WITHIN_S, what="the console is ready again")
            assert (await running.client.call("POST", "/accounts", {"name": "acme"})).status == 201
    finally:
        postgres_server.start()
