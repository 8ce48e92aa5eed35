"""Operations that show what health has seen of channels and credentials."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_health import CredentialStateView, HistoryRow
from trunkline.policy.operations.operation import Parameter, get
from trunkline.policy.operations.parameters import BOOLEAN, choice

CREDENTIALS: Final = get(
    "list_credentials",
    "/credentials",
    Access.OPERATOR,
    "List all credentials, and since when their providers refuse them.",
    list[CredentialStateView],
    Parameter("refused", "Whether only those that their providers refuse.", BOOLEAN),
)
HISTORY: Final = get(
    "show_history",
    "/history/{channel}",
    Access.OPERATOR,
    "Show what health saw of a channel, the newest first.",
    list[HistoryRow],
    choice("by", "How long each row is; kept for 14 days, 48 hours and 90 days.", "hour", "minute", "day"),
    Parameter("model", "Only this model; all of the channel if left out."),
    Parameter("since", "First day or moment, in UTC unless it names another zone; all that is kept if left out."),
)

OPERATIONS: Final = (CREDENTIALS, HISTORY)
