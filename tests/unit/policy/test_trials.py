"""What is left of a free trial."""

import pytest

from trunkline.policy.trials import WAIT_S, taken_back_nano, unspent_nano


@pytest.mark.parametrize(
    ("charged", "refunded", "left"),
    [(0, 0, 500), (200, 0, 300), (500, 0, 0), (900, 0, 0), (900, 600, 200), (0, 9, 500)],
)
def test_what_was_charged_less_refunds_counts_against_the_trial_first(charged: int, refunded: int, left: int) -> None:
    assert unspent_nano(500, charged, refunded) == left


@pytest.mark.parametrize(
    ("unspent", "balance", "held", "taken"),
    [
        (300, 300, 0, 300),
        (300, 1300, 0, 300),  # paid in beside the trial
        (300, 100, 0, 100),  # taken away by hand before
        (300, -50, 0, 0),
        (0, 700, 200, 0),
        (300, 1000, 400, 300),  # enough that nobody holds
        (300, 1000, 700, 300),
        (300, 300, 1, None),
        (300, 100, 100, None),
    ],
)
def test_never_more_than_is_there_and_nobody_holds(unspent: int, balance: int, held: int, taken: int | None) -> None:
    assert taken_back_nano(unspent, balance, held, late_s=WAIT_S - 1) == taken


def test_after_a_while_what_edges_hold_is_left_to_them() -> None:
    assert taken_back_nano(300, 300, 100, late_s=WAIT_S) == 200
    assert taken_back_nano(300, 50, 100, late_s=WAIT_S) == 0
