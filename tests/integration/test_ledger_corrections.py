"""Refunds and adjustments, and the checks of the whole ledger, on a real Postgres."""

import asyncio
import datetime as dt

import asyncpg
import pytest

from tests.support import usage_events
from tests.support.usage_events import STARTED_MS, usage_event
from trunkline.bus.allowance import Meter, MeterKind, Period
from trunkline.bus.messages import UsageEvent
from trunkline.core.ids import JobID
from trunkline.policy.admin_credit import LedgerFinding
from trunkline.store import ledger, ledger_checks
from trunkline.store.allowances import OpenedBudget, budget_spent, open_budgets
from trunkline.store.configuration import ConflictError, NotFoundError
from trunkline.store.corrections import Refund, adjust_wallet, refund_charge
from trunkline.store.database import Connection, Database
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import BudgetPeriod, settle
from trunkline.store.statements import read_statement


async def settle_all(connection: Connection, *events: UsageEvent) -> None:
    book = await load_price_book(connection, await read_mark(connection))
    await settle(connection, events, book)


async def charged_job(connection: Connection) -> tuple[int, JobID]:
    """Charge account 1 for a job of 200 nano-USD; return the channel and the job."""
    channel = await usage_events.add_prices(connection)
    job = usage_events.new_job()
    await settle_all(connection, usage_event(job=job, channel=channel))
    return channel, job


async def findings(connection: Connection) -> dict[str, list[LedgerFinding]]:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return {name: found async for name, found in ledger_checks.check(connection) if found}


async def test_an_adjustment_goes_both_ways_and_points_at_what_it_corrects(database: Database) -> None:
    async with database.connection() as connection:
        await ledger.grant_credit(connection, 1, 500, "invoice-7")
        assert await adjust_wallet(connection, 1, -200, "typing error", "invoice-7")
        assert not await adjust_wallet(connection, 1, -200, "typing error", "invoice-7")
        assert await adjust_wallet(connection, 1, 50, "too much taken", "typing error")
        with pytest.raises(NotFoundError, match="no transfer of reference 'invoice-8'"):
            await adjust_wallet(connection, 1, -1, "other", "invoice-8")
        with pytest.raises(NotFoundError):
            await adjust_wallet(connection, 2, -1, "other account", "invoice-7")
        with pytest.raises(ValueError, match="zero"):
            await adjust_wallet(connection, 1, 0, "nothing")
        for other in (-201, 200):
            with pytest.raises(ConflictError, match=r"'typing error' names an adjustment of -0\.0000002 USD"):
                await adjust_wallet(connection, 1, other, "typing error")
        assert await ledger.balance(connection, 1) == 350
        lines = await read_statement(connection, 1)
        assert [(line.kind, line.amount_nano, line.reference, line.corrects) for line in lines] == [
            ("adjustment", 50, "too much taken", "typing error"),
            ("adjustment", -200, "typing error", "invoice-7"),
            ("grant", 500, "invoice-7", None),
        ]
        assert await findings(connection) == {}


async def test_a_refund_gives_a_charge_back_once_from_the_channels_revenue(database: Database) -> None:
    async with database.connection() as connection:
        channel, job = await charged_job(connection)
        assert await refund_charge(connection, 1, job, reference="sorry") == Refund(True, 200, "sorry")
        assert await refund_charge(connection, 1, job, reference="sorry") == Refund(False, 200, "sorry")
        with pytest.raises(ConflictError, match=r"refunded before: 0\.0000002 USD, reference 'sorry'"):
            await refund_charge(connection, 1, job, reference="again")
        with pytest.raises(ConflictError, match="refunded before"):
            await refund_charge(connection, 1, job, amount_nano=100, reference="sorry")
        rows = await connection.fetch("select kind, owner_id, balance_nano from balances order by kind")
        assert [tuple(row) for row in rows] == [
            ("cost_of_sales", channel, -75),
            ("payable", channel, 75),
            ("revenue", channel, 0),
            ("wallet", 1, 0),
        ]
        assert (await read_statement(connection, 1))[0].corrects == job_uuid(job)
        assert await findings(connection) == {}


async def test_a_refund_gives_back_to_the_budgets_that_counted_the_charge(database: Database) -> None:
    now = dt.datetime.now(dt.UTC)
    here = (now + dt.timedelta(hours=8)).date()  # in Shanghai
    yesterday, month = here - dt.timedelta(days=1), here.replace(day=1)
    async with database.connection() as connection:
        channel = await usage_events.add_prices(connection)
        account = await budgeted(
            connection,
            "Asia/Shanghai",
            ("account:daily", here, 0),
            ("account:daily", yesterday, 7),
            ("account:monthly:sm*", month, 0),
        )
        key = await connection.fetchval(
            "insert into keys (account_id, name, groups, models, budgets)"
            """ values ($1, 'ci', '{default}', '{*}', '{"daily_nano": 9}') returning id""",
            account,
        )
        for meter in (f"key:{key}:daily", "user:5:daily"):
            await connection.execute("insert into budget_spending values ($1, $2, $3, 0)", account, meter, here)
        counting = [("account:daily", here), (f"key:{key}:daily", here), ("account:monthly:sm*", month)]
        periods = [BudgetPeriod(*period) for period in counting]
        book = await load_price_book(connection, await read_mark(connection))
        first, second = usage_events.new_job(), usage_events.new_job()
        for job in (first, second):
            event = usage_event(
                job=job, account=account, key=key, channel=channel, started_ms=round(now.timestamp() * 1000)
            )
            await settle(connection, [event], book, lambda _: periods)
        assert (await refund_charge(connection, account, first, amount_nano=150, reference="part")).booked
        assert not (await refund_charge(connection, account, first, amount_nano=150, reference="part")).booked
        assert await spending(connection) == {
            **dict.fromkeys(counting, 250),
            ("account:daily", yesterday): 7,
            ("user:5:daily", here): 0,
        }
        assert [finding.subject for finding in (await findings(connection))["budgets"]] == [
            f"account:daily of account acme from {yesterday}"
        ]
        # A budget that begins now counts the same, and so does one that is made anew.
        daily = Meter("account:daily", MeterKind.MONEY, Period.DAY, 5)
        assert await budget_spent(connection, account, daily, here, "Asia/Shanghai") == 250
        await connection.execute("update budget_spending set spent_nano = 1")
        await ledger_checks.rebuild(connection)
        assert {period: (await spending(connection))[period] for period in counting} == dict.fromkeys(counting, 250)
        # Never below nothing.
        await connection.execute("update budget_spending set spent_nano = 30")
        await refund_charge(connection, account, second, reference="all")
        assert {period: (await spending(connection))[period] for period in counting} == dict.fromkeys(counting, 0)


async def test_a_refund_of_a_job_whose_usage_is_gone_leaves_budgets_alone(database: Database) -> None:
    today = dt.datetime.now(dt.UTC).date()
    async with database.connection() as connection:
        account = await budgeted(connection, "UTC", ("account:daily", today, 200))
        channel, job = await usage_events.add_prices(connection), usage_events.new_job()
        started_ms = round(dt.datetime.now(dt.UTC).timestamp() * 1000)
        await settle_all(connection, usage_event(job=job, account=account, channel=channel, started_ms=started_ms))
        await connection.execute("delete from usage")
        assert (await refund_charge(connection, account, job, reference="late")).booked
        assert await spending(connection) == {("account:daily", today): 200}


async def test_budgets_that_begin_while_refunds_are_booked_have_each_once(database: Database) -> None:
    today = dt.datetime.now(dt.UTC).date()
    started_ms = round(dt.datetime.now(dt.UTC).timestamp() * 1000)
    meter = Meter("account:daily", MeterKind.MONEY, Period.DAY, 5)
    async with database.connection() as connection:
        channel = await usage_events.add_prices(connection)
        accounts = [
            await connection.fetchval(
                """insert into accounts (name, budgets) values ($1, '{"daily_nano": 5}') returning id""", f"a{number}"
            )
            for number in range(12)
        ]
        jobs = {account: [usage_events.new_job() for _ in range(4)] for account in accounts}
        await settle_all(
            connection,
            *(
                usage_event(job=job, account=account, channel=channel, started_ms=started_ms)
                for account in accounts
                for job in jobs[account]
            ),
        )

    async def refund(account: int) -> None:
        for job in jobs[account]:
            async with database.connection() as connection:
                assert (await refund_charge(connection, account, job, amount_nano=50, reference=job.hex())).booked

    async def begin(account: int) -> None:
        async with database.connection() as connection:
            await open_budgets(connection, [OpenedBudget(account, meter, today, "UTC")])

    await asyncio.gather(*(work(account) for account in accounts for work in (refund, begin)))
    async with database.connection() as connection:
        rows = await connection.fetch("select distinct spent_nano from budget_spending")
        assert [row["spent_nano"] for row in rows] == [4 * 150]


async def spending(connection: Connection) -> dict[tuple[str, dt.date], int]:
    rows = await connection.fetch("select meter, period_start, spent_nano from budget_spending")
    return {(row["meter"], row["period_start"]): row["spent_nano"] for row in rows}


def job_uuid(job: bytes) -> str:
    return f"{job[:4].hex()}-{job[4:6].hex()}-{job[6:8].hex()}-{job[8:10].hex()}-{job[10:].hex()}"


async def test_a_refund_is_at_most_the_charge_and_of_the_accounts_own_job(database: Database) -> None:
    async with database.connection() as connection:
        _, job = await charged_job(connection)
        with pytest.raises(ConflictError, match=r"was charged 0\.0000002 USD; no more"):
            await refund_charge(connection, 1, job, amount_nano=201, reference="x")
        with pytest.raises(ValueError, match="positive"):
            await refund_charge(connection, 1, job, amount_nano=0, reference="x")
        with pytest.raises(NotFoundError):
            await refund_charge(connection, 2, job, reference="x")
        with pytest.raises(NotFoundError):
            await refund_charge(connection, 1, usage_events.new_job(), reference="x")
        assert (await refund_charge(connection, 1, job, amount_nano=150, reference="x")).booked
        other = usage_events.new_job()
        await settle_all(connection, usage_event(job=other))
        with pytest.raises(ConflictError, match="'x' names another refund"):
            await refund_charge(connection, 1, other, reference="x")
        assert await ledger.balance(connection, 1) == -250


async def test_many_refunds_of_one_job_at_once_book_one(database: Database) -> None:
    async with database.connection() as connection:
        _, job = await charged_job(connection)

    async def refund(number: int) -> bool:
        async with database.connection() as connection:
            try:
                return (await refund_charge(connection, 1, job, reference=f"try {number % 2}")).booked
            except ConflictError:
                return False

    assert sum(await asyncio.gather(*map(refund, range(20)))) == 1
    async with database.connection() as connection:
        assert await ledger.balance(connection, 1) == 0


@pytest.mark.parametrize(
    ("kind", "job", "reference"),
    [("grant", True, None), ("adjustment", True, None), ("grant", False, "x"), ("payment", False, "x")],
)
async def test_only_what_corrects_points_at_something(
    database: Database, kind: str, job: bool, reference: str | None
) -> None:
    async with database.connection() as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(
                "insert into transfers (occurred_at, kind, debit, credit, amount_nano, reference, corrects_job,"
                " corrects_reference) values (now(), $1::text::transfer_kind, 5, 9, 1, 'r', $2, $3)",
                kind,
                "0198f7a0-0000-7000-8000-000000000000" if job else None,
                reference,
            )


async def test_the_check_names_every_projection_that_is_wrong_and_rebuilding_rights_it(database: Database) -> None:
    async with database.connection() as connection:
        await charged_job(connection)
        await connection.execute("update balances set balance_nano = balance_nano - 1 where kind = 'wallet'")
        await connection.execute("update monthly_spending set spent_nano = 7")
        month = dt.datetime.fromtimestamp(STARTED_MS / 1000, dt.UTC)
        assert await findings(connection) == {
            "balances": [LedgerFinding("wallet of 1", "-0.000000201 USD", "-0.0000002 USD")],
            "zero sum": [LedgerFinding("sum of all balances", "-0.000000001 USD", "0.00 USD")],
            "monthly spending": [LedgerFinding(f"account 1 in {month:%Y-%m}", "0.000000007 USD", "0.0000002 USD")],
        }
        assert (await ledger_checks.rebuild(connection)).books == 4
        assert await findings(connection) == {}


async def test_the_check_finds_what_indexes_and_triggers_would_have_prevented(database: Database) -> None:
    """As after a restore without the indexes, or hands in the table."""
    async with database.connection() as connection:
        channel, job = await charged_job(connection)
        await connection.execute("drop index transfers_charge; drop index transfers_refund")
        await connection.execute(
            "insert into transfers (occurred_at, kind, debit, credit, amount_nano, job, attempt)"
            " select occurred_at, kind, debit, credit, amount_nano, job, 2 from transfers where kind = 'charge'"
        )
        await connection.execute(
            "insert into transfers (occurred_at, kind, debit, credit, amount_nano, reference, corrects_job)"
            " select now(), 'refund', credit, debit, 300, 'r' || n, job from transfers, generate_series(1, 2) n"
            " where kind = 'charge' and attempt = 1"
        )
        await ledger_checks.rebuild(connection)
        found = await findings(connection)
        assert found["booked once"] == [
            LedgerFinding(f"charged twice: {job_uuid(job)}", "2 times", "once"),
            LedgerFinding(f"refunded twice: {job_uuid(job)}", "2 times", "once"),
        ]
        assert found["refunds"][0] == LedgerFinding(
            f"refund of {job_uuid(job)}", "0.0000003 USD", "at most 0.0000002 USD"
        )
        assert channel


async def budgeted(connection: Connection, zone: str, *rows: tuple[str, dt.date, int]) -> int:
    account: int = await connection.fetchval(
        """insert into accounts (name, time_zone, budgets) values ('acme', $1,
           '{"daily_nano": 5, "models": [{"models": ["sm*"], "monthly_nano": 9}]}') returning id""",
        zone,
    )
    for meter, start, nano in rows:
        await connection.execute(
            "insert into budget_spending (account_id, meter, period_start, spent_nano) values ($1, $2, $3, $4)",
            account,
            meter,
            start,
            nano,
        )
    return account


async def test_budgets_are_compared_with_the_usage_of_their_period_in_the_accounts_time_zone(
    database: Database,
) -> None:
    # 2:00 in Shanghai, and still yesterday in UTC.
    now = dt.datetime.now(dt.UTC).replace(hour=18, minute=0, second=0, microsecond=0) - dt.timedelta(days=3)
    here = (now + dt.timedelta(hours=8)).date()
    yesterday, month = here - dt.timedelta(days=1), here.replace(day=1)
    async with database.connection() as connection:
        channel = await usage_events.add_prices(connection)
        account = await budgeted(
            connection,
            "Asia/Shanghai",
            ("account:daily", here, 200),
            ("account:daily", yesterday, 0),
            ("account:monthly:sm*", month, 200),
            ("account:monthly:gone", month, 123),
            ("key:77:daily", here, 5),
        )
        started_ms = round(now.timestamp() * 1000)
        await settle_all(connection, usage_event(account=account, channel=channel, started_ms=started_ms))
        assert "budgets" not in await findings(connection)
        await connection.execute("update budget_spending set spent_nano = 1 where meter <> 'account:monthly:gone'")
        assert (await findings(connection))["budgets"] == [
            LedgerFinding(f"account:daily of account acme from {yesterday}", "0.000000001 USD", "0.00 USD"),
            LedgerFinding(f"account:daily of account acme from {here}", "0.000000001 USD", "0.0000002 USD"),
            LedgerFinding(f"account:monthly:sm* of account acme from {month}", "0.000000001 USD", "0.0000002 USD"),
        ]
        assert (await ledger_checks.rebuild(connection)).budgets == 3
        assert await findings(connection) == {}
        rest = await connection.fetchval("select spent_nano from budget_spending where meter = 'account:monthly:gone'")
        assert rest == 123


async def test_budgets_whose_usage_was_forgotten_are_left_out(database: Database) -> None:
    today = dt.datetime.now(dt.UTC).date()
    async with database.connection() as connection:
        channel = await usage_events.add_prices(connection)
        account = await budgeted(connection, "UTC", ("account:daily", today - dt.timedelta(days=2), 999))
        for days in (2, 0):
            moment = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
            started_ms = round(moment.timestamp() * 1000)
            await settle_all(connection, usage_event(account=account, channel=channel, started_ms=started_ms))
        assert "budgets" in await findings(connection)
        await connection.execute("delete from usage where started_at < now() - interval '1 day'")
        assert "budgets" not in await findings(connection)
