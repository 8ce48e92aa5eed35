"""Decisions on draws of units of a minute or a day: what is granted, what counts how long, what comes back."""

import pytest

from tests.support.granted_account import IPM, NOW_BUCKET, NOW_MS, OF_KEY, RPD, RPM, TPM, Account, demand
from trunkline.bus.allowance import Demand, Meter, SliceReport, SliceState
from trunkline.core import limits
from trunkline.policy.grants import WINDOW_MS


@pytest.mark.parametrize(
    ("meter", "wanted", "granted"),
    [(RPM, demand(30), 30), (TPM, demand(2, tokens=400), 400), (IPM, demand(1, images=4), 4), (RPD, demand(9), 9)],
    ids=["requests", "tokens", "images", "day"],
)
def test_units_are_granted_by_kind_and_counted_in_a_bucket(meter: Meter, wanted: Demand, granted: int) -> None:
    account = Account((meter,))
    grant = account.draw(1, wanted)
    assert (grant.granted, grant.drawn, grant.remaining) == (granted, 0, meter.limit - granted)
    assert account.state.windows == {meter.id: {grant.bucket: granted}}


def test_tokens_that_suffice_for_the_smallest_job_are_granted() -> None:
    account = Account((TPM,))
    account.draw(1, demand(1, tokens=950))
    assert account.draw(2, demand(2, tokens=200, least=20)).granted == 50
    account = Account((TPM,))
    account.draw(1, demand(1, tokens=950))
    grant = account.draw(2, demand(2, tokens=200, least=60))
    assert (grant.granted, grant.remaining, grant.state) == (0, 50, SliceState.SPENT)


def test_a_unit_counts_until_no_minute_can_hold_it_any_more() -> None:
    account = Account((RPM,))
    account.draw(1, demand(100))
    for passed_ms, granted in ((60_000, 0), (WINDOW_MS, 0), (WINDOW_MS + limits.BUCKET_MS - 1, 0)):
        account.now_ms = NOW_MS + passed_ms
        assert account.draw(1, demand(10)).granted == granted
    account.now_ms = NOW_MS + WINDOW_MS + limits.BUCKET_MS
    assert account.draw(1, demand(10)).granted == 10


def test_one_who_finds_nothing_is_told_when_there_is_enough_for_one_job() -> None:
    account = Account((TPM,))
    account.draw(1, demand(1, tokens=300))
    account.now_ms += 10_000
    account.draw(1, demand(1, tokens=700))
    account.now_ms += 10_000
    whole_ms = WINDOW_MS + limits.BUCKET_MS
    assert account.draw(1, demand(1, tokens=200)).reset_ms == whole_ms - 20_000
    assert account.draw(1, demand(1, tokens=400)).reset_ms == whole_ms - 10_000
    assert account.draw(1).reset_ms == whole_ms - 10_000  # until it is whole


def test_a_day_begins_anew_at_midnight() -> None:
    account = Account((RPD,))
    grant = account.draw(1, demand(60))
    to_midnight_ms = 86_400_000 - NOW_MS % 86_400_000
    assert (grant.granted, grant.reset_ms, grant.state) == (50, to_midnight_ms, SliceState.SPENT)
    account.now_ms += to_midnight_ms - 1
    assert account.draw(1, demand(1)).granted == 0
    account.now_ms += 1
    assert account.draw(1, demand(1)).granted == 1


def returned(meter: Meter, units: dict[int, int]) -> tuple[SliceReport, ...]:
    return (SliceReport(meter.id, returned=units),)


def test_units_that_were_not_used_go_back_into_their_bucket() -> None:
    account = Account((TPM,))
    bucket = account.draw(1, demand(1, tokens=1_000)).bucket
    account.now_ms += 500
    grant = account.draw(1, demand(1, tokens=150), reports=returned(TPM, {bucket: 400}))
    assert (grant.granted, grant.remaining) == (150, 250)
    assert account.state.windows[TPM.id] == {bucket: 600, grant.bucket: 150}


def test_more_than_a_bucket_has_is_taken_from_older_ones() -> None:
    account = Account((TPM,))
    first = account.draw(1, demand(1, tokens=300)).bucket
    account.now_ms += 300
    second = account.draw(1, demand(1, tokens=200)).bucket
    account.now_ms += 300
    account.draw(1, reports=returned(TPM, {second: 250}))
    assert account.state.windows[TPM.id] == {first: 250}
    # Never from newer ones: those units were others'.
    account.draw(1, demand(1, tokens=100))
    account.draw(1, reports=returned(TPM, {first: 500}))
    assert list(account.state.windows[TPM.id].values()) == [100]


def test_units_used_beyond_the_grant_are_counted_and_make_the_limit_less() -> None:
    account = Account((TPM,))
    bucket = account.draw(1, demand(1, tokens=100)).bucket
    account.draw(1, reports=returned(TPM, {bucket: -850}))
    grant = account.draw(1, demand(1, tokens=100))
    assert (grant.granted, grant.remaining) == (0, 50)


def test_what_comes_back_to_a_bucket_that_has_left_the_window_counts_for_nothing() -> None:
    account = Account((TPM,))
    bucket = account.draw(1, demand(1, tokens=1_000)).bucket
    account.now_ms += 90_000
    assert account.draw(1, demand(1, tokens=1_000), reports=returned(TPM, {bucket: 1_000})).granted == 1_000
    assert account.draw(1, demand(1, tokens=1)).granted == 0


def test_the_units_of_an_answer_that_never_arrived_are_taken_back() -> None:
    account = Account((RPM,))
    account.draw(1, demand(60))
    assert account.draw(1, demand(90), applied=0).granted == 90
    # Of the one before the last as well: what was applied says which arrived.
    assert account.draw(1, demand(5), applied=2).granted == 5
    assert sum(account.state.windows[RPM.id].values()) == 95


def test_units_of_an_answer_that_arrived_stay_counted() -> None:
    account = Account((RPM,))
    account.draw(1, demand(60))
    assert account.draw(1, demand(90)).granted == 40


def test_buckets_of_a_clock_that_is_ahead_count_as_of_now() -> None:
    account = Account((RPM,))
    account.draw(1, reports=returned(RPM, {NOW_BUCKET + 40_000: -30}))
    assert account.state.windows[RPM.id] == {NOW_BUCKET: 30}
    account.now_ms += WINDOW_MS + limits.BUCKET_MS
    assert account.draw(1, demand(100)).granted == 100


@pytest.mark.parametrize("leap_ms", [2_000, 90_000, 7_200_000])
@pytest.mark.parametrize("lease", [1, 2], ids=["known", "new"])
def test_a_unit_counts_as_long_as_ever_when_the_clock_leaps_ahead(leap_ms: int, lease: int) -> None:
    account = Account((RPM,))
    account.draw(1, demand(60))
    account.now_ms += 30_000 + leap_ms
    account.leapt_ms = leap_ms
    grant = account.draw(lease, demand(40))
    assert (grant.granted, account.draw(lease, demand(1)).granted) == (40, 0)
    account.now_ms += WINDOW_MS - 30_000 - limits.BUCKET_MS
    assert account.draw(lease, demand(1)).granted == 0
    account.now_ms += 2 * limits.BUCKET_MS
    assert account.draw(lease, demand(99)).granted == 60
    # By when the leap is remembered no more, nothing is left of before it.
    account.now_ms += WINDOW_MS + limits.BUCKET_MS
    account.leapt_ms = 0
    assert account.draw(lease, demand(100)).granted == 100


def test_who_finds_nothing_after_a_leap_is_told_when_there_is_something() -> None:
    account = Account((RPM,))
    account.draw(1, demand(100))
    account.now_ms += 20_000 + 7_200_000
    account.leapt_ms = 7_200_000
    assert account.draw(1, demand(1)).reset_ms == WINDOW_MS + limits.BUCKET_MS - 20_000


def test_a_unit_counts_from_now_when_the_clock_leaps_back() -> None:
    account = Account((RPM,))
    account.draw(1, demand(60))
    account.now_ms += 10_000 - 7_200_000
    assert account.draw(1, demand(41)).granted == 40
    account.now_ms += WINDOW_MS
    assert account.draw(1, demand(1)).granted == 0


def test_a_day_is_not_forgotten_by_a_clock_that_leaps_past_midnight_and_back() -> None:
    account = Account((RPD,))
    account.draw(1, demand(40))
    account.now_ms += 86_400_000
    assert account.draw(1, demand(5)).granted == 5
    account.now_ms -= 86_400_000
    assert account.draw(1, demand(50)).granted == 5


def test_windows_of_keys_that_nobody_names_any_more_are_dropped_when_a_lease_comes() -> None:
    account = Account((RPM, OF_KEY, RPD))
    account.draw(1, demand(1, key=2))
    account.meters = (RPM,)
    account.now_ms += WINDOW_MS + 2 * limits.BUCKET_MS
    account.draw(1, demand(1))
    assert set(account.state.windows) == {RPM.id, OF_KEY.id, RPD.id}
    account.draw(2, demand(1))
    assert set(account.state.windows) == {RPM.id, RPD.id}
    account.now_ms += 3 * 86_400_000
    account.draw(3)
    assert set(account.state.windows) == {RPM.id}
