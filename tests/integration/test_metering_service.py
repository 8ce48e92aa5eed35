"""The whole metering service in this process: readiness, allowances, drain; with Postgres coming and going."""

import asyncio
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from services.metering.app import Metering, open_metering
from services.metering.config import MeteringSettings
from tests.support import usage_events
from tests.support.servers import PostgresServer, running_postgres
from tests.support.usage_events import usage_event
from tests.support.waiting import eventually
from trunkline.bus import messages, subjects
from trunkline.bus.messages import AllowanceDraw, AllowanceGrant, Beat, UsageBatch
from trunkline.bus.port import BusError, NoRespondersError
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.process import Process
from trunkline.runtime.tasks import TaskSet
from trunkline.store import ledger
from trunkline.store.database import Database, connect
from trunkline.store.migrate import migrate

DEADLINE_S = 20.0


def new_process(bus: NATSBus, tasks: TaskSet) -> Process:
    return Process("metering", "metering-test", 1, SystemClock(), tasks, bus, CollectorRegistry())


async def draw(bus: NATSBus, *accounts: int) -> tuple[AllowanceGrant, ...]:
    request = messages.encode(AllowanceDraw("edge-test", accounts))
    answer = await bus.request(subjects.ALLOW, request, timeout_s=1)
    return messages.decode_allowance_grants(answer).grants


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
        unknown = 10**6
        assert await draw(bus, rich, poor, unknown) == (AllowanceGrant(rich, 150, 1000), AllowanceGrant(poor, 0, 1000))
        batch = messages.encode(UsageBatch((usage_event(account=rich),)))
        await bus.store(subjects.usage("dispatcher-1"), batch, message_id="one", timeout_s=5)

        async def overdrawn() -> bool:
            return (await draw(bus, rich))[0].spendable_nano == 150 - 200

        await eventually(overdrawn, within_s=DEADLINE_S, what="the charge shows in the allowance")
        figures = generate_latest(process.registry).decode()
        assert "trunkline_metering_charge_usd_total 2e-07" in figures
        assert "trunkline_metering_cost_usd_total 7.5e-08" in figures
        await service.drain()
        with pytest.raises(NoRespondersError):
            await draw(bus, rich)


async def test_many_draws_at_once_are_all_answered(
    bus: NATSBus, database: Database, database_dsn: str, tasks: TaskSet
) -> None:
    async with database.connection() as connection:
        accounts = [await usage_events.add_account(connection, f"account-{number}") for number in range(20)]
        for account in accounts:
            await ledger.grant_credit(connection, account, account * 10, "start")
    async with open_metering(new_process(bus, tasks), MeteringSettings(database_url=database_dsn)) as service:
        await until_ready(service)
        answers = await asyncio.gather(*(draw(bus, accounts[number % 20]) for number in range(200)))
        for number, grants in enumerate(answers):
            account = accounts[number % 20]
            assert grants == (AllowanceGrant(account, account * 10, 1000),)
        bus.publish(subjects.ALLOW, b"not a draw")
        assert len(await draw(bus, *accounts)) == 20


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
            await draw(bus, 1)

        await asyncio.to_thread(own_postgres.start)
        # There, but without our tables.
        database = await connect(own_postgres.admin_dsn)
        await database.ping()
        assert service.not_ready() == ["postgres"]
        await migrate(own_postgres.admin_dsn)
        await until_ready(service)
        async with database.connection() as connection:
            account = await usage_events.add_account(connection)
        await database.close()
        assert await draw(bus, account) == (AllowanceGrant(account, 0, 1000),)

        await asyncio.to_thread(own_postgres.stop)

        async def unheard() -> bool:
            try:
                await draw(bus, account)
            except BusError:
                return service.not_ready() == ["postgres"]
            raise AssertionError("a draw was answered without Postgres")

        await eventually(unheard, within_s=DEADLINE_S, what="unready again")
        assert service.beat(Beat("metering", "metering-test", 0)).in_flight == 0
        await service.drain()
