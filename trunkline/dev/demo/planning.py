"""Decides what the demo upstream answers to a request. Pure."""

import functools
from typing import NamedTuple

from trunkline.dev.demo import example
from trunkline.dev.demo.completion import Block, Kind, Plan, tokens
from trunkline.dev.demo.counts import Usage
from trunkline.dev.demo.pieces import SENTENCE, Exact, Repeated
from trunkline.dev.demo.request import Asked
from trunkline.dev.demo.script import PLAIN, Finish, Script


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
    return _Content(blocks, chunks, *tokens(blocks, chunks), Finish.TOOL_CALLS if calls else Finish.STOP)


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
