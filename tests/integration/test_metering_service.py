"""The whole metering service in this process: readiness, allowances, drain; with Postgres coming and going."""

import asyncio
import contextlib
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from services.metering.app import Metering, open_metering
from services.metering.config import MeteringSettings
from services.metering.upkeep import INTERVAL_S
from tests.support import usage_events
from tests.support.allowance_world import need
from tests.support.drawn_leases import DrawnLease, ask
from tests.support.frozen import frozen
from tests.support.servers import PostgresServer, running_postgres
from tests.support.stack import descendants
from tests.support.usage_events import usage_event
from tests.support.waiting import eventually
from trunkline.bus import messages, subjects
from trunkline.bus.allowance import WALLET, LeaseGrant, SliceState
from trunkline.bus.messages import Beat, UsageBatch
from trunkline.bus.port import BusError, NoRespondersError
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.process import Process
from trunkline.runtime.tasks import TaskSet
from trunkline.store import ledger
from trunkline.store.database import CLOSE_TIMEOUT_S, Database, connect
from trunkline.store.migrate import migrate

DEADLINE_S = 20.0

ENDS_WITHIN_S = CLOSE_TIMEOUT_S + 10
"""The pool waits for what is lent; the rest takes a second."""


def new_process(bus: NATSBus, tasks: TaskSet) -> Process:
    return Process("metering", "metering-test", 1, SystemClock(), tasks, bus, CollectorRegistry())


def wallet(grant: LeaseGrant) -> tuple[int, int, int, SliceState]:
    """Return what a lease has drawn, what of it is settled, what is left for all, and what metering says."""
    (money,) = (each for each in grant.slices if each.meter.id == WALLET)
    return money.drawn, money.settled, money.remaining, money.state


async def until_ready(service: Metering) -> None:
    async def ready() -> bool:
        return service.not_ready() == []

    await eventually(ready, within_s=DEADLINE_S, what="ready")


async def test_allowances_are_the_balances_and_follow_what_is_settled(
    bus: NATSBus, database: Database, database_dsn: str, tasks: TaskSet
) -> None:
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        rich = await usage_events.add_account(connection, "rich")
        poor = await usage_events.add_account(connection, "poor")
        assert await ledger.grant_credit(connection, rich, 150, "start")
    process = new_process(bus, tasks)
    async with open_metering(process, MeteringSettings(database_url=database_dsn)) as service:
        await until_ready(service)
        of_rich, of_poor, unknown = DrawnLease(bus, rich, 1), DrawnLease(bus, poor, 2), DrawnLease(bus, 10**6, 3)
        reports = (of_rich.report(need(100)), of_poor.report(need(100)), unknown.report(need(100)))
        grants = await ask(bus, "edge-test", *reports)
        assert [(grants[number].known, grants[number].lease_ms) for number in (1, 2, 3)] == [
            (True, 1000),
            (True, 1000),
            (False, 1000),
        ]
        assert wallet(grants[1]) == (100, 0, 50, SliceState.FREE)
        assert wallet(grants[2]) == (0, 0, 0, SliceState.SPENT)
        assert grants[3].slices == ()
        batch = messages.encode(UsageBatch((usage_event(account=rich, lease=1),)))
        await bus.store(subjects.usage("dispatcher", "dispatcher-1"), batch, message_id="one", timeout_s=5)
        assert of_rich.lease.apply(grants[1], SystemClock().now())

        async def overdrawn() -> bool:
            return wallet(await of_rich.draw(need(1))) == (200, 200, 0, SliceState.SPENT)

        await eventually(overdrawn, within_s=DEADLINE_S, what="the charge shows in the allowance")

        async def counted() -> bool:
            figures = generate_latest(process.registry).decode()
            return (
                "trunkline_metering_charge_usd_total 2e-07" in figures
                and "trunkline_metering_cost_usd_total 7.5e-08" in figures
            )

        await eventually(counted, within_s=DEADLINE_S, what="what was charged and what it cost are counted")
        await service.drain()
        with pytest.raises(NoRespondersError):
            await of_rich.draw()


async def test_many_draws_at_once_are_all_answered(
    bus: NATSBus, database: Database, database_dsn: str, tasks: TaskSet
) -> None:
    async with database.connection() as connection:
        accounts = [await usage_events.add_account(connection, f"account-{number}") for number in range(20)]
        for account in accounts:
            await ledger.grant_credit(connection, account, account * 1000, "start")
    async with open_metering(new_process(bus, tasks), MeteringSettings(database_url=database_dsn)) as service:
        await until_ready(service)
        leases = [DrawnLease(bus, accounts[number % 20], number + 1) for number in range(200)]
        grants = await asyncio.gather(*(lease.draw(need(7)) for lease in leases))
        assert {wallet(grant)[0] for grant in grants} == {7}
        for number, account in enumerate(accounts):
            grant = await leases[number].draw()
            assert (grant.account, wallet(grant)[2]) == (account, account * 1000 - 70)
        bus.publish(subjects.ALLOW, b"not a draw")
        assert len(await ask(bus, "edge-test", *(lease.report() for lease in leases[:20]))) == 20


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


async def test_without_postgres_it_lives_unready_and_answers_no_draw(
    bus: NATSBus, own_postgres: PostgresServer, tasks: TaskSet
) -> None:
    own_postgres.stop()
    process = new_process(bus, tasks)
    async with open_metering(process, MeteringSettings(database_url=own_postgres.admin_dsn)) as service:
        assert service.not_ready() == ["postgres"]
        with pytest.raises(NoRespondersError):
            await DrawnLease(bus, 1, 1).draw(need(1))

        await asyncio.to_thread(own_postgres.start)
        # There, but without our tables.
        database = await connect(own_postgres.admin_dsn)

        async def lacks_tables() -> bool:
            return service.not_ready() == ["schema"]

        await eventually(lacks_tables, within_s=DEADLINE_S, what="it sees what Postgres lacks")
        await migrate(own_postgres.admin_dsn)
        await until_ready(service)
        async with database.connection() as connection:
            account = await usage_events.add_account(connection)
        await database.close()
        lease = DrawnLease(bus, account, 1)
        assert wallet(await lease.draw(need(1))) == (0, 0, 0, SliceState.SPENT)

        await asyncio.to_thread(own_postgres.stop)

        async def unheard() -> bool:
            try:
                await lease.draw()
            except BusError:
                lease.lease.lost()
                return service.not_ready() == ["postgres"]
            raise AssertionError("a draw was answered without Postgres")

        await eventually(unheard, within_s=DEADLINE_S, what="unready again")
        assert service.beat(Beat("metering", "metering-test", 0)).in_flight == 0
        await service.drain()


async def test_it_ends_although_postgres_has_stopped_answering(
    bus: NATSBus, own_postgres: PostgresServer, tasks: TaskSet
) -> None:
    """A cancelled query cannot give its connection back then, and its loop sees that as an outage."""
    await migrate(own_postgres.admin_dsn)
    async with contextlib.AsyncExitStack() as service:
        settings = MeteringSettings(database_url=own_postgres.admin_dsn)
        await until_ready(await service.enter_async_context(open_metering(new_process(bus, tasks), settings)))
        with frozen(own_postgres.pid, *descendants(own_postgres.pid)):
            await SystemClock().sleep(2 * INTERVAL_S)  # the upkeep asks it something
            closing = tasks.spawn(service.aclose(), name="closing")
            await asyncio.wait({closing}, timeout=ENDS_WITHIN_S)  # a cancellation could be swallowed as well
            assert closing.done()
