"""Input tokens of a Responses request, for what a provider did not report. See `protocol.tokens`."""

import msgspec

from trunkline.protocol.tokens import (
    ANSWER_TOKENS,
    FILE_TOKENS,
    IMAGE_LOW_TOKENS,
    IMAGE_TOKENS,
    MESSAGE_TOKENS,
    count_text,
    countable,
)


class _Part(msgspec.Struct, gc=False):
    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    detail: str | None = None


class _Item(msgspec.Struct, gc=False):
    """Encrypted reasoning is not counted: its size says little about the tokens in it."""

    name: str | None = None
    content: str | list[_Part] | None = None
    summary: list[_Part] | None = None
    arguments: msgspec.Raw = msgspec.Raw()
    input: str | None = None
    output: msgspec.Raw = msgspec.Raw()


class _Request(msgspec.Struct):
    input: str | list[_Item] | None = None
    instructions: str | None = None
    tools: msgspec.Raw = msgspec.Raw()
    text: msgspec.Raw = msgspec.Raw()


class _AnswerCount(msgspec.Struct):
    object: str
    input_tokens: int


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_output = msgspec.json.Decoder(list[_Part]).decode
_encode = msgspec.json.Encoder().encode


def count_input(body: bytes) -> int:
    """Return an estimate of the input tokens of a request. Never raises, and takes bounded time.

    Args:
        body: the request. Images and files count a fixed figure each, whatever their bytes.
    """
    request = countable(body, _decode_request)
    if isinstance(request, int):
        return request
    items = [_Item(content=request.input)] if isinstance(request.input, str) else request.input or []
    tokens = ANSWER_TOKENS + MESSAGE_TOKENS * (len(items) + bool(request.instructions))
    texts = [request.instructions or "", _raw_text(request.tools), _raw_text(request.text)]
    for item in items:
        texts += (item.name or "", item.input or "", _raw_text(item.arguments))
        parts = _parts(item)
        if isinstance(parts, str):
            texts.append(parts)
            continue
        for part in parts:
            texts.append(part.text or part.refusal or "")
            tokens += _part_tokens(part)
    return tokens + count_text("\n".join(filter(None, texts)))


def render_count(tokens: int) -> bytes:
    """Return the answer to ``POST /v1/responses/input_tokens``."""
    return _encode(_AnswerCount("response.input_tokens", tokens))


def _parts(item: _Item) -> str | list[_Part]:
    """Return what an item holds as text, or as parts; a tool's output is either."""
    if item.content is not None:
        return item.content
    if item.summary:
        return item.summary
    output = bytes(item.output)
    if output.startswith(b"["):
        try:
            return _decode_output(output)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
    return output.decode(errors="replace")


def _raw_text(value: msgspec.Raw) -> str:
    return bytes(value).decode(errors="replace")


def _part_tokens(part: _Part) -> int:
    match part.type:
        case "input_image":
            return IMAGE_LOW_TOKENS if part.detail == "low" else IMAGE_TOKENS
        case "input_file":
            return FILE_TOKENS
        case _:
            return 0
