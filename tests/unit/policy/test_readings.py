"""How far meters have got, for people to see."""

import datetime as dt

from tests.support.allowance_world import START_MS, World, need
from trunkline.bus.allowance import WALLET, Meter, MeterKind, Period
from trunkline.bus.inquiry import MeterReading
from trunkline.policy.grants import AccountState
from trunkline.policy.readings import read_meters

RPM = Meter("tier:rpm", MeterKind.REQUESTS, Period.MINUTE, 50)
TPD = Meter("tier:tpd", MeterKind.TOKENS, Period.DAY, 5000)
CONCURRENCY = Meter("tier:concurrency", MeterKind.CONCURRENCY, Period.NONE, 10)
MONTHLY = Meter("account:monthly", MeterKind.MONEY, Period.MONTH, 10**9)
METERS = (Meter(WALLET, MeterKind.MONEY, Period.NONE, 0), RPM, TPD, CONCURRENCY, MONTHLY)


def readings(state: AccountState, now_ms: int, zone: str = "UTC") -> dict[str, MeterReading]:
    found = read_meters(METERS, state, {MONTHLY.id: 7}, zone, now_ms)
    return {reading.meter.id: reading for reading in found}


def test_an_account_that_did_nothing_has_used_nothing() -> None:
    found = readings(AccountState(), START_MS)
    assert list(found) == ["tier:rpm", "tier:tpd", "tier:concurrency", "account:monthly"]
    assert [reading.used for reading in found.values()] == [0, 0, 0, 7]
    assert (found["tier:rpm"].reset_ms, found["tier:concurrency"].reset_ms) == (0, 0)


def test_what_edges_have_drawn_is_used_until_its_time_is_over() -> None:
    world = World(METERS[1:])
    edge = world.edge()
    assert edge.ask([need(tokens=100), need(tokens=100), need(tokens=100)]) == []
    found = readings(world.state, world.now_ms)
    assert [found[meter.id].used for meter in (RPM, TPD, CONCURRENCY)] == [3, 300, 3]
    assert 60_000 < found["tier:rpm"].reset_ms <= 61_250
    later = readings(world.state, world.now_ms + found["tier:rpm"].reset_ms)
    assert (later["tier:rpm"].used, later["tier:rpm"].reset_ms) == (0, 0)
    assert later["tier:tpd"].used == 300


def test_days_and_months_are_the_accounts() -> None:
    # 08:00 in UTC, 16:00 in Shanghai; eight hours of the day are left there, and some of January.
    now = dt.datetime(2027, 1, 15, 8, tzinfo=dt.UTC)
    now_ms = round(now.timestamp() * 1000)
    state = AccountState(windows={TPD.id: {now.toordinal(): 40, now.toordinal() - 1: 999}})
    found = readings(state, now_ms, "Asia/Shanghai")
    assert found["tier:tpd"] == MeterReading(TPD, 40, 8 * 3_600_000)
    until = dt.datetime(2027, 1, 31, 16, tzinfo=dt.UTC)
    assert found["account:monthly"] == MeterReading(MONTHLY, 7, round((until - now).total_seconds() * 1000))
