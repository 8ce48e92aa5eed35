"""Operations on the model square: what can be called, how, and for how much."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_square import ModelSquare
from trunkline.policy.operations.operation import Parameter, get

LIST: Final = get(
    "list_account_models",
    "/accounts/{account}/models",
    Access.ACCOUNT_READ,
    "List the models that an account's people can call, with their prices and how they fare.",
    ModelSquare,
    Parameter("group", "Only what this one of the account's groups can call."),
)
LIST_PUBLIC: Final = get(
    "list_public_models",
    "/public/models",
    Access.PUBLIC,
    "List the models of the groups that the status page shows.",
    ModelSquare,
)

OPERATIONS: Final = (LIST, LIST_PUBLIC)
