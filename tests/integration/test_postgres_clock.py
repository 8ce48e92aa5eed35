"""Postgres's clock is set while edges draw, and a limit of a minute holds.

Nobody waits for the minutes: metering's clock and Postgres's are set on by what shall have passed.
"""

from collections.abc import AsyncIterator

import pytest
import structlog
from prometheus_client import CollectorRegistry

from services.metering.allowances import AllowanceDesk
from services.metering.metrics import MeteringMetrics
from services.metering.postgres_clock import PostgresClock
from services.metering.terms import TermsBook
from tests.support import usage_events
from tests.support.drawn_leases import DrawnLease
from tests.support.network_clocks import set_ahead, why_unavailable
from tests.support.servers import PostgresServer
from trunkline.policy.discounts import Discounts
from trunkline.policy.lease import JobNeed
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store import ledger
from trunkline.store.database import Connection, Database

pytestmark = pytest.mark.skipif(bool(why_unavailable()), reason=why_unavailable())

USD = 10**9
RPM = 5
JOB = JobNeed((0, 1, 0, 0), (0, 1, 0, 0), key=0, user=0, model="gpt-4o", group="default")


async def no_discounts(_: Connection) -> Discounts:
    return Discounts()


class AdvancedClock(SystemClock):
    """The real clock, set ahead where a test would wait: it goes on as Postgres's does while the test works."""

    ahead_s = 0

    def now(self) -> float:
        return super().now() + self.ahead_s


class Rig:
    """Metering's desk, and an account with a limit of a minute."""

    def __init__(self, bus: NATSBus, database: Database, postgres: PostgresServer, tasks: TaskSet) -> None:
        self.clock = AdvancedClock()
        self.account = 0
        self._bus = bus
        self._postgres = postgres
        self._began: float | None = None
        self._passed_s = 0
        self._leapt_s = 0
        self._lease = 0
        self._registry = CollectorRegistry()
        metrics = MeteringMetrics(self._registry)
        clock = PostgresClock(self.clock, metrics)
        self.desk = AllowanceDesk(
            bus, database, TermsBook(self.clock), no_discounts, postgres_clock=clock, tasks=tasks, metrics=metrics
        )

    async def passes(self, seconds: int, *, leap_s: int = 0) -> None:
        """Let so much time pass, less what the test itself took, and set Postgres's clock on by so much more."""
        assert self._began is not None, "nothing was granted yet"
        self._passed_s += seconds
        self._leapt_s += leap_s
        real_s = self.clock.now() - self.clock.ahead_s - self._began
        self.clock.ahead_s = max(self.clock.ahead_s, self._passed_s - int(real_s))
        set_ahead(self._postgres.pid, self.clock.ahead_s + self._leapt_s)

    async def granted(self, jobs: int) -> int:
        """Return how many of some jobs an edge gets units for that has only just come."""
        if self._began is None:
            self._began = self.clock.now()
        self._lease += 1
        grant = await DrawnLease(self._bus, self.account, self._lease, f"edge-{self._lease}").draw(*[JOB] * jobs)
        (found,) = (each for each in grant.slices if each.meter.id == "account:rpm")
        return found.granted

    def leaps(self) -> tuple[float | None, float | None]:
        """Return how many leaps ahead and back are counted."""
        ahead, back = (
            self._registry.get_sample_value("trunkline_metering_postgres_clock_leaps_total", {"direction": direction})
            for direction in ("ahead", "back")
        )
        return ahead, back


@pytest.fixture
async def rig(bus: NATSBus, database: Database, postgres_server: PostgresServer, tasks: TaskSet) -> AsyncIterator[Rig]:
    rig = Rig(bus, database, postgres_server, tasks)
    async with database.connection() as connection:
        rig.account = await usage_events.add_account(connection)
        await ledger.grant_credit(connection, rig.account, USD, "start")
        await connection.execute("update accounts set limits = $1 where id = $2", f'{{"rpm": {RPM}}}', rig.account)
    await rig.desk.open()
    yield rig
    set_ahead(postgres_server.pid, 0)
    await rig.desk.close()


async def test_without_a_leap_a_minute_is_a_minute(rig: Rig) -> None:
    assert await rig.granted(3) == 3
    await rig.passes(50)
    assert await rig.granted(3) == 2
    await rig.passes(7)
    assert await rig.granted(1) == 0
    await rig.passes(6)
    assert await rig.granted(4) == 3
    assert rig.leaps() == (0, 0)


@pytest.mark.parametrize("leap_s", [5, 90, 7200])
async def test_a_minute_is_one_when_the_clock_leaps_ahead(rig: Rig, leap_s: int) -> None:
    assert await rig.granted(3) == 3
    with structlog.testing.capture_logs() as said:
        await rig.passes(1, leap_s=leap_s)
        assert await rig.granted(3) == 2
    (leap,) = [line for line in said if line["event"] == "postgres_clock_leapt"]
    assert leap["by_s"] == pytest.approx(leap_s, abs=2)
    assert rig.leaps() == (1, 0)
    await rig.passes(56)
    assert await rig.granted(1) == 0
    await rig.passes(6)
    assert await rig.granted(4) == 3


@pytest.mark.parametrize("leap_s", [-5, -90, -7200])
async def test_a_minute_is_one_at_least_when_the_clock_leaps_back(rig: Rig, leap_s: int) -> None:
    assert await rig.granted(3) == 3
    await rig.passes(1, leap_s=leap_s)
    assert await rig.granted(3) == 2
    assert rig.leaps() == (0, 1)
    await rig.passes(56)
    assert await rig.granted(1) == 0
    await rig.passes(10)
    assert await rig.granted(RPM) == RPM


@pytest.mark.parametrize("leap_s", [-7200, 7200])
async def test_a_minute_is_one_when_the_clock_leaps_and_comes_back(rig: Rig, leap_s: int) -> None:
    assert await rig.granted(2) == 2
    await rig.passes(1, leap_s=leap_s)
    assert await rig.granted(2) == 2
    await rig.passes(5, leap_s=-leap_s)
    assert await rig.granted(2) == 1
    assert rig.leaps() == (1, 1)
    await rig.passes(51)
    assert await rig.granted(1) == 0
