"""Metering's look at the ledger every minute: it finds what does not agree, and says so by a metric and in the log."""

from prometheus_client import CollectorRegistry

from services.metering.ledger_watch import LedgerWatch
from services.metering.metrics import MeteringMetrics
from tests.support import usage_events
from tests.support.servers import PostgresServer
from tests.support.usage_events import usage_event
from tests.support.waiting import eventually
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.tasks import TaskSet
from trunkline.store import ledger
from trunkline.store.database import Database
from trunkline.store.ledger_checks import look
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import settle

WITHIN_S = 20.0


class Watched:
    """A watch and its figures."""

    def __init__(self, database: Database) -> None:
        self.registry = CollectorRegistry()
        self.clock = SystemClock()
        self.watch = LedgerWatch(database, clock=self.clock, metrics=MeteringMetrics(self.registry))

    def value(self, name: str, **labels: str) -> float:
        found = self.registry.get_sample_value(f"trunkline_metering_{name}", labels)
        assert found is not None
        return found


async def settle_one(database: Database) -> None:
    """Book an attempt that has just begun."""
    async with database.connection() as connection:
        channel = await usage_events.add_prices(connection)
        account = await usage_events.add_account(connection)
        event = usage_event(account=account, channel=channel, started_ms=SystemClock().wall_ms())
        await ledger.grant_credit(connection, account, 1000, "start")
        await settle(connection, [event], await load_price_book(connection, await read_mark(connection)))


async def test_books_that_agree(database: Database) -> None:
    await settle_one(database)
    watched = Watched(database)
    assert watched.value("ledger_looked_at_timestamp_seconds") == 0
    before_s = watched.clock.wall_ms() / 1000
    await watched.watch.look()
    assert watched.value("ledger_mismatches") == 0
    assert before_s <= watched.value("ledger_looked_at_timestamp_seconds") <= watched.clock.wall_ms() / 1000


async def test_a_balance_that_was_changed_by_hand(database: Database) -> None:
    await settle_one(database)
    async with database.connection() as connection:
        await connection.execute("update balances set balance_nano = balance_nano + 7 where kind = 'wallet'")
        (found,) = await look(connection)
    assert (found.subject, found.found, found.expected) == ("sum of all balances", "0.000000007 USD", "0.00 USD")
    watched = Watched(database)
    await watched.watch.look()
    assert watched.value("ledger_mismatches") == 1


async def test_an_attempt_that_is_not_charged_as_it_is_recorded(database: Database) -> None:
    await settle_one(database)
    async with database.connection() as connection:
        await connection.execute("update usage set charge_nano = 201")
        (found,) = await look(connection)
        assert (found.found, found.expected) == ("0.000000201 USD", "0.0000002 USD")
        await connection.execute("update usage set started_at = started_at - interval '1 hour'")
        assert await look(connection) == []  # for `check` to find


async def test_without_postgres_it_is_counted_and_tried_again(
    database: Database, postgres_server: PostgresServer, tasks: TaskSet
) -> None:
    watched = Watched(database)
    postgres_server.stop()
    try:
        tasks.spawn(watched.watch.run(), name="watch")

        async def failed() -> bool:
            return watched.value("postgres_failures_total", use="ledger") >= 1

        await eventually(failed, within_s=WITHIN_S, what="the failure is counted")
    finally:
        postgres_server.start()

    async def looked() -> bool:
        return watched.value("ledger_looked_at_timestamp_seconds") > 0

    await eventually(looked, within_s=WITHIN_S, what="it has looked")
