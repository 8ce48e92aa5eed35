"""What every answer tells a browser, unless its handler has said otherwise. Bound in `services.console.app`."""

from typing import Final

from aiohttp import web

DEFAULTS: Final = {
    # Answers have new keys' secrets and sessions' tokens in them: no cache keeps them, on disk or in between.
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}


async def complete(_request: web.Request, response: web.StreamResponse) -> None:
    """Add to an answer what it does not say yet, before its head is sent."""
    for name, value in DEFAULTS.items():
        response.headers.setdefault(name, value)
