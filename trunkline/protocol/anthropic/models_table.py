"""What Claude models take: data for the request's writer, by the beginning of a model's name.

From Anthropic's model pages of autumn 2026 (DIALECTS sections 2.3 to 2.6); model families age fast, and this table with
them. What is not Claude is a look-alike: it gets what most of those understand, and a channel's options say the rest.
"""

from enum import StrEnum

import msgspec

from trunkline.protocol.model import Effort


class ThinkingStyle(StrEnum):
    """How a model is told to think."""

    NONE = "none"
    """It does not."""
    BUDGET = "budget"
    """``enabled`` with a budget."""
    BOTH = "both"
    """Either way; a level is written as ``adaptive``."""
    ADAPTIVE = "adaptive"
    """``adaptive`` with a level; a budget is refused."""


class ModelTraits(msgspec.Struct, frozen=True):
    """What one family of models takes.

    Attributes:
        max_output: bound on ``max_tokens``.
        known: whether that is what the vendor says; else a guess.
        thinking: see there.
        can_stop_thinking: ``disabled`` is accepted.
        thinks_unasked: it thinks where nothing is said about it.
        efforts: levels that it knows, from least to most.
        sampling: temperature, top_p and top_k are accepted.
        temperature_with_top_p: both may be given.
        schema: it has structured output and strict tools of its own.
        instructions_midway: it takes instructions in the middle of a conversation.
        prefill: it continues a trailing assistant turn.
        forced_tools: a call may be demanded.
    """

    max_output: int
    known: bool = True
    thinking: ThinkingStyle = ThinkingStyle.ADAPTIVE
    can_stop_thinking: bool = True
    thinks_unasked: bool = False
    efforts: tuple[Effort, ...] = ()
    sampling: bool = True
    temperature_with_top_p: bool = False
    schema: bool = True
    instructions_midway: bool = False
    prefill: bool = False
    forced_tools: bool = True


_FOUR = (Effort.LOW, Effort.MEDIUM, Effort.HIGH, Effort.MAX)
_FIVE = (Effort.LOW, Effort.MEDIUM, Effort.HIGH, Effort.XHIGH, Effort.MAX)

_CLAUDE_3 = ModelTraits(4096, thinking=ThinkingStyle.NONE, temperature_with_top_p=True, schema=False, prefill=True)
_CLAUDE_4 = ModelTraits(64_000, thinking=ThinkingStyle.BUDGET, schema=False, prefill=True)
_CLAUDE_4_5 = msgspec.structs.replace(_CLAUDE_4, schema=True)
_CLAUDE_4_6 = ModelTraits(128_000, thinking=ThinkingStyle.BOTH, efforts=_FOUR)
_CLAUDE_4_7 = ModelTraits(128_000, efforts=_FIVE, sampling=False)
_CLAUDE_4_8 = msgspec.structs.replace(_CLAUDE_4_7, instructions_midway=True)
_CLAUDE_5 = msgspec.structs.replace(_CLAUDE_4_8, thinks_unasked=True)
_ALWAYS = msgspec.structs.replace(_CLAUDE_5, can_stop_thinking=False)
_UNFORCED = msgspec.structs.replace(_ALWAYS, forced_tools=False)

_TABLE = {
    "claude-3": _CLAUDE_3,
    "claude-3-5": msgspec.structs.replace(_CLAUDE_3, max_output=8192),
    "claude-3-7": msgspec.structs.replace(_CLAUDE_3, max_output=64_000, thinking=ThinkingStyle.BUDGET),
    "claude-opus-4": msgspec.structs.replace(_CLAUDE_4, max_output=32_000),
    "claude-4-opus": msgspec.structs.replace(_CLAUDE_4, max_output=32_000),
    "claude-sonnet-4": _CLAUDE_4,
    "claude-4-sonnet": _CLAUDE_4,
    "claude-opus-4-5": _CLAUDE_4_5,
    "claude-sonnet-4-5": _CLAUDE_4_5,
    "claude-haiku-4-5": _CLAUDE_4_5,
    "claude-opus-4-6": _CLAUDE_4_6,
    "claude-sonnet-4-6": msgspec.structs.replace(_CLAUDE_4_6, max_output=64_000),
    "claude-opus-4-7": _CLAUDE_4_7,
    "claude-opus-4-8": _CLAUDE_4_8,
    "claude-mythos-preview": msgspec.structs.replace(_CLAUDE_4_7, thinks_unasked=True, can_stop_thinking=False),
    "claude-opus-5": _CLAUDE_5,
    "claude-sonnet-5": _CLAUDE_5,
    "claude-fable-5": _ALWAYS,
    "claude-mythos-5": _ALWAYS,
    "claude-fable-5-1": _UNFORCED,
    "claude-fable-5-2": _UNFORCED,
    "claude-mythos-5-1": _UNFORCED,
    "claude-mythos-5-2": _UNFORCED,
    "claude-opus-5-5": _UNFORCED,
    "claude-sonnet-5-5": _UNFORCED,
    "claude-haiku-5-5": msgspec.structs.replace(_CLAUDE_5, forced_tools=False),
    # A model that is newer than this table: most likely as the newest here.
    "claude-": _UNFORCED,
}
_PREFIXES = sorted(_TABLE, key=len, reverse=True)

_OTHER = ModelTraits(
    32_000,
    known=False,
    thinking=ThinkingStyle.BUDGET,
    temperature_with_top_p=True,
    schema=False,
    prefill=True,
)
"""A look-alike. Its bound is a guess that leaves room for thinking; a channel's ``max_output`` replaces it."""


def model_traits(model: str) -> ModelTraits:
    """Return what a model takes.

    Args:
        model: the provider's name for it; hosts put their own words before Anthropic's, and dots for its dashes.
    """
    name = model.lower().replace(".", "-").replace("@", "-")
    start = name.find("claude-")
    if start < 0:
        return _OTHER
    name = name[start:]
    return next((_TABLE[prefix] for prefix in _PREFIXES if name.startswith(prefix)), _OTHER)
