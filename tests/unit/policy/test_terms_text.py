"""Limits and budgets as people read them."""

from trunkline.policy.meters import Budgets, FamilyLimits, Limits, ModelBudget
from trunkline.policy.terms_text import budgets_text, limits_text


def test_limits_name_what_they_bound() -> None:
    assert limits_text(Limits()) == "none"
    assert limits_text(Limits(rpm=50, concurrency=3)) == "rpm 50, concurrency 3"
    family = FamilyLimits(models=("gpt-*", "o1"), tpd=7)
    assert limits_text(Limits(families=(family,))) == "gpt-*, o1: tpd 7"
    assert limits_text(Limits(rpm=1, families=(family,))) == "rpm 1; gpt-*, o1: tpd 7"


def test_budgets_are_dollars_and_say_what_takes_over() -> None:
    assert budgets_text(Budgets()) == "none"
    budgets = Budgets(
        daily_nano=5_000_000_000,
        monthly_nano=0,
        models=(ModelBudget(("gpt-4*",), daily_nano=1),),
        cheaper={"b": "c", "a": "b"},
    )
    assert budgets_text(budgets) == "daily 5.00 USD, monthly 0.00 USD; gpt-4*: daily 0.000000001 USD; b for a, c for b"
