"""What an attempt costs the client and what it costs us: price versions as data, amounts in integers. Pure.

Metering loads a `PriceBook` from the database (`trunkline.store.prices`) and asks it for a `Quote` per usage event.
An edge prices holds and finished jobs by `ModelRates`, from a model's snapshot, with the same result.
A kind of unit without a price of its own is priced as the kind it is part of (DIALECTS section 5: only buckets with
their own price are split off, the others belong to ``input`` and ``output``).
"""

import bisect
from collections.abc import Iterable, Mapping, Sequence
from operator import mul
from typing import NamedTuple

import msgspec

from trunkline.bus.snapshots import ModelSnapshot
from trunkline.core.money import PARTS_PER_MILLION, NanoUSD, scaled_amount
from trunkline.core.usage import UNIT_KINDS, Units
from trunkline.policy.discounts import NO_DISCOUNTS, Discounts

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

IMAGE_VARIANT_PREFIX = "images@"
"""Begins the price of images of one size and quality (``images@1024x1024/high``), of one size, or of one quality
(``images@high``). Those of others cost what ``images`` says."""

_IMAGES = UNIT_KINDS.index("images")
_REQUESTS = UNIT_KINDS.index("requests")
_OUTPUT = UNIT_KINDS.index("output")
_OUTPUT_IMAGE = UNIT_KINDS.index("output_image")
_PIECES = frozenset(map(UNIT_KINDS.index, ("searches", "seconds", "images", "characters")))
"""What is no token and no request."""


class UnitsError(ValueError):
    """Units that no attempt can have used: negative, or beyond `UNITS_MAX`."""


def blended_nano(prices: Mapping[str, int]) -> int | None:
    """Return what a million tokens cost, three parts of them input and one output, in nano-USD.

    Args:
        prices: nano-USD per million units, by kind.

    Returns:
        None if neither has a price: what is paid by the image or the second says nothing of tokens. If one has, the
        other counts as `Rates` has it: as nothing.
    """
    if "input" not in prices and "output" not in prices:
        return None
    return (3 * prices.get("input", 0) + prices.get("output", 0)) // 4


class PriceVersion(msgspec.Struct, frozen=True):
    """The prices of a model from a moment on.

    Attributes:
        id: what ledger entries name.
        effective_from_ms: Unix time in milliseconds.
        prices: nano-USD per million units, by kind of unit, those of images also by size and quality.
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

    __slots__ = ("_image_tokens_priced", "_image_variants", "missing", "per_kind")

    def __init__(self, prices: Mapping[str, int]) -> None:
        resolved = [_price(kind, prices) for kind in UNIT_KINDS]
        self.per_kind = tuple(price or 0 for price in resolved)
        self.missing = tuple(
            position
            for position, (kind, price) in enumerate(zip(UNIT_KINDS, resolved, strict=True))
            if price is None and kind not in UNPRICED_BY_CUSTOM
        )
        self._image_tokens_priced = resolved[_OUTPUT_IMAGE] is not None
        self._image_variants = {
            kind.removeprefix(IMAGE_VARIANT_PREFIX): price
            for kind, price in prices.items()
            if kind.startswith(IMAGE_VARIANT_PREFIX)
        }

    def scaled(self, counts: tuple[int, ...], variant: str) -> int:
        """Return the price of some units in nano-USD per `UNITS_PER_PRICE`, exact.

        Whatever was used was used by a request, whether its endpoint counts requests or not.
        """
        scaled: int = sum(map(mul, counts, self.per_kind))
        per_request = self.per_kind[_REQUESTS]
        if per_request and not counts[_REQUESTS] and any(counts):
            scaled += per_request
        images = counts[_IMAGES]
        if images:
            price = 0 if self._by_token(counts) else self._image_price(variant) or 0
            scaled += images * (price - self.per_kind[_IMAGES])
        return scaled

    def _by_token(self, counts: tuple[int, ...]) -> bool:
        # A provider that reports tokens for its images has a price for them, and the price by the piece, if it states
        # one as well, is the same cost seen another way: never both.
        return self._image_tokens_priced and bool(counts[_OUTPUT_IMAGE] or counts[_OUTPUT])

    def _image_price(self, variant: str) -> int | None:
        if self._image_variants:
            for part in (variant, *variant.split("/")):
                price = self._image_variants.get(part)
                if price is not None:
                    return price
        return None if _IMAGES in self.missing else self.per_kind[_IMAGES]

    def dearest_image(self, variant: str) -> int:
        """Return the most that an image may cost: of the variant, if size and quality have a price, else of any."""
        price = self._image_variants.get(variant) if "/" in variant else None
        return max((self.per_kind[_IMAGES], *self._image_variants.values())) if price is None else price

    def covers(self, counts: tuple[int, ...], variant: str = "") -> bool:
        """Return whether every kind that was used has a price."""
        missing: Iterable[int] = self.missing
        if counts[_IMAGES]:
            if self._by_token(counts):
                missing = [position for position in missing if position != _IMAGES]
            elif self._image_price(variant) is not None:
                # Sold by the piece: the tokens that it took to paint are part of that.
                missing = [position for position in missing if position in _PIECES and position != _IMAGES]
        return not any(counts[position] for position in missing)


def _price(kind: str, prices: Mapping[str, int]) -> int | None:
    price = prices.get(kind)
    if price is None and kind in FALLBACKS:
        return _price(FALLBACKS[kind], prices)
    return price


NO_RATES = Rates({})


def charge(
    units: Units,
    rates: Rates,
    multiplier_ppm: int = PARTS_PER_MILLION,
    discount_ppm: int = 0,
    variant: str = "",
) -> NanoUSD:
    """Return the price of some units: summed exactly, multiplied, discounted, and rounded once.

    Args:
        units: what was used.
        rates: of the model.
        multiplier_ppm: of the group.
        discount_ppm: of the account.
        variant: of the images, as `core.usage.image_variant` has it.

    Raises:
        UnitsError: see there.
    """
    return scaled_amount(rates.scaled(unit_counts(units), variant), multiplier_ppm, discount_ppm)


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
        discount_ppm: of the account; 0 for an attempt that the client does not pay.
        unpriced: the client was to pay, and the model or a kind of unit it used has no price.
    """

    charge_nano: NanoUSD
    cost_nano: NanoUSD
    price_version: int | None
    cost_version: int | None
    multiplier_ppm: int
    discount_ppm: int
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
        discounts: the schedules.

    Attributes:
        discounts: the schedules.
    """

    __slots__ = ("_costs", "_models", "_multipliers_ppm", "discounts")

    def __init__(
        self,
        models: Mapping[str, Iterable[PriceVersion]],
        costs: Mapping[tuple[int, str], Iterable[PriceVersion]],
        multipliers_ppm: Mapping[str, int],
        discounts: Discounts = NO_DISCOUNTS,
    ) -> None:
        self._models = {model: _History(versions) for model, versions in models.items()}
        self._costs = {place: _History(versions) for place, versions in costs.items()}
        self._multipliers_ppm = dict(multipliers_ppm)
        self.discounts = discounts

    def knows(self, model: str) -> bool:
        """Return whether a model has a price."""
        return model in self._models

    def quote(
        self,
        units: Units,
        *,
        charged: bool,
        model: str,
        group: str,
        channel: int,
        at_ms: int,
        variant: str = "",
        discount_ppm: int = 0,
        billed: Units | None = None,
    ) -> Quote:
        """Price one attempt.

        Args:
            units: what it used.
            charged: whether the client pays.
            model: public model name.
            group: whose multiplier applies.
            channel: whose cost price applies.
            at_ms: when it began, Unix time in milliseconds: the versions that held then apply.
            variant: of its images.
            discount_ppm: of the account; never taken off the cost.
            billed: what the client pays, where that is not what the attempt used.

        Raises:
            UnitsError: see there.
        """
        counts = unit_counts(units)
        billed_counts = counts if billed is None else unit_counts(billed)
        multiplier_ppm = self._multipliers_ppm.get(group, PARTS_PER_MILLION)
        price_version, rates = self._at(self._models.get(model), at_ms)
        cost_version, cost_rates = self._at(self._costs.get((channel, model)), at_ms)
        nothing = NanoUSD(0)
        return Quote(
            charge_nano=scaled_amount(rates.scaled(billed_counts, variant), multiplier_ppm, discount_ppm)
            if charged
            else nothing,
            cost_nano=scaled_amount(cost_rates.scaled(counts, variant)),
            price_version=price_version,
            cost_version=cost_version,
            multiplier_ppm=multiplier_ppm,
            discount_ppm=discount_ppm if charged else 0,
            unpriced=charged and not rates.covers(billed_counts, variant),
        )

    @staticmethod
    def _at(history: _History | None, at_ms: int) -> tuple[int | None, Rates]:
        return (None, NO_RATES) if history is None else history.at(at_ms)


_INPUTS = tuple(map(UNIT_KINDS.index, ("input", "cache_read", "cache_write_5m", "cache_write_1h")))
_OUTPUTS = tuple(map(UNIT_KINDS.index, ("output", "reasoning")))
_MEDIA_INPUTS = (*_INPUTS, *map(UNIT_KINDS.index, ("input_audio", "input_image")))
_MEDIA_OUTPUTS = (*_OUTPUTS, *map(UNIT_KINDS.index, ("output_audio", "output_image")))


class ModelRates:
    """What one model costs the client, from its snapshot: for holds and finished jobs at an edge.

    Args:
        model: with the prices that are in force.

    Attributes:
        usable: whether it has a price or is free; another one must not be served.
    """

    __slots__ = ("_media_worst", "_multipliers_ppm", "_rates", "_worst", "usable")

    def __init__(self, model: ModelSnapshot) -> None:
        self._rates = Rates(model.prices)
        self._multipliers_ppm = model.multipliers_ppm
        self._worst = self._dearest(_INPUTS, _OUTPUTS)
        self._media_worst = self._dearest(_MEDIA_INPUTS, _MEDIA_OUTPUTS)
        self.usable = model.free or bool(model.prices)

    def _dearest(self, inputs: Sequence[int], outputs: Sequence[int]) -> tuple[int, int, int]:
        per_kind = self._rates.per_kind
        dearest_input, dearest_output = (max(per_kind[kind] for kind in kinds) for kinds in (inputs, outputs))
        return dearest_input, dearest_output, per_kind[_REQUESTS]

    def dearest_group(self, groups: Sequence[str]) -> str:
        """Return the one of some groups, at least one, through which the model costs most."""
        return max(groups, key=lambda group: self._multipliers_ppm.get(group, PARTS_PER_MILLION))

    def worst_case(
        self,
        input_tokens: int,
        output_tokens_max: int,
        group: str,
        discount_ppm: int = 0,
        *,
        media: bool = False,
        beside: Units | None = None,
        variant: str = "",
    ) -> NanoUSD:
        """Return the most that a job may cost, if it keeps within these bounds.

        Args:
            input_tokens: all of them, each at the price of a plain one, or of one written to a cache if that is more.
            output_tokens_max: all of them, each at the price of an answer's, or of reasoning if that is more.
            group: through which it costs most (`dearest_group`).
            discount_ppm: of the account.
            media: sound or images may be among the tokens.
            beside: what it asks for beside those tokens: pieces such as images, seconds and characters, and the tokens
                of output by which a provider may bill them instead. Also further tokens of input.
            variant: of the images, as asked for.
        """
        per_input, per_output, scaled = self._media_worst if media else self._worst
        scaled += input_tokens * per_input + output_tokens_max * per_output
        if beside is not None:
            per_kind, counts = self._rates.per_kind, unit_counts(beside)
            pieces = sum(counts[kind] * per_kind[kind] for kind in _PIECES)
            pieces += counts[_IMAGES] * (self._rates.dearest_image(variant) - per_kind[_IMAGES])
            # What is made is paid by the piece or by the token, never both.
            scaled += max(pieces, sum(counts[kind] * per_kind[kind] for kind in _MEDIA_OUTPUTS))
            scaled += sum(counts[kind] * per_kind[kind] for kind in _MEDIA_INPUTS)
        return scaled_amount(scaled, self._multipliers_ppm.get(group, PARTS_PER_MILLION), discount_ppm)

    def charge(self, units: Units, variant: str, group: str, discount_ppm: int = 0) -> NanoUSD:
        """Return what a job costs, as `PriceBook.quote` has it for the same prices.

        Raises:
            UnitsError: see there.
        """
        return charge(units, self._rates, self._multipliers_ppm.get(group, PARTS_PER_MILLION), discount_ppm, variant)
