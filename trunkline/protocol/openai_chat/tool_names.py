"""Names of tools and ids of calls as a chat provider takes them. Deterministic: same request, same bytes.

DIALECTS section 2.4: a refused name is mapped within the request and mapped back in the answer; a refused id is
replaced by a hash, the same for call and result. The client only ever sees its own.
"""

import hashlib
import re

from trunkline.protocol.vendor import ToolIDRule

NAME_CHARS_MAX = 64
ID_CHARS_MAX = 40
"""OpenAI refuses longer ids of calls; those that other providers mint reach 64."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_-]", re.ASCII)
_NINE = re.compile(r"[A-Za-z0-9]{9}", re.ASCII)
_SUFFIX_CHARS = 9


class ToolNames:
    """Maps names; remembers which.

    Attributes:
        mapped: as written to as the client knows them.
    """

    __slots__ = ("mapped",)

    def __init__(self) -> None:
        self.mapped: dict[str, str] = {}

    def written(self, name: str) -> str:
        """Return how a name is written."""
        if _NAME.fullmatch(name):
            return name
        changed = f"{_NOT_IN_NAME.sub('_', name)[: NAME_CHARS_MAX - _SUFFIX_CHARS]}_{_hash(name, 4)}"
        self.mapped[changed] = name
        return changed


def written_id(identity: str, rule: ToolIDRule) -> str:
    """Return how the id of a call is written."""
    if rule is ToolIDRule.ALPHANUMERIC_9:
        return identity if _NINE.fullmatch(identity) else _hash(identity, 5)[:9]
    return identity if len(identity) <= ID_CHARS_MAX else f"call_{_hash(identity, 12)}"


def clean_name(name: str, default: str) -> str:
    """Return a name that is not mapped back, such as a schema's, in the characters that chat takes."""
    return _NOT_IN_NAME.sub("_", name)[:NAME_CHARS_MAX] or default


def _hash(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=size).hexdigest()
