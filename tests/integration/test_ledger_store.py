"""The ledger's own rules, and usage as people ask for it, on a real Postgres."""

from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from tests.support import usage_events
from tests.support.usage_events import STARTED_MS, usage_event
from trunkline.bus.messages import UsageEvent
from trunkline.core.usage import Units, Usage, UsageSource
from trunkline.store import ledger
from trunkline.store.database import Connection, Database
from trunkline.store.ledger import BookBalance
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import SettledBatch, settle
from trunkline.store.usage import DIMENSIONS, UsageSummary, find_request, summarise
from trunkline.store.usage_history import retire_late

DAY = datetime.fromtimestamp(STARTED_MS / 1000, UTC).date()
START = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC)
DAY_MS = 86_400_000


async def settle_all(connection: Connection, *events: UsageEvent) -> SettledBatch:
    book = await load_price_book(connection, await read_mark(connection))
    return await settle(connection, events, book)


async def test_a_grant_is_booked_once_per_account_and_reference(database: Database) -> None:
    async with database.connection() as connection:
        assert await ledger.grant_credit(connection, 1, 500, "apply")
        assert not await ledger.grant_credit(connection, 1, 900, "apply")
        assert await ledger.grant_credit(connection, 2, 700, "apply")
        assert await ledger.grant_credit(connection, 1, 1, "again")
        assert [await ledger.balance(connection, account) for account in (1, 2, 3)] == [501, 700, 0]
        assert await ledger.verify(connection) == []


@pytest.mark.parametrize(("amount_nano", "reference"), [(0, "x"), (-5, "x"), (5, "")])
async def test_a_grant_that_is_none_is_refused(database: Database, amount_nano: int, reference: str) -> None:
    async with database.connection() as connection:
        with pytest.raises(ValueError, match=r"grant|reference"):
            await ledger.grant_credit(connection, 1, amount_nano, reference)


@pytest.mark.parametrize(
    "statement",
    [
        "update transfers set amount_nano = 1",
        "delete from transfers",
        "truncate transfers",
        "truncate transfers cascade",
    ],
)
async def test_transfers_cannot_be_changed(database: Database, statement: str) -> None:
    async with database.connection() as connection:
        await ledger.grant_credit(connection, 1, 500, "apply")
        with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
            await connection.execute(statement)


async def test_verify_finds_a_wrong_balance_and_rebuild_rights_it(database: Database) -> None:
    async with database.connection() as connection:
        await ledger.grant_credit(connection, 1, 500, "apply")
        await connection.execute("update balances set balance_nano = 400 where kind = 'wallet'")
        await connection.execute("insert into balances (book, balance_nano) values (17, 3)")
        await connection.execute("delete from balances where kind = 'grants'")
        assert await ledger.verify(connection) == [
            BookBalance(5, "grants", 0, None, -500),
            BookBalance(9, "wallet", 1, 400, 500),
            BookBalance(17, "wallet", 2, 3, None),
        ]
        assert await ledger.rebuild(connection) == 2
        assert await ledger.verify(connection) == []


async def test_both_sides_of_a_job_are_booked_by_channel(database: Database) -> None:
    async with database.connection() as connection:
        channel = await usage_events.add_prices(connection)
        job = usage_events.new_job()
        failed = usage_event(job=job, attempt=1, channel=channel, charged=False, outcome="upstream_cut")
        answered = usage_event(job=job, attempt=2, channel=channel)
        assert await settle_all(connection, failed, answered) == SettledBatch(2, 0, 0, 200, 150)
        rows = await connection.fetch("select kind, owner_id, balance_nano from balances order by kind")
        assert [tuple(row) for row in rows] == [
            ("cost_of_sales", channel, -150),
            ("payable", channel, 150),
            ("revenue", channel, 200),
            ("wallet", 1, -200),
        ]


async def test_a_job_is_charged_once_whichever_attempt_comes_first(database: Database) -> None:
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        job = usage_events.new_job()
        second, first = usage_event(job=job, attempt=2), usage_event(job=job, attempt=1)
        assert (await settle_all(connection, second)).charge_nano == 200
        assert await settle_all(connection, first) == SettledBatch(1, 0, 0, 0, 75)
        assert [attempt.charge_nano for attempt in await find_request(connection, job)] == [0, 200]


async def test_a_copy_that_comes_after_its_usage_was_forgotten_is_not_booked_again(database: Database) -> None:
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        event = usage_event()
        await settle_all(connection, event)
        assert await retire_late(connection, START + timedelta(days=1)) == 1
        assert await find_request(connection, event.job) == []  # type: ignore[arg-type]  # minted by new_job
        batch = await settle_all(connection, event)
        assert (batch.charge_nano, batch.cost_nano) == (0, 0)
        assert await ledger.balance(connection, 1) == -200


async def test_a_request_is_found_with_all_that_was_kept_of_it(database: Database) -> None:
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        units = Units(input=100, cache_read=7, cache_write_1h=3, output=50, reasoning=9, input_audio=11, searches=2)
        event = usage_event(units=units, source=UsageSource.COUNTED, key=4, asked="large")
        await settle_all(connection, event)
        [attempt] = await find_request(connection, event.job)  # type: ignore[arg-type]  # minted by new_job
        assert attempt.usage == Usage(units, UsageSource.COUNTED)
        named = (attempt.model, attempt.upstream_model, attempt.asked)
        assert (attempt.key, attempt.account, named) == (4, 1, ("small", "small-upstream", "large"))
        assert attempt.unpriced  # the searches have no price
        assert attempt.started_at == datetime.fromtimestamp(STARTED_MS / 1000, UTC)
        assert await find_request(connection, usage_events.new_job()) == []


async def test_summaries_by_each_dimension(database: Database) -> None:
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        events = [
            usage_event(account=1, key=1),
            usage_event(account=1, key=2, group="vip", started_ms=STARTED_MS + DAY_MS),
            usage_event(account=2, key=3, channel=9, model="other", charged=False),
            usage_event(account=2, key=3, started_ms=STARTED_MS + 40 * DAY_MS),
        ]
        await settle_all(connection, *events)
        span = {"since": START, "until": START + timedelta(days=30)}

        async def sums(*by: str, account: int | None = None, key: int | None = None) -> list[UsageSummary]:
            return await summarise(connection, account=account, key=key, by=by, **span)

        [total] = await sums()
        assert total == UsageSummary(3, 2, 300, 0, 150, 400, 150)
        assert [(row.day, row.charge_nano) for row in await sums("day", account=1)] == [
            (DAY, 200),
            (DAY + timedelta(days=1), 200),
        ]
        assert [(row.account, row.attempts) for row in await sums("account")] == [(1, 2), (2, 1)]
        assert [(row.model, row.group) for row in await sums("model", "group")] == [
            ("other", "default"),
            ("small", "default"),
            ("small", "vip"),
        ]
        assert [(row.channel, row.key) for row in await sums("channel", "key", key=3)] == [(9, 3)]
        assert await sums(account=77) == []
        assert len(await sums(*DIMENSIONS)) == 3
        assert isinstance((await sums("day"))[0].day, date)


@pytest.mark.parametrize("by", [("user",), ("day; drop table usage",), ("day", "day")])
async def test_nothing_else_can_be_summed_by(database: Database, by: tuple[str, ...]) -> None:
    async with database.connection() as connection:
        with pytest.raises(ValueError, match="summed"):
            await summarise(connection, account=None, key=None, since=START, until=START, by=by)
