"""Token counts, for what a provider did not report. Estimates that lean high, marked `UsageSource.COUNTED`.

Called by each dialect's counter of its requests and by the answer and stream readers. All models are counted
with o200k: on running text other vocabularies differ from it by a few per cent, less than a provider's own
unreported chat template does, and each further vocabulary would cost tens of MB in every process.
"""

import functools
import importlib.util
import re
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from typing import Protocol, TypeVar, cast

import msgspec

from trunkline.core import limits

VOCABULARY = "o200k_base"

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

LONG_BASE64 = re.compile(rb'"(?=[A-Za-z0-9+/=:;,_.\\-]{1024})(?:[A-Za-z0-9+/=:;,_.-]++|\\/)*+"')


Request = TypeVar("Request")


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
    """Return the number of tokens of a text; beyond `limits.COUNT_CHARS_MAX` by the ratio of its beginning."""
    if not text:
        return 0
    head = text[: limits.COUNT_CHARS_MAX]
    try:
        tokens = tokenizer().count(head)
    except UnicodeEncodeError:
        tokens = tokenizer().count(head.encode(errors="replace").decode())
    return tokens if len(head) == len(text) else tokens * len(text) // len(head)


COUNT_PIECES_MAX = 64
"""Pieces of output that wait to be counted together: one call of the tokenizer for all, and some 4 KB at most."""

COUNT_PIECE_CHARS_MAX = 2048
"""A longer piece is counted at once, so that what waits stays small."""


class OutputCounter:
    """Counts the tokens of output that comes in pieces. Exact to about one per hundred pieces."""

    __slots__ = ("_pieces", "_tokens")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._tokens = 0

    def add(self, text: str) -> None:
        """Take a piece."""
        pieces = self._pieces
        pieces.append(text)
        if len(pieces) >= COUNT_PIECES_MAX or len(text) > COUNT_PIECE_CHARS_MAX:
            self.tokens()

    def tokens(self) -> int:
        """Return the tokens of all pieces so far."""
        if self._pieces:
            self._tokens += count_text("".join(self._pieces))
            self._pieces.clear()
        return self._tokens


def estimate_input(body: bytes) -> int:
    """Return a rough figure of a request's input tokens, in the time that it takes to look at its bytes once."""
    return len(LONG_BASE64.sub(b'""', body)) // BYTES_PER_TOKEN


def countable(body: bytes, decode: Callable[[bytes], Request]) -> Request | int:
    """Return a request for its texts to be counted, or an estimate where it is too large or odd to be taken apart."""
    if len(body) > limits.COUNT_BYTES_MAX:
        body = LONG_BASE64.sub(b'""', body)
        if len(body) > limits.COUNT_BYTES_MAX:
            return len(body) // BYTES_PER_TOKEN
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return estimate_input(body)
