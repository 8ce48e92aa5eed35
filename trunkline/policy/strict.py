"""Plain data to structs, with every fault and its place; `msgspec.convert` stops at the first.

Used for the configuration file, where people want to see all that is wrong at once.
"""

import datetime as dt
import enum
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_origin

import msgspec

S = TypeVar("S")

_DIGITS = re.compile(r"[0-9]{1,9}", re.ASCII)


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
        wanted: a msgspec Struct; fields may be structs, tuples of structs and maps to structs, and a struct or a text.
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
    if origin in {types.UnionType, typing.Union}:
        if value is None and types.NoneType in arguments:
            return None
        kinds = [kind for kind in arguments if kind not in {types.NoneType, msgspec.UnsetType}]
        # Of two kinds one is a text and the other the struct that says more.
        return _any(value, kinds[-1] if isinstance(value, Mapping) else kinds[0], place, faults)
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
        return _struct(value, wanted, place, faults)
    if origin is tuple:
        return _sequence(value, arguments[0], place, faults)
    if origin is dict:
        return _mapping(value, arguments, place, faults)
    return _leaf(value, wanted, place, faults)


def _sequence(value: object, wanted: Any, place: str, faults: FaultList) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        faults.add(place, f"must be a list, not {_kind(value)}")
        return ()
    return tuple(_any(item, wanted, f"{place}[{number}]", faults) for number, item in enumerate(value))


def _mapping(value: object, wanted: tuple[Any, Any], place: str, faults: FaultList) -> dict[Any, Any]:
    names, items = wanted
    if not isinstance(value, Mapping):
        faults.add(place, f"must be a mapping, not {_kind(value)}")
        return {}
    converted: dict[Any, Any] = {}
    for name, item in value.items():
        if names is int:
            if (number := _whole_number(name)) is None:
                faults.add(joined(place, name), "its name must be a whole number")
            else:
                converted[number] = _any(item, items, joined(place, name), faults)
        elif not isinstance(name, str):
            faults.add(joined(place, name), f"its name must be text, not {_kind(name)}; put it in quotes")
        else:
            converted[name] = _any(item, items, joined(place, name), faults)
    return converted


def _whole_number(name: object) -> int | None:
    """Return a number that names a member: in YAML a number, in JSON its digits; None if it is neither."""
    if isinstance(name, str):
        return int(name) if _DIGITS.fullmatch(name) else None
    return name if type(name) is int else None


def _leaf(value: object, wanted: Any, place: str, faults: FaultList) -> Any:
    if type(value) is dt.date:  # YAML's date without a time, which msgspec does not take for a moment
        value = dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    elif isinstance(value, dt.datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=dt.UTC)
    if isinstance(wanted, type) and issubclass(wanted, enum.Enum):
        known = [member.value for member in wanted]
        if value not in known:
            faults.add(place, f"must be one of {', '.join(known)}")
            return None
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
