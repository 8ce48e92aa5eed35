"""An edge's side of an account while metering does not answer: the grace, and limits that go on at its share."""

import msgspec
import pytest

from tests.support.lease_rig import BUDGET, CONCURRENCY, RPM, Rig, money, need
from trunkline.bus.allowance import WALLET, Meter, MeterKind, Period, SliceGrant, SliceReport, SliceState
from trunkline.core import limits
from trunkline.policy.lease import UNKNOWN, Hold, JobNeed, Short


@pytest.fixture
def rig() -> Rig:
    return Rig()


def extend(rig: Rig, *waiting: JobNeed, grace: int = 1_000) -> bool:
    rig.lease.lost()
    return rig.lease.extend(waiting, rig.now, 1_800_000_000_000, grace)


def test_an_account_that_was_never_heard_of_spends_within_the_grace(rig: Rig) -> None:
    rig.report(need(700))
    assert extend(rig, need(700))
    rig.hold(need(700))
    assert isinstance(rig.lease.hold(need(400), rig.now), Short)
    rig.report(need(400))
    assert extend(rig, need(400))
    assert isinstance(rig.lease.hold(need(400), rig.now), Short)
    rig.hold(need(300))
    # Metering hears of it with the next report.
    assert rig.report().slices == (SliceReport(WALLET, drawn=1_000, wish=rig.lease.slices[WALLET].low * 4),)


def test_the_grace_begins_anew_when_metering_has_answered(rig: Rig) -> None:
    rig.report(need(1_000))
    assert extend(rig, need(1_000))
    rig.hold(need(1_000))
    rig.draw([], money(1_000))
    rig.report(need(1_000))
    assert extend(rig, need(1_000))
    rig.hold(need(1_000))


def test_what_is_held_is_spent_first(rig: Rig) -> None:
    rig.draw([need(600)], money(600))
    rig.report(need(1_000))
    assert extend(rig, need(1_000), grace=400)
    rig.hold(need(1_000))


def test_no_more_is_spent_than_the_edges_part_of_what_was_left(rig: Rig) -> None:
    draw = rig.report(need(10))
    rig.answer(draw, money(0, remaining=900), edges=3)
    for _ in range(3):
        rig.report(need(300), need(300))
        assert extend(rig, need(300), need(300), grace=10**9)
    rig.hold(need(300))
    assert isinstance(rig.lease.hold(need(1), rig.now), Short)


@pytest.mark.parametrize("state", [SliceState.SPENT, SliceState.WAIT])
def test_an_account_that_had_nothing_left_gets_no_grace(rig: Rig, state: SliceState) -> None:
    rig.draw([need(100)], money(50, remaining=0, state=state))
    rig.report(need(100))
    assert not extend(rig, need(100))
    assert not isinstance(rig.lease.hold(need(100), rig.now), Hold)


@pytest.mark.parametrize("state", [SliceState.SPENT, SliceState.WAIT])
def test_too_little_for_one_job_is_enough_for_a_smaller_one(rig: Rig, state: SliceState) -> None:
    draw = rig.report(need(100))
    rig.answer(draw, money(0, remaining=60, state=state), edges=2)
    rig.report(need(40))
    assert extend(rig, need(40))
    assert isinstance(rig.lease.hold(need(31), rig.now), Short)  # the other edge may spend as much
    rig.hold(need(30))


def test_an_account_whose_jobs_hold_the_rest_waits_for_them(rig: Rig) -> None:
    rig.draw([need(50)], money(50, remaining=0))
    rig.hold(need(50))
    rig.report(need(50))
    assert extend(rig, need(50))


def test_a_budget_that_is_used_up_gets_no_grace_and_another_one_as_much_as_the_wallet(rig: Rig) -> None:
    spent = SliceGrant(BUDGET, state=SliceState.SPENT)
    free = SliceGrant(Meter("account:daily", MeterKind.MONEY, Period.DAY, 10**6), remaining=10**6)
    rig.draw([need(1), need(1, key=2)], money(0), free, spent)
    rig.report(need(900), need(900, key=2))
    assert extend(rig, need(900), need(1, key=2))
    rig.hold(need(900))
    assert isinstance(rig.lease.hold(need(1, key=2), rig.now), Short)


def test_an_unknown_account_gets_no_grace(rig: Rig) -> None:
    rig.answer(rig.report(need(1)), known=False)
    rig.report(need(1))
    assert not extend(rig, need(1))


def test_keys_that_were_never_heard_of_go_on_until_metering_is_back(rig: Rig) -> None:
    rig.draw([need(1)], money(100))
    rig.report(need(1, key=5))
    assert extend(rig, need(1, key=5))
    rig.hold(need(1, key=5))
    rig.draw([], money(100))
    assert rig.lease.hold(need(1, key=5), rig.now) is UNKNOWN


def test_minute_limits_go_on_at_their_rate_however_soon_the_draws_fail(rig: Rig) -> None:
    rig.answer(rig.report(need()), money(0), SliceGrant(RPM, bucket=3), edges=2)
    used = 0
    for _ in range(40):  # ten seconds, in which nobody listens: half of sixty a minute
        rig.now += 0.25
        rig.report(need())
        assert extend(rig, need())
        while isinstance(rig.lease.hold(need(), rig.now), Hold):
            used += 1
    assert used == 5
    rig.draw([], money(0), SliceGrant(RPM, bucket=40))


@pytest.mark.parametrize(("edges", "share"), [(1, 10), (3, 4), (11, 1)])
def test_jobs_at_a_time_go_on_at_each_edges_share(rig: Rig, edges: int, share: int) -> None:
    rig.answer(rig.report(need()), money(0), SliceGrant(CONCURRENCY), edges=edges)
    for _ in range(2):  # the second time its jobs have them already
        rig.report(need())
        assert extend(rig, need())
        while isinstance(held := rig.lease.hold(need(), rig.now), Hold):
            pass
        assert isinstance(held, Short)
        assert held.slice.meter == CONCURRENCY
        assert rig.lease.jobs == share
    # Metering hears of them with the next report.
    assert [(slice_.meter, slice_.drawn) for slice_ in rig.report().slices] == [("tier:concurrency", share)]


def test_an_account_with_no_job_at_a_time_has_none_without_metering(rig: Rig) -> None:
    nothing = msgspec.structs.replace(CONCURRENCY, limit=0)
    rig.answer(rig.report(need()), money(0), SliceGrant(nothing))
    rig.report(need())
    assert extend(rig, need())
    assert isinstance(rig.lease.hold(need(), rig.now), Short)


def test_use_of_minted_units_is_reported(rig: Rig) -> None:
    rig.answer(rig.report(need()), money(0), SliceGrant(RPM, bucket=3))
    rig.now += 1.0
    rig.report(need())
    assert extend(rig, need())
    rig.hold(need())
    rig.now += 0.5
    (slice_,) = rig.report().slices
    assert slice_.returned == {1_800_000_000_000 // limits.BUCKET_MS: -1}
