"""Input tokens of a Messages request: for ``count_tokens``, and for what a provider did not report.

See `protocol.tokens`.
"""

import msgspec

from trunkline.protocol.tokens import (
    ANSWER_TOKENS,
    FILE_TOKENS,
    LONG_BASE64,
    MESSAGE_TOKENS,
    count_text,
    countable,
)

_DEPTH_MAX = 3
"""Contents inside contents that are looked into: a document's in a tool's result in a message."""

IMAGE_TOKENS = 1600
"""An image at the size to which larger ones are shrunk: 1.15 megapixels at 750 to a token."""


class _Source(msgspec.Struct, gc=False):
    type: str | None = None
    data: str | None = None
    content: msgspec.Raw = msgspec.Raw()


class _Part(msgspec.Struct, gc=False):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    name: str | None = None
    source: _Source | str | None = None
    input: msgspec.Raw = msgspec.Raw()
    content: msgspec.Raw = msgspec.Raw()


class _Message(msgspec.Struct, gc=False):
    content: str | list[_Part] | None = None


class _Request(msgspec.Struct):
    messages: list[_Message]
    system: str | list[_Part] | None = None
    tools: msgspec.Raw = msgspec.Raw()
    output_config: msgspec.Raw = msgspec.Raw()


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_content = msgspec.json.Decoder(str | list[_Part] | None).decode


def count_input(body: bytes) -> int:
    """Return an estimate of the input tokens of a Messages request. Never raises, and takes bounded time.

    Args:
        body: the request. Images and files count a fixed figure each, whatever their bytes.
    """
    request = countable(body, _decode_request)
    if isinstance(request, int):
        return request
    texts = [_raw_text(request.tools), _raw_text(request.output_config)]
    tokens = ANSWER_TOKENS + MESSAGE_TOKENS * len(request.messages) + _take(request.system, texts)
    for message in request.messages:
        tokens += _take(message.content, texts)
    return tokens + count_text("\n".join(filter(None, texts)))


def _take(content: str | list[_Part] | None, texts: list[str], depth: int = 0) -> int:
    """Add a content's texts to ``texts``; return the tokens of what is no text."""
    if isinstance(content, str):
        texts.append(content)
        return 0
    tokens = 0
    for part in content or ():
        texts += (part.text or "", part.thinking or "", part.name or "", _raw_text(part.input))
        if part.type == "image":
            tokens += IMAGE_TOKENS
        elif part.type == "document":
            tokens += _document(part.source, texts, depth)
        elif memoryview(part.content):
            tokens += _take_inner(part.content, texts, depth)
    return tokens


def _document(source: _Source | str | None, texts: list[str], depth: int) -> int:
    if not isinstance(source, _Source):
        return FILE_TOKENS
    if source.type == "text":
        texts.append(source.data or "")
        return 0
    return _take_inner(source.content, texts, depth) if source.type == "content" else FILE_TOKENS


def _take_inner(content: msgspec.Raw, texts: list[str], depth: int) -> int:
    """As `_take`, for what stands in a tool's result or in a document."""
    try:
        if depth < _DEPTH_MAX:
            return _take(_decode_content(content), texts, depth + 1)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    texts.append(LONG_BASE64.sub(b'""', bytes(content)).decode(errors="replace"))
    return 0


def _raw_text(value: msgspec.Raw) -> str:
    return bytes(value).decode(errors="replace")
