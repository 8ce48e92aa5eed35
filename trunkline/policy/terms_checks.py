"""What must hold of limits, budgets and time zones beyond their form. Called by `configuration_checks` and the console.

Every function takes the place of what it checks (empty for the whole) and notes faults there.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from trunkline.policy import configuration_values as values
from trunkline.policy.configuration import BudgetsEntry, ModelBudgetEntry
from trunkline.policy.meters import FAMILIES_MAX, LIMIT_KINDS, FamilyLimits, Limits
from trunkline.policy.strict import FaultList, joined

LIMIT_MAX: Final = 10**12
"""Of anything per minute or day: a thousand times what the largest installations use, and sums stay far from 2⁶³."""

PATTERNS_MAX: Final = 64
"""Patterns of one family: they become one expression that each model's name is compared with."""

CHEAPER_MAX: Final = 256
"""Models with a cheaper one, in one set of budgets: the whole map goes to every edge that uses the account."""

_AMOUNTS = ("daily", "monthly")

V = TypeVar("V")


def check_limits(limits: Limits, place: str, faults: FaultList) -> None:
    """Check a set of limits."""
    _bounds(limits, place, faults)
    _families(limits.families, tuple(LIMIT_KINDS), joined(place, "families"), faults)
    for number, family in enumerate(limits.families):
        _bounds(family, joined(place, f"families[{number}]"), faults)


def check_budgets(entry: BudgetsEntry, models: frozenset[str], place: str, faults: FaultList) -> None:
    """Check a set of budgets; ``models`` are the names that ``cheaper`` may hold."""
    _amounts(entry, place, faults)
    _families(entry.models, _AMOUNTS, joined(place, "models"), faults)
    for number, budget in enumerate(entry.models):
        _amounts(budget, joined(place, f"models[{number}]"), faults)
    place = joined(place, "cheaper")
    if entry.cheaper and entry.daily is None and entry.monthly is None and not entry.models:
        faults.add(place, "needs a budget beside it: a cheaper model takes over when one is used up")
    if len(entry.cheaper) > CHEAPER_MAX:
        faults.add(place, f"must have at most {CHEAPER_MAX} models")
        return
    for model, cheaper in entry.cheaper.items():
        for name in (model, cheaper):
            if name not in models:
                faults.add(joined(place, model), f"unknown model {name!r}; declare it under models")
        if _leads_back(entry.cheaper, model):
            faults.add(joined(place, model), "leads back to the same model")


def _bounds(limits: Limits | FamilyLimits, place: str, faults: FaultList) -> None:
    for name in LIMIT_KINDS:
        bound = getattr(limits, name)
        if bound is not None and not 1 <= bound <= LIMIT_MAX:
            faults.add(joined(place, name), f"must be between 1 and {LIMIT_MAX}")


def _amounts(entry: BudgetsEntry | ModelBudgetEntry, place: str, faults: FaultList) -> None:
    for name in _AMOUNTS:
        usd = getattr(entry, name)
        if usd is not None:
            _try(values.nano_amount, usd, joined(place, name), faults)


def _families(
    families: Sequence[FamilyLimits | ModelBudgetEntry], bounds: tuple[str, ...], place: str, faults: FaultList
) -> None:
    if len(families) > FAMILIES_MAX:
        faults.add(place, f"must have at most {FAMILIES_MAX} entries")
    first: dict[str, str] = {}
    for number, family in enumerate(families):
        here = f"{place}[{number}]"
        if all(getattr(family, name) is None for name in bounds):
            faults.add(here, f"must set one of {', '.join(bounds)}")
        if not 1 <= len(family.models) <= PATTERNS_MAX:
            faults.add(f"{here}.models", f"must name between 1 and {PATTERNS_MAX} models or patterns")
        for index, pattern in enumerate(family.models):
            _try(values.check_model_name, pattern, f"{here}.models[{index}]", faults)
        # As meters are told apart (`policy.meters`).
        patterns = ",".join(family.models)
        if patterns in first:
            faults.add(f"{here}.models", f"the same models as {first[patterns]}")
        first.setdefault(patterns, f"{here}.models")


def _leads_back(cheaper: Mapping[str, str], model: str) -> bool:
    """Return whether a model is its own replacement, at once or by way of others."""
    following: str | None = model
    for _ in cheaper:
        following = cheaper.get(following) if following is not None else None
        if following == model:
            return True
    return False


def _try(check: Callable[[V], object], value: V, place: str, faults: FaultList) -> None:
    try:
        check(value)
    except ValueError as error:
        faults.add(place, str(error))
