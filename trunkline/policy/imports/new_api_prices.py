"""New API's options: ratios as prices and multipliers. Called by `policy.imports.new_api`.

A ratio of one is 2 USD for a million input tokens; the other ratios multiply that (``setting/ratio_setting`` there).
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from trunkline.policy import configuration_values as values
from trunkline.policy.configuration import DEFAULT_GROUP
from trunkline.policy.entities import Prices
from trunkline.policy.imports import tolerant
from trunkline.policy.imports.remarks import RemarkList
from trunkline.policy.list_prices import Serving, list_prices

USD_PER_RATIO: Final = Decimal(2)
"""Of a million input tokens."""

QUOTA_PER_USD: Final = Decimal(500_000)
"""Where the option QuotaPerUnit says nothing else."""

_MULTIPLIER_STEP: Final = Decimal("0.000001")
_MULTIPLIER_MAX: Final = Decimal(1000)

_OF_INPUT: Final = {"CacheRatio": "cache_read", "CreateCacheRatio": "cache_write_5m", "ImageRatio": "input_image"}
"""Ratios to the price of input, and our unit kinds."""

_READ: Final = frozenset(
    {
        *_OF_INPUT,
        *("ModelRatio", "CompletionRatio", "ModelPrice", "GroupRatio", "QuotaPerUnit"),
        *("AudioRatio", "AudioCompletionRatio"),
    }
)


class PriceReader:
    """Reads ratios.

    Args:
        options: by key.
        remarks: receives what became of them.
        now_ms: Unix time in milliseconds, for list prices.
    """

    def __init__(self, options: Mapping[str, Any], remarks: RemarkList, now_ms: int) -> None:
        self._remarks = remarks
        self._now_ms = now_ms
        self._options = options
        self._tables = {name: tolerant.mapping(options.get(name)) for name in _READ}

    @property
    def quota_per_usd(self) -> Decimal:
        """What one USD is in quota."""
        found = tolerant.number(self._options.get("QuotaPerUnit"))
        return found if found is not None and 1 <= found <= values.AMOUNT_USD_MAX else QUOTA_PER_USD

    def groups(self, named: Iterable[str]) -> list[dict[str, Any]]:
        """Return the groups that are named, with their multipliers."""
        ratios = self._tables["GroupRatio"]
        groups = []
        for name in dict.fromkeys([*ratios, *named]):
            place = f"options.GroupRatio.{name}"
            try:
                values.check_name(name)
            except ValueError as error:
                self._remarks.left_out(place, f"the group's name {error}")
                continue
            ratio = tolerant.number(ratios.get(name, 1))
            if ratio is None or not 0 <= ratio <= _MULTIPLIER_MAX:
                self._remarks.changed(place, f"1: a multiplier is between 0 and {_MULTIPLIER_MAX}")
                ratio = Decimal(1)
            multiplier = ratio.quantize(_MULTIPLIER_STEP)
            if name not in ratios:
                if name == DEFAULT_GROUP:
                    continue
                self._remarks.changed(place, "is missing: a multiplier of 1")
            elif multiplier != ratio:
                self._remarks.changed(place, "rounded to six decimals")
            else:
                self._remarks.taken(place, "the group's multiplier")
            groups.append({"name": name, "multiplier": tolerant.plain_number(multiplier)})
        return groups

    def model(self, name: str, servings: list[Serving]) -> dict[str, Any] | None:
        """Return a model's entry with its price; None if it has the list price, or none."""
        listed = list_prices(name, servings, self._now_ms)
        each = self._ratio("ModelPrice", name)
        if each is not None:
            price = _priced({"requests": each * 1_000_000})
            place = f"options.ModelPrice.{name}"
        else:
            price = _priced(self._by_ratio(name, listed))
            place = f"options.ModelRatio.{name}"
        if price:
            self._remarks.taken(place, f"prices of {', '.join(price)}")
            return {"name": name, "price": price}
        if listed is None:
            self._remarks.to_do(place, "no price is known: set one under models, or free: true")
        return None

    def rest(self, models: Iterable[str]) -> None:
        """Say what becomes of the options that are not read."""
        known = frozenset(models)
        for table in ("ModelRatio", "ModelPrice"):
            if unused := sum(1 for name in self._tables[table] if name not in known):
                self._remarks.left_out(f"options.{table}", f"{unused} models that no imported channel serves")
        self._remarks.others("options", self._options, _READ, "settings of New API without a counterpart here")

    def _ratio(self, table: str, name: str) -> Decimal | None:
        found = tolerant.number(self._tables[table].get(name))
        return found if found is not None and 0 <= found <= values.AMOUNT_USD_MAX else None

    def _by_ratio(self, name: str, listed: Prices | None) -> dict[str, Decimal]:
        ratio = self._ratio("ModelRatio", name)
        if ratio is None:
            return {}
        usd = ratio * USD_PER_RATIO
        prices = {"input": usd, "output": usd * self._completion(name, listed)}
        for table, kind in _OF_INPUT.items():
            if (part := self._ratio(table, name)) is not None:
                prices[kind] = usd * part
        if (audio := self._ratio("AudioRatio", name)) is not None:
            answered = self._ratio("AudioCompletionRatio", name)
            prices["input_audio"] = usd * audio
            prices["output_audio"] = usd * audio * (1 if answered is None else answered)
        return prices

    def _completion(self, name: str, listed: Prices | None) -> Decimal:
        found = self._ratio("CompletionRatio", name)
        if found is not None:
            return found
        place = f"options.CompletionRatio.{name}"
        if listed and listed.get("input") and "output" in listed:
            self._remarks.changed(place, "is not in the export: as output is to input on the price list")
            return Decimal(listed["output"]) / Decimal(listed["input"])
        self._remarks.changed(place, "is not in the export: output at the price of input. Check it")
        return Decimal(1)


def _priced(prices: Mapping[str, Decimal]) -> dict[str, int | float]:
    found = {kind: tolerant.amount(usd) if usd <= values.AMOUNT_USD_MAX else None for kind, usd in prices.items()}
    return {kind: usd for kind, usd in found.items() if usd is not None}
