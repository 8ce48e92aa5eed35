"""Operations of the playground."""

from typing import Any, Final

from trunkline.policy.access import Access
from trunkline.policy.operations.operation import Operation

CHAT: Final = Operation(
    id="playground_chat",
    method="POST",
    path="/accounts/{account}/playground/chat",
    access=Access.PLAY,
    summary=(
        "Send a request of Chat Completions at the account's cost; status, body and errors are the gateway's own. "
        "Nothing of it is stored."
    ),
    body=dict[str, Any],
    media="text/event-stream",
    audited=False,
    long=True,
)

OPERATIONS: Final = (CHAT,)
