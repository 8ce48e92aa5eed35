"""Operations on the audit log."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_audit import AuditPage
from trunkline.policy.operations.operation import Parameter, get

_QUERY: Final = (
    Parameter("actor", "Only what logins have done whose names begin so."),
    Parameter("operation", "Only operations whose names begin so, such as create_key."),
    Parameter("since", "Only from this moment on (ISO 8601)."),
    Parameter("until", "Only before this moment (ISO 8601)."),
    Parameter("before", "Only entries before the one of this id: the page that follows.", {"type": "integer"}),
)

LIST_ALL: Final = get(
    "list_audit",
    "/audit",
    Access.OPERATOR,
    "List who has changed what, newest first.",
    AuditPage,
    Parameter("account", "Only what was about this account."),
    *_QUERY,
)
LIST: Final = get(
    "list_account_audit",
    "/accounts/{account}/audit",
    Access.MEMBERS_READ,
    "List who has changed what of an account, newest first.",
    AuditPage,
    *_QUERY,
)

OPERATIONS: Final = (LIST_ALL, LIST)
