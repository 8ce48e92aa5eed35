"""Input tokens of a generateContent request, for what a provider did not report. See `protocol.tokens`."""

from collections.abc import Iterable

import msgspec

from trunkline.protocol.gemini.spelling import camel_case
from trunkline.protocol.gemini.wire import Content, MaybeRaw, Part
from trunkline.protocol.tokens import (
    ANSWER_TOKENS,
    AUDIO_TOKENS,
    FILE_TOKENS,
    IMAGE_TOKENS,
    MESSAGE_TOKENS,
    count_text,
    countable,
)


class _Config(msgspec.Struct, rename="camel"):
    response_schema: MaybeRaw = msgspec.UNSET
    response_json_schema: MaybeRaw = msgspec.UNSET


class _Request(msgspec.Struct, rename="camel"):
    contents: list[Content] | Content | None = None
    system_instruction: Content | str | None = None
    tools: MaybeRaw = msgspec.UNSET
    generation_config: _Config | None = None


class _Body(_Request, rename="camel"):
    """A request, or a question for its count that has the request inside."""

    generate_content_request: _Request | None = None


_decode = msgspec.json.Decoder(_Body).decode


def count_input(body: bytes) -> int:
    """Return an estimate of the input tokens of a request. Never raises, and takes bounded time.

    Args:
        body: the request, or that of ``:countTokens``. Images, audio and files count a fixed figure each, whatever
            their bytes.
    """
    request = countable(body, lambda source: _decode(camel_case(source)))
    if isinstance(request, int):
        return request
    return ANSWER_TOKENS + sum(
        _count(asked) for asked in (request, request.generate_content_request) if asked is not None
    )


def render_count(tokens: int) -> bytes:
    """Return the answer to ``:countTokens``."""
    return msgspec.json.encode({"totalTokens": tokens})


def _count(request: _Request) -> int:
    contents = [request.contents] if isinstance(request.contents, Content) else request.contents or []
    texts = [_raw_text(request.tools)]
    if request.generation_config is not None:
        texts += (
            _raw_text(request.generation_config.response_schema),
            _raw_text(request.generation_config.response_json_schema),
        )
    system = request.system_instruction
    if isinstance(system, str):
        texts.append(system)
    elif system is not None:
        contents = [system, *contents]
    tokens = MESSAGE_TOKENS * len(contents)
    for content in contents:
        for part in content.all_parts:
            texts += _texts(part)
            tokens += _tokens(part)
    return tokens + count_text("\n".join(filter(None, texts)))


def _texts(part: Part) -> Iterable[str]:
    if part.text:
        yield part.text
    if part.function_call is not None:
        yield part.function_call.name or ""
        yield _raw_text(part.function_call.args)
    if part.function_response is not None:
        yield part.function_response.name or ""
        yield _raw_text(part.function_response.response)


def _tokens(part: Part) -> int:
    tokens = 0
    for media in (part.inline_data, part.file_data):
        if media is not None:
            kind = media.mime_type or ""
            tokens += (
                IMAGE_TOKENS
                if kind.startswith("image/")
                else AUDIO_TOKENS
                if kind.startswith("audio/")
                else FILE_TOKENS
            )
    if part.function_response is not None:
        tokens += sum(_tokens(inner) for inner in part.function_response.parts or ())
    return tokens


def _raw_text(value: MaybeRaw) -> str:
    return bytes(value).decode(errors="replace") if value is not msgspec.UNSET else ""
