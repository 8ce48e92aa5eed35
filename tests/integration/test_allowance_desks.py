"""Replicas of metering that decide draws for one account at the same time: real NATS, real Postgres, real edges."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence

import pytest
from prometheus_client import CollectorRegistry

from services.edge import allowances as edge_module
from services.edge.allowances import Allowances, Grace, HoldRefusedError
from services.edge.metrics import EdgeMetrics
from services.metering import allowances as desk_module
from services.metering.allowances import AllowanceDesk
from services.metering.metrics import MeteringMetrics
from services.metering.postgres_clock import PostgresClock
from services.metering.settler import PRICES_AGE_MAX_S, Settler
from services.metering.terms import TERMS_AGE_MAX_S, TermsBook
from tests.support import usage_events
from tests.support.allowance_world import need
from tests.support.drawn_leases import DrawnLease, ask
from tests.support.manual_clock import ManualClock
from tests.support.usage_events import usage_event
from tests.support.waiting import eventually
from trunkline.bus import subjects
from trunkline.bus.allowance import WALLET, LeaseGrant, Recall, SliceGrant, SliceState, decode_recall
from trunkline.bus.port import BusError, NoRespondersError
from trunkline.core import limits
from trunkline.core.usage import Units
from trunkline.policy.discounts import Discounts, DiscountStep
from trunkline.policy.entities import DiscountSchedules
from trunkline.policy.lease import OUTDATED_S, Hold, JobNeed
from trunkline.runtime import nats_bus
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store import ledger
from trunkline.store.allowances import RefusingBudget, WrittenAccount, mark_refusing, read_accounts
from trunkline.store.configuration_writes import put_discounts
from trunkline.store.database import Connection, Database, StoreError
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import BudgetPeriod, settle

DEADLINE_S = 20.0
HOLD_WAIT_S = 5.0
NO_GRACE = Grace(0.0, 0)
USD = 10**9


class Replica:
    """One metering replica's desk."""

    def __init__(
        self,
        bus: NATSBus,
        database: Database,
        tasks: TaskSet,
        *,
        discounts: Discounts = Discounts(),  # noqa: B008 - without state
        terms: TermsBook | None = None,
    ) -> None:
        self.registry = CollectorRegistry()
        self.terms = terms or TermsBook(SystemClock())
        metrics = MeteringMetrics(self.registry)

        async def read_discounts(_: Connection) -> Discounts:
            return discounts

        clock = PostgresClock(SystemClock(), metrics)
        self.desk = AllowanceDesk(
            bus, database, self.terms, read_discounts, postgres_clock=clock, tasks=tasks, metrics=metrics
        )

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"trunkline_metering_{name}_total", labels) or 0.0


@pytest.fixture
async def replicas(bus: NATSBus, nats_url: str, database: Database, tasks: TaskSet) -> AsyncIterator[list[Replica]]:
    other = await nats_bus.connect(nats_url, name="metering-2", tasks=tasks)
    replicas = [Replica(each, database, tasks) for each in (bus, other)]
    for replica in replicas:
        await replica.desk.open()
    yield replicas
    for replica in replicas:
        await replica.desk.close()
    await other.close()


@pytest.fixture
async def edges(nats_url: str, tasks: TaskSet, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Allowances]]:
    # On a busy machine metering that is late is not away, and jobs wait for longer until all has been given out.
    monkeypatch.setattr(edge_module, "DRAW_TIMEOUT_S", DEADLINE_S)
    monkeypatch.setattr(limits, "HOLD_WAIT_S", HOLD_WAIT_S)
    buses = [await nats_bus.connect(nats_url, name=f"edge-{number}", tasks=tasks) for number in range(8)]
    metrics = EdgeMetrics(CollectorRegistry())
    edges = [
        Allowances(bus, f"edge-{number}", number + 1, NO_GRACE, clock=SystemClock(), tasks=tasks, metrics=metrics)
        for number, bus in enumerate(buses)
    ]
    for edge in edges:
        await edge.start()
    yield edges
    for bus in buses:
        await bus.close()


async def account_with(database: Database, nano: int, name: str = "acme", **columns: str) -> int:
    async with database.connection() as connection:
        account = await usage_events.add_account(connection, name)
        await ledger.grant_credit(connection, account, nano, "start")
        for column, value in columns.items():
            await connection.execute(f"update accounts set {column} = $1 where id = $2", value, account)  # noqa: S608 - the tests' own
    return account


async def try_hold(edge: Allowances, account: int, wanted: JobNeed) -> Hold | str:
    """Begin a job as the path of a request does; returns its hold, or why there is none."""
    try:
        return edge.hold(account, wanted) or await edge.wait(account, wanted)
    except HoldRefusedError as error:
        return error.fault.code or error.fault.type.value


def of_meter(grant: LeaseGrant, meter: str) -> SliceGrant:
    (found,) = (each for each in grant.slices if each.meter.id == meter)
    return found


# --- several replicas ----------------------------------------------------------------------------------------


async def test_eight_edges_never_hold_more_than_there_is_and_all_of_it(
    replicas: list[Replica], edges: list[Allowances], database: Database
) -> None:
    account = await account_with(database, 100 * 1_000)
    found = await asyncio.gather(*(try_hold(edge, account, need(1_000)) for _ in range(40) for edge in edges))
    holds = [held for held in found if isinstance(held, Hold)]
    assert len(holds) == 100
    assert {held for held in found if isinstance(held, str)} == {"credit_held"}
    async with database.connection() as connection:
        stored = (await read_accounts(connection, (account,)))[account]
    assert sum(lease.drawn.get(WALLET, 0) for lease in stored.state.leases.values()) == 100_000
    assert all(replica.count("allowance_draws", result="answered") > 10 for replica in replicas)
    assert sum(replica.count("draw_conflicts") for replica in replicas) > 0


async def test_money_goes_round_until_it_is_spent_to_the_last(
    replicas: list[Replica], edges: list[Allowances], database: Database
) -> None:
    """Each job comes to a third of its hold, and is booked while others draw."""
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
    account = await account_with(database, 300 * 100)
    served: Counter[int] = Counter()

    async def book(hold: Hold) -> None:
        event = usage_event(account=account, lease=hold.lease, units=Units(output=50))  # 100 nano-USD
        async with database.connection() as connection:
            await settle(connection, [event], await load_price_book(connection, await read_mark(connection)))

    async def serve(number: int) -> None:
        edge = edges[number]
        while True:
            held = await try_hold(edge, account, need(300))
            if held == "policy_no_credit":
                return
            if isinstance(held, Hold):
                served[number] += 1
                edge.settle(account, held, 100, 0, 0)
                await book(held)

    async with asyncio.timeout(60):
        await asyncio.gather(*(serve(number) for number in range(len(edges))))
    async with database.connection() as connection:
        balance = await ledger.balance(connection, account)
    # With less than a hold left no further job may begin.
    assert (sum(served.values()), balance) == (298, 200)
    assert all(served[number] for number in range(8))


@pytest.mark.parametrize(
    ("limit", "wanted"),
    [
        ('{"rpm": 60}', need()),
        ('{"concurrency": 60}', need()),
        ('{"tpm": 6000}', need(tokens=100)),
        ('{"rpd": 60}', need()),
    ],
    ids=["requests", "at a time", "tokens", "a day"],
)
async def test_a_limit_holds_over_all_edges_and_replicas(
    replicas: list[Replica], edges: list[Allowances], database: Database, limit: str, wanted: JobNeed
) -> None:
    account = await account_with(database, USD, limits=limit)
    found = await asyncio.gather(*(try_hold(edge, account, wanted) for _ in range(15) for edge in edges))
    assert len([held for held in found if isinstance(held, Hold)]) == 60


async def test_draws_for_an_account_that_are_decided_together_see_each_other(
    bus: NATSBus, replicas: list[Replica], database: Database
) -> None:
    account = await account_with(database, 1_000)
    leases = [DrawnLease(bus, account, number) for number in range(1, 9)]
    grants = await ask(bus, "edge-test", *(lease.report(need(200)) for lease in leases))
    assert sorted(of_meter(grant, WALLET).drawn for grant in grants.values()) == [0, 0, 0, 200, 200, 200, 200, 200]


async def test_a_draw_that_was_overtaken_is_left_out(bus: NATSBus, replicas: list[Replica], database: Database) -> None:
    account = await account_with(database, 1_000)
    lease = DrawnLease(bus, account, 1)
    late = lease.report(need(100))
    lease.lease.lost()
    await lease.draw(need(100))
    assert await ask(bus, "edge-test", late) == {}


async def test_one_replica_goes_on_when_the_other_is_gone(
    bus: NATSBus, replicas: list[Replica], database: Database
) -> None:
    account = await account_with(database, 10_000)
    lease = DrawnLease(bus, account, 1)
    await lease.draw(need(100))
    await replicas[0].desk.close()
    for _ in range(4):
        await lease.draw(need(100))
    await replicas[1].desk.close()
    with pytest.raises(NoRespondersError):
        await lease.draw(need(100))


# --- recalls -------------------------------------------------------------------------------------------------


async def test_who_holds_what_others_wait_for_is_asked_for_it(
    bus: NATSBus, replicas: list[Replica], database: Database
) -> None:
    account = await account_with(database, 1_000)
    recalls: asyncio.Queue[Recall] = asyncio.Queue()
    await bus.subscribe(subjects.recall("edge-a"), lambda message: recalls.put_nowait(decode_recall(message.data)))
    first, second = DrawnLease(bus, account, 1, "edge-a"), DrawnLease(bus, account, 2, "edge-b")
    await first.draw(need(900))
    assert of_meter(await second.draw(need(500)), WALLET).state is SliceState.WAIT
    async with asyncio.timeout(DEADLINE_S):
        assert await recalls.get() == Recall((account,))
    # It gives back all of it, since its job has not begun.
    await ask(bus, "edge-a", first.lease.report((), 0.0, recalled=True))
    assert of_meter(await second.draw(need(500)), WALLET).drawn == 500


async def test_permits_move_to_the_edge_that_needs_them(
    replicas: list[Replica], edges: list[Allowances], database: Database
) -> None:
    account = await account_with(database, USD, limits='{"concurrency": 10}')

    async def all_of_them(edge: Allowances) -> bool:
        found = await asyncio.gather(*(try_hold(edge, account, need()) for _ in range(14)))
        holds = [held for held in found if isinstance(held, Hold)]
        for held in holds:
            edge.settle(account, held, 0, 0, 0)
        assert {held for held in found if isinstance(held, str)} == {"concurrency_limit"}
        assert len(holds) <= 10
        return len(holds) == 10

    for edge in (edges[0], edges[5], edges[0]):
        # An edge that has just been asked, and said that it uses all it has, is not asked again for a moment.
        await eventually(lambda edge=edge: all_of_them(edge), within_s=DEADLINE_S, what="the permits have moved")


# --- terms ---------------------------------------------------------------------------------------------------


async def test_a_limit_that_was_changed_applies_within_a_second(
    bus: NATSBus, database: Database, tasks: TaskSet
) -> None:
    """Which a busy edge notices with its next report, half a lease later at most, and its keys a moment after that."""
    assert TERMS_AGE_MAX_S + limits.LEASE_MS / 1000 / 2 + OUTDATED_S <= 1.0
    clock = ManualClock()
    replica = Replica(bus, database, tasks, terms=TermsBook(clock))
    await replica.desk.open()
    account = await account_with(database, USD, limits='{"rpd": 5}')
    lease = DrawnLease(bus, account, 1)
    terms = (await lease.draw(need())).terms
    async with database.connection() as connection:
        await connection.execute(
            """update accounts set limits = '{"rpd": 7, "concurrency": 2}' where id = $1""", account
        )
    await clock.advance(TERMS_AGE_MAX_S + 0.01)
    grant = await lease.draw()
    assert len(grant.slices) == 3
    assert of_meter(grant, "account:rpd").meter.limit == 7
    assert grant.terms != terms
    await replica.desk.close()


async def test_the_meters_of_a_key_are_granted_when_it_is_named(
    bus: NATSBus, replicas: list[Replica], database: Database
) -> None:
    account = await account_with(database, USD)
    async with database.connection() as connection:
        user = await connection.fetchval(
            """insert into users (account_id, name, limits) values ($1, 'kim', '{"rpd": 9}') returning id""", account
        )
        key = await connection.fetchval(
            "insert into keys (account_id, name, groups, models, limits, user_id)"
            """ values ($1, 'k', '{}', '{}', '{"rpm": 3}', $2) returning id""",
            account,
            user,
        )
    lease = DrawnLease(bus, account, 1)
    assert [each.meter.id for each in (await lease.draw(need(key=key + 1))).slices] == [WALLET]
    wanted = need(key=key)._replace(user=user)
    grant = await lease.draw(wanted)
    assert [each.meter.id for each in grant.slices] == [WALLET, f"key:{key}:rpm", f"user:{user}:rpd"]
    assert [each.granted for each in grant.slices] == [0, 1, 1]
    lease.hold(wanted)


# --- budgets -------------------------------------------------------------------------------------------------


async def test_a_budget_counts_what_was_spent_before_it_was_set_and_since(
    bus: NATSBus, replicas: list[Replica], database: Database
) -> None:
    now_ms = SystemClock().wall_ms()
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
    account = await account_with(database, USD)

    async def spend(connection: Connection, budgets: Sequence[str] = ()) -> None:
        event = usage_event(account=account, started_ms=now_ms)
        book = await load_price_book(connection, await read_mark(connection))
        start = await connection.fetchval("select current_date")
        await settle(connection, [event], book, lambda _: [BudgetPeriod(meter, start) for meter in budgets])

    async with database.connection() as connection:
        await spend(connection)
        await connection.execute("""update accounts set budgets = '{"daily_nano": 1000}' where id = $1""", account)
    lease = DrawnLease(bus, account, 1)
    assert of_meter(await lease.draw(), "account:daily").remaining == 800
    async with database.connection() as connection:
        await spend(connection, ["account:daily"])
    assert of_meter(await lease.draw(), "account:daily").remaining == 600
    assert of_meter(await lease.draw(need(700)), "account:daily").state is SliceState.SPENT


async def test_a_budget_that_refuses_is_marked_once_and_again_when_it_was_raised(
    bus: NATSBus, replicas: list[Replica], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked: list[tuple[str, int]] = []

    async def mark(connection: Connection, budgets: Collection[RefusingBudget]) -> None:
        marked.extend((budget.meter, budget.limit_nano) for budget in budgets)
        await mark_refusing(connection, budgets)

    monkeypatch.setattr(desk_module, "mark_refusing", mark)
    account = await account_with(database, USD, budgets='{"daily_nano": 1000}')
    lease = DrawnLease(bus, account, 1)
    await lease.draw()
    async with database.connection() as connection:
        await connection.execute("update budget_spending set spent_nano = 950")
    for _ in range(3):
        assert of_meter(await lease.draw(need(51)), "account:daily").state is SliceState.SPENT
    assert marked == [("account:daily", 1000)]
    async with database.connection() as connection:
        await connection.execute("""update accounts set budgets = '{"daily_nano": 1010}'""")
    async with asyncio.timeout(DEADLINE_S):
        while len(marked) < 2:
            await lease.draw(need(100))
    assert marked == [("account:daily", 1000), ("account:daily", 1010)]
    async with database.connection() as connection:
        rows = await connection.fetch("select meter, refused_limit_nano from budget_spending")
    assert [tuple(row) for row in rows] == [("account:daily", 1010)]


async def test_the_discount_of_an_account_is_told_to_its_edges(
    bus: NATSBus, database: Database, tasks: TaskSet
) -> None:
    replica = Replica(bus, database, tasks, discounts=Discounts((DiscountStep(0, 70_000),)))
    account = await account_with(database, USD)
    await replica.desk.open()
    assert (await DrawnLease(bus, account, 1).draw()).discount_ppm == 70_000
    await replica.desk.close()


async def test_a_replica_that_has_settled_nothing_knows_the_discounts_in_force(
    bus: NATSBus, database: Database, tasks: TaskSet
) -> None:
    clock, metrics = ManualClock(), MeteringMetrics(CollectorRegistry())
    terms = TermsBook(clock)
    settler = Settler(database, terms, clock=clock, metrics=metrics)
    postgres_clock = PostgresClock(clock, metrics)
    desk = AllowanceDesk(
        bus, database, terms, settler.discounts, postgres_clock=postgres_clock, tasks=tasks, metrics=metrics
    )
    account = await account_with(database, USD)
    lease = DrawnLease(bus, account, 1)
    await desk.open()
    assert (await lease.draw()).discount_ppm == 0
    async with database.connection() as connection:
        await put_discounts(connection, DiscountSchedules((DiscountStep(0, 70_000),)))
    assert (await lease.draw()).discount_ppm == 0  # not asked about with every draw
    await clock.advance(PRICES_AGE_MAX_S)
    assert (await lease.draw()).discount_ppm == 70_000
    await desk.close()


# --- what goes wrong -----------------------------------------------------------------------------------------


async def test_a_lease_that_was_ended_is_over_and_gets_nothing(
    bus: NATSBus, replicas: list[Replica], database: Database
) -> None:
    account = await account_with(database, 1_000)
    lease = DrawnLease(bus, account, 1)
    await lease.draw(need(400))
    async with database.connection() as connection:
        await connection.execute("delete from allowances where account_id = $1", account)
    grant = await lease.draw(need(100))
    assert (grant.over, grant.slices) == (True, ())
    assert of_meter(await DrawnLease(bus, account, 2).draw(need(1_000)), WALLET).drawn == 1_000


async def test_a_lease_that_is_given_back_leaves_nothing_behind(
    bus: NATSBus, replicas: list[Replica], database: Database
) -> None:
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
    account = await account_with(database, 1_000)
    lease = DrawnLease(bus, account, 1)
    await lease.draw(need(400))
    lease.lease.settle(lease.hold(need(400)), 200, 0, 0, SystemClock().now())
    async with database.connection() as connection:
        event = usage_event(account=account, lease=1)
        await settle(connection, [event], await load_price_book(connection, await read_mark(connection)))
        await lease.draw(closing=True)
        stored = (await read_accounts(connection, (account,)))[account]
        assert (stored.state.leases, stored.settled, stored.balance_nano) == ({}, {}, 800)
        assert list(await connection.fetchrow("select edges, closing from allowances")) == [[], False]


async def test_only_where_leases_come_or_go_an_answer_waits_for_the_disk(
    bus: NATSBus, replicas: list[Replica], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await account_with(database, 10_000)
    durable: list[bool] = []
    real = desk_module.write_states

    async def noted(connection: Connection, states: Sequence[WrittenAccount]) -> set[int]:
        durable.extend(state.durable for state in states)
        return await real(connection, states)

    monkeypatch.setattr(desk_module, "write_states", noted)
    lease = DrawnLease(bus, account, 1)
    for _ in range(3):
        await lease.draw(need(100))
        lease.lease.settle(lease.hold(need(100)), 100, 0, 0, SystemClock().now())
    await lease.draw(closing=True)
    assert durable == [True, False, False, True]


async def test_when_postgres_fails_nobody_is_answered_until_the_desk_is_opened_again(
    bus: NATSBus, replicas: list[Replica], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await account_with(database, 1_000)
    await replicas[1].desk.close()
    lease = DrawnLease(bus, account, 1)

    async def away(*_: object) -> None:
        raise StoreError("away")

    with monkeypatch.context() as patched:
        patched.setattr("services.metering.allowances.write_states", away)
        with pytest.raises(BusError):
            await ask(bus, "edge-test", lease.report(need(100)), timeout_s=0.5)
    with pytest.raises(NoRespondersError):
        await lease.draw(need(100))
    assert replicas[0].count("allowance_draws", result="dropped") == 1
    await replicas[0].desk.open()
    assert of_meter(await lease.draw(need(100)), WALLET).drawn == 100


async def test_an_account_that_others_keep_writing_is_left_out_and_the_rest_is_answered(
    bus: NATSBus, replicas: list[Replica], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, calm = await account_with(database, 1_000), await account_with(database, 1_000, name="calm")
    await replicas[1].desk.close()
    real = desk_module.write_states

    async def beaten(connection: Connection, states: Sequence[WrittenAccount]) -> set[int]:
        await connection.execute("update allowances set version = version + 1 where account_id = $1", busy)
        return await real(connection, states)

    leases = [DrawnLease(bus, busy, 1), DrawnLease(bus, calm, 2)]
    await leases[0].draw(need(100))
    monkeypatch.setattr(desk_module, "write_states", beaten)
    grants = await ask(bus, "edge-test", *(lease.report(need(200)) for lease in leases))
    assert set(grants) == {2}
    assert replicas[0].count("draw_conflicts") == desk_module.CONFLICTS_MAX
