"""Recovery codes: each lets somebody in once who has lost the authenticator app.

A code is sixteen characters of Crockford's base 32 in groups of four, 80 bits, so that their table is of no use even
to who has the pepper. Case, hyphens and spaces do not matter.
"""

from typing import Final

from trunkline.policy.codes import ALPHABET

COUNT: Final = 10
CHARS: Final = 16
GROUP_CHARS: Final = 4
TYPED_CHARS_MAX: Final = 64

_ALIKE: Final = str.maketrans("OIL", "011")


def mint(numbers: bytes) -> tuple[str, ...]:
    """Return new codes.

    Args:
        numbers: `COUNT` times `CHARS` bytes of fresh randomness.
    """
    if len(numbers) != COUNT * CHARS:
        raise ValueError("recovery codes are made of one byte a character")
    letters = "".join(ALPHABET[number % len(ALPHABET)] for number in numbers)
    codes = (letters[start : start + CHARS] for start in range(0, len(letters), CHARS))
    return tuple(
        "-".join(code[start : start + GROUP_CHARS] for start in range(0, CHARS, GROUP_CHARS)) for code in codes
    )


def normal_form(typed: str) -> str | None:
    """Return the characters of a code as somebody typed it; None if it can be none."""
    if len(typed) > TYPED_CHARS_MAX or not typed.isascii():
        return None
    code = typed.upper().replace("-", "").replace(" ", "").translate(_ALIKE)
    return code if len(code) == CHARS and not set(code) - set(ALPHABET) else None
