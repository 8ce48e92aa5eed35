"""What an attempt costs the client and what it costs us: price versions as data, amounts in integers. Pure.

Metering loads a `PriceBook` from the database (`trunkline.store.prices`) and asks it for a `Quote` per usage event.
A kind of unit without a price of its own is priced as the kind it is part of (DIALECTS section 5: only buckets with
their own price are split off, the others belong to ``input`` and ``output``).
"""

import bisect
from collections.abc import Iterable, Mapping
from operator import mul
from typing import NamedTuple

import msgspec

from trunkline.core.money import PARTS_PER_MILLION, NanoUSD, scaled_amount
from trunkline.core.usage import UNIT_KINDS, Units

UNITS_MAX = 10**12
"""Units of one kind in one attempt. A million times the largest context there is; a report beyond it is broken,
and must not reach a wallet."""

FALLBACKS: Mapping[str, str] = {
    "reasoning": "output",
    "output_audio": "output",
    "output_image": "output",
    "cache_read": "input",
    "cache_write_5m": "input",
    "cache_write_1h": "cache_write_5m",
    "input_audio": "input",
    "input_image": "input",
}
"""The kind whose price holds for a kind without one; followed until a price is found."""

UNPRICED_BY_CUSTOM = frozenset({"requests"})
"""Kinds that are counted always and priced rarely: without a price they are free, not forgotten."""


class UnitsError(ValueError):
    """Units that no attempt can have used: negative, or beyond `UNITS_MAX`."""


class PriceVersion(msgspec.Struct, frozen=True):
    """The prices of a model from a moment on.

    Attributes:
        id: what ledger entries name.
        effective_from_ms: Unix time in milliseconds.
        prices: nano-USD per million units, by kind of unit.
    """

    id: int
    effective_from_ms: int
    prices: Mapping[str, int]


class Rates:
    """Prices made ready for many charges: one number per kind of unit, fallbacks resolved.

    Args:
        prices: nano-USD per million units, by kind; unknown kinds are of a newer version and have no units here.

    Attributes:
        per_kind: in the order of `UNIT_KINDS`; 0 for a kind without a price.
        missing: positions of the kinds that have no price and should have one if they are used.
    """

    __slots__ = ("missing", "per_kind")

    def __init__(self, prices: Mapping[str, int]) -> None:
        resolved = [_price(kind, prices) for kind in UNIT_KINDS]
        self.per_kind = tuple(price or 0 for price in resolved)
        self.missing = tuple(
            position
            for position, (kind, price) in enumerate(zip(UNIT_KINDS, resolved, strict=True))
            if price is None and kind not in UNPRICED_BY_CUSTOM
        )

    def covers(self, counts: tuple[int, ...]) -> bool:
        """Return whether every kind that was used has a price."""
        return not any(counts[position] for position in self.missing)


def _price(kind: str, prices: Mapping[str, int]) -> int | None:
    price = prices.get(kind)
    if price is None and kind in FALLBACKS:
        return _price(FALLBACKS[kind], prices)
    return price


NO_RATES = Rates({})


def charge(units: Units, rates: Rates, multiplier_ppm: int = PARTS_PER_MILLION) -> NanoUSD:
    """Return the price of some units: summed exactly, multiplied, and rounded once.

    Raises:
        UnitsError: see there.
    """
    return _amount(unit_counts(units), rates, multiplier_ppm)


def _amount(counts: tuple[int, ...], rates: Rates, multiplier_ppm: int) -> NanoUSD:
    return scaled_amount(sum(map(mul, counts, rates.per_kind)), multiplier_ppm)


def unit_counts(units: Units) -> tuple[int, ...]:
    """Return the counts in the order of `UNIT_KINDS`.

    Raises:
        UnitsError: see there.
    """
    counts: tuple[int, ...] = msgspec.structs.astuple(units)
    if min(counts) < 0 or max(counts) > UNITS_MAX:
        raise UnitsError("a count of units is negative or too large")
    return counts


class Quote(NamedTuple):
    """What one attempt comes to.

    Attributes:
        charge_nano: what the client pays.
        cost_nano: what the provider gets.
        price_version: of the model's price, None if it has none.
        cost_version: of the channel's cost price, None if it has none.
        multiplier_ppm: of the group.
        unpriced: the client was to pay, and the model or a kind of unit it used has no price.
    """

    charge_nano: NanoUSD
    cost_nano: NanoUSD
    price_version: int | None
    cost_version: int | None
    multiplier_ppm: int
    unpriced: bool


class _History:
    """The versions of one price by time."""

    __slots__ = ("_from_ms", "_versions")

    def __init__(self, versions: Iterable[PriceVersion]) -> None:
        ordered = sorted(versions, key=lambda version: (version.effective_from_ms, version.id))
        self._from_ms = [version.effective_from_ms for version in ordered]
        self._versions = [(version.id, Rates(version.prices)) for version in ordered]

    def at(self, at_ms: int) -> tuple[int, Rates]:
        # Before the first version the first one holds: the clocks of two machines differ by more than the time
        # between a model's first price and its first request, and that request is not free.
        return self._versions[max(bisect.bisect_right(self._from_ms, at_ms) - 1, 0)]


class PriceBook:
    """All prices, costs and multipliers at one reading of the database.

    Args:
        models: versions by public model name; each with at least one.
        costs: versions by channel id and public model name; each with at least one.
        multipliers_ppm: by group; a group that is not there (deleted since) has a multiplier of one.
    """

    __slots__ = ("_costs", "_models", "_multipliers_ppm")

    def __init__(
        self,
        models: Mapping[str, Iterable[PriceVersion]],
        costs: Mapping[tuple[int, str], Iterable[PriceVersion]],
        multipliers_ppm: Mapping[str, int],
    ) -> None:
        self._models = {model: _History(versions) for model, versions in models.items()}
        self._costs = {place: _History(versions) for place, versions in costs.items()}
        self._multipliers_ppm = dict(multipliers_ppm)

    def knows(self, model: str) -> bool:
        """Return whether a model has a price."""
        return model in self._models

    def quote(self, units: Units, *, charged: bool, model: str, group: str, channel: int, at_ms: int) -> Quote:
        """Price one attempt.

        Args:
            units: what it used.
            charged: whether the client pays.
            model: public model name.
            group: whose multiplier applies.
            channel: whose cost price applies.
            at_ms: when it began, Unix time in milliseconds: the versions that held then apply.

        Raises:
            UnitsError: see there.
        """
        counts = unit_counts(units)
        multiplier_ppm = self._multipliers_ppm.get(group, PARTS_PER_MILLION)
        price_version, rates = self._at(self._models.get(model), at_ms)
        cost_version, cost_rates = self._at(self._costs.get((channel, model)), at_ms)
        return Quote(
            charge_nano=_amount(counts, rates, multiplier_ppm) if charged else NanoUSD(0),
            cost_nano=_amount(counts, cost_rates, PARTS_PER_MILLION),
            price_version=price_version,
            cost_version=cost_version,
            multiplier_ppm=multiplier_ppm,
            unpriced=charged and not rates.covers(counts),
        )

    @staticmethod
    def _at(history: _History | None, at_ms: int) -> tuple[int | None, Rates]:
        return (None, NO_RATES) if history is None else history.at(at_ms)
