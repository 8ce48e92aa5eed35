"""Names of logins and addresses of mail: their one form, and what cannot be one."""

import re
import unicodedata
from typing import Final

from trunkline.policy.configuration_values import check_name
from trunkline.policy.logins.pattern_cost import ways_to_match

NAME_CHARS_MAX: Final = 64
"""Of a login's name: it becomes the name of a user and, of whoever registers, of an account."""

PATTERN_WAYS_MAX: Final = 300_000
"""Ways to lay a pattern over a name, three times ``+`` at most: a stranger's name must not take longer than 50 ms."""

PATTERN_CHARS_MAX: Final = 200
"""Of an operator's pattern for the names of those who register."""

EMAIL_CHARS_MAX: Final = 254
"""Of an address (RFC 5321 section 4.5.3.1.3, without its angle brackets)."""

RESERVED: Final = frozenset({"admin key", "nobody"})
"""What the audit log calls who has no login."""

_EMAIL = re.compile(
    r"[^\s@<>,;:\"\\()\[\]]{1,64}@((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]{2,63})"
)


def normal_name(typed: str) -> str:
    """Return a name in its one form: full-width letters and digits become plain ones (NFKC).

    Raises:
        ValueError: it cannot be a login's name.
    """
    name = unicodedata.normalize("NFKC", typed).strip()
    check_name(name, chars_max=NAME_CHARS_MAX)
    if "@" in name:
        raise ValueError("must not hold an @: people sign in with a name or an address")
    if name.casefold() in RESERVED:
        raise ValueError("is reserved")
    return name


def normal_email(typed: str) -> str:
    """Return an address of mail in its one form, the part behind the @ in lower case.

    Raises:
        ValueError: it cannot be one.
    """
    email = unicodedata.normalize("NFKC", typed).strip()
    if len(email) > EMAIL_CHARS_MAX or not email.isprintable() or _EMAIL.fullmatch(email) is None:
        raise ValueError("must be an address such as name@example.com")
    local, _, domain = email.rpartition("@")
    return f"{local}@{domain.lower()}"


def check_pattern(pattern: str) -> None:
    """Refuse what is no pattern of names.

    Raises:
        ValueError: see there.
    """
    if len(pattern) > PATTERN_CHARS_MAX:
        raise ValueError(f"must have at most {PATTERN_CHARS_MAX} characters")
    try:
        re.compile(pattern)
    except (re.error, OverflowError) as error:
        raise ValueError("must be a regular expression such as ^[0-9]{10}$") from error
    ways = ways_to_match(pattern, NAME_CHARS_MAX)
    if ways is None:
        raise ValueError(
            "must not repeat a group that repeats or chooses itself: wrong names would take for ever; nor hold comments"
        )
    if ways > PATTERN_WAYS_MAX:
        raise ValueError("leaves too much open: at most three times +, * or the like; bounds such as {1,20} count less")


def fits(name: str, pattern: str) -> bool:
    """Return whether all of a name is what an operator's pattern says; an empty pattern takes any."""
    return not pattern or re.fullmatch(pattern, name) is not None
