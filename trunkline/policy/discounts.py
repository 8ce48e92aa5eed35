"""Volume discounts: what an account has spent in a month decides what is taken off its next prices. Pure.

A schedule is a list of steps; the highest one that the month's spending has reached applies to what is priced next,
and what was priced before stays as it was. Months are calendar months in UTC, the same for everybody, and spending is
dated as the ledger dates its charges: by the end of the attempt.
"""

import datetime as dt
from collections.abc import Iterable, Mapping

import msgspec

from trunkline.core.money import PARTS_PER_MILLION

STEPS_MAX = 100
"""Steps of all schedules together. Nobody sells in more."""


class DiscountStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step.

    Attributes:
        monthly_nano: spending of the month from which it applies, in nano-USD.
        discount_ppm: what is taken off, in parts per million.
        tier: whose accounts it is for; None for those of all tiers that have no steps of their own.
    """

    monthly_nano: int
    discount_ppm: int
    tier: str | None = None


Schedule = tuple[DiscountStep, ...]
"""Steps of one tier by rising spending."""


def discount_ppm(schedule: Schedule, month_spend_nano: int) -> int:
    """Return the discount of an account that has spent so much this month, in parts per million."""
    reached = 0
    for step in schedule:
        if step.monthly_nano > month_spend_nano:
            break
        reached = step.discount_ppm
    return reached


class Discounts:
    """The schedules of all tiers.

    Args:
        steps: in any order.
    """

    __slots__ = ("_of_others", "_of_tiers")

    def __init__(self, steps: Iterable[DiscountStep] = ()) -> None:
        ordered = sorted(steps, key=lambda step: step.monthly_nano)
        tiers = {step.tier for step in ordered} - {None}
        self._of_others: Schedule = tuple(step for step in ordered if step.tier is None)
        self._of_tiers: Mapping[str | None, Schedule] = {
            tier: tuple(step for step in ordered if step.tier == tier) for tier in tiers
        }

    def __bool__(self) -> bool:
        """Return whether there is any step."""
        return bool(self._of_others or self._of_tiers)

    def of(self, tier: str | None) -> Schedule:
        """Return the schedule of a tier's accounts, or of those without a tier."""
        return self._of_tiers.get(tier, self._of_others)


NO_DISCOUNTS = Discounts()


def month_of(at_ms: int) -> dt.date:
    """Return the first day of a moment's calendar month in UTC, given as Unix time in milliseconds."""
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).date().replace(day=1)


def percent_text(ppm: int) -> str:
    """Return a discount as people write it: ``7.5 %``."""
    whole, fraction = divmod(ppm * 100, PARTS_PER_MILLION)
    digits = f"{fraction:06d}".rstrip("0")
    return f"{whole}.{digits} %" if digits else f"{whole} %"
