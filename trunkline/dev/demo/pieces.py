"""Text of the demo upstream's answers, in the pieces in which it is streamed. Pure.

Tokens are words: easy to foretell in a test, and the same in what is reported and in what is counted. Text is kept as
the inside of a JSON string, since every dialect writes it into one.
"""

import functools
import re
from typing import Protocol

import msgspec

from trunkline.dev.demo.script import WHOLE_BYTES_MAX, ScriptError

SENTENCE = (
    "Hello! This is the demo upstream of Trunkline. It knows nothing, but it answers at once, "
    "counts every token that it reports, and does what a test tells it to."
)
_WORDS = [f"{word} ".encode() for word in SENTENCE.split()]
_WORD_BYTES_MAX = max(len(word) for word in _WORDS)
_FILLER = "lorem ipsum dolor sit amet "
_WORD = re.compile(r"\S*\s+|\S+")

ARGUMENTS_PIECE_CHARACTERS = 8


def escaped(text: str) -> bytes:
    """Return the inside of the JSON string that holds ``text``."""
    return msgspec.json.encode(text)[1:-1]


class Pieces(Protocol):
    """Text in the pieces in which it is streamed, escaped; there is at least one."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> bytes: ...

    def tokens(self, count: int) -> int:
        """Return the tokens of the first ``count``."""

    def first(self, count: int) -> "Pieces":
        """Return the first ``count``, without the others."""

    def fitting(self, tokens: int) -> int:
        """Return how many come to at most so many tokens."""

    def whole(self) -> bytes:
        """Return all of the text.

        Raises:
            ScriptError: it would be larger than `WHOLE_BYTES_MAX`.
        """


class Repeated:
    """The demo sentence word by word, or a filler of one size, as often as asked for: made as it is read."""

    __slots__ = ("_chunk_bytes", "_count", "_cycle", "_piece_tokens")

    def __init__(self, count: int, chunk_bytes: int) -> None:
        self._count = count
        self._chunk_bytes = chunk_bytes
        self._cycle, self._piece_tokens = _cycle(chunk_bytes)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int, /) -> bytes:
        return self._cycle[number % len(self._cycle)]

    def tokens(self, count: int) -> int:
        """See `Pieces`."""
        return count * self._piece_tokens

    def first(self, count: int) -> Pieces:
        """See `Pieces`."""
        return Repeated(count, self._chunk_bytes)

    def fitting(self, tokens: int) -> int:
        """See `Pieces`."""
        return min(self._count, max(tokens, 0) // self._piece_tokens)

    def whole(self) -> bytes:
        """See `Pieces`; words end without a space."""
        if self._count * (self._chunk_bytes or _WORD_BYTES_MAX) > WHOLE_BYTES_MAX:
            raise ScriptError(f"An answer in one piece has at most {WHOLE_BYTES_MAX} bytes.")
        return self._cycle[0] * self._count if self._chunk_bytes else _sentence(self._count)


@functools.lru_cache(maxsize=64)
def _sentence(count: int) -> bytes:
    rounds, rest = divmod(count, len(_WORDS))
    return (b"".join(_WORDS) * rounds + b"".join(_WORDS[:rest])).rstrip()


@functools.lru_cache(maxsize=64)
def _cycle(chunk_bytes: int) -> tuple[list[bytes], int]:
    """Return pieces to be repeated, and the tokens of each."""
    if not chunk_bytes:
        return _WORDS, 1
    text = (_FILLER * (chunk_bytes // len(_FILLER) + 1))[:chunk_bytes]
    return [text.encode()], len(text.split())


class Exact:
    """A text of a script; each piece is a token."""

    __slots__ = ("_pieces",)

    def __init__(self, pieces: list[str]) -> None:
        self._pieces = pieces

    @classmethod
    def words(cls, text: str) -> "Exact":
        """Return words, each with the white space behind it."""
        return cls(_WORD.findall(text) or [""])

    @classmethod
    def arguments(cls, text: str) -> "Exact":
        """Return a few characters at a time."""
        size = ARGUMENTS_PIECE_CHARACTERS
        return cls([text[start : start + size] for start in range(0, len(text), size)] or [""])

    @property
    def text(self) -> str:
        """All of it, unescaped."""
        return "".join(self._pieces)

    def __len__(self) -> int:
        return len(self._pieces)

    def __getitem__(self, number: int, /) -> bytes:
        return escaped(self._pieces[number])

    def tokens(self, count: int) -> int:
        """See `Pieces`; what is empty has none."""
        return count if self._pieces[0] else 0

    def first(self, count: int) -> Pieces:
        """See `Pieces`."""
        return Exact(self._pieces[:count])

    def fitting(self, tokens: int) -> int:
        """See `Pieces`."""
        return min(len(self._pieces), max(tokens, 0)) if self._pieces[0] else 1

    def whole(self) -> bytes:
        """See `Pieces`."""
        return escaped(self.text)
