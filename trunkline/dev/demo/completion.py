"""The demo upstream's answers before any dialect: what is said, why it ends and what it used. Pure."""

import functools
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

import msgspec

from trunkline.dev.demo import example
from trunkline.dev.demo.counts import Usage
from trunkline.dev.demo.pieces import SENTENCE, Exact, Pieces, Repeated
from trunkline.dev.demo.request import Asked, Product
from trunkline.dev.demo.script import PLAIN, Finish, Script


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
        completion, reasoning = [self.choices * count for count in _tokens(self.blocks, chunks)]
        if self.script.reasoning_tokens is not None:
            reasoning = self.script.reasoning_tokens
        return self.total._replace(completion=completion, reasoning=reasoning)

    @property
    def reports_usage(self) -> bool:
        """Whether usage is reported."""
        return self.include_usage and not self.script.no_usage


def plan(asked: Asked, model: str, script: Script, *, number: int, now_ms: int) -> Plan:
    """Decide an answer.

    Args:
        asked: the request.
        model: its bare name.
        script: what was asked for.
        number: of the request.
        now_ms: Unix time in milliseconds.
    """
    product = asked.product
    if (script is PLAIN or script.plain) and not asked.special:
        content = _plain(script.chunks, script.chunk_bytes)
    else:
        content = _content(_blocks(asked, script))
    if asked.begun:
        content = _content(_after(content.blocks, asked.begun))
    finish = content.finish
    if asked.limit is not None:
        blocks, cut = _within(content.blocks, asked.limit)
        if cut:
            content, finish = _content(blocks), Finish.LENGTH
    total, chunks = _total(asked, script, content), content.chunks
    if product is not None:
        total, chunks = product.used, chunks if product.pieces is None else script.chunks or product.pieces
    return Plan(
        number,
        now_ms // 1000,
        model,
        script,
        content.blocks,
        chunks,
        total,
        script.finish or finish,
        asked.include_usage,
        product,
        asked.choices,
    )


class _Content(NamedTuple):
    """Blocks, how many pieces and tokens they have, and why they end."""

    blocks: tuple[Block, ...]
    chunks: int
    completion: int
    reasoning: int
    finish: Finish


def _total(asked: Asked, script: Script, content: _Content) -> Usage:
    choices, reasoning = asked.choices, script.reasoning_tokens
    return Usage(
        asked.prompt_tokens,
        content.completion * choices,
        script.cached_tokens,
        content.reasoning * choices if reasoning is None else reasoning,
    )


def _content(blocks: tuple[Block, ...]) -> _Content:
    chunks = sum(len(block.pieces) for block in blocks)
    calls = bool(blocks) and blocks[-1].kind is Kind.CALL
    return _Content(blocks, chunks, *_tokens(blocks, chunks), Finish.TOOL_CALLS if calls else Finish.STOP)


def _tokens(blocks: tuple[Block, ...], chunks: int) -> tuple[int, int]:
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


@functools.lru_cache(maxsize=64)
def _plain(chunks: int, chunk_bytes: int) -> _Content:
    return _content((Block(Kind.TEXT, Repeated(chunks or len(SENTENCE.split()), chunk_bytes)),))


def _blocks(asked: Asked, script: Script) -> tuple[Block, ...]:
    blocks = [Block(Kind.REASONING, Exact.words(script.reasoning))] if script.reasoning else []
    if script.refusal:
        return (*blocks, Block(Kind.REFUSAL, Exact.words(script.refusal)))
    tool, arguments = (script.tool, script.arguments) if script.tool else asked.wanted_call()
    if script.text is not None:
        blocks.append(Block(Kind.TEXT, Exact.words(script.text)))
    elif not tool and asked.schema is not None:
        blocks.append(Block(Kind.TEXT, Exact.words(example.example_text(asked.schema))))
    elif not tool:
        blocks += _plain(script.chunks, script.chunk_bytes).blocks
    if tool:
        if arguments is None:
            arguments = example.example_text(asked.tools.get(tool, {}))
        calls = range(script.tool_calls)
        blocks += [Block(Kind.CALL, Exact.arguments(arguments), tool, call) for call in calls]
    return tuple(blocks)


def _after(blocks: tuple[Block, ...], begun: str) -> tuple[Block, ...]:
    """Return the blocks without what the text of the first one is known to begin with."""
    first = blocks[0]
    if first.kind is not Kind.TEXT or not first.text.startswith(begun):
        return blocks
    return (first._replace(pieces=Exact.words(first.text.removeprefix(begun))), *blocks[1:])


def _within(blocks: tuple[Block, ...], limit: int) -> tuple[tuple[Block, ...], bool]:
    """Return the blocks of at most ``limit`` tokens, and whether any were left out."""
    kept: list[Block] = []
    for block in blocks:
        fitting = block.pieces.fitting(limit)
        if fitting < len(block.pieces):
            if fitting:
                kept.append(block._replace(pieces=block.pieces.first(fitting), cut=True))
            return tuple(kept), True
        kept.append(block)
        limit -= block.pieces.tokens(fitting)
    return blocks, False
