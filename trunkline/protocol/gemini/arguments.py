"""A call's arguments as source text: checked, never decoded and encoded, so that no number loses a digit."""

import hashlib

import msgspec

from trunkline.protocol.json_span import without_lone_surrogates

CUSTOM_FIELD = "input"
"""The one string field of the function that stands for a free-form tool."""

CUSTOM_SCHEMA = msgspec.Raw(
    b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}'
)

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


def object_members(source: bytes) -> dict[str, msgspec.Raw] | None:
    """Return the members of a JSON object, or None for what is none."""
    try:
        return _decode_members(source)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return _decode_members(without_lone_surrogates(source))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def json_text(source: bytes) -> str | None:
    """Return the text that a JSON string holds, or None for what is none."""
    try:
        return _decode_text(source)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def written_arguments(arguments: str) -> msgspec.Raw | None:
    """Return a call's arguments as ``args``: an empty object for none; None for what is not an object."""
    source = arguments.strip()
    if not source:
        return msgspec.Raw(b"{}")
    try:
        encoded = source.encode()
    except UnicodeEncodeError:
        return None
    return msgspec.Raw(encoded) if object_members(encoded) is not None else None


def written_custom(text: str) -> msgspec.Raw:
    """Return a free-form tool's text as ``args``."""
    return msgspec.Raw(_encode({CUSTOM_FIELD: text}))


def read_arguments(args: msgspec.Raw | msgspec.UnsetType) -> str:
    """Return ``args`` as source text; an empty object for none, what a string holds where one was sent."""
    source = bytes(args) if args is not msgspec.UNSET else b""
    if source.startswith(b'"'):
        source = (json_text(source) or "").encode(errors="replace")
    return source.decode(errors="replace") if source not in {b"", b"null"} else "{}"


def read_custom(arguments: str) -> str:
    """Return a free-form tool's text from the arguments of the function that stands for it."""
    members = object_members(arguments.encode(errors="replace")) or {}
    field = members.get(CUSTOM_FIELD)
    text = json_text(bytes(field)) if field is not None else None
    return arguments if text is None else text


def minted_id(*seed: object) -> str:
    """Return an id for a call that has none: the same for the same seed."""
    return "call_" + hashlib.blake2s(repr(seed).encode(errors="replace"), digest_size=12).hexdigest()
