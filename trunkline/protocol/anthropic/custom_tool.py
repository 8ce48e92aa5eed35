"""Free-form tools as Anthropic can have them: a function with one string field (DIALECTS section 2.4).

The request writer wraps, the block reader unwraps.
"""

import msgspec

_FIELD = "input"

SCHEMA = msgspec.Raw(
    b'{"type":"object","properties":{"input":{"type":"string","description":"All of the input, as plain text."}},'
    b'"required":["input"],"additionalProperties":false}'
)
"""What such a function takes."""

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


def wrap_custom(text: str) -> msgspec.Raw:
    """Return a custom tool's text as the arguments of the function."""
    return msgspec.Raw(_encode({_FIELD: text}))


def unwrap_custom(arguments: str) -> str:
    """Return the text in a function's arguments. Where they were cut, what there is of it; never raises."""
    for end in ("", '"}', "}"):
        try:
            return _decode_text(_decode(arguments + end)[_FIELD])
        except (msgspec.DecodeError, UnicodeError, RecursionError, KeyError):
            continue
    return arguments
