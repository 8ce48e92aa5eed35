"""Operations on alerts: when owners and operators are told, what they were told, and whether it arrived."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_credit import AlertsView, AlertView
from trunkline.policy.configuration import AlertsEntry
from trunkline.policy.operations.operation import Operation, Parameter, get

_OF_ACCOUNT: Final = "/accounts/{account}/alerts"

LIST: Final = get(
    "list_alerts",
    "/alerts",
    Access.OPERATOR,
    "List alerts with their way to each address, the newest first.",
    list[AlertView],
    Parameter("account", "Only of this account."),
)
SHOW_SITE: Final = get(
    "show_site_alerts",
    "/alerts/terms",
    Access.OPERATOR,
    "Show where the site's operators are told.",
    AlertsView,
)
TEST_SITE: Final = Operation(
    id="test_site_alerts",
    method="POST",
    path="/alerts/test",
    access=Access.OPERATOR,
    summary="Send a test to every address of the site.",
    answer=AlertView,
    status=202,
)
SHOW: Final = get(
    "show_account_alerts",
    _OF_ACCOUNT,
    Access.MONEY_READ,
    "Show when and where an account's owners are told.",
    AlertsView,
)
PUT: Final = Operation(
    id="put_account_alerts",
    method="PUT",
    path=_OF_ACCOUNT,
    access=Access.MONEY_WRITE,
    summary="Replace all alerts of an account.",
    body=AlertsEntry,
    answer=AlertsView,
    shows="show_account_alerts",
)
HISTORY: Final = get(
    "list_account_alerts",
    f"{_OF_ACCOUNT}/history",
    Access.MONEY_READ,
    "List what an account's owners were told of late, the newest first, and whether it arrived.",
    list[AlertView],
)
TEST: Final = Operation(
    id="test_account_alerts",
    method="POST",
    path=f"{_OF_ACCOUNT}/test",
    access=Access.MONEY_WRITE,
    summary="Send a test to every address of an account.",
    answer=AlertView,
    status=202,
)

OPERATIONS: Final = (LIST, SHOW_SITE, TEST_SITE, SHOW, PUT, HISTORY, TEST)
