"""Redemption codes on a real Postgres: shown once, redeemed once, and not to be guessed."""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.support.cli import CLI
from tests.support.console import ADMIN_KEY, AdminClient, Answer, running_console
from trunkline.policy.codes import FAILURES_PER_HOUR_MAX, check_character, normal_form
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store import ledger_checks
from trunkline.store.codes import forget_failures
from trunkline.store.database import Database

NANO = 1_000_000_000

pytestmark = pytest.mark.usefixtures("patient_database")


@pytest.fixture
async def client(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[AdminClient]:
    async with running_console(bus, tasks, database_dsn) as running:
        await running.client.call("POST", "/accounts", {"name": "acme"})
        yield running.client


async def create(client: AdminClient, **wanted: object) -> list[str]:
    made = await client.call("POST", "/codes", {"usd": 10, "count": 1, **wanted})
    assert made.status == 201, made
    codes: list[str] = made.body["codes"]
    return codes


async def redeem(client: AdminClient, code: str, account: str = "acme") -> Answer:
    return await client.call("POST", f"/accounts/{account}/redemptions", {"code": code})


def guess(number: int) -> str:
    body = f"{number:011}"
    return body + check_character(body)


async def test_a_code_is_shown_once_and_redeemed_once(client: AdminClient, database: Database) -> None:
    await client.call("POST", "/accounts", {"name": "other"})
    [code, second] = await create(client, count=2, note="spring")
    assert normal_form(code) is not None
    first = await redeem(client, code.lower().replace("-", " "))
    assert first == (200, {"redeemed": True, "amount_nano": 10 * NANO, "balance_nano": 10 * NANO})
    assert (await redeem(client, code)).body == {**first.body, "redeemed": False}
    taken = await redeem(client, code, "other")
    assert (taken.status, taken.body["error"]["message"]) == (409, "This code is not valid, has expired or was used.")
    [batch] = (await client.call("GET", "/codes")).body
    assert (batch["codes"], batch["redeemed"], batch["note"]) == (2, 1, "spring")
    [line] = (await client.call("GET", "/accounts/acme/statement")).body
    assert (line["kind"], line["amount_nano"]) == ("redemption", 10 * NANO)
    async with database.connection() as connection:
        stored = await connection.fetchval("select string_agg(codes::text, '') from codes")
        for shown in (code, second):
            assert normal_form(shown) not in stored
            assert str(normal_form(shown)).encode().hex() not in stored
        assert not [name async for name, found in ledger_checks.check(connection) if found]


async def test_200_redemptions_of_one_code_at_once_book_one(client: AdminClient) -> None:
    names = [f"account-{number}" for number in range(200)]
    await client.call("POST", "/apply", {"accounts": [{"name": name} for name in names]})
    [code] = await create(client)
    answers = await asyncio.gather(*(redeem(client, code, name) for name in names))
    assert Counter(answer.status for answer in answers) == {200: 1, 409: 199}
    accounts = (await client.call("GET", "/accounts")).body
    assert sum(account["balance_nano"] for account in accounts) == 10 * NANO


async def test_200_redemptions_of_one_code_by_one_account_book_one(client: AdminClient) -> None:
    [code] = await create(client)
    answers = await asyncio.gather(*(redeem(client, code) for _ in range(200)))
    assert Counter(answer.body.get("redeemed") for answer in answers)[True] == 1
    assert {answer.status for answer in answers} <= {200, 429}
    assert (await client.call("GET", "/accounts/acme")).body["balance_nano"] == 10 * NANO
    # What succeeded is no failed try.
    assert (await redeem(client, code)).body["redeemed"] is False


async def test_guesses_are_bounded_per_account_and_hour(client: AdminClient, database: Database) -> None:
    await client.call("POST", "/accounts", {"name": "other"})
    [code] = await create(client)
    guesses = await asyncio.gather(*(redeem(client, guess(number)) for number in range(50)))
    assert Counter(answer.status for answer in guesses) == {409: FAILURES_PER_HOUR_MAX, 429: 50 - FAILURES_PER_HOUR_MAX}
    refused = await redeem(client, code)
    assert (refused.status, refused.body["error"]["type"]) == (429, "policy_rate_limited")
    assert (await redeem(client, guess(1), "other")).status == 409
    async with database.connection() as connection:
        await connection.execute("update code_failures set hour = hour - interval '1 hour'")
    assert (await redeem(client, code)).status == 200
    async with database.connection() as connection:
        await connection.execute("update code_failures set hour = hour - interval '2 days'")
        await forget_failures(connection)
        assert await connection.fetchval("select count(*) from code_failures") == 0


async def test_typing_errors_are_no_guesses(client: AdminClient) -> None:
    [code] = await create(client)
    for _ in range(FAILURES_PER_HOUR_MAX + 1):
        assert (await redeem(client, code[:-1])).status == 400
    assert (await redeem(client, code)).status == 200


async def test_good_codes_do_not_count_as_failures(client: AdminClient) -> None:
    codes = await create(client, count=FAILURES_PER_HOUR_MAX * 2)
    assert {(await redeem(client, code)).status for code in codes} == {200}


async def test_codes_end_by_date_and_by_hand(client: AdminClient, database: Database) -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    [ending] = await create(client, expires=soon.isoformat())
    [used, withdrawn] = await create(client, count=2)
    assert (await redeem(client, used)).status == 200
    async with database.connection() as connection:
        await connection.execute("update code_batches set expires_at = now() where expires_at is not null")
        batch = await connection.fetchval("select max(id) from code_batches")
    assert (await redeem(client, ending)).status == 409
    first = await client.call("POST", f"/codes/{batch}/withdraw")
    assert (first.status, first.body["redeemed"]) == (200, 1)
    assert (await client.call("POST", f"/codes/{batch}/withdraw")).body == first.body
    assert (await redeem(client, withdrawn)).status == 409
    assert (await redeem(client, used)).body["redeemed"] is False
    assert (await client.call("POST", "/codes/999/withdraw")).status == 404


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"usd": 0}, "usd: must be more than 0"),
        ({"usd": -1}, "usd: must be between 0"),
        ({"count": 0}, "count: must be between 1 and 10000"),
        ({"count": 10_001}, "count: must be between 1 and 10000"),
        ({"expires": "2020-01-01T00:00:00Z"}, "expires: is past"),
        ({"note": "x" * 129}, "note: must have at most"),
        ({"note": "\n"}, "note: must have at most"),
    ],
)
async def test_codes_that_cannot_be_are_refused(client: AdminClient, wanted: dict[str, object], said: str) -> None:
    refused = await client.call("POST", "/codes", {"usd": 10, "count": 1, **wanted})
    assert refused.status == 400
    assert refused.body["error"]["faults"][0].startswith(said)


async def test_the_commands(client: AdminClient) -> None:
    cli = CLI(TRUNKLINE_CONSOLE_URL=client.url, TRUNKLINE_ADMIN_KEY=ADMIN_KEY)
    run = asyncio.to_thread
    made = await run(cli.run, "codes", "create", "--amount", "2.5", "--count", "3", "--expires", "2099-01-31")
    codes = made.out.split()
    assert (len(codes), made.err) == (3, "batch 1: 3 codes of 2.50 USD\n")
    done = await run(cli.run, "accounts", "redeem", "acme", codes[0])
    assert done.out == "redeemed 2.50 USD; the balance is 2.50 USD\n"
    again = await run(cli.run, "accounts", "redeem", "acme", codes[0])
    assert again.out == "nothing redeemed: the account had the 2.50 USD before; the balance is 2.50 USD\n"
    listed = await run(cli.run, "codes", "list")
    assert listed.rows[1][:4] == ["1", "2.50", "3", "1"]
    assert not any(code in listed.out for code in codes)
    assert "2099-01-31" in (await run(cli.run, "codes", "withdraw", "1")).out
    assert "not valid" in await run(cli.fails, "accounts", "redeem", "acme", codes[1])
