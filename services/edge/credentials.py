"""Where a client's key stands in its request: each dialect has a place of its own, and users put it into any of them.

One look-up for all routes. A header that a program fills by itself (``Bearer undefined``, a vendor's key) must not
hide a valid key beside it, so the first well-formed one is taken, the dialect's own place first (DIALECTS section 1).
"""

from collections.abc import Iterator
from urllib.parse import parse_qsl

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.policy.keys import KEY_CHARS, well_formed
from trunkline.protocol.names import ANTHROPIC, GEMINI
from trunkline.runtime.http_exchange import Request

_PLACES = ("authorization", "x-api-key", "x-goog-api-key", "api-key", "?key")
_OWN_PLACES = {ANTHROPIC: ("x-api-key",), GEMINI: ("x-goog-api-key", "?key")}

_BEARER = "Bearer "

NO_KEY = Fault(
    ErrorType.CLIENT_UNAUTHENTICATED,
    "No API key was sent. Send it as 'Authorization: Bearer sk-tl-…', or as this dialect's SDK does.",
)
_MALFORMED_KEY = Fault(
    ErrorType.CLIENT_UNAUTHENTICATED,
    "This is not a key of this gateway: it must be 'sk-tl-' and 38 letters and digits. Check for missing characters.",
)


def likely_secret(request: Request, dialect: str) -> str:
    """Return what stands where most clients have their key, if it is as long as one and no other place goes first.

    Its form is not looked at, which whoever knows it as a key need not do. Empty where there is no such thing.

    Args:
        request: of the client.
        dialect: name of the route's; empty if it has none.
    """
    usual = request.headers.get("authorization", "")
    likely = len(usual) == len(_BEARER) + KEY_CHARS and usual.startswith(_BEARER) and dialect not in _OWN_PLACES
    return usual[len(_BEARER) :] if likely else ""


def find_secret(request: Request, dialect: str) -> str:
    """Return the client's key.

    Args:
        request: of the client.
        dialect: name of the route's; empty if it has none.

    Raises:
        FaultError: ``client_unauthenticated``: there is none, or none that could be one.
    """
    any_sent = False
    for secret in _sent(request, (*_OWN_PLACES.get(dialect, ()), *_PLACES)):
        if well_formed(secret):
            return secret
        any_sent = True
    raise FaultError(_MALFORMED_KEY if any_sent else NO_KEY)


def _sent(request: Request, places: tuple[str, ...]) -> Iterator[str]:
    for place in places:
        if place == "?key":
            yield from (value.strip() for name, value in parse_qsl(request.query) if name == "key")
            continue
        value = request.headers.get(place)
        if value is None:
            continue
        if place == "authorization":
            scheme, _, secret = value.partition(" ")
            value = secret if scheme.lower() == "bearer" else value
        if value := value.strip():
            yield value
