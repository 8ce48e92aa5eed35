"""Prices: exact sums, rounded once; edges and settlement agree to the nano-USD; no hold is too small."""

from fractions import Fraction
from typing import NamedTuple

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.support.usage_events import usage_event
from trunkline.bus.snapshots import ModelSnapshot
from trunkline.core.usage import UNIT_KINDS, Units, image_variant, is_image_variant
from trunkline.policy.pricing import ModelRates, PriceBook, PriceVersion, Rates, charge

SIZES = st.sampled_from(["", "auto", "512x512", "1024x1024"])
QUALITIES = st.sampled_from(["", "auto", "low", "high"])
LOOKS = st.builds(image_variant, SIZES, QUALITIES)
PRICE = st.integers(0, 10**15)
KINDS = st.one_of(st.sampled_from(UNIT_KINDS), LOOKS.filter(bool).map("images@{}".format))
PRICES = st.dictionaries(KINDS, PRICE)
UNITS = st.builds(Units, **dict.fromkeys(UNIT_KINDS, st.one_of(st.just(0), st.integers(0, 10**12))))
PPM = st.one_of(st.just(1_000_000), st.integers(0, 10**9))
DISCOUNT = st.one_of(st.just(0), st.integers(0, 10**6))


class Terms(NamedTuple):
    """What is made of a price: group multiplier and discount, both in parts per million."""

    multiplier_ppm: int
    discount_ppm: int


TERMS = st.builds(Terms, PPM, DISCOUNT)


def exact(amount: int, scaled: int, terms: Terms) -> bool:
    """Return whether an amount is the nearest to the exact one, and the even one of two that are as near."""
    wanted = Fraction(scaled * terms.multiplier_ppm * (10**6 - terms.discount_ppm), 10**18)
    return amount == round(wanted)  # Python rounds half to even as well


@given(UNITS, PRICES, TERMS, LOOKS)
def test_a_charge_is_the_exact_sum_rounded_once(
    units: Units, prices: dict[str, int], terms: Terms, variant: str
) -> None:
    rates = Rates(prices)
    scaled = sum(getattr(units, kind) * rates.per_kind[at] for at, kind in enumerate(UNIT_KINDS) if kind != "images")
    if units.any() and not units.requests:
        scaled += prices.get("requests", 0)
    if not ((units.output or units.output_image) and prices.keys() & {"output", "output_image"}):
        found = [prices[key] for look in (variant, *variant.split("/")) if (key := f"images@{look}") in prices]
        scaled += units.images * [*found, prices.get("images", 0)][0]
    assert exact(charge(units, rates, *terms, variant), scaled, terms)


@given(UNITS, PRICES, TERMS, LOOKS, st.sampled_from(["default", "vip"]))
def test_an_edge_prices_a_job_as_settlement_does(
    units: Units, prices: dict[str, int], terms: Terms, variant: str, group: str
) -> None:
    book = PriceBook({"m": [PriceVersion(1, 0, prices)]}, {}, {"vip": terms.multiplier_ppm, "default": 1_000_000})
    quote = book.quote(
        units,
        charged=True,
        model="m",
        group=group,
        channel=1,
        at_ms=5,
        variant=variant,
        discount_ppm=terms.discount_ppm,
    )
    snapshot = ModelSnapshot("m", ("default", "vip"), prices=prices, multipliers_ppm={"vip": terms.multiplier_ppm})
    assert ModelRates(snapshot).charge(units, variant, group, terms.discount_ppm) == quote.charge_nano


@given(UNITS, PRICES, TERMS, LOOKS, st.integers(0, 10**6))
def test_an_answer_gone_on_with_is_priced_alike_and_costs_what_the_first_attempt_used(
    units: Units, prices: dict[str, int], terms: Terms, variant: str, joined_output: int
) -> None:
    units = msgspec.structs.replace(units, output=min(units.output, 10**9))
    event = usage_event(model="m", group="vip", units=units, variant=variant, joined_output=joined_output)
    versions = [PriceVersion(1, 0, prices)]
    book = PriceBook({"m": versions}, {(1, "m"): versions}, {"vip": terms.multiplier_ppm})
    quote = book.quote(
        event.units,
        billed=event.billed,
        charged=True,
        model="m",
        group="vip",
        channel=1,
        at_ms=5,
        variant=variant,
        discount_ppm=terms.discount_ppm,
    )
    rates = ModelRates(ModelSnapshot("m", ("vip",), prices=prices, multipliers_ppm={"vip": terms.multiplier_ppm}))
    assert rates.charge(event.billed, variant, "vip", terms.discount_ppm) == quote.charge_nano
    assert quote.cost_nano == charge(units, Rates(prices), variant=variant)


@given(UNITS, PRICES, TERMS, LOOKS, st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)))
def test_a_job_within_its_bounds_never_costs_more_than_its_hold(
    units: Units, prices: dict[str, int], terms: Terms, variant: str, more: tuple[int, int]
) -> None:
    snapshot = ModelSnapshot("m", ("vip",), prices=prices, multipliers_ppm={"vip": terms.multiplier_ppm})
    rates, units = ModelRates(snapshot), msgspec.structs.replace(units, requests=min(units.requests, 1))
    bounds = units.input_total + more[0], units.output_total + more[1]
    held = rates.worst_case(*bounds, "vip", terms.discount_ppm, media=True, beside=units, variant=variant)
    assert held >= rates.charge(units, variant, "vip", terms.discount_ppm)


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_variant_is_bounded_and_a_key_of_prices_whatever_a_provider_says(size: str, quality: str) -> None:
    variant = image_variant(size, quality)
    assert len(variant) <= 65
    assert variant.isascii()
    assert not variant or is_image_variant(variant)
