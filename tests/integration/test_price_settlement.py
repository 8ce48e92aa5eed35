"""Prices in settlement on a real Postgres: discounts by the month's spending, images by look, versions that stay."""

import datetime as dt

import asyncpg
import pytest

from tests.support import usage_events
from tests.support.usage_events import STARTED_MS, usage_event
from trunkline.bus.inquiry import UsageInquiry
from trunkline.bus.messages import UsageEvent
from trunkline.core.ids import JobID
from trunkline.core.usage import Units
from trunkline.policy.discounts import Discounts, DiscountStep, month_of
from trunkline.policy.entities import DiscountSchedules
from trunkline.store import ledger
from trunkline.store.comparison import month_usage
from trunkline.store.configuration_writes import put_discounts
from trunkline.store.database import Connection, Database
from trunkline.store.discounts import account_discounts
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.self_service import usage_rows
from trunkline.store.settlement import RefusedContentError, SettledBatch, settle
from trunkline.store.usage import find_request

MONTH = month_of(STARTED_MS)
NEXT_MONTH_MS = round(dt.datetime(2026, 10, 1, tzinfo=dt.UTC).timestamp() * 1000)
STEPS = (DiscountStep(300, 100_000), DiscountStep(1000, 500_000), DiscountStep(0, 50_000, "pro"))


async def settle_all(connection: Connection, *events: UsageEvent) -> SettledBatch:
    book = await load_price_book(connection, await read_mark(connection))
    return await settle(connection, events, book)


async def spending(connection: Connection) -> dict[tuple[int, dt.date], int]:
    rows = await connection.fetch("select account_id, month, spent_nano from monthly_spending")
    return {(row["account_id"], row["month"]): row["spent_nano"] for row in rows}


async def charged(connection: Connection, event: UsageEvent) -> tuple[int, int, int]:
    """Return what the client paid for an event, at which discount, and what the provider got."""
    [attempt] = await find_request(connection, JobID(event.job))
    return attempt.charge_nano, attempt.discount_ppm, attempt.cost_nano


async def test_what_was_spent_before_a_batch_decides_its_discount(database: Database) -> None:
    async with database.connection() as connection:
        channel = await usage_events.add_prices(connection)
        await put_discounts(connection, DiscountSchedules(STEPS))
        first = [usage_event(channel=channel) for _ in range(2)]
        assert (await settle_all(connection, *first)).charge_nano == 400
        second = [usage_event(channel=channel) for _ in range(4)]
        assert (await settle_all(connection, *second)).charge_nano == 4 * 180
        third = usage_event(channel=channel)
        assert (await settle_all(connection, third)).charge_nano == 100
        assert [await charged(connection, event) for event in (first[0], second[0], third)] == [
            (200, 0, 75),
            (180, 100_000, 75),
            (100, 500_000, 75),
        ]
        assert await spending(connection) == {(1, MONTH): 400 + 720 + 100}
        assert await ledger.balance(connection, 1) == -1220
        assert await ledger.verify(connection) == []


async def test_copies_and_what_is_not_charged_are_no_spending(database: Database) -> None:
    async with database.connection() as connection:
        channel = await usage_events.add_prices(connection)
        await put_discounts(connection, DiscountSchedules(STEPS))
        event = usage_event(channel=channel)
        for _ in range(3):
            await settle_all(connection, event, event)
        failed = usage_event(channel=channel, charged=False, outcome="upstream_cut")
        await settle_all(connection, failed, usage_event(job=event.job, attempt=2, channel=channel))
        assert await spending(connection) == {(1, MONTH): 200}
        assert await charged(connection, failed) == (0, 0, 75)


async def test_an_answer_gone_on_with_is_charged_once_and_costs_at_both_channels(database: Database) -> None:
    async with database.connection() as connection:
        channel = await usage_events.add_prices(connection)
        first = usage_event(channel=channel, outcome="upstream_cut", joined_output=30)
        rest = usage_event(
            job=first.job,
            attempt=2,
            channel=channel,
            charged=False,
            continues=True,
            units=Units(input=150, output=30),
        )
        for order in ((rest, first), (first, rest)):
            await settle_all(connection, *order)
        began, went_on = await find_request(connection, JobID(first.job))
        assert (began.charge_nano, began.cost_nano) == (100 + 2 * (50 + 30), 75)
        assert (went_on.charge_nano, went_on.cost_nano) == (0, 90)
        assert (began.continues, began.joined_output, began.usage.units.output) == (False, 30, 50)
        assert (went_on.continues, went_on.joined_output) == (True, 0)
        assert await ledger.verify(connection) == []
        own = await usage_rows(
            connection, UsageInquiry(account=1, key=0, by=("model",)), "UTC", dt.date(2026, 9, 1), dt.date(2026, 9, 30)
        )
        assert [(row.sums.requests, row.sums.input_tokens, row.sums.output_tokens) for row in own] == [(1, 100, 80)]
        [used] = await month_usage(connection, 1, MONTH)
        assert (used.units.input, used.units.output, used.charge_nano) == (100, 80, 260)


async def test_a_negative_joined_output_is_set_aside(database: Database) -> None:
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        with pytest.raises(RefusedContentError):
            await settle_all(connection, usage_event(joined_output=-1))


async def test_each_account_and_month_has_its_own(database: Database) -> None:
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        await put_discounts(connection, DiscountSchedules(STEPS))
        await connection.execute("insert into tiers (name) values ('pro'), ('basic')")
        await connection.execute("insert into accounts (name, tier) values ('a', null), ('b', 'pro'), ('c', 'basic')")
        await settle_all(connection, *(usage_event(account=account) for account in (1, 1, 2, 3)))
        # Begun in September and ended in October.
        over = usage_event(started_ms=NEXT_MONTH_MS - 1)
        later = [usage_event(account=account) for account in (1, 2, 3)]
        await settle_all(connection, over, *later)
        assert [(await charged(connection, event))[1] for event in (over, *later)] == [0, 100_000, 50_000, 0]
        october = dt.date(2026, 10, 1)
        assert await spending(connection) == {
            (1, MONTH): 400 + 180,
            (1, october): 200,
            (2, MONTH): 190 + 190,
            (3, MONTH): 200 + 200,
        }
        places = [(1, MONTH), (1, october), (2, october), (99, MONTH)]
        found = await account_discounts(connection, Discounts(STEPS), places)
        assert found == {places[0]: 100_000, places[1]: 0, places[2]: 50_000, places[3]: 0}
        assert await account_discounts(connection, Discounts(), places) == dict.fromkeys(places, 0)


async def test_rebuilding_makes_the_spending_anew(database: Database) -> None:
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        await settle_all(connection, usage_event(), usage_event(account=2), usage_event(started_ms=NEXT_MONTH_MS))
        right = await spending(connection)
        assert right == {(1, MONTH): 200, (2, MONTH): 200, (1, dt.date(2026, 10, 1)): 200}
        await connection.execute("update monthly_spending set spent_nano = 5 where account_id = 1")
        await connection.execute("delete from monthly_spending where account_id = 2")
        await ledger.rebuild(connection)
        assert await spending(connection) == right


async def test_a_moment_that_no_calendar_has_is_refused_and_not_a_fault_of_the_store(database: Database) -> None:
    async with database.connection() as connection:
        await put_discounts(connection, DiscountSchedules(STEPS))
        with pytest.raises(RefusedContentError):
            await settle_all(connection, usage_event(started_ms=10**17))


async def test_images_are_charged_by_size_and_quality_and_the_look_is_kept(database: Database) -> None:
    async with database.connection() as connection:
        prices = '{"images": 1000000, "images@1024x1024/high": 7000000}'
        await connection.execute(
            "insert into model_prices (model, effective_from, prices, source)"
            " values ('paint', to_timestamp(0), $1, 'x')",
            prices,
        )
        await connection.execute(
            "insert into channel_costs (channel_id, model, effective_from, prices)"
            """ values (1, 'paint', to_timestamp(0), '{"images@high": 3000000, "images": 0}')"""
        )
        looks = ("1024x1024/high", "512x512/high", "")
        events = [usage_event(model="paint", units=Units(images=2), variant=look) for look in looks]
        assert await settle_all(connection, *events) == SettledBatch(3, 0, 0, 14 + 2 + 2, 6 + 6)
        attempts = [(await find_request(connection, JobID(event.job)))[0] for event in events]
        assert [attempt.variant for attempt in attempts] == list(looks)
        assert [attempt.charge_nano for attempt in attempts] == [14, 2, 2]


@pytest.mark.parametrize("table", ["model_prices", "channel_costs"])
async def test_a_version_that_is_in_force_cannot_be_changed_or_deleted(database: Database, table: str) -> None:
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        more = ", source" if table == "model_prices" else ", channel_id"
        await connection.execute(
            f"insert into {table} (model, effective_from, prices{more})"  # noqa: S608 - two constants
            f" select model, now() + interval '1 hour', prices{more} from {table}"
        )
        for statement in (
            f"update {table} set prices = '{{}}'",  # noqa: S608
            f"update {table} set effective_from = now() + interval '1 day'",  # noqa: S608
            f"delete from {table} where effective_from <= now()",  # noqa: S608
            f"truncate {table} cascade",
        ):
            with pytest.raises(asyncpg.RestrictViolationError, match="in force"):
                await connection.execute(statement)
        await connection.execute(f"delete from {table} where effective_from > now()")  # noqa: S608
        assert await connection.fetchval(f"select count(*) from {table}") == 1  # noqa: S608


async def test_the_costs_of_a_channel_outlive_it(database: Database) -> None:
    async with database.connection() as connection:
        channel = await usage_events.add_prices(connection)
        await connection.execute("delete from channels where id = $1", channel)
        assert (await settle_all(connection, usage_event(channel=channel))).cost_nano == 75
