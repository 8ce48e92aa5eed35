"""Volume discounts: which step applies, whose, and in which month."""

import datetime as dt

import pytest

from trunkline.policy.discounts import NO_DISCOUNTS, Discounts, DiscountStep, discount_ppm, month_of, percent_text

STEPS = (
    DiscountStep(500, 80_000),
    DiscountStep(100, 50_000),
    DiscountStep(0, 200_000, tier="pro"),
    DiscountStep(1000, 250_000, tier="pro"),
)


@pytest.mark.parametrize(
    ("tier", "spent", "ppm"),
    [
        (None, 0, 0),
        (None, 99, 0),
        (None, 100, 50_000),
        (None, 499, 50_000),
        (None, 500, 80_000),
        (None, 10**18, 80_000),
        ("basic", 100, 50_000),
        ("pro", 0, 200_000),
        ("pro", 999, 200_000),
        ("pro", 1000, 250_000),
    ],
)
def test_the_highest_step_that_was_reached_applies(tier: str | None, spent: int, ppm: int) -> None:
    assert discount_ppm(Discounts(STEPS).of(tier), spent) == ppm


def test_without_steps_nothing_is_taken_off() -> None:
    assert not NO_DISCOUNTS
    assert Discounts(STEPS)
    assert Discounts(STEPS[2:])
    assert discount_ppm(NO_DISCOUNTS.of("pro"), 10**18) == 0
    assert discount_ppm(Discounts(STEPS[2:]).of(None), 10**18) == 0


@pytest.mark.parametrize(
    ("moment", "month"),
    [
        ("2026-11-30T23:59:59.999+00:00", dt.date(2026, 11, 1)),
        ("2026-12-01T00:00:00+00:00", dt.date(2026, 12, 1)),
        ("2026-12-01T00:59:59+01:00", dt.date(2026, 11, 1)),
    ],
)
def test_months_are_those_of_utc(moment: str, month: dt.date) -> None:
    assert month_of(round(dt.datetime.fromisoformat(moment).timestamp() * 1000)) == month


@pytest.mark.parametrize(("ppm", "text"), [(50_000, "5 %"), (75_000, "7.5 %"), (1, "0.0001 %"), (10**6, "100 %")])
def test_percent(ppm: int, text: str) -> None:
    assert percent_text(ppm) == text
