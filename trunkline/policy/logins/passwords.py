"""What a password must be: long enough, and none of the commonest (NIST SP 800-63B section 3.1.1).

There are no rules about kinds of characters.
"""

import re
import unicodedata
from typing import Final

CHARS_MIN: Final = 12
"""Shorter ones are guessed offline, should the table of hashes be stolen."""

CHARS_MIN_MAX: Final = 64
"""The most that an operator may ask for."""

BYTES_MAX: Final = 1024
"""Of UTF-8: more is no password, and hashing it is work."""

_SAME: Final = 4
"""A password of fewer different characters is a pattern on the keyboard."""

COMMONEST: Final = frozenset(
    {
        "passwordpassword",
        "password",
        "passw0rd",
        "iloveyou",
        "qwertyuiop",
        "qwerty",
        "qwertyuiopasdfghjklzxcvbnm",
        "1q2w3e4r5t6y",
        "1q2w3e4r5t6y7u8i",
        "1qaz2wsx3edc",
        "1qaz2wsx3edc4rfv",
        "qazwsxedcrfv",
        "asdfghjkl",
        "zxcvbnm",
        "abcdefghijkl",
        "abcdefghijklmnop",
        "abcdefghijklmnopqrstuvwxyz",
        "abc",
        "administrator",
        "admin",
        "root",
        "letmein",
        "letmeinplease",
        "welcome",
        "changeme",
        "changemeplease",
        "trunkline",
        "trustno",
        "monkey",
        "dragon",
        "football",
        "baseball",
        "princess",
        "superman",
        "sunshine",
        "correcthorsebatterystaple",
        "woaini",
        "woaiwojia",
        "wodemima",
        "mima",
    }
)
"""The stems of the commonest passwords, without the digits and signs that people put behind them."""

_TAIL = re.compile(r"[\d\W_]+$")
_RUNS = ("01234567890123456789", "98765432109876543210", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm")


def normal_password(typed: str) -> str:
    """Return a password in its one form: the same key strokes give the same on every system (NFKC)."""
    return unicodedata.normalize("NFKC", typed)


def password_fault(password: str, *, names: tuple[str, ...] = (), chars_min: int = CHARS_MIN) -> str | None:
    """Return why a password cannot be taken, or None. It quotes nothing of it.

    Args:
        password: in its normal form.
        names: of the login, its address included: none of them may be the password.
        chars_min: of the operator.
    """
    if len(password) < chars_min:
        return f"must have {chars_min} characters or more"
    if too_long(password):
        return f"must have at most {BYTES_MAX} bytes"
    plain = password.casefold()
    known = {part for name in names for part in (name.casefold(), name.casefold().partition("@")[0]) if part}
    if plain in known or _TAIL.sub("", plain) in known or plain.replace(" ", "") in known:
        return "must not be the name or the address"
    if _common(plain):
        return "is one of the commonest; take another, such as four words that have nothing to do with each other"
    return None


def too_long(password: str) -> bool:
    """Return whether a password is none because of its length alone, so that nobody hashes it."""
    return len(password.encode("utf-8", "surrogatepass")) > BYTES_MAX


def _common(plain: str) -> bool:
    stem = _TAIL.sub("", plain)
    halves = plain[: len(plain) // 2]
    repeated = len(plain) % 2 == 0 and halves * 2 == plain and halves in COMMONEST
    return (
        plain in COMMONEST
        or stem in COMMONEST
        or repeated
        or len(set(plain)) < _SAME
        or any(plain in run for run in _RUNS)
    )
