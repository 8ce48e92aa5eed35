"""Tools' names as a Responses upstream takes them, and back (DIALECTS section 2.4). Used by the request's writer."""

import hashlib
import re

NAME_CHARS_MAX = 64
_SUFFIX_CHARS = 8

_GOOD = re.compile(rf"[A-Za-z0-9_-]{{1,{NAME_CHARS_MAX}}}")
_BAD_CHARACTER = re.compile(r"[^A-Za-z0-9_-]")


class ToolNames:
    """The names of one request.

    Attributes:
        changed: names that had to be changed: as written to as the client knows them.
    """

    def __init__(self) -> None:
        self.changed: dict[str, str] = {}

    def written(self, name: str) -> str:
        """Return a tool's name as it is written."""
        if _GOOD.fullmatch(name) is not None:
            return name
        safe = safe_name(name)
        self.changed[safe] = name
        return safe


def safe_name(name: str) -> str:
    """Return a name that the provider takes: the same for the same one, and another for another."""
    if _GOOD.fullmatch(name) is not None:
        return name
    suffix = hashlib.sha256(name.encode(errors="replace")).hexdigest()[:_SUFFIX_CHARS]
    return f"{_BAD_CHARACTER.sub('_', name)[: NAME_CHARS_MAX - _SUFFIX_CHARS - 1]}_{suffix}"
