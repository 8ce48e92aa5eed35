"""What well-known models make and can do, told by their names: for people who choose one. Pure.

Nothing is decided by it: a request for what a model cannot do is its provider's to refuse. From the vendors' model
pages of autumn 2026 (DIALECTS section 2); families age fast, and this table with them.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from trunkline.protocol.anthropic.models_table import ThinkingStyle, model_traits


class Kind(StrEnum):
    """What a model makes."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    IMAGES = "images"
    SPEECH = "speech"
    TRANSCRIPTS = "transcripts"
    RERANK = "rerank"
    MODERATION = "moderation"


class Capability(StrEnum):
    """What a model of conversations can do."""

    TOOLS = "tools"
    VISION = "vision"
    AUDIO = "audio"
    REASONING = "reasoning"
    SCHEMA = "schema"


class Capabilities(NamedTuple):
    """What is known of a model.

    Attributes:
        kind: see there.
        can: in the order of `Capability`.
        known: whether the name is of a known family; else nothing is known of what is missing.
        output_tokens_max: of an answer; None if that is not known.
    """

    kind: Kind
    can: tuple[Capability, ...] = ()
    known: bool = True
    output_tokens_max: int | None = None


_KINDS: Final = (
    (re.compile(r"embed|(?:^|[/-])bge-(?!rerank)|(?:^|[/-])(?:e5|gte|voyage)-"), Kind.EMBEDDINGS),
    (re.compile(r"rerank"), Kind.RERANK),
    (re.compile(r"moderation"), Kind.MODERATION),
    (re.compile(r"whisper|transcri|(?:^|[/-])asr(?:-|$)"), Kind.TRANSCRIPTS),
    (re.compile(r"(?:^|[/-])tts(?:-|$)|-tts|speech|(?:^|/)eleven_"), Kind.SPEECH),
    (re.compile(r"dall-e|gpt-image|imagen|flux|stable-diffusion|seedream|cogview|-image(?:-|$)"), Kind.IMAGES),
)
"""Parts of names, in the order in which they are tried."""

_T, _V, _A, _R, _S = Capability
_FAMILIES: Final = tuple(
    (re.compile(rf"(?:^|[/.-]){start}"), can)
    for start, can in (
        (r"o[13]-mini", (_T, _R, _S)),
        (r"o1-preview", (_R,)),
        (r"o[134](?:-|$)", (_T, _V, _R, _S)),
        (r"gpt-oss", (_T, _R, _S)),
        (r"gpt-[5-9]", (_T, _V, _R, _S)),
        (r"gpt-4o-audio", (_T, _A)),
        (r"(?:chatgpt-4o|gpt-4o|gpt-4\.1|gpt-4\.5)", (_T, _V, _S)),
        (r"gpt-4-turbo", (_T, _V)),
        (r"gpt-(?:4|3\.5)", (_T,)),
        (r"gemini-(?:1|2\.0)", (_T, _V, _A, _S)),
        (r"gemini", (_T, _V, _A, _R, _S)),
        (r"gemma-[3-9]", (_V,)),
        (r"deepseek-(?:chat|v3)", (_T,)),
        (r"deepseek-(?:reasoner|r1)", (_T, _R)),
        (r"deepseek-v[4-9]", (_T, _R, _S)),
        (r"(?:qwq|qvq)", (_T, _R)),
        (r"qwen[0-9.]*-(?:.*-)?(?:vl|omni)", (_T, _V)),
        (r"qwen3", (_T, _R)),
        (r"qwen", (_T,)),
        (r"kimi-(?:k2-thinking|k[3-9])", (_T, _R)),
        (r"kimi", (_T,)),
        (r"glm-[0-9.]+v", (_T, _V, _R)),
        (r"glm-(?:4\.[5-9]|[5-9])", (_T, _R)),
        (r"glm", (_T,)),
        (r"pixtral", (_T, _V)),
        (r"magistral", (_T, _R)),
        (r"(?:mistral|ministral|codestral|devstral)", (_T,)),
        (r"llama-?4", (_T, _V)),
        (r"llama-?3\.[1-3]", (_T,)),
        (r"grok-[4-9]", (_T, _V, _R, _S)),
        (r"grok", (_T,)),
        (r"minimax-m", (_T, _R)),
    )
)
"""Beginnings of names, behind a host's words and a slash; the first that fits counts."""


def capabilities(names: Iterable[str]) -> Capabilities:
    """Return what is known of a model.

    Args:
        names: its public one, and those that providers call it by; the first that says something counts.
    """
    lowered = [name.lower() for name in names]
    for name in lowered:
        for pattern, kind in _KINDS:
            if pattern.search(name):
                return Capabilities(kind)
    for name in lowered:
        if "claude-" in name:
            return _claude(name)
        for pattern, can in _FAMILIES:
            if pattern.search(name):
                return Capabilities(Kind.CHAT, can)
    return Capabilities(Kind.CHAT, known=False)


def _claude(name: str) -> Capabilities:
    traits = model_traits(name)
    can = [_T, _V]
    if traits.thinking is not ThinkingStyle.NONE:
        can.append(_R)
    if traits.schema:
        can.append(_S)
    return Capabilities(Kind.CHAT, tuple(can), output_tokens_max=traits.max_output if traits.known else None)
