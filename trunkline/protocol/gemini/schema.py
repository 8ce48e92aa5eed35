"""Gemini's schemas: the subset of OpenAPI with upper-case types, brought to JSON Schema (DIALECTS section 2.4).

Only what stands where a keyword stands is touched: a property that is named like a keyword survives, and numbers stay
source text. Called by the request reader for ``parameters`` and ``responseSchema``.
"""

import msgspec

_TYPES_BY_NUMBER = ("", "string", "number", "integer", "boolean", "array", "object", "null")
"""Enums as numbers: the older SDK writes them so."""

_KEYWORDS = {
    "any_of": "anyOf",
    "min_items": "minItems",
    "max_items": "maxItems",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_properties": "minProperties",
    "max_properties": "maxProperties",
    "additional_properties": "additionalProperties",
    "property_ordering": "propertyOrdering",
    "defs": "$defs",
    "ref": "$ref",
}
"""Other spellings of keywords, by their JSON Schema name."""

_BOUNDS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
"""Google's JSON writes 64-bit integers as strings."""

_ONE = frozenset({"items", "additionalProperties"})
_MANY_NAMED = frozenset({"properties", "$defs"})
_DROPPED = frozenset({"propertyOrdering", "nullable"})

_NULL_TYPE = msgspec.Raw(b'{"type":"null"}')

_Members = dict[str, msgspec.Raw]
_decode_members = msgspec.json.Decoder(_Members).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_type = msgspec.json.Decoder(str | int).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


def json_schema(source: bytes) -> bytes:
    """Return a schema as JSON Schema.

    Args:
        source: an object, in Google's subset; valid JSON.
    """
    return bytes(_schema(msgspec.Raw(source)))


def _schema(source: msgspec.Raw) -> msgspec.Raw:
    if bytes(memoryview(source)[:1]) != b"{":
        # ``additionalProperties`` may be a boolean.
        return source
    given = {_KEYWORDS.get(key, key): value for key, value in _decode_members(source).items()}
    nullable = bytes(given.get("nullable", b"")) == b"true"
    members: _Members = {}
    for key, value in given.items():
        if key == "type":
            written = _type(value, nullable=nullable)
            if written is not None:
                members[key] = written
        elif key not in _DROPPED:
            members[key] = _member(key, value)
    options = members.get("anyOf")
    if nullable and options is not None and "type" not in members and bytes(memoryview(options)[:1]) == b"[":
        members["anyOf"] = msgspec.Raw(_encode([*_decode_items(options), _NULL_TYPE]))
    return msgspec.Raw(_encode(members))


def _member(key: str, value: msgspec.Raw) -> msgspec.Raw:
    opening = bytes(memoryview(value)[:1])
    if key in _ONE:
        return _schema(value)
    if key in _MANY_NAMED and opening == b"{":
        return msgspec.Raw(_encode({name: _schema(inner) for name, inner in _decode_members(value).items()}))
    if key == "anyOf" and opening == b"[":
        return msgspec.Raw(_encode([_schema(inner) for inner in _decode_items(value)]))
    if key in _BOUNDS and opening == b'"' and (digits := _decode_text(value)).isdecimal() and digits.isascii():
        return msgspec.Raw((digits.lstrip("0") or "0").encode())
    return value


def _type(value: msgspec.Raw, *, nullable: bool) -> msgspec.Raw | None:
    """Return a type in lower case, with ``null`` beside it where it is nullable; None if it says nothing."""
    try:
        given = _decode_type(value)
    except msgspec.ValidationError:
        # A list of types, as JSON Schema has it, is none of Google's; it stays.
        return value
    if isinstance(given, int):
        name = _TYPES_BY_NUMBER[given] if 0 <= given < len(_TYPES_BY_NUMBER) else ""
    else:
        name = "" if given.endswith("_UNSPECIFIED") else given.lower()
    if not name:
        return None
    return msgspec.Raw(_encode([name, "null"] if nullable and name != "null" else name))
