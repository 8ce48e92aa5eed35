"""JSON schemas as Anthropic takes them, changed member by member in their source (DIALECTS sections 2.4 and 2.6).

Called by the request's writer. Numbers in a schema stay as they were written.
"""

import msgspec

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.json_span import MalformedJSONError, edit_object, top_level_spans

_EMPTY_OBJECT = msgspec.Raw(b'{"type":"object","properties":{}}')

_MAPS = frozenset({"properties", "$defs", "definitions"})
_LISTS = frozenset({"anyOf", "allOf", "oneOf"})
_KEPT = frozenset({"type", "required", "$ref", "enum", "const", "description", "title", "default"})
_SILENT = frozenset({"$schema", "$id", "$comment"})
"""Members that say nothing about a value; they go without a word."""

_FORMATS = frozenset(
    f'"{name}"'.encode()
    for name in ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")
)

_FALSE = msgspec.Raw(b"false")

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Root(msgspec.Struct):
    type: msgspec.Raw = msgspec.Raw()


_decode_root = msgspec.json.Decoder(_Root).decode


def input_schema(schema: bytes, path: str) -> msgspec.Raw:
    """Return a tool's schema, whose root must be an object.

    Args:
        schema: JSON source; empty for a tool without parameters.
        path: of the tool, for errors.

    Raises:
        FaultError: ``client_bad_request``: the root is something else.
    """
    if schema in {b"", b"null", b"{}"}:
        return _EMPTY_OBJECT
    try:
        kind = bytes(_decode_root(schema).type)
        if not kind:
            source = edit_object(schema, top_level_spans(schema), inserted=(b'"type":"object"',))
            return msgspec.Raw(source)
    except (*_BROKEN, MalformedJSONError):
        raise _no_object(path) from None
    if kind != b'"object"':
        raise _no_object(path)
    return msgspec.Raw(schema)


def is_object(schema: bytes) -> bool:
    """Return whether a schema's root is an object."""
    try:
        return bytes(_decode_root(schema).type) == b'"object"'
    except _BROKEN:
        return False


def closed_schema(schema: bytes | msgspec.Raw) -> bytes | msgspec.Raw:
    """Return a schema with what structured output knows; the very same object when nothing has to change.

    Objects take no members but their own, ``oneOf`` is ``anyOf``, and bounds and patterns become words of the
    description: the model may still heed them.
    """
    try:
        members = _decode_members(schema)
    except _BROKEN:
        return schema
    kept: dict[str, bytes | msgspec.Raw] = {}
    words: list[str] = []
    changed = False
    for name, value in members.items():
        if name in _MAPS:
            new = _closed_map(value)
        elif name in _LISTS:
            new = _closed_list(value)
        elif name == "items":
            new = closed_schema(value)
        elif name == "additionalProperties" and bytes(value) == b"true":
            continue
        elif _is_kept(name, value):
            new = value
        else:
            changed = True
            if name not in _SILENT:
                words.append(f"{name}: {bytes(value).decode(errors='replace')}")
            continue
        target = "anyOf" if name == "oneOf" and "anyOf" not in members else name
        changed = changed or new is not value or target != name
        kept[target] = new
    if _has_members(members) and "additionalProperties" not in kept:
        kept["additionalProperties"] = _FALSE
        changed = True
    if not changed:
        return schema
    if words:
        kept["description"] = _described(members.get("description"), words)
    return _encode({name: _raw(value) for name, value in kept.items()})


def _is_kept(name: str, value: msgspec.Raw) -> bool:
    match name:
        case "format":
            return bytes(value) in _FORMATS
        case "minItems":
            return bytes(value) in {b"0", b"1"}
        case "additionalProperties":
            return bytes(value) == b"false"
        case _:
            return name in _KEPT


def _has_members(members: dict[str, msgspec.Raw]) -> bool:
    return "properties" in members or b'"object"' in bytes(members.get("type", b""))


def _closed_map(value: msgspec.Raw) -> bytes | msgspec.Raw:
    try:
        schemas = _decode_members(value)
    except _BROKEN:
        return value
    closed = {name: closed_schema(schema) for name, schema in schemas.items()}
    if all(closed[name] is schema for name, schema in schemas.items()):
        return value
    return _encode({name: _raw(schema) for name, schema in closed.items()})


def _closed_list(value: msgspec.Raw) -> bytes | msgspec.Raw:
    try:
        schemas = _decode_items(value)
    except _BROKEN:
        return value
    closed = [closed_schema(schema) for schema in schemas]
    if all(new is schema for new, schema in zip(closed, schemas, strict=True)):
        return value
    return _encode([_raw(schema) for schema in closed])


def _described(description: msgspec.Raw | None, words: list[str]) -> bytes:
    try:
        text = _decode_text(description) if description is not None else ""
    except _BROKEN:
        text = ""
    return _encode((f"{text}\n\n" if text else "") + "{" + ", ".join(words) + "}")


def _raw(value: bytes | msgspec.Raw) -> msgspec.Raw:
    return value if isinstance(value, msgspec.Raw) else msgspec.Raw(value)


def _no_object(path: str) -> FaultError:
    message = f"The schema of `{path}` must be an object with `type` object for the provider of this model."
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param=path))
