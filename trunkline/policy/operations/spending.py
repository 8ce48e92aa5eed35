"""Operations on what was spent of budgets."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_credit import SpentBudget
from trunkline.policy.operations.operation import get

LIST: Final = get(
    "list_spending",
    "/accounts/{account}/spending",
    Access.MONEY_READ,
    "List an account's budgets with what was spent of them in their present day or month: all of its own, and those of "
    "its users and keys of which something was.",
    list[SpentBudget],
)

OPERATIONS: Final = (LIST,)
