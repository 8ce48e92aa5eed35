"""Alerts from the threshold to the reader: signed webhooks and mail, tried again, given up, and shown."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp
import pytest

from tests.support.cli import CLI
from tests.support.console import ADMIN_KEY, PEPPER, AdminClient, running_console
from tests.support.smtp_server import Mailbox, running_smtp
from tests.support.stripe import SECRET, Stripe
from tests.support.waiting import eventually
from tests.support.webhook_receiver import Receiver, running_receiver, verified
from trunkline.policy import alerts as policy
from trunkline.policy.alerts import signing_secret
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store import deliveries
from trunkline.store.alerts import NewAlert, raise_alert
from trunkline.store.database import Database
from trunkline.store.deliveries import take_deliveries

WITHIN_S = 15.0


class World(NamedTuple):
    client: AdminClient
    receiver: Receiver
    mailbox: Mailbox

    @property
    def hook(self) -> str:
        return f"http://127.0.0.1:{self.receiver.port}/hook"


@pytest.fixture
async def world(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[World]:
    async with running_receiver() as receiver, running_smtp() as mailbox:
        settings = {
            "TRUNKLINE_ALERT_ALLOW": "127.0.0.0/8",
            "TRUNKLINE_ALERT_PORTS": str(receiver.port),
            "TRUNKLINE_SMTP_HOST": "localhost",
            "TRUNKLINE_SMTP_PORT": str(mailbox.port),
            "TRUNKLINE_SMTP_SECURITY": "none",
            "TRUNKLINE_SMTP_FROM": "alerts@example.com",
            "TRUNKLINE_STRIPE_WEBHOOK_SECRETS": SECRET,
        }
        async with running_console(bus, tasks, database_dsn, **settings) as running:
            yield World(running.client, receiver, mailbox)


def now_s() -> int:
    return SystemClock().wall_ms() // 1000


async def ways(client: AdminClient, state: str) -> list[dict[str, Any]]:
    """Return all deliveries once none is in another state than this one."""

    async def look() -> list[dict[str, Any]] | None:
        found = [way for alert in (await client.call("GET", "/alerts")).body for way in alert["deliveries"]]
        return found if found and {way["state"] for way in found} == {state} else None

    return await eventually(look, within_s=WITHIN_S, what=f"all deliveries {state}")


async def test_a_low_balance_is_told_by_webhook_and_mail(world: World) -> None:
    client, receiver, mailbox = world
    terms = {"balance_below": 5, "webhook": world.hook, "email": ["ops@example.com", "cfo@example.com"]}
    made = await client.call("POST", "/accounts", {"name": "acme", "credit": "4.99", "alerts": terms})
    assert made.status == 201
    delivered = await ways(client, "delivered")
    assert [(way["channel"], way["attempts"], way["error"]) for way in delivered] == [
        ("email", 1, None),
        ("email", 1, None),
        ("webhook", 1, None),
    ]
    shown = (await client.call("GET", "/accounts/acme/alerts")).body
    [post] = receiver.posts
    said = verified(shown["signing_secret"], post.headers, post.body, now_s())
    created_at = said.pop("created_at")
    [alert] = (await client.call("GET", "/alerts?account=acme")).body
    assert said == {
        "id": f"alert-{alert['id']}",
        "type": "balance",
        "subject": "acme",
        "account": "acme",
        "data": {"account": "acme", "balance_usd": "4.99", "below_usd": "5.00"},
    }
    assert (post.headers["webhook-id"], created_at[:16]) == (f"alert-{alert['id']}", alert["created_at"][:16])
    with pytest.raises(AssertionError):
        verified(signing_secret(PEPPER.encode(), 999), post.headers, post.body, now_s())
    assert sorted(mail.recipients[0] for mail in mailbox.mails) == ["cfo@example.com", "ops@example.com"]
    mail = mailbox.mails[0]
    assert (mail.sender, mail.message["subject"]) == ("alerts@example.com", "acme: the balance is below 5.00 USD")
    assert "balance usd: 4.99" in mail.message.get_content()


async def test_what_fails_is_tried_again_under_the_same_id(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client, receiver, mailbox = world
    monkeypatch.setattr(policy, "_WAIT_MIN_S", 0.0)
    receiver.statuses, mailbox.answers = [500, 302], ["451 later"]
    terms = {"balance_below": 5, "webhook": world.hook, "email": ["ops@example.com"]}
    await client.call("POST", "/accounts", {"name": "acme", "alerts": terms})
    delivered = await ways(client, "delivered")
    assert [(way["channel"], way["attempts"]) for way in delivered] == [("email", 2), ("webhook", 3)]
    assert len({post.headers["webhook-id"] for post in receiver.posts}) == 1
    assert [len(receiver.posts), len(mailbox.mails)] == [3, 1]


async def test_what_never_succeeds_is_given_up_and_shown(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client, receiver, _ = world
    monkeypatch.setattr(policy, "_WAIT_MIN_S", 0.0)
    monkeypatch.setattr(policy, "ATTEMPTS_MAX", 3)
    receiver.statuses = [503] * 5
    await client.call("POST", "/accounts", {"name": "acme"})
    put = await client.call("PUT", "/accounts/acme/alerts", {"balance_below": 5, "webhook": world.hook})
    assert put.status == 200
    [way] = await ways(client, "given up")
    assert (way["attempts"], way["error"], len(receiver.posts)) == (3, "its server answered 503", 3)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("https://10.0.0.1/", "it is no plain http or https URL on a usual port"),
        ("http://169.254.169.254:{port}/", "its server cannot be reached from here"),
        ("https://127.0.0.1:{port}/", "its server cannot be reached from here"),
    ],
)
async def test_where_webhooks_may_go(world: World, monkeypatch: pytest.MonkeyPatch, url: str, error: str) -> None:
    monkeypatch.setattr(policy, "ATTEMPTS_MAX", 1)
    client = world.client
    await client.call("POST", "/accounts", {"name": "acme"})
    await client.call("PUT", "/accounts/acme/alerts", {"webhook": url.format(port=world.receiver.port)})
    await client.call("POST", "/accounts/acme/alerts/test")
    [way] = await ways(client, "given up")
    assert way["error"] == error
    assert world.receiver.posts == []


async def test_a_payment_kept_aside_is_told_to_the_sites_operators(world: World, database: Database) -> None:
    client, receiver, mailbox = world
    site = {"alerts": {"webhook": world.hook, "email": ["ops@example.com"]}}
    applied = await client.call("POST", "/apply", site)
    assert applied.body["changes"][0]["fields"] == [
        {"field": "alerts", "before": "none", "after": f"to ops@example.com, to {world.hook}"}
    ]
    assert (await client.call("POST", "/apply", site)).body["changes"] == []
    async with aiohttp.ClientSession() as http:
        stripe = Stripe(http, client.url)
        assert (await stripe.announce(client_reference_id="nobody")).body == {"result": "aside"}
        assert (await stripe.announce(client_reference_id="nobody")).body == {"result": "known"}
    assert len(await ways(client, "delivered")) == 2
    shown = (await client.call("GET", "/alerts/terms")).body
    assert (shown["webhook"], shown["signing_secret"]) == (world.hook, signing_secret(PEPPER.encode(), None))
    said = verified(shown["signing_secret"], receiver.posts[0].headers, receiver.posts[0].body, now_s())
    assert (said["type"], said["account"], said["subject"]) == ("payment_aside", None, "stripe:cs_1")
    reason = "no account of that name"
    assert said["data"] == {"account": "nobody", "amount": 1234, "currency": "usd", "reason": reason}
    assert mailbox.mails[0].message["subject"] == f"Payment stripe:cs_1 waits for a person: {reason}"
    tested = await client.call("POST", "/alerts/test")
    assert (tested.status, tested.body["subject"], len(tested.body["deliveries"])) == (202, "site", 2)


async def test_an_alert_that_nobody_thought_of_ends_nothing(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "ATTEMPTS_MAX", 1)
    async with database.connection() as connection:
        await connection.execute(
            "insert into alerts (kind, subject, occasion, payload) values ('budget', 'x', '', '{}');"
            "insert into alert_deliveries (alert_id, channel, target) select id, 'email', 'a@example.com' from alerts"
        )
    [way] = await ways(world.client, "given up")
    assert way["error"] == "it cannot be put into words"
    async with database.connection() as connection:
        await connection.execute("delete from alerts")
        alert = NewAlert("of_the_future", "x", {"what": "else"}, account_id=None)
        await connection.execute("insert into console_settings values ('alerts', '{\"email\": [\"a@example.com\"]}')")
        async with connection.transaction():
            await raise_alert(connection, alert)
    await ways(world.client, "delivered")
    assert world.mailbox.mails[0].message.get_content().split() == ["x:", "of_the_future", "what:", "else"]


async def test_terms_are_replaced_as_a_whole_and_by_a_file(world: World) -> None:
    client = world.client
    await client.call("POST", "/accounts", {"name": "acme"})
    await client.call("PUT", "/accounts/acme/alerts", {"budget_percent": [80, 50], "email": ["a@example.com"]})
    put = await client.call("PUT", "/accounts/acme/alerts", {"balance_below": "2.5", "email": ["b@example.com"]})
    assert {**put.body, "signing_secret": ""} == {
        "budget_percent": [],
        "balance_below_nano": 2_500_000_000,
        "webhook": None,
        "email": ["b@example.com"],
        "signing_secret": "",
    }
    file = {"accounts": [{"name": "acme", "alerts": {"budget_percent": [90], "email": ["c@example.com"]}}]}
    [change] = (await client.call("POST", "/apply", file)).body["changes"]
    assert change["fields"] == [
        {
            "field": "alerts",
            "before": "balance below 2.50 USD, to b@example.com",
            "after": "budgets at 90 %, to c@example.com",
        }
    ]
    assert (await client.call("POST", "/apply", file)).body["changes"] == []
    bad = await client.call("PUT", "/accounts/acme/alerts", {"budget_percent": [0], "email": ["x"]})
    assert bad.body["error"]["faults"] == [
        "budget_percent[0]: must be between 1 and 100",
        "email[0]: must be an address such as ops@example.com",
    ]
    assert (await client.call("PUT", "/accounts/none/alerts", {})).status == 404
    assert (await client.call("GET", "/accounts/none/alerts")).status == 404
    wrong = await client.call("POST", "/apply", {"alerts": {"email": ["x"]}})
    assert wrong.body["error"]["faults"] == ["alerts.email[0]: must be an address such as ops@example.com"]


async def test_a_delivery_belongs_to_one_console_until_its_time_is_over(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database.connection() as connection:
        await connection.execute(
            "insert into alerts (kind, subject, occasion, payload) values ('test', 'x', '', '{}');"
            "insert into alert_deliveries (alert_id, channel, target)"
            " select id, 'email', n || '@example.com' from alerts, generate_series(1, 50) n"
        )

    async def take() -> list[int]:
        async with database.connection() as connection:
            return [delivery.id for delivery in await take_deliveries(connection, 20)]

    taken = await asyncio.gather(*(take() for _ in range(6)))
    ids = [number for some in taken for number in some]
    assert len(ids) == len(set(ids)) == 50
    monkeypatch.setattr(deliveries, "CLAIM_S", 0.0)
    assert await take() == []
    async with database.connection() as connection:
        await connection.execute(
            "update alert_deliveries set due_at = now() - interval '1 second' where id = $1", ids[0]
        )
        [again] = await take_deliveries(connection, 20)
        assert (again.id, again.attempts) == (ids[0], 2)


async def test_without_a_mail_server_it_is_said(
    bus: NATSBus, tasks: TaskSet, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "ATTEMPTS_MAX", 1)
    async with running_console(bus, tasks, database_dsn) as running:
        terms = {"balance_below": 5, "email": ["ops@example.com"]}
        await running.client.call("POST", "/accounts", {"name": "acme", "alerts": terms})
        [way] = await ways(running.client, "given up")
        assert way["error"] == "no mail server is set: TRUNKLINE_SMTP_HOST"


async def test_the_commands(world: World) -> None:
    client = world.client
    await client.call("POST", "/accounts", {"name": "acme", "credit": 10})
    cli = CLI(TRUNKLINE_CONSOLE_URL=client.url, TRUNKLINE_ADMIN_KEY=ADMIN_KEY)
    run = asyncio.to_thread
    options = (
        "--budget-percent",
        "50,80",
        "--balance-below",
        "5",
        "--email",
        "ops@example.com",
        "--webhook",
        world.hook,
    )
    put = (await run(cli.run, "alerts", "set", "acme", *options)).out
    assert put.splitlines()[:4] == [
        "budgets at: 50 %, 80 %",
        "balance below: 5.00 USD",
        "email: ops@example.com",
        f"webhook: {world.hook}",
    ]
    assert (await run(cli.run, "alerts", "show", "acme")).out == put
    await run(cli.run, "alerts", "test", "acme")
    await ways(client, "delivered")
    listed = (await run(cli.run, "alerts", "list", "--account", "acme")).rows[1:]
    assert [(row[3], row[-4], row[-3]) for row in listed] == [
        ("test", "ops@example.com", "delivered"),
        ("test", world.hook, "delivered"),
    ]
    await run(cli.run, "alerts", "clear", "acme")
    assert "balance below: -" in (await run(cli.run, "alerts", "show", "acme")).out
    assert "signed with: whsec_" in (await run(cli.run, "alerts", "show")).out
    assert "nothing is given" in await run(cli.fails, "alerts", "set", "acme")
