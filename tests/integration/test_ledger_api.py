"""The ledger by hand, through the admin API and the command line."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest

from services.console import streams
from tests.support import usage_events
from tests.support.cli import CLI
from tests.support.console import ADMIN_KEY, AdminClient, RunningConsole, running_console
from tests.support.usage_events import usage_event
from trunkline.core.ids import job_text
from trunkline.policy.admin_credit import LedgerFinding, LedgerStep
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store import ledger_checks
from trunkline.store.database import Database
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import settle

WITHIN_S = 20.0
HEARTBEATS = 10
CHECKS = ["balances", "zero sum", "booked once", "refunds", "monthly spending", "budgets", "usage", "credit"]


@pytest.fixture
async def running(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[RunningConsole]:
    async with running_console(bus, tasks, database_dsn) as running:
        yield running


@pytest.fixture
async def client(running: RunningConsole) -> AdminClient:
    await running.client.call("POST", "/accounts", {"name": "acme", "credit": 1})
    return running.client


@pytest.fixture
def cli(client: AdminClient) -> CLI:
    return CLI(TRUNKLINE_CONSOLE_URL=client.url, TRUNKLINE_ADMIN_KEY=ADMIN_KEY)


async def charged(database: Database) -> str:
    """Charge the account for a job; return the job's id."""
    async with database.connection() as connection:
        channel = await usage_events.add_prices(connection)
        account = await connection.fetchval("select id from accounts")
        job = usage_events.new_job()
        book = await load_price_book(connection, await read_mark(connection))
        await settle(connection, [usage_event(job=job, account=account, channel=channel)], book)
    return job_text(job)


async def steps(client: AdminClient, path: str) -> tuple[bytes, list[LedgerStep]]:
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{client.url}/admin/v1{path}", headers=headers) as response,
    ):
        assert (response.status, response.content_type) == (200, "application/x-ndjson")
        body = await response.read()
    return body, [msgspec.json.decode(line, type=LedgerStep) for line in body.splitlines() if line]


async def test_a_charge_is_refunded_and_a_grant_adjusted(client: AdminClient, database: Database) -> None:
    job = await charged(database)
    first = await client.call("POST", "/accounts/acme/refunds", {"job": job})
    again = await client.call("POST", "/accounts/acme/refunds", {"job": job})
    reference = f"refund of {job}"
    assert first.body == {"booked": True, "amount_nano": 200, "reference": reference, "balance_nano": 1_000_000_000}
    assert again.body == {**first.body, "booked": False}
    other = await client.call("POST", "/accounts/acme/refunds", {"job": job, "reference": "other"})
    assert (other.status, other.body["error"]["type"]) == (409, "client_bad_request")
    taken = await client.call(
        "POST",
        "/accounts/acme/adjustments",
        {"usd": "-0.25", "reference": "typing error", "corrects": "configuration"},
    )
    assert taken.body == {
        "booked": True,
        "amount_nano": -250_000_000,
        "reference": "typing error",
        "balance_nano": 750_000_000,
    }
    lines = (await client.call("GET", "/accounts/acme/statement")).body
    assert [(line["kind"], line["amount_nano"], line.get("corrects")) for line in lines] == [
        ("adjustment", -250_000_000, "configuration"),
        ("refund", 200, job),
        ("grant", 1_000_000_000, None),
    ]


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("refunds", {"job": "no job"}, 400, "request's id"),
        ("refunds", {"job": "0198f7a0-0000-7000-8000-000000000000"}, 404, "charged nothing"),
        ("refunds", {"job": "0198f7a0-0000-7000-8000-000000000000", "usd": 0}, 400, "more than 0"),
        ("refunds", {"job": "0198f7a0-0000-7000-8000-000000000000", "usd": -1}, 400, "amount"),
        ("refunds", {"job": "0198f7a0-0000-7000-8000-000000000000", "reference": ""}, 400, "reference"),
        ("adjustments", {"usd": 0, "reference": "x"}, 400, "not be 0"),
        ("adjustments", {"usd": "1e99", "reference": "x"}, 400, "between 0"),
        ("adjustments", {"usd": 1, "reference": ""}, 400, "reference"),
        ("adjustments", {"usd": 1, "reference": "x", "corrects": "none"}, 404, "no transfer of reference 'none'"),
    ],
)
async def test_corrections_that_cannot_be_are_refused(
    client: AdminClient, path: str, body: object, status: int, said: str
) -> None:
    answer = await client.call("POST", f"/accounts/acme/{path}", body)
    assert answer.status == status
    assert said in str(answer.body["error"])


async def test_a_check_streams_its_steps(client: AdminClient, database: Database) -> None:
    await charged(database)
    _, found = await steps(client, "/ledger/verify")
    assert found == [*map(LedgerStep, CHECKS), LedgerStep(done=True)]
    _, made = await steps(client, "/ledger/rebuild")
    assert made == [LedgerStep("balances", count=5), LedgerStep("budgets"), LedgerStep(done=True)]


async def test_a_long_check_shows_that_it_lives(
    client: AdminClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.02)
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    async with aiohttp.ClientSession() as http, asyncio.timeout(WITHIN_S), contextlib.AsyncExitStack() as stack:
        connection = await stack.enter_async_context(database.transaction())
        await connection.execute("lock table monthly_spending in access exclusive mode")
        async with http.post(f"{client.url}/admin/v1/ledger/verify", headers=headers) as response:
            for _ in range(HEARTBEATS):
                while (line := await response.content.readline()) != b"\n":
                    assert line, "it ended before the table was free"
            await stack.aclose()
            rest = [line for line in (await response.read()).splitlines() if line]
    assert msgspec.json.decode(rest[-1], type=LedgerStep).done


async def test_a_check_that_fails_on_its_way_says_so_in_its_last_line(
    client: AdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_connection: object) -> list[LedgerFinding]:
        raise TimeoutError

    monkeypatch.setitem(ledger_checks._CHECKS, "refunds", fail)
    _, found = await steps(client, "/ledger/verify")
    assert found == [
        *map(LedgerStep, CHECKS[:3]),
        LedgerStep(error="The database is not available. Try again in a moment."),
    ]


async def test_the_commands_say_what_is_wrong_and_exit_with_1(cli: CLI, database: Database) -> None:
    job = await charged(database)
    run = asyncio.to_thread
    assert (await run(cli.run, "ledger", "verify")).out.splitlines() == [f"ok    {name}" for name in CHECKS]
    async with database.connection() as connection:
        await connection.execute("update balances set balance_nano = 0 where kind = 'wallet'")
    wrong = await run(cli.run, "ledger", "verify", code=1)
    assert wrong.rows[0] == ["FAIL", "balances"]
    assert wrong.rows[-2][:2] == ["balances", "wallet"]
    assert "0.9999998 USD" in wrong.out
    assert (await run(cli.run, "ledger", "rebuild")).out.splitlines() == [
        "balances: 5 made anew",
        "budgets: 0 made anew",
    ]
    await run(cli.run, "ledger", "verify")
    refunded = await run(cli.run, "accounts", "refund", "acme", job, "--usd", "0.0000001")
    assert refunded.out == "booked 0.0000001 USD; the balance is 0.9999999 USD\n"
    adjusted = await run(
        cli.run, "accounts", "adjust", "acme", "-0.5", "--reference", "x", "--corrects", "configuration"
    )
    assert adjusted.out == "booked -0.50 USD; the balance is 0.4999999 USD\n"
    again = await run(cli.run, "accounts", "adjust", "acme", "-0.5", "--reference", "x")
    assert again.out == "nothing booked: 'x' was booked before; the balance is 0.4999999 USD\n"
    shown = await run(cli.run, "accounts", "statement", "acme")
    assert [row[2:4] for row in shown.rows[1:]] == [["adjustment", "-0.50"], ["refund", "0.0000001"], ["grant", "1.00"]]
    assert "is TRUNKLINE_CONSOLE_URL" in (
        await run(cli.having(TRUNKLINE_CONSOLE_URL="http://127.0.0.1:1").fails, "ledger", "verify")
    ).replace("Is", "is")


async def test_the_books_add_up_to_zero(client: AdminClient, database: Database) -> None:
    assert (await client.call("GET", "/ledger/books")).body == {
        "kinds": [
            {"kind": "wallet", "books": 1, "balance_nano": 1_000_000_000, "below_zero": 0},
            {"kind": "grants", "books": 1, "balance_nano": -1_000_000_000, "below_zero": 1},
        ],
        "channels": [],
    }
    await charged(database)
    books = (await client.call("GET", "/ledger/books")).body
    sums = {one["kind"]: one["balance_nano"] for one in books["kinds"]}
    assert list(sums) == ["wallet", "revenue", "cost_of_sales", "payable", "grants"]
    assert sum(sums.values()) == 0
    assert sums["revenue"] == 1_000_000_000 - sums["wallet"] > 0
    [channel] = books["channels"]
    assert (channel["revenue_nano"], channel["cost_nano"]) == (sums["revenue"], sums["payable"])
    assert channel["cost_nano"] > 0


async def test_refused_usage_is_listed_without_what_was_sent(client: AdminClient, database: Database) -> None:
    assert (await client.call("GET", "/ledger/refused")).body == []
    async with database.connection() as connection:
        for number in range(2):
            await connection.execute(
                "insert into usage_refused (subject, reason, payload) values ($1, $2, $3)",
                "tl.usage" if number else None,
                f"reason {number}",
                b"planted" * (number + 1),
            )
    shown = await client.call("GET", "/ledger/refused")
    assert [(one["subject"], one["reason"], one["bytes"]) for one in shown.body] == [
        ("tl.usage", "reason 1", 14),
        (None, "reason 0", 7),
    ]
    assert "planted" not in str(shown.body)
