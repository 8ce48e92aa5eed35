"""Operations that show the site as it is at the moment."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_live import LiveNow
from trunkline.policy.operations.operation import Operation, get

LIVE: Final = Operation(
    id="live",
    method="GET",
    path="/live",
    access=Access.OPERATOR,
    summary="Watch the site: an event `history` with the last two minutes, then an event `now` each second.",
    media="text/event-stream",
    long=True,
)
NOW: Final = get("live_now", "/live/now", Access.OPERATOR, "Show the site as it is now, once.", LiveNow)

OPERATIONS: Final = (LIVE, NOW)
