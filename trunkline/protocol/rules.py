"""A channel's changes to the fields of a request, whatever its dialect and whether it is JSON or a form."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

_encode = msgspec.json.Encoder().encode
_decode_number = msgspec.json.Decoder(int | float).decode


class Ruled(Protocol):
    """A request of which the fields are changed by name. A value is JSON."""

    def drop(self, name: str) -> None:
        """Remove a field, if it is there."""

    def put(self, name: str, value: bytes) -> None:
        """Give a field a value, whether it is there or not."""

    def default(self, name: str, value: bytes) -> None:
        """Give a field a value unless it has one."""

    def clamp(self, name: str, lowest: float | None, highest: float | None) -> None:
        """Keep a field within bounds, where it is there and a number."""

    def rename(self, names: Mapping[str, str]) -> None:
        """Give fields other names, all at once; one that has the new name already makes way."""


class RequestRules(msgspec.Struct, frozen=True):
    """Changes to the fields of a request, made in this order.

    The names in all of them are those that the provider's dialect has, before anything is renamed.

    Attributes:
        drop: fields that are removed.
        set: fields that are given a value, as JSON.
        default: fields that are given a value, as JSON, where the request has none, or null.
        clamp: bounds (lowest, highest) of numeric fields; applied only where the field is there then.
        rename: fields to their new names. Where the request has both, the renamed one wins.
        then: changes made after these, but before anything is renamed; of two new names for a field the later wins.
    """

    drop: tuple[str, ...] = ()
    set: dict[str, bytes] = {}
    default: dict[str, bytes] = {}
    clamp: dict[str, tuple[float | None, float | None]] = {}
    rename: dict[str, str] = {}
    then: "RequestRules | None" = None

    @property
    def empty(self) -> bool:
        """Whether nothing changes."""
        return not (self.drop or self.set or self.default or self.clamp or self.rename or self.then)

    def decides(self, name: str) -> bool:
        """Return whether a field is dropped or set, whatever the request has."""
        return name in self.drop or name in self.set or (self.then is not None and self.then.decides(name))

    def apply(self, request: Ruled) -> None:
        """Make the changes."""
        names: dict[str, str] = {}
        step: RequestRules | None = self
        while step is not None:
            for name in step.drop:
                request.drop(name)
            for name, value in step.set.items():
                request.put(name, value)
            for name, value in step.default.items():
                request.default(name, value)
            for name, (lowest, highest) in step.clamp.items():
                request.clamp(name, lowest, highest)
            names.update(step.rename)
            step = step.then
        if names:
            request.rename(names)


NO_RULES = RequestRules()


def clamped(value: bytes, lowest: float | None, highest: float | None) -> bytes | None:
    """Return a number, as JSON, within bounds; None where it is already, or no number."""
    try:
        number = _decode_number(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if lowest is not None and number < lowest:
        return _number(lowest)
    if highest is not None and number > highest:
        return _number(highest)
    return None


def _number(bound: float) -> bytes:
    """Return a bound as JSON; a whole one without a fraction, as many fields take only integers."""
    return _encode(int(bound) if float(bound).is_integer() else bound)
