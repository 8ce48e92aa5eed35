"""Decisions on draws of money and of jobs at a time, and on ends of leases: what is granted, said and kept."""

import pytest

from tests.support.granted_account import CONCURRENCY, DAILY, MONEY, NOW_MS, OF_KEY, RPD, RPM, Account, demand, drew
from trunkline.bus.allowance import WALLET, Meter, MeterKind, Period, SliceReport, SliceState
from trunkline.core import limits
from trunkline.policy.grants import WINDOW_MS, Bearing, drop_lease, says_nothing, settled_wholly

# --- money ---------------------------------------------------------------------------------------------------


def test_money_is_granted_as_needed_and_totals_say_what_is_left() -> None:
    account = Account((MONEY,), balance=1_000)
    first = account.draw(1, demand(2, 300))
    assert (first.drawn, first.remaining, first.settled, first.state) == (300, 700, 0, SliceState.FREE)
    second = account.draw(2, demand(1, 200))
    assert (second.drawn, second.remaining) == (200, 500)
    # It has spent 120 of its 300, of which 100 is booked, and returns the rest.
    account.balance, account.settled = 900, {WALLET: {1: 100}}
    again = account.draw(1, reports=drew(120))
    assert (again.drawn, again.remaining, again.settled) == (120, 900 - (120 - 100) - 200, 100)


def test_settlement_changes_nothing_of_what_others_may_draw() -> None:
    account = Account((MONEY,), balance=1_000)
    account.draw(1, demand(1, 400))
    before = account.draw(2).remaining
    account.balance, account.settled = 650, {WALLET: {1: 350}}
    assert account.draw(2).remaining == before == 600


def test_a_wish_gets_a_part_of_what_is_free_and_less_the_more_edges_there_are() -> None:
    account = Account((MONEY,), balance=8_000)
    assert account.draw(1, reports=drew(0, wish=10_000)).drawn == 8_000 // limits.SHARE_PARTS
    assert account.draw(2, reports=drew(0, wish=10_000)).drawn == 6_000 // (limits.SHARE_PARTS * 2)
    # What jobs wait for is granted whatever the share.
    assert account.draw(3, demand(1, 5_000)).drawn == 5_000


def test_what_an_edge_has_idle_goes_to_its_waiting_jobs_first() -> None:
    account = Account((MONEY,), balance=1_000)
    account.draw(1, demand(1, 500))
    assert account.draw(1, demand(1, 600), reports=drew(500, idle=450)).drawn == 650


def test_too_little_for_all_is_granted_if_one_job_can_begin_with_it() -> None:
    account = Account((MONEY,), balance=250)
    grant = account.draw(1, demand(3, 300))
    assert (grant.drawn, grant.remaining, grant.state) == (250, 0, SliceState.SPENT)


def test_too_little_for_any_is_left_to_others() -> None:
    account = Account((MONEY,), balance=99)
    grant = account.draw(1, demand(3, 300))
    assert (grant.drawn, grant.remaining, grant.state) == (0, 99, SliceState.SPENT)
    assert account.draw(2, demand(1, 99)).drawn == 99
    assert Account((MONEY,), balance=99).draw(1, demand(1, 300, least=99)).drawn == 99


def test_while_others_hold_money_one_waits_and_they_are_asked_for_it() -> None:
    account = Account((MONEY,), balance=1_000)
    account.draw(1, demand(1, 900))
    found = account.decide(2, demand(1, 200))
    assert found is not None
    assert found.grant.slices[0].state is SliceState.WAIT
    assert found.recall == {"edge-1"}
    assert account.state.recalled_ms == {WALLET: NOW_MS}


def test_a_recall_is_not_sent_again_before_it_can_have_been_answered() -> None:
    account = Account((MONEY,), balance=1_000)
    account.draw(1, demand(1, 900))
    recalls = []
    for _ in range(20):
        found = account.decide(2, demand(1, 200))
        assert found is not None
        recalls.append(len(found.recall))
        account.now_ms += 30
    assert recalls == [1, *[0] * 8, 1, *[0] * 8, 1, 0]


def test_a_recall_is_sent_again_when_the_clock_leaps_back() -> None:
    account = Account((MONEY,), balance=1_000)
    account.draw(1, demand(1, 900))
    account.draw(2, demand(1, 200))
    account.now_ms -= 7_200_000
    found = account.decide(2, demand(1, 200))
    assert found is not None
    assert found.recall == {"edge-1"}
    assert account.state.recalled_ms == {WALLET: NOW_MS - 7_200_000}


def test_permits_are_waited_for_though_their_holder_has_reported_before_the_clock_leapt_back() -> None:
    account = Account((CONCURRENCY,))
    account.draw(1, demand(10))
    account.now_ms -= 7_200_000
    grant = account.draw(2, demand(1))
    assert (grant.drawn, grant.state) == (0, SliceState.WAIT)
    # Its answer says that all of them are in use.
    account.now_ms += 50
    account.draw(1, reports=(SliceReport(CONCURRENCY.id, drawn=10),))
    assert account.draw(2, demand(1)).state is SliceState.SPENT


def test_an_edge_is_not_asked_for_what_it_holds_by_another_lease_of_its_own() -> None:
    account = Account((MONEY, CONCURRENCY), balance=1_000)
    account.draw(1, demand(10, 900), edge="edge-a")
    found = account.decide(2, demand(1, 200), edge="edge-a")
    assert found is not None
    money, permits = found.grant.slices
    # Its own jobs may give back money; permits that these have are not idle.
    assert (money.state, permits.state, found.recall) == (SliceState.WAIT, SliceState.SPENT, frozenset())


def test_little_that_is_left_is_scarce_for_several_edges_and_not_for_one() -> None:
    account = Account((MONEY,), balance=1_000)
    assert account.draw(1, demand(1, 600)).state is SliceState.FREE
    assert account.draw(2, demand(1, 200)).state is SliceState.SCARCE
    assert account.draw(1, reports=drew(600)).state is SliceState.FREE  # it wants no more
    assert account.draw(1, reports=drew(600, wish=101)).state is SliceState.SCARCE


def test_nothing_at_all_is_scarce_even_for_one_who_wants_nothing() -> None:
    assert Account((MONEY,), balance=0).draw(1).state is SliceState.SCARCE


def test_a_charge_beyond_what_was_drawn_is_drawn_after_the_fact() -> None:
    account = Account((MONEY,), balance=1_000)
    account.draw(1, demand(1, 100))
    account.balance, account.settled = 850, {WALLET: {1: 150}}
    grant = account.draw(1, reports=drew(100))
    assert (grant.drawn, grant.settled, grant.remaining) == (150, 150, 850)


def test_more_spent_than_there_was_leaves_nothing_for_anybody() -> None:
    account = Account((MONEY,), balance=1_000)
    account.draw(1, demand(1, 1_000))
    account.draw(1, reports=drew(1_700))  # within a grace
    assert account.draw(2, demand(1, 1)).drawn == 0
    account.balance, account.settled = -700, {WALLET: {1: 1_700}}
    grant = account.draw(2, demand(1, 1))
    assert (grant.drawn, grant.remaining, grant.state) == (0, 0, SliceState.SPENT)


def test_a_lost_answer_is_made_good_by_the_next_report() -> None:
    account = Account((MONEY,), balance=1_000)
    account.draw(1, demand(1, 600))  # the edge never hears of it
    assert account.draw(1, demand(1, 600), applied=0).drawn == 600
    assert account.draw(2).remaining == 400


def test_a_budget_bounds_beside_the_wallet_and_says_when_it_begins_anew() -> None:
    account = Account((MONEY, DAILY), balance=10**9, spent={DAILY.id: 800})
    grant = account.draw(1, demand(1, 300))
    ms_to_midnight = 86_400_000 - NOW_MS % 86_400_000
    assert (grant.drawn, grant.remaining, grant.state, grant.reset_ms) == (0, 200, SliceState.SPENT, ms_to_midnight)


@pytest.mark.parametrize(
    ("spent", "wanted", "refuses"),
    [
        (800, 201, True),
        (800, 200, False),
        (500, 1_001, False),  # more than all of the budget: not because of what was spent
        (0, 1_000, False),
    ],
)
def test_a_budget_refuses_when_what_is_booked_leaves_too_little(spent: int, wanted: int, refuses: bool) -> None:
    account = Account((MONEY, DAILY), balance=10**9, spent={DAILY.id: spent})
    decision = account.decide(1, demand(1, wanted))
    assert decision is not None
    assert decision.refusing == ((DAILY,) if refuses else ())


def test_a_budget_that_jobs_under_way_hold_does_not_refuse_yet() -> None:
    account = Account((MONEY, DAILY), balance=10**9)
    account.draw(1, demand(1, 900))
    holding = tuple(SliceReport(meter, drawn=900) for meter in (WALLET, DAILY.id))
    decision = account.decide(1, demand(1, 200), reports=holding)
    assert decision is not None
    assert (decision.grant.slices[-1].state, decision.refusing) == (SliceState.SPENT, ())
    # They came to so much, and that is booked.
    account.spent = {DAILY.id: 850}
    account.settled = {WALLET: {1: 850}, DAILY.id: {1: 850}}
    decision = account.decide(1, demand(1, 200), reports=tuple(SliceReport(each.meter, drawn=850) for each in holding))
    assert decision is not None
    assert decision.refusing == (DAILY,)


def test_a_wallet_that_is_empty_is_no_budget_that_refuses() -> None:
    decision = Account((MONEY,), balance=10).decide(1, demand(1, 11))
    assert decision is not None
    assert decision.refusing == ()


def test_a_lowered_budget_takes_nothing_back_that_was_drawn() -> None:
    account = Account((MONEY, DAILY), balance=10**9)
    account.draw(1, demand(1, 900))
    account.meters = (MONEY, Meter(DAILY.id, DAILY.kind, DAILY.period, 500))
    grant = account.draw(1, reports=(SliceReport(WALLET, drawn=900), SliceReport(DAILY.id, drawn=900)))
    assert (grant.drawn, grant.remaining, grant.state) == (900, 0, SliceState.SCARCE)


# --- jobs at a time ------------------------------------------------------------------------------------------


def permits(drawn: int) -> tuple[SliceReport, ...]:
    return (SliceReport(CONCURRENCY.id, drawn=drawn),)


def test_permits_of_all_leases_are_never_more_than_the_limit() -> None:
    account = Account((CONCURRENCY,))
    assert account.draw(1, demand(7)).drawn == 7
    second = account.draw(2, demand(7))
    assert (second.drawn, second.remaining, second.state) == (3, 0, SliceState.WAIT)
    assert account.draw(1, reports=permits(2)).remaining == 5
    assert account.draw(2, demand(7), reports=permits(3)).drawn == 8


def test_who_waits_for_permits_learns_that_there_are_none_once_all_have_answered() -> None:
    account = Account((CONCURRENCY,))
    account.draw(1, demand(10))
    account.now_ms += 1_000
    assert account.draw(2, demand(1)).state is SliceState.WAIT
    account.now_ms += 5
    answered = account.decide(1, reports=permits(10))
    assert answered is not None
    assert answered.changed, "whoever decides the next draw must see that it has answered"
    account.now_ms += 5
    assert account.draw(2, demand(1)).state is SliceState.SPENT
    # What it said then counts no more after a while.
    account.now_ms += limits.RECALL_AGE_MS
    assert account.draw(2, demand(1)).state is SliceState.WAIT


def test_a_report_that_nobody_waits_for_is_not_written() -> None:
    account = Account((CONCURRENCY,))
    account.draw(1, demand(10))
    account.now_ms += 500
    found = account.decide(1, reports=permits(10))
    assert found is not None
    assert not found.changed


def test_permits_from_before_a_lowered_limit_stay() -> None:
    account = Account((CONCURRENCY,))
    account.draw(1, demand(10))
    account.meters = (Meter(CONCURRENCY.id, CONCURRENCY.kind, CONCURRENCY.period, 4),)
    grant = account.draw(1, demand(1), reports=permits(10))
    assert (grant.drawn, grant.remaining, grant.state) == (10, 0, SliceState.SPENT)


# --- leases --------------------------------------------------------------------------------------------------


def test_a_state_says_nothing_once_it_has_no_lease_and_no_unit_that_counts() -> None:
    account = Account((MONEY, RPM, RPD), balance=100)
    account.draw(1, demand(2))
    assert not says_nothing(account.state, NOW_MS)
    account.state.leases.clear()
    assert not says_nothing(account.state, NOW_MS + WINDOW_MS)
    assert list(account.state.windows) == [RPM.id, RPD.id]
    assert not says_nothing(account.state, NOW_MS + 86_400_000)  # the day of an account further west
    assert list(account.state.windows) == [RPD.id]
    assert says_nothing(account.state, NOW_MS + 2 * 86_400_000)


def test_a_draw_that_was_overtaken_is_not_decided() -> None:
    account = Account((MONEY,), balance=1_000)
    account.draw(1, demand(1, 100))
    account.draw(1, demand(1, 100), applied=0)
    assert account.decide(1, demand(1, 500), number=1, applied=0) is None
    assert account.decide(1, demand(1, 500), number=2, applied=0) is None
    assert account.state.leases[1].drawn == {WALLET: 100}


def test_a_lease_that_is_known_no_more_is_over_and_gets_nothing() -> None:
    account = Account((MONEY, RPM), balance=1_000)
    account.draw(1, demand(1, 400))
    assert drop_lease(account.state, 1)
    assert not drop_lease(account.state, 1)
    found = account.decide(1, demand(1, 100), reports=drew(400))
    assert found is not None
    assert (found.grant.over, found.grant.slices, found.changed) == (True, (), False)
    assert account.state.leases == {}
    assert account.draw(2, demand(5, 1_000)).granted == 5


def test_a_lease_whose_first_answers_were_lost_is_not_over() -> None:
    account = Account((MONEY,), balance=1_000)
    found = account.decide(1, demand(1, 100), number=3, applied=0)
    assert found is not None
    assert (found.grant.over, found.grant.slices[0].drawn) == (False, 100)


def test_a_lease_that_is_given_back_goes_once_all_is_booked() -> None:
    account = Account((MONEY, RPM), balance=1_000)
    account.draw(1, demand(2, 400))
    account.draw(1, reports=drew(150), closing=True)
    assert account.state.leases[1].closing
    assert account.draw(2).remaining == 100 - 2
    account.balance, account.settled = 850, {WALLET: {1: 150}}
    assert settled_wholly(account.state.leases[1], 1, {WALLET: Bearing(850, {1: 150})})
    assert not settled_wholly(account.state.leases[1], 1, {WALLET: Bearing(850, {1: 149})})
    found = account.decide(1, reports=drew(150), closing=True)
    assert found is not None
    assert found.changed
    assert set(account.state.leases) == {2}


def test_a_lease_that_is_given_back_gets_nothing_for_a_wish() -> None:
    account = Account((MONEY, RPM), balance=1_000)
    account.draw(1, demand(1, 100))
    grant = account.draw(1, reports=(*drew(100), SliceReport(RPM.id, wish=50)), closing=True)
    assert grant.granted == 0


def test_edges_that_have_given_up_do_not_count_when_shares_are_made() -> None:
    account = Account((MONEY,), balance=10_000)
    account.draw(1, demand(1, 100))
    account.draw(1, reports=drew(100), closing=True)
    found = account.decide(2, reports=drew(0, wish=10**6))
    assert found is not None
    assert (found.grant.edges, found.grant.slices[0].drawn) == (1, 9_900 // limits.SHARE_PARTS)


def test_several_leases_of_one_edge_count_as_one() -> None:
    account = Account((MONEY,), balance=10_000)
    for lease in (1, 2, 3):
        account.draw(lease, demand(1, 100), edge="edge-a")
    found = account.decide(4, edge="edge-b")
    assert found is not None
    assert found.grant.edges == 2


def test_what_was_held_of_a_limit_that_was_taken_away_is_forgotten() -> None:
    account = Account((MONEY, CONCURRENCY), balance=1_000)
    account.draw(1, demand(4, 400))
    assert account.state.leases[1].drawn == {WALLET: 400, CONCURRENCY.id: 4}
    account.meters = (MONEY,)
    account.draw(1, reports=drew(400))
    assert account.state.leases[1].drawn == {WALLET: 400}


def test_what_is_held_of_a_key_stays_while_its_edge_reports_it() -> None:
    budget = Meter("key:2:daily", MeterKind.MONEY, Period.DAY, 1_000, key=2)
    account = Account((MONEY, budget), balance=1_000)
    account.draw(1, demand(1, 400, key=2))
    account.meters = (MONEY,)  # the draw names another key
    account.draw(1, demand(1, 10), reports=(*drew(400), SliceReport(budget.id, drawn=400)))
    assert account.state.leases[1].drawn == {WALLET: 410, budget.id: 400}


def test_only_jobs_that_a_meter_counts_are_counted() -> None:
    account = Account((OF_KEY,))
    assert account.draw(1, demand(3), demand(2, key=2)).granted == 2


def test_the_grant_says_what_holds_for_the_account() -> None:
    account = Account((MONEY,), balance=1)
    found = account.decide(1)
    assert found is not None
    grant = found.grant
    assert (grant.account, grant.lease, grant.number, grant.known) == (7, 1, 1, True)
    assert (grant.lease_ms, grant.discount_ppm, grant.edges) == (limits.LEASE_MS, 30_000, 1)
