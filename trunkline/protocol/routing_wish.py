"""What a client may ask of the routing: other models to fall back to, and how to choose among channels.

In the body as ``fallback_models`` (a list), ``models`` (a list, in which the first may be the model itself) or
``zenmux-route`` (an object with ``strategy`` and ``fallback``); in headers for SDKs that refuse unknown fields. None of
these fields ever reaches a provider.
"""

import msgspec

BODY_FIELDS = ("fallback_models", "models", "zenmux-route")
"""Top-level fields of a body that are meant for the gateway alone."""


class RoutingWish(msgspec.Struct, frozen=True):
    """A client's wish, as far as it has one.

    Attributes:
        fallbacks: models that may take over, in their order; not checked against what the key may use.
        strategy: name of one, empty for none.
    """

    fallbacks: tuple[str, ...] = ()
    strategy: str = ""
