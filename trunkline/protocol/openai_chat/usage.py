"""Chat's usage report, in all the forms that vendors give it, as disjoint buckets (DIALECTS section 5).

Called by the readers of whole answers and of streams.
"""

import msgspec

from trunkline.core.usage import Units
from trunkline.protocol.usage_report import count_of, inner_report, report_of


def read_usage(report: bytes | msgspec.Raw) -> Units | None:
    """Return what a ``usage`` value says, or None if it is unusable, so that the caller counts.

    Unusable is a report without input or output, with negative numbers or strings for them, or of zeros alone.

    Args:
        report: the value's JSON.
    """
    usage = report_of(report)
    prompt_details = inner_report(usage, "prompt_tokens_details")
    completion_details = inner_report(usage, "completion_tokens_details")
    prompt = count_of(usage, "prompt_tokens")
    completion = count_of(usage, "completion_tokens")
    total = count_of(usage, "total_tokens")
    if prompt is None or completion is None or not (prompt or completion):
        return None
    cached = (
        count_of(prompt_details, "cached_tokens")
        or count_of(usage, "prompt_cache_hit_tokens")  # DeepSeek
        or count_of(usage, "cached_tokens")  # Moonshot
        or 0
    )
    written_5m, written_1h = _cache_writes(prompt_details)
    input_audio = count_of(prompt_details, "audio_tokens") or 0
    output_audio = count_of(completion_details, "audio_tokens") or 0
    reasoning = count_of(completion_details, "reasoning_tokens") or 0
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
    split = inner_report(details, "cache_creation")
    short = count_of(split, "ephemeral_5m_input_tokens")
    long = count_of(split, "ephemeral_1h_input_tokens")
    if short is not None or long is not None:
        return short or 0, long or 0
    written = count_of(details, "cache_write_tokens")  # OpenAI
    if written is None:
        written = count_of(details, "cache_creation_input_tokens")  # Qwen
    return written or 0, 0
