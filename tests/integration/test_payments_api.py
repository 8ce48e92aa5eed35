"""Payments by webhook, on real Postgres: forged, old, doubled, parallel, foreign, for nobody."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp
import msgspec
import pytest

from services.console.payments_api import WEBHOOK_BYTES_MAX
from tests.support.cli import CLI
from tests.support.console import ADMIN_KEY, AdminClient, running_console
from tests.support.stripe import SECRET, Stripe
from trunkline.policy.payments import TOLERANCE_S
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store import ledger, ledger_checks
from trunkline.store.database import Database

pytestmark = pytest.mark.usefixtures("patient_database")


class World(NamedTuple):
    client: AdminClient
    stripe: Stripe


@pytest.fixture
async def world(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[World]:
    secrets = {"TRUNKLINE_STRIPE_WEBHOOK_SECRETS": f"whsec_replaced,{SECRET}"}
    async with (
        running_console(bus, tasks, database_dsn, **secrets) as running,
        aiohttp.ClientSession() as http,
    ):
        await running.client.call("POST", "/accounts", {"name": "acme"})
        yield World(running.client, Stripe(http, running.client.url))


async def balance_nano(client: AdminClient) -> int:
    found: int = (await client.call("GET", "/accounts/acme")).body["balance_nano"]
    return found


async def test_a_payment_is_booked_once_however_often_it_is_announced(world: World, database: Database) -> None:
    client, stripe = world
    assert await stripe.announce() == (200, {"result": "booked"})
    assert await stripe.announce() == (200, {"result": "known"})
    assert await stripe.announce(client_reference_id="other", amount_total=99) == (200, {"result": "known"})
    assert await balance_nano(client) == 12_340_000_000
    assert await stripe.announce(id="cs_2", amount_total=1) == (200, {"result": "booked"})
    assert await balance_nano(client) == 12_350_000_000
    lines = (await client.call("GET", "/accounts/acme/statement")).body
    assert [(line["kind"], line["reference"]) for line in lines] == [
        ("payment", "stripe:cs_2"),
        ("payment", "stripe:cs_1"),
    ]
    async with database.connection() as connection:
        assert await connection.fetchval("select balance_nano from balances where kind = 'payments'") == -12_350_000_000
        assert not [name async for name, found in ledger_checks.check(connection) if found]


async def test_a_hundred_parallel_announcements_book_one_payment(world: World) -> None:
    answers = await asyncio.gather(*(world.stripe.announce() for _ in range(100)))
    assert Counter(answer.body["result"] for answer in answers) == {"booked": 1, "known": 99}
    assert {answer.status for answer in answers} == {200}
    assert await balance_nano(world.client) == 12_340_000_000


async def test_what_is_forged_or_replayed_later_is_refused(world: World) -> None:
    client, stripe = world
    assert (await stripe.announce(secret="whsec_guessed")).status == 400
    assert (await stripe.announce(age_s=TOLERANCE_S + 1)).status == 400
    assert (await stripe.announce(age_s=-TOLERANCE_S - 30)).status == 400  # it comes nearer while it is on its way
    assert (await stripe.send(b"{}", {})).status == 400
    refused = await stripe.send(b"{}", {"authorization": f"Bearer {ADMIN_KEY}"})
    assert (refused.status, refused.body["error"]["type"]) == (400, "client_bad_request")
    assert (await stripe.announce(currency=None)).status == 400
    assert await balance_nano(client) == 0
    assert (await client.call("GET", "/payments")).body == []


async def test_large_bodies_unknown_providers_and_other_methods(world: World) -> None:
    client, stripe = world
    assert (await stripe.send(b"x" * (WEBHOOK_BYTES_MAX + 1), {})).status == 413
    assert (await stripe.send(b"x" * WEBHOOK_BYTES_MAX, {})).status == 400
    unknown = await stripe.send(b"{}", {}, "paypal")
    assert (unknown.status, "no payment provider 'paypal'" in unknown.body["error"]["message"]) == (404, True)
    async with stripe.http.get(f"{client.url}/webhooks/payments/stripe") as response:
        assert response.status == 401  # no path of the webhook's: the admin key is asked for
    async with stripe.http.post(f"{client.url}/webhooks/payments/stripe/x") as response:
        assert response.status == 401


async def test_other_events_are_ignored(world: World) -> None:
    assert await world.stripe.announce(payment_status="unpaid") == (200, {"result": "ignored"})
    assert (await world.client.call("GET", "/payments")).body == []


ASIDE: list[tuple[dict[str, Any], str]] = [
    ({"currency": "eur"}, "another currency than USD"),
    ({"client_reference_id": "nobody"}, "no account of that name"),
    ({"client_reference_id": None}, "no account named"),
    ({"amount_total": 10**12}, "too large an amount"),
]


@pytest.mark.parametrize(("session", "reason"), ASIDE)
async def test_what_cannot_be_booked_by_itself_waits_for_a_person(
    world: World, database: Database, session: dict[str, Any], reason: str
) -> None:
    client, stripe = world
    assert await stripe.announce(**session) == (200, {"result": "aside"})
    assert await stripe.announce(**session) == (200, {"result": "known"})
    assert await balance_nano(client) == 0
    [view] = (await client.call("GET", "/payments?aside=true")).body
    assert (view["reason"], view["account"], view["amount_nano"]) == (reason, None, None)
    async with database.connection() as connection:
        alert = await connection.fetchrow("select * from alerts")
        assert (alert["kind"], alert["subject"], alert["account_id"]) == ("payment_aside", "stripe:cs_1", None)
        assert msgspec.json.decode(alert["payload"])["reason"] == reason
    path = "/payments/stripe/cs_1/assign"
    body = {"account": "acme", "usd": "10.5"}
    assigned = await client.call("POST", path, body)
    assert (assigned.status, assigned.body["account"], assigned.body["amount_nano"]) == (200, "acme", 10_500_000_000)
    assert (await client.call("POST", path, body)).status == 409
    assert await balance_nano(client) == 10_500_000_000
    assert (await client.call("GET", "/payments?aside=true")).body == []
    assert (await client.call("GET", "/payments")).body == [assigned.body]


async def test_a_payment_in_another_currency_must_be_valued(world: World) -> None:
    client, stripe = world
    await stripe.announce(currency="eur")
    path = "/payments/stripe/cs_1/assign"
    refused = await client.call("POST", path, {"account": "acme"})
    assert (refused.status, "worth in USD" in refused.body["error"]["message"]) == (409, True)
    assert (await client.call("POST", path, {"account": "acme", "usd": 0})).status == 400
    assert (await client.call("POST", path, {"account": "none", "usd": 1})).status == 404
    assert (await client.call("POST", "/payments/stripe/cs_9/assign", {"account": "acme"})).status == 404
    await stripe.announce(id="cs_2", client_reference_id="nobody")
    both = [client.call("POST", "/payments/stripe/cs_2/assign", {"account": "acme"}) for _ in range(10)]
    assert sorted(answer.status for answer in await asyncio.gather(*both)) == [200] + [409] * 9
    assert await balance_nano(client) == 12_340_000_000


async def test_the_commands(world: World, database: Database) -> None:
    client, stripe = world
    cli = CLI(TRUNKLINE_CONSOLE_URL=client.url, TRUNKLINE_ADMIN_KEY=ADMIN_KEY)
    await stripe.announce(client_reference_id="nobody")
    shown = await asyncio.to_thread(cli.run, "payments", "list", "--aside")
    assert shown.rows[1][2:7] == ["stripe", "cs_1", "nobody", "1234", "usd"]
    done = await asyncio.to_thread(cli.run, "payments", "assign", "stripe", "cs_1", "acme")
    assert done.rows[1][7:9] == ["acme", "12.34"]
    async with database.connection() as connection:
        account = await connection.fetchval("select id from accounts")
        assert await ledger.balance(connection, account) == 12_340_000_000
