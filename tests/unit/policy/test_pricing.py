"""Pricing: sums, rounding, fallbacks, sizes and qualities, discounts, effective dates."""

import pytest

from trunkline.core.money import scaled_amount
from trunkline.core.usage import Units
from trunkline.policy.pricing import (
    UNITS_MAX,
    PriceBook,
    PriceVersion,
    Rates,
    UnitsError,
    blended_nano,
    charge,
    unit_counts,
)

CHAT = {"input": 150_000_000, "cache_read": 75_000_000, "output": 600_000_000}
"""$0.15, $0.075 and $0.60 per million tokens."""


@pytest.mark.parametrize(
    ("units", "prices", "multiplier_ppm", "nano"),
    [
        (Units(input=1_000_000), CHAT, 1_000_000, 150_000_000),
        (Units(input=1000, cache_read=2000, output=300), CHAT, 1_000_000, 150_000 + 150_000 + 180_000),
        (Units(input=1000), CHAT, 1_200_000, 180_000),
        (Units(input=1000), CHAT, 0, 0),
        (Units(), CHAT, 1_000_000, 0),
        (Units(searches=3), {"searches": 10_000_000_000_000}, 1_000_000, 30_000_000),
        (Units(seconds=61), {"seconds": 100_000_000_000}, 1_000_000, 6_100_000),
        (Units(images=2), {"images": 40_000_000_000_000}, 1_000_000, 80_000_000),
    ],
)
def test_charge_is_units_times_price_times_multiplier(
    units: Units, prices: dict[str, int], multiplier_ppm: int, nano: int
) -> None:
    assert charge(units, Rates(prices), multiplier_ppm) == nano


def test_charge_is_rounded_once_over_all_kinds_of_units() -> None:
    # Each of the two is 0.4 nano-USD: rounded one by one they would vanish.
    assert charge(Units(input=1, output=1), Rates({"input": 400_000, "output": 400_000})) == 1


@pytest.mark.parametrize(
    ("scaled", "multiplier_ppm", "nano"),
    [
        (500_000, 1_000_000, 0),
        (1_500_000, 1_000_000, 2),
        (2_500_000, 1_000_000, 2),
        (500_001, 1_000_000, 1),
        (1_000_000, 500_000, 0),
        (1_000_000, 500_001, 1),
        (10**30 + 500_000, 1_000_000, 10**24),
        (10**30 + 500_001, 1_000_000, 10**24 + 1),
    ],
)
def test_half_a_nano_is_rounded_to_even_and_no_digit_is_lost_before(
    scaled: int, multiplier_ppm: int, nano: int
) -> None:
    assert scaled_amount(scaled, multiplier_ppm) == nano


@pytest.mark.parametrize(
    ("kind", "prices", "per_million"),
    [
        ("reasoning", {"output": 6, "input": 1}, 6),
        ("reasoning", {"output": 6, "reasoning": 9}, 9),
        ("output_audio", {"output": 6}, 6),
        ("output_image", {"output": 6}, 6),
        ("cache_read", {"input": 5}, 5),
        ("cache_read", {"input": 5, "cache_read": 0}, 0),
        ("cache_write_5m", {"input": 5}, 5),
        ("cache_write_1h", {"input": 5}, 5),
        ("cache_write_1h", {"input": 5, "cache_write_5m": 7}, 7),
        ("cache_write_1h", {"input": 5, "cache_write_5m": 7, "cache_write_1h": 8}, 8),
        ("input_audio", {"input": 5}, 5),
        ("input_image", {"input": 5}, 5),
        ("searches", {"input": 5, "output": 6}, 0),
    ],
)
def test_a_kind_without_a_price_is_priced_as_what_it_is_part_of(
    kind: str, prices: dict[str, int], per_million: int
) -> None:
    assert charge(Units(**{kind: 1_000_000}), Rates(prices)) == per_million


@pytest.mark.parametrize("units", [Units(input=-1), Units(output=UNITS_MAX + 1)])
def test_units_that_cannot_be_are_refused(units: Units) -> None:
    with pytest.raises(UnitsError):
        charge(units, Rates(CHAT))


# --- images --------------------------------------------------------------------------------------------------------

IMAGE = 10**6
"""A price in nano-USD per million units that makes one unit cost one nano-USD."""
BY_LOOK = {
    "images": 1 * IMAGE,
    "images@high": 3 * IMAGE,
    "images@1536x1024": 5 * IMAGE,
    "images@1536x1024/high": 7 * IMAGE,
}


@pytest.mark.parametrize(
    ("variant", "prices", "each"),
    [
        ("1536x1024/high", BY_LOOK, 7),
        ("1536x1024/low", BY_LOOK, 5),
        ("1536x1024", BY_LOOK, 5),
        ("512x512/high", BY_LOOK, 3),
        ("high", BY_LOOK, 3),
        ("512x512/low", BY_LOOK, 1),
        ("", BY_LOOK, 1),
        ("1536x1024/high", {"images": IMAGE}, 1),
        ("512x512/low", {"images@high": IMAGE}, 0),
        ("high", {"images": IMAGE, "images@high": 0}, 0),
    ],
)
def test_images_cost_by_size_and_quality_then_size_then_quality(
    variant: str, prices: dict[str, int], each: int
) -> None:
    assert charge(Units(images=4), Rates(prices), variant=variant) == 4 * each


PAINTED = Units(input=10, output_image=100, images=2)


@pytest.mark.parametrize(
    ("prices", "nano", "covered"),
    [
        ({"input": IMAGE, "output": 2 * IMAGE}, 210, True),
        ({"input": IMAGE, "output": 2 * IMAGE, "output_image": 3 * IMAGE, "images": 9 * IMAGE}, 310, True),
        ({"images": 9 * IMAGE}, 18, True),
        ({"input": IMAGE, "images@high": 9 * IMAGE}, 28, True),
        ({"input": IMAGE, "images@low": 9 * IMAGE}, 10, False),
        ({"output": 2 * IMAGE}, 200, False),
    ],
    ids=["tokens", "both", "pieces", "pieces and input", "another quality", "no input price"],
)
def test_images_are_paid_by_their_tokens_or_by_the_piece_as_the_prices_say(
    prices: dict[str, int], nano: int, covered: bool
) -> None:
    rates = Rates(prices)
    assert charge(PAINTED, rates, variant="high") == nano
    assert rates.covers(unit_counts(PAINTED), "high") is covered


def test_a_look_without_a_price_is_flagged_and_not_guessed() -> None:
    rates = Rates({"images@high": IMAGE})
    for variant, covered in (("high", True), ("1024x1024/high", True), ("low", False), ("", False)):
        assert rates.covers(unit_counts(Units(images=1)), variant) is covered


# --- requests and discounts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("units", "nano"),
    [(Units(input=1), 12), (Units(input=1, requests=1), 12), (Units(requests=3), 30), (Units(), 0)],
)
def test_whatever_was_used_was_used_by_a_request(units: Units, nano: int) -> None:
    assert charge(units, Rates({"input": 2 * IMAGE, "requests": 10 * IMAGE})) == nano


@pytest.mark.parametrize(
    ("input_", "multiplier_ppm", "discount_ppm", "nano"),
    [
        (1000, 1_000_000, 50_000, 950),
        (1000, 1_200_000, 50_000, 1140),
        (1000, 1_000_000, 1_000_000, 0),
        (1, 1_000_000, 500_000, 0),
        (3, 1_000_000, 500_000, 2),
        (3, 500_000, 1, 1),
        (1, 1_500_000, 1, 1),
    ],
)
def test_a_discount_comes_off_what_the_multiplier_made_and_is_rounded_with_it(
    input_: int, multiplier_ppm: int, discount_ppm: int, nano: int
) -> None:
    assert charge(Units(input=input_), Rates({"input": IMAGE}), multiplier_ppm, discount_ppm) == nano


def _book() -> PriceBook:
    return PriceBook(
        {
            "small": [
                PriceVersion(12, 2000, {"input": 2_000_000}),
                PriceVersion(11, 1000, {"input": 1_000_000}),
                PriceVersion(13, 2000, {"input": 3_000_000}),
            ],
            "words": [PriceVersion(14, 0, {"output": 1_000_000})],
            "free": [PriceVersion(15, 0, {"input": 0, "output": 0})],
        },
        {(7, "small"): [PriceVersion(70, 1000, {"input": 500_000})]},
        {"vip": 1_500_000},
    )


@pytest.mark.parametrize(
    ("at_ms", "version", "nano"),
    [(999, 11, 10), (1000, 11, 10), (1999, 11, 10), (2000, 13, 30), (10**13, 13, 30)],
    ids=["before the first", "from its moment", "until the next", "the newest id of a moment", "long after"],
)
def test_the_version_in_force_at_the_start_applies(at_ms: int, version: int, nano: int) -> None:
    quote = _book().quote(Units(input=10), charged=True, model="small", group="default", channel=1, at_ms=at_ms)
    assert (quote.price_version, quote.charge_nano) == (version, nano)


def test_a_group_multiplies_the_charge_and_not_the_cost() -> None:
    quote = _book().quote(Units(input=10), charged=True, model="small", group="vip", channel=7, at_ms=1500)
    assert (quote.charge_nano, quote.cost_nano) == (15, 5)
    assert (quote.multiplier_ppm, quote.price_version, quote.cost_version) == (1_500_000, 11, 70)


def test_a_failed_attempt_costs_us_and_not_the_client() -> None:
    quote = _book().quote(
        Units(input=10), charged=False, model="small", group="default", channel=7, at_ms=1500, discount_ppm=500_000
    )
    assert (quote.charge_nano, quote.cost_nano, quote.discount_ppm, quote.unpriced) == (0, 5, 0, False)


def test_a_discount_is_the_clients_and_never_the_providers() -> None:
    quote = _book().quote(
        Units(input=10), charged=True, model="small", group="vip", channel=7, at_ms=1500, discount_ppm=200_000
    )
    assert (quote.charge_nano, quote.cost_nano, quote.discount_ppm) == (12, 5, 200_000)


def test_costs_of_images_are_by_size_and_quality_as_well() -> None:
    book = PriceBook(
        {"paint": [PriceVersion(1, 0, BY_LOOK)]}, {(7, "paint"): [PriceVersion(2, 0, {"images@high": 2 * IMAGE})]}, {}
    )
    quote = book.quote(
        Units(images=2), charged=True, model="paint", group="default", channel=7, at_ms=0, variant="512x512/high"
    )
    assert (quote.charge_nano, quote.cost_nano, quote.unpriced) == (6, 4, False)


@pytest.mark.parametrize(
    ("model", "units", "charged", "unpriced"),
    [
        ("unknown", Units(input=1), True, True),
        ("unknown", Units(), True, False),
        ("unknown", Units(input=1), False, False),
        ("words", Units(input=1, output=1), True, True),
        ("words", Units(reasoning=1), True, False),
        ("words", Units(output=1, requests=1), True, False),
        ("free", Units(input=1, cache_read=1, reasoning=1), True, False),
    ],
)
def test_what_has_no_price_is_flagged(model: str, units: Units, charged: bool, unpriced: bool) -> None:
    quote = _book().quote(units, charged=charged, model=model, group="default", channel=1, at_ms=0)
    assert quote.unpriced is unpriced


def test_a_model_without_a_price_names_no_version() -> None:
    quote = _book().quote(Units(input=5), charged=True, model="unknown", group="default", channel=1, at_ms=0)
    assert (quote.charge_nano, quote.cost_nano, quote.price_version, quote.cost_version) == (0, 0, None, None)


@pytest.mark.parametrize(
    ("prices", "nano"),
    [
        (CHAT, 262_500_000),
        ({"input": 20_000_000}, 15_000_000),
        ({"output": 7}, 1),
        ({"input": 0, "output": 0}, 0),
        ({"cache_read": 5, "images": 40_000_000_000}, None),
        ({}, None),
    ],
)
def test_a_blend_is_three_parts_input_and_one_part_output(prices: dict[str, int], nano: int | None) -> None:
    assert blended_nano(prices) == nano
