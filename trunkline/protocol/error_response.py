"""An error as an HTTP response: what all client dialects share of it.

Statuses are those of DIALECTS section 4.2. The official SDKs retry 408, 409, 429 and 5xx by themselves, so
``x-should-retry: false`` stands on whatever a repetition would not help.
"""

import msgspec

from trunkline.core.errors import Fault

RETRY_AFTER_MS_DEFAULT = 1000
"""Where a retry has a chance and nobody knows when: long enough to spread clients, short enough not to annoy."""


class ErrorResponse(msgspec.Struct, frozen=True):
    """An HTTP response.

    Attributes:
        status: HTTP status.
        headers: names in lower case, without ``content-length``.
        body: JSON.
    """

    status: int
    headers: dict[str, str]
    body: bytes


def retry_headers(fault: Fault, *, retry: bool, wait: bool) -> dict[str, str]:
    """Return the headers that tell an SDK whether and when to try again.

    Args:
        fault: may know when.
        retry: whether the same request may succeed later.
        wait: say when, even if nobody knows.
    """
    headers = {} if retry else {"x-should-retry": "false"}
    wait_ms = fault.retry_after_ms
    if wait_ms is None and wait:
        wait_ms = RETRY_AFTER_MS_DEFAULT
    if wait_ms is not None:
        # Whole seconds, rounded up: a client that comes early is refused again.
        headers["retry-after"] = str(-(-wait_ms // 1000))
        headers["retry-after-ms"] = str(wait_ms)
    return headers
