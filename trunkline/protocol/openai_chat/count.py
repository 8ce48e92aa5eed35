"""Input tokens of a chat request, for what a provider did not report. See `protocol.tokens`."""

import msgspec

from trunkline.protocol.tokens import (
    ANSWER_TOKENS,
    AUDIO_TOKENS,
    FILE_TOKENS,
    IMAGE_LOW_TOKENS,
    IMAGE_TOKENS,
    MESSAGE_TOKENS,
    count_text,
    countable,
)


class _ImageURL(msgspec.Struct, gc=False):
    detail: str | None = None


class _Part(msgspec.Struct, gc=False):
    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    image_url: _ImageURL | str | None = None


class _Message(msgspec.Struct, gc=False):
    name: str | None = None
    content: str | list[_Part] | None = None
    reasoning_content: str | None = None
    tool_calls: msgspec.Raw = msgspec.Raw()


class _Request(msgspec.Struct):
    messages: list[_Message]
    tools: msgspec.Raw = msgspec.Raw()
    functions: msgspec.Raw = msgspec.Raw()
    response_format: msgspec.Raw = msgspec.Raw()


_decode_request = msgspec.json.Decoder(_Request).decode


def count_input(body: bytes) -> int:
    """Return an estimate of the input tokens of a chat request. Never raises, and takes bounded time.

    Args:
        body: the request. Images, audio and files count a fixed figure each, whatever their bytes.
    """
    request = countable(body, _decode_request)
    if isinstance(request, int):
        return request
    tokens = ANSWER_TOKENS + MESSAGE_TOKENS * len(request.messages)
    texts = [_raw_text(request.tools), _raw_text(request.functions), _raw_text(request.response_format)]
    for message in request.messages:
        texts += (message.name or "", message.reasoning_content or "", _raw_text(message.tool_calls))
        if isinstance(message.content, str):
            texts.append(message.content)
        else:
            for part in message.content or ():
                texts.append(part.text or part.refusal or "")
                tokens += _part_tokens(part)
    return tokens + count_text("\n".join(filter(None, texts)))


def _raw_text(value: msgspec.Raw) -> str:
    return bytes(value).decode(errors="replace")


def _part_tokens(part: _Part) -> int:
    match part.type:
        case "image_url":
            low = isinstance(part.image_url, _ImageURL) and part.image_url.detail == "low"
            return IMAGE_LOW_TOKENS if low else IMAGE_TOKENS
        case "input_audio":
            return AUDIO_TOKENS
        case "file":
            return FILE_TOKENS
        case _:
            return 0
