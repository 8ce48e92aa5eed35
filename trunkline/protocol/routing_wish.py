"""What a client may ask of the routing: other models to fall back to, and how to choose among channels.

In the body as ``fallback_models`` (a list), ``models`` (a list, in which the first may be the model itself) or
``zenmux-route`` (an object with ``strategy`` and ``fallback``); in headers for SDKs that refuse unknown fields. None of
these fields ever reaches a provider.

The readers of bodies have `WishFields` and call `read_wish`; the edge reads its headers with `names_of`.
"""

from collections.abc import Iterable

import msgspec

from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.json_span import decode_cleaned

BODY_FIELDS = ("fallback_models", "models", "zenmux-route")
"""Top-level fields of a body that are meant for the gateway alone."""


class RoutingWish(msgspec.Struct, frozen=True):
    """A client's wish, as far as it has one.

    Attributes:
        fallbacks: models that may take over, in their order, and the model itself where a list has it; not checked
            against what the key may use.
        strategy: name of one, empty for none.
        first: of the list ``models``: the model itself where the request names none elsewhere; empty without the list.
    """

    fallbacks: tuple[str, ...] = ()
    strategy: str = ""
    first: str = ""


class WishFields(msgspec.Struct):
    """The members of a body in which a wish may stand; raw, since hardly any body has them."""

    fallback_models: msgspec.Raw = msgspec.Raw()
    models: msgspec.Raw = msgspec.Raw()
    zenmux_route: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="zenmux-route")


class _Route(msgspec.Struct):
    strategy: str | None = None
    fallback: list[str] | str | None = None


_NAMES_HINT = "must be a list of names of models, such as those that GET /v1/models lists."

_decode_names = msgspec.json.Decoder(list[str] | None).decode
_decode_route = msgspec.json.Decoder(_Route | None).decode


def read_wish(fields: WishFields) -> RoutingWish | None:
    """Return what a body wishes of the routing, None for nothing.

    Where it has several lists, all count: ``models``, ``fallback_models``, then ``zenmux-route``.

    Raises:
        FaultError: ``client_bad_request``, with the field at fault as ``param``.
    """
    if not (fields.fallback_models or fields.models or fields.zenmux_route):
        return None
    models = _names(fields.models, "models")
    more = _names(fields.fallback_models, "fallback_models")
    route = _route(fields.zenmux_route)
    named = [route.fallback] if isinstance(route.fallback, str) else route.fallback or []
    fallbacks = names_of((*models, *more, *named), _field_of(models, more))
    return RoutingWish(fallbacks, route.strategy or "", models[0] if models else "")


def names_of(names: Iterable[str], param: str | None) -> tuple[str, ...]:
    """Return names of fallback models, each once, after checking that they can be some.

    Args:
        names: in their order.
        param: where they stand in the body; None in a header.

    Raises:
        FaultError: ``client_bad_request``.
    """
    found = tuple(dict.fromkeys(names))
    if not all(name.strip() and len(name) <= limits.MODEL_NAME_CHARS_MAX for name in found):
        raise _bad("A fallback model has no name, or one that is too long. Use names from GET /v1/models.", param)
    return found


def _field_of(models: list[str], more: list[str]) -> str:
    return "models" if models else "fallback_models" if more else "zenmux-route.fallback"


def _names(value: msgspec.Raw, field: str) -> list[str]:
    if not value:
        return []
    try:
        return decode_cleaned(_decode_names, bytes(value)) or []
    except msgspec.DecodeError:
        raise _bad(f"`{field}` {_NAMES_HINT}", field) from None


def _route(value: msgspec.Raw) -> _Route:
    if not value:
        return _Route()
    try:
        return decode_cleaned(_decode_route, bytes(value)) or _Route()
    except msgspec.ValidationError as error:
        # The decoder's message ends with where the mistake is.
        if "$.strategy" in str(error):
            raise _bad(
                "`zenmux-route.strategy` must be the name of a strategy as a text.", "zenmux-route.strategy"
            ) from None
        if "$.fallback" in str(error):
            message = "`zenmux-route.fallback` must be the name of a model, or a list of names."
            raise _bad(message, "zenmux-route.fallback") from None
        message = '`zenmux-route` must be an object such as {"strategy": "latency", "fallback": ["model"]}.'
        raise _bad(message, "zenmux-route") from None
    except msgspec.DecodeError:
        raise _bad("`zenmux-route` is not valid JSON.", "zenmux-route") from None


def _bad(message: str, param: str | None) -> FaultError:
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param=param))
