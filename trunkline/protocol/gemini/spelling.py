"""Gemini's two spellings of a request: camelCase and snake_case, also mixed, at every level (DIALECTS section 1).

A body is brought to camelCase once, before it is read, so that the readers know one spelling. Keys inside ``args``,
``response`` and schemas are the client's own and are never touched.
"""

import re
from collections.abc import Mapping

import msgspec

from trunkline.protocol.camel_key import camel_key

_Shape = Mapping[str, "_Shape"]
"""Members that are objects of Gemini's own, or lists of them; what is not named is copied as it is."""

_PLAIN: _Shape = {}
_RESPONSE_PART: _Shape = {"inlineData": _PLAIN, "fileData": _PLAIN}
_PART: _Shape = {
    "inlineData": _PLAIN,
    "fileData": _PLAIN,
    "functionCall": _PLAIN,
    "functionResponse": {"parts": _RESPONSE_PART},
}
_CONTENT: _Shape = {"parts": _PART}
_REQUEST: dict[str, _Shape] = {
    "contents": _CONTENT,
    "systemInstruction": _CONTENT,
    "tools": {"functionDeclarations": _PLAIN},
    "toolConfig": {"functionCallingConfig": _PLAIN},
    "generationConfig": {"thinkingConfig": _PLAIN},
}
_BODY: _Shape = {**_REQUEST, "generateContentRequest": _REQUEST}

_SNAKE_KEY = re.compile(rb'"[a-z]+_[a-z_]+"[ \t\r\n]*:')

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def camel_case(body: bytes) -> bytes:
    """Return a request with its keys in camelCase; the very same object where none could be otherwise.

    Raises:
        msgspec.DecodeError: not JSON.
    """
    if _SNAKE_KEY.search(body) is None:
        return body
    return bytes(_respelled(msgspec.Raw(body.strip()), _BODY))


def _respelled(value: msgspec.Raw, shape: _Shape) -> msgspec.Raw:
    opening = bytes(memoryview(value)[:1])
    if opening == b"[":
        return msgspec.Raw(_encode([_respelled(item, shape) for item in _decode_items(value)]))
    if opening != b"{":
        return value
    members: dict[str, msgspec.Raw] = {}
    for key, member in _decode_members(value).items():
        name = camel_key(key)
        inner = shape.get(name)
        members[name] = member if inner is None else _respelled(member, inner)
    return msgspec.Raw(_encode(members))
