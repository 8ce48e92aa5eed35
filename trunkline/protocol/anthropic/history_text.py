"""What only Anthropic's own models can read of a history, in words for others. Called by the request's reader."""

from collections.abc import Sequence

import msgspec

from trunkline.protocol.anthropic.request_fields import Block
from trunkline.protocol.model import File, Image, Text

_TEXT_CHARS_MAX = 20_000
"""Of one result of a provider's tool. Pages that it fetched can be far longer, and only sum up what is said again."""

_DEPTH_MAX = 6
_TELLING = ("title", "url", "text", "stdout", "stderr", "error_code", "content", "data")
"""Members of results that say something; the rest is encrypted, or about the provider's own files."""


def search_text(title: str, source: str, parts: Sequence[Text | Image | File]) -> str:
    """Return a search result as a text with its source (DIALECTS section 2.2)."""
    head = [f"{name}: {value}" for name, value in (("Title", title), ("Source", source)) if value]
    return "\n".join([*head, *[part.text for part in parts if isinstance(part, Text)]])


def server_tool_text(block: Block) -> str:
    """Return what a provider's own tool was asked, or answered, in an earlier turn."""
    if block.type.endswith("_tool_use"):
        arguments = "" if block.input is msgspec.UNSET else bytes(block.input).decode(errors="replace")
        return f"[Used the tool {block.name or 'of the provider'} with {arguments or '{}'}]"
    words = "" if block.content is msgspec.UNSET else _words(block.content)
    kind = block.type.removesuffix("_tool_result").replace("_", " ")
    return f"[Result of {kind}:\n{words[:_TEXT_CHARS_MAX]}]"


def _words(content: msgspec.Raw) -> str:
    try:
        tree = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    lines: list[str] = []
    _tell(tree, lines, 0)
    return "\n".join(lines)


def _tell(tree: object, lines: list[str], depth: int) -> None:
    if isinstance(tree, str):
        if tree:
            lines.append(tree)
    elif depth < _DEPTH_MAX:
        if isinstance(tree, list):
            for item in tree:
                _tell(item, lines, depth + 1)
        elif isinstance(tree, dict):
            for name in _TELLING:
                _tell(tree.get(name), lines, depth + 1)
