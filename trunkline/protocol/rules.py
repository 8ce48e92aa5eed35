"""A channel's changes to the top-level fields of a request, whatever its dialect."""

import msgspec


class RequestRules(msgspec.Struct, frozen=True):
    """A channel's changes to top-level fields, applied in this order.

    Attributes:
        drop: fields that are removed.
        set: fields that are given a value, as JSON.
        clamp: bounds (lowest, highest) of numeric fields; applied only where the field is present.
    """

    drop: tuple[str, ...] = ()
    set: dict[str, bytes] = {}
    clamp: dict[str, tuple[float | None, float | None]] = {}
