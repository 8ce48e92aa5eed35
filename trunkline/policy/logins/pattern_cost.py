"""How much a regular expression may have to try: the pattern is an operator's, and the names for it are strangers'.

Python's matcher goes back and tries the next way wherever a pattern leaves it a choice. ``([a-z]+[.]?)+`` looks
harmless, and a wrong name of 28 letters keeps it busy for half a minute, in which a console does nothing else. Called
by `policy.logins.names`.
"""

import re
from typing import Final

_TOKEN: Final = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*+\]|\((?:\?(?:[:=!>]|<[=!]|P<\w+>))?|\)|\|"
    r"|(?P<repeat>[*+?]|\{(?P<low>\d*)(?P<comma>,?)(?P<high>\d*)\})[?+]?|.",
    re.DOTALL,
)

_COMMENT: Final = re.compile(r"\(\?(?:#|[aiLmsu]*x)")
"""What opens a comment, or lets one be written: brackets in it are none to the matcher, and would be some here."""

_ENOUGH: Final = 10**9
"""Nobody needs to know how many more there are."""


class _Level:
    """An open group: ways of its alternatives so far, of the present one, and of the last thing in that."""

    __slots__ = ("alternatives", "last", "present")

    def __init__(self) -> None:
        self.alternatives, self.present, self.last = 0, 1, 1

    def add(self, ways: int) -> None:
        self.present, self.last = min(self.present * self.last, _ENOUGH), min(ways, _ENOUGH)

    def choose(self) -> None:
        self.alternatives, self.present, self.last = self.ways(), 1, 1

    def ways(self) -> int:
        return self.alternatives + self.present * self.last


def ways_to_match(pattern: str, chars_max: int) -> int | None:
    """Return a bound on how many ways there are to lay a pattern over a text.

    Args:
        pattern: a regular expression that can be compiled.
        chars_max: of the text.

    Returns:
        None if it repeats what has ways of its own: then they grow with every character; or if it may hold comments.
    """
    if _COMMENT.search(pattern):
        return None
    levels = [_Level()]
    for token in _TOKEN.finditer(pattern):
        text, level = token[0], levels[-1]
        if text.startswith("("):
            levels.append(_Level())
        elif text == ")" and len(levels) > 1:
            levels.pop()
            levels[-1].add(level.ways())
        elif text == "|":
            level.choose()
        elif token["repeat"] is None:
            level.add(1)
        else:
            low, high = _bounds(token, chars_max)
            if level.last > 1 and high != low and high > 1:
                return None
            level.last = min(level.last**low if high == low else level.last + high - low, _ENOUGH)
    return levels[0].ways()


def _bounds(token: re.Match[str], chars_max: int) -> tuple[int, int]:
    match token["repeat"]:
        case "*":
            return 0, chars_max
        case "+":
            return 1, chars_max
        case "?":
            return 0, 1
        case _:
            low = min(int(token["low"] or 0), chars_max)
            high = int(token["high"] or chars_max) if token["comma"] else low
            return low, max(min(high, chars_max), low)
