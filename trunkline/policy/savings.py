"""Where an account could pay less for what it uses: from its usage of a month and the prices in force. Pure.

Two things are looked for: a cheaper model of the same family that is served here, and a provider's prompt cache that is
not used although requests are long. What a cheaper model is worth, and whether inputs repeat, only its users know.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from trunkline.core.money import PARTS_PER_MILLION, scaled_amount
from trunkline.policy.comparison import UsedUnits, compare_models
from trunkline.policy.entities import Prices

CHEAPER_PERCENT_MIN: Final = 20
"""Less is not worth the change of a model."""

CACHE_REQUESTS_MIN: Final = 20
"""Of a model in a month. Fewer come too far apart for a cache that is kept for minutes."""

CACHE_INPUT_TOKENS_MIN: Final = 2048
"""On average. Providers cache from 1,024 tokens on, some from 2,048."""

CACHE_SHARE_PPM_MAX: Final = 100_000
"""Input that came from the cache, in parts per million: who uses one has more than half, and who does not has none."""

_FAMILY = re.compile(r"[a-z]+")


class CheaperModel(msgspec.Struct, frozen=True):
    """A model of the same family that would have cost less.

    Attributes:
        model: that was used.
        instead: the cheapest that could have served all of it.
        requests: how many.
        paid_nano: what they cost.
        cost_nano: what they would have cost.
        note: the same in a sentence.
    """

    model: str
    instead: str
    requests: int
    paid_nano: int
    cost_nano: int
    note: str


class UnusedCache(msgspec.Struct, frozen=True):
    """A model with long inputs that hardly come from its provider's cache.

    Attributes:
        model: that was used.
        requests: how many.
        input_tokens: of all of them.
        cache_read_tokens: the part that came from the cache.
        saved_at_most_nano: what would have been saved if all input had come from it.
        note: the same in a sentence.
    """

    model: str
    requests: int
    input_tokens: int
    cache_read_tokens: int
    saved_at_most_nano: int
    note: str


def family(model: str) -> str:
    """Return what models of one maker and kind have in common: the first word of the name, ``gpt`` or ``claude``."""
    name = model.rpartition("/")[2].lower()
    found = _FAMILY.match(name)
    return found[0] if found else name


def cheaper_models(used: Sequence[UsedUnits], prices: Mapping[str, Prices]) -> list[CheaperModel]:
    """Return for each model that was paid for the cheapest of its family, if it is cheaper by a good part.

    Args:
        used: what was used.
        prices: of the models that are served to the account.
    """
    found = []
    for model, parts in _by_model(used).items():
        paid_nano = sum(part.charge_nano for part in parts)
        others = {name: own for name, own in prices.items() if name != model and family(name) == family(model)}
        for cost in compare_models(parts, others):
            if cost.kept_nano or cost.cost_nano * 100 > paid_nano * (100 - CHEAPER_PERCENT_MIN):
                continue
            requests = sum(part.units.requests for part in parts)
            percent = (paid_nano - cost.cost_nano) * 100 // paid_nano
            note = f"{requests} requests to {model} would have cost {percent} % less on {cost.model}."
            found.append(CheaperModel(model, cost.model, requests, paid_nano, cost.cost_nano, note))
            break
    return sorted(found, key=lambda hint: (hint.cost_nano - hint.paid_nano, hint.model))


def unused_caches(used: Sequence[UsedUnits], prices: Mapping[str, Prices]) -> list[UnusedCache]:
    """Return models whose provider has a cache that is not used though inputs are long; arguments as above."""
    found = []
    for model, parts in _by_model(used).items():
        own = prices.get(model, {})
        per_token_saved = own.get("input", 0) - own.get("cache_read", own.get("input", 0))
        requests = sum(part.units.requests for part in parts)
        input_tokens = sum(part.units.input_total for part in parts)
        cached = sum(part.units.cache_read for part in parts)
        if (
            per_token_saved <= 0
            or requests < CACHE_REQUESTS_MIN
            or input_tokens < requests * CACHE_INPUT_TOKENS_MIN
            or cached * PARTS_PER_MILLION >= input_tokens * CACHE_SHARE_PPM_MAX
        ):
            continue
        saved_nano = sum(
            scaled_amount(part.units.input * per_token_saved, part.multiplier_ppm, part.discount_ppm) for part in parts
        )
        note = (
            f"{requests} requests to {model} had {input_tokens // requests} input tokens on average, and "
            f"{cached * 100 // input_tokens} % of them came from the provider's cache."
        )
        found.append(UnusedCache(model, requests, input_tokens, cached, saved_nano, note))
    return sorted(found, key=lambda hint: (-hint.saved_at_most_nano, hint.model))


def _by_model(used: Sequence[UsedUnits]) -> dict[str, list[UsedUnits]]:
    """Return what was paid for, by model."""
    found: dict[str, list[UsedUnits]] = {}
    for part in used:
        if part.charge_nano > 0:
            found.setdefault(part.model, []).append(part)
    return found
