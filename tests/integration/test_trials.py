"""Free trials on a real Postgres: given once, and what is left taken back once, whoever is at it at the same time."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.console.metrics import ConsoleMetrics
from services.console.upkeep import Upkeep
from tests.support import usage_events
from tests.support.cli import CLI
from tests.support.console import ADMIN_KEY, AdminClient, running_console
from tests.support.usage_events import usage_event
from tests.support.waiting import eventually
from trunkline.bus.allowance import WALLET
from trunkline.core.usage import Units
from trunkline.policy.entities import FreeTrial
from trunkline.policy.grants import AccountState, LeaseState
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store import ledger, ledger_checks
from trunkline.store.allowances import WrittenAccount, read_accounts, write_states
from trunkline.store.corrections import adjust_wallet, refund_charge
from trunkline.store.database import Connection, Database
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import settle
from trunkline.store.statements import read_statement
from trunkline.store.trials import due_trials, end_trial, grant_trial

TRIAL = {"trial": {"amount": 5, "days": 30}}
NANO = 1_000_000_000


@pytest.fixture
async def client(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[AdminClient]:
    async with running_console(bus, tasks, database_dsn) as running:
        yield running.client


async def on_trial(connection: Connection, amount_nano: int = 500) -> int:
    """Make an account whose trial is over."""
    account = await usage_events.add_account(connection)
    assert await grant_trial(connection, account, FreeTrial(amount_nano, 30))
    await connection.execute("update trials set ends_at = now() - interval '1 minute'")
    return account


async def spend(connection: Connection, account: int, nano: int, lease: int = 0) -> bytes:
    """Charge an account so much; return the job."""
    if not await connection.fetchval("select count(*) from model_prices"):
        await usage_events.add_prices(connection)
    book = await load_price_book(connection, await read_mark(connection))
    event = usage_event(account=account, units=Units(input=nano), lease=lease)
    await settle(connection, [event], book)
    return event.job


async def hold(connection: Connection, account: int, drawn: dict[int, int]) -> None:
    """Let edges have drawn so much of the wallet, by lease."""
    stored = (await read_accounts(connection, [account]))[account]
    leases = {number: LeaseState("edge-1", drawn={WALLET: nano}) for number, nano in drawn.items()}
    state = WrittenAccount(account, stored.version, AccountState(leases=leases), durable=True)
    assert await write_states(connection, [state]) == {account}


async def end(database: Database, account: int) -> int | None:
    async with database.transaction() as connection:
        return await end_trial(connection, account)


async def test_a_trial_is_given_once(database: Database) -> None:
    async with database.connection() as connection:
        account = await usage_events.add_account(connection)
        assert await grant_trial(connection, account, FreeTrial(500, 30))
        assert not await grant_trial(connection, account, FreeTrial(900, 30))
        assert await ledger.balance(connection, account) == 500
        assert await due_trials(connection) == []
        [line] = await read_statement(connection, account)
        assert (line.kind, line.amount_nano, line.reference) == ("trial", 500, "trial")


@pytest.mark.parametrize(
    ("before", "taken", "rest"),  # before: paid in, spent, taken by hand
    [
        ((0, 0, 0), 500, 0),
        ((0, 120, 0), 380, 0),
        ((0, 600, 0), 0, -100),
        ((1000, 0, 0), 500, 1000),
        ((1000, 120, 0), 380, 1000),
        ((1000, 700, 0), 0, 800),
        ((0, 0, 450), 50, 0),
        ((0, 0, 600), 0, -100),
    ],
)
async def test_what_was_not_used_is_taken_back(
    database: Database, before: tuple[int, int, int], taken: int, rest: int
) -> None:
    paid, spent, taken_by_hand = before
    async with database.connection() as connection:
        account = await on_trial(connection)
        if paid:
            await ledger.grant_credit(connection, account, paid, "invoice")
        if spent:
            await spend(connection, account, spent)
        if taken_by_hand:
            await adjust_wallet(connection, account, -taken_by_hand, "by hand")
    assert await end(database, account) == taken
    assert await end(database, account) is None
    async with database.connection() as connection:
        assert await ledger.balance(connection, account) == rest
        assert await due_trials(connection) == []
        expiries = [line for line in await read_statement(connection, account) if line.kind == "expiry"]
        assert [line.amount_nano for line in expiries] == ([-taken] if taken else [])
        assert not [name async for name, found in ledger_checks.check(connection) if found]


async def test_what_was_refunded_was_not_used(database: Database) -> None:
    async with database.connection() as connection:
        account = await on_trial(connection)
        job: Any = await spend(connection, account, 300)
        await refund_charge(connection, account, job, amount_nano=200, reference="sorry")
    assert await end(database, account) == 400
    async with database.connection() as connection:
        assert await ledger.balance(connection, account) == 0


async def test_many_at_once_take_it_once(database: Database) -> None:
    async with database.connection() as connection:
        account = await on_trial(connection)
    took = await asyncio.gather(*(end(database, account) for _ in range(30)))
    assert [nano for nano in took if nano is not None] == [500]
    async with database.connection() as connection:
        assert await ledger.balance(connection, account) == 0


async def test_charges_and_grants_at_the_same_moment_leave_the_wallet_right(database: Database) -> None:
    async with database.connection() as connection:
        account = await on_trial(connection)
        await usage_events.add_prices(connection)

    async def charge() -> None:
        async with database.connection() as connection:
            await spend(connection, account, 10)

    async def grant(number: int) -> None:
        async with database.connection() as connection:
            await ledger.grant_credit(connection, account, 1000, f"grant {number}")

    work = [charge() for _ in range(20)] + [grant(number) for number in range(10)]
    _, *_, taken = await asyncio.gather(*work, end(database, account))
    assert taken is not None
    assert 300 <= taken <= 500
    async with database.connection() as connection:
        assert await ledger.balance(connection, account) == 500 + 10_000 - 200 - taken
        assert await ledger.verify(connection) == []


async def test_it_waits_for_what_edges_hold_and_a_decision_under_way_has_to_be_made_anew(database: Database) -> None:
    async with database.connection() as connection:
        account = await on_trial(connection)
        await hold(connection, account, {7: 100})
        assert await end(database, account) is None
        await spend(connection, account, 60, lease=7)
        assert await end(database, account) is None  # 40 are out still, and 440 unused
        read_before = (await read_accounts(connection, [account]))[account]
        await hold(connection, account, {7: 60})  # the edge has returned the rest
        assert await end(database, account) == 440
        late = WrittenAccount(account, read_before.version + 1, read_before.state, durable=False)
        assert await write_states(connection, [late]) == set()
        assert await ledger.balance(connection, account) == 0


async def test_it_does_not_wait_for_ever(database: Database) -> None:
    async with database.connection() as connection:
        account = await on_trial(connection)
        await hold(connection, account, {7: 100})
        await connection.execute("update trials set ends_at = now() - interval '2 hours'")
        assert await end(database, account) == 400
        assert await ledger.balance(connection, account) == 100


async def test_the_console_ends_trials_by_itself(database: Database) -> None:
    async with database.connection() as connection:
        account = await on_trial(connection)
    upkeep = Upkeep(database, clock=SystemClock(), metrics=ConsoleMetrics(CollectorRegistry()))
    await asyncio.gather(upkeep.once(), upkeep.once())
    async with database.connection() as connection:
        assert await ledger.balance(connection, account) == 0


async def test_new_accounts_get_it_when_they_are_made_with_it(client: AdminClient) -> None:
    refused = await client.call("POST", "/accounts", {"name": "early", "trial": True})
    assert (refused.status, refused.body["error"]["faults"]) == (
        400,
        ["account.trial: there is no free trial; declare one under trial"],
    )
    applied = await client.call("POST", "/apply", TRIAL)
    assert applied.body["changes"] == [
        {
            "action": "update",
            "kind": "trial",
            "name": "of new accounts",
            "fields": [
                {"field": "amount", "before": "0.00 USD", "after": "5.00 USD"},
                {"field": "days", "before": "0", "after": "30"},
            ],
        }
    ]
    assert (await client.call("POST", "/apply", TRIAL)).body["changes"] == []
    made = await client.call("POST", "/accounts", {"name": "acme", "trial": True})
    assert (made.status, made.body["balance_nano"]) == (201, 5 * NANO)
    trial = (await client.call("GET", "/accounts/acme/trial")).body
    assert (trial["amount_nano"], trial["ended_at"], trial["taken_nano"]) == (5 * NANO, None, None)
    assert dt.datetime.fromisoformat(trial["ends_at"]) == dt.datetime.fromisoformat(trial["granted_at"]) + dt.timedelta(
        days=30
    )
    plain = await client.call("POST", "/accounts", {"name": "plain"})
    assert (await client.call("GET", "/accounts/plain/trial")).status == 404
    assert plain.body["balance_nano"] == 0
    entries = [{"name": name, "trial": True} for name in ("acme", "plain", "new")]
    first = (await client.call("POST", "/apply", {"accounts": entries})).body["changes"]
    assert [(change["action"], change["name"]) for change in first] == [("create", "new"), ("grant", "new")]
    assert first[1]["fields"] == [{"field": "trial", "before": "none", "after": "5.00 USD for 30 days"}]
    assert (await client.call("POST", "/apply", {"accounts": entries})).body["changes"] == []
    balances = {account["name"]: account["balance_nano"] for account in (await client.call("GET", "/accounts")).body}
    assert balances == {"acme": 5 * NANO, "new": 5 * NANO, "plain": 0}


@pytest.mark.parametrize(
    ("trial", "said"),
    [
        ({"amount": 5}, "trial.days: is missing"),
        ({"amount": -1, "days": 30}, "trial.amount: must be between 0"),
        ({"amount": 5, "days": 0}, "trial.days: must be between 1 and 3650"),
        ({"amount": 5, "days": "30"}, "trial.days: expected `int`"),
        ([], "trial: must be a mapping"),
    ],
)
async def test_a_trial_that_cannot_be_is_refused(client: AdminClient, trial: object, said: str) -> None:
    refused = await client.call("POST", "/apply", {"trial": trial})
    assert refused.status == 400
    assert said in refused.body["error"]["faults"][0]


async def test_the_commands(client: AdminClient, database: Database) -> None:
    await client.call("POST", "/apply", TRIAL)
    cli = CLI(TRUNKLINE_CONSOLE_URL=client.url, TRUNKLINE_ADMIN_KEY=ADMIN_KEY)
    made = await asyncio.to_thread(cli.run, "accounts", "create", "acme", "--trial")
    assert "5.00" in made.rows[1]
    assert (await asyncio.to_thread(cli.run, "accounts", "trial", "acme")).out.startswith("5.00 USD, ends 2")
    async with database.connection() as connection:
        await connection.execute("update trials set ends_at = '2026-01-31T00:00Z'")

    async def ended() -> str | None:
        shown = await asyncio.to_thread(cli.run, "accounts", "trial", "acme")
        return shown.out if "ended" in shown.out else None

    said = await eventually(ended, within_s=15, what="the end of the trial")
    assert said == "5.00 USD, ended 2026-01-31 00:00; 5.00 USD of it were left and taken back\n"


async def test_the_offer_ends_with_an_amount_of_zero(client: AdminClient) -> None:
    both = {**TRIAL, "accounts": [{"name": "acme", "trial": True}]}
    assert (await client.call("POST", "/apply", both)).status == 200
    await client.call("POST", "/apply", {"trial": {"amount": 0, "days": 30}})
    assert (await client.call("POST", "/accounts", {"name": "late", "trial": True})).status == 400
    assert (await client.call("GET", "/accounts/acme")).body["balance_nano"] == 5 * NANO
