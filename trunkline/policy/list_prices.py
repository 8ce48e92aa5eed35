"""List prices of well-known models, from the data that genai-prices ships. Pure: the data is part of the package."""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from trunkline.core.money import NANO_PER_USD
from trunkline.policy.entities import Prices
from trunkline.protocol import names

SOURCE = "genai-prices"

_PROVIDERS = {
    names.UPSTREAM_OPENAI: "openai",
    names.UPSTREAM_RESPONSES: "openai",
    names.UPSTREAM_AZURE: "azure",
    names.UPSTREAM_ANTHROPIC: "anthropic",
    names.UPSTREAM_GEMINI: "google",
}
"""Whose list a dialect points to, when the base URL does not tell."""

_FIELDS = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "input_image_mtok": "input_image",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "output_audio_mtok": "output_audio",
    "output_image_mtok": "output_image",
    "web_searches_kcount": "searches",
    "input_audio_hours": "seconds",
    "input_mchars": "characters",
    "requests_kcount": "requests",
}
"""genai-prices' names of prices and our unit kinds. No list has images by the piece."""

_TO_MILLIONS: Mapping[str, Fraction] = {"_kcount": Fraction(1000), "_hours": Fraction(1_000_000, 3600)}
"""What makes a price for a million units of the lists' other prices, by how these end: for a thousand, for an hour."""


class Serving(NamedTuple):
    """How a channel serves a model: what tells whose list price applies."""

    dialect: str
    base_url: str
    upstream_model: str


class Listed(NamedTuple):
    """What a list says of a model; None for what it does not.

    Attributes:
        prices: by kind.
        context_tokens: the most that a conversation may have.
    """

    prices: Prices | None = None
    context_tokens: int | None = None


def list_prices(model: str, servings: list[Serving], now_ms: int) -> Prices | None:
    """Return the list prices of a model, or None if it is on no list.

    The provider is told by a channel's base URL, else by its dialect, else by the model's name alone. Where a list
    has steps by context length, the first step's price is taken.

    Args:
        model: public name.
        servings: of the channels that serve it.
        now_ms: Unix time in milliseconds; lists have prices by date.
    """
    return listed(model, servings, now_ms).prices


def listed(model: str, servings: Sequence[Serving], now_ms: int) -> Listed:
    """Return what the first list says that has prices of a model; arguments as of `list_prices`."""
    # Here and not above: reading the lists takes half a second, and most runs of the CLI do without.
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - see above

    snapshot = get_snapshot()
    upstream_models = [serving.upstream_model for serving in servings]
    for name in dict.fromkeys([model, *upstream_models]):
        hints: list[tuple[str | None, str | None]] = [(None, serving.base_url) for serving in servings]
        hints += [(_PROVIDERS.get(serving.dialect), None) for serving in servings]
        for provider, url in dict.fromkeys([*hints, (None, None)]):
            try:
                _, found = snapshot.find_provider_model(name, None, provider, url)
            except LookupError:
                continue
            if prices := _units(found.get_prices(dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC))):
                return Listed(prices, found.context_window)
    return Listed()


def _units(prices: object) -> Prices:
    units: Prices = {}
    for field, kind in _FIELDS.items():
        value = getattr(prices, field, None)
        value = getattr(value, "base", value)
        if isinstance(value, Decimal):
            factor = next((_TO_MILLIONS[ending] for ending in _TO_MILLIONS if field.endswith(ending)), 1)
            # A price by the hour may be no whole number for a second; a millionth of a nano-USD is nobody's loss.
            units[kind] = round(Fraction(value) * factor * NANO_PER_USD)
    return units
