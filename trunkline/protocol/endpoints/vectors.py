"""A vector in the two forms that OpenAI's embeddings have: a list of numbers, or base64 of little-endian float32.

The official SDKs ask for base64 when their caller says nothing and decode it in the client, so a vector in the wrong
form is garbage there, and many providers know only one of the two (DIALECTS section 7 and regression 25).
"""

import base64
import math
import struct
from enum import StrEnum

import msgspec

_decode_numbers = msgspec.json.Decoder(list[float]).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode

_FLOAT_BYTES = 4

_LENGTH_TOLERANCE = 1e-4
"""A vector this close to length 1 has it: providers round the numbers."""


class VectorForm(StrEnum):
    """What a client may ask for as ``encoding_format``."""

    FLOAT = "float"
    BASE64 = "base64"


class VectorError(ValueError):
    """A vector that cannot be one: broken base64, or numbers that float32 has not."""


def asked_form(encoding_format: str | None) -> VectorForm | None:
    """Return the form for an ``encoding_format``; None for a vendor's own one, which is left alone."""
    if encoding_format is None:
        return VectorForm.FLOAT
    try:
        return VectorForm(encoding_format)
    except ValueError:
        return None


def in_form(vector: bytes, form: VectorForm | None) -> bytes:
    """Return a vector's JSON in a form.

    The very same object where it has that form already: its numbers stay as the provider wrote them. So does what is no
    vector, such as a list of vectors.

    Args:
        vector: JSON.
        form: None for any.

    Raises:
        VectorError: it cannot be converted.
    """
    start = vector[:1]
    if form is VectorForm.BASE64 and start == b"[":
        return _packed(vector)
    if form is VectorForm.FLOAT and start == b'"':
        return _unpacked(vector)
    return vector


def at_unit_length(vector: bytes) -> bytes:
    """Return a vector's JSON with its numbers scaled so that its length is 1.

    The very same object where it has that length already, or cannot get it: zeros, or what is no vector.

    Raises:
        VectorError: it is base64 of something else.
    """
    numbers = _numbers(in_form(vector, VectorForm.FLOAT)) or []
    length = math.hypot(*numbers)
    if not length or not math.isfinite(length) or abs(length - 1) <= _LENGTH_TOLERANCE:
        return vector
    return _encode([number / length for number in numbers])


def _numbers(vector: bytes) -> list[float] | None:
    """Return a vector's numbers; None for what is no list of numbers."""
    try:
        return _decode_numbers(vector)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _packed(vector: bytes) -> bytes:
    numbers = _numbers(vector)
    if numbers is None:
        return vector
    try:
        packed = struct.pack(f"<{len(numbers)}f", *numbers)
    except OverflowError as error:
        raise VectorError("a number is too large for float32") from error
    return b'"' + base64.b64encode(packed) + b'"'


def _unpacked(vector: bytes) -> bytes:
    try:
        packed = base64.b64decode(_decode_text(vector), validate=True)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise VectorError("not base64") from error
    if len(packed) % _FLOAT_BYTES:
        raise VectorError("not a whole number of floats")
    numbers = _encode(struct.unpack(f"<{len(packed) // _FLOAT_BYTES}f", packed))
    # JSON has no word for infinity and NaN, and the encoder writes null for both.
    if b"n" in numbers:
        raise VectorError("not finite")
    return numbers
