"""Reads the content of Messages turns into neutral parts. Called by the request's reader."""

from collections.abc import Sequence

import msgspec

from trunkline.protocol import names
from trunkline.protocol.anthropic.history_text import search_text, server_tool_text
from trunkline.protocol.anthropic.media import clean_base64, true_type
from trunkline.protocol.anthropic.request_fields import Block, CacheControl, Field, Source, bad_field
from trunkline.protocol.fidelity import Feature
from trunkline.protocol.model import (
    CacheMark,
    File,
    Image,
    Part,
    Proof,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from trunkline.protocol.proof import unwrap

_CONTENT = Field("content", str | list[Block] | None)
_OBJECT = Field("input", dict[str, msgspec.Raw])
_CITATIONS = Field("citations", dict[str, msgspec.Raw] | None)

_ResultPart = Text | Image | File


class ContentReader:
    """Reads all turns of one request, since results take their tool's name from calls before them.

    Attributes:
        features: what the neutral model cannot hold, in the order of the request.
        extras: names of what is left out and no feature has.
    """

    def __init__(self) -> None:
        self.features: dict[Feature, None] = {}
        self.extras: dict[str, None] = {}
        self._tool_names: dict[str, str] = {}

    def parts(self, content: str | Sequence[Block], path: str) -> tuple[Part, ...]:
        """Return the parts of a turn.

        Args:
            content: of the turn.
            path: of the content, for errors.

        Raises:
            FaultError: ``client_bad_request``: a block cannot be understood; names it.
        """
        if isinstance(content, str):
            return (Text(content),)
        parts: list[Part] = []
        for index, block in enumerate(content):
            self._read(block, parts, path, index)
        return tuple(parts)

    def texts(self, content: str | Sequence[Block], path: str) -> tuple[Text, ...]:
        """Return instructions, which are texts alone.

        Raises:
            FaultError: as `parts`.
        """
        if isinstance(content, str):
            return (Text(content),) if content else ()
        for index, block in enumerate(content):
            if block.type != "text" or block.text is None:
                raise bad_field(f"{path}[{index}]", f"`{path}[{index}]` must be a text block.")
        return tuple(Text(block.text or "", cache_mark(block.cache_control)) for block in content)

    def _read(self, block: Block, parts: list[Part], path: str, index: int) -> None:
        match block.type:
            case "text" | "image" | "document" | "search_result":
                parts += self._shown(block, path, index)
            case "tool_use":
                parts.append(self._call(block, parts, path, index))
            case "tool_result":
                parts.append(self._result(block, path, index))
            case "thinking":
                proof = unwrap(block.signature, names.ANTHROPIC) if block.signature else None
                parts.append(Reasoning(block.thinking or "", proof))
            case "redacted_thinking":
                if not block.data:
                    raise bad_field(f"{path}[{index}].data")
                parts.append(Reasoning(proof=unwrap(block.data, names.ANTHROPIC), redacted=True))
            case "container_upload":
                self.features[Feature.FILE_ID] = None
            case kind if kind.endswith(("_tool_use", "_tool_result")):
                # What the provider's own tools did earlier: told in words (DIALECTS section 2.4).
                self.extras[f"messages.content.{kind}"] = None
                parts.append(Text(server_tool_text(block), cache_mark(block.cache_control)))
            case _:
                raise bad_field(
                    f"{path}[{index}].type", f"`{path}[{index}].type` is not a kind of block that can be carried."
                )

    def _shown(self, block: Block, path: str, index: int) -> list[_ResultPart]:
        """Return a block that a tool's result can hold as well."""
        mark = cache_mark(block.cache_control)
        match block.type:
            case "text":
                if block.text is None:
                    raise bad_field(f"{path}[{index}].text")
                if _filled(block.citations):
                    self.extras["messages.content.citations"] = None
                return [Text(block.text, mark)]
            case "search_result":
                self.features[Feature.SEARCH_RESULT] = None
                source = block.source if isinstance(block.source, str) else ""
                return [Text(search_text(block.title or "", source, self._inner(block, path, index)), mark)]
            case "image" | "document" if isinstance(block.source, Source):
                if block.source.type == "file":
                    self.features[Feature.FILE_ID] = None
                    return []
                if block.type == "image":
                    return [_image(block.source, mark, f"{path}[{index}].source")]
                return self._document(block, block.source, path, index)
            case _:
                raise bad_field(f"{path}[{index}].source")

    def _document(self, block: Block, source: Source, path: str, index: int) -> list[_ResultPart]:
        file = File(
            name=block.title or "",
            context=block.context or "",
            citations=_cited(block, f"{path}[{index}].citations"),
            cache=cache_mark(block.cache_control),
        )
        replace = msgspec.structs.replace
        match source.type:
            case "base64" if source.data:
                data = clean_base64(source.data)
                return [replace(file, data=data, media_type=true_type(data, source.media_type or ""))]
            case "text" if source.data is not None:
                return [replace(file, text=source.data, media_type="text/plain")]
            case "url" if source.url:
                return [replace(file, url=source.url)]
            case "content" if source.content is not msgspec.UNSET:
                parts = self._inner(Block(content=source.content), f"{path}[{index}]", None)
                text = "\n".join([part.text for part in parts if isinstance(part, Text)])
                pictures = [part for part in parts if not isinstance(part, Text)]
                return [replace(file, text=text, media_type="text/plain"), *pictures]
            case _:
                raise bad_field(f"{path}[{index}].source")

    def _inner(self, block: Block, path: str, index: int | None) -> list[_ResultPart]:
        """Return what stands inside a result, a search result or a document; nothing where it is absent."""
        if block.content is msgspec.UNSET:
            return []
        where = f"{path}.source.content" if index is None else f"{path}[{index}].content"
        content = _CONTENT.decode(block.content, object, where)
        if isinstance(content, str):
            return [Text(content)]
        parts: list[_ResultPart] = []
        for inner_index, inner in enumerate(content if isinstance(content, list) else ()):
            if inner.type == "tool_reference":
                # Only the provider's own tool search gives these, and it is refused where it is declared.
                self.extras["messages.content.tool_reference"] = None
                continue
            parts += self._shown(inner, where, inner_index)
        return parts

    def _call(self, block: Block, parts: list[Part], path: str, index: int) -> ToolCall:
        if not block.id or not block.name:
            raise bad_field(f"{path}[{index}].{'name' if block.id else 'id'}")
        arguments = ""
        if block.input is not msgspec.UNSET:
            _OBJECT.decode(block.input, object, f"{path}[{index}].input")
            try:
                arguments = bytes(block.input).decode()
            except UnicodeDecodeError:
                raise bad_field(f"{path}[{index}].input") from None
        self._tool_names[block.id] = block.name
        return ToolCall(
            block.id, block.name, arguments, proof=_call_proof(parts), cache=cache_mark(block.cache_control)
        )

    def _result(self, block: Block, path: str, index: int) -> ToolResult:
        if not block.tool_use_id:
            raise bad_field(f"{path}[{index}].tool_use_id")
        return ToolResult(
            block.tool_use_id,
            self._tool_names.get(block.tool_use_id, ""),
            tuple(self._inner(block, path, index)),
            failed=bool(block.is_error),
            cache=cache_mark(block.cache_control),
        )


def cache_mark(control: CacheControl | None) -> CacheMark | None:
    """Return what a ``cache_control`` means."""
    if control is None:
        return None
    return CacheMark.LONG if control.ttl == "1h" else CacheMark.SHORT


def _call_proof(parts: list[Part]) -> Proof | None:
    """Return the proof that Gemini hung on a call: the event writer put it in front of the call."""
    last = parts[-1] if parts else None
    if isinstance(last, Reasoning) and last.redacted and last.proof is not None and last.proof.dialect == names.GEMINI:
        parts.pop()
        return last.proof
    return None


def _image(source: Source, mark: CacheMark | None, path: str) -> Image:
    if source.type == "base64" and source.data:
        data = clean_base64(source.data)
        return Image(data=data, media_type=true_type(data, source.media_type or ""), cache=mark)
    if source.type == "url" and source.url:
        return Image(url=source.url, cache=mark)
    raise bad_field(path)


def _cited(block: Block, path: str) -> bool:
    if block.citations is msgspec.UNSET:
        return False
    config = _CITATIONS.decode(block.citations, object, path)
    return isinstance(config, dict) and bytes(config.get("enabled", b"")) == b"true"


def _filled(value: msgspec.Raw | msgspec.UnsetType) -> bool:
    return value is not msgspec.UNSET and bytes(value) not in {b"null", b"[]", b"{}"}
