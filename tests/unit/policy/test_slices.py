"""What a lease holds of one meter: money by totals, permits, and units that lapse."""

import math

import pytest

from trunkline.bus.allowance import WALLET, Meter, MeterKind, Period, SliceGrant, SliceReport, SliceState
from trunkline.policy.slices import MoneySlice, PermitSlice, UnitSlice, in_use, new_slice

MONEY = Meter(WALLET, MeterKind.MONEY, Period.NONE, 0)
RPM = Meter("tier:rpm", MeterKind.REQUESTS, Period.MINUTE, 600)
TPM = Meter("tier:tpm", MeterKind.TOKENS, Period.MINUTE, 6_000)
TPD = Meter("tier:tpd", MeterKind.TOKENS, Period.DAY, 86_400)
CONCURRENCY = Meter("tier:concurrency", MeterKind.CONCURRENCY, Period.NONE, 10)


@pytest.mark.parametrize(
    ("meter", "kind", "index"),
    [
        (MONEY, MoneySlice, 0),
        (RPM, UnitSlice, 1),
        (CONCURRENCY, PermitSlice, 1),
        (TPM, UnitSlice, 2),
        (Meter("i", MeterKind.IMAGES, Period.MINUTE, 1), UnitSlice, 3),
    ],
    ids=["money", "requests", "permits", "tokens", "images"],
)
def test_each_kind_of_meter_has_its_slice(meter: Meter, kind: type, index: int) -> None:
    slice_ = new_slice(meter)
    assert (type(slice_), slice_.index, slice_.free(0.0)) == (kind, index, 0)


# --- money ---------------------------------------------------------------------------------------------------


def money(drawn: int, settled: int = 0) -> MoneySlice:
    slice_ = MoneySlice(MONEY)
    slice_.apply(SliceGrant(MONEY, drawn=drawn, settled=settled), math.inf)
    return slice_


def test_what_is_held_or_spent_is_not_free() -> None:
    slice_ = money(1_000)
    slice_.take(300, 0)
    slice_.take(200, 0)
    assert slice_.free(0) == 500
    slice_.settle(300, 120, 0, 0)
    assert (slice_.free(0), slice_.held, slice_.spent) == (680, 200, 120)


def test_what_is_booked_counts_once_whether_it_was_heard_of_or_not() -> None:
    slice_ = money(1_000)
    slice_.take(300, 0)
    slice_.settle(300, 300, 0, 0)
    slice_.apply(SliceGrant(MONEY, drawn=1_000, settled=300), math.inf)
    assert slice_.free(0) == 700
    slice_.apply(SliceGrant(MONEY, drawn=1_000, settled=450), math.inf)
    assert slice_.free(0) == 550
    slice_.apply(SliceGrant(MONEY, drawn=1_000, settled=400), math.inf)  # read before the other one
    assert slice_.free(0) == 550


def test_a_report_keeps_what_is_idle_or_gives_it_back() -> None:
    slice_ = money(1_000)
    slice_.take(300, 0)
    assert slice_.report(0, idle=True, wish=900) == SliceReport(WALLET, drawn=1_000, idle=700, wish=200)
    assert slice_.report(0, idle=False, wish=0) == SliceReport(WALLET, drawn=300)
    assert slice_.free(0) == 0


def test_a_charge_beyond_its_hold_is_reported_as_drawn() -> None:
    slice_ = money(100)
    slice_.take(100, 0)
    slice_.settle(100, 180, 0, 0)
    assert slice_.free(0) == -80
    assert slice_.report(0, idle=True, wish=0) == SliceReport(WALLET, drawn=180)


def test_a_meter_that_comes_back_begins_with_what_is_booked_of_it() -> None:
    """Its total is all the lease ever drew; none of what was spent before may be spent again."""
    slice_ = new_slice(MONEY, 400)
    slice_.apply(SliceGrant(MONEY, drawn=500, settled=400), math.inf)
    assert slice_.free(0) == 100
    slice_.take(100, 0)
    slice_.settle(100, 100, 0, 0)
    assert slice_.free(0) == 0


def test_money_is_in_use_until_all_of_it_is_booked() -> None:
    slice_ = money(300)
    slice_.take(300, 0)
    assert in_use(slice_, 0)
    slice_.settle(300, 300, 0, 0)
    assert in_use(slice_, 0)
    slice_.apply(SliceGrant(MONEY, drawn=300, settled=300), math.inf)
    assert not in_use(slice_, 0)


# --- permits -------------------------------------------------------------------------------------------------


def test_a_permit_is_kept_by_its_job_and_then_free_again() -> None:
    slice_ = PermitSlice(CONCURRENCY)
    slice_.apply(SliceGrant(CONCURRENCY, drawn=3), math.inf)
    slice_.take(1, 0)
    slice_.take(1, 0)
    assert slice_.free(0) == 1
    slice_.settle(1, 1, 0, 0)
    assert slice_.report(0, idle=True, wish=0) == SliceReport(CONCURRENCY.id, drawn=3, idle=2)
    assert slice_.report(0, idle=False, wish=0) == SliceReport(CONCURRENCY.id, drawn=1)
    assert in_use(slice_, 0)
    slice_.settle(1, 1, 0, 0)
    slice_.report(0, idle=False, wish=0)
    assert not in_use(slice_, 0)


def test_permits_are_wished_for_by_how_many_are_busy_not_by_how_often_they_are_taken() -> None:
    slice_ = PermitSlice(CONCURRENCY)
    slice_.apply(SliceGrant(CONCURRENCY, drawn=8), math.inf)
    for _ in range(8):
        slice_.take(1, 0)
    assert slice_.report(0, idle=True, wish=10_000).wish == 3
    for _ in range(8):
        slice_.settle(1, 1, 0, 0)
    assert slice_.report(0, idle=True, wish=10_000).wish == 0  # eight are idle
    assert slice_.report(0, idle=False, wish=0).wish == 0


def test_permits_that_a_lowered_limit_takes_away_leave_less_than_nothing() -> None:
    slice_ = PermitSlice(CONCURRENCY)
    slice_.apply(SliceGrant(CONCURRENCY, drawn=4), math.inf)
    for _ in range(4):
        slice_.take(1, 0)
    slice_.apply(SliceGrant(CONCURRENCY, drawn=2), math.inf)
    assert slice_.free(0) == -2
    assert slice_.report(0, idle=True, wish=0) == SliceReport(CONCURRENCY.id, drawn=2)


# --- units ---------------------------------------------------------------------------------------------------


def units(meter: Meter, *parcels: tuple[int, int, float]) -> UnitSlice:
    """Return a slice with parcels of a bucket, so many units, until then."""
    slice_ = UnitSlice(meter)
    for bucket, granted, until in parcels:
        slice_.apply(SliceGrant(meter, granted=granted, bucket=bucket), until)
    return slice_


def test_units_lapse_and_are_returned_to_their_bucket() -> None:
    slice_ = units(RPM, (5, 10, 1.0), (6, 10, 1.3))
    assert slice_.free(0.9) == 20
    assert slice_.free(1.0) == 10
    assert slice_.report(1.0, idle=True, wish=12) == SliceReport(RPM.id, idle=10, wish=2, returned={5: 10})
    assert slice_.report(1.1, idle=False, wish=0) == SliceReport(RPM.id, returned={6: 10})
    assert slice_.report(1.2, idle=False, wish=0) == SliceReport(RPM.id)


def test_the_oldest_units_are_used_first() -> None:
    slice_ = units(RPM, (5, 2, 1.0), (6, 2, 1.3))
    assert [slice_.take(1, 0.5) for _ in range(3)] == [5, 5, 6]
    assert slice_.report(2.0, idle=True, wish=0).returned == {6: 1}


def test_a_request_that_failed_is_a_request() -> None:
    slice_ = units(RPM, (5, 2, 1.0))
    slice_.settle(1, 0, slice_.take(1, 0.5), 0.6)
    assert slice_.free(0.6) == 1


def test_tokens_that_were_not_used_can_be_used_while_their_parcel_lives() -> None:
    slice_ = units(TPM, (5, 500, 1.0))
    bucket = slice_.take(500, 0.1)
    slice_.settle(500, 120, bucket, 0.9)
    assert slice_.free(0.9) == 380
    bucket = slice_.take(300, 0.9)
    slice_.settle(300, 50, bucket, 1.0)
    assert slice_.free(1.0) == 0
    assert slice_.report(1.1, idle=True, wish=0).returned == {5: 250 + 80}


def test_tokens_of_several_buckets_do_not_outlive_the_oldest() -> None:
    """They would be used when their bucket counts no more, and a minute could hold more than the limit."""
    slice_ = units(TPM, (5, 100, 1.0), (8, 400, 1.9))
    bucket = slice_.take(300, 0.9)
    assert bucket == ~8
    slice_.settle(300, 20, bucket, 1.0)
    assert slice_.free(1.0) == 200
    assert slice_.report(1.0, idle=True, wish=0) == SliceReport(TPM.id, idle=200, returned={8: 280})


def test_tokens_beyond_the_hold_are_reported_as_such() -> None:
    slice_ = units(TPM, (5, 100, 1.0))
    slice_.settle(100, 130, slice_.take(100, 0.5), 9.0)
    assert slice_.report(9.0, idle=True, wish=0).returned == {5: -30}


def test_tokens_of_a_job_that_held_none_are_counted_in_the_last_bucket_that_was_heard_of() -> None:
    slice_ = units(TPM, (5, 0, 1.0))
    slice_.settle(0, 70, slice_.take(0, 0.5), 0.9)
    assert slice_.report(0.9, idle=True, wish=0).returned == {5: -70}


def test_what_cancels_out_is_not_reported() -> None:
    slice_ = units(TPM, (5, 100, 1.0))
    first, second = slice_.take(50, 0.5), slice_.take(50, 0.5)
    slice_.settle(50, 80, first, 2.0)
    slice_.settle(50, 20, second, 2.0)
    assert slice_.report(2.0, idle=True, wish=0).returned == {}


def test_without_metering_a_minute_goes_on_at_the_share_of_the_edge_and_use_is_reported() -> None:
    slice_ = UnitSlice(RPM)
    slice_.mint(0.5, 2, wall_ms=2_000, until=2.0)  # 600 a minute over two edges: 2.5 in half a second
    assert slice_.free(1.0) == 2
    slice_.mint(0.5, 2, wall_ms=2_500, until=2.5)
    assert slice_.free(1.0) == 2 + 3
    for _ in range(4):
        slice_.take(1, 1.0)
    assert slice_.report(3.0, idle=True, wish=0) == SliceReport(RPM.id, returned={8: -2, 10: -2})


def test_tokens_of_a_minted_parcel_are_reported_as_what_was_used() -> None:
    slice_ = UnitSlice(TPM)
    slice_.mint(1.0, 1, wall_ms=2_000, until=2.0)
    bucket = slice_.take(80, 1.0)
    slice_.settle(80, 30, bucket, 1.5)
    assert slice_.free(1.5) == 70
    assert slice_.report(1.5, idle=True, wish=0).returned == {8: -30}
    bucket = slice_.take(60, 1.5)
    slice_.settle(60, 10, bucket, 9.0)
    assert slice_.report(9.0, idle=True, wish=0).returned == {8: -10}


def test_a_day_goes_on_slowly_without_metering_unless_it_is_used_up() -> None:
    slice_ = units(TPD, (739_000, 0, math.inf))
    for _ in range(4):
        slice_.mint(1.0, 2, wall_ms=2_000, until=5.0)
    assert slice_.free(1.0) == 2
    assert slice_.take(1, 1.0) == 739_000
    slice_ = units(TPD, (739_000, 0, math.inf))
    slice_.state = SliceState.SPENT
    slice_.mint(1.0, 1, wall_ms=2_000, until=5.0)
    assert slice_.free(1.0) == 0


def test_minted_units_do_not_pile_up() -> None:
    slice_ = UnitSlice(RPM)
    for second in range(1000):
        slice_.mint(1.0, 1, wall_ms=second * 1000, until=second + 1.0)
    assert len(slice_.parcels) <= 3
