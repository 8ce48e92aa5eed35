"""What usage would have cost on other models: the same units at their prices. Pure; `store.comparison` reads both.

Another model would not have used the same number of tokens for the same work; that cannot be known, and the answer
says so. Which model could have done the work at all is told by its prices: one that has none for images paints none.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from trunkline.core.money import NanoUSD, scaled_amount
from trunkline.core.usage import UNIT_KINDS, Units
from trunkline.policy.entities import Prices
from trunkline.policy.pricing import IMAGE_VARIANT_PREFIX, Rates

NOTE = (
    "The same units at today's prices, with the group multipliers and discounts that applied. Another model would have "
    "used more or fewer tokens for the same work."
)

_TOKENS_OUT = ("output", "reasoning", "output_audio", "output_image")
_OWN_PRICE = ("input_audio", "output_audio")
"""Kinds that only a model made for them has a price for; others are part of what any model reads and writes."""


class UsedUnits(NamedTuple):
    """Attempts that are priced alike, added up.

    Attributes:
        model: that was used.
        variant, multiplier_ppm, discount_ppm: of the attempts.
        units: of all of them; ``requests`` is their number.
        charge_nano: what they cost the client.
    """

    model: str
    variant: str
    multiplier_ppm: int
    discount_ppm: int
    units: Units
    charge_nano: int


class ModelCost(msgspec.Struct, frozen=True):
    """What all would have cost with one model wherever it could have served.

    Attributes:
        model: its name.
        cost_nano: all together, in nano-USD.
        kept_nano: the part of it that this model could not have served, as it was paid.
    """

    model: str
    cost_nano: int
    kept_nano: int


def compare_models(used: Sequence[UsedUnits], prices: Mapping[str, Prices]) -> list[ModelCost]:
    """Return what usage would have cost on each model that could have served any of it, the cheapest first."""
    costs = []
    for model, model_prices in prices.items():
        rates = Rates(model_prices)
        cost_nano = kept_nano = 0
        served = False
        for part in used:
            if part.model != model and not _serves(part, model_prices, rates):
                kept_nano += part.charge_nano
                continue
            served = True
            cost_nano += part.charge_nano if part.model == model else _cost(part, rates)
        if served:
            costs.append(ModelCost(model, cost_nano + kept_nano, kept_nano))
    return sorted(costs, key=lambda cost: (cost.cost_nano, cost.model))


def _serves(part: UsedUnits, prices: Prices, rates: Rates) -> bool:
    counts = dict(zip(UNIT_KINDS, _counts(part), strict=True))
    if not any(counts[kind] for kind in _TOKENS_OUT) and counts["input"] and "output" in prices:
        return False  # texts without an answer: embeddings, which a model that writes does not make
    if counts["images"] or counts["output_image"]:
        paints = any(kind in {"images", "output_image"} or kind.startswith(IMAGE_VARIANT_PREFIX) for kind in prices)
        if not paints:
            return False
    if any(counts[kind] and kind not in prices for kind in _OWN_PRICE):
        return False
    return rates.covers(_counts(part), part.variant)


def _cost(part: UsedUnits, rates: Rates) -> NanoUSD:
    return scaled_amount(rates.scaled(_counts(part), part.variant), part.multiplier_ppm, part.discount_ppm)


def _counts(part: UsedUnits) -> tuple[int, ...]:
    # Not `unit_counts`: a month of a large account has more units than one attempt may have.
    counts: tuple[int, ...] = msgspec.structs.astuple(part.units)
    return counts
