"""Operations that say where an account could pay less."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_api import Comparison
from trunkline.policy.admin_credit import Savings
from trunkline.policy.operations.operation import Parameter, get
from trunkline.policy.operations.parameters import MONTH

SHOW: Final = get(
    "show_savings",
    "/accounts/{account}/savings",
    Access.MONEY_READ,
    "Show where an account could have paid less: cheaper models of the same family, caches that are not used.",
    Savings,
    MONTH,
)

COMPARE: Final = get(
    "compare_account_prices",
    "/accounts/{account}/prices/compare",
    Access.USAGE_READ,
    "Show what an account's usage of a month would have cost on the other models that it can call.",
    Comparison,
    MONTH,
    Parameter("models", "Models to compare with, separated by commas; all that it can call if left out."),
)

OPERATIONS: Final = (SHOW, COMPARE)
