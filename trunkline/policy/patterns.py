"""Patterns of names, in which ``*`` matches any run of characters: which models a key may use, which a limit counts."""

import functools
import re
from collections.abc import Callable

PATTERNS_CACHED_MAX = 4096
"""Lists of patterns that are kept compiled: installations use some dozens."""


@functools.lru_cache(maxsize=PATTERNS_CACHED_MAX)
def matcher(patterns: tuple[str, ...]) -> Callable[[str], object]:
    """Return what tells whether a whole name matches one of the patterns."""
    compiled = "|".join(".*".join(map(re.escape, pattern.split("*"))) for pattern in patterns)
    return re.compile(compiled, re.DOTALL).fullmatch


def matches_any(patterns: tuple[str, ...], name: str) -> bool:
    """Return whether a name matches one of the patterns."""
    return matcher(patterns)(name) is not None
