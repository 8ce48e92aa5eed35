"""What lets pages of other sites call the gateway (the Fetch standard's CORS protocol), as providers' own APIs do.

A key travels in a header that a page sends on purpose, never in a cookie that a browser adds by itself: so there is
nothing that another site could do in a reader's name, and every origin may call.
"""

import re
from typing import Final

from trunkline.runtime.http_exchange import Exchange, Request

SHARED: Final = b"access-control-allow-origin: *\r\naccess-control-expose-headers: *\r\n"
"""On every answer to a request that a page has sent."""

_PREFLIGHT: Final = b"%baccess-control-allow-methods: GET, HEAD, POST\r\naccess-control-max-age: 86400\r\n" % SHARED
_NAMES: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~, -]{1,4096}", re.ASCII)


def mark(exchange: Exchange) -> None:
    """Let the answer be read by the page that has sent the request, if one has."""
    if "origin" in exchange.request.headers:
        exchange.further = SHARED


def is_preflight(request: Request) -> bool:
    """Return whether a browser asks if a page may send a request."""
    return request.method == "OPTIONS" and "access-control-request-method" in request.headers


def allow(exchange: Exchange) -> None:
    """Answer a preflight. It comes without a key, so it says nothing of one."""
    wanted = exchange.request.headers.get("access-control-request-headers", "").lower()
    # The wildcard leaves out Authorization, so the names are said again.
    names = f"access-control-allow-headers: {wanted}\r\n".encode() if _NAMES.fullmatch(wanted) else b""
    exchange.further = b""
    exchange.respond(200, _PREFLIGHT + names, b"")
