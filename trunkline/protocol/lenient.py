"""Reads JSON objects in which a vendor has bent something: what can be read is read, and what cannot is left out.

The readers of answers decode typed structs, which is fast; only what fails that comes here and is read member by
member, from the source text, so that no number is ever decoded and encoded.
"""

import functools
from collections.abc import Callable, Iterable
from types import UnionType
from typing import NamedTuple, TypeVar, Union, get_args, get_origin

import msgspec

from trunkline.protocol.json_span import without_lone_surrogates

DEPTH_MAX = 8
"""Objects inside each other, more than in any answer that is read. A struct may hold its own kind, and what stands deep
inside is looked at as often as it is deep."""

_OBJECT, _LIST = b"{["
"""What they begin with."""

Kind = TypeVar("Kind", bound=msgspec.Struct)

_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Field(NamedTuple):
    """How one member of a struct is read.

    Attributes:
        name, key: in the struct and in JSON.
        decode: reads all else that it may be.
        struct: what it is as an object, if it may be one.
        item: what the objects are in it, if it may be a list of them.
        textual: whether it may be a text.
    """

    name: str
    key: str
    decode: Callable[[msgspec.Raw], object]
    struct: type[msgspec.Struct] | None
    item: type[msgspec.Struct] | None
    textual: bool


def read_leniently(kind: type[Kind], source: bytes, *, texts: bool = False) -> Kind | None:
    """Return an object with those members that can be read, the others at their defaults; None for JSON that is none.

    In a list of objects everything else is left out.

    Args:
        kind: its members have defaults, which are None where a member may be null.
        source: UTF-8.
        texts: take anything that stands where a text belongs for its JSON: only its presence and rough size matter.

    Raises:
        ValueError: not JSON, or nested too deeply.
    """
    try:
        source = without_lone_surrogates(source)
        # A typed decoder stops at the first wrong type; this looks at all of it and builds nothing.
        return _object(kind, _decode_raw(source), DEPTH_MAX, texts=texts)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("not JSON") from error


def _object(kind: type[Kind], source: msgspec.Raw, depth: int, *, texts: bool) -> Kind | None:
    if memoryview(source)[0] != _OBJECT:
        return None
    members = _decode_members(source)
    values: dict[str, object] = {}
    for field in _fields(kind):
        member = members.get(field.key)
        if member is not None and (value := _value(field, member, depth - 1, texts=texts)) is not None:
            values[field.name] = value
    return kind(**values)


def _value(field: _Field, source: msgspec.Raw, depth: int, *, texts: bool) -> object:
    """Return what can be read of a member; None for nothing."""
    start = memoryview(source)[0]
    if start == _OBJECT and field.struct is not None and depth:
        return _object(field.struct, source, depth, texts=texts)
    if start == _LIST and field.item is not None and depth:
        items = [_object(field.item, item, depth, texts=texts) for item in _decode_items(source)]
        return [item for item in items if item is not None]
    try:
        return field.decode(source)
    except msgspec.DecodeError:
        return bytes(source).decode(errors="replace") if texts and field.textual else None


@functools.cache
def _fields(kind: type[msgspec.Struct]) -> tuple[_Field, ...]:
    fields = []
    for field in msgspec.structs.fields(kind):
        choices = get_args(field.type) if get_origin(field.type) in {Union, UnionType} else (field.type,)
        lists = [get_args(choice)[0] for choice in choices if get_origin(choice) is list]
        decode = msgspec.json.Decoder(field.type).decode
        fields.append(
            _Field(field.name, field.encode_name, decode, _struct_in(choices), _struct_in(lists), str in choices)
        )
    return tuple(fields)


def _struct_in(kinds: Iterable[object]) -> type[msgspec.Struct] | None:
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, msgspec.Struct)), None)
