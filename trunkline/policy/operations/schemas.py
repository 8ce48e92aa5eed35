"""JSON schemas of what requests and answers hold, with the words of the structs' own descriptions."""

import datetime as dt
import inspect
from collections.abc import Iterable, Iterator
from typing import Any, Final, get_args

import msgspec

PLACE: Final = "#/components/schemas/"
"""Where a document has its schemas, as references write it."""


def schemas(kinds: Iterable[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the schema of each of some types, and the named ones that they refer to.

    Args:
        kinds: structs, or containers of such.

    Raises:
        ValueError: two structs have one name.
    """
    kinds = list(kinds)
    described = structs(kinds)
    found, named = msgspec.json.schema_components(kinds, ref_template=f"{PLACE}{{name}}")
    for schema in named.values():
        schema["description"] = _plain(_parts(schema.get("description", ""))[0])
    for name, struct in described.items():
        _describe(named[name]["properties"], struct)
    return list(found), dict(sorted(named.items()))


def structs(kinds: Iterable[Any]) -> dict[str, type[msgspec.Struct]]:
    """Return the structs that types hold at any depth, by name.

    Raises:
        ValueError: two have one name.
    """
    found: dict[str, type[msgspec.Struct]] = {}
    waiting = list(kinds)
    while waiting:
        kind = waiting.pop()
        waiting.extend(get_args(kind))
        if not isinstance(kind, type) or not issubclass(kind, msgspec.Struct) or found.get(kind.__name__) is kind:
            continue
        if kind.__name__ in found:
            raise ValueError(f"two structs are named {kind.__name__}; give one of them another name")
        found[kind.__name__] = kind
        waiting.extend(field.type for field in msgspec.structs.fields(kind))
    return found


def _describe(properties: dict[str, Any], struct: type[msgspec.Struct]) -> None:
    """Give fields the descriptions that the struct has of them, and say which of them are moments."""
    words = {name: text for base in reversed(struct.__mro__) for name, text in _attributes(base.__doc__ or "")}
    for field in msgspec.structs.fields(struct):
        property_ = properties[field.encode_name]
        if field.name in words:
            property_["description"] = _plain(words[field.name])
        if dt.datetime in {field.type, *get_args(field.type)}:
            for part in property_.get("anyOf", [property_]):
                if part.get("type") == "string":
                    part["format"] = "date-time"


def _parts(text: str) -> tuple[str, str]:
    """Return what a docstring says of the whole, and what of its attributes."""
    whole, _, attributes = inspect.cleandoc(text).partition("\n\nAttributes:\n")
    return whole, attributes


def _attributes(text: str) -> Iterator[tuple[str, str]]:
    """Return the name of each attribute that a docstring describes, and its description."""
    # A line that is further in than an entry goes on with it.
    entries = _parts(text)[1].replace("\n        ", " ").splitlines()
    for entry in entries:
        names, colon, text = entry.strip().partition(": ")
        if colon:
            yield from ((name, text) for name in names.split(", "))


def _plain(text: str) -> str:
    return " ".join(text.replace("``", "`").split())
