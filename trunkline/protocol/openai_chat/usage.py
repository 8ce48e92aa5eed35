"""Chat's usage report, in all the forms that vendors give it, as disjoint buckets (DIALECTS section 5).

Called by the readers of whole answers and of streams.
"""

import msgspec

from trunkline.core.usage import Units

TOKENS_MAX = 10**9
"""A larger count is no count: no context window comes near it, and the ledger's sums must not overflow."""

_decode = msgspec.json.Decoder().decode


def read_usage(report: bytes | msgspec.Raw) -> Units | None:
    """Return what a ``usage`` value says, or None if it is unusable, so that the caller counts.

    Unusable is a report without input or output, with negative numbers or strings for them, or of zeros alone.

    Args:
        report: the value's JSON.
    """
    try:
        usage = _decode(report)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(usage, dict):
        return None
    prompt_details = _object(usage, "prompt_tokens_details")
    completion_details = _object(usage, "completion_tokens_details")
    prompt = _count(usage, "prompt_tokens")
    completion = _count(usage, "completion_tokens")
    total = _count(usage, "total_tokens")
    if prompt is None or completion is None or not (prompt or completion):
        return None
    cached = (
        _count(prompt_details, "cached_tokens")
        or _count(usage, "prompt_cache_hit_tokens")  # DeepSeek
        or _count(usage, "cached_tokens")  # Moonshot
        or 0
    )
    written_5m, written_1h = _cache_writes(prompt_details)
    input_audio = _count(prompt_details, "audio_tokens") or 0
    output_audio = _count(completion_details, "audio_tokens") or 0
    reasoning = _count(completion_details, "reasoning_tokens") or 0
    # xAI counts reasoning beside the completion, OpenAI inside it: the total tells, or that it does not fit inside.
    outside = reasoning > completion or (reasoning > 0 and total == prompt + completion + reasoning)
    return Units(
        input=max(0, prompt - cached - written_5m - written_1h - input_audio),
        cache_read=cached,
        cache_write_5m=written_5m,
        cache_write_1h=written_1h,
        input_audio=input_audio,
        output=max(0, completion - output_audio - (0 if outside else reasoning)),
        reasoning=reasoning,
        output_audio=output_audio,
    )


def _cache_writes(details: dict[str, object]) -> tuple[int, int]:
    """Return tokens written to a cache for 5 minutes and for an hour; without the split all are the former."""
    split = _object(details, "cache_creation")
    short = _count(split, "ephemeral_5m_input_tokens")
    long = _count(split, "ephemeral_1h_input_tokens")
    if short is not None or long is not None:
        return short or 0, long or 0
    written = _count(details, "cache_write_tokens")  # OpenAI
    if written is None:
        written = _count(details, "cache_creation_input_tokens")  # Qwen
    return written or 0, 0


def _object(report: dict[str, object], name: str) -> dict[str, object]:
    value = report.get(name)
    return value if isinstance(value, dict) else {}


def _count(report: dict[str, object], name: str) -> int | None:
    value = report.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= TOKENS_MAX:
        return value
    return None
