"""The stream, the consumer and the ledger together: real NATS, real Postgres, and what can go wrong between them."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest
from prometheus_client import CollectorRegistry

from services.metering.consumer import Consumer
from services.metering.intake import ACK_WAIT_S, Delivery, NATSIntake, Queue
from services.metering.metrics import MeteringMetrics
from services.metering.settler import PRICES_AGE_MAX_S, Settler
from services.metering.terms import TermsBook
from tests.support import usage_events
from tests.support.servers import NATSServer, PostgresServer, running_nats, running_postgres
from tests.support.usage_events import usage_event
from tests.support.waiting import eventually
from trunkline.bus import messages, subjects
from trunkline.bus.messages import UsageBatch, UsageEvent
from trunkline.bus.port import BusError
from trunkline.core.usage import Units
from trunkline.runtime import nats_bus
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store import database as store_database
from trunkline.store import ledger
from trunkline.store.database import Database, StoreError
from trunkline.store.migrate import migrate

DEADLINE_S = 20.0

AGAIN_S = 1.0
"""So soon what was not acknowledged comes again, where a test waits for it. Elsewhere nothing comes twice because the
machine is slow: copies are counted."""


class AdvancedClock(SystemClock):
    """The real clock, set ahead where a test would wait."""

    ahead_s = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s


class Replica:
    """One metering replica's consumer, in this process."""

    def __init__(self, bus: NATSBus, database: Database, tasks: TaskSet, *, ack_wait_s: float = ACK_WAIT_S) -> None:
        self.clock = AdvancedClock()
        self.registry = CollectorRegistry()
        self.metrics = MeteringMetrics(self.registry)
        self.intake = NATSIntake(bus, 8, ack_wait_s=ack_wait_s)
        self.settler = Settler(database, TermsBook(self.clock), clock=self.clock, metrics=self.metrics)
        self.consumer = Consumer(self.intake, self.settler, clock=self.clock, metrics=self.metrics)
        self._tasks = tasks

    def start(self) -> "asyncio.Task[None]":
        return self._tasks.spawn(self.consumer.run(), name="replica")

    def count(self, result: str) -> float:
        return self.registry.get_sample_value("trunkline_metering_events_total", {"result": result}) or 0.0


class DiesBeforeAck:
    """The stream, for a replica that is killed after its commit: no acknowledgement ever leaves it."""

    def __init__(self, intake: NATSIntake) -> None:
        self._intake = intake
        self.committed = asyncio.Event()

    async def fetch(self) -> Sequence[Delivery]:
        return [_Unacknowledged(delivery, self.committed) for delivery in await self._intake.fetch()]

    async def queue(self) -> Queue:
        return await self._intake.queue()


class _Unacknowledged:
    def __init__(self, delivery: Delivery, committed: asyncio.Event) -> None:
        self.subject = delivery.subject
        self.data = delivery.data
        self._committed = committed

    async def ack(self) -> None:
        self._committed.set()
        await asyncio.Event().wait()

    async def terminate(self) -> None:
        raise AssertionError

    async def give_back(self) -> None:
        raise AssertionError


async def publish(bus: NATSBus, events: Sequence[UsageEvent], *, message_id: str) -> None:
    payload = messages.encode(UsageBatch(tuple(events)))
    await bus.store(subjects.usage("dispatcher", "dispatcher-1"), payload, message_id=message_id, timeout_s=5)


async def rows(database: Database) -> int:
    async with database.connection() as connection:
        count: int = await connection.fetchval("select count(*) from usage")
        return count


async def until_settled(database: Database, replica: Replica, count: int) -> None:
    async def settled() -> bool:
        try:
            return await rows(database) == count and (await replica.intake.queue()).messages == 0
        except (StoreError, BusError):
            return False

    await eventually(settled, within_s=DEADLINE_S, what=f"{count} events settled")


async def assert_books(database: Database, account: int, wallet: int) -> None:
    async with database.connection() as connection:
        assert await ledger.verify(connection) == []
        assert await connection.fetchval("select coalesce(sum(balance_nano), 0) from balances") == 0
        assert await ledger.balance(connection, account) == wallet


@pytest.fixture
async def account(database: Database) -> int:
    async with database.connection() as connection:
        assert await usage_events.add_prices(connection) == 1
        return await usage_events.add_account(connection)


async def test_batches_become_rows_and_copies_change_nothing(
    bus: NATSBus, database: Database, tasks: TaskSet, account: int
) -> None:
    replicas = [Replica(bus, database, tasks) for _ in range(2)]
    for replica in replicas:
        replica.start()
    events = [usage_event(account=account) for _ in range(300)]
    await asyncio.gather(
        *(publish(bus, events[start : start + 30], message_id=f"first-{start}") for start in range(0, 300, 30)),
        *(publish(bus, events[start : start + 50], message_id=f"copy-{start}") for start in range(0, 300, 50)),
    )
    await until_settled(database, replicas[0], 300)
    await assert_books(database, account, -200 * 300)
    assert sum(replica.count("settled") for replica in replicas) == 300
    assert sum(replica.count("duplicate") for replica in replicas) == 300
    for replica in replicas:
        await replica.consumer.stop()


async def test_a_replica_killed_between_commit_and_acknowledgement(
    bus: NATSBus, database: Database, tasks: TaskSet, account: int
) -> None:
    doomed = Replica(bus, database, tasks, ack_wait_s=AGAIN_S)
    intake = DiesBeforeAck(doomed.intake)
    doomed.consumer = Consumer(intake, doomed.settler, clock=doomed.clock, metrics=doomed.metrics)
    task = doomed.start()
    await publish(bus, [usage_event(account=account) for _ in range(10)], message_id="once")
    async with asyncio.timeout(DEADLINE_S):
        await intake.committed.wait()
    task.cancel()
    assert await rows(database) == 10
    heir = Replica(bus, database, tasks, ack_wait_s=AGAIN_S)
    heir.start()

    async def redelivered() -> bool:
        return heir.count("duplicate") == 10

    await eventually(redelivered, within_s=DEADLINE_S, what="messages come again")
    await until_settled(database, heir, 10)
    await assert_books(database, account, -200 * 10)
    assert heir.count("settled") == 0


async def test_a_message_that_is_no_batch_is_set_aside_and_blocks_nothing(
    bus: NATSBus, database: Database, tasks: TaskSet, account: int
) -> None:
    poison = b"\x93 not a batch"
    await bus.store(subjects.usage("dispatcher", "stranger"), poison, message_id="poison", timeout_s=5)
    await publish(bus, [usage_event(account=account)], message_id="good")
    replica = Replica(bus, database, tasks)
    replica.start()
    await until_settled(database, replica, 1)
    async with database.connection() as connection:
        kept = await connection.fetchrow("select subject, reason, payload from usage_refused")
    assert tuple(kept) == (subjects.usage("dispatcher", "stranger"), "not a usage batch", poison)
    assert replica.registry.get_sample_value("trunkline_metering_messages_refused_total") == 1


@pytest.mark.parametrize(
    "poisoned",
    [
        usage_event(model="nul\x00"),
        usage_event(job=b"short"),
        usage_event(attempt=2**40),
        usage_event(started_ms=2**63 - 1000),
        usage_event(started_ms=2**64 - 1),
        usage_event(units=Units(input=-5)),
        usage_event(units=Units(output=2**62)),
        usage_event(account=2**62),
    ],
    ids=["text", "job", "attempt", "moment", "too long a number", "negative units", "absurd units", "account"],
)
async def test_a_bad_event_is_set_aside_and_its_neighbours_are_settled(
    bus: NATSBus, database: Database, tasks: TaskSet, account: int, poisoned: UsageEvent
) -> None:
    good = [usage_event(account=account) for _ in range(9)]
    await publish(bus, [*good[:5], poisoned, *good[5:]], message_id="mixed")
    replica = Replica(bus, database, tasks)
    replica.start()
    await until_settled(database, replica, 9)
    await assert_books(database, account, -200 * 9)
    async with database.connection() as connection:
        kept = await connection.fetch("select payload from usage_refused")
    assert [row["payload"] for row in kept] == [messages.encode(UsageBatch((poisoned,)))]
    assert (replica.count("settled"), replica.count("refused")) == (9, 1)


async def test_a_new_price_applies_within_a_second_and_a_missing_one_loses_nothing(
    bus: NATSBus, database: Database, tasks: TaskSet, account: int
) -> None:
    replica = Replica(bus, database, tasks)
    replica.start()
    await publish(bus, [usage_event(account=account, model="new")], message_id="unpriced")
    await until_settled(database, replica, 1)
    await assert_books(database, account, 0)
    assert replica.registry.get_sample_value("trunkline_metering_unpriced_total") == 1
    async with database.connection() as connection:
        assert await connection.fetchval("select unpriced from usage")
        version = await usage_events.add_price(connection, model="new", input_price=3_000_000)
    # The price is looked up at once when a model seems to have none.
    job = usage_events.new_job()
    await publish(bus, [usage_event(job=job, account=account, model="new")], message_id="priced")
    await until_settled(database, replica, 2)
    await assert_books(database, account, -400)
    async with database.connection() as connection:
        assert await connection.fetchval("select price_version from transfers where kind = 'charge'") == version
        await connection.execute("update groups set multiplier_ppm = 2000000 where name = 'default'")
    # Of a change to what is known, a second may pass.
    replica.clock.ahead_s = PRICES_AGE_MAX_S
    await publish(bus, [usage_event(account=account, model="new")], message_id="multiplied")
    await until_settled(database, replica, 3)
    await assert_books(database, account, -1200)


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def own_nats() -> Iterator[NATSServer]:
    with running_nats() as server:
        yield server


async def test_postgres_stopped_and_started_under_load(
    bus: NATSBus, own_postgres: PostgresServer, tasks: TaskSet
) -> None:
    await migrate(own_postgres.admin_dsn)
    database = await store_database.connect(own_postgres.admin_dsn)
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        account = await usage_events.add_account(connection)
    replica = Replica(bus, database, tasks, ack_wait_s=AGAIN_S)
    task = replica.start()
    for number in range(30):
        await publish(bus, [usage_event(account=account) for _ in range(20)], message_id=f"batch-{number}")
        if number == 10:
            await asyncio.to_thread(own_postgres.stop)
        if number == 20:

            async def noticed() -> bool:
                return replica.consumer.postgres_away

            await eventually(noticed, within_s=DEADLINE_S, what="postgres is missed")
            await asyncio.to_thread(own_postgres.start)
    await until_settled(database, replica, 600)
    await assert_books(database, account, -200 * 600)
    assert not replica.consumer.postgres_away
    assert not task.done()
    await replica.consumer.stop()
    await database.close()


async def test_a_replica_told_to_stop_while_postgres_is_away_gives_its_messages_back(
    bus: NATSBus, own_postgres: PostgresServer, tasks: TaskSet
) -> None:
    await migrate(own_postgres.admin_dsn)
    database = await store_database.connect(own_postgres.admin_dsn)
    await asyncio.to_thread(own_postgres.stop)
    leaver = Replica(bus, database, tasks, ack_wait_s=60.0)
    leaver.start()
    await publish(bus, [usage_event()], message_id="kept")

    async def held() -> bool:
        return leaver.consumer.in_hand == 1 and leaver.consumer.postgres_away

    await eventually(held, within_s=DEADLINE_S, what="messages in hand")
    async with asyncio.timeout(DEADLINE_S):
        await leaver.consumer.stop()
    await asyncio.to_thread(own_postgres.start)
    # Well before the time for an acknowledgement is over, which would be a minute.
    heir = Replica(bus, database, tasks)
    heir.start()
    await until_settled(database, heir, 1)
    await heir.consumer.stop()
    await database.close()


async def test_nats_stopped_and_started_again(own_nats: NATSServer, database: Database, tasks: TaskSet) -> None:
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        account = await usage_events.add_account(connection)
    bus = await nats_bus.connect(own_nats.url, name="test", tasks=tasks)
    await bus.ensure_streams()
    replica = Replica(bus, database, tasks, ack_wait_s=AGAIN_S)
    task = replica.start()
    await publish(bus, [usage_event(account=account)], message_id="before")
    await until_settled(database, replica, 1)
    await asyncio.to_thread(own_nats.stop)

    async def disconnected() -> bool:
        return not bus.connected

    await eventually(disconnected, within_s=DEADLINE_S, what="disconnected")
    await asyncio.to_thread(own_nats.start)

    async def connected() -> bool:
        return bus.connected

    await eventually(connected, within_s=DEADLINE_S, what="connected")
    await publish(bus, [usage_event(account=account)], message_id="after")
    await until_settled(database, replica, 2)
    await assert_books(database, account, -400)
    assert not task.done()
    await replica.consumer.stop()
    await bus.close()
