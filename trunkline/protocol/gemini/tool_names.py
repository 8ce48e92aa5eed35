"""Names of tools as Gemini takes them, and the way back (DIALECTS section 2.4)."""

import hashlib
import re
from collections.abc import Iterable

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.model import Tool

NAME_CHARS_MAX = 128

_GOOD = re.compile(rf"[A-Za-z_][A-Za-z0-9_.:-]{{0,{NAME_CHARS_MAX - 1}}}", re.ASCII)
_BAD_CHARACTER = re.compile(r"[^A-Za-z0-9_.:-]", re.ASCII)


class ToolNames:
    """Maps names that Gemini would refuse to ones that it takes: the same for the same name, in any request.

    Args:
        tools: of the request.

    Raises:
        FaultError: ``client_bad_request``: two tools have one name.

    Attributes:
        mapped: names as written that differ, to those that the client knows.
    """

    def __init__(self, tools: Iterable[Tool]) -> None:
        self.mapped: dict[str, str] = {}
        seen: set[str] = set()
        for tool in tools:
            if tool.name in seen:
                message = (
                    f"`tools` has the name `{tool.name[:NAME_CHARS_MAX]}` twice. Give each tool a name of its own."
                )
                raise FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param="tools"))
            seen.add(tool.name)
            self.written(tool.name)

    def written(self, name: str) -> str:
        """Return a name as Gemini takes it."""
        if _GOOD.fullmatch(name) is not None:
            return name
        digest = hashlib.blake2s(name.encode(errors="replace"), digest_size=4).hexdigest()
        sound = _BAD_CHARACTER.sub("_", name)
        if not sound or not (sound[0].isalpha() or sound[0] == "_"):
            sound = "_" + sound
        written = f"{sound[: NAME_CHARS_MAX - len(digest) - 1]}_{digest}"
        self.mapped[written] = name
        return written
