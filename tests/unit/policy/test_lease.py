"""An edge's side of an account: holds, draws and their answers, and keys."""

import pytest

from tests.support.lease_rig import BUDGET, CONCURRENCY, OF_USER, RPD, RPM, TPM, Rig, money, need
from trunkline.bus.allowance import WALLET, Demand, LeaseGrant, Meter, SliceGrant, SliceReport, SliceState
from trunkline.core import limits
from trunkline.policy.lease import KEYS_MAX, OUTDATED_S, UNKNOWN, Short


@pytest.fixture
def rig() -> Rig:
    return Rig()


# --- holds ---------------------------------------------------------------------------------------------------


def test_nothing_is_held_before_metering_has_answered(rig: Rig) -> None:
    assert rig.lease.hold(need(10), rig.now) is UNKNOWN
    draw = rig.report(need(10))
    assert (draw.account, draw.lease, draw.number, draw.applied, draw.keys) == (7, 42, 1, 0, (1,))
    assert draw.demands == (Demand(1, 0, "gpt-4o", "default", 1, 10, 10, 0, 0, 0),)
    rig.answer(draw, money(10))
    held = rig.hold(need(10))
    assert (held.lease, [slice_.meter.id for slice_ in held.slices], rig.lease.jobs) == (42, [WALLET], 1)
    assert rig.lease.discount_ppm == 500


def test_a_hold_is_taken_of_every_meter_or_of_none(rig: Rig) -> None:
    rig.draw([need(10)], money(100), SliceGrant(RPM, granted=1, bucket=5), SliceGrant(CONCURRENCY, drawn=4))
    held = rig.hold(need(60))
    short = rig.lease.hold(need(30), rig.now)
    assert isinstance(short, Short)
    assert (short.slice.meter, short.own) == (RPM, False)
    assert [slice_.free(rig.now) for slice_ in rig.lease.slices.values()] == [40, 0, 3]
    rig.lease.settle(held, 25, 0, 0, rig.now)
    assert [slice_.free(rig.now) for slice_ in rig.lease.slices.values()] == [75, 0, 4]
    assert rig.lease.jobs == 0


def test_a_shortage_says_whether_jobs_here_may_give_something_back(rig: Rig) -> None:
    rig.draw([need(10)], money(100))
    rig.hold(need(80))
    short = rig.lease.hold(need(30), rig.now)
    assert isinstance(short, Short)
    assert short.own


def test_a_job_that_states_no_bound_begins_with_half_of_what_there_is(rig: Rig) -> None:
    rig.draw([need(10)], money(100))
    assert isinstance(rig.lease.hold(need(300, least=20), rig.now), Short)
    assert rig.hold(need(300, least=20), least=True).need.amounts == (50, 1, 0, 0)
    assert rig.hold(need(300, least=40), least=True).need.amounts == (40, 1, 0, 0)
    assert isinstance(rig.lease.hold(need(300, least=20), rig.now, least=True), Short)
    assert rig.hold(need(10), least=True).need.amounts == (10, 1, 0, 0)


def test_a_grant_is_relied_on_for_its_time_from_the_question_on(rig: Rig) -> None:
    draw = rig.report(need(10))
    rig.now += 0.3
    rig.answer(draw, money(100))
    rig.now += 0.19
    assert not rig.lease.wants_renewal(rig.now)
    rig.now += 0.02
    assert rig.lease.wants_renewal(rig.now)
    rig.now += 0.48
    rig.hold(need(10))
    rig.now += 0.02
    assert rig.lease.hold(need(10), rig.now) is UNKNOWN


def test_an_account_that_metering_does_not_know_holds_nothing(rig: Rig) -> None:
    draw = rig.report(need(10))
    rig.answer(draw, known=False)
    assert rig.lease.known is False
    assert rig.lease.hold(need(10), rig.now) is UNKNOWN
    assert rig.lease.hold(need(0), rig.now) is UNKNOWN


def test_an_account_that_comes_into_being_is_served(rig: Rig) -> None:
    rig.answer(rig.report(need(10)), known=False)
    rig.draw([need(10)], money(10))
    rig.hold(need(10))


def test_a_lease_that_is_over_holds_nothing_more(rig: Rig) -> None:
    rig.draw([need(10)], money(100))
    held = rig.hold(need(10))
    rig.answer(rig.report(), over=True)
    assert rig.lease.over
    assert rig.lease.hold(need(0), rig.now) is UNKNOWN
    rig.lease.settle(held, 5, 0, 0, rig.now)
    assert rig.lease.jobs == 0


# --- reports -------------------------------------------------------------------------------------------------


def test_a_busy_lease_wishes_for_what_it_uses_and_keeps_the_rest(rig: Rig) -> None:
    rig.draw([need(10)], money(10_000))
    for _ in range(10):
        rig.lease.settle(rig.hold(need(100)), 100, 0, 0, rig.now)
    rig.now += 0.5
    # A thousand in half a second, half of it believed at once: two seconds' worth, of which 9000 are there.
    assert rig.report().slices == (SliceReport(WALLET, drawn=10_000, idle=9_000, wish=0),)
    rig.answer(rig.report(), money(2_000))
    for _ in range(9):
        rig.lease.settle(rig.hold(need(100)), 100, 0, 0, rig.now)
    rig.now += 0.5
    (slice_,) = rig.report().slices
    assert slice_.idle == 100
    assert slice_.wish == pytest.approx(2_000, rel=0.4)


def test_what_is_low_is_renewed_early_as_long_as_there_is_more(rig: Rig) -> None:
    def use() -> None:
        rig.lease.settle(rig.hold(need(400)), 400, 0, 0, rig.now)

    rig.draw([need(400)], money(2_000))
    use()
    rig.now += 0.4
    rig.draw([], money(2_000, remaining=1))
    assert rig.lease.slices[WALLET].low > 0
    use()
    use()
    use()
    assert not rig.lease.low
    use()
    assert rig.lease.low
    rig.draw([], money(2_400, remaining=0))
    use()
    assert not rig.lease.low


@pytest.mark.parametrize("why", ["recalled", "closing", "scarce", "unused"])
def test_what_is_idle_is_given_back(rig: Rig, why: str) -> None:
    state = SliceState.SCARCE if why == "scarce" else SliceState.FREE
    rig.draw([need(10)], money(1_000, state=state), SliceGrant(CONCURRENCY, drawn=3, state=state))
    rig.lease.settle(rig.hold(need(100)), 100, 0, 0, rig.now)
    rig.now += limits.LEASE_REST_S if why == "unused" else 0.1
    draw = rig.report(recalled=why == "recalled", closing=why == "closing")
    assert draw.slices == (SliceReport(WALLET, drawn=100),)
    assert draw.closing is (why == "closing")


def test_demands_are_summed_by_key_model_and_group(rig: Rig) -> None:
    draw = rig.report(need(10, 5), need(30, 7, least=2), need(1, key=2, user=9))
    assert draw.demands == (
        Demand(1, 0, "gpt-4o", "default", jobs=2, nano=40, nano_min=2, tokens=12, tokens_min=2, images=0),
        Demand(2, 9, "gpt-4o", "default", jobs=1, nano=1, nano_min=1, tokens=0, tokens_min=0, images=0),
    )


def test_units_of_a_day_lapse_with_the_day(rig: Rig) -> None:
    rig.draw([need()], money(0), SliceGrant(RPD, granted=5, bucket=739_000, reset_ms=400))
    rig.hold(need())
    rig.now += 0.4
    assert isinstance(rig.lease.hold(need(), rig.now), Short)
    assert [slice_.returned for slice_ in rig.report().slices] == [{739_000: 4}]


def test_units_of_a_minute_lapse_after_a_second_counted_from_the_question(rig: Rig) -> None:
    draw = rig.report(need())
    rig.now += 0.4
    rig.answer(draw, money(0), SliceGrant(RPM, granted=5, bucket=9, reset_ms=60_000))
    rig.now += limits.RATE_SLICE_MS / 1000 - 0.41
    rig.hold(need())
    assert rig.lease.slices[RPM.id].free(rig.now) == 4
    assert rig.lease.slices[RPM.id].free(rig.now + 0.02) == 0


# --- answers -------------------------------------------------------------------------------------------------


def test_only_the_answer_to_the_last_draw_counts(rig: Rig) -> None:
    first = rig.report(need(10))
    rig.lease.lost()
    second = rig.report(need(10))
    assert (second.number, second.applied) == (2, 0)
    assert not rig.answer(first, money(500))
    assert rig.lease.slices == {}
    assert rig.answer(second, money(10))
    assert not rig.lease.apply(LeaseGrant(7, 41, 2, known=True, lease_ms=1000), rig.now)
    third = rig.report()
    assert (third.number, third.applied) == (3, 2)


def test_what_was_returned_with_a_lost_draw_is_not_returned_again_but_overuse_is_told_again(rig: Rig) -> None:
    rig.draw([need()], money(0), SliceGrant(TPM, granted=300, bucket=5))
    over, under = rig.hold(need(0, 100)), rig.hold(need(0, 100))
    rig.lease.settle(over, 0, 160, 0, rig.now)
    rig.now += 1.1
    rig.lease.settle(under, 0, 30, 0, rig.now)
    rig.draw([], money(0), SliceGrant(TPM, bucket=9))
    assert rig.lease.slices[TPM.id].free(rig.now) == 0
    held = rig.lease.slices[TPM.id].take(0, rig.now)
    rig.lease.slices[TPM.id].settle(0, 45, held, rig.now)
    lost = rig.report()
    assert lost.slices == (SliceReport(TPM.id, returned={9: -45}, wish=lost.slices[0].wish),)
    rig.lease.lost()
    rig.lease.lost()  # said once
    assert rig.report().slices[0].returned == {9: -45}


def test_meters_that_are_no_more_bound_nothing(rig: Rig) -> None:
    rig.draw([need()], money(0), SliceGrant(CONCURRENCY, drawn=1))
    held = rig.hold(need())
    assert isinstance(rig.lease.hold(need(), rig.now), Short)
    rig.draw([], money(0))
    rig.hold(need())
    rig.lease.settle(held, 0, 0, 0, rig.now)  # of a slice that is gone
    assert rig.lease.jobs == 1


def test_a_changed_limit_keeps_what_is_held(rig: Rig) -> None:
    rig.draw([need()], money(0), SliceGrant(CONCURRENCY, drawn=3))
    rig.hold(need())
    lower = Meter(CONCURRENCY.id, CONCURRENCY.kind, CONCURRENCY.period, 1)
    rig.draw([], money(0), SliceGrant(lower, drawn=1))
    short = rig.lease.hold(need(), rig.now)
    assert isinstance(short, Short)
    assert short.slice.meter.limit == 1


# --- keys ----------------------------------------------------------------------------------------------------


def test_a_key_that_was_not_asked_about_waits_for_a_draw_that_names_it(rig: Rig) -> None:
    rig.draw([need(1)], money(100))
    assert rig.lease.hold(need(1, key=2), rig.now) is UNKNOWN
    draw = rig.draw([need(1, key=2)], money(100))
    assert draw.keys == (2,)  # the first has no meters of its own
    rig.hold(need(1, key=2))
    rig.hold(need(1))


def test_keys_with_meters_of_their_own_or_of_their_user_are_named_in_every_draw(rig: Rig) -> None:
    slices = (money(100), SliceGrant(BUDGET, drawn=50), SliceGrant(OF_USER, granted=5, bucket=3))
    rig.draw([need(1), need(1, key=2), need(1, key=3, user=9)], *slices)
    assert rig.report().keys == (2, 3)


def test_all_keys_are_asked_about_again_once_terms_have_changed(rig: Rig) -> None:
    rig.draw([need(1), need(1, key=4)], money(100), terms=1)
    rig.hold(need(1, key=4))
    rig.draw([need(1)], money(100), terms=1)
    rig.hold(need(1, key=4))
    rig.draw([need(1, key=1)], money(100), terms=2)
    rig.now += OUTDATED_S
    assert rig.lease.hold(need(1, key=4), rig.now) is UNKNOWN
    assert rig.lease.hold(need(1, key=1), rig.now) is UNKNOWN, "it was not named in that draw"
    draw = rig.draw([need(1, key=4)], money(100), SliceGrant(BUDGET), terms=2)
    assert draw.keys == (4,)
    rig.hold(need(1, key=4))


def test_a_key_that_is_not_used_any_more_is_not_named_any_more_once_all_it_spent_is_booked(rig: Rig) -> None:
    rig.draw([need(60, key=2)], money(100), SliceGrant(BUDGET, drawn=100))
    rig.lease.settle(rig.hold(need(60, key=2)), 60, 0, 0, rig.now)
    rig.now += limits.LEASE_IDLE_S + 1
    assert rig.draw([], money(60), SliceGrant(BUDGET, drawn=60)).keys == (2,)
    assert rig.draw([], money(60, settled=60), SliceGrant(BUDGET, drawn=60, settled=60)).keys == (2,)
    assert rig.draw([], money(60, settled=60)).keys == ()
    assert rig.lease.hold(need(1, key=2), rig.now) is UNKNOWN


def test_a_key_that_comes_back_does_not_spend_again_what_it_spent_before(rig: Rig) -> None:
    test_a_key_that_is_not_used_any_more_is_not_named_any_more_once_all_it_spent_is_booked(rig)
    rig.draw([need(40, key=2)], money(100, settled=60), SliceGrant(BUDGET, drawn=100, settled=60))
    rig.lease.settle(rig.hold(need(40, key=2)), 40, 0, 0, rig.now)
    assert isinstance(rig.lease.hold(need(1, key=2), rig.now), Short)


def test_a_key_whose_job_goes_on_is_named_however_long_that_takes(rig: Rig) -> None:
    rig.draw([need(60, key=2)], money(60), SliceGrant(BUDGET, drawn=60))
    rig.hold(need(60, key=2))
    rig.now += 10 * limits.LEASE_IDLE_S
    for _ in range(3):
        assert rig.draw([], money(60), SliceGrant(BUDGET, drawn=60)).keys == (2,)


def test_a_key_goes_on_for_a_moment_while_it_is_asked_about_under_new_terms(rig: Rig) -> None:
    rig.draw([need(1), need(1, key=2, user=9)], money(10**6), terms=1)
    rig.draw([need(1)], money(10**6), terms=2)
    rig.lease.low = False
    rig.hold(need(1, key=2, user=9))
    assert rig.lease.wants_renewal(rig.now)
    assert rig.lease.hold(need(1, key=3), rig.now) is UNKNOWN  # never heard of
    draw = rig.report()
    assert set(draw.keys) == {2}
    assert rig.answer(draw, money(10**6), SliceGrant(BUDGET, state=SliceState.SPENT), terms=2)
    short = rig.lease.hold(need(1, key=2, user=9), rig.now)
    assert isinstance(short, Short)
    assert short.slice.meter == BUDGET
    rig.now += OUTDATED_S
    assert set(rig.report().keys) == {2}, "it has a meter of its own now"


def test_a_key_whose_question_was_lost_waits_when_the_moment_is_over(rig: Rig) -> None:
    rig.draw([need(1), need(1, key=2)], money(10**6), terms=1)
    rig.draw([need(1)], money(10**6), terms=2)
    rig.hold(need(1, key=2))
    rig.report()
    rig.lease.lost()
    rig.hold(need(1, key=2))
    rig.now += OUTDATED_S
    assert rig.lease.hold(need(1, key=2), rig.now) is UNKNOWN


def test_keys_without_meters_are_remembered_up_to_a_bound(rig: Rig) -> None:
    for start in range(1, KEYS_MAX + 4_000, 2_000):
        rig.draw([need(key=key) for key in range(start, start + 2_000)], money(0))
    assert len(rig.lease._granted) <= KEYS_MAX + 2_000
    rig.hold(need(key=KEYS_MAX + 3_000))
