"""Limits and budgets as people read them: in diffs and in what the CLI shows. Pure."""

from trunkline.core.money import usd_text
from trunkline.policy.meters import LIMIT_KINDS, Budgets, FamilyLimits, Limits, ModelBudget

NONE = "none"


def limits_text(limits: Limits) -> str:
    """Return a set of limits: ``rpm 50, tpm 1000; gpt-*, o1*: rpm 5``."""
    parts = [_bounds(limits), *(f"{', '.join(family.models)}: {_bounds(family)}" for family in limits.families)]
    return "; ".join(filter(None, parts)) or NONE


def budgets_text(budgets: Budgets) -> str:
    """Return a set of budgets: ``daily 5.00 USD; gpt-4*: monthly 1.00 USD; gpt-4o-mini for gpt-4o``."""
    parts = [
        _amounts(budgets),
        *(f"{', '.join(budget.models)}: {_amounts(budget)}" for budget in budgets.models),
        ", ".join(f"{cheaper} for {model}" for model, cheaper in sorted(budgets.cheaper.items())),
    ]
    return "; ".join(filter(None, parts)) or NONE


def _bounds(limits: Limits | FamilyLimits) -> str:
    found = ((name, getattr(limits, name)) for name in LIMIT_KINDS)
    return ", ".join(f"{name} {bound}" for name, bound in found if bound is not None)


def _amounts(budgets: Budgets | ModelBudget) -> str:
    amounts = (("daily", budgets.daily_nano), ("monthly", budgets.monthly_nano))
    return ", ".join(f"{name} {usd_text(nano)} USD" for name, nano in amounts if nano is not None)
