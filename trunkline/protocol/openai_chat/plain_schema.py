"""Schemas of tools for a provider that takes only plain ones (`vendor.ToolSchemaRule`; DIALECTS section 6, Moonshot).

Its rules: no ``$schema``, an object at the root, and no ``type`` beside ``anyOf`` or ``oneOf``: it belongs into their
branches. A root cannot be both an object and a union, so the branches of such a one are laid together. Numbers and
everything else stay as they were written. Called by `tool_writer`.
"""

from typing import NamedTuple

import msgspec

_UNIONS = ("anyOf", "oneOf")
_LISTS = frozenset({*_UNIONS, "allOf", "prefixItems"})
_MAPS = frozenset({"properties", "$defs", "definitions", "patternProperties"})
_INNER = frozenset({"items", "additionalProperties", "not"})
_OBJECT = msgspec.Raw(b'"object"')

_Members = dict[str, msgspec.Raw]

_decode_members = msgspec.json.Decoder(_Members).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_names = msgspec.json.Decoder(list[str]).decode
_encode = msgspec.json.Encoder().encode
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class PlainSchema(NamedTuple):
    """A schema that the provider takes.

    Attributes:
        source: JSON.
        joined: whether its root was a union, whose branches now stand together, each property optional.
    """

    source: bytes
    joined: bool


def plain_schema(schema: bytes) -> PlainSchema:
    """Return a tool's schema as the provider takes it; the very same source where it already does."""
    try:
        root = _decode_members(schema)
        unions = [name for name in _UNIONS if _decode_items(root.get(name, b"[]"))]
        if unions:
            root = _joined(root, unions)
        if bytes(root.get("type", b"")) != b'"object"':
            root = {"type": _OBJECT, **{name: value for name, value in root.items() if name != "type"}}
        return PlainSchema(_encode_changed(schema, root), bool(unions))
    except _BROKEN:
        return PlainSchema(schema, joined=False)


def _encode_changed(source: bytes, members: _Members) -> bytes:
    """Return an object's source with these members made plain; the very same source if that changes nothing."""
    before = _decode_members(source)
    plain = {name: _plain_member(name, value) for name, value in members.items() if name != "$schema"}
    same = list(plain) == list(before) and all(bytes(plain[name]) == bytes(before[name]) for name in plain)
    return source if same else _encode(plain)


def _plain_member(name: str, value: msgspec.Raw) -> msgspec.Raw:
    source = bytes(value)
    if name in _MAPS and source[:1] == b"{":
        schemas = _decode_members(source)
        plain = {key: _plain(inner) for key, inner in schemas.items()}
        return value if all(plain[key] is schemas[key] for key in plain) else msgspec.Raw(_encode(plain))
    if name in _LISTS and source[:1] == b"[":
        items = _decode_items(source)
        plain_items = [_plain(inner) for inner in items]
        same = all(new is old for new, old in zip(plain_items, items, strict=True))
        return value if same else msgspec.Raw(_encode(plain_items))
    return _plain(value) if name in _INNER else value


def _plain(schema: msgspec.Raw) -> msgspec.Raw:
    source = bytes(schema)
    if source[:1] != b"{":
        return schema
    members = _decode_members(source)
    kind = members.get("type")
    if kind is not None and any(name in members for name in _UNIONS):
        members = {name: _typed(value, kind) if name in _UNIONS else value for name, value in members.items()}
        del members["type"]
    plain = _encode_changed(source, members)
    return schema if plain is source else msgspec.Raw(plain)


def _typed(branches: msgspec.Raw, kind: msgspec.Raw) -> msgspec.Raw:
    """Return the branches of a union, those without a type with the one that stood beside it."""
    typed = []
    for branch in _decode_items(branches):
        members = _decode_members(branch) if bytes(branch)[:1] == b"{" else None
        bare = members is not None and not members.keys() & {"type", "$ref", *_UNIONS}
        typed.append(msgspec.Raw(_encode({"type": kind, **members})) if bare and members is not None else branch)
    return msgspec.Raw(_encode(typed))


def _joined(root: _Members, unions: list[str]) -> _Members:
    """Return a root whose branches stand together; only what every branch requires is required still."""
    properties = _decode_members(root["properties"]) if "properties" in root else {}
    required = dict.fromkeys(_names(root))
    for union in unions:
        branches = [_decode_members(branch) for branch in _decode_items(root[union])]
        for branch in branches:
            for name, schema in _decode_members(branch.get("properties", b"{}")).items():
                properties.setdefault(name, schema)
        everywhere = [set(_names(branch)) for branch in branches]
        required |= dict.fromkeys(name for name in _names(branches[0]) if all(name in names for names in everywhere))
    kept = {name: value for name, value in root.items() if name not in {*unions, "properties", "required"}}
    joined = {**kept, "properties": msgspec.Raw(_encode(properties))}
    return {**joined, "required": msgspec.Raw(_encode(list(required)))} if required else joined


def _names(schema: _Members) -> list[str]:
    return _decode_names(schema["required"]) if "required" in schema else []
