"""What usage would have cost elsewhere: the same units, at the same terms, where the model could have served."""

import pytest

from trunkline.core.usage import Units
from trunkline.policy.comparison import ModelCost, UsedUnits, compare_models

ONE = 10**6
"""Makes one unit cost one nano-USD."""
CHAT = Units(input=100, cache_read=50, output=10, requests=3)
MODELS = {
    "dear": {"input": 10 * ONE, "output": 40 * ONE},
    "cheap": {"input": ONE, "cache_read": 0, "output": 4 * ONE},
    "embed": {"input": ONE},
    "paint": {"images": 9 * ONE, "images@high": 20 * ONE},
    "talk": {"input": ONE, "output": ONE, "input_audio": 3 * ONE, "output_audio": 5 * ONE},
    "by request": {"input": 0, "output": 0, "requests": 7 * ONE},
}


def used(units: Units, *, model: str = "gone", paid: int = 1000, variant: str = "") -> UsedUnits:
    return UsedUnits(model, variant, 1_000_000, 0, units, paid)


def costs(*parts: UsedUnits) -> dict[str, tuple[int, int]]:
    return {cost.model: (cost.cost_nano, cost.kept_nano) for cost in compare_models(parts, MODELS)}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (used(CHAT), {"by request": (21, 0), "cheap": (140, 0), "talk": (160, 0), "dear": (1900, 0)}),
        (used(Units(input=100, requests=1)), {"embed": (100, 0)}),
        (used(Units(images=2, requests=2), variant="512x512/high"), {"paint": (40, 0)}),
        (used(Units(images=2, input=5, output_image=600, requests=2)), {"paint": (18, 0)}),
        (used(Units(input=1, input_audio=10, output_audio=10, requests=1)), {"talk": (81, 0)}),
        (used(Units(seconds=60, requests=1)), {}),
    ],
    ids=["chat", "embeddings", "images", "images by token", "sound", "nobody"],
)
def test_only_models_that_could_have_served_are_compared(part: UsedUnits, expected: dict[str, tuple[int, int]]) -> None:
    assert costs(part) == expected


def test_what_another_model_could_not_have_served_stays_as_it_was_paid() -> None:
    parts = [used(CHAT, model="dear", paid=1900), used(Units(images=1, requests=1), model="paint", paid=9)]
    assert costs(*parts) == {
        "by request": (30, 9),
        "cheap": (149, 9),
        "talk": (169, 9),
        "dear": (1909, 9),
        "paint": (1909, 1900),
    }


def test_a_models_own_usage_is_what_was_paid() -> None:
    assert costs(used(CHAT, model="dear", paid=77))["dear"] == (77, 0)


def test_multipliers_and_discounts_are_those_that_applied_and_more_units_than_a_job_may_have_are_fine() -> None:
    part = UsedUnits("gone", "", 1_500_000, 100_000, Units(input=10**14, output=1, requests=1), 0)
    assert compare_models([part], {"m": {"input": ONE, "output": 0}}) == [ModelCost("m", 135 * 10**12, 0)]


def test_the_cheapest_comes_first_and_equals_by_name() -> None:
    prices = {name: {"input": price * ONE, "output": 0} for name, price in (("z", 1), ("b", 2), ("a", 2))}
    assert [cost.model for cost in compare_models([used(CHAT)], prices)] == ["z", "a", "b"]
