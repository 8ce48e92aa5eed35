"""Patterns of names, in which ``*`` matches any run of characters: which models a key may use, which a limit counts.

Members of an account write patterns, and ask for names, which an edge matches on its event loop. So nothing here goes
back and tries again: each piece of a pattern is taken where it first occurs, which is as good as any place behind it.
"""

import functools
from collections.abc import Callable

PATTERNS_CACHED_MAX = 4096
"""Lists of patterns that are kept taken apart: installations use some dozens."""


@functools.lru_cache(maxsize=PATTERNS_CACHED_MAX)
def matcher(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """Return what tells whether a whole name matches one of the patterns."""
    whole = frozenset(pattern for pattern in patterns if "*" not in pattern)
    pieces = [pattern.split("*") for pattern in patterns if "*" in pattern]
    return lambda name: name in whole or any(_matches(one, name) for one in pieces)


def _matches(pieces: list[str], name: str) -> bool:
    """Return whether a name consists of pieces, two at least, with anything between them."""
    first, last = pieces[0], pieces[-1]
    begin, end = len(first), len(name) - len(last)
    if begin > end or not name.startswith(first) or not name.endswith(last):
        return False
    for piece in pieces[1:-1]:
        found = name.find(piece, begin, end)
        if found < 0:
            return False
        begin = found + len(piece)
    return True


def matches_any(patterns: tuple[str, ...], name: str) -> bool:
    """Return whether a name matches one of the patterns."""
    return matcher(patterns)(name)
