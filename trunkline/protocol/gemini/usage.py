"""Gemini's usage report as disjoint buckets, and back (DIALECTS section 5).

``promptTokenCount`` includes what came from a cache and excludes the results of the provider's own tools;
``candidatesTokenCount`` excludes thoughts.
"""

from collections.abc import Sequence

from trunkline.core.usage import Units
from trunkline.protocol.gemini.wire import ModalityCount, UsageMetadata
from trunkline.protocol.usage_report import COUNT_MAX

_MODALITIES_BY_NUMBER = {2: "IMAGE", 4: "AUDIO"}


def latest(before: UsageMetadata | None, now: UsageMetadata) -> UsageMetadata:
    """Return the last value of each field: the counts are cumulative, so they replace and are never added."""
    if before is not None:
        for name in UsageMetadata.__struct_fields__:
            if getattr(now, name) is None:
                setattr(now, name, getattr(before, name))
    return now


def read_usage(report: UsageMetadata) -> Units | None:
    """Return what a report says, or None if it is unusable, so that the caller counts.

    Unusable is a report without a prompt and without candidates, or of zeros alone.
    """
    prompt = _count(report.prompt_token_count)
    candidates = _count(report.candidates_token_count)
    thoughts = _count(report.thoughts_token_count) or 0
    if not (prompt or candidates or thoughts):
        return None
    prompt = prompt or 0
    candidates = candidates or 0
    tool_use = _count(report.tool_use_prompt_token_count) or 0
    cached = _count(report.cached_content_token_count) or 0
    # Some hosts count thoughts inside the candidates: then the total has no room for them beside.
    if thoughts and candidates >= thoughts and _count(report.total_token_count) == prompt + candidates + tool_use:
        candidates -= thoughts
    input_audio = output_audio = output_image = 0
    if report.prompt_tokens_details is not None:
        cached_audio = _modality(report.cache_tokens_details, "AUDIO")
        input_audio = max(0, _modality(report.prompt_tokens_details, "AUDIO") - cached_audio)
    if report.candidates_tokens_details is not None:
        output_audio = _modality(report.candidates_tokens_details, "AUDIO")
        output_image = _modality(report.candidates_tokens_details, "IMAGE")
    return Units(
        input=max(0, prompt - cached - input_audio + tool_use),
        cache_read=cached,
        input_audio=input_audio,
        output=max(0, candidates - output_audio - output_image),
        reasoning=thoughts,
        output_audio=output_audio,
        output_image=output_image,
    )


def write_usage(units: Units) -> UsageMetadata:
    """Return the report of units: the inverse of `read_usage`, with the totals in Gemini's terms."""
    prompt = units.input_total
    candidates = units.output + units.output_audio + units.output_image
    return UsageMetadata(
        prompt_token_count=prompt,
        cached_content_token_count=units.cache_read or None,
        candidates_token_count=candidates,
        thoughts_token_count=units.reasoning or None,
        total_token_count=prompt + candidates + units.reasoning,
        prompt_tokens_details=_details(
            ("TEXT", prompt - units.input_audio - units.input_image),
            ("AUDIO", units.input_audio),
            ("IMAGE", units.input_image),
        ),
        candidates_tokens_details=_details(
            ("TEXT", units.output), ("AUDIO", units.output_audio), ("IMAGE", units.output_image)
        ),
    )


def _details(text: tuple[str, int], *others: tuple[str, int]) -> list[ModalityCount] | None:
    """Return the counts by medium; None where all is text."""
    if not any(count for _, count in others):
        return None
    return [ModalityCount(name, count) for name, count in (text, *others) if count]


def _modality(details: Sequence[ModalityCount] | None, wanted: str) -> int:
    tokens = 0
    for detail in details or ():
        name = detail.modality
        if (_MODALITIES_BY_NUMBER.get(name) if isinstance(name, int) else name) == wanted:
            tokens += _count(detail.token_count) or 0
    return min(tokens, COUNT_MAX)


def _count(value: float | None) -> int | None:
    if value is None or not 0 <= value <= COUNT_MAX or value != int(value):
        return None
    return int(value)
