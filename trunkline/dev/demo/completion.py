"""The demo upstream's answers before any dialect: what is said, why it ends and what it used. Pure."""

from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

import msgspec

from trunkline.dev.demo.counts import Usage
from trunkline.dev.demo.pieces import Pieces
from trunkline.dev.demo.script import Finish, Script


class Kind(Enum):
    """What a block is."""

    REASONING = auto()
    TEXT = auto()
    REFUSAL = auto()
    CALL = auto()


class Block(NamedTuple):
    """One thing in an answer.

    Attributes:
        name: of the tool, of a call.
        number: of a call, from 0.
        cut: the limit on tokens ended it.
    """

    kind: Kind
    pieces: Pieces
    name: str = ""
    number: int = 0
    cut: bool = False

    @property
    def text(self) -> str:
        """All of it, unescaped."""
        return msgspec.json.decode(b'"%b"' % self.pieces.whole(), type=str)


class Step(NamedTuple):
    """One piece of an answer, and where it stands.

    Attributes:
        block: that it is a piece of.
        at: the block's number in the answer, from 0.
        first, last: of the block's pieces.
    """

    block: Block
    at: int
    text: bytes
    first: bool
    last: bool


def steps(blocks: tuple[Block, ...]) -> Iterator[Step]:
    """Yield the pieces of an answer in order."""
    for at, block in enumerate(blocks):
        last = len(block.pieces) - 1
        for number in range(last + 1):
            yield Step(block, at, block.pieces[number], number == 0, number == last)


def tokens(blocks: tuple[Block, ...], chunks: int) -> tuple[int, int]:
    """Return the tokens of the first ``chunks`` pieces: without reasoning, and of reasoning."""
    completion = reasoning = 0
    for block in blocks:
        count = min(chunks, len(block.pieces))
        chunks -= count
        if block.kind is Kind.REASONING:
            reasoning += block.pieces.tokens(count)
        else:
            completion += block.pieces.tokens(count)
    return completion, reasoning


class Product(NamedTuple):
    """What is asked for where that is no conversation: vectors, images, sound, a transcript.

    Attributes:
        used: what it costs, whatever is said in it.
        reported: whether the answer says what it cost.
        pieces: in how many it is streamed; None: in as many as its text has.
        headers: header lines of a whole answer.
    """

    used: Usage
    reported: bool = True
    pieces: int | None = 0
    headers: bytes = b"content-type: application/json\r\n"


class Plan(NamedTuple):
    """One answer, decided before its first byte.

    Attributes:
        chunks: how many pieces its blocks have together.
        total: what all of it uses.
        include_usage: whether the client asked for usage, where a dialect leaves that to it.
        product: what is wanted, if it is no conversation.
        choices: how many times over the answer is given; they count in ``total``, not in ``chunks``.
    """

    number: int
    created_s: int
    model: str
    script: Script
    blocks: tuple[Block, ...]
    chunks: int
    total: Usage
    finish: Finish
    include_usage: bool
    product: Product | None = None
    choices: int = 1

    def usage(self, chunks: int) -> Usage:
        """Return what the answer has used after so many chunks."""
        if self.product is not None:
            return self.product.used if chunks else Usage()
        completion, reasoning = [self.choices * count for count in tokens(self.blocks, chunks)]
        if self.script.reasoning_tokens is not None:
            reasoning = self.script.reasoning_tokens
        return self.total._replace(completion=completion, reasoning=reasoning)

    @property
    def reports_usage(self) -> bool:
        """Whether usage is reported."""
        return self.include_usage and not self.script.no_usage
