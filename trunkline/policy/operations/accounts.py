"""Operations on accounts and their credit."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_accounts import (
    AccountChange,
    AccountView,
    CreditRequest,
    CreditResult,
    NewAccount,
    PlaceView,
)
from trunkline.policy.operations.operation import Operation, Parameter, get
from trunkline.policy.operations.parameters import AFTER_NAME, LIMIT

_ACCOUNTS: Final = "/accounts"
_ACCOUNT: Final = "/accounts/{account}"

LIST: Final = get(
    "list_accounts",
    _ACCOUNTS,
    Access.OPERATOR,
    "List accounts in the order of their names.",
    list[AccountView],
    Parameter("search", "Only those with this in their name, tier or groups."),
    AFTER_NAME,
    LIMIT,
)
SHOW: Final = get("show_account", _ACCOUNT, Access.MONEY_READ, "Show an account with its balance.", AccountView)
SHOW_PLACE: Final = get(
    "show_place",
    f"{_ACCOUNT}/place",
    Access.ACCOUNT_READ,
    "Show what an account is to all of its users: its tier, limits and groups, and nothing of its money.",
    PlaceView,
)
CREATE: Final = Operation(
    id="create_account",
    method="POST",
    path=_ACCOUNTS,
    access=Access.OPERATOR,
    summary="Make an account.",
    body=NewAccount,
    answer=AccountView,
    status=201,
)
CHANGE: Final = Operation(
    id="change_account",
    method="PATCH",
    path=_ACCOUNT,
    access=Access.ACCOUNT_WRITE,
    summary="Change an account's time zone; operators change its tier and groups, too.",
    body=AccountChange,
    answer=AccountView,
    shows="show_account",
)
CREDIT: Final = Operation(
    id="credit_account",
    method="POST",
    path=f"{_ACCOUNT}/credit",
    access=Access.OPERATOR,
    summary="Grant credit to an account, once for each reference.",
    body=CreditRequest,
    answer=CreditResult,
    shows="show_account",
)

OPERATIONS: Final = (LIST, SHOW, SHOW_PLACE, CREATE, CHANGE, CREDIT)
