"""Token counts, for what a provider did not report. Estimates that lean high, marked `UsageSource.COUNTED`.

Called by the dispatcher for the input and by the answer and stream readers for the output. All models are counted
with o200k: on running text other vocabularies differ from it by a few per cent, less than a provider's own
unreported chat template does, and each further vocabulary would cost tens of MB in every process.
"""

import functools
import importlib.util
import re
import sys
from importlib.machinery import PathFinder
from typing import Protocol, cast

import msgspec

from trunkline.core import limits

VOCABULARY = "o200k_base"

CHARS_MAX = limits.COUNT_BYTES_MAX // 4
"""Text counted at once, in characters of up to four bytes: 20 to 60 ms. The rest is taken to be like it."""

BYTES_PER_TOKEN = 4
"""Of English text and JSON; for what is too large or too odd to be taken apart."""

MESSAGE_TOKENS = 4
"""A message's role and the marks around it in the chat templates that are published."""

ANSWER_TOKENS = 3
"""The opening of the assistant's turn, at the end of each request."""

IMAGE_TOKENS = 765
"""A 1024 by 1024 image in full detail for gpt-4o: 85 and four tiles of 170. Sizes are not looked up."""

IMAGE_LOW_TOKENS = 85
"""An image in low detail for gpt-4o."""

AUDIO_TOKENS = 300
"""Half a minute of speech at ten tokens a second."""

FILE_TOKENS = 1500
"""A page of a PDF, as text and as an image."""

_LONG_BASE64 = re.compile(rb'"(?=[A-Za-z0-9+/=:;,_.\\-]{1024})(?:[A-Za-z0-9+/=:;,_.-]++|\\/)*+"')


class _Tokenizer(Protocol):
    def count(self, text: str) -> int: ...


@functools.cache
def tokenizer() -> _Tokenizer:
    """Return the tokenizer, loaded with the first call: about 50 ms and 70 MB, most of it shared between processes.

    A service that counts calls this at its start. Only the package's extension module is loaded: its Python part
    builds tables of every vocabulary for decoding, which takes half a second and another 65 MB.

    Raises:
        ImportError: bpe-openai is not installed.
    """
    name = "bpe_openai._bindings"
    module = sys.modules.get(name)
    if module is None:
        package = importlib.util.find_spec("bpe_openai")
        spec = PathFinder.find_spec(name, package.submodule_search_locations) if package is not None else None
        if spec is None or spec.loader is None:
            raise ImportError("bpe-openai has no extension module")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return cast("_Tokenizer", module.tokenizer_for_encoding(VOCABULARY))


def count_text(text: str) -> int:
    """Return the number of tokens of a text; beyond `CHARS_MAX` by the ratio of its beginning."""
    if not text:
        return 0
    head = text[:CHARS_MAX]
    try:
        tokens = tokenizer().count(head)
    except UnicodeEncodeError:
        tokens = tokenizer().count(head.encode(errors="replace").decode())
    return tokens if len(head) == len(text) else tokens * len(text) // len(head)


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
    if len(body) > limits.COUNT_BYTES_MAX:
        body = _LONG_BASE64.sub(b'""', body)
    if len(body) > limits.COUNT_BYTES_MAX:
        return len(body) // BYTES_PER_TOKEN
    try:
        request = _decode_request(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return len(_LONG_BASE64.sub(b'""', body)) // BYTES_PER_TOKEN
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
