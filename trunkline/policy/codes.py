"""Redemption codes: their form and their hash. Pure.

A code is ``TL-XXXX-XXXX-XXXX``: eleven random characters of Crockford's base 32 (https://www.crockford.com/base32.html),
55 bits, and a check character, Luhn's in base 32, which finds every single wrong character and nearly every pair that
has changed places. People type codes: case, hyphens and spaces do not matter, and O, I and L are taken for 0 and 1.
"""

import hashlib
import hmac
from typing import Final

PREFIX: Final = "TL"
RANDOM_CHARS: Final = 11
GROUP_CHARS: Final = 4
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Without I, L, O and U."""

TYPED_CHARS_MAX: Final = 64
"""Of what somebody types: a code has 17 characters, and some put spaces between them."""

CODES_MAX: Final = 10_000
"""Codes of one batch: they are answered with once, all together."""

FAILURES_PER_HOUR_MAX: Final = 10
"""Codes that an account may try in vain in an hour. At a million codes outstanding a guess is right once in 36 thousand
million, so ten thousand accounts that guess all year find none."""

_ALIKE: Final = str.maketrans("OIL", "011")
_BASE = len(ALPHABET)


def check_character(body: str) -> str:
    """Return the check character of the random ones (Luhn mod N)."""
    total = 0
    for number, character in enumerate(reversed(body)):
        product = ALPHABET.index(character) * (2 if number % 2 == 0 else 1)
        total += product // _BASE + product % _BASE
    return ALPHABET[-total % _BASE]


def mint(numbers: bytes) -> str:
    """Return a new code.

    Args:
        numbers: fresh randomness, one byte a character.

    Raises:
        ValueError: too few bytes.
    """
    if len(numbers) < RANDOM_CHARS:
        raise ValueError("not enough randomness for a code")
    body = "".join(ALPHABET[number % _BASE] for number in numbers[:RANDOM_CHARS])
    whole = body + check_character(body)
    groups = (whole[start : start + GROUP_CHARS] for start in range(0, len(whole), GROUP_CHARS))
    return "-".join((PREFIX, *groups))


def normal_form(typed: str) -> str | None:
    """Return the characters of a code as somebody typed it, without prefix and hyphens; None if it can be none."""
    if len(typed) > TYPED_CHARS_MAX or not typed.isascii():
        return None
    text = typed.upper().replace("-", "").replace(" ", "")
    if len(text) == len(PREFIX) + RANDOM_CHARS + 1:
        text = text.removeprefix(PREFIX)
    whole = text.translate(_ALIKE)
    if len(whole) != RANDOM_CHARS + 1 or any(character not in ALPHABET for character in whole):
        return None
    return whole if check_character(whole[:-1]) == whole[-1] else None


def code_hash(normal: str, pepper: bytes) -> bytes:
    """Return what a code is stored as: HMAC-SHA-256 of its normal form."""
    return hmac.digest(pepper, b"code:" + normal.encode(), hashlib.sha256)
