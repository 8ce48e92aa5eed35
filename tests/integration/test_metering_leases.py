"""Leases of edges that are silent, and those that were given up: they end, and never while anything may be booked."""

from collections.abc import Collection, Sequence

import pytest
from prometheus_client import CollectorRegistry

from services.metering import leases as leases_module
from services.metering.intake import Delivery, NATSIntake
from services.metering.leases import EDGES_INTERVAL_S, LeaseEnds
from services.metering.metrics import MeteringMetrics
from tests.support import usage_events
from tests.support.absent_mirror import add_absent_mirror
from tests.support.manual_clock import ManualClock
from tests.support.waiting import eventually, until_done
from trunkline.bus import messages, subjects
from trunkline.bus.allowance import WALLET
from trunkline.bus.messages import Beat
from trunkline.core.limits import LEASE_LOST_S
from trunkline.policy.grants import AccountState, LeaseState
from trunkline.runtime.nats_bus import NATSBus
from trunkline.store.allowances import StoredAccount, WrittenAccount, read_accounts, write_states
from trunkline.store.database import Connection, Database

DEADLINE_S = 20.0


class Rig:
    """What ends leases, and one account."""

    def __init__(self, bus: NATSBus, database: Database) -> None:
        self.clock = ManualClock()
        self.registry = CollectorRegistry()
        self.bus = bus
        self.ends = LeaseEnds(bus, clock=self.clock, metrics=MeteringMetrics(self.registry))
        self._database = database
        self.account = 0

    async def write(self, *leases: LeaseState, settled: Sequence[tuple[int, int]] = ()) -> None:
        """Give the account leases, numbered from 1, and what is booked of them."""
        async with self._database.connection() as connection:
            stored = (await read_accounts(connection, (self.account,)))[self.account]
            state = AccountState(dict(enumerate(leases, 1)))
            await write_states(connection, [WrittenAccount(self.account, stored.version, state, durable=True)])
            await connection.execute("delete from lease_settlements")
            rows = [(self.account, lease, WALLET, nano) for lease, nano in settled]
            await connection.executemany("insert into lease_settlements values ($1, $2, $3, $4)", rows)

    async def sweep(self, *, after_s: float = 0.0) -> list[int]:
        """Let time pass and end what can be ended; returns the leases that are left."""
        await self.clock.advance(after_s)
        async with self._database.connection() as connection:
            await self.ends.sweep(connection)
            stored = (await read_accounts(connection, (self.account,)))[self.account]
            assert set(stored.settled.get(WALLET, {})) <= set(stored.state.leases)
        return sorted(stored.state.leases)

    async def sweeps(self, seconds: int) -> list[int]:
        """Sweep once a second for so long."""
        left: list[int] = []
        for _ in range(seconds):
            left = await self.sweep(after_s=1.0)
        return left

    async def beat(self, edge: str) -> None:
        """Let an edge be heard now."""
        self.bus.publish(subjects.alive("edge", edge), messages.encode(Beat("edge", edge, 0)))

        async def heard() -> bool:
            return self.ends._heard.get(edge) == self.clock.now()

        await eventually(heard, within_s=DEADLINE_S, what="the beat")

    def ended(self, why: str) -> float:
        return self.registry.get_sample_value("trunkline_metering_leases_dropped_total", {"why": why}) or 0.0


@pytest.fixture
async def rig(bus: NATSBus, database: Database) -> Rig:
    rig = Rig(bus, database)
    async with database.connection() as connection:
        rig.account = await usage_events.add_account(connection)
    await rig.ends.start()
    return rig


def lease(edge: str, drawn: int = 500, *, closing: bool = False, reported_ms: int = 0) -> LeaseState:
    return LeaseState(edge, 3, {WALLET: drawn}, closing=closing, reported_ms=reported_ms)


async def next_of(intake: NATSIntake) -> Delivery:
    """Return the next message of a stream that has one: a fetch waits only a moment for it."""

    async def fetched() -> Sequence[Delivery]:
        return await intake.fetch()

    (delivery,) = await eventually(fetched, within_s=DEADLINE_S, what="the message")
    return delivery


async def database_ms(database: Database) -> int:
    async with database.connection() as connection:
        now_ms: int = await connection.fetchval("select (extract(epoch from clock_timestamp()) * 1000)::bigint")
    return now_ms


# --- dead edges ----------------------------------------------------------------------------------------------


async def test_the_leases_of_an_edge_end_when_it_has_been_silent_for_long_enough(rig: Rig) -> None:
    await rig.write(lease("edge-1"), lease("edge-2"), lease("edge-1"), settled=[(1, 20), (2, 30)])
    await rig.beat("edge-1")
    for _ in range(int(LEASE_LOST_S)):
        await rig.beat("edge-2")
        assert await rig.sweep(after_s=1.0) == [1, 2, 3]
    await rig.beat("edge-2")
    assert await rig.sweep(after_s=1.0) == [2]
    assert rig.ended("lost") == 2


@pytest.mark.parametrize("mirrored", [False, True], ids=["alone", "with a mirror that is away"])
async def test_not_before_the_usage_stream_has_been_settled_past_its_end_by_whichever_replica(
    rig: Rig, mirrored: bool
) -> None:
    if mirrored:
        await add_absent_mirror(rig.bus)
    await rig.write(lease("edge-1"))
    await rig.beat("edge-1")
    await rig.bus.store(subjects.usage("dispatcher", "dispatcher-1"), b"of its last job", message_id="1", timeout_s=5)
    assert await rig.sweeps(int(3 * LEASE_LOST_S)) == [1]
    # Another replica has it in hand; what comes later is of no account.
    delivery = await next_of(NATSIntake(rig.bus, 1))
    assert await rig.sweeps(3) == [1]
    await rig.bus.store(subjects.usage("dispatcher", "dispatcher-1"), b"later", message_id="2", timeout_s=5)
    await delivery.ack()

    async def confirmed() -> bool:
        return (await rig.bus.unconfirmed(subjects.USAGE_STREAM, subjects.USAGE_CONSUMER)).first == 2

    async def held() -> bool:
        return (await rig.bus.stream_span(subjects.USAGE_STREAM)).first == (1 if mirrored else 2)

    await eventually(confirmed, within_s=DEADLINE_S, what="its settlement is known")
    await eventually(held, within_s=DEADLINE_S, what="the stream has let it go, or keeps it for the mirror")
    assert await rig.sweep() == []


async def test_a_stream_that_is_never_empty_does_not_keep_leases(rig: Rig) -> None:
    await rig.write(lease("edge-1"))
    await rig.beat("edge-1")
    intake = NATSIntake(rig.bus, 1)
    left = [1]
    for turn in range(int(LEASE_LOST_S) + 10):
        await rig.bus.store(subjects.usage("dispatcher", "dispatcher-1"), b"x", message_id=str(turn), timeout_s=5)
        if turn >= 3:  # settlement is three seconds behind
            await (await next_of(intake)).ack()
        left = await rig.sweep(after_s=1.0)
    assert left == []


async def test_a_stream_that_counts_anew_does_not_keep_leases(rig: Rig) -> None:
    await rig.write(lease("edge-1"))
    for number in range(5):
        await rig.bus.store(subjects.usage("dispatcher", "dispatcher-1"), b"x", message_id=str(number), timeout_s=5)
    await rig.sweeps(2)
    await rig.bus.jetstream.delete_stream(subjects.USAGE_STREAM)
    await until_done(rig.bus.ensure_streams, within_s=DEADLINE_S, what="the stream is made anew")
    assert await rig.sweeps(int(LEASE_LOST_S) + 3) == []


async def test_without_the_stream_nothing_ends(rig: Rig) -> None:
    await rig.write(lease("edge-1"))
    await rig.bus.jetstream.delete_stream(subjects.USAGE_STREAM)
    assert await rig.sweeps(int(LEASE_LOST_S) + 5) == [1]
    await rig.bus.ensure_streams()


async def test_while_nobody_could_be_heard_nobody_dies(rig: Rig) -> None:
    await rig.write(lease("edge-1"))
    await rig.sweeps(int(LEASE_LOST_S) - 1)
    rig.ends._connection_changed(connected=False)
    rig.ends._connection_changed(connected=True)
    assert await rig.sweeps(int(LEASE_LOST_S)) == [1]
    assert await rig.sweeps(2) == []


async def test_an_edge_that_died_before_anybody_heard_it_is_found(rig: Rig) -> None:
    assert await rig.sweep() == []
    await rig.write(lease("edge-9"))  # drawn, and dead before its first beat
    assert await rig.sweeps(int(EDGES_INTERVAL_S) - 1) == [1]
    assert await rig.sweeps(int(LEASE_LOST_S) + 2) == []


async def test_many_accounts_of_a_dead_edge_end_in_several_rounds(
    rig: Rig, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases_module, "ACCOUNTS_MAX", 3)
    async with database.connection() as connection:
        accounts = [await usage_events.add_account(connection, f"account-{number}") for number in range(8)]
        states = [WrittenAccount(each, 0, AccountState({each: lease("edge-1")}), durable=True) for each in accounts]
        await write_states(connection, states)
    await rig.sweeps(int(LEASE_LOST_S) + 1)
    await rig.sweeps(4)
    assert rig.ended("lost") == 8
    assert "edge-1" not in rig.ends._heard, "nothing more is looked for"


async def test_accounts_that_were_deleted_stand_in_nobodys_way(
    rig: Rig, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases_module, "ACCOUNTS_MAX", 1)
    async with database.connection() as connection:
        for account in (10**6, 10**6 + 1):
            state = AccountState({1: lease("edge-1")})
            await write_states(connection, [WrittenAccount(account, 0, state, durable=True)])
    await rig.write(lease("edge-1"))
    assert await rig.sweeps(int(LEASE_LOST_S) + 5) == []
    async with database.connection() as connection:
        assert await connection.fetchval("select array_agg(account_id) from allowances") == [rig.account]


async def test_a_state_that_was_written_meanwhile_is_looked_at_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.write(lease("edge-1"), lease("edge-2"))
    overtaken = 0

    async def read_and_be_overtaken(connection: Connection, accounts: Collection[int]) -> dict[int, StoredAccount]:
        nonlocal overtaken
        stored = await read_accounts(connection, accounts)
        if not overtaken:
            overtaken = await connection.fetchval("update allowances set version = version + 1 returning 1")
        return stored

    monkeypatch.setattr(leases_module, "read_accounts", read_and_be_overtaken)
    await rig.beat("edge-1")
    for _ in range(int(LEASE_LOST_S) + 1):
        await rig.beat("edge-2")
        await rig.sweep(after_s=1.0)
    assert (overtaken, rig.ended("lost")) == (1, 0)
    await rig.beat("edge-2")
    assert await rig.sweep(after_s=1.0) == [2]


# --- leases that were given up -------------------------------------------------------------------------------


async def test_a_lease_that_was_given_up_ends_when_all_is_booked(rig: Rig, database: Database) -> None:
    now_ms = await database_ms(database)
    given_up = lease("edge-1", 500, closing=True, reported_ms=now_ms)
    other = lease("edge-1", 500)
    await rig.beat("edge-1")
    await rig.write(given_up, other, settled=[(1, 499), (2, 500)])
    assert await rig.sweep() == [1, 2]
    await rig.write(given_up, other, settled=[(1, 500), (2, 500)])
    assert await rig.sweep() == [2]
    assert rig.ended("closed") == 1


async def test_one_that_drew_nothing_ends_at_once(rig: Rig, database: Database) -> None:
    await rig.beat("edge-1")
    await rig.write(lease("edge-1", 0, closing=True, reported_ms=await database_ms(database)))
    assert await rig.sweep() == []


# Whatever Postgres's clock said when it was reported: it may have been set since.
@pytest.mark.parametrize("ahead_ms", [-7_200_000, 0, 7_200_000])
async def test_one_of_which_something_was_never_booked_ends_after_a_while(
    rig: Rig, database: Database, ahead_ms: int
) -> None:
    await rig.sweep()
    reported_ms = await database_ms(database) + ahead_ms
    await rig.write(lease("edge-1", 500, closing=True, reported_ms=reported_ms), settled=[(1, 100)])
    assert await rig.sweep() == [1]
    for _ in range(int(LEASE_LOST_S)):
        await rig.beat("edge-1")
        assert await rig.sweep(after_s=1.0) == [1]
    await rig.beat("edge-1")
    assert await rig.sweep(after_s=1.0) == []
    assert rig.ended("closed") == 1


async def test_and_counts_anew_when_its_edge_reports_again(rig: Rig, database: Database) -> None:
    reported_ms = await database_ms(database)
    for turn in range(3):
        again = lease("edge-1", 500, closing=True, reported_ms=reported_ms + turn)
        await rig.write(again, settled=[(1, 100)])
        for _ in range(int(LEASE_LOST_S) - 1):
            await rig.beat("edge-1")
            assert await rig.sweep(after_s=1.0) == [1]


async def test_and_later_if_settlement_is_behind(rig: Rig, database: Database) -> None:
    await rig.bus.store(subjects.usage("dispatcher", "dispatcher-1"), b"x", message_id="1", timeout_s=5)
    await rig.write(lease("edge-1", 500, closing=True, reported_ms=await database_ms(database)))
    for _ in range(int(2 * LEASE_LOST_S)):
        await rig.beat("edge-1")
        assert await rig.sweep(after_s=1.0) == [1]
    await (await next_of(NATSIntake(rig.bus, 1))).ack()

    async def ended() -> bool:
        return await rig.sweep() == []

    await eventually(ended, within_s=DEADLINE_S, what="the lease has ended")
