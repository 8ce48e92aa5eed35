"""Plain data to structs, with every fault and its place; `msgspec.convert` stops at the first.

Used for the configuration file, where people want to see all that is wrong at once.
"""

import datetime as dt
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_origin

import msgspec

S = TypeVar("S")


class FaultList:
    """Collects what is wrong, one sentence each with its place."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def add(self, place: str, message: str) -> None:
        """Note a fault. ``message`` never quotes a value that may be a secret."""
        self.faults.append(f"{place}: {message}" if place else message)


def convert(value: object, wanted: type[S], place: str, faults: FaultList) -> S | None:
    """Return ``value`` as the struct ``wanted``, or None after noting every fault in it.

    Args:
        value: as parsed from YAML or JSON.
        wanted: a msgspec Struct; fields may be structs, tuples of structs and maps to structs.
        place: where it stands, such as ``channels[0]``; empty for the whole.
        faults: receives the faults.
    """
    before = len(faults.faults)
    converted = _struct(value, wanted, place, faults)
    return converted if len(faults.faults) == before else None


def _struct(value: object, wanted: Any, place: str, faults: FaultList) -> Any:
    if not isinstance(value, Mapping):
        faults.add(place, f"must be a mapping, not {_kind(value)}")
        return None
    hints = typing.get_type_hints(wanted, include_extras=True)
    fields = {field.name: field for field in msgspec.structs.fields(wanted)}
    for name in value:
        if name not in fields:
            known = ", ".join(fields)
            faults.add(joined(place, name), f"unknown field; known here are: {known}")
    values = {}
    complete = True
    for name, field in fields.items():
        if name in value:
            values[name] = _any(value[name], hints[name], joined(place, name), faults)
        elif field.required:
            faults.add(joined(place, name), "is missing")
            complete = False
    return wanted(**values) if complete else None


def _any(value: object, wanted: Any, place: str, faults: FaultList) -> Any:
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin in {types.UnionType, typing.Union} and types.NoneType in arguments and len(arguments) == 2:
        if value is None:
            return None
        return _any(value, next(kind for kind in arguments if kind is not types.NoneType), place, faults)
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
        return _struct(value, wanted, place, faults)
    if origin is tuple:
        return _sequence(value, arguments[0], place, faults)
    if origin is dict:
        return _mapping(value, arguments[1], place, faults)
    return _leaf(value, wanted, place, faults)


def _sequence(value: object, wanted: Any, place: str, faults: FaultList) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        faults.add(place, f"must be a list, not {_kind(value)}")
        return ()
    return tuple(_any(item, wanted, f"{place}[{number}]", faults) for number, item in enumerate(value))


def _mapping(value: object, wanted: Any, place: str, faults: FaultList) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        faults.add(place, f"must be a mapping, not {_kind(value)}")
        return {}
    converted = {}
    for name, item in value.items():
        if not isinstance(name, str):
            faults.add(joined(place, name), f"its name must be text, not {_kind(name)}; put it in quotes")
        else:
            converted[name] = _any(item, wanted, joined(place, name), faults)
    return converted


def _leaf(value: object, wanted: Any, place: str, faults: FaultList) -> Any:
    if type(value) is dt.date:  # YAML's date without a time, which msgspec does not take for a moment
        value = dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    elif isinstance(value, dt.datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=dt.UTC)
    try:
        return msgspec.convert(value, wanted, strict=True)
    except msgspec.ValidationError as error:
        text = str(error)
        faults.add(place, text[0].lower() + text[1:])
        return None


def joined(place: str, name: object) -> str:
    """Return the place of a part; ``place`` is empty for the whole."""
    return f"{place}.{name}" if place else str(name)


_KINDS = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}


def _kind(value: object) -> str:
    return "nothing" if value is None else _KINDS.get(type(value), type(value).__name__)
